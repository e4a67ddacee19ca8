"""The operator for arrays of other libraries: `hsproj._projection`, in array-API calls.

Derivatives flow through the answers of libraries that have them, as docs/theory.md derives them.
"""

from typing import Any, NamedTuple

from hsproj._errors import refuse
from hsproj._generic._arrays import constant, has_derivatives, places, within
from hsproj._generic._device import read_device_rows
from hsproj._generic._inputs import Rows, read_rows
from hsproj._generic._pairs import Array, mean, two_sum
from hsproj._generic._threshold import Threshold, find_threshold


class Answer(NamedTuple):
    """Rows, what was found out about them, and their projections (..., n), NaN where there is none."""

    rows: Rows
    theta: Threshold
    p: Array

    def tangent(self, v: Array) -> Array:
        """The Jacobian times rows v; NaN in rows without an answer."""
        return self.rows.xp.where(self.theta.answered, self.moved(v), self.rows.xp.nan)

    def moved(self, v: Array) -> Array:
        """The Jacobian times rows v."""
        return self.rows.scaled(self.spread(v)) / self.rows.temperature[0]

    def spread(self, v: Array) -> Array:
        """Free entries of v, less their mean."""
        xp, theta = self.rows.xp, self.theta
        v = xp.where(theta.free, v, 0.0)
        return xp.where(theta.free, v - mean(xp, v, xp.clip(theta.count, 1.0, None)), 0.0)


def answer(rows: Rows) -> Answer:
    """Projections of rows, with their derivatives in scores, k and temperature where the library has derivatives."""
    found = _answer_known(rows.known())
    xp, theta = rows.xp, found.theta
    if not has_derivatives(rows.scores):
        return found
    # What is added is 0, and has all derivatives: between kinks p is an affine function of the scores less their mean, over
    # tau. Where p is not differentiable they are those of the free set.
    change = found.moved(xp.where(theta.free, rows.scores, 0.0) - xp.where(theta.free, found.rows.scores, 0.0))
    if rows.temperature_given is not None:
        tau, dtau = found.rows.temperature[0], rows.temperature_given - constant(rows.temperature_given)
        spread = found.spread(found.p)
        change = (spread + change) * (tau / (tau + rows.scaled(xp.astype(dtau, spread.dtype)))) - spread
    p = found.p + change
    if rows.k_given is not None:
        dk = xp.astype(rows.k_given - constant(rows.k_given), p.dtype)
        p = p + xp.where(theta.free, dk / xp.clip(theta.count, 1.0, None), 0.0)
    return found._replace(p=p)


def _answer_known(rows: Rows) -> Answer:
    xp, theta = rows.xp, find_threshold(rows)
    tau, tau_tail = rows.temperature
    difference, error = two_sum(theta.y, -theta.theta[0])
    share = (difference + (error - theta.theta[1])) / tau
    share = share - share * (tau_tail / tau)
    p = xp.where(theta.saturated, 1.0, xp.where(theta.free, xp.clip(share, 0.0, 1.0), 0.0))
    return Answer(rows, theta, xp.where(theta.answered, p, xp.nan))


def soft_binary_argmax(
    x: Array, k: Any, /, *, temperature: Any = 1.0, axis: int = -1, nan_policy: str = "propagate", out: None = None
) -> Array:
    """See `hsproj.soft_binary_argmax`."""
    demand_no_out(out)
    on_device = read_device_rows(x, k, temperature, axis, nan_policy)
    if on_device:
        return on_device.project()
    rows = read_rows(x, k, temperature, axis, nan_policy)
    return rows.restore(answer(rows).p)


def project(x: Array, k: Any, /, *, axis: int = -1, nan_policy: str = "propagate", out: None = None) -> Array:
    """See `hsproj.project`."""
    return soft_binary_argmax(x, k, axis=axis, nan_policy=nan_policy, out=out)


def binary_argmax(x: Array, k: Any, /, *, axis: int = -1, nan_policy: str = "propagate") -> Array:
    """See `hsproj.binary_argmax`."""
    rows = read_rows(x, k, 1.0, axis, nan_policy, whole=True).known()
    xp, ties = rows.xp, find_ties(rows)
    # The first of those that are tied.
    order = xp.cumulative_sum(xp.astype(ties.tied, rows.scores.dtype), axis=-1)
    chosen = ties.above | (ties.tied & (order <= ties.left))
    return rows.restore(xp.where(ties.answered, xp.astype(chosen, rows.scores.dtype), xp.nan))


class Ties(NamedTuple):
    """Scores above the k-th largest, and equal to it (..., n); how many of the latter are chosen; rows with an answer."""

    above: Array
    tied: Array
    left: Array
    answered: Array


def find_ties(rows: Rows) -> Ties:
    """The k largest scores of each row, for whole k."""
    xp, scores, k = rows.xp, rows.scores, rows.k[0]
    n = rows.layout.n
    if n == 0:
        none = xp.astype(scores, xp.bool)
        return Ties(none, none, k, rows.valid)
    ordered = xp.sort(scores, axis=-1, descending=True, stable=False)
    place = places(xp, within(xp, xp.where(rows.valid, k, 1.0), 1.0, n) - 1.0)
    kth = xp.where(k > 0, xp.take_along_axis(ordered, place, axis=-1), xp.inf)
    above = scores > kth
    left = k - xp.sum(xp.astype(above, k.dtype), axis=-1, keepdims=True)
    known = ~xp.any(xp.isnan(scores), axis=-1, keepdims=True)
    return Ties(above, scores == kth, left, rows.valid & known & (kth > -xp.inf))


def demand_no_out(out: object) -> None:
    """Refuse a place for the answer."""
    if out is not None:
        raise refuse(TypeError, "out", "be None for arrays of other libraries than NumPy", type(out).__name__)
