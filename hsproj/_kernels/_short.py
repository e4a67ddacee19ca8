"""Rows of up to 128 scores, sixteen at a time: each row is a lane of the vectors.

Up to a dozen or two there is no search: an entry is in the support if the others exceed it by less than k tau together,
each counted up to tau, and it is saturated if it exceeds them by (n - k) tau or more. What rounding could have made of
these sums is then caught: theta of the sets must lie between the scores next to it. docs/numerics.md, "Short rows".
"""

import numpy as np
from numba import literal_unroll

from hsproj._kernels._arithmetic import nonzero, two_product, two_sum
from hsproj._kernels._jit import jit, kernel
from hsproj._kernels._long import (
    ANSWER,
    COUNT,
    ERROR,
    LARGEST,
    NUMERATOR,
    NUMERATOR_REST,
    PIVOT,
    SATURATED_FROM,
    SMALLEST,
    SUPPORT_FROM,
)
from hsproj._kernels._round import (
    TERMS,
    TINY,
    enclose,
    entry,
    next_to_midpoint,
    on_grid,
    settle,
    settle_narrow,
    sharpen,
)
from hsproj._kernels._simd import (
    EIGHT,
    add_where,
    any_of,
    as_floats,
    as_integers,
    bits,
    ceil_matching,
    filled,
    fma,
    integers_like,
    is_narrow,
    larger,
    load_columns,
    load_sixteen,
    lowest_bit,
    matching,
    select,
    sixteen,
    size,
    smaller,
    store,
    store_eight,
    widened,
)

PAIRS, LONGEST = 24, 128
"""Up to how many scores comparing all of them with each other is the quicker way, and sharing vectors between rows."""
_MOST_STEPS, _HASTE = 16, 2.0**-10
LANES = 16
_MOST = 2**31 - 1  # of an int32
_BLOCK = 64  # entries, a bit each
# The largest float, nearly: what scores up to LARGEST times HUGE / LARGEST do not exceed, even added up.
HUGE = 2.0**1015
# As in `_project`.
_DONE, _UNPROVED, _UNROUNDED = range(3)
# What is known of each lane, in rows of scratch.
_K, _TAU, _NUMERATOR, _REST, _COUNT, _ERROR, _SUPPORT, _SATURATED = range(8)


@jit()
def _sort(scores, n, ordered):
    """Each lane in descending order, by insertion; a number that is finite if all are, and none is beyond LARGEST."""
    finite, scale = sixteen(scores, 0.0), sixteen(scores, 0.0 if is_narrow(scores) else HUGE / LARGEST)
    i = 0
    while i < n:
        # Two at a time, so each of those before is loaded and stored half as often; a last one goes with -inf.
        x, y = load_sixteen(scores, i * LANES), sixteen(scores, -np.inf)
        finite = fma(x, scale, finite)
        if i + 1 < n:
            y = load_sixteen(scores, (i + 1) * LANES)
            finite = fma(y, scale, finite)
        for j in range(0, i * LANES, LANES):
            z = load_sixteen(ordered, j)
            z, x = larger(z, x), smaller(z, x)
            store(ordered, j, larger(z, y))
            y = smaller(z, y)
        store(ordered, i * LANES, larger(x, y))
        if i + 1 < n:
            store(ordered, (i + 1) * LANES, smaller(x, y))
        i += 2
    return finite


