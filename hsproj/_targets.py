"""What every loss begins and ends with: scores and targets to canonical rows, losses of rows to what was asked for."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hsproj._errors import refuse
from hsproj._inputs import (
    Array,
    Layout,
    NanPolicy,
    Problem,
    demand,
    demand_choice,
    like_scores,
    read_problem,
    read_scores,
    total_rule,
)

Reduction = Literal["none", "sum", "mean"]
Rule = tuple[Callable[[Array], Array], str, str]
"""What all targets must keep: those that do, what the rule says, and what came if one does not."""

FINITE: Rule = (np.isfinite, "be finite", "an infinite target")
SHARES: Rule = (lambda y: (y >= 0) & (y <= 1), "lie in [0, 1]", "a target outside")
ZERO_OR_ONE: Rule = (lambda y: (y == 0) | (y == 1), "be 0 or 1", "another target")


class Posed(NamedTuple):
    """A problem and the targets of its rows (m, n). Rows with NaN among their targets have it among their scores, too."""

    problem: Problem
    y: Array

    def reduce(self, losses: Array, reduction: Reduction) -> Any:
        """Losses of rows, as the user wants them."""
        layout = self.problem.layout
        if reduction == "none":
            return layout.per_row(losses)
        with np.errstate(over="ignore"):  # losses may leave the range of the scores' dtype
            return layout.dtype.type(
                losses.sum() * self._weight(reduction) if layout.m or reduction == "sum" else np.nan
            )

    def restore(self, gradient: Array, reduction: Reduction) -> Array:
        """Gradients of the losses of rows, as the user wants them."""
        with np.errstate(over="ignore"):
            return self.problem.layout.restore(gradient * gradient.dtype.type(self._weight(reduction)))

    def _weight(self, reduction: Reduction) -> float:
        return 1.0 / max(self.problem.layout.m, 1) if reduction == "mean" else 1.0


def pose(
    scores: ArrayLike,
    targets: ArrayLike,
    k: ArrayLike | None,
    temperature: ArrayLike,
    axis: int,
    reduction: Reduction,
    nan_policy: NanPolicy,
    rule: Rule,
    *,
    whole: bool = False,
) -> Posed:
    """Everything that can be wrong about the call of a loss is refused here. Without k, it is the total of the targets."""
    demand_choice(reduction, "reduction", "none", "sum", "mean")
    array, layout = read_scores(scores, axis, "scores")
    aims = like_scores(targets, "targets", layout)
    keeps, says, came = rule
    if not (keeps(aims) | np.isnan(aims)).all():
        raise refuse(ValueError, "targets", says, came, str(layout))
    with np.errstate(over="ignore"):  # targets may leave the range of the scores' dtype
        y = layout.rows(aims)
    missing: Array = np.logical_or.reduce(np.isnan(y), axis=-1)
    if nan_policy == "raise":
        demand(np.logical_not, "targets", "hold no NaN in any row", missing, layout, "NaN")
    if k is None:
        k = _totals(aims, missing, layout)
    problem = read_problem(array, k, temperature, axis, nan_policy, "scores", whole=whole)
    if missing.any():
        problem = problem._replace(rows=np.where(missing[:, None], np.nan, problem.rows))
    return Posed(problem, y)


def _totals(aims: Array, missing: Array, layout: Layout) -> Array:
    totals = np.where(missing, 0.0, aims.sum(axis=layout.axis, dtype=np.float64).reshape(-1))
    demand(total_rule(layout)[0], "targets", "sum to 0 <= k <= n in each row", totals, layout, "k")
    return totals.reshape(layout.batch)
