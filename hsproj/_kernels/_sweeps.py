"""Passes that use a known threshold: the projection itself, its masks, and the tangent map.

Rows are (m, n), C-contiguous, float32 or float64; all arithmetic is in float64 and rounded once on the way out.
"""

import numpy as np

from hsproj._kernels._arithmetic import divide, split, two_sum
from hsproj._kernels._jit import jit
from hsproj._kernels._solve import DELTA_HIGH, DELTA_LOW, PIVOT, SATURATED_FROM, SCALE, SUPPORT_FROM


@jit()
def project_rows(rows, temperature, records, out):
    """p_i = (x_i - theta) / tau for the free scores, 0 below them and 1 above; theta = pivot + delta / scale.

    x_i - pivot is held exactly, as a pair, and the quotient is corrected by its remainder, so that p is off by little
    more than the final rounding. Which entries are free is decided by comparing scores, never by the rounded quotient.
    """
    m, n = rows.shape
    for r in range(m):
        pivot = records[r, PIVOT]
        delta = records[r, DELTA_HIGH]
        delta_rest = records[r, DELTA_LOW]
        scale = records[r, SCALE]
        support_from = records[r, SUPPORT_FROM]
        saturated_from = records[r, SATURATED_FROM]
        if np.isnan(support_from):
            out[r, :] = np.nan
            continue
        tau = temperature[r] * scale
        tau_high, tau_low = split(tau)
        for i in range(n):
            u = np.float64(rows[r, i])
            d, e = two_sum(u, -pivot)
            q, q_rest = two_sum(d * scale, -delta)
            q_rest += e * scale - delta_rest
            p = q / tau
            # The remainder q - p tau, exactly: two_product(p, tau) with tau split once for the row.
            product = p * tau
            p_high, p_low = split(p)
            product_rest = ((p_high * tau_high - product) + p_high * tau_low + p_low * tau_high) + p_low * tau_low
            p += (((q - product) - product_rest) + q_rest) / tau
            free = min(max(p, 0.0), 1.0) if u >= support_from else 0.0
            out[r, i] = 1.0 if u >= saturated_from else free


@jit()
def mask_rows(rows, records, free, saturated):
    """The exact masks: scores compared with scores, nothing recomputed."""
    m, n = rows.shape
    for r in range(m):
        support_from = records[r, SUPPORT_FROM]
        saturated_from = records[r, SATURATED_FROM]
        for i in range(n):
            u = np.float64(rows[r, i])
            saturated[r, i] = u >= saturated_from
            free[r, i] = (u >= support_from) & (u < saturated_from)


@jit()
def _free_mean(v, free, scale):
    """(high, low) of the mean of scale * v over the free entries, by a compensated sum; (0, 0) if none is free."""
    total = 0.0
    rest = 0.0
    lost = 0.0
    count = 0
    for i in range(v.size):
        if free[i]:
            count += 1
            total, error = two_sum(total, scale * np.float64(v[i]))
            rest, error = two_sum(rest, error)
            lost += error
    if count == 0 or not np.isfinite(total):
        return total, 0.0
    total, error = two_sum(total, rest)
    return divide(total, error + lost, np.float64(count))


@jit()
def tangent_rows(v, free, temperature, out):
    """(1/tau) (f v - f mean_F(v)) a row: the Jacobian is symmetric, so this is both the jvp and the vjp."""
    m, n = v.shape
    for r in range(m):
        # Halving the exponent range keeps a sum of huge cotangents from overflowing before the division.
        scale = 1.0
        mean, mean_rest = _free_mean(v[r], free[r], scale)
        if not np.isfinite(mean):
            scale = 2.0**-64
            mean, mean_rest = _free_mean(v[r], free[r], scale)
        tau = temperature[r]
        for i in range(n):
            out[r, i] = ((np.float64(v[r, i]) * scale - mean) - mean_rest) / tau / scale if free[r, i] else 0.0


@jit()
def top_rows(rows, k, out):
    """Exactly k[r] ones a row, at its largest scores, ties to the lowest index; NaN where k scores are not there."""
    m, n = rows.shape
    for r in range(m):
        row = rows[r]
        masked = 0
        has_nan = False
        for i in range(n):
            masked += row[i] == -np.inf
            has_nan |= np.isnan(row[i])
        if has_nan or k[r] > n - masked:
            out[r, :] = np.nan
            continue
        out[r, :] = 0.0
        if k[r] == 0:
            continue
        smallest = np.partition(row, n - k[r])[n - k[r]]
        left = k[r]
        for i in range(n):
            if row[i] > smallest:
                out[r, i] = 1.0
                left -= 1
        for i in range(n):
            if left > 0 and row[i] == smallest:
                out[r, i] = 1.0
                left -= 1
