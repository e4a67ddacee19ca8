"""The projection and its vjp are right, its jvp is not."""

import numpy as np

from hsproj_verify.oracles import exact
from mutants._mutant import BASE, Array, free, jvp, nearest
from right._operator import centred


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def tangent_lacks_the_temperature(x: Array, k: float, v: Array, tau: float) -> Array:
    """f (v - mean v): the rule was derived at temperature 1."""
    return centred(v, free(x, k, tau), 1.0)


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def tangent_solved_at_temperature_one(x: Array, k: float, v: Array, tau: float) -> Array:
    """temperature is a static argument of the custom rule, and is not passed on to the solver in it."""
    return centred(v, free(x, k, 1.0), 1.0)


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def tangent_of_the_clip_alone(x: Array, k: float, v: Array, tau: float) -> Array:
    """f v / tau: theta under stop_gradient, as for the vjp."""
    return np.where(free(x, k, tau), v, 0) / v.dtype.type(tau)


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def tangent_over_the_support(x: Array, k: float, v: Array, tau: float) -> Array:
    """The rule of sparsemax: the support is p > 0."""
    return centred(v, nearest(x, k, tau) > 0, tau)


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def tangent_centred_over_all(x: Array, k: float, v: Array, tau: float) -> Array:
    """v - mean v over all n, then the mask."""
    return np.where(free(x, k, tau), v - v.mean(dtype=np.float64), 0).astype(v.dtype) / v.dtype.type(tau)


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def tangent_of_the_descent(x: Array, k: float, v: Array, tau: float) -> Array:
    """-J v: shares a helper with a vjp whose sign is that of a descent."""
    return -centred(v, free(x, k, tau), tau)


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def returns_the_primal(x: Array, k: float, v: Array, tau: float) -> Array:
    """return p, p where a custom_jvp returns p, dp."""
    return nearest(x, k, tau)


@jvp("jvp_matches_the_exact_jacobian")
def returns_the_pair(x: Array, k: float, v: Array, tau: float) -> Array:
    """(p, dp), as jax.jvp does."""
    return np.stack([nearest(x, k, tau), centred(v, free(x, k, tau), tau)])


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def projects_the_tangent(x: Array, k: float, v: Array, tau: float) -> Array:
    """P(v): linear operators are their own derivative, and this one is not linear."""
    return nearest(v, k, tau)


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def tangent_sorted_as_the_scores(x: Array, k: float, v: Array, tau: float) -> Array:
    """Computed in the order of the sorted scores, and left there."""
    return centred(v, free(x, k, tau), tau)[np.argsort(-x, kind="stable")]


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def forward_difference(x: Array, k: float, v: Array, tau: float) -> Array:
    """(P(x + h v) - P(x)) / h with h = 1e-6: half of the digits."""
    ahead = BASE.project((x + 1e-6 * v).astype(x.dtype), k, temperature=tau)
    return ((ahead - nearest(x, k, tau)) / 1e-6).astype(v.dtype)


@jvp("jvp_matches_the_exact_jacobian")
def tangent_in_float16(x: Array, k: float, v: Array, tau: float) -> Array:
    """Tangents under mixed precision."""
    return centred(v, free(x, k, tau), tau).astype(np.float16).astype(v.dtype)


_linearised: dict[int, Array] = {}


@jvp("jvp_matches_the_exact_jacobian", "jvp_and_vjp_are_adjoint")
def linearised_once(x: Array, k: float, v: Array, tau: float) -> Array:
    """Keeps the free set of the first point, by length: jax.linearize, and the scores move on."""
    return centred(v, _linearised.setdefault(len(x), free(x, k, tau)), tau)


@jvp("jvp_at_kinks_is_a_generalised_derivative")
def tangent_with_two_masks(x: Array, k: float, v: Array, tau: float) -> Array:
    """The mean is over 0 <= (x - theta) / tau <= 1, the mask is 0 < p < 1: they differ at kinks."""
    solution = exact.solve(x.tolist(), k, tau)
    closed = [*solution.free, *solution.lower_kinks, *solution.upper_kinks]
    mean = v[closed].mean(dtype=np.float64) if closed else 0.0
    return (np.where(free(x, k, tau), v - mean, 0) / tau).astype(v.dtype)


@jvp("jvp_at_kinks_is_a_generalised_derivative")
def tangent_counts_kinks_twice(x: Array, k: float, v: Array, tau: float) -> Array:
    """Scans for the block from above and from below, both inclusive: an entry on a breakpoint is found by both."""
    solution = exact.solve(x.tolist(), k, tau)
    found = [*solution.free, *2 * [*solution.lower_kinks, *solution.upper_kinks]]
    out = np.zeros(len(x))
    if found:
        np.add.at(out, found, (v[found] - v[found].mean(dtype=np.float64)) / tau)
    return out.astype(v.dtype)


@jvp("jvp_at_kinks_is_a_generalised_derivative")
def tangent_is_nan_at_kinks(x: Array, k: float, v: Array, tau: float) -> Array:
    """relu(z) as (z + |z|) / 2, whose derivative contains z / |z|."""
    solution = exact.solve(x.tolist(), k, tau)
    out = centred(v, free(x, k, tau), tau)
    out[[*solution.lower_kinks, *solution.upper_kinks]] = np.nan
    return out
