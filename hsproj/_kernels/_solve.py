"""Thresholds: (m, n) scores, (m,) totals and (m,) temperatures in, one certified record a row out.

Each row goes through two stages. `_approach` finds theta to working precision: Newton steps on the piecewise-linear
equation sum_i clip(x_i - theta, 0, tau) = k tau, safeguarded by breakpoints drawn from the bracket. `_certify` then
solves the linear piece with exact differences and a sum whose rounding error is *measured*, and accepts an answer only
when the four scores next to the breakpoints are proved to lie on their sides. What it can't prove it leaves UNDECIDED.
docs/numerics.md says why both stages end and why an accepted row is right.
"""

import numpy as np

from hsproj._kernels._arithmetic import divide, exact_sum, exceeds, two_product, two_sum
from hsproj._kernels._jit import jit, kernel
from hsproj._kernels._long import ceil_like
from hsproj._kernels._simd import (
    add_where,
    any_of,
    broad,
    integers_like,
    lanes,
    larger,
    last,
    like,
    load,
    select,
    size,
    smaller,
    store,
    total,
)

# Status of a row. UNDECIDED: the measured error leaves a sign open. UNSETTLED: the stages disagree, which would be a fault
# of theirs. OUTSIDE: scores, temperature or k are out of the safe range. EMPTY: NaN, or infinities that leave no answer.
CERTIFIED, UNDECIDED, UNSETTLED, OUTSIDE, EMPTY = range(5)

# Columns of the record of a row; `hsproj._threshold.Threshold` says what each one means.
PIVOT, DELTA_HIGH, DELTA_LOW, SCALE, SUPPORT_FROM, SATURATED_FROM, LOWER_KINK, UPPER_KINK, MARGIN, DELTA_ERROR = range(
    10
)
COLUMNS = 10

# Between these, no sum of 2^40 scores overflows and no error term of a product underflows.
LARGEST, SMALLEST = 2.0**900, 2.0**-450
# Least bound on an error that is not 0: bounds are divided, and must not underflow to "exact".
LEAST = 2.0**-1000

# Newton alone settles ordinary rows in 4 to 8 evaluations; later steps alternate with breakpoints drawn from the bracket.
FREE_STEPS, MAX_EVALUATIONS, MAX_PROOFS = 8, 200, 24

# A gap this many times its own error bound is both proved and good to 2^-50, relative, as a margin.
_RESOLVED = 2.0**50
_EPS = 2.0**-52
# A pair holds theta to some 2^-104 of the temperature, at best.
_RESOLUTION = 2.0**-90
_HIGHEST_FINITE = np.finfo(np.float64).max


@jit(fastmath={"reassoc", "nsz"})
def _evaluate(x, theta, tau):
    """(sum_i clip(x_i - theta, 0, tau), number above theta, number at or above theta + tau)."""
    total = 0.0
    above = 0
    saturated = 0
    for i in range(x.size):
        u = np.float64(x[i]) - theta
        total += min(max(u, 0.0), tau)
        above += u > 0.0
        saturated += u >= tau
    return total, above, saturated


@jit()
def _survey(x):
    """(lowest and highest finite score, their sum, number of +inf, of -inf, whether any is NaN)."""
    low = np.inf
    high = -np.inf
    total = 0.0
    up = 0
    down = 0
    for i in range(x.size):
        u = np.float64(x[i])
        if u - u == 0.0:
            low = min(low, u)
            high = max(high, u)
            total += u
        elif u > 0.0:
            up += 1
        elif u < 0.0:
            down += 1
        else:
            return low, high, total, up, down, True
    return low, high, total, up, down, False


@jit()
def _draw_breakpoint(x, tau, low, high, draw):
    """A breakpoint (x_i or x_i - tau) strictly between `low` and `high`, the `draw`-th modulo their number; NaN if none."""
    count = 0
    for i in range(x.size):
        u = np.float64(x[i])
        count += (low < u) & (u < high)
        count += (low < u - tau) & (u - tau < high)
    if count == 0:
        return np.nan
    left = draw % count
    for i in range(x.size):
        for b in (np.float64(x[i]), np.float64(x[i]) - tau):
            if low < b and b < high:
                if left == 0:
                    return b
                left -= 1
    return np.nan


