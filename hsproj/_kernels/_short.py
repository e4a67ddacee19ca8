"""Rows of up to a dozen or two scores, eight at a time: each row is a lane of the vectors.

No search: an entry is in the support if the others exceed it by less than k tau together, each counted up to tau, and it
is saturated if it exceeds them by (n - k) tau or more. What rounding could have made of these sums is then caught: theta
of the sets must lie between the scores next to it. docs/numerics.md, section "Short rows".
"""

import numpy as np

from hsproj._kernels._arithmetic import two_sum
from hsproj._kernels._jit import jit
from hsproj._kernels._long import (
    ANSWER,
    COUNT,
    ERROR,
    LARGEST,
    NUMERATOR,
    NUMERATOR_REST,
    PIVOT,
    SMALLEST,
)
from hsproj._kernels._round import TERMS, TINY, ULPS, entry
from hsproj._kernels._simd import (
    add_where,
    as_floats,
    as_integers,
    bits,
    broad,
    common_bits,
    fma,
    integers_like,
    is_narrow,
    larger,
    load,
    select,
    size,
    smaller,
    store,
    through_float32,
)

LONGEST = 24
"""The number of scores up to which comparing all of them with each other is the quicker way."""
LANES = 8
# As in `_project`.
_DONE, _UNPROVED, _UNROUNDED = range(3)
# What is known of each lane, in rows of scratch.
_K, _TAU, _NUMERATOR, _REST, _COUNT, _ERROR, _SUPPORT, _SATURATED = range(8)


@jit()
def _exceed(scores, n, tau, below, above):
    """below_i = sum_j clip(x_j - x_i, 0, tau), above_i = sum_j clip(x_i - x_j, 0, tau)."""
    zero = broad(scores, 0.0)
    none, top = as_integers(zero), as_integers(tau)
    for i in range(n):
        store(below, i * LANES, zero)
        store(above, i * LANES, zero)
    for i in range(n):
        x = load(scores, i * LANES)
        below_i, above_i = load(below, i * LANES), load(above, i * LANES)
        for j in range(i + 1, n):
            d = x - load(scores, j * LANES)
            more = as_floats(smaller(larger(as_integers(d), none), top))
            less = as_floats(smaller(larger(as_integers(-d), none), top))
            below_i, above_i = below_i + less, above_i + more
            store(below, j * LANES, load(below, j * LANES) + more)
            store(above, j * LANES, load(above, j * LANES) + less)
        store(below, i * LANES, below_i)
        store(above, i * LANES, above_i)


@jit()
def _vector_product(a, b):
    p = a * b
    return p, fma(a, b, -p)


@jit()
def _solve(scores, n, known, below, above):
    """Prove what the sums say, lane by lane: the bits of the lanes where that worked; fills `known`."""
    k, tau = load(known, _K * LANES), load(known, _TAU * LANES)
    zero, one, infinity = broad(scores, 0.0), broad(scores, 1.0), broad(scores, np.inf)
    needed, spare = k * tau, (broad(scores, np.float64(n)) - k) * tau
    free, saturated = zero, zero
    sum_, rest, lost, largest = zero, zero, zero, zero
    finite = zero == zero
    zero_max, free_min, free_max, saturated_min = -infinity, infinity, -infinity, infinity
    for i in range(n):
        x = load(scores, i * LANES)
        supported = load(below, i * LANES) < needed
        full = load(above, i * LANES) >= spare
        inside = supported & ~full
        free, saturated = add_where(inside, free, one), add_where(full, saturated, one)
        finite = finite & (size(x) <= broad(scores, LARGEST))  # and no NaN
        largest = larger(size(x), largest)
        zero_max = larger(select(supported, -infinity, x), zero_max)
        free_min = smaller(select(inside, x, infinity), free_min)
        free_max = larger(select(inside, x, -infinity), free_max)
        saturated_min = smaller(select(full, x, infinity), saturated_min)
        sum_, error = two_sum(sum_, select(inside, x, zero))
        rest, error = two_sum(rest, error)
        lost = lost + size(error)
    missing = k - saturated
    taken, taken_rest = _vector_product(-tau, missing)
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
    vertex = vertex & ((slack > broad(scores, 2.0**-48) * (largest + tau)) | (slack == infinity))
    # On a vertex any theta between the scores serves; the middle is far from both.
    middle = broad(scores, 0.5) * (zero_max + (saturated_min - tau))
    numerator, rest = select(vertex, middle, numerator), select(vertex, zero, rest)
    store(known, _NUMERATOR * LANES, numerator)
    store(known, _REST * LANES, rest)
    store(known, _COUNT * LANES, free)
    store(known, _ERROR * LANES, lost)
    store(known, _SUPPORT * LANES, smaller(free_min, saturated_min))
    store(known, _SATURATED * LANES, saturated_min)
    return bits((proved | vertex) & finite)


