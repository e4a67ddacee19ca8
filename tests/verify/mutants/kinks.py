"""The vjp is right where there is one Jacobian, and not at kinks, where several are."""

from fractions import Fraction

import numpy as np

from hsproj_verify.oracles import exact
from mutants._mutant import Array, free, nearest, vjp
from right._operator import centred


def _kinks(x: Array, k: float, tau: float) -> list[int]:
    solution = exact.solve(x.tolist(), k, tau)
    return [*solution.lower_kinks, *solution.upper_kinks]


def _closed(x: Array, k: float, tau: float) -> Array:
    """The free entries and those at kinks, which any vjp may take for free."""
    closed = free(x, k, tau).copy()
    closed[_kinks(x, k, tau)] = True
    return closed


@vjp("vjp_at_kinks_is_a_generalised_jacobian")
def mean_of_the_closed_mask_of_the_open(x: Array, k: float, g: Array, tau: float) -> Array:
    """The mean over 0 <= (x - theta) / tau <= 1, the mask 0 < p < 1: rows don't sum to 0."""
    closed = _closed(x, k, tau)
    mean = g[closed].mean(dtype=np.float64) if closed.any() else 0.0
    return (np.where(free(x, k, tau), g - mean, 0) / tau).astype(g.dtype)


@vjp("vjp_at_kinks_is_a_generalised_jacobian")
def mean_of_the_open_mask_of_the_closed(x: Array, k: float, g: Array, tau: float) -> Array:
    """The other way round."""
    f = free(x, k, tau)
    mean = g[f].mean(dtype=np.float64) if f.any() else 0.0
    return (np.where(_closed(x, k, tau), g - mean, 0) / tau).astype(g.dtype)


@vjp("vjp_at_kinks_is_a_generalised_jacobian")
def nan_at_kinks(x: Array, k: float, g: Array, tau: float) -> Array:
    """|z| as sqrt(z^2), whose derivative at 0 is 0 / 0."""
    out = centred(g, free(x, k, tau), tau)
    out[_kinks(x, k, tau)] = np.nan
    return out


@vjp("vjp_at_kinks_is_a_generalised_jacobian")
def kinks_pass_all(x: Array, k: float, g: Array, tau: float) -> Array:
    """Entries at kinks are straight-through, the free ones centred: jnp.where with g where neither mask holds."""
    return np.where(_closed(x, k, tau) & ~free(x, k, tau), g / g.dtype.type(tau), centred(g, free(x, k, tau), tau))


@vjp("vjp_at_kinks_is_a_generalised_jacobian")
def averaged_with_the_hyperplane(x: Array, k: float, g: Array, tau: float) -> Array:
    """At a kink, half the Jacobian and half that without bounds: an average, but with a matrix that no point nearby has."""
    inside = centred(g, free(x, k, tau), tau)
    return (inside + centred(g, np.ones(len(x), dtype=bool), tau)) / 2 if _kinks(x, k, tau) else inside


@vjp("vjp_at_kinks_is_a_generalised_jacobian")
def central_differences(x: Array, k: float, g: Array, tau: float) -> Array:
    """Differences with a step of 2^-20 tau, exact inside a piece: each column across a kink mixes two others."""
    h = Fraction(tau) / 2**20
    scores = list(map(Fraction, x.tolist()))
    out = np.zeros_like(g)
    for i in range(len(x)):
        ahead, behind = (exact.solve([*scores[:i], scores[i] + d, *scores[i + 1 :]], k, tau).p for d in (h, -h))
        out[i] = float(sum((a - b) * Fraction(v) for a, b, v in zip(ahead, behind, g.tolist(), strict=True)) / (2 * h))
    return out


@vjp("vjp_is_linear_in_the_cotangent", "vjp_at_kinks_is_a_generalised_jacobian")
def directional(x: Array, k: float, g: Array, tau: float) -> Array:
    """The derivative along g, (P(x + h g) - P(x)) / h for small h: at kinks another matrix for each g."""
    h = Fraction(1, 2**60)
    moved = exact.solve([Fraction(s) + h * Fraction(v) for s, v in zip(x.tolist(), g.tolist(), strict=True)], k, tau).p
    here = exact.solve(x.tolist(), k, tau).p
    return np.array([float((a - b) / h) for a, b in zip(moved, here, strict=True)], dtype=g.dtype)


@vjp("vjp_is_linear_in_the_cotangent", "vjp_matches_the_exact_jacobian")
def skips_zeros_of_the_cotangent(x: Array, k: float, g: Array, tau: float) -> Array:
    """The mean is over the free entries that have a cotangent: a sparse g leaves the others out."""
    return centred(g, free(x, k, tau) & (g != 0), tau)


@vjp("vjp_is_linear_in_the_cotangent", "vjp_matches_the_exact_jacobian")
def clips_its_gradient(x: Array, k: float, g: Array, tau: float) -> Array:
    """Gradients clipped to [-1, 1] within the backward pass, against explosions at small temperatures."""
    return np.clip(centred(g, free(x, k, tau), tau), -1, 1)


@vjp("vjp_matches_the_exact_jacobian")
def masks_with_a_tolerance(x: Array, k: float, g: Array, tau: float) -> Array:
    """1e-6 < p < 1 - 1e-6 instead of 0 < p < 1, "for safety": entries that are about to saturate are not free."""
    p = nearest(x, k, tau)
    return centred(g, (p > 1e-6) & (p < 1 - 1e-6), tau)