@jit()
def _solve_piece(x, k, tau, low, high):
    """Root where no breakpoint lies strictly between `low` and `high`; at an end if the piece is flat and not at k."""
    middle = 0.5 * low + 0.5 * high
    total, above, saturated = _evaluate(x, middle, tau)
    residual = total - k * tau
    if above > saturated:
        return min(max(middle + residual / (above - saturated), low), high)
    return high if residual > 0.0 else (low if residual < 0.0 else middle)


@jit()
def _approach(x, k, tau, low, high, start):
    """Theta to working precision, from anywhere in [low, high]."""
    theta = min(max(start, low), high)
    draw = 1
    above_before = -1
    saturated_before = -1
    for step in range(MAX_EVALUATIONS):
        total, above, saturated = _evaluate(x, theta, tau)
        residual = total - k * tau
        free = above - saturated
        if residual > 0.0:
            low = theta
        elif residual < 0.0:
            high = theta
        else:
            return theta
        newton = theta + residual / free if free > 0 else np.nan
        if above == above_before and saturated == saturated_before and free > 0:
            return newton  # theta solved this very piece already: what is left is rounding
        if low < newton < high and (step < FREE_STEPS or step % 2 == 1):
            theta = newton
            above_before = above
            saturated_before = saturated
        else:
            # A draw leaves at most 3/4 of the breakpoints in the bracket on average: this is what ends the search.
            draw = (draw * 1103515245 + 12345) % 2147483648
            breakpoint = _draw_breakpoint(x, tau, low, high, draw >> 8)
            if np.isnan(breakpoint):
                return _solve_piece(x, k, tau, low, high)
            theta = breakpoint
            above_before = -1
    return theta


@jit()
def _gap(piece, count, score, pivot, shift, terms):
    """(high, low, lost) of count * (theta - (score - shift)), exact but for the measured error of the piece's numerator.

    The free piece gives count * (theta - pivot) = numerator - tau * rest; `piece` holds those four parts.
    """
    d, e = two_sum(score, -pivot)
    terms[0], terms[1] = two_product(-count, d)
    terms[2], terms[3] = two_product(-count, e)
    terms[4], terms[5] = two_product(count, shift)
    terms[6] = piece[0]
    terms[7] = piece[1]
    terms[8] = piece[2]
    terms[9] = piece[3]
    return exact_sum(terms, 10)


@jit()
def _sweep(x, tau, pivot, low, low_rest, piece):
    """Classify by theta = pivot + (low, low_rest) and sum the free differences x_i - pivot.

    Returns (free, saturated, highest zero, lowest free, highest free, lowest saturated, bound on the sum's error) and
    leaves the sum in piece[:2]. The bound is 0 exactly when the sum is exact.
    """
    high, rest = two_sum(low, tau)
    high, high_rest = two_sum(high, rest + low_rest)
    free = 0
    saturated = 0
    zero_max = -np.inf
    free_min = np.inf
    free_max = -np.inf
    saturated_min = np.inf
    total = 0.0
    total_rest = 0.0
    lost = 0.0
    for i in range(x.size):
        u = np.float64(x[i])
        d, e = two_sum(u, -pivot)
        if not exceeds(d, e, low, low_rest):
            zero_max = max(zero_max, u)
        elif exceeds(high, high_rest, d, e):
            free += 1
            free_min = min(free_min, u)
            free_max = max(free_max, u)
            total, error = two_sum(total, d)
            total_rest, error = two_sum(total_rest, error)
            lost += abs(error)
            total_rest, error = two_sum(total_rest, e)
            lost += abs(error)
        else:
            saturated += 1
            saturated_min = min(saturated_min, u)
    piece[0] = total
    piece[1] = total_rest
    return free, saturated, zero_max, free_min, free_max, saturated_min, 2.0 * lost


@jit()
def _unproved(gap, error):
    """Whether the sign (and the leading 50 bits) of `gap` could still be changed by `error`."""
    return error > 0.0 and abs(gap) <= _RESOLVED * error


@jit()
def _shift(high, low, d, e):
    """The pair (high, low) + (d, e); an infinite `high` stays."""
    if not np.isfinite(high):
        return high, low
    high, rest = two_sum(high, d)
    return two_sum(high, rest + (low + e))


