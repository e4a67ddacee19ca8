"""Rows that floats can't decide, in integers: scores, a total and a temperature in, the same record as the kernels' out.

x, k and tau are floats, hence rationals with a power of two below the bar, hence so is theta: sort the breakpoints, walk
down from the highest to the linear piece that holds the root, solve it. O(n log n) integer operations; it always ends.
"""

import math
from bisect import bisect_left, bisect_right
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from hsproj._inputs import Array

_NONE = np.empty(0)


def suitable_exponents(rows: Array, tau: Array) -> Array:
    """The powers of two that bring scores (m, n) and temperatures (m,) into the range where the kernels are exact."""
    from hsproj._kernels._solve import LARGEST, SMALLEST

    largest = np.maximum(np.abs(rows).max(axis=-1, initial=0.0, where=np.isfinite(rows)), tau)
    return np.where(tau < SMALLEST, -400 - np.frexp(tau)[1], np.where(largest > LARGEST, -200, 0))


class Neighbours(NamedTuple):
    """Scores next to breakpoints: the highest zero, the lowest and highest free, the lowest saturated one; or infinities."""

    zero_max: float = -math.inf
    free_min: float = math.inf
    free_max: float = -math.inf
    saturated_min: float = math.inf

    def widened(self, zeros: Array = _NONE, free: Array = _NONE, saturated: Array = _NONE) -> "Neighbours":
        """Those of more scores."""
        return self.joined(
            Neighbours(
                float(zeros.max(initial=-math.inf)),
                float(free.min(initial=math.inf)),
                float(free.max(initial=-math.inf)),
                float(saturated.min(initial=math.inf)),
            )
        )

    def joined(self, other: "Neighbours") -> "Neighbours":
        """Those of both."""
        return Neighbours(
            max(self.zero_max, other.zero_max),
            min(self.free_min, other.free_min),
            max(self.free_max, other.free_max),
            min(self.saturated_min, other.saturated_min),
        )

    def middle(self, tau: float) -> Fraction:
        """Theta where no score is free."""
        return (Fraction(self.zero_max) + Fraction(self.saturated_min) - Fraction(tau)) / 2


def solve_row(row: Array, k: float, tau: float) -> Array:
    """The record of a row with at least one finite score and 0 < k - (number of +inf) < (number of finite scores)."""
    scores = np.sort(row[np.isfinite(row)])
    rest = Fraction(k) - int(np.count_nonzero(row == np.inf))
    unit = max(value.as_integer_ratio()[1] for value in (*scores.tolist(), tau))
    x = [_in_units(score, unit) for score in scores.tolist()]
    step = _in_units(tau, unit)
    root = _root(x, step, rest)
    zeros, full = bisect_right(x, root), bisect_left(x, root + step)
    beside = Neighbours().widened(scores[:zeros], scores[zeros:full], scores[full:])
    return record(root / unit if full > zeros else beside.middle(tau), tau, full - zeros, beside)


def record(theta: Fraction, tau: float, free: int, beside: Neighbours) -> Array:
    """The record of a row with this theta, so many free scores, and these scores next to the breakpoints."""
    from hsproj._kernels import _solve

    up = theta + Fraction(tau)
    zero, saturated = math.isfinite(beside.zero_max), math.isfinite(beside.saturated_min)
    # Slack of each neighbouring breakpoint over the 1-norm of its facet's normal, e_i - 1_F / m (or e_i - e_j).
    slacks = []
    if free:
        slacks += [(theta - Fraction(beside.zero_max)) / 2] if zero else []
        slacks += [(Fraction(beside.saturated_min) - up) / 2] if saturated else []
        if free > 1:
            inner = min(Fraction(beside.free_min) - theta, up - Fraction(beside.free_max))
            slacks.append(inner * free / (2 * (free - 1)))
    else:
        slacks.append(theta - Fraction(beside.zero_max))
    pivot = beside.free_min if free else beside.zero_max

    # On a vertex delta serves the reported threshold alone, and is no longer small: it goes unscaled.
    exponent = int(suitable_exponents(np.zeros((1, 1)), np.array([tau]))[0]) if free else 0
    delta = (theta - Fraction(pivot)) * Fraction(2) ** exponent
    row = blank_record()
    row[_solve.PIVOT] = pivot
    row[_solve.DELTA_HIGH] = float(delta)
    rest = delta - Fraction(float(delta))
    row[_solve.DELTA_LOW] = float(rest)
    exact = Fraction(float(rest)) == rest
    row[_solve.DELTA_ERROR] = 0.0 if exact else max(abs(float(delta)) * 2.0**-100, _solve.LEAST)
    row[_solve.SCALE] = 2.0**exponent
    row[_solve.SUPPORT_FROM] = beside.free_min if free else beside.saturated_min
    row[_solve.SATURATED_FROM] = beside.saturated_min
    if zero and Fraction(beside.zero_max) == theta:
        row[_solve.LOWER_KINK] = beside.zero_max
    if saturated and Fraction(beside.saturated_min) == up:
        row[_solve.UPPER_KINK] = beside.saturated_min
    row[_solve.MARGIN] = float(min(slacks)) if slacks else np.inf
    return row


