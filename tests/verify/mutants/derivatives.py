"""The projection is right, its derivative is not."""

from typing import Any

import numpy as np

from hsproj_verify.oracles import exact
from mutants._mutant import Array, mutated, nearest
from right._operator import centred
from right.bisection import target as bisection
from right.rationals import solve


def _free(x: Array, k: float, tau: float) -> Array:
    return solve(x, float(k), tau).free


@mutated("vjp", "vjp_sums_to_zero", "vjp_matches_the_exact_jacobian")
def straight_through(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """The identity: the straight-through estimator."""
    return g.copy()


@mutated("vjp", "vjp_agrees_with_finite_differences", "vjp_matches_the_exact_jacobian")
def no_gradient(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """Zero: a detach() too many, or the belief that the operator is piecewise constant (arXiv 2602.23336, 4.3)."""
    return np.zeros_like(g)


@mutated("vjp", "vjp_vanishes_at_tied_saturated_scores")
def tied_saturated_scores_are_free(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """Blocks of equal values in the answer taken as PAV blocks: [5, 5, 0, 0], k = 2 gets +-0.5. Every PAV code does it."""
    p = nearest(x, float(k), temperature)
    out = centred(g, _free(x, k, temperature), temperature)
    for value in (0.0, 1.0):
        if np.count_nonzero(p == value) > 1:
            out += centred(g, p == value, temperature)
    return out


@mutated("vjp", "vjp_vanishes_at_tied_saturated_scores")
def blocks_within_1e_9(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """Blocks are neighbours whose x - tau p differ by less than 1e-9: what arXiv 2602.23336's code reads off its output."""
    order = np.argsort(-x, kind="stable")
    v = (x - temperature * nearest(x, float(k), temperature))[order]
    starts = np.flatnonzero(np.abs(np.diff(v, prepend=np.inf)) > 1e-9)
    out = np.zeros_like(g)
    for block in np.split(order, starts[1:]):
        out += centred(g, np.isin(np.arange(len(x)), block), temperature)
    return out


@mutated("vjp", "vjp_matches_the_exact_jacobian", "vjp_vanishes_at_tied_saturated_scores")
def mean_over_the_support(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """Saturated entries counted in: the backward pass of sparsemax, which has no upper bound."""
    return centred(g, nearest(x, float(k), temperature) > 0, temperature)


@mutated("vjp", "vjp_matches_the_exact_jacobian", "vjp_agrees_with_finite_differences")
def centred_over_all(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """The mean over all n entries, then the mask: the projection onto the hyperplane alone."""
    return np.where(_free(x, k, temperature), g - g.mean(dtype=np.float64), 0).astype(g.dtype) / g.dtype.type(
        temperature
    )


@mutated("vjp", "vjp_sums_to_zero")
def not_centred(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """f g / tau: what autograd gives when theta is computed under no_grad."""
    return np.where(_free(x, k, temperature), g, 0) / g.dtype.type(temperature)


@mutated("vjp", "vjp_matches_the_exact_jacobian", "vjp_agrees_with_finite_differences")
def lacks_the_temperature(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """f (g - mean g) without 1 / tau."""
    return centred(g, _free(x, k, temperature), 1.0)


@mutated("vjp", "vjp_matches_the_exact_jacobian", "vjp_agrees_with_finite_differences")
def temperature_twice(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """1 / tau^2: divided by in the function, and once more by the chain rule around it."""
    return centred(g, _free(x, k, temperature), temperature**2)


@mutated("vjp", "vjp_matches_the_exact_jacobian", "vjp_agrees_with_finite_differences")
def solved_at_temperature_one(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """The backward pass solves again, and forgets the temperature."""
    return centred(g, _free(x, k, 1.0), 1.0)


@mutated("vjp", "vjp_matches_the_exact_jacobian")
def softmax_jacobian(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """p (g - p.g): the wrong operator's derivative."""
    p = nearest(x, float(k), temperature)
    return (p * (g - (p * g).sum() / max(p.sum(), 1))).astype(g.dtype)


@mutated("vjp", "vjp_sums_to_zero", "vjp_matches_the_exact_jacobian")
def through_one_score_only(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """The gradient through theta goes to the k-th score alone, as through torch.topk."""
    out = np.where(_free(x, k, temperature), g, 0) / g.dtype.type(temperature)
    if k > 0:
        out[np.argsort(-x, kind="stable")[int(np.ceil(k)) - 1]] -= out.sum(dtype=np.float64) * 1.5
    return out


@mutated("vjp", "vjp_vanishes_at_tied_saturated_scores")
def masks_past_the_end(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """p > 0 of a bisection that stops just past the end of the thetas: entmax 1.3 at [4.3, 4.3, 4.3, .1], k = 3."""
    solution = exact.solve(x.tolist(), float(k), temperature)
    if solution.free or solution.theta_low is None:
        return centred(g, _free(x, k, temperature), temperature)
    z = x.astype(np.longdouble)
    theta = np.longdouble(float(solution.theta_low)) - 1e-12 * max(1.0, float(np.abs(z).max()))
    return centred(g, (z > theta) & (z - theta < temperature), temperature)


@mutated("vjp", "vjp_agrees_with_finite_differences", "vjp_matches_the_exact_jacobian")
def descends_the_wrong_way(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """The sign of a loss that is to be maximised."""
    return -centred(g, _free(x, k, temperature), temperature)


@mutated("vjp", "vjp_matches_the_exact_jacobian", "vjp_vanishes_at_tied_saturated_scores")
def finite_differences_of_1e_3(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """A numerical gradient whose step crosses kinks."""
    h = 1e-3
    out = np.zeros_like(g)
    for i, unit in enumerate(np.eye(len(x)) * h):
        ahead = bisection.project((x + unit).astype(x.dtype), k, temperature=temperature)
        behind = bisection.project((x - unit).astype(x.dtype), k, temperature=temperature)
        out[i] = g @ (ahead - behind) / (2 * h)
    return out


@mutated("vjp", "vjp_matches_the_exact_jacobian")
def gradient_in_float16(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """Mixed precision: the mean of g in half."""
    free = _free(x, k, temperature)
    return centred(g, free, temperature).astype(np.float16).astype(g.dtype)


@mutated("vjp", "vjp_leaves_scores_and_cotangent_untouched")
def into_the_cotangent(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """Writes the gradient into g, which the caller's graph still needs."""
    g[...] = centred(g, _free(x, k, temperature), temperature)
    return g


@mutated("vjp", "vjp_leaves_scores_and_cotangent_untouched")
def centres_the_scores(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """x -= max(x) before it solves again."""
    out = centred(g, _free(x, k, temperature), temperature)
    x -= x.max()
    return out