@jit()
def _exceed(ordered, n, tau, below, above):
    """below_i = -sum_j clip(x_j - x_i, 0, tau), above_i = sum_j clip(x_i - x_j, 0, tau), of scores in descending order."""
    top = as_integers(tau)
    for i in range(n):
        store(below, i * LANES, sixteen(ordered, 0.0))
    # Two scores at a time: every other one is loaded, and its sum is stored, half as often.
    for i in range(0, n - 1, 2):
        x, y = load_sixteen(ordered, i * LANES), load_sixteen(ordered, (i + 1) * LANES)
        above_x, above_y = _clip(x - y, top), sixteen(ordered, 0.0)
        store(below, (i + 1) * LANES, load_sixteen(below, (i + 1) * LANES) - above_x)
        for j in range((i + 2) * LANES, n * LANES, LANES):
            z = load_sixteen(ordered, j)
            c, d = _clip(x - z, top), _clip(y - z, top)
            above_x, above_y = above_x + c, above_y + d
            store(below, j, load_sixteen(below, j) - (c + d))
        store(above, i * LANES, above_x)
        store(above, (i + 1) * LANES, above_y)
    if n % 2:
        store(above, (n - 1) * LANES, sixteen(ordered, 0.0))


@jit()
def _clip(d, top):
    """The smaller of d >= 0 and tau, whose bits are `top`: by the bits of floats as integers."""
    return as_floats(smaller(as_integers(d), top))


@jit()
def _evaluate(scores, n, theta, tau):
    """(sum of clip(x - theta, 0, tau), number of scores with theta <= x <= theta + tau), each a lane; in theta's dtype."""
    zero, one, top = filled(theta, 0.0), filled(theta, 1.0), as_integers(tau)
    none = as_integers(zero)
    sum_a, free_a, sum_b, free_b = zero, zero, zero, zero
    for i in range(0, n - 1, 2):
        x, y = matching(theta, load_sixteen(scores, i * LANES)), matching(theta, load_sixteen(scores, (i + 1) * LANES))
        d, e = as_integers(x - theta), as_integers(y - theta)
        c, f = smaller(larger(d, none), top), smaller(larger(e, none), top)
        sum_a, free_a = sum_a + as_floats(c), add_where(c == d, free_a, one)
        sum_b, free_b = sum_b + as_floats(f), add_where(f == e, free_b, one)
    if n % 2:
        d = as_integers(matching(theta, load_sixteen(scores, (n - 1) * LANES)) - theta)
        c = smaller(larger(d, none), top)
        sum_a, free_a = sum_a + as_floats(c), add_where(c == d, free_a, one)
    return sum_a + sum_b, free_a + free_b


@jit()
def _sample(scores, n, k, tau, spare):
    """(theta, next score below, next score above) of every n / 8th score, a lane each; infinite where there is none."""
    some, below, above = spare, spare[EIGHT * LANES :], spare[2 * EIGHT * LANES :]
    stride = n // EIGHT
    for i in range(EIGHT):
        store(below, i * LANES, load_sixteen(scores, i * stride * LANES))
    _sort(below, EIGHT, some)
    _exceed(some, EIGHT, tau, below, above)
    share = k * sixteen(scores, EIGHT / n)
    needed, left = -share * tau, (sixteen(scores, 1.0 * EIGHT) - share) * tau
    zero, one, infinity = sixteen(scores, 0.0), sixteen(scores, 1.0), sixteen(scores, np.inf)
    free, saturated, sum_, highest, lowest = zero, zero, zero, -infinity, infinity
    for i in range(EIGHT):
        x = load_sixteen(some, i * LANES)
        full = load_sixteen(above, i * LANES) >= left
        supported = load_sixteen(below, i * LANES) > needed
        inside = supported & ~full
        free, sum_ = add_where(inside, free, one), add_where(inside, sum_, x)
        saturated = add_where(full, saturated, one)
        highest = larger(select(supported, -infinity, x), highest)
        lowest = smaller(select(supported, x, infinity), lowest)
    theta = (sum_ - tau * (share - saturated)) / larger(free, one)
    return select(free > zero, theta, select(highest > -infinity, highest, lowest - tau)), highest, lowest


