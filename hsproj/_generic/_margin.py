"""From sets and theta to the threshold that is reported, and to the distance of a row to the next kink (docs/theory.md)."""

from typing import Any

from hsproj._generic._inputs import Rows
from hsproj._generic._pairs import Array, two_sum
from hsproj._generic._threshold import Threshold


def threshold_of(rows: Rows, theta: Threshold) -> Array:
    """One a row: where an interval of thetas serves its midpoint, infinite if that is a half-line, 0 if the whole line."""
    xp, (zero, one, low, high) = rows.xp, _neighbours(rows, theta)
    middle, error = two_sum(zero / 2, one / 2)
    middle = (middle - rows.unscaled(rows.temperature[0]) / 2) + error
    end = xp.where(low, xp.inf, xp.where(high, -xp.inf, xp.zeros_like(middle)))
    unique = theta.pivot + rows.unscaled(theta.theta[0] + theta.theta[1])
    return xp.where(theta.answered, xp.where(theta.count > 0, unique, xp.where(low & high, middle, end)), xp.nan)


def margin_of(rows: Rows, theta: Threshold) -> Array:
    """The smallest slack of a row over the norm of its gradient; infinite if there is none."""
    xp, (tau, tau_tail), m = rows.xp, rows.temperature, theta.count
    zero, one, low, high = _neighbours(rows, theta)
    gap, error = two_sum(one / 2, -zero / 2)
    gap = (gap - rows.unscaled(tau) / 2) + (error - rows.unscaled(tau_tail) / 2)
    vertex = xp.where(low & high, gap, xp.inf)

    finite = xp.isfinite(rows.scores)
    reach = float(xp.finfo(tau.dtype).max) / 4
    y = xp.clip(rows.scaled(xp.where(finite, rows.scores, theta.pivot) - theta.pivot), -reach, reach)
    difference, error = two_sum(y, -theta.theta[0])
    above = difference + (error - theta.theta[1])
    below, lost = two_sum(tau, -difference)
    below = below + (lost + tau_tail + theta.theta[1] - error)
    norm = 2 * (m - 1) / xp.clip(m, 1.0, None)
    inner = xp.minimum(above, below) / xp.where(m > 1, norm, 1.0)
    slack = xp.where(theta.free, inner, xp.where(theta.saturated, -below, -above) / 2)
    nearest = rows.unscaled(_least(xp, xp.where(finite & ~(theta.free & (m <= 1)), slack, xp.inf), m))
    margin = xp.where(m > 0, nearest, vertex)
    margin = xp.where(theta.is_differentiable, xp.clip(margin, 0.0, None), 0.0)
    return xp.where(theta.answered, margin, xp.nan)


def _neighbours(rows: Rows, theta: Threshold) -> tuple[Array, Array, Array, Array]:
    """The highest finite zero score and the lowest finite saturated one, 0 for none, and whether there are any."""
    xp, scores, m = rows.xp, rows.scores, theta.count
    finite = xp.isfinite(scores)
    zero = -_least(xp, xp.where(finite & ~theta.free & ~theta.saturated, -scores, xp.inf), m)
    one = _least(xp, xp.where(finite & theta.saturated, scores, xp.inf), m)
    low, high = xp.isfinite(zero), xp.isfinite(one)
    return xp.where(low, zero, 0.0), xp.where(high, one, 0.0), low, high


def _least(xp: Any, values: Array, like: Array) -> Array:
    """The least of each row; inf for none."""
    return xp.min(xp.concat([values, xp.full_like(like, xp.inf)], axis=-1), axis=-1, keepdims=True)