@jit()
def _round(out, scores, n, known, doubts):
    """Put p where the scores were, rounded; which entries of which lanes are doubtful."""
    one, zero = broad(scores, 1.0), broad(scores, 0.0)
    tau, count = load(known, _TAU * LANES), larger(load(known, _COUNT * LANES), one)
    numerator, supported, full = (
        load(known, _NUMERATOR * LANES),
        load(known, _SUPPORT * LANES),
        load(known, _SATURATED * LANES),
    )
    c = numerator / count
    delta = (fma(-c, count, numerator) + load(known, _REST * LANES)) / count
    c, delta = two_sum(c, delta)
    inverse = one / tau
    off = broad(scores, 2.0) * (load(known, _ERROR * LANES) / count + broad(scores, 2.0**-102) * size(c)) * inverse
    error = off + broad(scores, 2.0**-99) * (one + size(c) * inverse)
    tiny = larger(off * broad(scores, 2.0**49), broad(scores, TINY))
    shift = -delta * inverse
    ulps, tail = integers_like(c, (1 << 28) - ULPS), integers_like(c, (1 << 29) - 1)
    any_doubt = 0
    for i in range(n):
        u = load(scores, i * LANES)
        d = u - c
        p = fma(d, inverse, shift)
        if is_narrow(out):
            high = through_float32(p)
            close = common_bits(as_integers(p) - ulps, tail) <= integers_like(c, 2 * ULPS)
            doubt = close | (p < tiny)
        else:
            back = d - u
            e = (u - (d - back)) - (back + c)
            remainder = fma(-p, tau, d) + (e - delta)
            low = p + fma(remainder, inverse, -error)
            high = p + fma(remainder, inverse, error)
            doubt = low != high
        store(scores, i * LANES, select(u >= supported, smaller(high, one), zero))
        doubtful = bits(doubt & (u >= supported) & (u < full))
        doubts[i] = doubtful
        any_doubt |= doubtful
    return any_doubt


@jit()
def project_short(rows, k, tau, out, bounds, status, scratch):
    """See `_project.project_rows`."""
    m, n = rows.shape
    width = n * LANES
    scores, below, above = scratch[:width], scratch[width : 2 * width], scratch[2 * width : 3 * width]
    known, rest = scratch[3 * width : 3 * width + 9 * LANES], scratch[3 * width + 9 * LANES :]
    answer, terms, doubts = rest[:ANSWER], rest[ANSWER : ANSWER + TERMS], below
    for first in range(0, m, LANES):
        count = min(LANES, m - first)
        usable = 0
        for lane in range(LANES):
            r = first + min(lane, count - 1)
            for i in range(n):
                scores[i * LANES + lane] = rows[r, i]
            known[_K * LANES + lane] = k[r]
            known[_TAU * LANES + lane] = tau[r]
            if (k[r] == 0.0 or k[r] >= SMALLEST) and SMALLEST <= tau[r] <= LARGEST:
                usable |= 1 << lane
        _exceed(scores, n, load(known, _TAU * LANES), below, above)
        usable &= _solve(scores, n, known, below, above)
        for lane in range(count):
            status[first + lane] = _DONE if (usable >> lane) & 1 else _UNPROVED
            if bounds.size:
                bounds[first + lane, 0] = known[_SUPPORT * LANES + lane]
                bounds[first + lane, 1] = known[_SATURATED * LANES + lane]
        if not out.size:
            continue
        any_doubt = _round(out, scores, n, known, doubts) & usable
        for lane in range(count):
            for i in range(n):
                out[first + lane, i] = scores[i * LANES + lane]
        if any_doubt == 0:
            continue
        for lane in range(count):
            if (any_doubt >> lane) & 1 == 0:
                continue
            r = first + lane
            answer[PIVOT] = 0.0
            answer[NUMERATOR], answer[NUMERATOR_REST] = known[_NUMERATOR * LANES + lane], known[_REST * LANES + lane]
            answer[COUNT], answer[ERROR] = known[_COUNT * LANES + lane], known[_ERROR * LANES + lane]
            for i in range(n):
                if (np.int64(doubts[i]) >> lane) & 1 and not entry(
                    np.float64(rows[r, i]), tau[r], answer, out[r], i, terms
                ):
                    status[r] = _UNROUNDED
                    break
