"""Error-free transformations: floats in, a rounded result and its exact error out.

`two_sum` (Knuth) and `two_product` (by a fused multiply-add) are exact while nothing overflows and no product's error term
underflows; `docs/numerics.md`, section "Safe range", says why the kernels stay there. Never compile these with
fast-math: a compiler that may reassociate deletes the error terms.
"""

from hsproj._kernels._jit import jit
from hsproj._kernels._simd import fma


@jit()
def two_sum(a, b):
    """(s, e) with s = fl(a + b) and s + e = a + b exactly."""
    s = a + b
    b_part = s - a
    return s, (a - (s - b_part)) + (b - b_part)


@jit()
def two_product(a, b):
    """(p, e) with p = fl(a * b) and p + e = a * b exactly."""
    p = a * b
    return p, fma(a, b, -p)


@jit()
def exact_sum(terms, count):
    """(high, low, lost) of the exact sum of `terms[:count]`, which is high + low give or take lost; overwrites `terms`.

    Shewchuk's growing expansion: afterwards the terms are the exact sum as nonoverlapping parts, so the largest nonzero
    part carries its sign, and the sum is zero if and only if every part is zero.
    """
    for i in range(1, count):
        carry = terms[i]
        for j in range(i):
            carry, terms[j] = two_sum(carry, terms[j])
        terms[i] = carry
    high = 0.0
    low = 0.0
    lost = 0.0
    for i in range(count - 1, -1, -1):
        high, error = two_sum(high, terms[i])
        low, error = two_sum(low, error)
        lost += abs(error)
    high, low = two_sum(high, low)
    return high, low, 2.0 * lost


@jit()
def divide(high, low, divisor):
    """(q, r, lost) with (high + low) / divisor = q + r give or take lost / divisor; lost is 0 if that is exact.

    The remainder of a correctly rounded quotient is a float, so each of the two steps below loses nothing it doesn't see.
    """
    q = high / divisor
    p, e = two_product(q, divisor)
    remainder, lost = two_sum((high - p) - e, low)
    r = remainder / divisor
    p, e = two_product(r, divisor)
    lost = abs((remainder - p) - e) + abs(lost)
    q, r = two_sum(q, r)
    return q, r, 2.0 * lost


@jit()
def exceeds(high, low, other_high, other_low):
    """Whether high + low > other_high + other_low, both normalised pairs (|low| <= ulp(high) / 2)."""
    return high > other_high or (high == other_high and low > other_low)


@jit()
def nonzero(numbers):
    """How many of them are not 0."""
    count = 0
    for number in numbers:
        count += number != 0
    return count