def blank_record() -> Array:
    """The record of a row without an answer."""
    from hsproj._kernels import _solve

    row = np.full(_solve.COLUMNS, np.nan)
    row[_solve.SCALE] = 1.0
    return row


def project_row(row: Array, k: float, tau: float, support_from: float, saturated_from: float) -> Array:
    """The projection of a row whose sets are known, each entry correctly rounded to the row's dtype."""
    return round_row(row, _theta(row, k, tau, support_from, saturated_from), tau, support_from, saturated_from)


def round_row(row: Array, theta: Fraction, tau: float, support_from: float, saturated_from: float) -> Array:
    """As `project_row`, with theta known."""
    free = (row >= support_from) & (row < saturated_from)
    out = (row >= saturated_from).astype(row.dtype)
    out[free] = [nearest((Fraction(score) - theta) / Fraction(tau), row.dtype.type) for score in row[free].tolist()]
    return out


def threshold_row(row: Array, k: float, tau: float, support_from: float, saturated_from: float) -> np.floating:
    """Theta of a row whose sets are known, correctly rounded to the row's dtype."""
    return nearest(_theta(row, k, tau, support_from, saturated_from), row.dtype.type)


def _theta(row: Array, k: float, tau: float, support_from: float, saturated_from: float) -> Fraction:
    """Theta of a row whose sets are known; on a vertex the midpoint of its interval."""
    free = row[(row >= support_from) & (row < saturated_from)].tolist()
    if free:
        rest = Fraction(k) - int(np.count_nonzero(row >= saturated_from))
        return (sum(map(Fraction, free)) - Fraction(tau) * rest) / len(free)
    low = Fraction(float(row[row < support_from].max()))
    return (low + Fraction(float(saturated_from)) - Fraction(tau)) / 2


def nearest(value: Fraction, kind: type[np.floating]) -> np.floating:
    """`value` rounded to nearest, ties to even. Python does it for float64; for float32 that would round twice."""
    largest, second = (float(v) for v in (np.finfo(kind).max, np.nextafter(np.finfo(kind).max, kind(0))))
    if 2 * abs(value) >= 3 * Fraction(largest) - Fraction(second):  # half a step beyond the largest
        return kind(np.inf if value > 0 else -np.inf)
    double = float(value)
    near = kind(min(max(double, -largest), largest))
    far = 2.0 * double - float(near)
    if float(near) == double or float(kind(far)) != far or value == double:
        return near
    return kind(max(float(near), far) if value > double else min(float(near), far))


def _in_units(value: float, unit: int) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (unit // denominator)


def _root(x: list[int], step: int, rest: Fraction) -> Fraction:
    """The highest theta with sum_i clip((x_i - theta) / step, 0, 1) = rest, for ascending integers x."""
    zeros = unsaturated = len(x)  # entries x[:zeros] are 0, x[zeros:unsaturated] free, the others 1
    free_sum = 0
    while True:
        # The next breakpoint below: an entry leaves 0, or one reaches 1.
        enters = zeros > 0 and (zeros == unsaturated or x[zeros - 1] >= x[unsaturated - 1] - step)
        breakpoint = x[zeros - 1] if enters else x[unsaturated - 1] - step
        free = unsaturated - zeros
        target = step * (rest - (len(x) - unsaturated))
        if free_sum - free * breakpoint >= target:
            return (free_sum - target) / free
        if enters:
            zeros -= 1
            free_sum += x[zeros]
        else:
            unsaturated -= 1
            free_sum -= x[unsaturated]
