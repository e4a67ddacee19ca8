"""The tangent map: (m, n) tangents and free sets in, the Jacobian of the projection times the tangents out.

(1/tau) (f v - f mean_F(v)) a row, f the indicator of the free set F: the Jacobian is symmetric, so this is jvp and vjp.
Sums are compensated and everything is rounded once, on the way out: equal cotangents give 0, not nearly 0.
"""

from typing import Any

import numpy as np

from hsproj._kernels._arithmetic import divide, two_sum
from hsproj._kernels._jit import jit
from hsproj._kernels._long import ceil_like
from hsproj._kernels._short import LANES, gather, scatter
from hsproj._kernels._simd import (
    add_where,
    bits,
    broad,
    fma,
    integers_like,
    is_narrow,
    lane,
    lanes,
    larger,
    last,
    like,
    load,
    load_between,
    select,
    size,
    store,
    swap_1,
    swap_2,
    swap_4,
    swap_8,
    total,
)

# A difference with a number below HUGE overflows only if it has to: half of the last place of the largest float is 2^970.
_HUGE = 2.0**969
SHORT = 24
"""Up to how many entries eight rows share vectors."""


def tangents(v: Any, sources: Any, bounds: Any, temperature: Any, out: Any) -> None:
    """Fill `out` (m, n): the Jacobian times v, a row each.

    The free set of row r holds the entries with bounds[r, 0] <= sources[r, i] < bounds[r, 1]: of scores in the dtype of v, or
    of booleans, with bounds that tell true from false.
    """
    n = v.shape[1]
    if n <= SHORT:
        scores = sources.astype(v.dtype) if sources.dtype == np.bool_ else sources
        tangent_short(v, scores, bounds, temperature, out, np.empty((2 * n + 3) * LANES))
    else:
        tangent_rows(v, sources, bounds, temperature, out)


@jit()
def _add(v, sum_, rest):
    sum_, error = two_sum(sum_, v)
    return sum_, rest + error


@jit()
def _fold(v, sum_, rest):
    """The sum of all lanes of a broad vector of v, with what its rounding loses added to `rest`, as (sum, rest)."""
    other = swap_1(sum_)
    sum_, error = two_sum(sum_, other)
    sum_2, error_2 = two_sum(sum_, swap_2(sum_))
    sum_4, error_4 = two_sum(sum_2, swap_4(sum_2))
    # Errors come twice, four and eight times: once for each lane that has the same sum.
    rest = total(rest) + 0.5 * total(error) + 0.25 * total(error_2) + 0.125 * total(error_4)
    if lanes(v) > 8:
        sum_8, error_8 = two_sum(sum_4, swap_8(sum_4))
        return lane(sum_8, 0), rest + 0.0625 * total(error_8)
    return lane(sum_4, 0), rest


@jit()
def _free_mean(v, source, low, high, scale):
    """(high, low) of the mean of scale * v over the free entries, by compensated sums; (0, 0) if none is free.

    Sums of float32 are sums of float64, which lose nothing that matters.
    """
    width = lanes(v)
    sum_, rest, count = 0.0, 0.0, 0.0
    if v.size >= width:
        zero, factor = broad(v, 0.0), broad(v, scale)
        none, one = integers_like(zero, 0), integers_like(zero, 1)
        sum_a, rest_a, sum_b, rest_b, number = zero, zero, zero, zero, none
        i = 0
        while i + 2 * width <= v.size:
            here, next_ = load_between(v, i, source, low, high), load_between(v, i + width, source, low, high)
            a, b = (
                select(here, broad(v, load(v, i)) * factor, zero),
                select(next_, broad(v, load(v, i + width)) * factor, zero),
            )
            if is_narrow(v):
                sum_a, sum_b = sum_a + a, sum_b + b
            else:
                sum_a, rest_a = _add(a, sum_a, rest_a)
                sum_b, rest_b = _add(b, sum_b, rest_b)
            number = add_where(next_, add_where(here, number, one), one)
            i += 2 * width
        while i < v.size:
            # The last vector may overlap with what was dealt with: only its upper lanes count.
            start = min(i, v.size - width)
            here = load_between(v, start, source, low, high) & last(v, width - (i - start))
            sum_a, rest_a = _add(select(here, broad(v, load(v, start)) * factor, zero), sum_a, rest_a)
            number = add_where(here, number, one)
            i += width
        sum_a, error = two_sum(sum_a, sum_b)
        count = total(number)
        sum_, rest = _fold(v, sum_a, (rest_a + rest_b) + error)
    else:
        for i in range(v.size):
            if low <= source[i] < high:
                count += 1.0
                sum_, rest = _add(scale * np.float64(v[i]), sum_, rest)
    if count == 0.0 or not np.isfinite(sum_):
        return sum_, 0.0
    sum_, rest = two_sum(sum_, rest)
    mean, mean_rest, _lost = divide(sum_, rest, count)
    return mean, mean_rest


