"""Rows of more than a few dozen scores, one after the other: theta from a sample, an evaluation or two, and one pass more.

That pass, `reduce`, is told an interval that should hold theta. It counts and adds up what is settled whatever theta in
there is, exactly, and sets the few scores aside that are not. `conclude` solves what is left, and proves it.
docs/numerics.md, section "Long rows".
"""

import math

import numpy as np

from hsproj._kernels._arithmetic import two_product, two_sum
from hsproj._kernels._jit import jit, kernel
from hsproj._kernels._simd import (
    EIGHT,
    add_where,
    any_of,
    append,
    as_floats,
    as_integers,
    bits,
    broad,
    count_bits,
    fma,
    integers_like,
    is_narrow,
    lane,
    lanes,
    larger,
    largest,
    last,
    like,
    load,
    load_halves,
    matching,
    packs,
    select,
    size,
    smaller,
    smallest,
    store,
    swap_1,
    swap_2,
    swap_4,
    total,
)

# What to do next about a row.
EVALUATE, REDUCE, SOLVED, CONSTANT, DECLINED, LOOK_ASIDE = range(6)

# The state of a search: the bracket of theta and the residuals at its ends, where to evaluate next or what interval to
# reduce to, how many steps were taken, a seed, how far in sample scores the theta of a sample may be off; and how far off in
# scores an evaluation may be, or how few scores it may leave above it, for a reduction to come next, and how often that
# missed theta; whether float32 has turned out to be too coarse for evaluations; and scores that were found to be a crowd,
# one near theta, the other near theta + tau, and where it was that they were last looked for; and the last theta evaluated.
LOW, HIGH, AT_LOW, AT_HIGH, THETA, FROM, TO, STEPS, SEED, DOUBT, NEAR, FEW, MISSED, PRECISELY = range(14)
CROWD, CROWD_UP, SOUGHT, AT = range(14, 18)
STATE = 18

# What a reduction has settled: numbers of free and of saturated scores, and the sum of the free ones less the pivot, in three
# floats: in a long row, what is added up in the second would lose more than a few bits of it. And how many of the scores that
# are not settled belong to either crowd.
FREE, SATURATED, SUM, REST, LAST, CROWDED, CROWDED_UP = range(7)
SETTLED = 7

# What is known of a row: theta = pivot + (numerator + numerator_rest) / count, give or take error / count.
PIVOT, NUMERATOR, NUMERATOR_REST, COUNT, ERROR, SUPPORT_FROM, SATURATED_FROM = range(7)
ANSWER = 7

LARGEST, SMALLEST = 2.0**900, 2.0**-450
MOST_STEPS = 60
_SAMPLED_FROM, SAMPLE = 129, 8192  # shorter rows come here only if sharing vectors did not settle them
_FORESEEN_FROM = 4096  # in shorter rows a pass costs no more than some scores set aside
_PATIENT = 6.0  # passes in which the sample is asked whether the slope changes
_EVALUATED = 1024  # at a time, in sums of the dtype of x
BLOCK = 512  # at a time, in exact sums


@jit()
def _clipped(v, theta, tau, zero, one, sum_, free):
    d = as_integers(v - theta)
    c = smaller(larger(d, zero), tau)
    return sum_ + as_floats(c), add_where(d == c, free, one)


@jit()
def _evaluate(x, t, tau, nothing, one):
    """See `evaluate`; in the dtype of the vectors t (theta in every lane), tau, nothing (0) and one."""
    width = lanes(x)
    top, zero = as_integers(tau), as_integers(nothing)
    sum_, free = 0.0, 0.0
    whole = x.size - x.size % width
    for block in range(0, whole, _EVALUATED):
        sum_a, free_a, sum_b, free_b = nothing, nothing, nothing, nothing
        sum_c, free_c, sum_d, free_d = nothing, nothing, nothing, nothing
        end = min(block + _EVALUATED, whole)
        i = block
        while i + 4 * width <= end:
            sum_a, free_a = _clipped(matching(t, load(x, i)), t, top, zero, one, sum_a, free_a)
            sum_b, free_b = _clipped(matching(t, load(x, i + width)), t, top, zero, one, sum_b, free_b)
            sum_c, free_c = _clipped(matching(t, load(x, i + 2 * width)), t, top, zero, one, sum_c, free_c)
            sum_d, free_d = _clipped(matching(t, load(x, i + 3 * width)), t, top, zero, one, sum_d, free_d)
            i += 4 * width
        while i < end:
            sum_a, free_a = _clipped(matching(t, load(x, i)), t, top, zero, one, sum_a, free_a)
            i += width
        if block + _EVALUATED >= whole and whole < x.size:
            v = select(last(x, x.size - whole), load(x, x.size - width), like(x, -np.inf))
            sum_b, free_b = _clipped(matching(t, v), t, top, zero, one, sum_b, free_b)
        sum_ += total((sum_a + sum_b) + (sum_c + sum_d))
        free += total((free_a + free_b) + (free_c + free_d))
    return sum_, free