@jit()
def _search(scores, n, k, tau, theta, below, above, haste):
    """Theta to working precision where that takes a few steps; else anything. Starts at `theta`, then looks next to it.

    With `haste`, up to where steps have become short all of a sudden and so few scores, or so, lie next to the last one.
    All in the dtype of the vectors.
    """
    zero, one, infinity = filled(theta, 0.0), filled(theta, 1.0), filled(theta, np.inf)
    low, high, at_low, at_high = -infinity, infinity, infinity, -infinity
    lowest, highest, seen = -infinity, infinity, False
    hasty, before = filled(theta, haste) * tau * tau, infinity
    precision = filled(theta, 2.0**-18 if is_narrow(theta) else 2.0**-40)
    noise = precision * (k + one) * tau
    # A single free score is 0 or 1 if k is an integer. Then theta is on a kink, and better off a little beyond it.
    whole = filled(theta, 2.0**23)
    little = select((k + whole) - whole == k, filled(theta, 0.25), zero)
    # A step from so far away says little: such a start, of an outlier, is left for good.
    far = size(theta) > filled(theta, 2.0**14 if is_narrow(theta) else np.inf) * tau
    for step in range(_MOST_STEPS):
        sum_, free = _evaluate(scores, n, theta, tau)
        residual = sum_ - k * tau
        rising, falling = residual > zero, residual < zero
        low, at_low = select(rising, theta, low), select(rising, residual, at_low)
        high, at_high = select(falling, theta, high), select(falling, residual, at_high)
        move = residual / larger(free, one)
        near = precision * (size(theta) + tau)
        beyond = select(free == one, little * near, zero)
        newton = theta + (move + select(rising, beyond, -beyond))
        reliable = (size(residual) <= free * tau) & (newton > low) & (newton < high)
        done = ((free == zero) & (size(residual) <= noise)) | (
            (free > zero) & ((size(move) <= near) | ((free * move * move <= hasty) & (size(move) <= before)))
        )
        done, far = done & ~far, far & ~far
        before = filled(theta, 0.125) * size(move)
        if step % 2 == 0:
            between = low + (high - low) * (at_low / (at_low - at_high))
        else:
            # A score of the row, or else the middle: where scores are spread over many scales, a line leads nowhere.
            between = matching(theta, load_sixteen(scores, (step * 37 % n) * LANES))
            between = select((between > low) & (between < high), between, filled(theta, 0.5) * (low + high))
        bounded = (low > -infinity) & (high < infinity)
        if not seen and any_of(~(done | reliable | bounded)):
            seen, lowest, highest = True, infinity, -infinity
            for i in range(n):
                x = matching(theta, load_sixteen(scores, i * LANES))
                lowest, highest = smaller(x, lowest), larger(x, highest)
            lowest = lowest - tau
        outward = select(rising, select(above > theta, above, highest), select(below < theta, below, lowest))
        other = select(bounded, between, outward)
        theta = select(done, select(free > zero, newton, theta), select(reliable, newton, other))
        if not any_of(~(done | (residual != residual))):
            break
    return theta


@jit()
def gather(rows, first, count, scores):
    """Row first + i becomes lane i; the last row fills up the lanes that are left."""
    n = rows.shape[1]
    if n < EIGHT or count < LANES:
        for lane in range(LANES):
            row = rows[first + min(lane, count - 1)]
            for i in range(n):
                scores[i * LANES + lane] = row[i]
        return
    flat = rows.reshape(-1)
    for lane in range(0, LANES, EIGHT):
        i = 0
        while i < n:
            column = min(i, n - EIGHT)
            at = column * LANES + lane
            block = load_columns(flat, (first + lane) * n + column, n)
            for v in literal_unroll(block):
                store_eight(scores, at, v)
                at += LANES
            i += EIGHT


@jit()
def scatter(scores, first, count, out):
    """Lane i becomes row first + i, of the first `count` lanes."""
    n = out.shape[1]
    flat = out.reshape(-1)
    whole = 0 if n < EIGHT else count - count % EIGHT
    for lane in range(0, whole, EIGHT):
        i = 0
        while i < n:
            column = min(i, n - EIGHT)
            at = (first + lane) * n + column
            block = load_columns(scores, column * LANES + lane, LANES)
            for v in literal_unroll(block):
                store_eight(flat, at, v)
                at += n
            i += EIGHT
    for lane in range(whole, count):
        for i in range(n):
            out[first + lane, i] = scores[i * LANES + lane]


