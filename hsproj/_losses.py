"""The HyperSimplex loss: scores and targets in, 1/2 ||p - y||^2 a row and its gradient out.

p = soft_binary_argmax(scores, k) and d loss / d scores = J (p - y), J the Jacobian of p. Source: arXiv 2602.23336.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hsproj._derivatives import tangent
from hsproj._errors import refuse
from hsproj._inputs import Array, NanPolicy, demand, demand_choice, like_scores, read_problem, read_scores, total_rule
from hsproj._projection import answer_rows

Reduction = Literal["none", "sum", "mean"]


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
    loss, _ = _loss(scores, targets, k, temperature, axis, reduction, nan_policy, with_gradient=False)
    return loss


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
    return _loss(scores, targets, k, temperature, axis, reduction, nan_policy, with_gradient=True)


def _loss(
    scores: ArrayLike,
    targets: ArrayLike,
    k: ArrayLike | None,
    temperature: ArrayLike,
    axis: int,
    reduction: Reduction,
    nan_policy: NanPolicy,
    *,
    with_gradient: bool,
) -> tuple[Any, Any]:
    demand_choice(reduction, "reduction", "none", "sum", "mean")
    array, layout = read_scores(scores, axis, "scores")
    aims = like_scores(targets, "targets", layout)
    if np.isinf(aims).any():
        raise refuse(ValueError, "targets", "be finite", "an infinite target", str(layout))
    y = layout.rows(aims)
    missing: Array = np.logical_or.reduce(np.isnan(y), axis=-1)
    if nan_policy == "raise":
        demand(np.logical_not, "targets", "hold no NaN in any row", missing, layout, "NaN")
    if k is None:
        totals = np.where(missing, 0.0, aims.sum(axis=layout.axis, dtype=np.float64).reshape(-1))
        demand(total_rule(layout)[0], "targets", "sum to 0 <= k <= n in each row", totals, layout, "k")
        k = totals.reshape(layout.batch)
    problem = read_problem(array, k, temperature, axis, nan_policy, "scores")
    if missing.any():
        problem = problem._replace(rows=np.where(missing[:, None], np.nan, problem.rows))
    answer = answer_rows(problem, bounds=with_gradient)
    with np.errstate(over="ignore"):  # targets and losses may leave the range of the scores' dtype
        difference = answer.p - y
        losses = 0.5 * np.square(difference, dtype=np.float64).sum(axis=-1)
        weight = 1.0 / max(layout.m, 1) if reduction == "mean" else 1.0
        if reduction == "none":
            loss: Any = layout.per_row(losses)
        else:
            loss = layout.dtype.type(losses.sum() * weight if layout.m or reduction == "sum" else np.nan)
        if not with_gradient:
            return loss, None
        free, _ = answer.masks(problem.rows, both=False)
        gradient = tangent(difference, free, problem.temperature, answer.answered)
        return loss, layout.restore(gradient * problem.rows.dtype.type(weight))
