"""Rows of up to a dozen or two scores, eight at a time: each row is a lane of the vectors.

No search: an entry is in the support if the others exceed it by less than k tau together, each counted up to tau, and it
is saturated if it exceeds them by (n - k) tau or more. What rounding could have made of these sums is then caught: theta
of the sets must lie between the scores next to it. docs/numerics.md, section "Short rows".
"""

import numpy as np
from numba import literal_unroll

from hsproj._kernels._arithmetic import two_product, two_sum
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
    broad,
    fma,
    integers_like,
    is_narrow,
    larger,
    load,
    load_eight,
    lowest_bit,
    matching,
    narrowed,
    select,
    size,
    smaller,
    store,
    store_eight,
    to_floats,
    transpose,
)

PAIRS, LONGEST = 24, 128
"""Up to how many scores comparing all of them with each other is the quicker way, and sharing vectors between rows."""
_MOST_STEPS, _HASTE = 16, 2.0**-10
LANES = EIGHT
_BLOCK = 64  # entries, a bit each
# The largest float, nearly: what scores up to LARGEST times HUGE / LARGEST do not exceed, even added up.
HUGE = 2.0**1015
# As in `_project`.
_DONE, _UNPROVED, _UNROUNDED = range(3)
# What is known of each lane, in rows of scratch.
_K, _TAU, _NUMERATOR, _REST, _COUNT, _ERROR, _SUPPORT, _SATURATED = range(8)


@jit()
def _exceed(scores, n, tau, below, above):
    """below_i = -sum_j clip(x_j - x_i, 0, tau), above_i = sum_j clip(x_i - x_j, 0, tau)."""
    zero = broad(scores, 0.0)
    none, top = as_integers(zero), as_integers(tau)
    for i in range(n):
        store(below, i * LANES, zero)
        store(above, i * LANES, zero)
    # Two scores at a time: every other one is loaded, and its sums are stored, half as often.
    for i in range(0, n - 1, 2):
        x, y = load(scores, i * LANES), load(scores, (i + 1) * LANES)
        more, less = _clip_both(x - y, none, top)
        below_x, above_x = load(below, i * LANES) - less, load(above, i * LANES) + more
        below_y, above_y = load(below, (i + 1) * LANES) - more, load(above, (i + 1) * LANES) + less
        for j in range(i + 2, n):
            z = load(scores, j * LANES)
            more, less = _clip_both(x - z, none, top)
            other_more, other_less = _clip_both(y - z, none, top)
            below_x, above_x = below_x - less, above_x + more
            below_y, above_y = below_y - other_less, above_y + other_more
            store(below, j * LANES, load(below, j * LANES) - (more + other_more))
            store(above, j * LANES, load(above, j * LANES) + (less + other_less))
        store(below, i * LANES, below_x)
        store(above, i * LANES, above_x)
        store(below, (i + 1) * LANES, below_y)
        store(above, (i + 1) * LANES, above_y)


@jit()
def _evaluate(scores, n, theta, tau):
    """(sum of clip(x - theta, 0, tau), number of scores with theta <= x <= theta + tau), each a lane."""
    zero, one, top = broad(scores, 0.0), broad(scores, 1.0), as_integers(tau)
    none = as_integers(zero)
    sum_a, free_a, sum_b, free_b = zero, zero, zero, zero
    for i in range(0, n - 1, 2):
        d, e = as_integers(load(scores, i * LANES) - theta), as_integers(load(scores, (i + 1) * LANES) - theta)
        c, f = smaller(larger(d, none), top), smaller(larger(e, none), top)
        sum_a, free_a = sum_a + as_floats(c), add_where(c == d, free_a, one)
        sum_b, free_b = sum_b + as_floats(f), add_where(f == e, free_b, one)
    if n % 2:
        d = as_integers(load(scores, (n - 1) * LANES) - theta)
        c = smaller(larger(d, none), top)
        sum_a, free_a = sum_a + as_floats(c), add_where(c == d, free_a, one)
    return sum_a + sum_b, free_a + free_b