@jit()
def _test(k, tau, pivot, free, saturated, zero_max, free_min, free_max, saturated_min, error, record, piece, terms):
    """CERTIFIED with its record if these sets are right, UNDECIDED if `error` leaves that open, UNSETTLED if they are wrong.

    `piece[:2]` holds the sum of the free scores less the pivot, give or take `error`. If the sets are wrong and some entry is
    free, record[DELTA_HIGH] and record[DELTA_LOW] are what takes the lowest free score to the theta of their piece.
    """
    rest = k - saturated  # exact whenever 0 <= rest: it is a multiple of ulp(k) no larger than k
    if free == 0:
        if rest != 0.0:
            return UNSETTLED
        # A vertex, if every theta in [zero_max, saturated_min - tau] serves: twice its half-width is the slack.
        d, e = two_sum(saturated_min, -zero_max)
        terms[0] = d
        terms[1] = e
        terms[2] = -tau
        slack, slack_rest, lost = exact_sum(terms, 3)
        if slack < 0.0:
            return UNDECIDED  # theta + tau was rounded across a score
        record[PIVOT] = zero_max
        record[DELTA_HIGH] = 0.5 * slack
        record[DELTA_LOW] = 0.5 * slack_rest
        record[DELTA_ERROR] = lost
        record[SUPPORT_FROM] = saturated_min
        record[SATURATED_FROM] = saturated_min
        record[LOWER_KINK] = zero_max if slack == 0.0 else np.nan
        record[UPPER_KINK] = saturated_min if slack == 0.0 else np.nan
        record[MARGIN] = 0.5 * slack
        return CERTIFIED
    piece[2], piece[3] = two_product(-tau, rest)
    count = np.float64(free)
    below = _gap(piece, count, zero_max, pivot, 0.0, terms)[0] if zero_max > -np.inf else np.inf
    first, first_rest, lost = _gap(piece, count, free_min, pivot, 0.0, terms)
    last = _gap(piece, count, free_max, pivot, tau, terms)[0]
    over = _gap(piece, count, saturated_min, pivot, tau, terms)[0] if saturated_min < np.inf else -np.inf
    if _unproved(below, error) or _unproved(first, error) or _unproved(last, error) or _unproved(over, error):
        return UNDECIDED
    # theta relative to a free score: nothing here exceeds tau, whatever the offset of the scores.
    delta, delta_rest, delta_lost = divide(first, first_rest, count)
    record[DELTA_HIGH] = delta
    record[DELTA_LOW] = delta_rest
    if not (below >= 0.0 and first < 0.0 and last > 0.0 and over <= 0.0 and rest >= 0.0):
        return UNSETTLED
    record[PIVOT] = free_min
    lost += error + delta_lost
    record[DELTA_ERROR] = max(2.0 * lost / count, LEAST) if lost > 0.0 else 0.0
    record[SUPPORT_FROM] = free_min
    record[SATURATED_FROM] = saturated_min
    record[LOWER_KINK] = zero_max if below == 0.0 else np.nan
    record[UPPER_KINK] = saturated_min if over == 0.0 else np.nan
    # Distance to each facet: its slack over the 1-norm of its normal, e_i - 1_F / m.
    margin = min(below, -over) / (2.0 * count)
    if free > 1:
        margin = min(margin, min(-first, last) / (2.0 * (count - 1.0)))
    record[MARGIN] = abs(margin)
    return CERTIFIED