@jit()
def _add_narrow(x, inside, sum_, least):
    """Add float32 in float64, where they are inside: exactly, unless some are too small. The least but 0 shows that.

    It is kept as an integer, the bits of its size less one, so that 0 comes out as the largest.
    """
    height = as_integers(size(x)) + integers_like(x, _MOST)
    return add_where(inside, sum_, widened(x)), select(inside, smaller(height, least), least)


@jit()
def _lossy(reach, least):
    """Whether sums of float32 that are no larger than `reach`, each, may have lost something, in any lane."""
    coarse = as_integers(matching(as_floats(least), reach * filled(reach, 2.0**-21))) + integers_like(least, _MOST)
    return any_of(least < coarse)


@jit()
def _solve(scores, n, known, below, above, finite):
    """Take the sets that sums of `_exceed` suggest, and prove them, lane by lane.

    The bits of the lanes where that worked; fills `known`. Sums of free scores are exact if two floats can hold them.
    """
    k, tau = load_sixteen(known, _K * LANES), load_sixteen(known, _TAU * LANES)
    zero, one, infinity = filled(tau, 0.0), filled(tau, 1.0), filled(tau, np.inf)
    unit, nothing = sixteen(scores, 1.0), sixteen(scores, 0.0)
    highest, lowest = sixteen(scores, np.inf), sixteen(scores, -np.inf)
    # Scores that are far apart exceed each other by whole numbers of tau: next to one, entries are 0, or 1.
    noise = filled(tau, 2.0**-16 if is_narrow(scores) else 2.0**-44)
    needed, left = matching(unit, (noise - k) * tau), matching(unit, ((filled(tau, np.float64(n)) - k) - noise) * tau)
    free, full_count = nothing, nothing
    sum_, rest, lost, least = zero, zero, zero, integers_like(unit, _MOST)
    zero_max, free_min, free_max, saturated_min = lowest, highest, lowest, highest
    for i in range(n):
        x = load_sixteen(scores, i * LANES)
        supported = load_sixteen(below, i * LANES) > needed
        full = load_sixteen(above, i * LANES) >= left
        inside = supported & ~full
        free, full_count = add_where(inside, free, unit), add_where(full, full_count, unit)
        zero_max = larger(select(supported, lowest, x), zero_max)
        free_min = smaller(select(inside, x, highest), free_min)
        free_max = larger(select(inside, x, lowest), free_max)
        saturated_min = smaller(select(full, x, highest), saturated_min)
        if is_narrow(scores):
            sum_, least = _add_narrow(x, inside, sum_, least)
        else:
            sum_, error = two_sum(sum_, widened(select(inside, x, nothing)))
            rest, error = two_sum(rest, error)
            lost = lost + size(error)
    free, saturated = widened(free), widened(full_count)
    zero_max, free_min, free_max = widened(zero_max), widened(free_min), widened(free_max)
    saturated_min = widened(saturated_min)
    if is_narrow(scores) and _lossy(select(free > zero, larger(size(free_min), size(free_max)), zero), least):
        sum_ = zero
        for i in range(0, n * LANES, LANES):
            inside = (load_sixteen(below, i) > needed) & ~(load_sixteen(above, i) >= left)
            sum_, error = two_sum(sum_, widened(select(inside, load_sixteen(scores, i), nothing)))
            rest, error = two_sum(rest, error)
            lost = lost + size(error)
    missing = k - saturated
    taken, taken_rest = two_product(-tau, missing)
    numerator, error = two_sum(sum_, taken)
    rest, more = two_sum(rest, taken_rest)
    rest, last = two_sum(rest, error)
    lost = (lost + lost) + (size(more) + size(last))
    numerator, rest = two_sum(numerator, rest)
    # The four gaps, times the number of free scores; a lane where one is too small to be sure of is not proved.
    tolerance = filled(tau, 2.0**-48) * (size(numerator) + (free + one) * tau) + lost
    taken = free * tau
    below_gap = free * zero_max - numerator
    above_gap = (free * saturated_min - taken) - numerator
    proved = (free * free_min - numerator > tolerance) & ((free * free_max - taken) - numerator < -tolerance)
    proved = proved & ((below_gap < -tolerance) | (zero_max == -infinity))
    proved = proved & ((above_gap > tolerance) | (saturated_min == infinity))
    proved = proved & (missing > zero) & (missing < free)
    slack = (saturated_min - zero_max) - tau
    vertex = (free == zero) & (missing == zero)
    near = filled(tau, 2.0**-48) * ((size(saturated_min) + size(zero_max)) + tau)
    vertex = vertex & ((slack > near) | (slack == infinity))
    # On a vertex any theta between the scores serves; the middle is far from both.
    middle = filled(tau, 0.5) * (zero_max + (saturated_min - tau))
    numerator, rest = select(vertex, middle, numerator), select(vertex, zero, rest)
    store(known, _NUMERATOR * LANES, numerator)
    store(known, _REST * LANES, rest)
    store(known, _COUNT * LANES, free)
    store(known, _ERROR * LANES, lost)
    store(known, _SUPPORT * LANES, smaller(free_min, saturated_min))
    store(known, _SATURATED * LANES, saturated_min)
    return bits((proved | vertex) & (widened(size(finite)) < infinity))


