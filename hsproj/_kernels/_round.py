"""From a known threshold to correctly rounded entries: p_i = (count (x_i - pivot) - numerator) / (count tau).

A quotient with its remainder settles nearly every entry: if it stays on one side of the rounding boundary whatever its
error. What is next to a boundary is decided by the sign of an exact sum. docs/numerics.md, section "Rounding".
"""

import numpy as np

from hsproj._kernels._arithmetic import exact_sum, two_product, two_sum
from hsproj._kernels._jit import jit, kernel
from hsproj._kernels._long import (
    COUNT,
    ERROR,
    NUMERATOR,
    NUMERATOR_REST,
    PIVOT,
    SATURATED_FROM,
    SUPPORT_FROM,
    ceil_like,
)
from hsproj._kernels._simd import (
    add_where,
    any_of,
    as_floats,
    as_integers,
    bits,
    broad,
    common_bits,
    filled,
    fma,
    integers_like,
    is_broader,
    is_narrow,
    lanes,
    last,
    like,
    load,
    lowest_bit,
    matching,
    rest_like,
    select,
    size,
    smaller,
    store,
    total,
)

# Below TINY error terms may underflow.
TINY = 2.0**-300
_BLOCK = 512
# Floats of scratch that `entry` takes.
TERMS = 16
# Of a row of float32, after which it is rounded in float64: small entries are all in doubt in float32.
_DOUBTS = 16
# More than the error of an entry before it is rounded to float32, in ulps of float64.
ULPS = 16
# Half a step of float32, in ulps of float64.
_HALF = 1 << 28


@jit()
def threshold_pair(answer):
    """(theta, rest, error): theta + rest is the threshold, give or take error."""
    count = answer[COUNT]
    if count == 0.0:
        return answer[PIVOT], 0.0, 0.0
    q = answer[NUMERATOR] / count
    q_rest = (fma(-q, count, answer[NUMERATOR]) + answer[NUMERATOR_REST]) / count
    theta, rest = two_sum(answer[PIVOT], q)
    theta, rest = two_sum(theta, rest + q_rest)
    return theta, rest, answer[ERROR] / count + 2.0**-102 * (abs(theta) + abs(q))


@jit()
def _add_one(value, sum_, rest, lost):
    sum_, error = two_sum(sum_, value)
    rest, error = two_sum(rest, error)
    return sum_, rest, lost + abs(error)


@jit()
def _exact_side(a, a_rest, numerator, numerator_rest, low, half, scale, scale_rest, terms):
    """A float with the sign of the exact (a - numerator) - (low + half) scale, each of two floats but `low` and `half`."""
    p, p_rest = two_product(-low, scale)
    s, s_rest = two_product(-low, scale_rest)
    terms[0], terms[1], terms[2], terms[3] = a, -numerator, p, -half * scale
    terms[4], terms[5], terms[6], terms[7] = a_rest, -numerator_rest, p_rest, s
    terms[8], terms[9] = s_rest, -half * scale_rest
    return exact_sum(terms, 10)[0]


@jit()
def entry(u, tau, answer, out, i, terms):
    """Round one free entry, out[i], by an exact comparison with the boundary; whether that could be done."""
    count = answer[COUNT]
    numerator, numerator_rest = answer[NUMERATOR], answer[NUMERATOR_REST]
    a, a_rest = two_product(count, u - answer[PIVOT])
    scale, scale_rest = two_product(count, tau)
    n, carried = two_sum(a, -numerator)
    n_rest = carried + (a_rest - numerator_rest)
    lost = 2.0**-51 * (abs(carried) + abs(a_rest) + abs(numerator_rest))
    q = n / scale
    r = ((fma(-q, scale, n) + n_rest) - q * scale_rest) / scale
    error = 2.0**-98 * q + 2.0 * (answer[ERROR] + lost) / scale
    if is_narrow(out):
        error = max(error, 2.0**-51 * q)  # a float64 may be rounded to a midpoint of float32
    low, high = out.dtype.type(q + (r - error)), out.dtype.type(q + (r + error))
    if low != high:
        if high != np.nextafter(low, out.dtype.type(np.inf)) or not low > TINY:
            return False
        half = 0.5 * (np.float64(high) - np.float64(low))
        p, p_rest = two_product(-np.float64(low), scale)
        sum_, rest = two_sum(n, p)
        sum_, rest, lost = _add_one(-half * scale, sum_, rest, 0.0)
        sum_, rest, lost = _add_one(p_rest, sum_, rest, lost)
        sum_, rest, lost = _add_one(carried, sum_, rest, lost)
        sum_, rest, lost = _add_one(a_rest, sum_, rest, lost)
        sum_, rest, lost = _add_one(-numerator_rest, sum_, rest, lost)
        if scale_rest != 0.0:
            s, s_rest = two_product(-np.float64(low), scale_rest)
            sum_, rest, lost = _add_one(s, sum_, rest, lost)
            sum_, rest, lost = _add_one(s_rest, sum_, rest, lost)
            sum_, rest, lost = _add_one(-half * scale_rest, sum_, rest, lost)
        side = sum_ + rest
        if lost > 0.0 and abs(side) <= 4.0 * lost:
            side = _exact_side(a, a_rest, numerator, numerator_rest, np.float64(low), half, scale, scale_rest, terms)
        if answer[ERROR] > 0.0 and abs(side) <= 2.0 * answer[ERROR]:
            return False
        if side < 0.0:
            high = low
        elif side == 0.0:
            high = out.dtype.type(np.float64(low) + half)  # a tie: the sum, or its conversion, rounds to even
    out[i] = high
    return True


