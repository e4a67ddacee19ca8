"""Checks of the cross entropy of a row of p, -sum of y log max(p, floor), and of its gradient.

A target without a parameter `floor` is asked where p is far above any floor, at every positive target.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from hsproj_verify.case import Case, Unclaimed, fractions
from hsproj_verify.checks._draw import targets, well_inside
from hsproj_verify.checks._registry import check
from hsproj_verify.problems import Problem, as_float
from hsproj_verify.target import takes

_KIND = "cross_entropy_loss"
_FAMILIES = ("ordinary", "tied", "float32")
_ABOVE = 1 / 64


class _Posed(NamedTuple):
    problem: Problem
    y: np.ndarray
    floor: float
    options: dict[str, float]


def _takes_floor(case: Case, name: str) -> bool:
    return takes(getattr(case.target, name), "floor")


def _posed(case: Case, name: str, *, low: bool) -> _Posed:
    """A problem, targets and a floor; `low` says that some positive target has a p below the floor."""
    from hypothesis import strategies as st

    if low and not _takes_floor(case, name):
        raise Unclaimed(f"{name} has no parameter floor")
    families = (*_FAMILIES, "vertex", "saturated-and-tied") if low else _FAMILIES
    problem = case.problem(*families, min_size=3, temperature=case.target.takes_temperature(name))
    if not well_inside(problem):
        case.reject()
    floor = case.draw(st.sampled_from([1e-3, 1e-6, 1e-12]))
    y, p = targets(case, problem), np.array([as_float(v) for v in problem.solution.p])
    if not low:
        y[p < _ABOVE] = 0
    elif case.draw(st.booleans()):
        y[int(np.argmin(p))] = 1
    else:  # the floor is brought up to where it lies above a p that is not 0
        least = p.min(initial=0.5, where=p > 1e-6)
        floor = min(2 * float(least), 0.75)
        y[p == least] = 1
    if np.any(np.abs(p - floor) < 1e-4 * floor) or low != bool(np.any(p[y > 0] < floor)):
        case.reject()
    return _Posed(problem, y, floor, {"floor": floor} if _takes_floor(case, name) else {})


def _loss_matches(case: Case, posed: _Posed) -> None:
    problem, y, floor, options = posed
    truth = problem.solution.cross_entropy_loss(y.tolist(), floor)
    size = sum(t * (1 / max(float(p), floor)) for t, p in zip(y.tolist(), problem.solution.p, strict=True) if p > floor)
    came = case.lose(problem, y, _KIND, **options)
    if not abs(came - truth) <= 2 * case.tolerance * problem.eps * (size + abs(truth)):
        name = case.target.that_loses(_KIND)
        reason = f"the cross entropy is {came!r}"
        raise case.failure(problem, reason, repr(came), [Fraction(truth)], companion=(name, y), options=options)


def _gradient_matches(case: Case, posed: _Posed) -> None:
    problem, y, floor, options = posed
    came = case.lose_with_gradient(problem, y, _KIND, **options)[1]
    truth = problem.solution.cross_entropy_gradient(y.tolist(), floor)
    steepest = max(
        (Fraction(t) / p for t, p in zip(y.tolist(), problem.solution.p, strict=True) if p > floor), default=0
    )
    # An error in p of the ordinary tolerance, as a relative one, is one of the slope.
    unit = Fraction(case.tolerance * problem.eps) * steepest * (1 + steepest) / Fraction(problem.temperature)
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 8 * unit:
        reason, shown = f"the gradient of the cross entropy is off by {as_float(worst):.3g}", (f"{_KIND}_and_grad", y)
        raise case.failure(problem, reason, came, truth, companion=shown, options=options)


@check("losses", "cross-entropy")
def cross_entropy_is_that_of_p(case: Case) -> None:
    """-sum of y log p over positive targets whose p is 1/64 at least: no floor matters there.

    Made for: Cross entropies of the scores, or of a softmax of p; means over n; and log(p + epsilon) with a large epsilon.
    """
    _loss_matches(case, _posed(case, case.target.that_loses(_KIND), low=False))


@check("losses", "cross-entropy")
def cross_entropy_below_the_floor_is_that_of_the_floor(case: Case) -> None:
    """A positive target whose p is below the floor, perhaps 0, costs -log(floor).

    Made for: A logarithm of 0, which is infinite, or NaN times 0; and floors that are written down and not used.
    """
    _loss_matches(case, _posed(case, case.target.that_loses(_KIND), low=True))


@check("losses", "cross-entropy-gradient")
def cross_entropy_gradient_matches_the_exact_one(case: Case) -> None:
    """J s with the slopes s = -y / p where p is above the floor, away from kinks.

    Made for: p - y, as of a softmax: the Jacobian here is another one.
    """
    _gradient_matches(case, _posed(case, f"{_KIND}_and_grad", low=False))


@check("losses", "cross-entropy-gradient")
def cross_entropy_gradient_is_zero_below_the_floor(case: Case) -> None:
    """Where p is below the floor the loss is flat, and so its slope there is 0.

    Made for: A clamp in the denominator only, -y / max(p, floor): the gradient of another function than the loss.
    """
    _gradient_matches(case, _posed(case, f"{_KIND}_and_grad", low=True))
