"""The projection is right, its vjp is not."""

from dataclasses import replace
from typing import Any

import numpy as np

from hsproj_verify.oracles import exact
from mutants._mutant import BASE, Array, called, free, nearest, part, vjp
from right._operator import centred, products
from right.bisection import target as bisection


@vjp("vjp_sums_to_zero", "vjp_matches_the_exact_jacobian")
def straight_through(x: Array, k: float, g: Array, tau: float) -> Array:
    """The identity: the straight-through estimator."""
    return g.copy()


@vjp("vjp_agrees_with_finite_differences", "vjp_matches_the_exact_jacobian")
def no_gradient(x: Array, k: float, g: Array, tau: float) -> Array:
    """Zero: a detach() too many, or the belief that the operator is piecewise constant (arXiv 2602.23336, 4.3)."""
    return np.zeros_like(g)


@vjp("vjp_vanishes_at_tied_saturated_scores")
def tied_saturated_scores_are_free(x: Array, k: float, g: Array, tau: float) -> Array:
    """Blocks of equal values in the answer taken as PAV blocks: [5, 5, 0, 0], k = 2 gets +-0.5. Every PAV code does it."""
    p = nearest(x, k, tau)
    out = centred(g, free(x, k, tau), tau)
    for value in (0.0, 1.0):
        if np.count_nonzero(p == value) > 1:
            out += centred(g, p == value, tau)
    return out


@vjp("vjp_vanishes_at_tied_saturated_scores")
def blocks_within_1e_9(x: Array, k: float, g: Array, tau: float) -> Array:
    """Blocks are neighbours whose x - tau p differ by less than 1e-9: what arXiv 2602.23336's code reads off its output."""
    order = np.argsort(-x, kind="stable")
    v = (x - tau * nearest(x, k, tau))[order]
    starts = np.flatnonzero(np.abs(np.diff(v, prepend=np.inf)) > 1e-9)
    out = np.zeros_like(g)
    for block in np.split(order, starts[1:]):
        out += centred(g, np.isin(np.arange(len(x)), block), tau)
    return out


@vjp("vjp_matches_the_exact_jacobian", "vjp_vanishes_at_tied_saturated_scores")
def mean_over_the_support(x: Array, k: float, g: Array, tau: float) -> Array:
    """Saturated entries counted in: the backward pass of sparsemax, which has no upper bound."""
    return centred(g, nearest(x, k, tau) > 0, tau)


@vjp("jacobian_is_symmetric", "vjp_matches_the_exact_jacobian", "vjp_agrees_with_finite_differences")
def centred_over_all(x: Array, k: float, g: Array, tau: float) -> Array:
    """The mean over all n entries, then the mask: the projection onto the hyperplane alone."""
    return np.where(free(x, k, tau), g - g.mean(dtype=np.float64), 0).astype(g.dtype) / g.dtype.type(tau)


@vjp("vjp_sums_to_zero", "jacobian_vanishes_on_constants")
def not_centred(x: Array, k: float, g: Array, tau: float) -> Array:
    """f g / tau: what autograd gives when theta is computed under no_grad."""
    return np.where(free(x, k, tau), g, 0) / g.dtype.type(tau)


@vjp("vjp_matches_the_exact_jacobian", "vjp_agrees_with_finite_differences")
def lacks_the_temperature(x: Array, k: float, g: Array, tau: float) -> Array:
    """f (g - mean g) without 1 / tau."""
    return centred(g, free(x, k, tau), 1.0)


@vjp("vjp_matches_the_exact_jacobian", "vjp_agrees_with_finite_differences")
def temperature_twice(x: Array, k: float, g: Array, tau: float) -> Array:
    """1 / tau^2: divided by in the function, and once more by the chain rule around it."""
    return centred(g, free(x, k, tau), tau**2)


@vjp("vjp_matches_the_exact_jacobian", "vjp_agrees_with_finite_differences")
def solved_at_temperature_one(x: Array, k: float, g: Array, tau: float) -> Array:
    """The backward pass solves again, and forgets the temperature."""
    return centred(g, free(x, k, 1.0), 1.0)


@vjp("vjp_matches_the_exact_jacobian")
def softmax_jacobian(x: Array, k: float, g: Array, tau: float) -> Array:
    """p (g - p.g): the wrong operator's derivative."""
    p = nearest(x, k, tau)
    return (p * (g - (p * g).sum() / max(p.sum(), 1))).astype(g.dtype)


@vjp("vjp_sums_to_zero", "vjp_matches_the_exact_jacobian")
def through_one_score_only(x: Array, k: float, g: Array, tau: float) -> Array:
    """The gradient through theta goes to the k-th score alone, as through torch.topk."""
    out = np.where(free(x, k, tau), g, 0) / g.dtype.type(tau)
    if k > 0:
        out[np.argsort(-x, kind="stable")[int(np.ceil(k)) - 1]] -= out.sum(dtype=np.float64) * 1.5
    return out


@vjp("vjp_vanishes_at_tied_saturated_scores")
def masks_past_the_end(x: Array, k: float, g: Array, tau: float) -> Array:
    """p > 0 of a bisection that stops just past the end of the thetas: entmax 1.3 at [4.3, 4.3, 4.3, .1], k = 3."""
    solution = exact.solve(x.tolist(), k, tau)
    if solution.free or solution.theta_low is None:
        return centred(g, free(x, k, tau), tau)
    z = x.astype(np.longdouble)
    theta = np.longdouble(float(solution.theta_low)) - 1e-12 * max(1.0, float(np.abs(z).max()))
    return centred(g, (z > theta) & (z - theta < tau), tau)


