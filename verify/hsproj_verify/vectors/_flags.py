"""Flags: what an implementation may be forgiven on a vector, each a question about its inputs and its exact answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from hsproj_verify.vectors._format import Vector

FLAGS = {
    "Kink": "A score is exactly theta or theta + temperature, and theta is unique: p has one-sided derivatives only, and the "
    "derivative is set-valued. The vjp given is that of the free set as it is; any other element of the set is as right.",
    "NearKink": "No kink, but one within 128 eps (max |x| + temperature): floats may find a neighbouring free set, and its "
    "vjp. p itself is continuous and gains no leeway.",
    "Vertex": "No entry is free, and a whole interval of thetas serves: any of them is right. The derivative is 0.",
    "Infinities": "A score is -inf (masked: p = 0) or +inf (forced: p = 1). Implementations that take finite scores only may "
    "refuse it.",
    "RealK": "k is not a whole number. Implementations of whole totals only may refuse it.",
    "Temperature": "The temperature is not 1. Implementations without one may leave it out.",
    "Magnitude": "A score of 2^40 or more, or other than 0 and below 2^-1000 (2^-120 in float32), in absolute value; or a "
    "temperature outside [2^-40, 2^40]. Implementations made for moderate scores may leave it out.",
    "SubnormalResult": "An entry of p is positive and below the least normal float: flushing it to 0 is within any "
    "tolerance, and changes the support.",
    "Rounding": "An entry of p lies within 2^-10 steps of a midpoint of two floats of the dtype: both of them are nearly as "
    "close. Only those who promise correct rounding are bound to one.",
    "LongRow": "More than 32 scores: plain sums lose digits. The tolerance of p is times 1 + k / max(m, 1), with m free "
    "entries, that of the vjp times 1 + sqrt(n).",
    "VjpOverflow": "An entry of the vjp is beyond the largest float of the dtype, and infinite when rounded.",
    "EmptyRow": "There are no scores. Implementations that need one may refuse it.",
}
"""Each flag and what it means."""


def flags_of(vector: Vector) -> tuple[str, ...]:
    """The flags that a vector must carry, in the order of `FLAGS`."""
    if vector.result == "invalid":
        return tuple(flag for flag in ("Infinities", "RealK", "Temperature") if _INPUTS[flag](vector))
    return tuple(flag for flag in FLAGS if {**_INPUTS, **_ANSWERS}[flag](vector))


def _finite(vector: Vector) -> list[float]:
    return [x for x in vector.x if math.isfinite(x)]


def _theta(vector: Vector) -> Fraction | None:
    assert vector.threshold is not None
    low, high = vector.threshold
    return low if low == high else None


def is_whole(k: float) -> bool:
    """Whether a total is a whole number; NaN and infinity are not called real totals."""
    return not math.isfinite(k) or k.is_integer()


def _is_extreme(vector: Vector) -> bool:
    least = 2.0**-1000 if vector.dtype == "float64" else 2.0**-120
    return any(abs(x) >= 2.0**40 or 0 < abs(x) < least for x in _finite(vector)) or not (
        2.0**-40 <= vector.temperature <= 2.0**40
    )


def _is_kink(vector: Vector) -> bool:
    assert vector.lower_kinks is not None
    assert vector.upper_kinks is not None
    return any(vector.lower_kinks) or any(vector.upper_kinks)


def near_kink(vector: Vector) -> list[bool]:
    """Which entries lie on a kink, or so close that floats may take them for it.

    Where an interval of thetas serves and is no wider than that, these are the scores at its two ends.
    """
    assert vector.threshold is not None
    low, high = vector.threshold
    if low is None or high is None:
        return [False] * len(vector.x)
    tau = Fraction(vector.temperature)
    eps = Fraction(float(np.finfo(vector.dtype).eps))
    close = 128 * eps * (max((abs(Fraction(x)) for x in _finite(vector)), default=Fraction(0)) + tau)
    if high - low > close:
        return [False] * len(vector.x)
    distances = [
        min(abs(Fraction(x) - low), abs(Fraction(x) - high - tau)) if math.isfinite(x) else close + 1 for x in vector.x
    ]
    return [d <= close for d in distances]


def _rounds_at_a_midpoint(vector: Vector) -> bool:
    assert vector.p is not None
    assert vector.nearest is not None
    kind = np.dtype(vector.dtype).type
    for exact, nearest in zip(vector.p, vector.nearest, strict=True):
        off = exact - Fraction(nearest)
        step = Fraction(float(np.nextafter(kind(nearest), kind(2) if off > 0 else kind(-1)))) - Fraction(nearest)
        if off and abs(off / step - Fraction(1, 2)) < Fraction(1, 2**10):
            return True
    return False


def _is_subnormal_somewhere(vector: Vector) -> bool:
    assert vector.p is not None
    least = Fraction(float(np.finfo(vector.dtype).smallest_normal))
    return any(0 < p < least for p in vector.p)


def _overflows(vector: Vector) -> bool:
    rounded = vector.vjp_float64 if vector.dtype == "float64" else vector.vjp_float32
    assert rounded is not None
    return any(map(math.isinf, rounded))


_INPUTS: dict[str, Callable[[Vector], bool]] = {
    "Infinities": lambda vector: any(map(math.isinf, vector.x)),
    "RealK": lambda vector: not is_whole(vector.k),
    "Temperature": lambda vector: vector.temperature != 1,
    "Magnitude": _is_extreme,
    "LongRow": lambda vector: len(vector.x) > 32,
    "EmptyRow": lambda vector: not vector.x,
}
_ANSWERS: dict[str, Callable[[Vector], bool]] = {
    "Kink": _is_kink,
    "NearKink": lambda vector: not _is_kink(vector) and any(near_kink(vector)),
    "Vertex": lambda vector: not any(vector.free or ()) and _theta(vector) is None,
    "SubnormalResult": _is_subnormal_somewhere,
    "Rounding": _rounds_at_a_midpoint,
    "VjpOverflow": _overflows,
}
