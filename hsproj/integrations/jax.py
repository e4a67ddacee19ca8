"""JAX: the operator and the HyperSimplex loss as functions to compile, map and differentiate.

Derivatives, in both modes and of every order, are those of docs/arrays.md: no rule of reverse mode alone, which would
refuse `jax.jvp`, and nothing but masks kept for a backward pass.
"""

from __future__ import annotations

from typing import Any

import hsproj
from hsproj._errors import refuse
from hsproj.integrations._packages import demand_package

demand_package("jax", "jax")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

__all__ = ["hypersimplex_loss", "soft_binary_argmax"]


def soft_binary_argmax(x: Any, k: Any, temperature: Any = 1.0, *, axis: int = -1) -> jax.Array:
    """Soft-Binary-Argmax@k of an array, with derivatives in scores, totals and temperatures.

    Parameters
    ----------
    x : array_like, shape (..., n, ...), real
        Scores. ``-inf`` masks an entry, ``+inf`` forces it. float16 and bfloat16 are computed in float32.
    k : float or array_like, broadcastable to the shape of `x` without `axis`
        Total of each row, 0 <= k <= n; need not be an integer.
    temperature : float or array_like, broadcastable to the shape of `x` without `axis`
        Positive and finite, in the units of `x`.
    axis : int
        The axis along which each row lies.

    Returns
    -------
    Array, shape and floating dtype of `x`
        NaN in rows with NaN, with infinities that leave no answer, or with an array's k or temperature out of range.

    Raises
    ------
    TypeError, ValueError
        As `hsproj.soft_binary_argmax`, while it traces: but for the values of JAX's arrays, which are not looked at.

    Examples
    --------
    >>> import jax
    >>> from hsproj.integrations.jax import soft_binary_argmax
    >>> x = jax.numpy.array([3.0, 1.0, 1.0, 0.0], "float32")
    >>> jax.jit(soft_binary_argmax, static_argnums=1)(x, 2)
    Array([1. , 0.5, 0.5, 0. ], dtype=float32)
    >>> jax.grad(lambda x: soft_binary_argmax(x, 2)[1])(x)
    Array([ 0. ,  0.5, -0.5,  0. ], dtype=float32)
    """
    p: jax.Array = hsproj.soft_binary_argmax(jnp.asarray(x), k, temperature=temperature, axis=axis)
    return p


def hypersimplex_loss(
    scores: Any, targets: Any, k: Any = None, temperature: Any = 1.0, *, axis: int = 0, reduction: str = "mean"
) -> jax.Array:
    """HyperSimplex loss: 1/2 ||soft_binary_argmax(scores, k) - targets||^2 for each row.

    Parameters
    ----------
    scores : array_like, shape (batch, ..., classes), real
    targets : array_like
        Of the shape of `scores`, or integers (batch, ...): the class of each sample. They count as constants.
    k : float or array_like, optional
        Total of each row; by default that of its targets.
    temperature : float or array_like
        See `soft_binary_argmax`.
    axis : int
        The axis of a row. 0, the batch: each class is projected across the batch, as in the paper, where k_c is the number of
        its positives. -1, the classes: each sample is projected.
    reduction : {"mean", "sum", "none"}
        Over rows.

    Returns
    -------
    Array, a scalar, or of the shape of `scores` without `axis` for "none"
        In the floating dtype of `scores`.

    Raises
    ------
    TypeError, ValueError
        As `hsproj.hypersimplex_loss`, and if the targets have another shape.

    Examples
    --------
    >>> import jax
    >>> from hsproj.integrations.jax import hypersimplex_loss
    >>> scores = jax.numpy.array([[2.0, 0.5], [0.0, 1.0], [0.5, 0.5]])
    >>> loss, gradient = jax.value_and_grad(hypersimplex_loss)(scores, jax.numpy.array([0, 1, 1]))
    >>> float(loss), float(abs(gradient).max())
    (0.125, 0.25)
    """
    scores, targets = jnp.asarray(scores), jnp.asarray(targets)
    if targets.ndim == scores.ndim - 1 and jnp.issubdtype(targets.dtype, jnp.integer):
        targets = jax.nn.one_hot(targets, scores.shape[-1])
    if targets.shape != scores.shape:
        rule = f"have the shape {scores.shape} of the scores, or be integers of that shape without the last axis"
        raise refuse(ValueError, "targets", rule, f"shape {targets.shape}, dtype {targets.dtype}")
    options: dict[str, Any] = {"temperature": temperature, "axis": axis, "reduction": reduction}
    loss: jax.Array = hsproj.hypersimplex_loss(scores, targets, k, **options)
    return loss
