"""Ways to find the threshold that stop too early, start in the wrong place or miscount."""

import numpy as np

from mutants._mutant import Array, nearest, relative, row
from right._operator import total


def _bisect(z: Array, k: float, tau: float, low: float, high: float, steps: int) -> Array:
    for _ in range(steps):
        theta = (low + high) / 2
        low, high = (theta, high) if total(z, theta, tau) >= k else (low, theta)
    return np.clip((z - (low + high) / 2) / tau, 0, 1)


@row("accurate_on_ordinary_scores", "accurate_on_tied_scores")
def thirty_bisection_steps(x: Array, k: float, tau: float) -> Array:
    """A fixed number of steps, too few for float64: jaxopt 0.8.5 takes 30."""
    z = relative(x)
    return _bisect(z, k, tau, z.min() - tau, z.max(), 30).astype(x.dtype)


@row("total_is_k", "accurate_on_ordinary_scores")
def tolerance_of_1e_5(x: Array, k: float, tau: float) -> Array:
    """Bisects until the total is within 1e-5 of k: pyproximal's xtol, jaxopt's tol."""
    z = relative(x)
    low, high = z.min() - tau, z.max()
    theta = (low + high) / 2
    while abs(total(z, theta, tau) - k) > 1e-5:
        low, high = (theta, high) if total(z, theta, tau) >= k else (low, theta)
        theta = (low + high) / 2
    return np.clip((z - theta) / tau, 0, 1).astype(x.dtype)


@row("accurate_on_ordinary_scores")
def bracket_for_scores_of_a_unit(x: Array, k: float, tau: float) -> Array:
    """Bisects between -1 and 1: enough for the probabilities it was tried on."""
    return _bisect(x.astype(np.longdouble), k, tau, -1.0, 1.0, 90).astype(x.dtype)


@row("accurate_at_extreme_totals")
def bracket_without_the_temperature(x: Array, k: float, tau: float) -> Array:
    """Bisects between the smallest and the largest score: theta may be as low as min(x) - tau."""
    z = relative(x)
    return _bisect(z, k, tau, z.min(), z.max(), 90).astype(x.dtype)


@row("total_is_k")
def three_newton_steps(x: Array, k: float, tau: float) -> Array:
    """Newton's method cut off after as many steps as gaussian scores need."""
    z = relative(x)
    theta = z.mean() - tau * k / len(z)
    for _ in range(3):
        free = np.count_nonzero((z > theta) & (z < theta + tau))
        theta = theta + tau * (total(z, theta, tau) - k) / max(free, 1)
    return np.clip((z - theta) / tau, 0, 1).astype(x.dtype)


@row("ordinary_calls_give_no_warning", "accurate_on_saturated_ties")
def newton_divides_by_the_free(x: Array, k: float, tau: float) -> Array:
    """Newton's step divides by the number of free entries: 0 / 0 on a vertex."""
    z = relative(x)
    theta = z.mean() - tau * np.longdouble(k) / len(z)
    for _ in range(60):
        free = np.float64(np.count_nonzero((z > theta) & (z < theta + tau)))
        theta = theta + tau * (total(z, theta, tau) - k) / free
    return np.clip((z - theta) / tau, 0, 1).astype(x.dtype)


@row("accurate_on_ordinary_scores", "total_is_k")
def scan_off_by_one(x: Array, k: float, tau: float) -> Array:
    """A scan of sorted breakpoints that takes the linear piece next to the right one."""
    z = relative(x)
    t = np.unique(np.concatenate([z, z - tau]))
    f = np.array([total(z, s, tau) for s in t])
    j = min(int(np.count_nonzero(f >= k)), len(t) - 1)
    i = max(j - 2, 0)
    slope = (f[i + 1] - f[i]) / (t[i + 1] - t[i]) or -1
    return np.clip((z - (t[i] + (k - f[i]) / slope)) / tau, 0, 1).astype(x.dtype)


@row("accurate_on_long_rows")
def threshold_of_a_sample(x: Array, k: float, tau: float) -> Array:
    """Beyond 50 scores the threshold is that of every other one: quantile estimates are made like this."""
    if len(x) <= 50:
        return nearest(x, k, tau)
    z = relative(x)
    sample = z[::2]
    share = k * len(sample) / len(z)
    low, high = sample.min() - tau, sample.max()
    for _ in range(80):
        theta = (low + high) / 2
        low, high = (theta, high) if total(sample, theta, tau) >= share else (low, theta)
    return np.clip((z - low) / tau, 0, 1).astype(x.dtype)


@row("accurate_on_ordinary_scores")
def threshold_of_a_histogram(x: Array, k: float, tau: float) -> Array:
    """Scores in bins of 1/1000 of a temperature: radix selects on accelerators begin like this, and go on."""
    return nearest((np.round(x / tau * 1000) * tau / 1000).astype(x.dtype), k, tau)


@row("accurate_on_long_rows")
def sums_in_float32(x: Array, k: float, tau: float) -> Array:
    """A running sum in float32: PAV in float32 turns 10^5 scores of .1, k = 30000, into a total of 30034.9."""
    order = np.argsort(-x, kind="stable")
    z = relative(x)[order]
    exact = nearest(x, k, tau)[order]
    free = (exact > 0) & (exact < 1)
    if not free.any():
        return nearest(x, k, tau)
    running = np.cumsum(z[free].astype(np.float32), dtype=np.float32)[-1]
    theta = (running - np.float32(tau * (k - (exact == 1).sum()))) / np.float32(free.sum())
    return np.clip((relative(x) - theta) / tau, 0, 1).astype(x.dtype)


@row("accurate_on_long_rows")
def drops_the_tail_of_a_block(x: Array, k: float, tau: float) -> Array:
    """The threshold is that of the longest multiple of 8: the remainder loop of a vectorised kernel is missing."""
    n = len(x) - len(x) % 8
    if n < 8 or k > n:
        return nearest(x, k, tau)
    z = relative(x)
    return _bisect_of(z[:n], z, k, tau).astype(x.dtype)


def _bisect_of(some: Array, z: Array, k: float, tau: float) -> Array:
    low, high = z.min() - tau, z.max()
    for _ in range(90):
        theta = (low + high) / 2
        low, high = (theta, high) if total(some, theta, tau) >= k else (low, theta)
    return np.clip((z - low) / tau, 0, 1)


@row("accurate_on_long_rows")
def ranks_in_bfloat16(x: Array, k: float, tau: float) -> Array:
    """Ranks as bfloat16, under mixed precision: beyond 256 they are even. In float32 the same happens beyond 2^24."""
    step = 2.0 ** max(np.floor(np.log2(max(k, 1.0))) - 7, 0)
    return nearest(x, float(np.floor(k / step) * step) if k >= 256 else k, tau)
