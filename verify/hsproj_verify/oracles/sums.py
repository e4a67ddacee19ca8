"""Sums of floats without any rounding, at the speed of a few passes over memory."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_CHUNK = 1 << 17  # entries that fit a cache; sums of so many halves of 26 bits are exact in float64


def exact_sum(values: np.ndarray) -> Fraction:
    """The sum of finite float64s as a rational number.

    A float64 is a 53-bit integer times a power of two that its first 12 bits, sign and exponent, name. So integers with the
    same 12 bits are added, in two halves of 26 bits whose sums stay far below 2^53, and the at most 4096 subtotals are put
    together in Python's integers.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.oracles.sums import exact_sum
    >>> exact_sum(np.array([1e300, 1.0, -1e300, 0.5]))
    Fraction(3, 2)
    """
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    counts, high, low = (np.zeros(4096, np.int64) for _ in range(3))
    half = (1 << 26) - 1
    for start in range(0, bits.size, _CHUNK):
        chunk = bits[start : start + _CHUNK]
        name = (chunk >> 52) & 0xFFF
        counts += np.bincount(name, minlength=4096)
        high += np.bincount(name, (chunk >> 26) & half, 4096).astype(np.int64)
        low += np.bincount(name, chunk & half, 4096).astype(np.int64)
    total = 0  # in units of the least subnormal, 2^-1074
    for group in map(int, np.flatnonzero(counts)):
        sign, exponent = -1 if group >> 11 else 1, group & 0x7FF
        implicit = int(counts[group]) << 52 if exponent else 0  # subnormal numbers have no leading one
        subtotal = implicit + (int(high[group]) << 26) + int(low[group])
        total += sign * (subtotal << max(exponent - 1, 0))
    return Fraction(total, 1 << 1074)
