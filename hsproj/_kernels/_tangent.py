"""The tangent map: (m, n) tangents and free sets in, the Jacobian of the projection times the tangents out.

(1/tau) (f v - f mean_F(v)) a row, f the indicator of the free set F: the Jacobian is symmetric, so this is jvp and vjp.
Sums are compensated and everything is rounded once, on the way out: equal cotangents give 0, not nearly 0.
"""

from typing import Any

import numpy as np

from hsproj._kernels._arithmetic import divide, two_sum
from hsproj._kernels._jit import jit, kernel
from hsproj._kernels._long import ceil_like
from hsproj._kernels._simd import (
    EIGHT,
    any_of,
    as_integers,
    bits,
    broad,
    count_bits,
    fma,
    integers_like,
    is_narrow,
    larger,
    load,
    load_again,
    load_between,
    load_columns,
    load_eight,
    mask_of,
    matching,
    narrowed,
    select,
    size,
    store,
    store_eight,
)

# A difference with a number below HUGE overflows only if it has to: half of the last place of the largest float is 2^970.
_HUGE = 2.0**969
# Where cotangents are below LARGE and temperatures between these, nothing that is made of them leaves the range of float64.
_LARGE, _COLDEST, _HOTTEST = 2.0**600, 2.0**-300, 2.0**300
_TOGETHER = 256
"""Up to how many entries eight rows go together: all are read twice, and should still be in the nearest cache."""
_TRUE = 0.5, 1.5