@jit()
def _solve_at(scores, n, known, theta):
    """Take the sets of theta, and prove them: as `_solve`, with sums within 2^-84 of the size of scores that can be free.

    Their own theta must be closer to the one given than that is to any kink. The bits, and a theta for another try.
    Scores are compared in the dtype of the theta that is given.
    """
    k, tau = load_sixteen(known, _K * LANES), load_sixteen(known, _TAU * LANES)
    zero, one, infinity = filled(tau, 0.0), filled(tau, 1.0), filled(tau, np.inf)
    t, unit = matching(zero, theta), filled(theta, 1.0)
    size_ = size(t) + tau
    reach = size_ + tau  # more than the size of a free score
    up, grid = matching(theta, t + tau), filled(tau, 256.0) * reach
    support, full_count, sum_, rest, least = (
        filled(theta, 0.0),
        filled(theta, 0.0),
        zero,
        zero,
        integers_like(sixteen(scores, 0.0), _MOST),
    )
    finite, scale = filled(theta, 0.0), filled(theta, 0.0 if is_narrow(scores) else HUGE / LARGEST)
    nearest, nearest_up = as_integers(filled(theta, np.inf)), as_integers(filled(theta, np.inf))
    for i in range(0, n * LANES, LANES):
        v = load_sixteen(scores, i)
        x = matching(theta, v)
        above, full = x > theta, x >= up
        nearest = smaller(as_integers(size(x - theta)), nearest)
        nearest_up = smaller(as_integers(size(x - up)), nearest_up)
        support, full_count = add_where(above, support, unit), add_where(full, full_count, unit)
        finite = fma(x, scale, finite)  # or not, if x is not, or is beyond LARGEST
        inside = above & ~full
        if is_narrow(scores):
            sum_, least = _add_narrow(v, inside, sum_, least)
        else:
            h = (grid + widened(v)) - grid
            sum_, rest = add_where(inside, sum_, h), add_where(inside, rest, widened(v) - h)
    free, saturated = matching(zero, support - full_count), matching(zero, full_count)
    lost = (free * reach) * filled(tau, n * 2.0**-96)
    if is_narrow(scores):
        if _lossy(reach, least):
            sum_ = zero
            for i in range(0, n * LANES, LANES):
                v = load_sixteen(scores, i)
                x, u = matching(theta, v), widened(v)
                inside, h = (x > theta) & ~(x >= up), (grid + u) - grid
                sum_, rest = add_where(inside, sum_, h), add_where(inside, rest, u - h)
        else:
            lost = zero
    missing = k - saturated
    taken, taken_rest = two_product(-tau, missing)
    numerator, error = two_sum(sum_, taken)
    rest, more = two_sum(rest, taken_rest)
    rest, last = two_sum(rest, error)
    lost = lost + (size(more) + size(last))
    numerator, rest = two_sum(numerator, rest)
    # In float32 differences are rounded, and so is the upper kink.
    rounding, whole = filled(tau, 2.0**-48), one
    if is_narrow(theta):
        rounding, whole = filled(tau, 2.0**-22), filled(tau, 1.0 - 2.0**-20)
    room, room_up = matching(zero, as_floats(nearest)) * whole, matching(zero, as_floats(nearest_up)) * whole
    # On a vertex any theta between the scores serves; the middle is far from both. Free scores may have to be all 0, or 1.
    some, half = free > zero, filled(tau, 0.5)
    other = select(some, numerator / larger(free, one), t)
    other = select(some & (missing == free), t - half * room, other)
    other = select(some & (missing == zero), t + half * room_up, other)
    vertex = (free == zero) & (missing == zero)
    t = select(vertex, t + half * (room_up - room), t)
    room = select(vertex, half * (room + room_up), smaller(room, room_up))
    tolerance = filled(tau, 2.0**-48) * size(numerator) + rounding * (free + one) * size_ + lost
    proved = size(fma(-free, t, numerator)) + tolerance < free * room
    proved = proved & (missing > zero) & (missing < free)
    vertex = vertex & (room > rounding * size_)
    numerator, rest = select(vertex, t, numerator), select(vertex, zero, rest)
    store(known, _NUMERATOR * LANES, numerator)
    store(known, _REST * LANES, rest)
    store(known, _COUNT * LANES, free)
    store(known, _ERROR * LANES, lost)
    # Between the scores of different sets, where these are proved; else a score at a kink is 0, or 1.
    little = filled(tau, 2.0**-50) * size_
    store(known, _SUPPORT * LANES, t + larger(half * room, little))
    store(known, _SATURATED * LANES, (t + tau) - little)
    return bits((proved | vertex) & (matching(zero, size(finite)) < infinity)), other


