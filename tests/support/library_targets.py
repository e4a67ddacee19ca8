"""Projections as functions of torch tensors and of JAX arrays, right and wrong, written in the calls they have in common."""

from __future__ import annotations

from typing import Any


def _project(xp: Any, x: Any, k: Any, temperature: Any, constant: Any) -> Any:
    """The last breakpoint at which the total is k or more tells which entries are free; they share what is left of k."""
    z = x / temperature
    k = xp.asarray(k, dtype=z.dtype)[..., None]
    # The sets are constants of the derivative.
    fixed = constant(z)
    breakpoints = xp.concatenate([fixed, fixed - 1], -1)
    totals = xp.clip(fixed[..., None, :] - breakpoints[..., :, None], 0, 1).sum(-1)
    low = xp.amax(xp.where(totals + 1e3 * xp.finfo(z.dtype).eps >= k, breakpoints, -xp.inf), -1)[..., None]
    met = xp.amin(xp.where(breakpoints == low, abs(totals - k), xp.inf), -1)[..., None] <= 1e3 * xp.finfo(z.dtype).eps
    ones = (fixed - 1 > low) | (
        met & (fixed - 1 >= low)
    )  # where theta is this breakpoint, what is on it is one already
    free = (fixed > low) & ~ones
    base = xp.amax(xp.where(free, fixed, -xp.inf), -1)[..., None]
    base = xp.where(xp.isfinite(base), base, xp.zeros_like(base))
    count = free.sum(-1)[..., None]
    differences = xp.where(free, z - base, xp.zeros_like(z))
    shared = differences.sum(-1)[..., None] - (k - ones.sum(-1)[..., None])
    theta = xp.where(count > 0, shared / xp.clip(count, 1, None), xp.zeros_like(shared))
    inside = z - base - theta
    return xp.where(free, xp.clip(inside, 0, 1), xp.where(ones, xp.ones_like(z), xp.zeros_like(z)))


def in_torch(x: Any, k: Any, *, temperature: Any = 1.0) -> Any:
    import torch

    return _project(torch, x, k, temperature, lambda z: z.detach())


def in_jax(x: Any, k: Any, *, temperature: Any = 1.0) -> Any:
    import jax

    return _project(jax.numpy, x, k, temperature, jax.lax.stop_gradient)


def threshold_is_a_constant_in_torch(x: Any, k: Any) -> Any:
    """The right answer, with the derivative of a clip."""
    import torch

    p = in_torch(x, k).detach()
    return torch.where((p > 0) & (p < 1), x - (x.detach() - p), p)


def threshold_is_a_constant_in_jax(x: Any, k: Any) -> Any:
    import jax

    p = jax.lax.stop_gradient(in_jax(x, k))
    return jax.numpy.where((p > 0) & (p < 1), x - (jax.lax.stop_gradient(x) - p), p)


def without_autograd(x: Any, k: Any) -> Any:
    return in_torch(x, k).detach()


def in_place(x: Any, k: Any) -> Any:
    """Moves the caller's scores."""
    x -= x.max()
    return in_torch(x, k)


def loss(scores: Any, targets: Any, k: Any) -> Any:
    return ((in_torch(scores, k) - targets) ** 2).sum() / 2


def anything(x: Any, k: Any) -> Any:
    return x
