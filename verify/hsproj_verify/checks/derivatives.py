"""Checks of derivatives where the operator is differentiable."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from hsproj_verify.case import MODERATE, Case, Raised, fractions
from hsproj_verify.checks._draw import cotangent, dot, long_problem, well_inside
from hsproj_verify.checks._registry import check
from hsproj_verify.differences import central_difference
from hsproj_verify.problems import Problem, array_source, as_float


def _vjp_problem(case: Case, *families: str) -> Problem:
    return case.problem(*families, min_size=3, temperature=case.target.pulls_back_temperatures)


def _vjp_matches(case: Case, problem: Problem) -> None:
    g = cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    truth = problem.solution.vjp(g.tolist())
    unit = Fraction(problem.eps) * Fraction(float(np.abs(g).max())) / Fraction(problem.temperature)
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 2 * Fraction(case.tolerance) * unit:
        raise case.failure(problem, f"the vjp is off by {as_float(worst):.3g}", came, truth, cotangent=g)


@check("derivatives", "vjp")
def vjp_matches_the_exact_jacobian(case: Case) -> None:
    """vjp(g) = (1/tau) f (g - mean_F g) wherever no kink is within rounding.

    Made for: A gradient that is not divided by the temperature, or centred over all entries.
    """
    problem = _vjp_problem(case, "ordinary", "tied", "near-kink", "extreme-k", "huge-offset", "float32")
    if not well_inside(problem):
        return case.reject()
    _vjp_matches(case, problem)


@check("derivatives", "vjp")
def vjp_vanishes_at_tied_saturated_scores(case: Case) -> None:
    """Ties among scores that are 0 or 1 move nothing: their derivative is exactly 0, and it is found among the free ones.

    Made for: Free sets guessed from ties of the output, as in every PAV code: [5, 5, 0, 0] with k = 2 gives +-1/2,
    the Jacobian is 0. entmax 1.3 does so at [4.3, 4.3, 4.3, .1], k = 3.
    """
    problem = _vjp_problem(case, "saturated-and-tied")
    if not well_inside(problem):
        return case.reject()
    g = cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    free = set(problem.solution.free)
    if "exact" in case.target.claims and any(came[i] != 0.0 for i in range(problem.n) if i not in free):
        truth = problem.solution.vjp(g.tolist())
        raise case.failure(problem, "a saturated or zero entry has a gradient", came, truth, cotangent=g)
    _vjp_matches(case, problem)


@check("derivatives", "vjp", "equality")
def vjp_sums_to_zero(case: Case) -> None:
    """The total is fixed, so every gradient sums to 0.

    Made for: Straight-through gradients; a derivative that treats the threshold as a constant.
    """
    problem = _vjp_problem(case, *MODERATE)
    g = cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    allowed = 2 * case.tolerance * problem.eps * float(np.abs(g).max()) * problem.n / problem.temperature
    if not abs(math.fsum(came)) <= allowed:
        truth = problem.solution.vjp(g.tolist())
        raise case.failure(problem, f"the gradient sums to {math.fsum(came):.3g}", came, truth, cotangent=g)


@check("derivatives", "vjp")
def vjp_agrees_with_finite_differences(case: Case) -> None:
    """The target's vjp predicts what its own projection does inside the linear piece, where nothing else is in the way.

    Made for: Backward passes of another temperature or k than the forward pass. torch's gradcheck steps over kinks
    and calls valid ones wrong.
    """
    problem = _vjp_problem(case, *MODERATE, "near-kink")
    direction = cotangent(case, problem.n, problem.dtype)
    g = cotangent(case, problem.n, problem.dtype)
    seen = central_difference(lambda x: case.project(problem.with_scores(x)), problem, direction)
    if seen is None:
        return case.reject()
    predicted = dot(fractions(case.pull_back(problem, g)), seen.displacement)
    observed = dot(fractions(g), fractions(seen.change))
    noise = Fraction(4 * case.tolerance * problem.eps * float(np.abs(g).sum()))
    if abs(predicted - observed) > noise:
        reason = f"p changes by {as_float(observed):.6g} along g, the vjp says {as_float(predicted):.6g}"
        truth = problem.solution.vjp(g.tolist())
        moved = f"d = {array_source(seen.moved)}"
        compare = [
            moved,
            f"g = {array_source(g)}",
            f"({case.call_source(problem, 'x + d')} - {case.call_source(problem, 'x - d')}) @ g  # against vjp @ (2 * d)",
        ]
        raise case.failure(problem, reason, case.pull_back(problem, g), truth, cotangent=g, last=compare)


@check("derivatives", "vjp", "long", weight=0.2)
def vjp_is_right_on_long_rows(case: Case) -> None:
    """vjp(g) = (1/tau) f (g - mean_F g) on rows of up to some thousand scores, where plain sums of g lose a digit or two.

    Made for: Near-ties merged by 1e-9: in float32, 101 wrong coordinates at n = 100000 with normal scores.
    """
    from hypothesis import strategies as st

    problem = long_problem(case)
    if not well_inside(problem):
        return case.reject()
    rng = np.random.default_rng(case.draw(st.integers(0, 2**32)))
    g = (rng.integers(-8, 9, problem.n) / 4).astype(problem.dtype)
    came, truth = case.pull_back(problem, g), problem.solution.vjp(g.tolist())
    allowed = 2 * Fraction(case.tolerance * problem.eps * (1 + math.sqrt(problem.n)))
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 2 * allowed:
        raise case.failure(problem, f"the vjp is off by {as_float(worst):.3g}", came, truth, cotangent=g)


@check("derivatives", "vjp")
def vjp_leaves_scores_and_cotangent_untouched(case: Case) -> None:
    """The caller's scores and cotangent hold the same bits afterwards.

    Made for: g -= g.mean() on the caller's array, which autograd engines share between nodes.
    """
    problem = _vjp_problem(case, "ordinary", "tied")
    g = cotangent(case, problem.n, problem.dtype)
    x, given = problem.x, g.copy()
    try:
        case.call(case.target.pull_back, x, problem.total, given, problem.temperature)
    except Raised as raised:
        raise case.failure(problem, f"its vjp raised {raised}", str(raised), cotangent=g) from raised
    for name, came, before in (("scores", x, problem.x), ("cotangent", given, g)):
        if came.tobytes() != before.tobytes():
            raise case.failure(problem, f"the vjp changed the {name}", came, fractions(before), cotangent=g)
