"""Passes that use a known threshold: the projection itself, its masks, and the tangent map.

Rows are (m, n), C-contiguous, float32 or float64; all arithmetic is in float64 and rounded once on the way out.
"""

import numpy as np

from hsproj._kernels._arithmetic import two_sum
from hsproj._kernels._jit import jit, kernel
from hsproj._kernels._long import ceil_like
from hsproj._kernels._simd import (
    fma,
)
from hsproj._kernels._solve import (
    DELTA_ERROR,
    DELTA_HIGH,
    DELTA_LOW,
    LEAST,
    PIVOT,
    SATURATED_FROM,
    SCALE,
    SUPPORT_FROM,
)

# SLIGHTLY: more than the rounding of a sum, relative. PAIR: more than the error of an answer held in two floats, relative.
# Below TINY error terms may underflow.
_SLIGHTLY, _PAIR, _TINY = 2.0**-50, 2.0**-100, 2.0**-300
# A difference with a number below HUGE overflows only if it has to: half of the last place of the largest float is 2^970.
_HUGE = 2.0**969


@jit()
def _quotient(u, pivot, up, delta, delta_rest, tau):
    """(p, rest, lost) with ((u - pivot) up - delta) / tau = p + rest give or take lost.

    Every operation is followed by its own error, and lost adds up those that no longer fit: it is 0 only if p + rest is
    exact, but for the error of delta itself.
    """
    d, e = two_sum(u, -pivot)
    q, q_rest = two_sum(d * up, -delta)
    t, lost = two_sum(e * up, -delta_rest)
    q_rest, error = two_sum(q_rest, t)
    lost = abs(lost) + abs(error)
    q, q_rest = two_sum(q, q_rest)
    # p = q / tau, and what remains over tau again.
    p = q / tau
    remainder, error = two_sum(fma(-p, tau, q), q_rest)
    lost += abs(error)
    rest = remainder / tau
    lost += abs(fma(-rest, tau, remainder))
    p, rest = two_sum(p, rest)
    # The product of a tiny quotient and tau may lose bits below all floats without a trace.
    exact = lost == 0.0 and (remainder == 0.0 or abs(remainder) > _TINY)
    return p, rest, 0.0 if exact else max(2.0 * lost / tau, LEAST)


@jit()
def _round(p, rest, lost, narrow):
    """(float64, doubtful): p + rest rounded to float64, or to float32 if `narrow`; doubtful if lost could change it.

    p is the float64 nearest to p + rest. To find the float32 nearest to it, rounding p is enough unless p is a midpoint of
    two float32 numbers; then the sign of rest decides, and without a rest the tie does.
    """
    reach = 2.0 * lost + abs(rest) * _SLIGHTLY if lost > 0.0 else 0.0
    doubtful = p + (rest + reach) != p or p + (rest - reach) != p
    if not narrow:
        return p, doubtful
    near = np.float64(np.float32(p))
    far = near + 2.0 * (p - near)
    if near == p or np.float64(np.float32(far)) != far:
        return near, doubtful
    if lost > 0.0 and abs(rest) <= 2.0 * lost:
        return near, True
    if rest == 0.0:
        return near, doubtful
    return (max(near, far) if rest > 0.0 else min(near, far)), doubtful