@jit()
def _divide(x, d, divisor, inverse, ordinary):
    """Differences over the temperature. For float32, a quotient by the reciprocal and its remainder will do."""
    if is_narrow(x) and ordinary:
        q = d * inverse
        return fma(fma(-q, divisor, d), inverse, q)
    return d / divisor


@jit()
def tangent_rows(v, sources, bounds, temperature, out):
    """See `tangents`, of any rows."""
    m, n = v.shape
    width = lanes(v)
    for r in range(m):
        x, y, source, tau = v[r], out[r], sources[r], temperature[r]
        low, high = np.float64(ceil_like(x, bounds[r, 0])), np.float64(ceil_like(x, bounds[r, 1]))
        # Scaling down keeps sums and differences of huge cotangents from overflowing before the division.
        scale = 1.0
        mean, mean_rest = _free_mean(x, source, low, high, scale)
        if not abs(mean) < _HUGE:
            scale = 2.0**-64
            mean, mean_rest = _free_mean(x, source, low, high, scale)
        if scale == 1.0 and n >= width:
            first, second, divisor, zero = broad(x, mean), broad(x, mean_rest), broad(x, tau), like(x, 0.0)
            # There nothing that is made of float32 leaves the range of float64.
            inverse, ordinary = broad(x, 1.0 / tau), 2.0**-300 <= tau <= 2.0**300
            for i in range(0, n, width):
                start = min(i, n - width)
                d = _divide(x, (broad(x, load(x, start)) - first) - second, divisor, inverse, ordinary)
                store(y, start, select(load_between(x, start, source, low, high), like(x, d), zero))
        else:
            for i in range(n):
                d = (np.float64(x[i]) * scale - mean) - mean_rest
                y[i] = d / tau / scale if low <= source[i] < high else 0.0


@jit()
def tangent_short(v, scores, bounds, temperature, out, scratch):
    """See `tangents`, of short rows, eight of them at a time: each row is a lane of the vectors."""
    m, n = v.shape
    width = n * LANES
    entries, tangents = scratch[:width], scratch[width : 2 * width]
    rest = scratch[2 * width :]
    lows, highs, taus = rest[:LANES], rest[LANES : 2 * LANES], rest[2 * LANES :]
    zero, one = broad(scratch, 0.0), broad(scratch, 1.0)
    for first in range(0, m, LANES):
        count = min(LANES, m - first)
        gather(scores, first, count, entries)
        gather(v, first, count, tangents)
        for i in range(LANES):
            r = first + min(i, count - 1)
            lows[i], highs[i], taus[i] = bounds[r, 0], bounds[r, 1], temperature[r]
        low, high, tau = load(lows, 0), load(highs, 0), load(taus, 0)
        sum_, errors, number = zero, zero, zero
        for i in range(0, width, LANES):
            x = load(entries, i)
            here = (x >= low) & (x < high)
            sum_, error = two_sum(sum_, select(here, load(tangents, i), zero))
            errors, number = errors + error, add_where(here, number, one)
        sum_, errors = two_sum(sum_, errors)
        number = larger(number, one)
        mean = sum_ / number
        mean_rest = (fma(-mean, number, sum_) + errors) / number
        for i in range(0, width, LANES):
            x = load(entries, i)
            here = (x >= low) & (x < high)
            store(tangents, i, select(here, ((load(tangents, i) - mean) - mean_rest) / tau, zero))
        scatter(tangents, first, count, out)
        huge = bits(~(size(mean) < broad(scratch, _HUGE)))
        for i in range(count):
            if (huge >> i) & 1:
                row = slice(first + i, first + i + 1)
                tangent_rows(v[row], scores[row], bounds[row], temperature[row], out[row])