@jit()
def _certify(x, k, tau, pivot, record, piece, terms):
    """Solve and prove the row from the approximation `pivot`; fills `record` and returns a status.

    The approximation solves the row but for the rounding of its sums and of itself. One that does not makes the row
    UNSETTLED: were a fault of `_approach` mended here, nobody would ever hear of it.
    """
    low, low_rest = 0.0, 0.0  # theta - pivot, and where it can still lie
    bottom, bottom_rest = -np.inf, 0.0
    top, top_rest = np.inf, 0.0
    rounding = 4.0 * _EPS * x.size * (k * tau + tau + abs(pivot))
    for proof in range(MAX_PROOFS):
        free, saturated, zero_max, free_min, free_max, saturated_min, error = _sweep(
            x, tau, pivot, low, low_rest, piece
        )
        rest = k - saturated
        if proof == 0 and abs(piece[0] - tau * rest) > rounding:
            return UNSETTLED
        verdict = _test(
            k, tau, pivot, free, saturated, zero_max, free_min, free_max, saturated_min, error, record, piece, terms
        )
        if verdict != UNSETTLED:
            return verdict
        if free == 0:
            # No slope here: step over the nearest breakpoint, as far as one free entry would have to go.
            root_is_above = rest < 0.0
            nearest, move = (saturated_min, rest + 1.0) if root_is_above else (zero_max, rest)
            step, step_rest = two_product(-tau, move)
        else:
            nearest = free_min
            step, step_rest = record[DELTA_HIGH], record[DELTA_LOW]
            d, e = two_sum(free_min, -pivot)
            d, d_rest = two_sum(step, d)
            root_is_above = exceeds(d, d_rest + (step_rest + e), low, low_rest)
        # Move the pivot to the score next to theta: a step from there may be far smaller than a pair next to another score.
        if root_is_above:
            bottom, bottom_rest = low, low_rest
        else:
            top, top_rest = low, low_rest
        d, e = two_sum(pivot, -nearest)
        pivot = nearest
        bottom, bottom_rest = _shift(bottom, bottom_rest, d, e)
        top, top_rest = _shift(top, top_rest, d, e)
        if not (exceeds(step, step_rest, bottom, bottom_rest) and exceeds(top, top_rest, step, step_rest)):
            from_bottom = (step - bottom) + (step_rest - bottom_rest)
            from_top = (top - step) + (top_rest - step_rest)
            # Scores may lie closer together than pairs can tell apart.
            unresolved = min(abs(from_bottom), abs(from_top)) <= _RESOLUTION * tau
            step, step_rest = two_sum(0.5 * bottom, 0.5 * top)
            step, step_rest = two_sum(step, step_rest + (0.5 * bottom_rest + 0.5 * top_rest))
            if not np.isfinite(step):
                return UNDECIDED if unresolved else UNSETTLED
        low, low_rest = step, step_rest
    return UNSETTLED


@jit()
def _sweep_sets(x, support_from, saturated_from, pivot, piece, terms):
    """As `_sweep`, in vectors, for sets that are known, with sums in two floats a lane; -1 scores free if one is NaN.

    `terms` takes a vector of float64.
    """
    width = lanes(x)
    support, saturated = like(x, ceil_like(x, support_from)), like(x, ceil_like(x, saturated_from))
    c, nothing, infinity = broad(x, pivot), broad(x, 0.0), like(x, np.inf)
    zero, one = integers_like(support, 0), integers_like(support, 1)
    free, full = zero, zero
    strange = support != support
    sum_, rest, lost = nothing, nothing, nothing
    zero_max, free_min, free_max, saturated_min = -infinity, infinity, -infinity, infinity
    i = 0
    while i < x.size:
        # The last vector may overlap with what was dealt with; where it does, scores of -inf change nothing.
        start = min(i, x.size - width)
        v = select(last(x, width - (i - start)), load(x, start), -infinity)
        above = v >= saturated
        inside = (v >= support) & (v < saturated)
        strange = strange | ~((v < support) | inside | above)
        free, full = add_where(inside, free, one), add_where(above, full, one)
        zero_max = larger(select(v < support, v, -infinity), zero_max)
        free_min = smaller(select(inside, v, infinity), free_min)
        free_max = larger(select(inside, v, -infinity), free_max)
        saturated_min = smaller(select(above, v, infinity), saturated_min)
        sum_, error = two_sum(sum_, select(inside, broad(x, v) - c, nothing))
        rest, error = two_sum(rest, error)
        lost = lost + size(error)
        i += width
    total_, total_rest, total_lost = 0.0, 0.0, total(lost)
    low_max, high_min, low_min, high_max = -np.inf, np.inf, np.inf, -np.inf
    for which in range(6):
        if which < 2:
            store(terms, 0, sum_ if which == 0 else rest)
        elif which == 2:
            store(terms, 0, broad(x, zero_max))
        elif which == 3:
            store(terms, 0, broad(x, free_min))
        elif which == 4:
            store(terms, 0, broad(x, free_max))
        else:
            store(terms, 0, broad(x, saturated_min))
        for j in range(width):
            value = terms[j]
            if which < 2:
                total_, error = two_sum(total_, value)
                total_rest, error = two_sum(total_rest, error)
                total_lost += abs(error)
            elif which == 2:
                low_max = max(low_max, value)
            elif which == 3:
                low_min = min(low_min, value)
            elif which == 4:
                high_max = max(high_max, value)
            else:
                high_min = min(high_min, value)
    piece[0], piece[1] = total_, total_rest
    number = -1.0 if any_of(strange) else total(free)
    return number, total(full), low_max, low_min, high_max, high_min, 2.0 * total_lost