@kernel()
def project_rows(rows, temperature, records, out, doubtful):
    """p_i = (x_i - theta) / tau for the free scores, 0 below them and 1 above: correctly rounded, or the row is doubtful.

    Which entries are free is decided by comparing scores, never by the quotient. Returns nothing; fills `out` and the
    flags `doubtful` (m,) of rows with an entry whose rounding the float arithmetic leaves open.
    """
    m, n = rows.shape
    narrow = out.itemsize == 4
    for r in range(m):
        # Scale down scores, but up only differences: huge scores lose nothing by it, and scores next to a tiny temperature
        # could overflow.
        down = min(records[r, SCALE], 1.0)
        up = max(records[r, SCALE], 1.0)
        pivot = records[r, PIVOT] * down
        delta = records[r, DELTA_HIGH]
        delta_rest = records[r, DELTA_LOW]
        support_from = records[r, SUPPORT_FROM]
        saturated_from = records[r, SATURATED_FROM]
        doubtful[r] = False
        if np.isnan(support_from):
            out[r, :] = np.nan
            continue
        tau = temperature[r] * records[r, SCALE]
        delta_lost = max(records[r, DELTA_ERROR] / tau, LEAST) if records[r, DELTA_ERROR] > 0.0 else 0.0
        # First without a branch: `_quotient` short of its last bits, which change the rounding of next to no entry.
        doubts = 0
        for i in range(n):
            u = np.float64(rows[r, i])
            d, e = two_sum(u * down, -pivot)
            q, q_rest = two_sum(d * up, -delta)
            q_rest += e * up - delta_rest
            p = q / tau
            p, rest = two_sum(p, (fma(-p, tau, q) + q_rest) / tau)
            lost = p * _PAIR + delta_lost + abs(rest) * _SLIGHTLY
            doubt = (p + (rest + lost) != p) | (p + (rest - lost) != p) | (p < _TINY)
            if narrow:
                near = np.float64(np.float32(p))
                far = near + 2.0 * (p - near)
                doubt |= (near != p) & (np.float64(np.float32(far)) == far)
            supported = u >= support_from
            saturated = u >= saturated_from
            doubts += doubt & supported & (not saturated)
            out[r, i] = 1.0 if saturated else (p if supported else 0.0)
        if doubts == 0:
            continue
        for i in range(n):
            u = np.float64(rows[r, i])
            if u >= support_from and u < saturated_from:
                p, rest, lost = _quotient(u * down, pivot, up, delta, delta_rest, tau)
                p, doubt = _round(p, rest, lost + delta_lost, narrow)
                out[r, i] = p
                doubtful[r] |= doubt or p < _TINY


@kernel()
def threshold_rows(records, narrow, out, doubtful):
    """Theta = pivot + delta / scale, correctly rounded to float64 (to float32 if `narrow`), or the row is doubtful."""
    for r in range(out.size):
        pivot = records[r, PIVOT]
        doubtful[r] = False
        if not np.isfinite(pivot):
            out[r] = pivot
            continue
        theta, rest = two_sum(pivot, records[r, DELTA_HIGH])
        rest, error = two_sum(rest, records[r, DELTA_LOW])
        theta, rest = two_sum(theta, rest)
        theta, doubt = _round(theta, rest, 2.0 * abs(error) + records[r, DELTA_ERROR], narrow)
        out[r] = theta
        doubtful[r] = doubt or records[r, SCALE] != 1.0 or not np.isfinite(theta)


@kernel()
def mask_rows(rows, bounds, free, saturated):
    """The exact masks: scores compared with scores, nothing recomputed."""
    m, n = rows.shape
    for r in range(m):
        x, inside, above = rows[r], free[r], saturated[r]
        support_from, saturated_from = ceil_like(x, bounds[r, 0]), ceil_like(x, bounds[r, 1])
        for i in range(n):
            inside[i] = (x[i] >= support_from) & (x[i] < saturated_from)
        for i in range(n):
            above[i] = x[i] >= saturated_from


@kernel()
def top_rows(rows, k, least, out):
    """Exactly k[r] ones a row, ties to the lowest index, given the k[r]-th largest score `least`; NaN where that is none."""
    m, n = rows.shape
    for r in range(m):
        if not least[r] > -np.inf:
            out[r, :] = np.nan
            continue
        left = k[r]
        for i in range(n):
            above = rows[r, i] > least[r]
            out[r, i] = 1.0 if above else 0.0
            left -= above
        for i in range(n):
            if left > 0 and rows[r, i] == least[r]:
                out[r, i] = 1.0
                left -= 1
