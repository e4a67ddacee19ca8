"""Derivatives of the projection from its masks: canonical rows in and out, no second solve, no n x n matrix.

dp/dx = (1/tau) (diag(f) - f f^T / m) with f the indicator of the free set and m its size. It is symmetric, so one
`tangent` serves as jvp and vjp.
"""

import math
from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np

from hsproj._inputs import Array
from hsproj._threads import for_chunks
from hsproj._threshold import Threshold


class Edges(NamedTuple):
    """The entries next to leave 0 (`lower`) and 1 (`upper`), of the rows (numbers `rows`) where there is something to know.

    Those are the rows at a kink, where the entries on a breakpoint are meant, and the rows without a free entry, where
    it is the highest of the scores below theta and the lowest of those above theta + tau.
    """

    rows: Array
    lower: Array
    upper: Array

    def kinks(self, smooth: Array, n: int) -> tuple[Array, Array]:
        """(lower, upper) kinks of all rows, (m, n) each; `smooth` (m,) says which rows have none."""
        lower, upper = np.zeros((2, smooth.size, n), np.bool_)
        kinked = ~smooth[self.rows]
        lower[self.rows[kinked]], upper[self.rows[kinked]] = self.lower[kinked], self.upper[kinked]
        return lower, upper


def find_edges(rows: Array, theta: Threshold) -> Edges:
    """The edges of canonical rows."""
    flat = theta.support_from == theta.saturated_from
    index = np.flatnonzero(flat | ~np.isnan(theta.lower_kink) | ~np.isnan(theta.upper_kink))
    scores = rows[index]
    support_from, saturated_from = theta.support_from[index, None], theta.saturated_from[index, None]
    finite = np.isfinite(scores)
    highest = np.max(scores, axis=-1, initial=-np.inf, where=finite & (scores < support_from))
    lowest = np.min(scores, axis=-1, initial=np.inf, where=finite & (scores >= saturated_from))
    below = np.where(flat[index], highest, theta.lower_kink[index])
    above = np.where(flat[index], lowest, theta.upper_kink[index])
    return Edges(index, finite & (scores == below[:, None]), finite & (scores == above[:, None]))


def limiting_sets(free: Array, lower: Array, upper: Array) -> Iterator[Array]:
    """The free sets of smooth points arbitrarily near a row with these free entries and kinks (docs/theory.md).

    Any kinks may be free nearby, as long as some entry balances them: without a free entry, kinks of both kinds or none.
    """
    kinks = np.flatnonzero(lower | upper)
    balanced = free.any()
    for chosen in chain.from_iterable(combinations(kinks.tolist(), size) for size in range(kinks.size + 1)):
        joined = list(chosen)
        if balanced or not joined or (lower[joined].any() and upper[joined].any()):
            moving = free.copy()
            moving[joined] = True
            yield moving


def tangent(v: Array, free: Array, temperature: Array, answered: Array, bounds: Array | None = None) -> Array:
    """The Jacobian times v, a row each; NaN in rows without an answer.

    `free` is a mask; or else holds the scores, and the free ones are those within `bounds` (m, 2): the lowest scores of
    support and saturated set.
    """
    from hsproj._kernels import _tangent

    out = np.empty_like(v)
    if bounds is not None and free.dtype != v.dtype:
        free, bounds = (free >= bounds[:, :1]) & (free < bounds[:, 1:]), None
    if bounds is None:
        bounds = np.empty((len(v), 0))
    for_chunks(_tangent.tangents, v, free, bounds, temperature, out)
    if not answered.all():
        out[~answered] = np.nan
    return out


def dense(free: Array, temperature: Array, answered: Array, dtype: np.dtype[Any]) -> Array:
    """(m, n, n) Jacobians."""
    f = free.astype(np.float64)
    share = f / np.maximum(f.sum(axis=-1, keepdims=True), 1.0)
    identity = np.eye(f.shape[-1])
    with np.errstate(over="ignore", under="ignore"):  # 1/tau may be beyond the range of the dtype
        jacobian: Array = (identity * f[:, None, :] - f[:, :, None] * share[:, None, :]) / temperature[:, None, None]
        jacobian[~answered] = np.nan
        rounded: Array = jacobian.astype(dtype)
        return rounded


def one_sided(v: Array, free: Array, lower: Array, upper: Array, temperature: float) -> Array:
    """The directional derivative of one row along v: the projection of v / tau onto the critical cone.

    d = (v - mu) / tau on the free entries, its positive part at lower kinks, its negative part at upper kinks, 0
    elsewhere, with mu the mean of the entries that move. A lower kink joins them when its v is above mu, an upper kink
    when its v is below. The extreme one joins first, and then no later change of mu can make it leave, so the search
    ends after at most one step a kink.
    """
    # Powers of two keep the sums of huge entries from overflowing, and quotients by tiny temperatures, and change no bit.
    concerned = np.where(free | lower | upper, v, 0.0).astype(np.float64)
    largest = np.frexp(np.abs(concerned).max(initial=0.0, where=np.isfinite(concerned)))[1]
    w = np.ldexp(concerned, -int(largest))
    tau, exponent = np.frexp(temperature)
    rising = np.sort(w[lower])[::-1].tolist()
    falling = np.sort(w[upper]).tolist()
    moving = w[free].tolist()
    total = sum(moving)
    i = j = 0
    while True:
        mu = total / len(moving) if moving else None
        if i < len(rising) and (mu is None or rising[i] > mu):
            joins = rising[i]
            i += 1
        elif j < len(falling) and (mu is None or falling[j] < mu):
            joins = falling[j]
            j += 1
        else:
            break
        moving.append(joins)
        total += joins
    with np.errstate(over="ignore", invalid="ignore"):  # infinite entries of v: inf and NaN are the answer
        d: Array = w - (_mean(moving) if moving else 0.0)
    d[lower] = np.maximum(d[lower], 0.0)
    d[upper] = np.minimum(d[upper], 0.0)
    d[~(free | lower | upper)] = 0.0
    with np.errstate(over="ignore", under="ignore"):
        slope: Array = np.ldexp(d / tau, int(largest) - int(exponent))
        return slope.astype(v.dtype)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values)
