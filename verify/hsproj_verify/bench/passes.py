"""Compiled passes over C-contiguous arrays: the bare passes, and the thresholds of the reference.

`rows` are (m, n), a problem a row; `columns` are (n, m), a problem a column, and are read in the order of memory, too.
"""

import numba
import numpy as np

_sums = numba.njit(nogil=True, fastmath={"reassoc", "contract"})  # no NaN and no infinity comes here


@numba.njit(nogil=True)
def clip_rows(rows, theta, out):
    """clip(rows - theta, 0, 1)."""
    zero, one = rows.dtype.type(0), rows.dtype.type(1)
    for r in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            out[r, i] = min(max(rows[r, i] - theta[r], zero), one)


@numba.njit(nogil=True)
def clip_columns(columns, theta, out):
    """clip(columns - theta, 0, 1)."""
    zero, one = columns.dtype.type(0), columns.dtype.type(1)
    for i in range(columns.shape[0]):
        for c in range(columns.shape[1]):
            out[i, c] = min(max(columns[i, c] - theta[c], zero), one)


@_sums
def centre_rows(rows, out):
    """Rows less their means."""
    for r in range(rows.shape[0]):
        total = 0.0
        for i in range(rows.shape[1]):  # vectorises, where `for x in rows[r]` doesn't
            total += rows[r, i]
        mean = rows.dtype.type(total / rows.shape[1])
        for i in range(rows.shape[1]):
            out[r, i] = rows[r, i] - mean


@_sums
def centre_columns(columns, out):
    """Columns less their means."""
    totals = np.zeros(columns.shape[1])
    for i in range(columns.shape[0]):
        for c in range(columns.shape[1]):
            totals[c] += columns[i, c]
    means = (totals / columns.shape[0]).astype(columns.dtype)
    for i in range(columns.shape[0]):
        for c in range(columns.shape[1]):
            out[i, c] = columns[i, c] - means[c]


@_sums
def excess(row, t, k, tau):
    """Tau (sum p - k) at the threshold t. The saturated are counted, so that a small rest isn't lost beside them."""
    total, saturated = 0.0, 0
    for i in range(row.size):
        d = row[i] - t
        saturated += d >= tau
        total += d if 0.0 < d < tau else 0.0
    return total + (saturated - k) * tau


@numba.njit(nogil=True)
def thresholds(rows, breakpoints, k, tau):
    """A threshold for each row, whose breakpoints are sorted."""
    theta = np.empty(rows.shape[0])
    for r in range(rows.shape[0]):
        # At the least breakpoint every entry is saturated, at the greatest none is above 0.
        low, high = 0, breakpoints.shape[1] - 1
        while high - low > 1:
            middle = (low + high) // 2
            if excess(rows[r], breakpoints[r, middle], k, tau) > 0.0:
                low = middle
            else:
                high = middle
        a, b = breakpoints[r, low], breakpoints[r, high]
        above, below = excess(rows[r], a, k, tau), excess(rows[r], b, k, tau)
        # At a vertex b itself is one, and a float below it would set free what is tied there.
        theta[r] = a + (b - a) * (above / (above - below)) if below < 0.0 else b
    return theta