@jit()
def _quotient(scores, u, numbers):
    """(p, doubt, lower end): (u - c - delta) / tau rounded to the dtype of the scores, and where that may be wrong."""
    minus_c, tau, inverse, shift, minus_grid, low_shift, high_shift = numbers
    if is_narrow(scores):
        q = fma(u + minus_c, inverse, shift)
        return q, next_to_midpoint(q), q
    low, high = enclose(u, minus_grid, tau, None, inverse, low_shift, high_shift)
    return high, low < high, low


@jit()
def _round(scores, n, known, solved, p, doubts):
    """Fill p, rounded; the bits of lanes with entries that are still in doubt, which `doubts` then tells, entry by entry.

    What is said of lanes that are not solved means nothing.
    """
    unit, nothing = sixteen(scores, 1.0), sixteen(scores, 0.0)
    tau = load_sixteen(known, _TAU * LANES)
    one, zero = filled(tau, 1.0), filled(tau, 0.0)
    count = larger(load_sixteen(known, _COUNT * LANES), one)
    numerator, error = load_sixteen(known, _NUMERATOR * LANES), load_sixteen(known, _ERROR * LANES)
    supported = ceil_matching(unit, load_sixteen(known, _SUPPORT * LANES))
    full = ceil_matching(unit, load_sixteen(known, _SATURATED * LANES))
    c = numerator / count
    rest, lost = two_sum(fma(-c, count, numerator), load_sixteen(known, _REST * LANES))
    delta = rest / count
    exact = (fma(-delta, count, rest) == zero) & (size(lost) + error == zero)
    c, delta = two_sum(c, delta)
    inverse = one / tau
    off = filled(tau, 2.0) * (error + filled(tau, 2.0**-102) * size(c)) * inverse
    error = off + filled(tau, 2.0**-98) * (one + size(c) * inverse)
    tiny = larger(off * filled(tau, 2.0**49), filled(tau, TINY))
    shift, minus_c = -delta * inverse, -c
    grid_c, grid_delta = on_grid(c, delta, filled(tau, 8.0) * (size(c) + (tau + tau)))
    grid_shift = -grid_delta * inverse
    numbers = minus_c, tau, inverse, shift, -grid_c, grid_shift - error, grid_shift + error
    # Entries grow with their scores: if the lowest that is not 0 is not tiny, none is.
    any_tiny = is_narrow(scores) and bits(fma(widened(supported) + minus_c, inverse, shift) < tiny) & solved != 0
    unsettled = 0
    for block in range(0, n, _BLOCK):
        end = min(block + _BLOCK, n)
        left_open = np.int64(-1) if any_tiny else np.int64(0)
        for i in range(block, end):
            u = load_sixteen(scores, i * LANES)
            inside = u >= supported
            q, doubt, _low = _quotient(scores, widened(u), numbers)
            if any_of(doubt & inside & (u < full)):
                left_open |= np.int64(1) << (i - block)
            store(p, i * LANES, select(inside, smaller(matching(unit, q), unit), nothing))
        while left_open != 0 and block + lowest_bit(left_open) < end:
            i = block + lowest_bit(left_open)
            left_open &= left_open - 1
            v = load_sixteen(scores, i * LANES)
            u = widened(v)
            q, doubt, low = _quotient(scores, u, numbers)
            if is_narrow(scores):
                doubt = doubt | (q < tiny)
                settled, sure = settle_narrow(u, minus_c, delta, tau, q)
            else:
                settled, sure = settle(u, minus_c, delta, tau, low, q)
            doubt = doubt & (v >= supported) & (v < full)
            sure = doubt & sure & exact & (q >= tiny)
            store(p, i * LANES, select(sure, matching(unit, smaller(settled, one)), load_sixteen(p, i * LANES)))
            left = bits(doubt & ~sure)
            if left != 0:
                if unsettled == 0:
                    doubts[:n] = 0.0
                unsettled |= left
                doubts[i] = left
    return unsettled


