"""The right operator, found in a way that loses digits, ties or infinities."""

import math
from fractions import Fraction

import numpy as np

from hsproj_verify.oracles import exact
from mutants._mutant import Array, nearest, relative, row


@row("accurate_on_tied_scores", "accurate_on_ordinary_scores")
def computes_in_float32(x: Array, k: float, tau: float) -> Array:
    """float64 in, float64 out, float32 in between: x.float() somewhere in a layer."""
    return nearest(x, k, tau).astype(np.float32).astype(x.dtype)


@row("accurate_with_a_huge_offset")
def threshold_as_one_float(x: Array, k: float, tau: float) -> Array:
    """x - theta with theta in units of x: near 1e12 it has four digits. Every public implementation holds it like this."""
    theta = float(exact.solve(x.tolist(), k, tau).threshold)
    return np.clip((x - x.dtype.type(theta)) / x.dtype.type(tau), 0, 1)


@row("accurate_with_a_huge_offset")
def divides_by_the_temperature_first(x: Array, k: float, tau: float) -> Array:
    """x / tau is rounded before anything is known of the answer."""
    return nearest(x / x.dtype.type(tau), k, 1.0)


@row("accurate_with_a_huge_offset", "adding_a_constant_leaves_p_unchanged")
def uncentred_sums_of_squares(x: Array, k: float, tau: float) -> Array:
    """mean(x^2) - mean(x)^2, as in variance-style thresholds (entmax 1.5): with an offset nothing is left of it."""
    p = nearest(x, k, tau)
    lost = np.mean(x.astype(np.float64) ** 2) - np.mean(x.astype(np.float64)) ** 2 - np.var(x.astype(np.float64))
    free = (p > 0) & (p < 1)
    return np.clip(p + free * lost / tau, 0, 1).astype(x.dtype)


@row("accurate_at_huge_scales")
def normalises_by_the_norm(x: Array, k: float, tau: float) -> Array:
    """Scales by ||x|| first, which overflows at 1e155 and vanishes at 1e-163."""
    norm = float(np.sqrt(np.sum(x.astype(np.float64) ** 2)))
    if norm == 0 and not x.any():
        return nearest(x, k, tau)
    return nearest(np.nan_to_num(x / x.dtype.type(norm)), k, tau / norm if 0 < norm < np.inf else 1.0)


@row("accurate_at_huge_scales")
def absolute_tolerance(x: Array, k: float, tau: float) -> Array:
    """Scores within 1e-12 of each other count as equal, whatever the temperature."""
    values = np.unique(x)
    same = np.cumsum(np.diff(values, prepend=values[:1]) > 1e-12)
    first = np.array([values[same == group].max() for group in same])
    return nearest(first[np.searchsorted(values, x)], k, tau)


@row("equal_scores_get_equal_p")
def noise_breaks_ties(x: Array, k: float, tau: float) -> Array:
    """Adds 1e-9 i to score i, so that no two are equal: a habit of sorting layers."""
    return nearest((x + 1e-9 * np.arange(len(x))).astype(x.dtype), k, tau)


@row("equal_scores_get_equal_p", "accurate_on_tied_scores")
def random_jitter(x: Array, k: float, tau: float) -> Array:
    """Adds noise of size 1e-6 from a fixed seed against ties: the perturbation of arXiv 2602.23336's experiments."""
    return nearest((x + 1e-6 * np.random.default_rng(0).random(len(x))).astype(x.dtype), k, tau)


@row("equal_scores_get_equal_p", "accurate_on_saturated_ties")
def ties_by_position(x: Array, k: float, tau: float) -> Array:
    """With ties, the first k in sorted order get 1: right at vertices only."""
    p = nearest(x, k, tau)
    if len(np.unique(x)) < len(x) and k == int(k):
        p = np.zeros_like(x)
        p[np.argsort(-x, kind="stable")[: int(k)]] = 1
    return p


@row("permuting_scores_permutes_p", "order_is_preserved")
def forgets_to_unsort(x: Array, k: float, tau: float) -> Array:
    """Returns the answer in the order of the sorted scores."""
    return np.sort(nearest(x, k, tau))[::-1].copy()


@row("permuting_scores_permutes_p", "order_is_preserved")
def unsorts_by_the_order(x: Array, k: float, tau: float) -> Array:
    """p[order] where p[inverse of order] is meant: the same for permutations of two."""
    order = np.argsort(-x, kind="stable")
    return nearest(x, k, tau)[order][order]


@row("entries_lie_in_the_unit_interval")
def an_ulp_above_one(x: Array, k: float, tau: float) -> Array:
    """p is rescaled at the end, so that it sums to k: ones become 1 + 2^-52."""
    p = nearest(x, k, tau)
    return p if not p.any() else np.where(p == 1, np.nextafter(p, p.dtype.type(2)), p)


