"""JAX: the operator and the HyperSimplex loss as functions to compile, map and differentiate.

On the CPU the kernels of NumPy's arrays share the memory of XLA's buffers, and p is correctly rounded; elsewhere it is
`_generic`. Either way derivatives, in both modes and of every order, come from the masks of free entries alone: the Jacobian
is (1/tau) (diag(f) - f f^T / m).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hsproj._errors import refuse
from hsproj._generic._inputs import pose_rows, read_layout
from hsproj._generic._numbers import Number, Rule, pair_of, read_number
from hsproj._generic._pairs import mean
from hsproj._generic._projection import answer
from hsproj._inputs import TEMPERATURE_RULE, Array, Layout, demand_choice, total_rule
from hsproj.integrations import _host, _xla
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
    _, layout, rows = read_layout(jnp.asarray(x), axis)
    total = _per_row(k, "k", layout, rows, total_rule(layout))
    p = _project(rows, *total, *_per_row(temperature, "temperature", layout, rows, TEMPERATURE_RULE))[0]
    return jnp.moveaxis(p.astype(layout.dtype), -1, layout.axis)


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
        In the floating dtype of `scores`. NaN in rows with shares outside [0, 1], or with classes that there are not.

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
    dtype = jnp.result_type(scores.dtype, jnp.float32)
    if targets.ndim == scores.ndim - 1 and jnp.issubdtype(targets.dtype, jnp.integer):
        known = (targets >= 0) & (targets < scores.shape[-1])
        targets = jnp.where(known[..., None], jax.nn.one_hot(targets, scores.shape[-1], dtype=dtype), jnp.nan)
    if targets.shape != scores.shape:
        rule = f"have the shape {scores.shape} of the scores, or be integers of that shape without the last axis"
        raise refuse(ValueError, "targets", rule, f"shape {targets.shape}, dtype {targets.dtype}")
    demand_choice(reduction, "reduction", "none", "sum", "mean")
    targets = jax.lax.stop_gradient(targets.astype(dtype))
    p = soft_binary_argmax(scores.astype(dtype), targets.sum(axis) if k is None else k, temperature, axis=axis)
    valid = ((targets >= 0) & (targets <= 1)).all(axis)
    losses = jnp.where(valid, 0.5 * jnp.square(p - targets).sum(axis), jnp.nan)
    reduce: dict[str, Callable[..., jax.Array]] = {"mean": jnp.mean, "sum": jnp.sum, "none": jnp.asarray}
    return reduce[reduction](losses).astype(scores.dtype if jnp.issubdtype(scores.dtype, jnp.floating) else dtype)


Pair = tuple[jax.Array, jax.Array]


def _per_row(value: Any, name: str, layout: Layout, rows: jax.Array, rule: Rule) -> Pair:
    """`value` for each row, (..., 1), as a pair; what is on the host is refused if it breaks the rule."""
    one = jnp.ones((*layout.batch, 1), rows.dtype)
    number = read_number(jnp, value, name, layout, one, [rule])
    if name == "temperature":  # what is beyond all differences of scores, or below, is as good as another number
        limits = jnp.finfo(rows.dtype)
        held = number.within(jnp, float(limits.tiny), float(limits.max))
        number = held._replace(value=jnp.where(held.valid, held.value, number.value)) if number.on_device else held
    pair: Pair = pair_of(jnp, number, one)
    return pair


@jax.custom_jvp
def _project(
    rows: jax.Array, k: jax.Array, k_tail: jax.Array, tau: jax.Array, tau_tail: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Projections of rows (..., n), and masks of their free entries; k and tau are pairs (..., 1)."""
    if isinstance(rows, jax.core.Tracer):
        solved = jax.lax.platform_dependent(rows, k, k_tail, tau, tau_tail, cpu=_by_kernels, default=_by_array_calls)
    else:
        on_host = all(device.platform == "cpu" for device in rows.devices())
        solved = (_by_kernels if on_host else _by_array_calls)(rows, k, k_tail, tau, tau_tail)
    p, free = solved
    return p, free


@_project.defjvp
def _slopes(primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]) -> tuple[Any, Any]:
    _, _, _, tau, _ = primals
    change, dk, dk_tail, dtau, dtau_tail = tangents
    p, free = _project(*primals)
    count = jnp.maximum(free.sum(-1, keepdims=True, dtype=p.dtype), 1)

    def spread(v: jax.Array) -> jax.Array:
        v = jnp.where(free, v, 0)
        return jnp.where(free, v - mean(jnp, v, count), 0) / tau

    # Rows without an answer have derivatives of NaN, either way: a factor has itself for a transpose, and a choice loses it.
    known = jnp.where(jnp.isnan(p), jnp.nan, jnp.ones_like(p))
    change = spread(change * known) + jnp.where(free, (dk + dk_tail) / count, 0) - spread(p) * (dtau + dtau_tail)
    return (p, free), (change * known, np.zeros(free.shape, jax.dtypes.float0))


def _by_kernels(rows: jax.Array, *numbers: jax.Array) -> list[jax.Array]:
    wanted = [jax.ShapeDtypeStruct(rows.shape, kind) for kind in (rows.dtype, jnp.bool_)]
    solved: list[jax.Array] = jax.ffi.ffi_call("hsproj_solve", wanted, vmap_method="broadcast_all")(rows, *numbers)
    return solved


def _by_array_calls(
    rows: jax.Array, k: jax.Array, k_tail: jax.Array, tau: jax.Array, tau_tail: jax.Array
) -> list[jax.Array]:
    n = rows.shape[-1]
    layout = Layout(rows.shape, rows.ndim - 1, rows.dtype, "x", rows.shape[:-1], k.size, n)
    total, temperature = Number(k, (k >= 0) & (k <= n), k_tail), Number(tau, (tau > 0) & (tau < jnp.inf), tau_tail)
    solved = answer(pose_rows(jnp, layout, jax.lax.stop_gradient(rows), total, temperature))
    return [solved.p, solved.theta.free]


def _solve(given: Sequence[Array], wanted: Sequence[Array]) -> None:
    rows, k, k_tail, tau, tau_tail = given
    p, free = wanted
    total, temperature = k.astype(np.float64) + k_tail, tau.astype(np.float64) + tau_tail
    solved, free[...] = _host.solve(rows, total[..., 0], temperature[..., 0], p)
    if not np.may_share_memory(solved, p):
        p[...] = solved


_xla.register("hsproj_solve", _solve)
