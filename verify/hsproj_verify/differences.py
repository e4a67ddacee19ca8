"""Finite differences whose step stays inside the linear piece, where they have no truncation error at all.

The projection is affine within `margin` of x (max norm). So p(x + h v) - p(x - h v) is exactly J d, with d the exact
difference of the two rounded points, as long as both stay closer than the margin: all that is left is the target's own
rounding, which can be bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hsproj_verify.problems import Problem


@dataclass(frozen=True)
class CentralDifference:
    """p(x + moved) - p(x - moved) and the exact displacement, twice `moved` but for rounding, that caused it."""

    change: np.ndarray
    displacement: tuple[Fraction, ...]
    moved: np.ndarray
    step: float


def central_difference(
    project: Callable[[np.ndarray], np.ndarray], problem: Problem, direction: np.ndarray
) -> CentralDifference | None:
    """The change of `project` across the problem's scores along `direction`, within half of its margin.

    Parameters
    ----------
    project : callable
        From n scores to n entries.
    problem : Problem
        Its exact margin sets the step.
    direction : ndarray of n floats
        Scaled to max norm 1.

    Returns
    -------
    CentralDifference, or None at a kink, or where the step would drown in the rounding of the scores.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.differences import central_difference
    >>> problem = Problem((3.0, 1.0, 1.0, 0.0), 2.0)
    >>> identity = central_difference(lambda x: x, problem, np.array([0.0, 1.0, 0.0, 0.0]))
    >>> identity.change, identity.step
    (array([0. , 0.2, 0. , 0. ]), 0.1)
    """
    margin = problem.solution.margin
    norm = float(np.abs(direction).max(initial=0.0))
    if margin == 0 or norm == 0.0:
        return None
    # An infinite margin (every entry fixed, or one entry only) leaves the scale of the problem itself.
    step = 0.4 * min(problem.temperature if margin is None else float(margin), problem.temperature)
    x = problem.x
    with np.errstate(over="ignore"):
        moved = (direction / norm * step).astype(x.dtype)
    ahead, behind = x + moved, x - moved
    if np.abs(moved).max() < 1e3 * np.finfo(x.dtype).eps * max(np.abs(x).max(), problem.temperature):
        return None
    displacement = tuple(Fraction(float(a)) - Fraction(float(b)) for a, b in zip(ahead, behind, strict=True))
    change = np.asarray(project(ahead), dtype=np.float64) - np.asarray(project(behind), dtype=np.float64)
    return CentralDifference(change, displacement, moved, step)