@jit()
def _suits_float32(theta, tau):
    """Whether differences with theta can be told apart in float32, next to tau."""
    return abs(theta) <= 2.0**13 * tau and 2.0**-60 <= tau <= 2.0**60


@kernel()
def evaluate(x, theta, tau, precisely):
    """(sum of clip(x - theta, 0, tau), number of scores with theta <= x <= theta + tau), roughly.

    Clips by comparing the bits of floats as integers, which is as right, and leaves the floating-point units to the sums.
    """
    if is_narrow(x) and precisely == 0.0 and _suits_float32(theta, tau):
        return _evaluate(x, like(x, theta), like(x, tau), like(x, 0.0), like(x, 1.0))
    return _evaluate(x, broad(x, theta), broad(x, tau), broad(x, 0.0), broad(x, 1.0))


@jit()
def _sort_out(v, limits):
    """Masks of scores that are free, saturated, and settled at all, whatever theta is within the limits."""
    low, high, low_up, high_up = limits
    free, saturated = (v > high) & (v < low_up), v > high_up
    return free, saturated, (v < low) | free | saturated


@jit()
def _add_free(v, u, free, pivot, grid, coarse, even, sum_, rest):
    """Add free scores v, as float64 u, less the pivot if they are float64, to two floats a lane, with nothing lost.

    What is rounded off is on a grid of its own. Sums of float64 start at the number that makes the grid.
    """
    if not is_narrow(v):
        d = u - pivot
        more = add_where(free, sum_, d)
        return more, add_where(free, rest, d - (more - sum_))
    if even:
        return add_where(free, sum_, u), rest
    whole = free & (size(v) >= coarse)
    sum_, free = add_where(whole, sum_, u), free & ~whole
    if not any_of(free):
        return sum_, rest
    h = (grid + u) - grid
    return add_where(free, sum_, h), add_where(free, rest, u - h)


@jit()
def _without_crowds(v, undecided, crowd, crowd_up, number, number_up):
    """What is left to set aside, and the numbers of scores in the crowds.

    The two are never equal: `foresee` takes them from different bands, and `narrow_down` from scores that belong to neither.
    """
    here, there = undecided & (v == crowd), undecided & (v == crowd_up)
    return undecided & ~(here | there), number + count_bits(bits(here)), number_up + count_bits(bits(there))


@jit()
def floor_like(x, value):
    """The largest number of the dtype of x that is not above `value`."""
    near = x.dtype.type(value)
    return np.nextafter(near, x.dtype.type(-np.inf)) if near > value else near


@jit()
def ceil_like(x, value):
    """The smallest number of the dtype of x that is not below `value`."""
    near = x.dtype.type(value)
    return np.nextafter(near, x.dtype.type(np.inf)) if near < value else near


@jit()
def grid(tau):
    """A number g such that (g + d) - g rounds |d| <= 5 tau to a grid on which BLOCK such numbers add up exactly."""
    return math.ldexp(1.5, math.frexp(5.0 * tau * BLOCK)[1] + 2)


@jit()
def slack(end, tau):
    """More than the rounding of end + tau."""
    return 2.0**-51 * (abs(end) + tau)