@jit()
def _compare_all(scores, n, known, spare):
    """Sets by comparing all scores with each other, in their dtype: see `_solve`."""
    below, above, ordered = spare[: n * LANES], spare[n * LANES : 2 * n * LANES], spare[2 * n * LANES :]
    finite = _sort(scores, n, ordered)
    _exceed(ordered, n, matching(sixteen(scores, 0.0), load_sixteen(known, _TAU * LANES)), below, above)
    return _solve(ordered, n, known, below, above, finite)


@jit()
def _prepare(rows, k, tau, first, count, scores, known):
    """Rows, totals and temperatures of a block, the last row once more in lanes that are left; the bits of lanes in range."""
    gather(rows, first, count, scores)
    if count == LANES:
        store(known, _K * LANES, load_sixteen(k, first))
        store(known, _TAU * LANES, load_sixteen(tau, first))
    else:
        for lane in range(LANES):
            r = first + min(lane, count - 1)
            known[_K * LANES + lane], known[_TAU * LANES + lane] = k[r], tau[r]
    totals, tau_s = load_sixteen(known, _K * LANES), load_sixteen(known, _TAU * LANES)
    zero, smallest, largest = filled(totals, 0.0), filled(totals, SMALLEST), filled(totals, LARGEST)
    return bits((tau_s >= smallest) & (tau_s <= largest) & ((totals >= smallest) | (totals == zero)))


