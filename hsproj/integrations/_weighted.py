"""The projection of one row whose entries have weights: an entry of weight w counts as w equal entries.

p = argmin over {p in [0,1]^n, sum w p = k} of sum w (p - x/tau)^2 / 2, that is p_i = clip((x_i - theta) / tau, 0, 1) with
theta the root of sum w clip((x - theta) / tau, 0, 1) = k. docs/pipelines.md, section "Weights".
"""

import math

import numpy as np

from hsproj._inputs import Array

_PASSES = 3
"""In so many passes the bracket of the root has to halve, or it is cut in half."""
_CLOSE = 2.0**-51
"""A step of Newton's method that is smaller, relative, is rounding."""
_DOUBT = 2.0**-46
"""How far p may be off, relative to what magnifies rounding: entries so close to 0 or 1 may be exactly that."""


def project(x: Array, weight: Array, k: float, tau: float) -> tuple[Array, float]:
    """(p, theta) of float64 scores, for 0 <= k <= sum of the weights; theta is infinite for the two ends.

    The total is within 1e-12 (1 + max|x| / tau) of k, relative to the sum of the weights.
    """
    theta = _threshold(x, weight, k, tau)
    if math.isinf(theta):
        return np.full(x.size, 0.0 if theta > 0 else 1.0), theta
    p: Array = np.clip((x - theta) / tau, 0.0, 1.0)
    free = float(weight.sum(where=(p > 0.0) & (p < 1.0)))
    if free > 0:
        # At a vertex rounding would leave the lowest ones, or the highest zeros, free: with a gradient, if they are tied.
        doubt = min(_DOUBT * (1.0 + k / free + abs(theta) / tau), 2.0**-20)
        p[p <= doubt], p[p >= 1.0 - doubt] = 0.0, 1.0
    return p, theta


def _threshold(x: Array, weight: Array, k: float, tau: float) -> float:
    from hsproj._kernels._weighted import total_at

    carried = x[weight > 0]
    aim = k * tau
    if k <= 0 or not carried.size:
        return math.inf
    # The total at `low` is the greatest there is, and at `high` it is 0.
    low, high = float(carried.min()) - tau, float(carried.max())
    if total_at(x, weight, low, tau)[0] <= aim:
        return -math.inf
    theta, width, passes = 0.5 * (low + high), high - low, 0
    while low < theta < high:
        total, free = total_at(x, weight, theta, tau)
        if abs(total - aim) <= _CLOSE * aim:
            break
        low, high = (theta, high) if total > aim else (low, theta)
        # Newton's step is exact on the piece where the root is. Where it goes astray, halves of the bracket find that piece.
        step = theta + (total - aim) / free if free > 0 else math.inf
        if abs(step - theta) <= _CLOSE * (abs(theta) + tau):
            break
        passes += 1
        astray = not low < step < high
        if passes % _PASSES == 0:
            astray, width = astray or high - low > 0.5 * width, high - low
        theta = 0.5 * (low + high) if astray else step
    return theta


def choose(x: Array, weight: Array, k: float) -> Array:
    """The limit of p as tau falls to 0: 1 above the score at which the weights from the top reach k, a share of it there."""
    order = np.argsort(-x)
    scores = x[order]
    starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))  # of groups of equal scores
    held = np.add.reduceat(weight[order], starts)
    left = k - (np.cumsum(held) - held)
    shares = np.clip(left / np.where(held > 0, held, 1.0), 0.0, 1.0)
    chosen = np.empty(x.size)
    chosen[order] = np.repeat(shares, np.diff(np.append(starts, x.size)))
    return chosen