@kernel()
def reduce(x, low, high, tau, pivot, crowd, crowd_up, buffer, settled):
    """Settle what any theta in [low, high] settles, put the other scores into `buffer`; their number, -1 if it is too small.

    Of those equal to `crowd` or `crowd_up` it counts how many there are. NaN is never settled.
    """
    t_low = like(x, ceil_like(x, low))
    t_high = like(x, floor_like(x, high))
    t_low_up = like(x, ceil_like(x, low + tau - slack(low, tau)))
    t_high_up = like(x, floor_like(x, high + tau + slack(high, tau)))
    limits = (t_low, t_high, t_low_up, t_high_up)
    width = lanes(x)
    c, g = broad(x, pivot), broad(x, grid(tau))
    # Counts of a block are floats of x: exact, and an instruction less than integers.
    nothing, one, none = like(x, 0.0), like(x, 1.0), broad(x, 0.0)
    free, saturated, start = none, none, none if is_narrow(x) else g
    crowded, crowded_up, many, many_up = np.int64(0), np.int64(0), like(x, crowd), like(x, crowd_up)
    # From there on float32 scores are on the grid as they are; most are, and here and there all.
    on_grid = grid(tau) * 2.0**-28
    even = is_narrow(x) and (
        (pivot != 0.0 and pivot == x.dtype.type(pivot)) or low >= on_grid or high + tau <= -on_grid
    )
    coarse = like(x, on_grid)
    sum_, rest, lost = settled[SUM], settled[REST], settled[LAST]
    count = np.int64(0)
    most = buffer.size - 2 * width
    crowds = crowd == crowd or crowd_up == crowd_up
    # In short rows so many vectors have open scores that it is quicker not to ask which.
    at_once = packs() and not is_narrow(x) and x.size < _FORESEEN_FROM
    for block in range(0, x.size, BLOCK):
        end = min(block + BLOCK, x.size)
        free_a, saturated_a, sum_a, rest_a = nothing, nothing, start, none
        free_b, saturated_b, sum_b, rest_b = nothing, nothing, start, none
        i = block
        while i + 2 * width <= end:
            v, w = load_halves(x, i), load_halves(x, i + width)
            inside, above, settled_a = _sort_out(v, limits)
            free_a, saturated_a = add_where(inside, free_a, one), add_where(above, saturated_a, one)
            sum_a, rest_a = _add_free(v, broad(x, v), inside, c, g, coarse, even, sum_a, rest_a)
            inside, above, settled_b = _sort_out(w, limits)
            free_b, saturated_b = add_where(inside, free_b, one), add_where(above, saturated_b, one)
            sum_b, rest_b = _add_free(w, broad(x, w), inside, c, g, coarse, even, sum_b, rest_b)
            if at_once or any_of(~(settled_a & settled_b)):
                open_a, open_b = ~settled_a, ~settled_b
                if crowds:
                    open_a, crowded, crowded_up = _without_crowds(v, open_a, many, many_up, crowded, crowded_up)
                    open_b, crowded, crowded_up = _without_crowds(w, open_b, many, many_up, crowded, crowded_up)
                if count > most:
                    return -1
                count = append(buffer, append(buffer, count, open_a, v), open_b, w)
            i += 2 * width
        while i < end:
            # The last vector may overlap with what was dealt with: only its upper lanes count.
            j = min(i, x.size - width)
            v = select(last(x, width - (i - j)), load(x, j), like(x, -np.inf))
            inside, above, settled_a = _sort_out(v, limits)
            free_a, saturated_a = add_where(inside, free_a, one), add_where(above, saturated_a, one)
            sum_a, rest_a = _add_free(v, broad(x, v), inside, c, g, coarse, even, sum_a, rest_a)
            open_a, crowded, crowded_up = _without_crowds(v, ~settled_a, many, many_up, crowded, crowded_up)
            if count > most:
                return -1
            count = append(buffer, count, open_a, v)
            i += width
        inside, above = broad(x, free_a + free_b), broad(x, saturated_a + saturated_b)
        free, saturated = free + inside, saturated + above
        part = (sum_a - start) + (sum_b - start)
        if is_narrow(x):
            part = fma(-c, inside, part)
        sum_, error = two_sum(sum_, total(part))
        rest, error = two_sum(rest, error + total(rest_a + rest_b))
        lost += error
    settled[FREE] += total(free)
    settled[SATURATED] += total(saturated)
    settled[SUM], settled[REST], settled[LAST] = sum_, rest, lost
    settled[CROWDED] += crowded
    settled[CROWDED_UP] += crowded_up
    return count


@kernel()
def add_settled(settled):
    """Add up what reductions of the parts of a row have settled, in settled[0]."""
    whole = settled[0]
    for i in range(1, settled.shape[0]):
        part = settled[i]
        whole[FREE] += part[FREE]
        whole[SATURATED] += part[SATURATED]
        whole[SUM], error = two_sum(whole[SUM], part[SUM])
        whole[REST], more = two_sum(whole[REST], error + part[REST])
        whole[LAST] += more + part[LAST]
        whole[CROWDED] += part[CROWDED]
        whole[CROWDED_UP] += part[CROWDED_UP]


@kernel()
def room(n):
    """The most scores of a row that may be set aside."""
    return 256 + n // 64


@jit()
def _draw(x, tau, state):
    """A breakpoint strictly inside the bracket, drawn at random; NaN if some tries find none."""
    seed = np.int64(state[SEED])
    for _ in range(32):
        seed = (seed * 1103515245 + 12345) % 2147483648
        u = np.float64(x[((seed >> 7) * x.size) >> 24]) - (tau if seed & 64 else 0.0)
        if state[LOW] < u < state[HIGH]:
            state[SEED] = seed
            return u
    state[SEED] = seed
    return np.nan


@jit()
def _extreme(x, upper):
    """The largest finite score if `upper`, else the smallest; infinite if there is none."""
    edge = -np.inf if upper else np.inf
    for i in range(x.size):
        u = np.float64(x[i])
        if u - u == 0.0:
            edge = max(edge, u) if upper else min(edge, u)
    return edge


