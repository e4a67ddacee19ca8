"""Losses of p = soft_binary_argmax(scores, k): the HyperSimplex loss and the cross entropy, a row each, with gradients.

d loss / d scores = J s, J the Jacobian of p and s the slope of the loss in p. Source: arXiv 2602.23336.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hsproj._derivatives import tangent
from hsproj._dispatch import for_any_array
from hsproj._errors import refuse
from hsproj._inputs import Array, NanPolicy, real_array
from hsproj._projection import answer_rows
from hsproj._targets import FINITE, SHARES, Posed, Reduction, pose


@for_any_array
def hypersimplex_loss(
    scores: ArrayLike,
    targets: ArrayLike,
    k: ArrayLike | None = None,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    reduction: Reduction = "mean",
    nan_policy: NanPolicy = "propagate",
) -> Any:
    """HyperSimplex loss: 1/2 ||soft_binary_argmax(scores, k) - targets||^2 for each row.

    Parameters
    ----------
    scores : array_like, shape (..., n, ...), real
        As `x` of `soft_binary_argmax`.
    targets : array_like, broadcastable to the shape of `scores`, real
        Usually zeros and ones.
    k : float or array_like, broadcastable to the shape of `scores` without `axis`, optional
        Total of each row; by default that of its targets.
    temperature, axis, nan_policy
        See `soft_binary_argmax`. NaN among the targets of a row counts as NaN among its scores.
    reduction : {"mean", "sum", "none"}
        Over rows.

    Returns
    -------
    scalar, or ndarray of the shape of `scores` without `axis` for "none"
        In the floating dtype of `scores`. The mean over no rows is NaN.

    Raises
    ------
    TypeError, ValueError
        As `soft_binary_argmax`, if `reduction` is none of the three, or if a target is infinite.

    Examples
    --------
    >>> import hsproj
    >>> float(hsproj.hypersimplex_loss([2.0, 1.0, 0.0], [1, 0, 0], temperature=2.0))
    0.0625

    The multiclass loss of the paper projects each class across the batch: the same call with ``axis=0``, where k_c is the
    number of positives of class c and each class may have its own temperature.

    >>> import numpy as np
    >>> logits = np.array([[2.0, 0.5], [0.0, 1.0], [0.5, 0.5]])  # (batch, classes)
    >>> onehot = np.array([[1, 0], [0, 1], [0, 1]])
    >>> hsproj.hypersimplex_loss(logits, onehot, temperature=[1.0, 0.5], axis=0, reduction="none")
    array([0.  , 0.25])
    """
    posed = pose(scores, targets, k, temperature, axis, reduction, nan_policy, FINITE)
    return _loss(posed, _half_square, reduction)


@for_any_array
def hypersimplex_loss_and_grad(
    scores: ArrayLike,
    targets: ArrayLike,
    k: ArrayLike | None = None,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    reduction: Reduction = "mean",
    nan_policy: NanPolicy = "propagate",
) -> tuple[Any, Array]:
    """`hypersimplex_loss` and its gradient with respect to the scores, from one solve.

    Returns
    -------
    loss : see `hypersimplex_loss`
    gradient : ndarray, shape and floating dtype of `scores`
        Of the reduced loss; for "none", of each row's own loss. k counts as a constant.

    Examples
    --------
    >>> import hsproj
    >>> loss, gradient = hsproj.hypersimplex_loss_and_grad([2.0, 1.0, 0.0], [1, 0, 0], temperature=2.0)
    >>> gradient
    array([-0.125,  0.125,  0.   ])
    """
    posed = pose(scores, targets, k, temperature, axis, reduction, nan_policy, FINITE)
    return _loss_and_grad(posed, _half_square, reduction)


@for_any_array
def cross_entropy_loss(
    scores: ArrayLike,
    targets: ArrayLike,
    k: ArrayLike | None = None,
    /,
    *,
    floor: float,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    reduction: Reduction = "mean",
    nan_policy: NanPolicy = "propagate",
) -> Any:
    """Cross entropy of p = soft_binary_argmax(scores, k): -sum(targets * log(max(p, floor))) for each row.

    Parameters
    ----------
    scores, k, temperature, axis, reduction, nan_policy
        See `hypersimplex_loss`.
    targets : array_like, broadcastable to the shape of `scores`, in [0, 1]
    floor : float
        0 < floor < 1. p has exact zeros, whose logarithm is no loss to report: each counts as `floor`. No value serves all,
        so there is no default: the loss of an entry is at most ``-log(floor)``, and its slope in p at most ``1 / floor``.

    Returns
    -------
    scalar, or ndarray of the shape of `scores` without `axis` for "none"
        In the floating dtype of `scores`. The mean over no rows is NaN.

    Raises
    ------
    TypeError, ValueError
        As `hypersimplex_loss`, and if `floor` or a target is out of its range.

    See Also
    --------
    fenchel_young_loss : has no zeros to take the logarithm of, and a gradient wherever p is not the target.

    Examples
    --------
    >>> import hsproj
    >>> float(hsproj.cross_entropy_loss([2.0, 1.0, 0.0], [1, 0, 0], temperature=2.0, floor=1e-6))  # -log(3 / 4)
    0.2876820724517809
    """
    posed = pose(scores, targets, k, temperature, axis, reduction, nan_policy, SHARES)
    return _loss(posed, _cross_entropy(floor), reduction)


@for_any_array
def cross_entropy_loss_and_grad(
    scores: ArrayLike,
    targets: ArrayLike,
    k: ArrayLike | None = None,
    /,
    *,
    floor: float,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    reduction: Reduction = "mean",
    nan_policy: NanPolicy = "propagate",
) -> tuple[Any, Array]:
    """`cross_entropy_loss` and its gradient with respect to the scores, from one solve.

    Returns
    -------
    loss : see `cross_entropy_loss`
    gradient : ndarray, shape and floating dtype of `scores`
        Of the reduced loss; for "none", of each row's own loss. k counts as a constant. Entries with p <= floor have no
        slope, so a positive target with p = 0 pulls at nothing, as in `hypersimplex_loss_and_grad`.

    Examples
    --------
    >>> import hsproj
    >>> loss, gradient = hsproj.cross_entropy_loss_and_grad([1.5, 1.0, -2.0], [1, 0, 0], floor=1e-6)
    >>> gradient * 3
    array([-2.,  2.,  0.])
    """
    posed = pose(scores, targets, k, temperature, axis, reduction, nan_policy, SHARES)
    return _loss_and_grad(posed, _cross_entropy(floor), reduction)


# From rows p and y to the losses of the rows, and their slopes in p if these are wanted.
Of = Callable[..., tuple[Array, Array]]


def _half_square(p: Array, y: Array) -> tuple[Array, Array]:
    difference = p - y
    return 0.5 * np.square(difference, dtype=np.float64).sum(axis=-1), difference


def _cross_entropy(floor: float) -> Of:
    number = real_array(floor, "floor", "f")
    if number.ndim or not 0 < number < 1:
        raise refuse(ValueError, "floor", "be a number with 0 < floor < 1", repr(floor))

    def of(p: Array, y: Array) -> tuple[Array, Array]:
        held = np.maximum(p.astype(np.float64), number)
        losses: Array = 0.0 - (y * np.log(held)).sum(axis=-1)
        return losses, np.where(p > number, -y / held, 0.0)

    return of


def _loss(posed: Posed, of: Of, reduction: Reduction) -> Any:
    answer = answer_rows(posed.problem)
    with np.errstate(over="ignore"):  # targets and losses may leave the range of the scores' dtype
        return posed.reduce(of(answer.p, posed.y)[0], reduction)


def _loss_and_grad(posed: Posed, of: Of, reduction: Reduction) -> tuple[Any, Array]:
    problem = posed.problem
    answer = answer_rows(problem, bounds=True)
    with np.errstate(over="ignore"):
        losses, slopes = of(answer.p, posed.y)
        gradient = tangent(slopes, problem.rows, problem.temperature, answer.answered, answer.bounds)
        return posed.reduce(losses, reduction), posed.restore(gradient, reduction)