@row("entries_lie_in_the_unit_interval")
def an_ulp_below_zero(x: Array, k: float, tau: float) -> Array:
    """Clipped at 1 but not at 0, where max(x - theta, 0) became x - min(x, theta)."""
    p = nearest(x, k, tau)
    return np.where(p == 0, p.dtype.type(-1e-20), p)


@row("total_is_k", "equal_scores_get_equal_p")
def the_last_entry_takes_the_rest(x: Array, k: float, tau: float) -> Array:
    """The last free entry gets what is missing to k, so that the total is exact, and ties are not."""
    p = computes_in_float32.target.project(x, k, temperature=tau)
    free = np.flatnonzero((p > 0) & (p < 1))
    if free.size:
        p[free[-1]] += p.dtype.type(k - p.sum(dtype=np.float64))
    return p


@row("masked_scores_drop_out")
def infinity_minus_infinity(x: Array, k: float, tau: float) -> Array:
    """Scores relative to the smallest: NaN as soon as one is masked."""
    return nearest(x, k, tau) + (x - x.min()) * 0


@row("accurate_at_extreme_totals", "accurate_on_ordinary_scores")
def takes_everything_as_it_is(x: Array, k: float, tau: float) -> Array:
    """k = n is answered by the scores clipped to [0, 1]: a short cut for a constraint that "can't bind"."""
    return np.clip(x / tau, 0, 1).astype(x.dtype) if k == len(x) else nearest(x, k, tau)


@row("accurate_on_ordinary_scores", "accurate_on_saturated_ties")
def decimals_of_the_answer(x: Array, k: float, tau: float) -> Array:
    """Rounds to 12 decimals, "to clean up"."""
    return np.round(nearest(x, k, tau), 12)


@row("accurate_with_a_huge_offset", "accurate_on_ordinary_scores")
def small_difference_in_float32(x: Array, k: float, tau: float) -> Array:
    """theta as pivot + delta, but delta as float32."""
    z = relative(x)
    theta = exact.solve(x.tolist(), k, tau).threshold
    if not np.isfinite(x).all() or abs(theta) == np.inf:
        return nearest(x, k, tau)
    delta = np.float32(float(theta - Fraction(float(x.max()))))
    return np.clip((z - delta) / tau, 0, 1).astype(x.dtype)


@row("accurate_on_near_ties", "accurate_near_kinks")
def pools_within_1e_9(x: Array, k: float, tau: float) -> Array:
    """PAV blocks whose values differ by less than 1e-9 are pooled: the code of arXiv 2602.23336, and fast-soft-sort's kin."""
    order = np.argsort(-x, kind="stable")
    pooled = x[order].copy()
    start = 0
    for i in range(1, len(x) + 1):
        if i == len(x) or pooled[i - 1] - pooled[i] > 1e-9:
            pooled[start:i] = pooled[start:i].mean()
            start = i
    return nearest(pooled[np.argsort(order)], k, tau)


@row("zeros_have_no_sign")
def negative_zeros(x: Array, k: float, tau: float) -> Array:
    """(x - theta) * mask is -0.0 below the threshold: 1 / p and copysign see it."""
    p = nearest(x, k, tau)
    return np.where(p == 0, -p, p)


@row("masked_scores_drop_out")
def masks_by_a_constant(x: Array, k: float, tau: float) -> Array:
    """-inf becomes -1e9: attention masks are made like this, and scores can be lower."""
    return nearest(np.nan_to_num(x, neginf=-1e9, posinf=1e9), k, tau)


@row("scores_next_to_the_hypersimplex_are_projected")
def a_feasible_start_is_returned(x: Array, k: float, tau: float) -> Array:
    """Scores whose clipped sum is k to 1e-3 are taken to be projected already: an early exit of iterative solvers."""
    p = np.clip(x / tau, 0, 1).astype(x.dtype)
    return p if abs(p.sum() - k) < 1e-3 and k else nearest(x, k, tau)


@row("every_entry_is_the_nearest_float")
def rounded_twice(x: Array, k: float, tau: float) -> Array:
    """To the 64 bits of an x87 register, or of float64, and from there to the dtype: next to a midpoint one rounding off."""

    def in_a_register(p: Fraction) -> Fraction:
        unit = Fraction(2) ** (math.frexp(float(p))[1] - (64 if x.dtype == np.float64 else 53))
        return round(p / unit) * unit

    return np.array([float(in_a_register(p)) for p in exact.solve(x.tolist(), k, tau).p]).astype(x.dtype)


@row("every_entry_is_the_nearest_float")
def rounded_towards_zero(x: Array, k: float, tau: float) -> Array:
    """Truncates, as integer arithmetic on mantissas does where nobody adds a half."""
    p = nearest(x, k, tau)
    above = [Fraction(float(a)) > b for a, b in zip(p, exact.solve(x.tolist(), k, tau).p, strict=True)]
    return np.where(above, np.nextafter(p, p.dtype.type(0)), p)
