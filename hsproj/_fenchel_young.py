"""The Fenchel-Young loss of the hypersimplex: convex in the scores, with the gradient p - y. docs/theory.md derives it.

With Omega(p) = (tau / 2) ||p||^2 on the hypersimplex the loss is max_p (s.p - Omega(p)) + Omega(y) - s.y. Written as

    (tau / 2) ||p - y||^2  +  sum over p_i = 0 of y_i (theta - s_i)  +  sum over p_i = 1 of (1 - y_i) (s_i - theta - tau)

it has no negative term, so offsets and scales cost no digits.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hsproj._dispatch import for_any_array
from hsproj._inputs import Array, NanPolicy
from hsproj._projection import answer_rows
from hsproj._targets import SHARES, Reduction, pose


@for_any_array
def fenchel_young_loss(
    scores: ArrayLike,
    targets: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    reduction: Reduction = "mean",
    nan_policy: NanPolicy = "propagate",
) -> Any:
    """Fenchel-Young loss of the hypersimplex: convex in the scores, and 0 if and only if p is the target.

    For each row, with p = soft_binary_argmax(scores, k) and k the total of its targets y, it is
    ``s.p - tau/2 ||p||^2 + tau/2 ||y||^2 - s.y``: in the units of the scores, and never less than `temperature` times the
    HyperSimplex loss.

    Parameters
    ----------
    scores : array_like, shape (..., n, ...), real
        As `x` of `soft_binary_argmax`.
    targets : array_like, broadcastable to the shape of `scores`, in [0, 1]
        A point of the hypersimplex, usually zeros and ones. Their total is k: with another one the loss would have no least
        value.
    temperature, axis, nan_policy
        See `soft_binary_argmax`. NaN among the targets of a row counts as NaN among its scores.
    reduction : {"mean", "sum", "none"}
        Over rows.

    Returns
    -------
    scalar, or ndarray of the shape of `scores` without `axis` for "none"
        In the floating dtype of `scores`. Infinite if a positive target has a score of -inf, or one less than 1 a score of
        +inf. The mean over no rows is NaN.

    Raises
    ------
    TypeError, ValueError
        As `soft_binary_argmax`, if `reduction` is none of the three, or if a target is outside [0, 1].

    Notes
    -----
    Within ``8 eps (loss + temperature * sum |p - y|)`` of the exact value, whatever the offset of the scores. Such losses are
    from Blondel, Martins, Niculae, "Learning with Fenchel-Young Losses", JMLR 21, 2020; docs/theory.md derives this one.

    Examples
    --------
    >>> import hsproj
    >>> float(hsproj.fenchel_young_loss([2.0, 1.0, 0.0], [1, 0, 0], temperature=2.0))
    0.125
    >>> float(hsproj.fenchel_young_loss([0.0, 5.0], [1, 0]))  # wrong by far: a distance in scores, not a constant
    5.0
    """
    return _loss(scores, targets, temperature, axis, reduction, nan_policy)[0]


@for_any_array
def fenchel_young_loss_and_grad(
    scores: ArrayLike,
    targets: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    reduction: Reduction = "mean",
    nan_policy: NanPolicy = "propagate",
) -> tuple[Any, Array]:
    """`fenchel_young_loss` and its gradient with respect to the scores, p - targets.

    Returns
    -------
    loss : see `fenchel_young_loss`
    gradient : ndarray, shape and floating dtype of `scores`
        Of the reduced loss; for "none", of each row's own loss. It exists everywhere, at kinks of p too, and is 0 only where
        p is the target.

    Examples
    --------
    >>> import hsproj
    >>> loss, gradient = hsproj.fenchel_young_loss_and_grad([0.0, 5.0], [1, 0])
    >>> gradient
    array([-1.,  1.])
    """
    return _loss(scores, targets, temperature, axis, reduction, nan_policy)


def _loss(
    scores: ArrayLike,
    targets: ArrayLike,
    temperature: ArrayLike,
    axis: int,
    reduction: Reduction,
    nan_policy: NanPolicy,
) -> tuple[Any, Array]:
    posed = pose(scores, targets, None, temperature, axis, reduction, nan_policy, SHARES)
    problem, y = posed
    p = answer_rows(problem).p
    difference = p - y
    with np.errstate(over="ignore", invalid="ignore"):  # losses may leave the range of the scores' dtype
        near = 0.5 * problem.temperature * np.square(difference, dtype=np.float64).sum(axis=-1)
        losses = near + _beyond(problem.rows, p, y, problem.temperature[:, None])
    return posed.reduce(losses, reduction), posed.restore(difference, reduction)


def _beyond(rows: Array, p: Array, y: Array, tau: Array) -> Array:
    """The sum of how far scores lie beyond a breakpoint, each times how far its target is from there."""
    finite = np.isfinite(rows)
    support = finite & (p > 0)
    # theta as a score and a part of tau: the differences of scores below keep their digits whatever the offset.
    pivot = np.where(support, rows, np.inf).min(axis=-1, initial=np.inf, keepdims=True).astype(np.float64)
    share = np.where(support, p, 1.0).min(axis=-1, initial=1.0, keepdims=True)
    known = finite & np.isfinite(pivot)  # else no finite score is in the support, and no target of theirs either
    above = np.where(known, rows - pivot + tau * share, 0.0)
    lost = np.where(y > 0, y * np.maximum(-above, 0.0), 0.0) + np.where(
        y < 1, (1.0 - y) * np.maximum(above - tau, 0.0), 0.0
    )
    hopeless = ((rows == -np.inf) & (y > 0)) | ((rows == np.inf) & (y < 1))
    beyond: Array = np.where(hopeless, np.inf, lost).sum(axis=-1)
    return beyond