def tangents(v: Any, sources: Any, bounds: Any, temperature: Any, out: Any) -> None:
    """Fill `out` (m, n): the Jacobian times v, a row each.

    The free set of row r holds the entries with bounds[r, 0] <= sources[r, i] < bounds[r, 1], of scores in the dtype of v;
    or `sources` are booleans and `bounds` is (m, 0).
    """
    m, n = v.shape
    if not v.size:
        return
    scratch = np.empty(22 * EIGHT)
    free = np.empty((EIGHT if n <= _TOGETHER else 1, -(-n // EIGHT)), np.uint8)
    if n >= EIGHT:
        tangent_rows(v, sources, bounds, temperature, out, scratch, free, 1.0)
        return
    # A vector is longer than such a row. What it reads behind it isn't used, and what it writes there is put right when it is
    # the turn of the row that it belongs to; only the last few rows need memory behind them.
    split = max((m * n - EIGHT) // n + 1, 0)
    if split:
        tangent_rows(v[:split], sources[:split], bounds[:split], temperature[:split], out[:split], scratch, free, 1.0)
    v, sources, products = (_with_memory_behind(rows[split:]) for rows in (v, sources, out))
    tangent_rows(v, sources, bounds[split:], temperature[split:], products, scratch, free, 1.0)
    out[split:] = products


def _with_memory_behind(rows: Any) -> Any:
    """A copy of rows with a vector of zeros behind it."""
    memory = np.zeros(rows.size + EIGHT, rows.dtype)
    memory[: rows.size] = rows.reshape(-1)
    return memory[: rows.size].reshape(rows.shape)


@jit()
def _ends(v, bounds, r):
    """The bounds of row r, in the dtype of v."""
    if bounds.shape[1] == 0:
        return _TRUE
    return np.float64(ceil_like(v, bounds[r, 0])), np.float64(ceil_like(v, bounds[r, 1]))


@jit()
def _add(a, sum_, rest, unit):
    """(sum, rest) with a added: `two_sum`, where every other subtraction goes to the multipliers.

    They do not know that `unit` is 1, so that adders and multipliers have as much to do.
    """
    s = sum_ + a
    part = fma(s, unit, -sum_)
    return s, rest + fma(fma(sum_, unit, -(s - part)), unit, a - part)


@jit()
def _load_free(v, i, source, low, high, scratch):
    """(entries, bits): eight entries from v[i] on, 0 where they are not free, and which ones are."""
    zero = broad(scratch, 0.0)
    free = load_between(scratch, i, source, low, high)
    return select(free, matching(zero, load_eight(v, i)), zero), bits(free)


@jit()
def _add_up(v, start, n, source, low, high, tail, ones, scratch, free, most):
    """(sums, rests, count, most) of a row at v[start]: eight sums of free entries, what they lack, how many entries they are.

    `most` are the largest bits of entries, this row's included. float32 lacks nothing: sums are float64. `free` gets a byte
    for each vector, to know again which entries are.
    """
    zero = broad(scratch, 0.0)
    end = start + n - EIGHT
    sum_a, here = _load_free(v, start, source, low, high, scratch)
    free[0] = here
    if n < EIGHT:
        sum_a, here = select(mask_of(zero, tail), sum_a, zero), here & tail
    count = count_bits(here)
    if not is_narrow(v):
        most = larger(most, as_integers(size(sum_a)))
    if n <= EIGHT:
        return sum_a, zero, count, most
    rest_a, sum_b, rest_b = zero, zero, zero
    j = 1
    i = start + EIGHT
    if i < end:
        sum_b, here = _load_free(v, i, source, low, high, scratch)
        free[1] = here
        count += count_bits(here)
        if not is_narrow(v):
            most = larger(most, as_integers(size(sum_b)))
        i += EIGHT
        j = 2
        while i < end:
            a, here = _load_free(v, i, source, low, high, scratch)
            free[j] = here
            count += count_bits(here)
            # Two sums take turns, and neither waits for the other.
            if is_narrow(v):
                sum_a, sum_b = sum_b, fma(a, ones, sum_a)
            else:
                most = larger(most, as_integers(size(a)))
                next_, rest = _add(a, sum_a, rest_a, ones)
                sum_a, rest_a, sum_b, rest_b = sum_b, rest_b, next_, rest
            i += EIGHT
            j += 1
        if is_narrow(v):
            sum_a = sum_a + sum_b
        else:
            sum_a, rest_a = _add(sum_b, sum_a, rest_a + rest_b, ones)
    # The last vector may overlap with the one before: only its upper lanes count.
    a, here = _load_free(v, end, source, low, high, scratch)
    free[j] = here
    a = select(mask_of(zero, tail), a, zero)
    count += count_bits(here & tail)
    if is_narrow(v):
        return sum_a + a, zero, count, most
    sum_a, rest_a = _add(a, sum_a, rest_a, ones)
    return sum_a, rest_a, count, larger(most, as_integers(size(a)))


@jit()
def _plain_sum(table):
    """The sums of eight rows of eight."""
    a, b, c, d, e, f, g, h = load_columns(table, 0, EIGHT)
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@jit()
def _sum(table, rests, ones):
    """The sums of eight rows of eight, as pairs."""
    a, b, c, d, e, f, g, h = load_columns(table, 0, EIGHT)
    sum_, rest = _add(b, a, _plain_sum(rests), ones)
    sum_, rest = _add(c, sum_, rest, ones)
    sum_, rest = _add(d, sum_, rest, ones)
    sum_, rest = _add(e, sum_, rest, ones)
    sum_, rest = _add(f, sum_, rest, ones)
    sum_, rest = _add(g, sum_, rest, ones)
    sum_, rest = _add(h, sum_, rest, ones)
    return two_sum(sum_, rest)


@jit()
def _multiply(v, start, n, source, free, mean, rest, tau, inverse, ones, scratch, out):
    """The row at v[start]: (v - mean - rest) / tau where it is free."""
    zero = broad(scratch, 0.0)
    end = start + max(n - EIGHT, 0)
    for j in range((n + EIGHT - 1) // EIGHT):
        i = min(start + j * EIGHT, end)
        d = matching(zero, load_eight(v, i)) - mean
        if is_narrow(v):
            p = fma(d, ones, -rest) * inverse
        else:
            # The quotient by its reciprocal, and what remains.
            d = d - rest
            p = d * inverse
            p = fma(fma(-p, tau, d), inverse, p)
        store_eight(out, i, narrowed(out, select(load_again(scratch, i, source, free, j), p, zero)))


@kernel()
def tangent_rows(v, sources, bounds, temperature, out, scratch, free, unit):
    """See `tangents`; `unit` is 1."""
    m, n = v.shape
    x, source, y = v.reshape(-1), sources.reshape(-1), out.reshape(-1)
    sums, rests, lanes = scratch[: 8 * EIGHT], scratch[8 * EIGHT : 16 * EIGHT], scratch[16 * EIGHT :]
    counts, taus, inverses = lanes[:EIGHT], lanes[EIGHT : 2 * EIGHT], lanes[2 * EIGHT : 3 * EIGHT]
    means, mean_rests = lanes[3 * EIGHT : 4 * EIGHT], lanes[4 * EIGHT : 5 * EIGHT]
    zero, one, ones = broad(scratch, 0.0), broad(scratch, 1.0), broad(scratch, unit)
    none, large = integers_like(zero, 0), as_integers(broad(scratch, _LARGE))
    coldest, hottest, huge = broad(scratch, _COLDEST), broad(scratch, _HOTTEST), broad(scratch, _HUGE)
    # The lanes of the last vector that no vector before has.
    tail = (1 << n) - 1 if n < EIGHT else 0xFF & (0xFF << (EIGHT - 1 - (n - 1) % EIGHT))
    for first in range(0, m, len(free)):
        count = min(len(free), m - first)
        most = none
        for i in range(count):
            r = first + i
            low, high = _ends(v, bounds, r)
            sum_, rest, number, most = _add_up(x, r * n, n, source, low, high, tail, ones, scratch, free[i], most)
            store(sums, i * EIGHT, sum_)
            if not is_narrow(v):
                store(rests, i * EIGHT, rest)
            counts[i], taus[i] = number, temperature[r]
        sum_, rest = (_plain_sum(sums), zero) if is_narrow(v) else _sum(sums, rests, ones)
        divisor, tau = larger(load(counts, 0), one), load(taus, 0)
        mean = sum_ / divisor
        mean, rest = two_sum(mean, (fma(-mean, divisor, sum_) + rest) / divisor)
        store(means, 0, mean)
        store(mean_rests, 0, rest)
        store(inverses, 0, one / tau)
        for i in range(count):
            mean_i, rest_i = broad(scratch, means[i]), broad(scratch, mean_rests[i])
            tau_i, inverse_i = broad(scratch, taus[i]), broad(scratch, inverses[i])
            _multiply(x, (first + i) * n, n, source, free[i], mean_i, rest_i, tau_i, inverse_i, ones, scratch, y)
        odd = bits(~((tau >= coldest) & (tau <= hottest) & (size(mean) < huge)))
        if any_of(most > large) or odd & ((1 << count) - 1) != 0:
            for i in range(count):
                r = first + i
                low, high = _ends(v, bounds, r)
                if (odd >> i) & 1 or _largest(v[r], sources[r], low, high) > _LARGE:
                    _divide_row(v[r], sources[r], low, high, temperature[r], out[r])


@jit()
def _largest(v, source, low, high):
    """The largest absolute value of free entries."""
    most = 0.0
    for i in range(v.size):
        if low <= source[i] < high:
            most = max(most, np.float64(abs(v[i])))
    return most


@jit()
def _free_mean(v, source, low, high, scale):
    """(high, low) of the mean of scale * v over the free entries, by compensated sums; (0, 0) if none is free."""
    sum_, rest, count = 0.0, 0.0, 0.0
    for i in range(v.size):
        if low <= source[i] < high:
            count += 1.0
            sum_, error = two_sum(sum_, scale * np.float64(v[i]))
            rest += error
    if count == 0.0 or not np.isfinite(sum_):
        return sum_, 0.0
    sum_, rest = two_sum(sum_, rest)
    mean, mean_rest, _lost = divide(sum_, rest, count)
    return mean, mean_rest


@jit()
def _divide_row(v, source, low, high, tau, out):
    """A row whose numbers may leave the range of float64 on the way."""
    # Scaling down keeps sums and differences of huge cotangents from overflowing before the division.
    scale = 1.0
    mean, rest = _free_mean(v, source, low, high, scale)
    if not abs(mean) < _HUGE:
        scale = 2.0**-64
        mean, rest = _free_mean(v, source, low, high, scale)
    for i in range(v.size):
        d = (np.float64(v[i]) * scale - mean) - rest
        out[i] = d / tau / scale if low <= source[i] < high else 0.0
