"""Checks of derivatives at kinks, where there are several that are right: any of them passes.

At a kink the derivative along a direction depends on the direction. A product with a Jacobian there has to be one with a
generalised Jacobian: a limit of Jacobians at smooth points nearby (Bouligand), or a mixture of such limits (Clarke). The
limits are (1/tau) (diag(f) - f f' / m) for the free sets of `exact.Solution.limiting_sets`. Nearby problems may have another
k, too: what floats compute is the answer to such a problem. A failure is proved: by a hyperplane, in rationals, that
separates what came from all of them (`oracles.hull`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from hsproj_verify.case import Case, fractions
from hsproj_verify.checks._draw import cotangent, targets
from hsproj_verify.checks._registry import check
from hsproj_verify.oracles.hull import is_outside
from hsproj_verify.problems import Problem


def _kink(case: Case, companion: str) -> Problem:
    return case.problem("kink", temperature=case.target.takes_temperature(companion))


def _limiting_sets(problem: Problem) -> list[tuple[int, ...]]:
    return problem.solution.limiting_sets(nearby_totals=True)


def _demand_generalised(
    case: Case, problem: Problem, came: np.ndarray, products: Sequence[Sequence[Fraction]], size: float, **shown: Any
) -> None:
    """Fail if what came is proved to be no mixture of these products with vectors of this size."""
    tolerance = 2 * Fraction(case.tolerance * problem.eps * size) / Fraction(problem.temperature)
    if is_outside(fractions(came.ravel()), products, tolerance):
        lower, upper = ([*which] for which in (problem.solution.lower_kinks, problem.solution.upper_kinks))
        if lower or upper:
            where = (
                f"at a kink (entries {lower} about to leave 0, {upper} about to leave 1): no generalised Jacobian gives"
            )
        else:
            where = "near no kink, where there is one Jacobian: it does not give"
        reason = f"{where} this; what is right is shown"
        raise case.failure(problem, reason, came, products[0][-problem.n :], **shown)


@check("kinks", "vjp", "equality", weight=0.5)
def vjp_at_kinks_is_a_generalised_jacobian(case: Case) -> None:
    """The matrix that the vjp makes of all unit cotangents is a generalised Jacobian, in Clarke's sense: one for all of them.

    So a vjp may choose any limit of Jacobians nearby, or mix them (as automatic differentiation does where a clip has half a
    gradient at its ends), but not another one for each cotangent, and none that no point nearby has.

    Made for: Comparisons with finite differences, torch's gradcheck among them, that call valid choices at kinks wrong; and
    for free sets found from a threshold that is off by a rounding, as entmax 1.3 does at [4.3, 4.3, 4.3, .1] with k = 3.
    """
    problem = _kink(case, "vjp")
    solution, units = problem.solution, np.eye(problem.n, dtype=problem.dtype)
    came = np.array([case.pull_back(problem, unit) for unit in units])
    limits = [
        [entry for unit in units.tolist() for entry in solution.vjp(unit, free)] for free in _limiting_sets(problem)
    ]
    _demand_generalised(case, problem, came, limits, 1.0, cotangent=units[-1])


@check("kinks", "jvp", "equality", weight=0.5)
def jvp_at_kinks_is_a_generalised_derivative(case: Case) -> None:
    """The jvp along v is a product of v and a generalised Jacobian: a fixed one, or that of the direction.

    The directional derivative at a kink is one of these products, and so passes, although it is not linear in v.

    Made for: None known; it guards what vjp_at_kinks_is_a_generalised_jacobian does, in forward mode.
    """
    problem = _kink(case, "jvp")
    v = cotangent(case, problem.n, problem.dtype)
    came = case.push_forward(problem, v)
    products = [problem.solution.vjp(v.tolist(), free) for free in _limiting_sets(problem)]
    _demand_generalised(case, problem, came, products, float(np.abs(v).max()), companion=("jvp", v))


@check("kinks", "loss-gradient", "equality", weight=0.5)
def loss_gradient_at_kinks_is_a_generalised_one(case: Case) -> None:
    """The gradient of the loss at a kink is J (p - y) for a generalised Jacobian J.

    Made for: Blocks of equal output taken as free, in the code of arXiv 2602.23336: scores from a grid meet kinks often.
    """
    problem = _kink(case, "loss_and_grad")
    y = targets(case, problem)
    came = case.lose_with_gradient(problem, y)[1]
    products = [problem.solution.loss_gradient(y.tolist(), free) for free in _limiting_sets(problem)]
    _demand_generalised(case, problem, came, products, 2.0, companion=("loss_and_grad", y))


@check("kinks", "vjp")
def vjp_is_linear_in_the_cotangent(case: Case) -> None:
    """vjp(g + c h) = vjp(g) + c vjp(h) at every problem, kinks among them: gradients of sums are sums of gradients.

    Made for: Directional derivatives handed out as vjps, and masks that are made of g; no public bug is known.
    """
    problem = case.problem("kink", "free", "tied", temperature=case.target.takes_temperature("vjp"))
    g, h = (cotangent(case, problem.n, problem.dtype) for _ in range(2))
    both = g - 2 * h
    came = case.pull_back(problem, both)
    apart = case.pull_back(problem, g) - 2 * case.pull_back(problem, h)
    allowed = 2 * case.tolerance * problem.eps * float((np.abs(g) + 2 * np.abs(h)).max()) / problem.temperature
    if not np.abs(came - apart).max() <= 2 * allowed:
        reason = "vjp(g - 2 h) is not vjp(g) - 2 vjp(h), which is shown as exact"
        raise case.failure(problem, reason, came, fractions(apart), cotangent=both)
