"""The file format: a `Vector`, and a file of them as text; both ways, byte for byte.

A file is JSON, laid out so that a hundred lines of C can read it without a parser: each field of a vector stands on a line of
its own, in the order of `FIELDS`, and a vector ends with the only lines that begin with a brace after two spaces.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from hsproj_verify.problems import Problem

SCHEMA = "hsproj-verify/vectors/1"


@dataclass(frozen=True)
class Vector:
    """One problem with its exact answer, or one that has none.

    Attributes
    ----------
    id : str
        The group and a digest of the inputs: another problem has another id, for ever.
    comment : str
        Why it exists.
    flags : tuple of str
        What an implementation may be forgiven here; `hsproj_verify.vectors.FLAGS` says what each means.
    result : {"valid", "invalid"}
        An invalid problem has no answer and must be refused, by an exception or by NaN. All that follows `cotangent` is None.
    dtype : {"float64", "float32"}
        What the scores come in. All inputs are representable in it.
    x : tuple of float
        The scores.
    k, temperature : float
    cotangent : tuple of float
        What `vjp` was taken of.
    p : tuple of Fraction
        The exact projection.
    p_float64, p_float32 : tuple of float
        It, correctly rounded: to nearest, ties to even.
    threshold : pair of Fraction or None
        The least and the greatest theta with p = clip((x - theta) / temperature, 0, 1); None for an infinite end.
    free, saturated, support : tuple of bool
        0 < p < 1; p = 1; p > 0; of the exact p.
    lower_kinks, upper_kinks : tuple of bool
        Where theta is unique: x = theta; x = theta + temperature.
    vjp : tuple of Fraction
        The exact Jacobian times the cotangent. Where the flags say "Kink", that of the free set as it is: one of several
        right answers.
    vjp_float64, vjp_float32 : tuple of float
        It, correctly rounded; infinite beyond the largest float.
    """

    id: str
    comment: str
    flags: tuple[str, ...]
    result: str
    dtype: str
    x: tuple[float, ...]
    k: float
    temperature: float
    cotangent: tuple[float, ...] | None
    p: tuple[Fraction, ...] | None
    p_float64: tuple[float, ...] | None
    p_float32: tuple[float, ...] | None
    threshold: tuple[Fraction | None, Fraction | None] | None
    free: tuple[bool, ...] | None
    saturated: tuple[bool, ...] | None
    support: tuple[bool, ...] | None
    lower_kinks: tuple[bool, ...] | None
    upper_kinks: tuple[bool, ...] | None
    vjp: tuple[Fraction, ...] | None
    vjp_float64: tuple[float, ...] | None
    vjp_float32: tuple[float, ...] | None

    @property
    def group(self) -> str:
        """The group it belongs to, which is also the name of its file."""
        return self.id.rpartition("-")[0]

    @property
    def problem(self) -> Problem:
        """The inputs."""
        return Problem(self.x, self.k, self.temperature, self.dtype)

    @property
    def nearest(self) -> tuple[float, ...] | None:
        """The exact p, correctly rounded to the dtype of the scores."""
        return self.p_float64 if self.dtype == "float64" else self.p_float32


@dataclass(frozen=True)
class Group:
    """A file: vectors that are there for the same reason."""

    name: str
    about: str
    vectors: tuple[Vector, ...]


FIELDS = tuple(field.name for field in fields(Vector))
"""The fields of a vector, in the order in which they are written."""


def hex_of(value: float) -> str:
    """A float as C's %a writes it: hexadecimal, without trailing zeros; inf, -inf and nan by name.

    Examples
    --------
    >>> hex_of(0.1), hex_of(-2.0), hex_of(float("inf"))
    ('0x1.999999999999ap-4', '-0x1p+1', 'inf')
    """
    mantissa, p, exponent = value.hex().partition("p")
    return mantissa.rstrip("0").removesuffix(".") + p + exponent if "." in mantissa else value.hex()


def fraction_of(value: Fraction | None) -> str | None:
    """A fraction as text, the denominator always written; None for an infinite end."""
    return None if value is None else f"{value.numerator}/{value.denominator}"


def _bits(mask: Sequence[bool]) -> str:
    return "".join("01"[holds] for holds in mask)


def _all(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: tuple(map(one, values))


def _read_fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def _as_it_is(value: Any) -> Any:
    return value


_FLOATS = (_all(hex_of), _all(float.fromhex))
_FRACTIONS = (_all(fraction_of), _all(_read_fraction))
_MASK = (_bits, _all("1".__eq__))
_CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "flags": (list, tuple),
    "k": (hex_of, float.fromhex),
    "temperature": (hex_of, float.fromhex),
    **dict.fromkeys(("x", "cotangent", "p_float64", "p_float32", "vjp_float64", "vjp_float32"), _FLOATS),
    **dict.fromkeys(("p", "threshold", "vjp"), _FRACTIONS),
    **dict.fromkeys(("free", "saturated", "support", "lower_kinks", "upper_kinks"), _MASK),
}


def digest(vector: Vector) -> str:
    """Eight digits that the inputs of a vector determine; the second half of its id."""
    inputs = [_encoded(vector, name) for name in ("dtype", "x", "k", "temperature", "cotangent")]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:8]


def _encoded(vector: Vector, name: str) -> Any:
    value = getattr(vector, name)
    return None if value is None else _CODECS.get(name, (_as_it_is,))[0](value)


def to_text(group: Group, flags: dict[str, str]) -> str:
    """A group as the text of its file; `flags` says what each flag means."""
    used = {flag for vector in group.vectors for flag in vector.flags}
    notes = [f"  {json.dumps(flag)}: {json.dumps(meaning)}" for flag, meaning in flags.items() if flag in used]
    head = {"schema": SCHEMA, "group": group.name, "about": group.about, "count": len(group.vectors)}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    vectors = [
        "  {\n" + ",\n".join(f'    "{name}": {json.dumps(_encoded(vector, name))}' for name in FIELDS) + "\n  }"
        for vector in group.vectors
    ]
    return "\n".join(
        ["{", *lines, '"notes": {', ",\n".join(notes), "},", '"vectors": [', ",\n".join(vectors), "]", "}", ""]
    )


def from_text(text: str) -> Group:
    """A group from the text of its file."""
    read = json.loads(text)
    return Group(read["group"], read["about"], tuple(map(_vector, read["vectors"])))


def _vector(read: dict[str, Any]) -> Vector:
    def decoded(name: str) -> Any:
        value = read[name]
        return None if value is None else _CODECS.get(name, (_as_it_is, _as_it_is))[1](value)

    return Vector(*map(decoded, FIELDS))