@jit()
def _sample(scores, n, k, tau, some, below, above):
    """(theta, next score below, next score above) of every n / 8th score, a lane each; infinite where there is none."""
    stride = n // EIGHT
    for i in range(EIGHT):
        store(some, i * LANES, load(scores, i * stride * LANES))
    _exceed(some, EIGHT, tau, below, above)
    share = k * broad(scores, EIGHT / n)
    needed, spare = -share * tau, (broad(scores, 1.0 * EIGHT) - share) * tau
    zero, one, infinity = broad(scores, 0.0), broad(scores, 1.0), broad(scores, np.inf)
    free, saturated, sum_, highest, lowest = zero, zero, zero, -infinity, infinity
    for i in range(EIGHT):
        x = load(some, i * LANES)
        full = load(above, i * LANES) >= spare
        supported = load(below, i * LANES) > needed
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
    """
    zero, one, infinity = broad(scores, 0.0), broad(scores, 1.0), broad(scores, np.inf)
    low, high, at_low, at_high = -infinity, infinity, infinity, -infinity
    lowest, highest, seen = -infinity, infinity, False
    hasty, before = broad(scores, haste) * tau * tau, infinity
    close, noise = broad(scores, 2.0**-40), broad(scores, 2.0**-40) * (k + one) * tau
    for step in range(_MOST_STEPS):
        sum_, free = _evaluate(scores, n, theta, tau)
        residual = sum_ - k * tau
        rising, falling = residual > zero, residual < zero
        low, at_low = select(rising, theta, low), select(rising, residual, at_low)
        high, at_high = select(falling, theta, high), select(falling, residual, at_high)
        move = residual / larger(free, one)
        newton = theta + move
        reliable = (size(residual) <= free * tau) & (newton > low) & (newton < high)
        done = ((free == zero) & (size(residual) <= noise)) | (
            (free > zero)
            & ((size(move) <= close * (size(theta) + tau)) | ((free * move * move <= hasty) & (size(move) <= before)))
        )
        before = broad(scores, 0.125) * size(move)
        if step % 2 == 0:
            between = low + (high - low) * (at_low / (at_low - at_high))
        else:
            # A score of the row, or else the middle: where scores are spread over many scales, a line leads nowhere.
            between = load(scores, (step * 37 % n) * LANES)
            between = select((between > low) & (between < high), between, broad(scores, 0.5) * (low + high))
        bounded = (low > -infinity) & (high < infinity)
        if not seen and any_of(~(done | reliable | bounded)):
            seen, lowest, highest = True, infinity, -infinity
            for i in range(n):
                x = load(scores, i * LANES)
                lowest, highest = smaller(x, lowest), larger(x, highest)
            lowest = lowest - tau
        outward = select(rising, select(above > theta, above, highest), select(below < theta, below, lowest))
        other = select(bounded, between, outward)
        theta = select(done, select(free > zero, newton, theta), select(reliable, newton, other))
        if bits(done) == (1 << LANES) - 1:
            break
    return theta


@jit()
def _clip_both(d, zero, tau):
    """(clip(d, 0, tau), clip(-d, 0, tau)), by the bits of floats as integers: zero and tau are such."""
    more = as_floats(smaller(larger(as_integers(d), zero), tau))
    return more, as_floats(smaller(larger(as_integers(-d), zero), tau))


@jit()
def gather(rows, first, count, scores):
    """Row first + i becomes lane i; the last row fills up the lanes that are left."""
    n = rows.shape[1]
    flat, last = rows.reshape(-1), first + count - 1
    if n < EIGHT:
        for lane in range(LANES):
            for i in range(n):
                scores[i * LANES + lane] = rows[min(first + lane, last), i]
        return
    i = 0
    while i < n:
        at = min(i, n - EIGHT) + first * n
        most = at + (count - 1) * n
        block = transpose(
            (
                load_eight(flat, at),
                load_eight(flat, min(at + n, most)),
                load_eight(flat, min(at + 2 * n, most)),
                load_eight(flat, min(at + 3 * n, most)),
                load_eight(flat, min(at + 4 * n, most)),
                load_eight(flat, min(at + 5 * n, most)),
                load_eight(flat, min(at + 6 * n, most)),
                load_eight(flat, min(at + 7 * n, most)),
            )
        )
        at = min(i, n - EIGHT) * LANES
        for v in literal_unroll(block):
            store(scores, at, matching(broad(scores, 0.0), v))
            at += LANES
        i += EIGHT


@jit()
def scatter(scores, first, count, out):
    """Lane i becomes row first + i, of the first `count` lanes."""
    n = out.shape[1]
    if n < EIGHT or count < LANES:
        for lane in range(count):
            for i in range(n):
                out[first + lane, i] = scores[i * LANES + lane]
        return
    flat = out.reshape(-1)
    i = 0
    while i < n:
        start = min(i, n - EIGHT)
        at = start * LANES
        block = transpose(
            (
                narrowed(out, load(scores, at)),
                narrowed(out, load(scores, at + LANES)),
                narrowed(out, load(scores, at + 2 * LANES)),
                narrowed(out, load(scores, at + 3 * LANES)),
                narrowed(out, load(scores, at + 4 * LANES)),
                narrowed(out, load(scores, at + 5 * LANES)),
                narrowed(out, load(scores, at + 6 * LANES)),
                narrowed(out, load(scores, at + 7 * LANES)),
            )
        )
        at = first * n + start
        for v in literal_unroll(block):
            store_eight(flat, at, v)
            at += n
        i += EIGHT


@jit()
def _solve(scores, n, known, lower, needed, upper, spare):
    """Take the entries with lower > needed as support, those with upper >= spare as saturated, and prove it, lane by lane.

    The bits of the lanes where that worked; fills `known`. Sums of free scores are exact if two floats can hold them.
    """
    k, tau = load(known, _K * LANES), load(known, _TAU * LANES)
    zero, one, infinity = broad(scores, 0.0), broad(scores, 1.0), broad(scores, np.inf)
    none, unit = integers_like(zero, 0), integers_like(zero, 1)
    free_count, full_count = none, none
    sum_, rest, lost = zero, zero, zero
    zero_max, free_min, free_max, saturated_min = -infinity, infinity, -infinity, infinity
    finite, scale = zero, broad(scores, HUGE / LARGEST)
    for i in range(n):
        x = load(scores, i * LANES)
        supported = load(lower, i * LANES) > needed
        full = load(upper, i * LANES) >= spare
        inside = supported & ~full
        free_count, full_count = add_where(inside, free_count, unit), add_where(full, full_count, unit)
        finite = fma(x, scale, finite)  # or not, if x is not, or is beyond LARGEST
        zero_max = larger(select(supported, -infinity, x), zero_max)
        free_min = smaller(select(inside, x, infinity), free_min)
        free_max = larger(select(inside, x, -infinity), free_max)
        saturated_min = smaller(select(full, x, infinity), saturated_min)
        sum_, error = two_sum(sum_, select(inside, x, zero))
        rest, error = two_sum(rest, error)
        lost = lost + size(error)
    free, saturated = to_floats(free_count), to_floats(full_count)
    missing = k - saturated
    taken, taken_rest = two_product(-tau, missing)
    numerator, error = two_sum(sum_, taken)
    rest, more = two_sum(rest, taken_rest)
    rest, last = two_sum(rest, error)
    lost = (lost + lost) + (size(more) + size(last))
    numerator, rest = two_sum(numerator, rest)
    # The four gaps, times the number of free scores; a lane where one is too small to be sure of is not proved.
    tolerance = broad(scores, 2.0**-48) * (size(numerator) + (free + one) * tau)
    width = free * tau
    below_gap = free * zero_max - numerator
    above_gap = (free * saturated_min - width) - numerator
    proved = (free * free_min - numerator > tolerance) & ((free * free_max - width) - numerator < -tolerance)
    proved = proved & ((below_gap < -tolerance) | (zero_max == -infinity))
    proved = proved & ((above_gap > tolerance) | (saturated_min == infinity))
    proved = proved & (missing > zero) & (missing < free)
    slack = (saturated_min - zero_max) - tau
    vertex = (free == zero) & (missing == zero)
    near = broad(scores, 2.0**-48) * ((size(saturated_min) + size(zero_max)) + tau)
    vertex = vertex & ((slack > near) | (slack == infinity))
    # On a vertex any theta between the scores serves; the middle is far from both.
    middle = broad(scores, 0.5) * (zero_max + (saturated_min - tau))
    numerator, rest = select(vertex, middle, numerator), select(vertex, zero, rest)
    store(known, _NUMERATOR * LANES, numerator)
    store(known, _REST * LANES, rest)
    store(known, _COUNT * LANES, free)
    store(known, _ERROR * LANES, lost)
    store(known, _SUPPORT * LANES, smaller(free_min, saturated_min))
    store(known, _SATURATED * LANES, saturated_min)
    return bits((proved | vertex) & (size(finite) < infinity))


@jit()
def _solve_at(scores, n, known, theta):
    """Take the sets of theta, and prove them: as `_solve`, with sums within 2^-84 of the size of scores that can be free.

    Their own theta must be closer to the one given than that is to any kink. The bits, and a theta for another try.
    """
    k, tau = load(known, _K * LANES), load(known, _TAU * LANES)
    zero, one, infinity = broad(scores, 0.0), broad(scores, 1.0), broad(scores, np.inf)
    up, size_ = theta + tau, size(theta) + tau
    reach = size_ + tau  # more than the size of a free score
    grid = broad(scores, 256.0) * reach
    support, full_count, sum_, rest = zero, zero, zero, zero
    finite, scale = zero, broad(scores, HUGE / LARGEST)
    room, room_up = as_integers(infinity), as_integers(infinity)
    for i in range(0, n * LANES, LANES):
        x = load(scores, i)
        above, full = x > theta, x >= up
        room, room_up = smaller(as_integers(size(x - theta)), room), smaller(as_integers(size(x - up)), room_up)
        support, full_count = add_where(above, support, one), add_where(full, full_count, one)
        finite = fma(x, scale, finite)  # or not, if x is not, or is beyond LARGEST
        inside = above & ~full
        h = (grid + x) - grid
        sum_, rest = add_where(inside, sum_, h), add_where(inside, rest, x - h)
    free = support - full_count
    missing = k - full_count
    taken, taken_rest = two_product(-tau, missing)
    numerator, error = two_sum(sum_, taken)
    rest, more = two_sum(rest, taken_rest)
    rest, last = two_sum(rest, error)
    lost = (free * reach) * broad(scores, n * 2.0**-96) + (size(more) + size(last))
    numerator, rest = two_sum(numerator, rest)
    room, room_up = as_floats(room), as_floats(room_up)
    # On a vertex any theta between the scores serves; the middle is far from both. Free scores may have to be all 0, or 1.
    some, half = free > zero, broad(scores, 0.5)
    other = select(some, numerator / larger(free, one), theta)
    other = select(some & (missing == free), theta - half * room, other)
    other = select(some & (missing == zero), theta + half * room_up, other)
    vertex = (free == zero) & (missing == zero)
    theta = select(vertex, theta + half * (room_up - room), theta)
    room = select(vertex, half * (room + room_up), smaller(room, room_up))
    tolerance = broad(scores, 2.0**-48) * (size(numerator) + (free + one) * size_)
    proved = size(fma(-free, theta, numerator)) + tolerance < free * room
    proved = proved & (missing > zero) & (missing < free)
    vertex = vertex & (room > broad(scores, 2.0**-48) * size_)
    numerator, rest = select(vertex, theta, numerator), select(vertex, zero, rest)
    store(known, _NUMERATOR * LANES, numerator)
    store(known, _REST * LANES, rest)
    store(known, _COUNT * LANES, free)
    store(known, _ERROR * LANES, lost)
    # Between the scores of different sets, where these are proved; else a score at a kink is 0, or 1.
    little = broad(scores, 2.0**-50) * size_
    store(known, _SUPPORT * LANES, theta + larger(half * room, little))
    store(known, _SATURATED * LANES, (theta + tau) - little)
    return bits((proved | vertex) & (size(finite) < infinity)), other


@jit()
def _round(out, scores, n, known, p, doubts):
    """Fill p, rounded; the bits of lanes with entries that are still in doubt, which `doubts` then tells, entry by entry."""
    one, zero = broad(scores, 1.0), broad(scores, 0.0)
    tau, count = load(known, _TAU * LANES), larger(load(known, _COUNT * LANES), one)
    numerator, supported, full = (
        load(known, _NUMERATOR * LANES),
        load(known, _SUPPORT * LANES),
        load(known, _SATURATED * LANES),
    )
    c = numerator / count
    rest, lost = two_sum(fma(-c, count, numerator), load(known, _REST * LANES))
    delta = rest / count
    exact = (fma(-delta, count, rest) == zero) & (size(lost) + load(known, _ERROR * LANES) == zero)
    c, delta = two_sum(c, delta)
    inverse = one / tau
    off = broad(scores, 2.0) * (load(known, _ERROR * LANES) + broad(scores, 2.0**-102) * size(c)) * inverse
    error = off + broad(scores, 2.0**-98) * (one + size(c) * inverse)
    tiny = larger(off * broad(scores, 2.0**49), broad(scores, TINY))
    shift, minus_c = -delta * inverse, -c
    grid_c, grid_delta = on_grid(c, delta, broad(scores, 8.0) * (size(c) + (tau + tau)))
    grid_shift = -grid_delta * inverse
    minus_grid, low_shift, high_shift = -grid_c, grid_shift - error, grid_shift + error
    # Entries grow with their scores: if the lowest that is not 0 is not tiny, none is.
    any_tiny = is_narrow(out) and any_of(fma(supported + minus_c, inverse, shift) < tiny)
    unsettled = 0
    for block in range(0, n, _BLOCK):
        end = min(block + _BLOCK, n)
        left_open = np.int64(-1) if any_tiny else np.int64(0)
        for i in range(block, end):
            u = load(scores, i * LANES)
            inside = u >= supported
            if is_narrow(out):
                q = fma(u + minus_c, inverse, shift)
                doubt = next_to_midpoint(q)
            else:
                low, q = enclose(u, minus_grid, tau, None, inverse, low_shift, high_shift)
                doubt = low < q
            if any_of(doubt & inside & (u < full)):
                left_open |= np.int64(1) << (i - block)
            store(p, i * LANES, select(inside, smaller(q, one), zero))
        while left_open != 0 and block + lowest_bit(left_open) < end:
            i = block + lowest_bit(left_open)
            left_open &= left_open - 1
            u = load(scores, i * LANES)
            if is_narrow(out):
                q = fma(u + minus_c, inverse, shift)
                doubt = next_to_midpoint(q) | (q < tiny)
                settled, sure = settle_narrow(scores, u, minus_c, delta, tau, q)
            else:
                low, q = enclose(u, minus_grid, tau, None, inverse, low_shift, high_shift)
                doubt = low < q
                settled, sure = settle(scores, u, minus_c, delta, tau, low, q)
            doubt = doubt & (u >= supported) & (u < full)
            sure = doubt & sure & exact & (q >= tiny)
            store(p, i * LANES, select(sure, smaller(settled, one), load(p, i * LANES)))
            left = bits(doubt & ~sure)
            if left != 0:
                if unsettled == 0:
                    doubts[:n] = 0.0
                unsettled |= left
                doubts[i] = left
    return unsettled


@kernel()
def project_short(rows, k, tau, out, bounds, status, scratch):
    """See `_project.project_rows`."""
    m, n = rows.shape
    width = n * LANES
    scores, below, above = scratch[:width], scratch[width : 2 * width], scratch[2 * width : 3 * width]
    known, rest = scratch[3 * width : 3 * width + 9 * LANES], scratch[3 * width + 9 * LANES :]
    zero, smallest = broad(scratch, 0.0), broad(scratch, SMALLEST)
    answer, terms, p, doubts = rest[:ANSWER], rest[ANSWER : ANSWER + TERMS], above, below
    for first in range(0, m, LANES):
        count = min(LANES, m - first)
        gather(rows, first, count, scores)
        if count == LANES:
            totals, tau_s = load_eight(k, first), load_eight(tau, first)
            store(known, _K * LANES, totals)
            store(known, _TAU * LANES, tau_s)
        else:
            for lane in range(LANES):
                r = first + min(lane, count - 1)
                known[_K * LANES + lane], known[_TAU * LANES + lane] = k[r], tau[r]
            totals, tau_s = load(known, _K * LANES), load(known, _TAU * LANES)
        safe = (tau_s >= smallest) & (tau_s <= broad(scratch, LARGEST)) & ((totals >= smallest) | (totals == zero))
        usable = bits(safe)
        if n <= PAIRS:
            _exceed(scores, n, tau_s, below, above)
            spare = (broad(scores, np.float64(n)) - totals) * tau_s
            usable &= _solve(scores, n, known, below, -totals * tau_s, above, spare)
        else:
            some, lower, upper = below[: 8 * LANES], below[8 * LANES : 16 * LANES], below[16 * LANES : 24 * LANES]
            theta, lower_score, upper_score = _sample(scores, n, totals, tau_s, some, lower, upper)
            theta = _search(scores, n, totals, tau_s, theta, lower_score, upper_score, _HASTE)
            proved, theta = _solve_at(scores, n, known, theta)
            if proved & usable != usable:
                theta = _search(scores, n, totals, tau_s, theta, lower_score, upper_score, 0.0)
                proved, theta = _solve_at(scores, n, known, theta)
            usable &= proved
        for lane in range(count):
            status[first + lane] = _DONE if (usable >> lane) & 1 else _UNPROVED
            if bounds.size:
                bounds[first + lane, 0] = known[_SUPPORT * LANES + lane]
                bounds[first + lane, 1] = known[_SATURATED * LANES + lane]
        if not out.size:
            continue
        any_doubt = _round(out, scores, n, known, p, doubts) & usable
        scatter(p, first, count, out)
        if any_doubt == 0:
            continue
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
            sharp = n <= PAIRS
            i = 0
            while i < n:
                doubtful = (np.int64(doubts[i]) >> lane) & 1
                if doubtful and not entry(np.float64(rows[r, i]), tau[r], answer, out[r], i, terms):
                    if sharp:
                        status[r] = _UNROUNDED
                        break
                    sharp = True
                    sharpen(rows[r], k[r], tau[r], answer, terms)
                else:
                    i += 1