@vjp("vjp_agrees_with_finite_differences", "vjp_matches_the_exact_jacobian")
def descends_the_wrong_way(x: Array, k: float, g: Array, tau: float) -> Array:
    """The sign of a loss that is to be maximised."""
    return -centred(g, free(x, k, tau), tau)


@vjp("vjp_matches_the_exact_jacobian", "vjp_vanishes_at_tied_saturated_scores")
def finite_differences_of_1e_3(x: Array, k: float, g: Array, tau: float) -> Array:
    """A numerical gradient whose step crosses kinks."""
    h = 1e-3
    out = np.zeros_like(g)
    for i, unit in enumerate(np.eye(len(x)) * h):
        ahead = bisection.project((x + unit).astype(x.dtype), k, temperature=tau)
        behind = bisection.project((x - unit).astype(x.dtype), k, temperature=tau)
        out[i] = g @ (ahead - behind) / (2 * h)
    return out


@vjp("vjp_matches_the_exact_jacobian")
def gradient_in_float16(x: Array, k: float, g: Array, tau: float) -> Array:
    """Mixed precision: the mean of g in half."""
    return centred(g, free(x, k, tau), tau).astype(np.float16).astype(g.dtype)


@vjp("vjp_leaves_scores_and_cotangent_untouched")
def into_the_cotangent(x: Array, k: float, g: Array, tau: float) -> Array:
    """Writes the gradient into g, which the caller's graph still needs."""
    g[...] = centred(g, free(x, k, tau), tau)
    return g


@vjp("vjp_leaves_scores_and_cotangent_untouched")
def centres_the_scores(x: Array, k: float, g: Array, tau: float) -> Array:
    """x -= max(x) before it solves again."""
    out = centred(g, free(x, k, tau), tau)
    x -= x.max()
    return out


@vjp("jacobian_has_two_eigenvalues", "vjp_matches_the_exact_jacobian")
def damped_by_an_epsilon(x: Array, k: float, g: Array, tau: float) -> Array:
    """Divides by m + 1e-6, so that no free entry at all gives no 0 / 0: the mean comes out too small."""
    f = free(x, k, tau)
    return np.where(f, g - g[f].sum(dtype=np.float64) / (f.sum() + 1e-6), 0).astype(g.dtype) / g.dtype.type(tau)


@vjp("jacobian_has_two_eigenvalues", "vjp_matches_the_exact_jacobian")
def blurred_masks(x: Array, k: float, g: Array, tau: float) -> Array:
    """Masks p (1 - p) / (p (1 - p) + eps), to be differentiable twice."""
    p = nearest(x, k, tau).astype(np.float64)
    f = p * (1 - p) / (p * (1 - p) + 1e-6)
    return (f * (g - (f * g).sum() / max(f.sum(), 1e-12)) / tau).astype(g.dtype)


@vjp("vjp_is_right_on_long_rows")
def mean_in_float32(x: Array, k: float, g: Array, tau: float) -> Array:
    """A running mean in float32, as an accumulator on a GPU: right for the rows that tests have."""
    f = free(x, k, tau)
    mean = np.cumsum(g[f], dtype=np.float32)[-1] / np.float32(f.sum()) if f.any() else 0.0
    return (np.where(f, g - np.float64(mean), 0) / tau).astype(g.dtype)


@vjp("dtype_of_the_vjp_is_kept")
def float64_for_float32_gradients(x: Array, k: float, g: Array, tau: float) -> Array:
    """The mean is summed in float64, as it should be, and nothing is cast back."""
    return BASE.vjp(x, k, g, temperature=tau).astype(np.float64)


_last: list[Array] = []


def _keeps_its_answer(x: Array, k: Any, temperature: float = 1.0) -> Array:
    p = BASE.project(x, k, temperature=temperature)
    _last[:] = [p]
    return p


@part("vjp", products, replace(BASE, project=_keeps_its_answer))("the_same_vjp_gives_the_same_bits")
def masks_of_the_last_forward_pass(x: Array, k: float, g: Array, tau: float) -> Array:
    """p of the last call, kept on the function: the backward passes of two layers come after both forward passes."""
    p = _last[0] if _last and _last[0].shape == g.shape else nearest(x, k, tau)
    return centred(g, (p > 0) & (p < 1), tau)


def _alone(x: Array, k: Any, g: Array, tau: float) -> Array:
    return BASE.vjp(x, k, g, temperature=tau)


@part("vjp", called)("rows_of_a_vjp_are_independent")
def centred_over_the_batch(x: Array, k: Any, g: Array, tau: float) -> Array:
    """g[free].mean() of all rows at once: a boolean index forgets the rows."""
    if x.ndim == 1:
        return _alone(x, k, g, tau)
    f = np.stack([free(row, float(total), tau) for row, total in zip(x, k, strict=True)])
    return centred(g, f, tau)


@part("vjp", called)("rows_of_a_vjp_are_independent")
def the_first_k_for_all_gradients(x: Array, k: Any, g: Array, tau: float) -> Array:
    """k[0] for every row, in the backward pass only."""
    return _alone(x, np.full(len(x), k[0]) if x.ndim > 1 else k, g, tau)


@part("vjp", called)("rows_of_a_vjp_are_independent")
def summed_over_the_batch(x: Array, k: Any, g: Array, tau: float) -> Array:
    """The gradient of scores that are the same for all rows, which broadcasting calls for, and here they are not."""
    out = _alone(x, k, g, tau)
    return np.broadcast_to(out.sum(axis=0), out.shape).copy() if out.ndim > 1 else out
