"""Right for rows of some thousand scores, wrong for a hundred thousand and more."""

from collections.abc import Callable

import numpy as np

from mutants._mutant import Array, long_row, quickly
from right._operator import total


def _from_mean(x: Array, k: float, tau: float, mean: Callable[[Array], float]) -> Array:
    """p with the threshold that follows from this mean of the free scores, which come largest first."""
    p = quickly(x, k, tau)
    free = np.sort(x[(p > 0) & (p < 1)])[::-1]
    if not free.size:
        return p
    theta = mean(free) - tau * (k - np.count_nonzero(p == 1)) / free.size
    return np.clip((x - x.dtype.type(theta)) / x.dtype.type(tau), 0, 1)


@long_row("equal_float32_scores_share_the_total", "accurate_on_large_float32_rows")
def sums_in_the_dtype_of_the_scores(x: Array, k: float, tau: float) -> Array:
    """np.cumsum(x) of float32 adds in float32, one after the other: off by 120 ulps for 10^5 scores of 0.1."""
    if x.dtype != np.float32:
        return quickly(x, k, tau)
    return _from_mean(x, k, tau, lambda free: float(np.cumsum(free)[-1]) / free.size)


@long_row("accurate_on_rows_of_a_million")
def cumulative_sums(x: Array, k: float, tau: float) -> Array:
    """The scan over breakpoints as cumulative sums of slopes and of areas: each adds its rounding to the next."""
    bends = np.concatenate([x, x - tau])
    order = np.argsort(-bends)
    bends, slopes = bends[order], np.cumsum(np.repeat([1.0, -1.0], x.size)[order]) / tau
    totals = np.concatenate([[0.0], np.cumsum(slopes[:-1] * -np.diff(bends))])
    i = max(int(np.searchsorted(totals, k)) - 1, 0)
    return np.clip((x - (bends[i] - (k - totals[i]) / slopes[i])) / tau, 0, 1).astype(x.dtype)


@long_row("accurate_on_large_rows_with_an_offset")
def sums_of_raw_scores(x: Array, k: float, tau: float) -> Array:
    """The threshold from a running sum of the scores as they are: with an offset it has no digits left."""
    return _from_mean(x, k, tau, lambda free: float(np.cumsum(free, dtype=np.float64)[-1]) / free.size)


@long_row("accurate_on_large_masked_rows")
def masked_scores_add_up(x: Array, k: float, tau: float) -> Array:
    """The first guess of Newton's method is the mean of all scores, which is -inf if one is masked; the next one is NaN."""
    return quickly(x, k, tau) + (x.mean() - x.mean()) * 0


@long_row("accurate_on_large_vertices", "accurate_on_large_tied_rows")
def threshold_of_every_tenth(x: Array, k: float, tau: float) -> Array:
    """Long rows get the threshold of a sample, as estimates of quantiles do; the share of a sample is not that of all."""
    z = x[::10].astype(np.longdouble)
    share = min(np.longdouble(k) * z.size / x.size, z.size)
    low, high = z.min() - 2 * np.longdouble(tau), z.max()
    for _ in range(90):
        theta = (low + high) / 2
        low, high = (theta, high) if total(z, theta, tau) >= share else (low, theta)
    return np.clip((x - low) / tau, 0, 1).astype(x.dtype)


@long_row("accurate_on_large_tied_rows", "accurate_on_large_vertices")
def gives_up_among_ties(x: Array, k: float, tau: float) -> Array:
    """Quickselect whose partition takes one tie out at a time, and which stops after 200 rounds: half an introselect."""
    bends = np.concatenate([x, x - tau])
    low = high = bends[0]
    for _ in range(200):
        if not bends.size:
            break
        pivot, bends = bends[bends.size // 2], np.delete(bends, bends.size // 2)
        if total(x, pivot, tau) >= k:
            low, bends = pivot, bends[bends >= pivot]
        else:
            high, bends = pivot, bends[bends <= pivot]
    return quickly(x, k, tau) if not bends.size else np.clip((x - (low + high) / 2) / tau, 0, 1).astype(x.dtype)


@long_row("accurate_on_large_sorted_rows")
def recurses_from_the_end(x: Array, k: float, tau: float) -> Array:
    """Quickselect by recursion, its pivot the first score: on sorted scores as deep as there are any. (200 here.)"""

    def threshold_above(bends: Array, depth: int) -> None:
        if depth > 200:
            raise RecursionError("maximum recursion depth exceeded")
        if bends.size:
            above = np.count_nonzero(x > bends[0]) >= k
            threshold_above(bends[bends > bends[0]] if above else bends[bends < bends[0]], depth + 1)

    threshold_above(x, 0)
    return quickly(x, k, tau)


@long_row("equal_float32_scores_share_the_total", "accurate_on_large_float32_rows")
def squares_an_int32(x: Array, k: float, tau: float) -> Array:
    """m * m of an int32 count, np.sum of a mask on Windows before NumPy 2: wraps round from m = 46341 on."""

    def mean(free: Array) -> float:
        m = np.array([free.size], dtype=np.int32)
        return free.size * float(free.sum(dtype=np.longdouble)) / float((m * m)[0])

    return _from_mean(x, k, tau, mean)


@long_row("accurate_on_rows_of_a_million", "accurate_on_large_sorted_rows")
def differences_of_all_pairs(x: Array, k: float, tau: float) -> Array:
    """x[:, None] - x[None, :]: n^2 numbers, for which there is no memory. (The mutant does not try.)"""
    raise MemoryError(f"Unable to allocate {8 * len(x) ** 2 / 2**30:.0f} GiB")