@jit()
def _prove(x, k, tau, support_from, saturated_from, record, piece, terms):
    """The record of a row whose sets are known, CERTIFIED; or UNDECIDED, or UNSETTLED if they are not the sets."""
    record[:] = np.nan
    record[SCALE] = 1.0
    if not (SMALLEST <= tau <= LARGEST and k >= SMALLEST):
        return OUTSIDE
    pivot = 0.0 if abs(support_from) <= 4.0 * tau or not abs(support_from) < np.inf else support_from
    free, saturated, zero_max, free_min, free_max, saturated_min, error = _sweep_sets(
        x, support_from, saturated_from, pivot, piece, terms
    )
    if free < 0.0:
        return UNDECIDED
    if free == 0.0 and not (zero_max > -np.inf and saturated_min < np.inf):
        return UNDECIDED  # all finite scores at 0, or all at 1: `_solve_row` knows
    if not (zero_max == -np.inf or zero_max >= -LARGEST) or not (saturated_min == np.inf or saturated_min <= LARGEST):
        return OUTSIDE
    return _test(
        k, tau, pivot, free, saturated, zero_max, free_min, free_max, saturated_min, error, record, piece, terms
    )


@kernel(allocates=True)
def prove_rows(rows, k, temperature, bounds, records, status):
    """Fill records (m, COLUMNS) and status (m,) for rows whose sets are bounded by bounds (m, 2)."""
    m, n = rows.shape
    piece, terms, padded = np.empty(4), np.empty(16), np.full(16, -np.inf)
    for r in range(m):
        if n < padded.size:
            padded[:n] = rows[r]
            status[r] = _prove(padded, k[r], temperature[r], bounds[r, 0], bounds[r, 1], records[r], piece, terms)
        else:
            status[r] = _prove(rows[r], k[r], temperature[r], bounds[r, 0], bounds[r, 1], records[r], piece, terms)


@jit()
def _solve_row(x, k, tau, record, piece, terms):
    """One row: scores, total, temperature; fills `record` and returns a status."""
    record[:] = np.nan
    record[SCALE] = 1.0
    lowest, highest, total, up, down, has_nan = _survey(x)
    finite = x.size - up - down
    if has_nan or k < up or k > x.size - down:
        return EMPTY
    if k == up or k == up + finite:
        # All finite scores at 0, or all at 1: every theta of a half-line serves, and no finite score is near a kink.
        everything = k == up + finite and finite > 0
        record[PIVOT] = 0.0 if finite == 0 else (-np.inf if everything else np.inf)
        record[DELTA_HIGH] = 0.0
        record[DELTA_LOW] = 0.0
        record[DELTA_ERROR] = 0.0
        record[SUPPORT_FROM] = -_HIGHEST_FINITE if everything else np.inf
        record[SATURATED_FROM] = record[SUPPORT_FROM]
        record[MARGIN] = np.inf
        return CERTIFIED
    if not (SMALLEST <= tau <= LARGEST and lowest >= -LARGEST and highest <= LARGEST):
        return OUTSIDE
    rest = k - up
    if rest < SMALLEST:
        return OUTSIDE
    start = (total - rest * tau) / finite
    # theta is in [lowest - tau, highest]; open the interval, so that its ends can be drawn too.
    low, high = np.nextafter(lowest - tau, -np.inf), np.nextafter(highest, np.inf)
    theta = _approach(x, k, tau, low, high, start)
    return _certify(x, k, tau, theta, record, piece, terms)


@kernel(allocates=True)
def solve_rows(rows, k, temperature, records, status):
    """Fill records (m, COLUMNS) and status (m,) for rows (m, n), k (m,) and temperature (m,)."""
    piece, terms = np.empty(4), np.empty(10)  # scratch of `_certify`
    for r in range(rows.shape[0]):
        status[r] = _solve_row(rows[r], k[r], temperature[r], records[r], piece, terms)
