"""Losses, for arrays of other libraries: `hsproj._losses`, `_fenchel_young` and `_zero_one` in array-API calls.

Values of targets are not looked at: a row with a target that breaks the rules has the loss NaN. Derivatives flow through the
losses of libraries that have them, but for targets, which count as constants.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from hsproj._errors import refuse
from hsproj._generic._arrays import constant, like_scores
from hsproj._generic._inputs import Rows, pose_rows, read_layout, read_nan_policy
from hsproj._generic._numbers import Number
from hsproj._generic._pairs import Array, sum_pairs, two_sum
from hsproj._generic._projection import Answer, answer, find_ties
from hsproj._inputs import Layout, demand_choice, real_array


class Posed(NamedTuple):
    """Rows and the targets of these (..., n)."""

    rows: Rows
    y: Array

    def reduce(self, losses: Array, reduction: str) -> Array:
        """Losses of rows (..., 1), as the user wants them."""
        xp, rows = self.rows.xp, self.rows
        losses = xp.where(rows.valid, losses, xp.nan)
        if reduction == "none":
            return rows.per_row(losses)
        total = xp.sum(xp.broadcast_to(losses, (*rows.layout.batch, 1)))
        if reduction == "mean":
            total = total / rows.layout.m if rows.layout.m else total + xp.nan
        return rows.cast(total)

    def restore(self, gradient: Array, reduction: str) -> Array:
        """Gradients of the losses of rows, as the user wants them."""
        weight = 1.0 / max(self.rows.layout.m, 1) if reduction == "mean" else 1.0
        return self.rows.restore(self.rows.xp.where(self.rows.valid, gradient * weight, self.rows.xp.nan))


def pose(
    scores: Array,
    targets: Any,
    k: Any,
    temperature: Any,
    axis: int,
    reduction: str,
    nan_policy: str,
    keeps: Callable[[Any, Array], Array],
    *,
    whole: bool = False,
) -> Posed:
    """Everything that can be wrong about the call of a loss is refused here. Without k, it is the total of the targets."""
    demand_choice(reduction, "reduction", "none", "sum", "mean")
    read_nan_policy(nan_policy)
    xp, layout, rows = read_layout(scores, axis, "scores")
    y = constant(like_scores(xp, targets, "targets", layout, rows))
    good = xp.all(keeps(xp, y), axis=-1, keepdims=True)
    if k is None:
        k = _total(xp, xp.where(good, y, 0.0), layout)
    posed = pose_rows(xp, layout, rows, k, temperature, whole=whole)
    return Posed(posed._replace(valid=posed.valid & good), y)


def _total(xp: Any, y: Array, layout: Layout) -> Number:
    """The total of each row, as a pair."""
    head, tail = two_sum(*sum_pairs(xp, y, xp.zeros_like(y)))
    head, tail = head[..., None], tail[..., None]
    return Number(head, (head >= 0) & (head <= layout.n), tail)


def hypersimplex_loss(
    scores: Array,
    targets: Any,
    k: Any = None,
    /,
    *,
    temperature: Any = 1.0,
    axis: int = -1,
    reduction: str = "mean",
    nan_policy: str = "propagate",
) -> Array:
    """See `hsproj.hypersimplex_loss`."""
    posed = pose(scores, targets, k, temperature, axis, reduction, nan_policy, _finite)
    return posed.reduce(_half_square(posed, answer(posed.rows).p)[0], reduction)


def hypersimplex_loss_and_grad(
    scores: Array,
    targets: Any,
    k: Any = None,
    /,
    *,
    temperature: Any = 1.0,
    axis: int = -1,
    reduction: str = "mean",
    nan_policy: str = "propagate",
) -> tuple[Array, Array]:
    """See `hsproj.hypersimplex_loss_and_grad`."""
    posed = pose(scores, targets, k, temperature, axis, reduction, nan_policy, _finite)
    solved = answer(posed.rows)
    losses, slopes = _half_square(posed, solved.p)
    return posed.reduce(losses, reduction), posed.restore(solved.tangent(slopes), reduction)


def cross_entropy_loss(
    scores: Array,
    targets: Any,
    k: Any = None,
    /,
    *,
    floor: float,
    temperature: Any = 1.0,
    axis: int = -1,
    reduction: str = "mean",
    nan_policy: str = "propagate",
) -> Array:
    """See `hsproj.cross_entropy_loss`."""
    lowest = read_floor(floor)
    posed = pose(scores, targets, k, temperature, axis, reduction, nan_policy, _shares)
    return posed.reduce(_cross_entropy(posed, answer(posed.rows).p, lowest)[0], reduction)


def cross_entropy_loss_and_grad(
    scores: Array,
    targets: Any,
    k: Any = None,
    /,
    *,
    floor: float,
    temperature: Any = 1.0,
    axis: int = -1,
    reduction: str = "mean",
    nan_policy: str = "propagate",
) -> tuple[Array, Array]:
    """See `hsproj.cross_entropy_loss_and_grad`."""
    lowest = read_floor(floor)
    posed = pose(scores, targets, k, temperature, axis, reduction, nan_policy, _shares)
    solved = answer(posed.rows)
    losses, slopes = _cross_entropy(posed, solved.p, lowest)
    return posed.reduce(losses, reduction), posed.restore(solved.tangent(slopes), reduction)


def fenchel_young_loss(
    scores: Array,
    targets: Any,
    /,
    *,
    temperature: Any = 1.0,
    axis: int = -1,
    reduction: str = "mean",
    nan_policy: str = "propagate",
) -> Array:
    """See `hsproj.fenchel_young_loss`."""
    options = {"temperature": temperature, "axis": axis, "reduction": reduction, "nan_policy": nan_policy}
    return fenchel_young_loss_and_grad(scores, targets, **options)[0]


def fenchel_young_loss_and_grad(
    scores: Array,
    targets: Any,
    /,
    *,
    temperature: Any = 1.0,
    axis: int = -1,
    reduction: str = "mean",
    nan_policy: str = "propagate",
) -> tuple[Array, Array]:
    """See `hsproj.fenchel_young_loss_and_grad`."""
    posed = pose(scores, targets, None, temperature, axis, reduction, nan_policy, _shares)
    rows, y = posed
    xp, solved = rows.xp, answer(rows.known())
    slopes = solved.p - y
    losses = _fenchel_young(solved, y)
    # What is added is 0, and has the derivatives of the loss: p - y in the scores, (||y||^2 - ||p||^2) / 2 in tau.
    finite = xp.isfinite(solved.rows.scores)
    ds = xp.where(finite, rows.scores, 0.0) - xp.where(finite, solved.rows.scores, 0.0)
    losses = losses + xp.sum(slopes * ds, axis=-1, keepdims=True)
    if rows.temperature_given is not None:
        dtau = xp.astype(rows.temperature_given - constant(rows.temperature_given), losses.dtype)
        losses = losses - dtau * xp.sum(slopes * (solved.p + y), axis=-1, keepdims=True) / 2
    return posed.reduce(losses, reduction), posed.restore(slopes, reduction)


def zero_one_loss(
    scores: Array,
    targets: Any,
    k: Any = None,
    /,
    *,
    axis: int = -1,
    reduction: str = "mean",
    nan_policy: str = "propagate",
) -> Array:
    """See `hsproj.zero_one_loss`."""
    posed = pose(scores, targets, k, 1.0, axis, reduction, nan_policy, _zero_or_one, whole=True)
    wrong = _sum(posed, posed.rows.xp.abs(_chosen(posed.rows) - posed.y))
    return posed.reduce(wrong / max(posed.rows.layout.n, 1), reduction)


def top_k_zero_one_loss(
    scores: Array,
    targets: Any,
    k: Any,
    /,
    *,
    axis: int = -1,
    reduction: str = "mean",
    nan_policy: str = "propagate",
) -> Array:
    """See `hsproj.top_k_zero_one_loss`."""
    posed = pose(scores, targets, k, 1.0, axis, reduction, nan_policy, _zero_or_one, whole=True)
    missed = _sum(posed, posed.y * (1.0 - _chosen(posed.rows)))
    return posed.reduce(missed / posed.rows.xp.clip(_sum(posed, posed.y), 1.0, None), reduction)


def _finite(xp: Any, y: Array) -> Array:
    return xp.isfinite(y)


def _shares(xp: Any, y: Array) -> Array:
    return (y >= 0) & (y <= 1)


def _zero_or_one(xp: Any, y: Array) -> Array:
    return (y == 0) | (y == 1)


def _sum(posed: Posed, values: Array) -> Array:
    return posed.rows.xp.sum(values, axis=-1, keepdims=True)


def _half_square(posed: Posed, p: Array) -> tuple[Array, Array]:
    """Losses of rows, and their slopes in p."""
    difference = p - posed.y
    return 0.5 * _sum(posed, difference * difference), difference


def _cross_entropy(posed: Posed, p: Array, floor: float) -> tuple[Array, Array]:
    xp, y = posed.rows.xp, posed.y
    # NaN stays.
    held = xp.where(p <= floor, floor, p)
    return 0.0 - _sum(posed, y * xp.log(held)), xp.where(p > floor, -y / held, 0.0)


def _fenchel_young(solved: Answer, y: Array) -> Array:
    """See `hsproj._fenchel_young`: a sum without a negative term."""
    xp, rows, p = solved.rows.xp, solved.rows, solved.p
    scores, tau = rows.scores, rows.unscaled(rows.temperature[0])
    near = 0.5 * tau * xp.sum((p - y) * (p - y), axis=-1, keepdims=True)
    if rows.layout.n == 0:
        return near
    finite = xp.isfinite(scores)
    support = finite & (p > 0)
    pivot = xp.min(xp.where(support, scores, xp.inf), axis=-1, keepdims=True)
    share = xp.min(xp.where(support, p, 1.0), axis=-1, keepdims=True)
    known = finite & xp.isfinite(pivot)
    above = xp.where(known, scores, 0.0) - xp.where(known, pivot, 0.0) + xp.where(known, tau * share, 0.0)
    low, high = xp.clip(-above, 0.0, None), xp.clip(above - tau, 0.0, None)
    lost = xp.where(y > 0, y * low, 0.0) + xp.where(y < 1, (1.0 - y) * high, 0.0)
    hopeless = ((scores == -xp.inf) & (y > 0)) | ((scores == xp.inf) & (y < 1))
    return near + xp.sum(xp.where(hopeless, xp.inf, lost), axis=-1, keepdims=True)


def _chosen(rows: Rows) -> Array:
    """(..., n): the limit of p as the temperature falls to 0, NaN in rows without an answer."""
    xp, ties = rows.xp, find_ties(rows.known())
    size = xp.clip(_count(xp, ties.tied, rows.scores), 1.0, None)
    shares = xp.where(ties.above, xp.ones_like(rows.scores), xp.where(ties.tied, ties.left / size, 0.0))
    return xp.where(ties.answered, shares, xp.nan)


def _count(xp: Any, mask: Array, like: Array) -> Array:
    return xp.sum(xp.astype(mask, like.dtype), axis=-1, keepdims=True)


def read_floor(floor: float) -> float:
    """What cross entropies have under p."""
    number = real_array(floor, "floor", "f")
    if number.ndim or not 0 < number < 1:
        raise refuse(ValueError, "floor", "be a number with 0 < floor < 1", repr(floor))
    return float(number)