@jit()
def _finish(rows, k, tau, out, bounds, status, first, count, solved, scores, spare, known, rest, sharp):
    """Status and bounds of a block, and projections of its solved rows; `sharp` says that no sum could be better."""
    n = rows.shape[1]
    for lane in range(count):
        status[first + lane] = _DONE if (solved >> lane) & 1 else _UNPROVED
        if bounds.size:
            bounds[first + lane, 0] = known[_SUPPORT * LANES + lane]
            bounds[first + lane, 1] = known[_SATURATED * LANES + lane]
    if not out.size:
        return
    doubts, p = spare[: n * LANES], spare[n * LANES :]
    any_doubt = _round(scores, n, known, solved, p, doubts) & solved
    scatter(p, first, count, out)
    if any_doubt == 0:
        return
    answer, terms = rest[:ANSWER], rest[ANSWER : ANSWER + TERMS]
    for lane in range(count):
        if (any_doubt >> lane) & 1 == 0:
            continue
        r = first + lane
        answer[PIVOT] = 0.0
        answer[NUMERATOR], answer[NUMERATOR_REST] = known[_NUMERATOR * LANES + lane], known[_REST * LANES + lane]
        answer[COUNT], answer[ERROR] = known[_COUNT * LANES + lane], known[_ERROR * LANES + lane]
        answer[SUPPORT_FROM], answer[SATURATED_FROM] = (
            known[_SUPPORT * LANES + lane],
            known[_SATURATED * LANES + lane],
        )
        sharpened, i = sharp, np.int64(0)
        while i < n:
            doubtful = (np.int64(doubts[i]) >> lane) & 1
            if doubtful and not entry(np.float64(rows[r, i]), tau[r], answer, out[r], i, terms):
                if sharpened:
                    status[r] = _UNROUNDED
                    break
                sharpened = True
                sharpen(rows[r], k[r], tau[r], answer, terms)
            else:
                i += 1


@kernel()
def compare_rows(rows, k, tau, out, bounds, status, vectors, floats):
    """See `_project.project_rows`; of up to PAIRS scores."""
    m, n = rows.shape
    scores, spare = vectors[: n * LANES], vectors[n * LANES :]
    known, rest, wide = floats[: 8 * LANES], floats[8 * LANES :], floats[8 * LANES + ANSWER + TERMS :]
    for first in range(0, m, LANES):
        count = min(LANES, m - first)
        usable = _prepare(rows, k, tau, first, count, scores, known)
        proved = _compare_all(scores, n, known, spare)
        if is_narrow(rows) and proved & usable != usable:
            for i in range(0, n * LANES, LANES):
                store(wide, i, widened(load_sixteen(scores, i)))
            proved = _compare_all(wide, n, known, wide[n * LANES :])
        sharp = not is_narrow(rows)
        _finish(rows, k, tau, out, bounds, status, first, count, proved & usable, scores, spare, known, rest, sharp)
    return nonzero(status)


@kernel()
def search_rows(rows, k, tau, out, bounds, status, vectors, floats):
    """See `_project.project_rows`; of more than PAIRS scores, up to LONGEST."""
    m, n = rows.shape
    scores, spare = vectors[: n * LANES], vectors[n * LANES :]
    known, rest = floats[: 8 * LANES], floats[8 * LANES :]
    native = sixteen(rows, 0.0)
    for first in range(0, m, LANES):
        count = min(LANES, m - first)
        usable = _prepare(rows, k, tau, first, count, scores, known)
        totals, tau_s = load_sixteen(known, _K * LANES), load_sixteen(known, _TAU * LANES)
        own_totals, own_tau = matching(native, totals), matching(native, tau_s)
        guess, below, above = _sample(scores, n, own_totals, own_tau, spare)
        guess = _search(scores, n, own_totals, own_tau, guess, below, above, _HASTE)
        proved, theta = _solve_at(scores, n, known, guess)
        if proved & usable != usable:
            infinity = filled(totals, np.inf)
            theta = _search(scores, n, totals, tau_s, theta, infinity, -infinity, 0.0)
            proved, _theta = _solve_at(scores, n, known, theta)
        _finish(rows, k, tau, out, bounds, status, first, count, proved & usable, scores, spare, known, rest, False)
    return nonzero(status)
