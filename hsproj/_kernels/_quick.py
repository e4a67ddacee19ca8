"""Thresholds of ordinary rows: (m, n) scores in, the record of a row out if two kinds of vectorised passes prove it.

`_approach` finds theta to working precision. One more pass then adds up the free differences exactly, in any order: each is
split on two fixed grids, and sums of multiples of a grid that fit 53 bits round nothing. It also counts the scores within a
narrow band around theta and around theta + tau. If there are none and the exact theta lies in the band, then every score
is on its side, proved. What is not so simple is declined: kinks, near kinks, infinite scores, extreme scales.
docs/numerics.md, section "The quick stage".
"""

import math

import numpy as np

from hsproj._kernels._arithmetic import divide, exact_sum, two_product
from hsproj._kernels._jit import jit
from hsproj._kernels._solve import (
    CERTIFIED,
    DELTA_ERROR,
    DELTA_HIGH,
    DELTA_LOW,
    LARGEST,
    LEAST,
    PIVOT,
    SATURATED_FROM,
    SCALE,
    SMALLEST,
    SUPPORT_FROM,
    UNDECIDED,
    _approach,
)

PROOFS = 3
# Half-width of a band, relative to |theta| + tau: far above all rounding, far below all but freak gaps.
BAND = 2.0**-42
_EPS = 2.0**-52


@jit(fastmath={"reassoc", "nsz"})
def _add(a, b):
    """A + b, in whatever order suits a loop: for sums that are exact, or whose error is bounded for every order."""
    return a + b


@jit()
def _totals(x):
    """(sum of the scores, sum of their sizes): both finite and small only if every score is."""
    total = 0.0
    size = 0.0
    for i in range(x.size):
        u = np.float64(x[i])
        total = _add(total, u)
        size = _add(size, abs(u))
    return total, size


@jit()
def _grid(most, n):
    """A number g such that (g + d) - g rounds |d| <= most to a grid on which n such numbers add up exactly."""
    return math.ldexp(1.5, math.frexp(most * n)[1] + 2)


@jit()
def _free_sum(x, theta, low, high, low_up, high_up, coarse, fine, parts):
    """Adds up x_i - theta over high < x_i < low_up; counts (x >= low, x > high, x >= low_up, x > high_up).

    `parts` takes the sum: three parts that are exact, a remainder, and the sum of the sizes of what went into that.
    """
    count_low = 0
    count_high = 0
    count_low_up = 0
    count_high_up = 0
    upper = 0.0
    middle = 0.0
    lower = 0.0
    rest = 0.0
    lost = 0.0
    for i in range(x.size):
        u = np.float64(x[i])
        count_low += u >= low
        count_high += u > high
        count_low_up += u >= low_up
        count_high_up += u > high_up
        v = u if (u > high) & (u < low_up) else theta
        # two_sum(v, -theta), written out: d + e is exact.
        d = v - theta
        back = d - v
        e = (v - (d - back)) + (-theta - back)
        d_coarse = (coarse + d) - coarse
        d_rest = d - d_coarse
        d_fine = (fine + d_rest) - fine
        e_fine = (fine + e) - fine
        d_rest -= d_fine
        e -= e_fine
        upper = _add(upper, d_coarse)
        middle = _add(middle, d_fine)
        lower = _add(lower, e_fine)
        rest = _add(rest, d_rest + e)
        lost = _add(lost, abs(d_rest) + abs(e))
    parts[0] = upper
    parts[1] = middle
    parts[2] = lower
    parts[3] = rest
    parts[4] = lost
    return count_low, count_high, count_low_up, count_high_up


@jit()
def _quick_row(x, k, tau, record, parts, terms):
    """One row: CERTIFIED with its record, or UNDECIDED."""
    total, size = _totals(x)
    if not (size <= LARGEST and SMALLEST <= tau <= LARGEST and SMALLEST <= k < x.size):
        return UNDECIDED
    theta = _approach(x, k, tau, -np.inf, np.inf, (total - k * tau) / x.size)
    for _ in range(PROOFS):
        band = BAND * (abs(theta) + tau)
        up = theta + tau
        if not theta + band < up - band:
            return UNDECIDED
        coarse = _grid(2.0 * tau, x.size)
        fine = _grid(coarse * _EPS, x.size)
        count_low, above, count_low_up, saturated = _free_sum(
            x, theta, theta - band, theta + band, up - band, up + band, coarse, fine, parts
        )
        if count_low != above or count_low_up != saturated:
            return UNDECIDED
        free = above - saturated
        rest = k - saturated
        if free == 0 or rest < 0.0:
            if rest != 0.0:
                return UNDECIDED
            delta, delta_rest, error = 0.0, 0.0, 0.0
        else:
            terms[0], terms[1] = two_product(-tau, rest)
            terms[2:6] = parts[:4]
            high, low, lost = exact_sum(terms, 6)
            delta, delta_rest, delta_lost = divide(high, low, np.float64(free))
            # A plain sum of n terms, in any order, is off by less than n eps times the sum of their sizes.
            lost += (x.size + 4.0) * _EPS * parts[4] + delta_lost
            error = max(2.0 * lost / free, LEAST) if lost > 0.0 else 0.0
        if abs(delta) + error < 0.9 * band:
            record[PIVOT] = theta
            record[DELTA_HIGH] = delta
            record[DELTA_LOW] = delta_rest
            record[DELTA_ERROR] = error
            record[SCALE] = 1.0
            record[SUPPORT_FROM] = theta
            record[SATURATED_FROM] = up
            return CERTIFIED
        theta += delta
    return UNDECIDED


@jit()
def quick_rows(rows, k, temperature, records, status):
    """Fill records (m, COLUMNS) and status (m,) for rows (m, n), k (m,) and temperature (m,); without margins and kinks."""
    parts, terms = np.empty(5), np.empty(6)
    for r in range(rows.shape[0]):
        records[r, :] = np.nan
        status[r] = _quick_row(rows[r], k[r], temperature[r], records[r], parts, terms)
