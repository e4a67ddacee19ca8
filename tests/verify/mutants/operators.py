"""Another operator than the one asked for, or the same one for another k or temperature."""

import math

import numpy as np

from hsproj_verify.oracles import exact
from mutants._mutant import Array, nearest, row


@row("one_threshold_explains_every_entry", "accurate_on_ordinary_scores")
def projects_half_of_x(x: Array, k: float, tau: float) -> Array:
    """Solves min ||p||^2 - x.p: arXiv 2602.23336, eq. 5, lacks a factor 1/2."""
    return nearest(x, k, 2 * tau)


@row("total_is_k")
def clips_only(x: Array, k: float, tau: float) -> Array:
    """Projects onto the box and forgets the total."""
    return np.clip(x / tau, 0, 1)


@row("accurate_on_ordinary_scores", "adding_a_constant_leaves_p_unchanged")
def clips_then_rescales(x: Array, k: float, tau: float) -> Array:
    """Box first, total after: the usual shortcut in budget layers."""
    p = np.clip(x / tau, 0, 1)
    return np.clip(p * k / max(p.sum(), 1e-9), 0, 1)


@row("total_is_k")
def total_at_most_k(x: Array, k: float, tau: float) -> Array:
    """sum <= k instead of sum = k: a budget that need not be spent is another operator."""
    p = np.clip(x / tau, 0, 1)
    return p if p.sum() <= k else nearest(x, k, tau)


@row("total_is_k")
def shifts_then_clips(x: Array, k: float, tau: float) -> Array:
    """One step of alternating projections: onto the hyperplane, then onto the box, and done."""
    z = x / tau
    return np.clip(z + (k - z.sum()) / len(z), 0, 1)


@row("accurate_on_ordinary_scores")
def alternating_projections(x: Array, k: float, tau: float) -> Array:
    """Between hyperplane and box until both hold: feasible, but not the nearest point (that takes Dykstra's terms)."""
    p = x / tau
    for _ in range(500):
        p = np.clip(p, 0, 1)
        p = p + (k - p.sum()) / len(p)
    return np.clip(p, 0, 1)


@row("entries_lie_in_the_unit_interval")
def softmax_times_k(x: Array, k: float, tau: float) -> Array:
    """k softmax(x): a relaxation of top-k that ignores p <= 1."""
    e = np.exp((x - x.max()) / tau)
    return k * e / e.sum()


@row("entries_lie_in_the_unit_interval")
def sparsemax_times_k(x: Array, k: float, tau: float) -> Array:
    """k times the projection onto the simplex: right at k = 1 only."""
    return (k * nearest(x, min(k, 1.0), tau)).astype(x.dtype)


@row("accurate_on_ordinary_scores", "projecting_twice_changes_nothing")
def entropic(x: Array, k: float, tau: float) -> Array:
    """Binary entropy instead of squares, p = sigmoid((x - nu) / tau): the LML layer, which is another operator."""
    z = (x.astype(np.longdouble) - x.max()) / tau
    low, high = z.min() - 800, z.max() + 800
    for _ in range(90):
        nu = (low + high) / 2
        low, high = (nu, high) if (1 / (1 + np.exp(nu - z))).sum() >= k else (low, nu)
    return (1 / (1 + np.exp(low - z))).astype(x.dtype)


@row("moves_no_further_than_the_scores", "equal_scores_get_equal_p")
def hard_top_k(x: Array, k: float, tau: float) -> Array:
    """Ones for the k largest: the limit for tau to 0, which a straight-through layer has in its forward pass."""
    p = np.zeros_like(x)
    p[np.argsort(-x, kind="stable")[: math.ceil(k)]] = 1
    p[np.argsort(-x, kind="stable")[math.ceil(k) - 1 : math.ceil(k)]] -= math.ceil(k) - k
    return p


@row("order_is_preserved")
def smallest_scores(x: Array, k: float, tau: float) -> Array:
    """The k smallest: costs taken for scores."""
    return nearest(-x, k, tau)


@row("accurate_on_ordinary_scores")
def simplex_threshold(x: Array, k: float, tau: float) -> Array:
    """Threshold of the simplex {sum p = k, p >= 0}, then clipped at 1: the upper bound comes too late."""
    z = np.sort(x.astype(np.longdouble) / tau)[::-1]
    theta = (np.cumsum(z) - k) / np.arange(1, len(z) + 1)
    return np.clip(x / tau - theta[np.count_nonzero(z > theta) - 1], 0, 1).astype(x.dtype)


@row("total_is_k", "accurate_at_extreme_totals")
def k_truncated(x: Array, k: float, tau: float) -> Array:
    """int(k): a signature that says int, and a caller with 2.5."""
    return nearest(x, float(int(k)), tau)


@row("total_is_k", "accurate_at_extreme_totals")
def k_rounded(x: Array, k: float, tau: float) -> Array:
    """round(k): the same, politer."""
    return nearest(x, float(round(k)), tau)


@row("total_is_k", "accurate_at_extreme_totals")
def k_in_float32(x: Array, k: float, tau: float) -> Array:
    """The total is cast to float32 on its way to the kernel."""
    return nearest(x, min(float(np.float32(k)), len(x)), tau)


@row("total_is_k", "accurate_at_extreme_totals")
def k_at_least_one(x: Array, k: float, tau: float) -> Array:
    """max(k, 1): "top 0 makes no sense"."""
    return nearest(x, max(k, 1.0), tau)


@row("scaling_scores_and_temperature_changes_nothing", "accurate_on_ordinary_scores")
def temperature_ignored(x: Array, k: float, tau: float) -> Array:
    """Takes temperature= and never uses it."""
    return nearest(x, k, 1.0)


@row("scaling_scores_and_temperature_changes_nothing", "accurate_on_ordinary_scores")
def temperature_multiplied(x: Array, k: float, tau: float) -> Array:
    """Projects x * tau: an inverse temperature, as in physics."""
    return nearest(x, k, 1 / tau)


@row("scaling_scores_and_temperature_changes_nothing", "accurate_on_ordinary_scores")
def temperature_squared(x: Array, k: float, tau: float) -> Array:
    """Divides by tau twice: once in the layer, once in what it calls."""
    return nearest(x, k, tau**2)


@row("total_is_k")
def temperature_applied_after(x: Array, k: float, tau: float) -> Array:
    """P(x) / tau instead of P(x / tau)."""
    return nearest(x, k, 1.0) / x.dtype.type(tau)


@row("total_is_k", "one_threshold_explains_every_entry")
def temperature_in_the_threshold_only(x: Array, k: float, tau: float) -> Array:
    """Solves for theta at tau and clips x - theta: half of the code was told of the temperature."""
    theta = float(exact.solve(x.tolist(), k, tau).threshold)
    return np.clip(x - x.dtype.type(theta), 0, 1)


@row("every_whole_total_is_met", "total_is_k")
def loses_a_positive(x: Array, k: float, tau: float) -> Array:
    """int(n * share) with the share as float32, the mean of 0/1 labels: 7 of 10 become 6."""
    whole = k == int(k)
    return nearest(x, float(int(len(x) * float(np.float32(k / len(x))))) if whole else k, tau)
