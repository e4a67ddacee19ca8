"""Rows that floats can't decide, in integers: scores, a total and a temperature in, the same record as the kernels' out.

x, k and tau are floats, hence rationals with a power of two below the bar, hence so is theta: sort the breakpoints, walk
down from the highest to the linear piece that holds the root, solve it. O(n log n) integer operations; it always ends.
"""

from bisect import bisect_left, bisect_right
from fractions import Fraction

import numpy as np

from hsproj._inputs import Array


def suitable_exponents(rows: Array, tau: Array) -> Array:
    """The powers of two that bring scores (m, n) and temperatures (m,) into the range where the kernels are exact."""
    from hsproj._kernels._solve import LARGEST, SMALLEST

    largest = np.maximum(np.abs(rows).max(axis=-1, initial=0.0, where=np.isfinite(rows)), tau)
    return np.where(tau < SMALLEST, -400 - np.frexp(tau)[1], np.where(largest > LARGEST, -200, 0))


def solve_row(row: Array, k: float, tau: float) -> Array:
    """The record of a row with at least one finite score and 0 < k - (number of +inf) < (number of finite scores)."""
    from hsproj._kernels import _solve

    scores = np.sort(row[np.isfinite(row)]).tolist()
    rest = Fraction(k) - int(np.count_nonzero(row == np.inf))
    unit = max(value.as_integer_ratio()[1] for value in (*scores, tau))
    x = [_in_units(score, unit) for score in scores]
    step = _in_units(tau, unit)

    theta = _root(x, step, rest)
    zeros = bisect_right(x, theta)
    unsaturated = bisect_left(x, theta + step)
    free = x[zeros:unsaturated]
    # Slack of each neighbouring breakpoint over the 1-norm of its facet's normal, e_i - 1_F / m (or e_i - e_j).
    slacks = []
    if free:
        slacks += [(theta - x[zeros - 1]) / 2] if zeros else []
        slacks += [(x[unsaturated] - step - theta) / 2] if unsaturated < len(x) else []
        if len(free) > 1:
            inner = min(free[0] - theta, theta + step - free[-1])
            slacks.append(inner * len(free) / (2 * (len(free) - 1)))
        pivot = zeros
    else:
        theta = Fraction(x[zeros - 1] + x[unsaturated] - step, 2)
        slacks.append(theta - x[zeros - 1])
        pivot = zeros - 1

    # On a vertex delta serves the reported threshold alone, and is no longer small: it goes unscaled.
    exponent = int(suitable_exponents(np.zeros((1, 1)), np.array([tau]))[0]) if free else 0
    delta = (theta - x[pivot]) / unit * Fraction(2) ** exponent
    record = np.full(_solve.COLUMNS, np.nan)
    record[_solve.PIVOT] = scores[pivot]
    record[_solve.DELTA_HIGH] = float(delta)
    record[_solve.DELTA_LOW] = float(delta - Fraction(float(delta)))
    record[_solve.DELTA_ERROR] = max(abs(float(delta)) * 2.0**-100, _solve.LEAST)  # of two floats
    record[_solve.SCALE] = 2.0**exponent
    record[_solve.SUPPORT_FROM] = scores[zeros] if zeros < len(x) else np.inf
    record[_solve.SATURATED_FROM] = scores[unsaturated] if unsaturated < len(x) else np.inf
    if zeros and x[zeros - 1] == theta:
        record[_solve.LOWER_KINK] = scores[zeros - 1]
    if unsaturated < len(x) and x[unsaturated] == theta + step:
        record[_solve.UPPER_KINK] = scores[unsaturated]
    record[_solve.MARGIN] = float(min(slacks) / unit) if slacks else np.inf
    return record


def project_row(row: Array, k: float, tau: float, support_from: float, saturated_from: float) -> Array:
    """The projection of a row whose sets are known, each entry correctly rounded to the row's dtype."""
    theta = _theta(row, k, tau, support_from, saturated_from)
    free = (row >= support_from) & (row < saturated_from)
    out = (row >= saturated_from).astype(row.dtype)
    out[free] = [_nearest((Fraction(score) - theta) / Fraction(tau), row.dtype.type) for score in row[free].tolist()]
    return out


def threshold_row(row: Array, k: float, tau: float, support_from: float, saturated_from: float) -> np.floating:
    """Theta of a row whose sets are known, correctly rounded to the row's dtype."""
    return _nearest(_theta(row, k, tau, support_from, saturated_from), row.dtype.type)


def _theta(row: Array, k: float, tau: float, support_from: float, saturated_from: float) -> Fraction:
    """Theta of a row whose sets are known; on a vertex the midpoint of its interval."""
    free = row[(row >= support_from) & (row < saturated_from)].tolist()
    if free:
        rest = Fraction(k) - int(np.count_nonzero(row >= saturated_from))
        return (sum(map(Fraction, free)) - Fraction(tau) * rest) / len(free)
    low = Fraction(float(row[row < support_from].max()))
    return (low + Fraction(float(saturated_from)) - Fraction(tau)) / 2


def _nearest(value: Fraction, kind: type[np.floating]) -> np.floating:
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
