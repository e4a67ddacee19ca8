"""What is counted in the end: wrong decisions, and positives missed by the k highest scores. No gradients, for reports."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hsproj._dispatch import for_any_array
from hsproj._inputs import Array, NanPolicy, Problem
from hsproj._projection import check_chosen, kth_largest
from hsproj._targets import ZERO_OR_ONE, Reduction, pose


@for_any_array
def zero_one_loss(
    scores: ArrayLike,
    targets: ArrayLike,
    k: ArrayLike | None = None,
    /,
    *,
    axis: int = -1,
    reduction: Reduction = "mean",
    nan_policy: NanPolicy = "propagate",
) -> Any:
    """Share of wrong decisions in each row, if its k highest scores are taken for ones and the others for zeros.

    Scores that are tied at the k-th place share what is left of k: the loss is what breaking ties at random gives on average.

    Parameters
    ----------
    scores, axis, nan_policy
        As `x` of `binary_argmax`.
    targets : array_like, broadcastable to the shape of `scores`, of zeros and ones
    k : int or array_like of integers, broadcastable to the shape of `scores` without `axis`, optional
        Number of ones in each row; by default that of its targets.
    reduction : {"mean", "sum", "none"}
        Over rows.

    Returns
    -------
    scalar, or ndarray of the shape of `scores` without `axis` for "none"
        In the floating dtype of `scores`. The mean over no rows is NaN.

    Raises
    ------
    TypeError, ValueError
        As `binary_argmax`, if `reduction` is none of the three, or if a target is neither 0 nor 1.

    Notes
    -----
    Where no tie is at the k-th place, n/2 times this is what `hypersimplex_loss` is at every temperature up to the gap there.

    Examples
    --------
    >>> import hsproj
    >>> float(hsproj.zero_one_loss([5.0, 3.0, 1.0, 0.0], [1, 0, 1, 0]))
    0.5
    >>> float(hsproj.zero_one_loss([0.0, 0.0, 0.0, 0.0], [1, 1, 0, 0]))  # knows nothing
    0.5
    """
    posed = pose(scores, targets, k, 1.0, axis, reduction, nan_policy, ZERO_OR_ONE, whole=True)
    wrong = np.abs(_chosen(posed.problem) - posed.y).sum(axis=-1)
    return posed.reduce(wrong / max(posed.problem.layout.n, 1), reduction)


@for_any_array
def top_k_zero_one_loss(
    scores: ArrayLike,
    targets: ArrayLike,
    k: ArrayLike,
    /,
    *,
    axis: int = -1,
    reduction: Reduction = "mean",
    nan_policy: NanPolicy = "propagate",
) -> Any:
    """Share of each row's positives that are not among its k highest scores: 1 or 0 where there is one positive.

    With ``k=1`` and a row for each sample, its mean is the error rate of a classifier. Ties count as in `zero_one_loss`.

    Parameters
    ----------
    scores, targets, axis, reduction, nan_policy
        See `zero_one_loss`.
    k : int or array_like of integers, broadcastable to the shape of `scores` without `axis`

    Returns
    -------
    scalar, or ndarray of the shape of `scores` without `axis` for "none"
        In the floating dtype of `scores`; 0 for a row without a positive. The mean over no rows is NaN.

    Raises
    ------
    TypeError, ValueError
        As `zero_one_loss`.

    Examples
    --------
    >>> import hsproj
    >>> scores, onehot = [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], [[0, 0, 1], [1, 0, 0]]
    >>> float(hsproj.top_k_zero_one_loss(scores, onehot, 1)), float(hsproj.top_k_zero_one_loss(scores, onehot, 2))
    (0.5, 0.0)
    """
    posed = pose(scores, targets, k, 1.0, axis, reduction, nan_policy, ZERO_OR_ONE, whole=True)
    missed = (posed.y * (1.0 - _chosen(posed.problem))).sum(axis=-1)
    return posed.reduce(missed / np.maximum(posed.y.sum(axis=-1), 1.0), reduction)


def _chosen(problem: Problem) -> Array:
    """(m, n) float64: the limit of p as the temperature falls to 0, NaN in rows without an answer."""
    rows, totals = problem.rows, problem.k.astype(np.int64)
    kth = kth_largest(rows, totals)[:, None]
    check_chosen(kth[:, 0] > -np.inf, problem)
    above, tied = rows > kth, rows == kth
    left = totals[:, None] - above.sum(axis=-1, keepdims=True)
    shares = np.where(above, 1.0, np.where(tied, left / np.maximum(tied.sum(axis=-1, keepdims=True), 1), 0.0))
    return np.where(kth > -np.inf, shares, np.nan)