@kernel()
def is_constant(x):
    """Whether all scores are the same finite number; looks at a few before it looks at all."""
    width, first = lanes(x), x[0]
    if first - first != 0.0 or x[x.size - 1] != first or x[x.size // 2] != first or x[x.size // 3] != first:
        return False
    same = like(x, first)
    whole = x.size - x.size % (4 * width)
    for block in range(0, whole, BLOCK):
        # Four at a time, as one comparison would wait for the one before.
        a = b = c = d = same == same
        for i in range(block, min(block + BLOCK, whole), 4 * width):
            a, b = a & (load(x, i) == same), b & (load(x, i + width) == same)
            c, d = c & (load(x, i + 2 * width) == same), d & (load(x, i + 3 * width) == same)
        if any_of(~(a & b & c & d)):
            return False
    rest = 0
    for i in range(whole, x.size):
        rest += x[i] != first
    return rest == 0


@kernel()
def advance(x, k, tau, state, sum_, free):
    """Take in an evaluation at state[THETA], and say what to do next."""
    theta = state[THETA]
    residual = sum_ - k * tau
    state[STEPS] += 1.0
    state[AT] = theta
    if not abs(residual) < np.inf or state[STEPS] > MOST_STEPS:
        return DECLINED
    if residual > 0.0:
        state[LOW], state[AT_LOW] = theta, residual
    elif residual < 0.0:
        state[HIGH], state[AT_HIGH] = theta, residual
    low, high = state[LOW], state[HIGH]
    near = state[NEAR] * tau
    coarse = is_narrow(x) and state[PRECISELY] == 0.0 and _suits_float32(theta, tau)
    eps = 2.0**-21 if coarse else 2.0**-44
    few = sum_ + free * tau <= state[FEW] * tau
    if few and residual > 0.0:
        # Few scores are left above theta: set them all aside.
        state[FROM], state[TO] = theta - eps * (abs(theta) + tau), np.inf
        return REDUCE
    if abs(residual) <= free * tau:
        step = residual / max(free, 1.0)
        rounding = eps * (4.0 * (k + 1.0) * tau / (free + 1.0) + abs(theta) + tau)
        large = x.size >= _FORESEEN_FROM
        if large and abs(residual) <= 0.0625 * tau and abs(residual) * free <= 16.0 * tau:
            # Theta is no further away than the residual, or all is flat up to there; few scores are as near to either kink.
            state[THETA] = theta + step
            state[FROM], state[TO] = theta + min(residual, 0.0) - rounding, theta + max(residual, 0.0) + rounding
            return REDUCE
        # Newton that falls short again and again takes turns with steps too long, and with lines across the bracket.
        short = state[MISSED] > 1.0
        if short and high - low == np.inf:
            state[THETA] = theta + 4.0 * step
            return EVALUATE
        # A step that rounding swallows is the end of the search only if little is left; else it is a crowd at theta.
        inside = low < theta + step < high or (abs(step) <= rounding and abs(residual) <= near)
        if inside and not (short and state[STEPS] % 2.0 == 0.0):
            state[THETA] = theta + step
            # A short step from theta of a sample leaves little of itself.
            sampled = large and state[DOUBT] > 0.0 and state[STEPS] == 1.0
            if abs(residual) > near and not (sampled and abs(step) <= 0.03125 * tau):
                return EVALUATE
            share = 0.125 * 4.0 ** min(state[MISSED], 2.0) if large else 0.125
            spread = share * abs(step) + rounding
            state[FROM], state[TO] = theta + step - spread, theta + step + spread
            if few:
                # Scores that the step comes to make it too long: theta may be anywhere on the way.
                state[TO] = theta + rounding
            return REDUCE
    if state[AT_LOW] - state[AT_HIGH] <= 2.0 * near:
        state[FROM], state[TO] = low, high
        return REDUCE
    bounded = high - low < np.inf
    if bounded:
        line = low + (high - low) * (state[AT_LOW] / (state[AT_LOW] - state[AT_HIGH]))
        if state[MISSED] > 0.0 and state[AT_LOW] - state[AT_HIGH] <= 0.25 * room(x.size) * tau:
            state[FROM], state[TO] = low, high
            return REDUCE
        # Once a reduction has missed theta, as it may do on a flat piece again and again, lines alternate with breakpoints.
        if low < line < high and ((abs(residual) <= near and state[MISSED] == 0.0) or state[STEPS] % 2.0 == 0.0):
            state[THETA] = line
            if abs(residual) > near:
                return EVALUATE
            state[FROM], state[TO] = line - abs(line - theta), line + abs(line - theta)
            return REDUCE
    elif state[DOUBT] > 0.0:
        return LOOK_ASIDE
    drawn = _draw(x, tau, state)
    if drawn == drawn:
        state[THETA] = drawn
        return EVALUATE
    if bounded:
        state[FROM], state[TO] = low, high
        return REDUCE
    state[THETA] = _extreme(x, True) if high == np.inf else _extreme(x, False) - tau
    return EVALUATE if low < state[THETA] < high else DECLINED


@jit()
def _draw_between(buffer, count, tau, low, high, step):
    """A breakpoint strictly between, if some tries find one; else the middle."""
    for i in range(min(count, 16)):
        u = buffer[(step * 7 + i * 5) % count]
        if low < u < high:
            return u
        if low < u - tau < high:
            return u - tau
    return 0.5 * low + 0.5 * high


@kernel()
def conclude(buffer, count, settled, pivot, k, tau, n, state, answer):
    """Solve the row from what was settled and what was set aside.

    SOLVED with its answer; DECLINED if that takes more than floats, with the sets to be proved if all depends on a kink; or
    EVALUATE if theta is outside [FROM, TO]: state[THETA] is the end next to it, and settled holds the evaluation there.
    """
    low, high = state[FROM], state[TO]
    if high == np.inf:
        # Everything above is set aside, and theta is below the highest score.
        high = low
        for j in range(count):
            if buffer[j] < np.inf:
                high = max(high, buffer[j])
        for crowd, number in ((state[CROWD], settled[CROWDED]), (state[CROWD_UP], settled[CROWDED_UP])):
            if number > 0.0:
                high = max(high, crowd)
        high += 2.0**-40 * (abs(high) + tau)
    theta = min(max(state[THETA], low), high)
    support_end, saturated_end = np.nextafter(high, np.inf), high + tau + slack(high, tau)
    below, above = low, high
    tried_low, tried_high = False, False
    buffer[count : count + EIGHT] = -np.inf  # fills up the last vector
    zero, infinity = broad(buffer, 0.0), broad(buffer, np.inf)
    none, one = integers_like(zero, 0), integers_like(zero, 1)
    for step in range(200):
        free, saturated = settled[FREE], settled[SATURATED]
        if free == 0.0:
            pivot = pivot_for(buffer, theta, tau)
        sum_, rest, lost = settled[SUM], settled[REST], settled[LAST]
        up = theta + tau
        t, u, c = broad(buffer, theta), broad(buffer, up), broad(buffer, pivot)
        inside_count, full_count, strange = none, none, t != t
        zeros, low_free, high_free, full = -infinity, infinity, -infinity, infinity
        part, part_rest, part_lost = zero, zero, zero
        for j in range(0, count, EIGHT):
            v = load(buffer, j)
            under, over = v <= t, v >= u
            inside = (v > t) & (v < u)
            strange = strange | ~(under | inside | over)
            inside_count, full_count = add_where(inside, inside_count, one), add_where(over, full_count, one)
            zeros = larger(select(under, v, -infinity), zeros)
            low_free, high_free = (
                smaller(select(inside, v, infinity), low_free),
                larger(select(inside, v, -infinity), high_free),
            )
            full = smaller(select(over, v, infinity), full)
            part, error = two_sum(part, select(inside, v - c, zero))
            part_rest, error = two_sum(part_rest, error)
            part_lost = part_lost + error
        if any_of(strange):
            return DECLINED  # NaN
        free, saturated = free + total(inside_count), saturated + total(full_count)
        zero_max, free_min, free_max, saturated_min = (
            largest(zeros),
            smallest(low_free),
            largest(high_free),
            smallest(full),
        )
        part, error = two_sum(part, swap_4(part))
        part_rest = part_rest + broad(buffer, 0.5) * error
        part, error = two_sum(part, swap_2(part))
        part_rest = part_rest + broad(buffer, 0.25) * error
        part, error = two_sum(part, swap_1(part))
        part_rest = part_rest + broad(buffer, 0.125) * error
        sum_, error = two_sum(sum_, lane(part, 0))
        rest, more = two_sum(rest, error + total(part_rest))
        lost += more + total(part_lost)
        for crowd, number in ((state[CROWD], settled[CROWDED]), (state[CROWD_UP], settled[CROWDED_UP])):
            if number == 0.0:
                continue
            if crowd <= theta:
                zero_max = max(zero_max, crowd)
            elif crowd >= up:
                saturated, saturated_min = saturated + number, min(saturated_min, crowd)
            else:
                free, free_min, free_max = free + number, min(free_min, crowd), max(free_max, crowd)
                part_sum, part_error = two_product(number, crowd - pivot)
                sum_, error = two_sum(sum_, part_sum)
                rest, more = two_sum(rest, error + part_error)
                lost += more
        missing = k - saturated
        if free == 0.0:
            if missing == 0.0:
                highest_zero = max(zero_max, low)
                gap = (saturated_min - highest_zero) - tau
                if not gap > 2.0**-48 * (abs(saturated_min) + abs(highest_zero) + tau) and gap < np.inf:
                    answer[SUPPORT_FROM] = answer[SATURATED_FROM] = saturated_min
                    return DECLINED
                # Any theta between the scores serves; the middle is far from both.
                answer[PIVOT] = 0.5 * (highest_zero + min(saturated_min - tau, high))
                answer[NUMERATOR], answer[NUMERATOR_REST] = 0.0, 0.0
                answer[COUNT], answer[ERROR] = 0.0, 0.0
                answer[SUPPORT_FROM] = saturated_min if saturated_min < np.inf else support_end
                answer[SATURATED_FROM] = answer[SUPPORT_FROM]
                return SOLVED
            residual = -missing * tau
            root = np.nan
        else:
            taken, taken_rest = two_product(-tau, missing)
            numerator, error = two_sum(sum_, taken)
            numerator, numerator_rest = two_sum(numerator, error + (rest + (lost + taken_rest)))
            # Four gaps, each times the number of free scores.
            scale = 2.0**-48 * (abs(numerator) + free * (abs(theta - pivot) + tau))
            lower = free * (zero_max - pivot) - numerator if zero_max > -np.inf else -np.inf
            first = numerator - free * (free_min - pivot) if free_min < np.inf else -np.inf
            last = free * ((free_max - pivot) - tau) - numerator if free_max > -np.inf else -np.inf
            upper = numerator - free * ((saturated_min - pivot) - tau) if saturated_min < np.inf else -np.inf
            worst = max(max(lower, first), max(last, upper))
            residual = numerator - free * (theta - pivot)
            root = pivot + numerator / free
            edge = 2.0**-48 * (abs(root) + tau)
            if 0.0 < missing < free and worst < -scale and low + edge < root < high - edge:
                answer[PIVOT], answer[NUMERATOR], answer[NUMERATOR_REST] = pivot, numerator, numerator_rest
                answer[COUNT] = free
                answer[ERROR] = free * tau * (2.0**-85 + n * 2.0**-107) + 2.0**-104 * abs(numerator)
                answer[SUPPORT_FROM] = min(free_min, support_end)
                answer[SATURATED_FROM] = min(saturated_min, saturated_end)
                return SOLVED
            if not 0.0 < missing < free:
                root = np.nan  # these sets can't be right, whatever theta: their entries would be 0 or 1
            elif worst <= scale and low < root < high:
                # At a kink, as far as can be told: what is on it is 0, or 1.
                answer[SUPPORT_FROM] = (
                    np.nextafter(free_min, np.inf) if abs(first) <= scale else min(free_min, support_end)
                )
                answer[SATURATED_FROM] = free_max if abs(last) <= scale else min(saturated_min, saturated_end)
                return DECLINED
        if residual > 0.0:
            below = theta
        else:
            above = theta
        tried_low, tried_high = tried_low or theta == low, tried_high or theta == high
        if not below < root < above:
            # No slope, or one that leads out of the interval: look at its end, then between.
            if residual > 0.0 and not tried_high:
                root = high
            elif residual < 0.0 and not tried_low:
                root = low
            elif theta == (high if residual > 0.0 else low):
                state[THETA] = theta
                state[MISSED] += 1.0
                settled[SUM], settled[FREE] = residual + k * tau, free
                return EVALUATE
            else:
                root = _draw_between(buffer, count, tau, below, above, step)
                if not below < root < above:
                    return DECLINED
        theta = root
    return DECLINED


@kernel()
def pivot_for(x, theta, tau):
    """A number whose differences with free scores are floats: 0, or theta where that is far away (Sterbenz).

    If need be, theta is rounded to float32: then these differences are on the grid.
    """
    if abs(theta) <= 4.0 * tau:
        return 0.0
    near = np.float64(x.dtype.type(theta))
    return near if abs(near - theta) <= tau else theta


@jit()
def _restart(state, near, few):
    state[:] = 0.0
    state[NEAR], state[FEW] = near, few
    state[LOW], state[HIGH], state[AT_LOW], state[AT_HIGH] = -np.inf, np.inf, np.inf, -np.inf
    state[SEED] = 1.0
    state[CROWD], state[CROWD_UP], state[SOUGHT] = np.nan, np.nan, np.nan


@jit()
def _theta_of_sample(some, share, tau, state):
    """Theta of a sample, as well as it represents its row: its own total is good to the root of it, or so."""
    enough = 0.25 * (1.0 + math.sqrt(share))
    _restart(state, enough, 0.0)
    state[THETA] = _start(some, share, tau)
    for _ in range(16):
        sum_, free = evaluate(some, state[THETA], tau, 0.0)
        if abs(sum_ - share * tau) <= enough * tau:
            break
        action = advance(some, share, tau, state, sum_, free)
        if action != EVALUATE:
            if action == REDUCE and not state[FROM] < state[THETA] < state[TO]:
                state[THETA] = 0.5 * state[FROM] + 0.5 * state[TO]
            break
    return state[THETA]


@jit()
def _sample_size(x):
    """The number of scores in a sample of x: whole vectors of them."""
    return min(max(x.size // 16, 64), SAMPLE) // lanes(x) * lanes(x)


@kernel()
def begin(x, k, tau, sample, state):
    """Set out: a guess of theta from a sample of the row, or from all of it."""
    if x.size < _SAMPLED_FROM:
        theta, doubt = _start(x, k, tau), 0.0
    else:
        width, some = lanes(x), sample[: _sample_size(x)]
        stride = (x.size - width) // (some.size // width - 1)
        for j in range(some.size // width):
            store(some, j * width, load(x, j * stride))
        share = k * some.size / x.size
        theta = _theta_of_sample(some, share, tau, state)
        doubt = 1.0 + 1.5 * math.sqrt(share * (1.0 - k / x.size))
    _restart(state, 6.0 + x.size / 1024.0, 16.0 + x.size / 256.0)
    state[THETA], state[DOUBT] = theta, doubt


@kernel()
def look_aside(x, k, tau, sample, state, other):
    """Where Newton has no slope to go by, try theta of the sample once more, so far off that it should be beyond."""
    some = sample[: _sample_size(x)]
    share = k * some.size / x.size
    theta = state[THETA]
    share += -state[DOUBT] if state[HIGH] == np.inf else state[DOUBT]
    state[THETA] = _theta_of_sample(some, min(max(share, 0.5), some.size - 0.5), tau, other)
    state[DOUBT] *= 2.0
    if not state[LOW] < state[THETA] < state[HIGH]:
        drawn = _draw(x, tau, state)
        state[THETA] = drawn if drawn == drawn else theta
        state[DOUBT] = 0.0


@jit()
def _majority(buffer, low, high):
    """The number that most of those from low to high in the buffer are, if there is one, by a sample; NaN if it has none.

    By Boyer and Moore: equal numbers win where each other one takes one of them out.
    """
    number, lead = np.nan, 0
    for j in range(0, buffer.size, buffer.size // 128 + 1):
        u = buffer[j]
        if low <= u <= high:
            if lead == 0:
                number = u
            lead += 1 if u == number else -1
    return number


@jit()
def _crowds(some, low, high, tau):
    """Majorities next to theta and next to theta + tau, if there are: of bands apart, so that they differ."""
    return _majority(some, low, high), _majority(some, low + tau, high + tau)


@kernel()
def foresee(x, tau, sample, state):
    """Ask a sample what a reduction would find: EVALUATE once more if it is likely to miss theta, or else REDUCE.

    Where too many scores would be set aside, look for crowds, then at a part of the interval.
    """
    if x.size < _FORESEEN_FROM or state[TO] == np.inf:
        return REDUCE
    some = sample[: _sample_size(x)]
    theta = state[THETA]
    if state[STEPS] <= _PATIENT:
        end = state[AT]
        at_end, before = evaluate(some, end, tau, 0.0)
        sum_, after = evaluate(some, theta, tau, 0.0)
        if abs(after - before) > 2.0 + 0.25 * after:
            # The slope changes: go where it takes the sample to what the step was to bring about.
            step = before * (theta - end)
            for _ in range(8):
                left = (sum_ - at_end) + step
                if after == 0.0 or abs(left) <= 0.125 * abs(step):
                    break
                theta += left / after
                sum_, after = evaluate(some, theta, tau, 0.0)
            if state[LOW] < theta < state[HIGH]:
                state[THETA] = theta
            beyond = 2.0 * theta - end
            low, high = min(min(end, beyond), state[FROM]), max(max(end, beyond), state[TO])
            if high < low + tau:
                state[CROWD], state[CROWD_UP] = _crowds(some, low, high, tau)
                if 80.0 * _between(some, low, high, tau, state) <= some.size:
                    state[FROM], state[TO] = low, high
                    return REDUCE
            return EVALUATE
    for attempt in range(16):
        low, high = state[FROM], state[TO]
        enough = room(x.size) * some.size
        if not high < low + tau or 1.25 * _between(some, low, high, tau, state) * x.size <= enough:
            break
        if attempt == 0:
            state[CROWD], state[CROWD_UP] = _crowds(some, low, high, tau)
        else:
            theta = min(max(state[THETA], low), high)
            state[FROM], state[TO] = theta - 0.5 * (theta - low), theta + 0.5 * (high - theta)
    return REDUCE


@jit()
def _between(some, low, high, tau, state):
    """How many scores are from low to high, or that and tau, and in no crowd."""
    from_, to = like(some, ceil_like(some, low)), like(some, floor_like(some, high))
    from_up, to_up = like(some, ceil_like(some, low + tau)), like(some, floor_like(some, high + tau))
    crowd, crowd_up = like(some, state[CROWD]), like(some, state[CROWD_UP])
    one, number = integers_like(from_, 1), integers_like(from_, 0)
    for i in range(0, some.size, lanes(some)):
        v = load(some, i)
        near = ((v >= from_) & (v <= to)) | ((v >= from_up) & (v <= to_up))
        number = add_where(near & (v != crowd) & (v != crowd_up), number, one)
    return total(number)


@kernel()
def narrow_down(x, tau, buffer, state):
    """What to do if too many scores are open, a full buffer of them at hand.

    See whether most are equal; then evaluate float32 scores in float64; then look at a part of the interval.
    """
    low, high = state[FROM], state[TO]
    state[STEPS] += 1.0
    if high == np.inf:
        state[PRECISELY] = 1.0
        return EVALUATE
    if state[SOUGHT] != low:
        state[SOUGHT] = low
        crowd, crowd_up = _majority(buffer, -np.inf, high), _majority(buffer, np.nextafter(high, np.inf), np.inf)
        state[CROWD] = crowd if crowd == crowd else state[CROWD]
        state[CROWD_UP] = crowd_up if crowd_up == crowd_up else state[CROWD_UP]
        return REDUCE
    middle, width = 0.5 * low + 0.5 * high, high - low
    if is_narrow(x) and state[PRECISELY] == 0.0:
        state[PRECISELY], state[THETA] = 1.0, middle
        return EVALUATE
    if width <= 2.0**-45 * (abs(low) + tau) or state[STEPS] > MOST_STEPS:
        return DECLINED  # crowds of scores that floats hardly tell apart
    state[FROM], state[TO] = middle - width / 32.0, middle + width / 32.0
    return REDUCE


@jit()
def _start(x, k, tau):
    """Theta if all finite scores were free."""
    width = lanes(x)
    zero = broad(x, 0.0)
    sum_ = zero
    whole = x.size - x.size % width
    for i in range(0, whole, width):
        v = broad(x, load(x, i))
        sum_ = add_where((v - v) == zero, sum_, v)
    all_ = total(sum_)
    for i in range(whole, x.size):
        u = np.float64(x[i])
        all_ += u if u - u == 0.0 else 0.0
    return (all_ - k * tau) / x.size


@kernel()
def locate_constant(x, k, tau, answer):
    """Theta of a row of equal scores: each gets k / n."""
    answer[PIVOT], answer[COUNT] = x[0], x.size
    answer[NUMERATOR], answer[NUMERATOR_REST] = two_product(-k, tau)
    answer[ERROR] = 0.0
    answer[SUPPORT_FROM], answer[SATURATED_FROM] = x[0], np.inf


@kernel()
def locate(x, k, tau, sample, buffer, states, settled, answer):
    """Theta of one row: SOLVED or, if all scores are the same, CONSTANT, with its answer; or DECLINED."""
    if not (SMALLEST <= tau <= LARGEST and SMALLEST <= k < x.size):
        return DECLINED
    if is_constant(x) and abs(x[0]) <= LARGEST:
        locate_constant(x, k, tau, answer)
        return CONSTANT
    other = states[STATE:]
    state = states[:STATE]
    begin(x, k, tau, sample, state)
    action = EVALUATE
    while action == EVALUATE:
        if not abs(state[THETA]) <= LARGEST:
            return DECLINED
        sum_, free = evaluate(x, state[THETA], tau, state[PRECISELY])
        action = advance(x, k, tau, state, sum_, free)
        if action == LOOK_ASIDE:
            look_aside(x, k, tau, sample, state, other)
            action = EVALUATE
        while action == REDUCE:
            action = foresee(x, tau, sample, state)
            if action == EVALUATE:
                continue
            pivot = pivot_for(x, state[FROM], tau)
            settled[:] = 0.0
            count = reduce(x, state[FROM], state[TO], tau, pivot, state[CROWD], state[CROWD_UP], buffer, settled)
            if count < 0:
                action = narrow_down(x, tau, buffer[: buffer.size - 2 * lanes(x)], state)
                continue
            action = conclude(buffer, count, settled, pivot, k, tau, x.size, state, answer)
            if action == EVALUATE:
                action = advance(x, k, tau, state, settled[SUM], settled[FREE])
                if action == LOOK_ASIDE:
                    look_aside(x, k, tau, sample, state, other)
                    action = EVALUATE
    return action