@jit()
def _add_exactly(v, sum_, rest, lost):
    sum_, error = two_sum(sum_, v)
    rest, error = two_sum(rest, error)
    return sum_, rest, lost + size(error)


@jit()
def sharpen(x, k, tau, answer, terms):
    """Add up the free scores once more, with nothing lost if two floats a lane can hold it: then answer[ERROR] is 0."""
    step = lanes(x)
    support, saturated = like(x, ceil_like(x, answer[SUPPORT_FROM])), like(x, ceil_like(x, answer[SATURATED_FROM]))
    pivot, zero = broad(x, answer[PIVOT]), broad(x, 0.0)
    one, full = integers_like(support, 1), integers_like(support, 0)
    sum_a, rest_a, lost_a, sum_b, rest_b, lost_b = zero, zero, zero, zero, zero, zero
    i = 0
    while i < x.size:
        start = min(i, x.size - step)
        v = select(last(x, step - (i - start)), load(x, start), like(x, -np.inf))
        free = (v >= support) & (v < saturated)
        full = add_where(v >= saturated, full, one)
        d = select(free, broad(x, v) - pivot, zero)
        if (i // step) % 2:
            sum_a, rest_a, lost_a = _add_exactly(d, sum_a, rest_a, lost_a)
        else:
            sum_b, rest_b, lost_b = _add_exactly(d, sum_b, rest_b, lost_b)
        i += step
    sum_, rest, lost = 0.0, 0.0, total(lost_a) + total(lost_b)
    for v in (sum_a, sum_b, rest_a, rest_b):
        store(terms, 0, v)
        for j in range(step):
            sum_, rest, lost = _add_one(terms[j], sum_, rest, lost)
    taken, taken_rest = two_product(-tau, k - total(full))
    sum_, rest, lost = _add_one(taken, sum_, rest, lost)
    sum_, rest, lost = _add_one(taken_rest, sum_, rest, lost)
    answer[NUMERATOR], answer[NUMERATOR_REST] = two_sum(sum_, rest)
    answer[ERROR] = 2.0 * lost


@jit()
def on_grid(theta, rest, scale):
    """(c, delta), theta + rest but for the rounding of delta: c a multiple of the last place of scores below scale / 8.

    So `enclose` knows what a score less c loses, whichever of the two is larger.
    """
    c = (theta + scale) - scale
    return c, (theta - c) + rest


@jit()
def enclose(u, minus_c, tau, tau_rest, inverse, low_shift, high_shift):
    """Two floats between which (u - c - delta) / (tau + tau_rest) rounds, each a lane; nearly always the same float twice.

    For a c of `on_grid`. The shifts are -delta / tau, less and plus a bound on the error. No rest is None.
    """
    d = u + minus_c
    e = u - (d - minus_c)
    p = d * inverse
    remainder = fma(-p, tau, d) + e  # inverse * remainder is what is missing from p, but for delta
    if tau_rest is not None:
        remainder = fma(-p, tau_rest, remainder)
    return p + fma(remainder, inverse, low_shift), p + fma(remainder, inverse, high_shift)


@jit()
def next_to_midpoint(p):
    """Where a p that is off by some ulps of float64 may round to float32 otherwise than the exact one.

    Midpoints of two float32 end in a one and 28 zeros.
    """
    tail = common_bits(as_integers(p) - integers_like(p, _HALF - ULPS), integers_like(p, 2 * _HALF - 1))
    return tail <= integers_like(p, 2 * ULPS)


@jit()
def _side(u, minus_c, delta, tau, low, half):
    """(s, lost): s has the sign of the exact (u - c - delta) - (low + half) tau where nothing is lost.

    At nearly every tie nothing is: the sum is 0, so no bits are left over at its end, and seldom on the way.
    """
    d, e = two_sum(u, minus_c)
    product, product_rest = two_product(low, tau)
    s, lost_a = two_sum(d, -product)
    s, lost_b = two_sum(s, -(half * tau))
    s, lost_c = two_sum(s, -product_rest)
    rest, lost_d = two_sum(e, -delta)
    return s + rest, (size(lost_a) + size(lost_b)) + (size(lost_c) + size(lost_d))


@jit()
def settle(u, minus_c, delta, tau, low, high):
    """(p, sure): which of two neighbouring floats (u - c - delta) / tau rounds to, ties to even."""
    half, zero = filled(u, 0.5) * (high - low), filled(u, 0.0)
    even = low + half
    s, lost = _side(u, minus_c, delta, tau, low, half)
    p = select(s > zero, high, select(s < zero, low, even))
    return p, (lost == zero) & ((even == low) | (even == high))


@jit()
def settle_narrow(u, minus_c, delta, tau, p):
    """(p, sure): a float64 that rounds to the float32 that (u - c - delta) / tau rounds to, for a p next to a midpoint."""
    below = common_bits(as_integers(p) - integers_like(p, _HALF - ULPS), integers_like(p, -2 * _HALF))
    middle, zero = below + integers_like(p, _HALF), filled(u, 0.0)
    s, lost = _side(u, minus_c, delta, tau, as_floats(middle), zero)
    one, none = integers_like(p, 1), integers_like(p, 0)
    return as_floats(add_where(s > zero, add_where(s < zero, middle, none - one), one)), lost == zero


@jit()
def _quotients(x, v, numbers, error):
    """(p, doubt, tiny): (v - c - delta) / tau rounded, where that may be wrong, and where it says nothing. Of free scores.

    The numbers are -c, tau and what it lacks, 1 / tau and -delta / tau; in the dtype of x, with a c of `on_grid`, or broad.
    """
    minus_c, tau, tau_rest, inverse, shift = numbers
    u = matching(minus_c, v)
    if is_broader(minus_c, v):
        p = fma(u + minus_c, inverse, shift)
        return like(x, p), next_to_midpoint(p), p < error
    low, high = enclose(u, minus_c, tau, tau_rest, inverse, shift - error, shift + error)
    return like(x, high), low < high, high != high


@kernel()
def round_row(x, k, tau, answer, out, terms):
    """Fill a row of p; whether every entry is correctly rounded for sure."""
    theta, rest, error = threshold_pair(answer)
    error, inverse = 2.0 * error / tau, 1.0 / tau
    done = np.int64(0)
    if not is_narrow(x) or (abs(theta) <= 8.0 * tau and 2.0**-60 <= tau <= 2.0**60):
        # In the dtype of the scores: in float32 twice as many at a time.
        scale = 8.0 * (abs(theta) + 2.0 * tau)
        c, delta = on_grid(theta, rest, scale * 2.0**29 if is_narrow(x) else scale)
        numbers = like(x, -c), like(x, tau), rest_like(x, tau), like(x, inverse), like(x, -delta / tau)
        off = error + (2.0**-40 if is_narrow(x) else 2.0**-98) * (1.0 + abs(theta) / tau)
        done = _round_row(x, k, tau, answer, out, terms, numbers, like(x, off), done)
    if is_narrow(x) and done < x.size:
        wide = broad(x, -theta), broad(x, tau), None, broad(x, inverse), broad(x, -rest / tau)
        done = _round_row(x, k, tau, answer, out, terms, wide, broad(x, max(error * 2.0**49, TINY)), done)
    return done == x.size


@jit()
def _round_row(x, k, tau, answer, out, terms, numbers, error, first):
    """See `round_row`, and `_quotients` for the numbers: from entry `first` on, as far as that is quick in float32.

    How many entries are rounded then; or more than there are, if that could not be done.
    """
    n = x.size
    step = lanes(x)
    hurried, asked = is_narrow(x) and not is_broader(error, like(x, 0.0)), 0
    supported, full = like(x, ceil_like(x, answer[SUPPORT_FROM])), like(x, ceil_like(x, answer[SATURATED_FROM]))
    zero, one = like(x, 0.0), like(x, 1.0)
    # Entries grow with their scores: if the lowest that is not 0 is not tiny, none is.
    _p, _doubt, any_tiny = _quotients(x, supported, numbers, error)
    sharp, rare = False, 8.0 * step * answer[COUNT] <= n
    for block in range(first, n, _BLOCK):
        end = min(block + _BLOCK, n)
        doubts = any_tiny
        i = block
        while i < end:
            start = min(i, n - step)
            i += step
            v = load(x, start)
            inside = v >= supported
            free = inside & (v < full)
            if rare and not any_of(free):
                store(out, start, select(inside, one, zero))
                continue
            p, doubt, _tiny = _quotients(x, v, numbers, error)
            store(out, start, select(inside, smaller(p, one), zero))
            doubts = doubts | (doubt & free)
        if not any_of(doubts):
            continue
        while block < end:
            if hurried and asked > _DOUBTS + block // 64:
                return block
            start = min(block, n - step)
            v = load(x, start)
            p, doubt, tiny = _quotients(x, v, numbers, error)
            left = bits((doubt | tiny) & (v >= supported) & (v < full))
            while left != 0:
                j = start + lowest_bit(left)
                if not entry(np.float64(x[j]), tau, answer, out, j, terms):
                    if sharp:
                        return n + 1
                    sharp = True
                    sharpen(x, k, tau, answer, terms)
                    continue
                left &= left - 1
                asked += 1
            block += step
    return n


@jit()
def round_constant(x, tau, answer, out, terms):
    """As `round_row`, for a row of equal scores."""
    if not entry(np.float64(x[0]), tau, answer, out, np.int64(0), terms):
        return False
    step, p = lanes(out), like(out, np.float64(out[0]))
    for i in range(0, out.size - step, step):
        store(out, i, p)
    store(out, out.size - step, p)
    return True
