"""From a way to find the threshold of one row to everything that is judged: batches, refusals, derivatives, losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hsproj_verify import Target
from right._losses import losses

Array = np.ndarray


class Row(NamedTuple):
    """The projection of one row, in its dtype, and where it is neither 0 nor 1."""

    p: Array
    free: Array


Solve = Callable[[Array, float, float], Row]


def rows(function: Callable[[Array, float, float], Array]) -> Callable[..., Array]:
    """A function (row, k, tau) -> p as one of batches, with one k and one tau a row, which refuses bad input."""

    def project(x: Array, k: Any, temperature: Any = 1.0, axis: int = -1) -> Array:
        x = np.moveaxis(np.asarray(x), axis, -1)
        if x.dtype.kind not in "iuf" or not np.all(np.asarray(temperature) > 0):
            raise TypeError("bad call")
        k_rows, temperatures = (np.broadcast_to(np.asarray(v, dtype=float), x.shape[:-1]) for v in (k, temperature))
        if not np.all((k_rows >= 0) & (k_rows <= x.shape[-1])):
            raise ValueError("k")
        floats = x.astype(np.float64, copy=True) if x.dtype.kind != "f" else x
        out = np.empty(floats.shape, floats.dtype.newbyteorder("="))
        for i in np.ndindex(x.shape[:-1]) if x.shape[-1] else ():
            row = floats[i]
            out[i] = np.nan if np.isnan(row).any() else function(row, float(k_rows[i]), float(temperatures[i]))
        return np.moveaxis(out, -1, axis)

    return project


def products(function: Callable[[Array, float, Array, float], Array]) -> Callable[..., Array]:
    """A function (row, k, v, tau) -> Jacobian times v as one of batches, with one k a row."""

    def product(x: Array, k: Any, v: Array, temperature: float = 1.0) -> Array:
        x, v = np.asarray(x), np.asarray(v)
        if x.ndim == 1:
            return function(x, float(k), v, float(temperature))
        rows = zip(x, np.broadcast_to(k, len(x)), v, strict=True)
        return np.stack([product(row, k, v, temperature) for row, k, v in rows])

    return product


def operator(name: str, solve: Solve, *, without: tuple[str, ...] = ()) -> Target:
    """The target with this way to solve a row: projection, vjp, jvp, loss and its gradient."""

    def tangent(x: Array, k: float, v: Array, tau: float) -> Array:
        return centred(v, solve(x, k, tau).free, tau)

    def loss_and_grad(scores: Array, targets: Array, k: float, temperature: float = 1.0) -> tuple[float, Array]:
        p, free = solve(np.asarray(scores), float(k), float(temperature))
        difference = p.astype(np.longdouble) - targets
        return float((difference**2).sum() / 2), centred(difference, free, temperature).astype(p.dtype)

    def loss(scores: Array, targets: Array, k: float, temperature: float = 1.0) -> float:
        return loss_and_grad(scores, targets, k, temperature)[0]

    def one_row(x: Array, k: float, tau: float) -> Array:
        return solve(x, k, tau).p

    target = Target(
        name,
        rows(one_row),
        vjp=products(tangent),
        jvp=products(tangent),
        loss=loss,
        loss_and_grad=loss_and_grad,
        **losses(solve, centred),
        origin="function = ...",
    )
    return target.claiming("own-temperature", "vjp-batch").without(*without)


def centred(v: Array, free: Array, temperature: float) -> Array:
    """(1/tau) f (v - mean_F v): the Jacobian, which is symmetric, times v."""
    out = np.zeros_like(v)
    if free.any():
        held = v[free].astype(np.longdouble)
        out[free] = (held - held.mean()) / temperature
    return out


def relative(x: Array, k: float, tau: float) -> Array:
    """The scores relative to the one after the k largest, in extended precision: offsets and small tau cost nothing.

    theta lies less than tau below that score, so further than 2 tau from it a score is 0 or 1 wherever exactly it is.
    """
    z = x.astype(np.longdouble)
    z -= np.sort(z)[::-1][min(int(k), z.size - 1)]
    return np.clip(z, -2 * np.longdouble(tau), 2 * np.longdouble(tau))


def total(z: Array, theta: Any, tau: float) -> Any:
    """F(theta), by definition."""
    return np.clip((z - theta) / tau, 0, 1).sum()


def from_threshold(threshold: Callable[[Array, float, float], Any]) -> Solve:
    """Solves with a way to find theta of the `relative` scores."""

    def solve(x: Array, k: float, tau: float) -> Row:
        z = relative(x, k, tau)
        # With k = 0 or n any theta far enough out serves; at the end of those that do, roundings would make entries free.
        theta = (
            threshold(z, k, tau) if 0 < k < x.size else z.max() + tau if k == 0 else z.min() - 2 * np.longdouble(tau)
        )
        return Row(np.clip((z - theta) / tau, 0, 1).astype(x.dtype.newbyteorder("=")), (z > theta) & (z < theta + tau))

    return solve
