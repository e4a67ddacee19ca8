"""Totals and temperatures: numbers, arrays on the host or arrays of a library in, pairs of the scores' dtype out.

float32 scores may come with float64 totals, and there need not be a float64 where they are: a pair of float32 has 48 digits.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hsproj._dispatch import is_foreign
from hsproj._errors import refuse
from hsproj._generic._arrays import broadcasts, demand_real, namespace_of
from hsproj._generic._pairs import Array, Pair, digits
from hsproj._inputs import Layout, per_row

Rule = tuple[Callable[[Any], Any], str]


class Number(NamedTuple):
    """One value a row: a float, a NumPy array (..., 1) or an array (..., 1) of the scores' library.

    An array of the library has not been looked at: `valid` says where it keeps the rules. One with a `tail` is a pair.
    """

    value: Any
    valid: Array | None = None
    tail: Array | None = None

    @property
    def on_device(self) -> bool:
        """Whether it is an array of the scores' library."""
        return self.valid is not None

    def times(self, factor: Any) -> "Number":
        """Each value times a power of two."""
        return self._replace(value=self.value * factor, tail=None if self.tail is None else self.tail * factor)

    def within(self, xp: Any, low: float, high: float) -> "Number":
        """Each value, or the bound that it is beyond."""
        if isinstance(self.value, float):
            return Number(min(max(self.value, low), high))
        return self._replace(value=(xp if self.on_device else np).clip(self.value, low, high))


def read_number(xp: Any, value: Any, name: str, layout: Layout, one: Array, rules: list[Rule]) -> Number:
    """`value` for each row; what is on the host is refused if it breaks the rules: (which numbers do, what it says)."""
    if isinstance(value, Number):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        for keeps, rule in rules:
            if not keeps(value):
                came = f"{name}={repr(float(value)).removesuffix('.0')}"
                came = f"{came} with n={layout.n}" if "n" in rule.split() else came
                raise refuse(ValueError, name, rule, came, str(layout))
        return Number(float(value))
    if not is_foreign(value):
        return Number(per_row(value, name, layout, *rules).reshape((*layout.batch, 1)))
    if namespace_of(value, name) is not xp:
        rule = f"be numbers, or an array of the same library as `{layout.name}`"
        raise refuse(TypeError, name, rule, f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}")
    demand_real(xp, value, name, ("integral", "real floating"))
    if not broadcasts(tuple(value.shape), layout.batch):
        rule = f"broadcast to the batch shape {layout.batch}"
        raise refuse(ValueError, name, rule, f"shape {tuple(value.shape)}", str(layout))
    array = xp.broadcast_to(value, layout.batch)[..., None]
    if not xp.isdtype(array.dtype, "real floating") or xp.finfo(array.dtype).bits < 32:
        array = xp.astype(array, one.dtype)
    valid = one > 0
    for keeps, _ in rules:
        valid = valid & keeps(array)
    return Number(array, valid)


def pair_of(xp: Any, number: Number, one: Array) -> Pair:
    """The numbers as sums of two floats, arrays (..., 1) like `one`."""
    value = number.value
    if number.tail is not None:
        return value, number.tail
    if isinstance(value, float):
        head = _nearest(value, digits(xp, one.dtype))
        return one * head, one * (value - head)
    if isinstance(value, np.ndarray):
        from array_api_compat import device

        narrow = value.astype(np.float32 if digits(xp, one.dtype) == 24 else np.float64)
        parts = narrow, (value - narrow).astype(narrow.dtype)
        head, tail = (xp.asarray(part, device=device(one)) for part in parts)
        return head, tail
    head = xp.astype(value, one.dtype, copy=False)
    return head, xp.astype(value - xp.astype(head, value.dtype, copy=False), one.dtype, copy=False)


def power_of_two(xp: Any, number: Number) -> Number:
    """The power of two that brings each value > 0 into [1, 4), but for the smallest; it has no derivative."""
    value = number.value
    if isinstance(value, float):
        return Number(2.0 ** min(1 - math.frexp(value)[1], 1022))
    if isinstance(value, np.ndarray):
        return Number(np.ldexp(1.0, np.minimum(1 - np.frexp(value)[1], 1022)))
    scale = xp.ones_like(value)
    # Comparisons with constants: a logarithm may be off, and an exponential need not be a power of two.
    steps = [2**i for i in range(1, {24: 7, 53: 10}[digits(xp, value.dtype)])]
    for step in reversed(steps):
        factor = xp.where(value < 2.0 ** (2 - step), xp.full_like(value, 2.0**step), xp.ones_like(value))
        factor = xp.where(value >= 2.0**step, xp.full_like(value, 2.0**-step), factor)
        value, scale = value * factor, scale * factor
    return number._replace(value=scale)


def _nearest(value: float, bits: int) -> float:
    """The float of so many binary digits that is nearest; in Python, where compilers of array code can follow."""
    mantissa, exponent = math.frexp(value)
    exact = mantissa * 2.0**bits
    return math.ldexp(float(round(exact)), exponent - bits) if bits < 53 else value
