"""Checks of accuracy, by family of scores."""

from __future__ import annotations

import numpy as np

from hsproj_verify.case import MODERATE, Case
from hsproj_verify.checks._draw import long_problem
from hsproj_verify.checks._registry import check
from hsproj_verify.problems import Problem


def _accurate(case: Case, *families: str) -> None:
    problem = case.problem(*families)
    case.close(case.project(problem), problem, "not the projection")


@check("accuracy")
def accurate_on_ordinary_scores(case: Case) -> None:
    """Within tolerance of the exact rational answer on moderate scores."""
    _accurate(case, "ordinary")


@check("accuracy")
def accurate_on_tied_scores(case: Case) -> None:
    """Within tolerance where scores repeat."""
    _accurate(case, "tied")


@check("accuracy")
def accurate_on_saturated_ties(case: Case) -> None:
    """Within tolerance where whole groups of equal scores are 0 or 1, vertices included."""
    _accurate(case, "saturated-and-tied")


@check("accuracy")
def accurate_near_kinks(case: Case) -> None:
    """Within tolerance where scores lie at breakpoints, or a few ulps off."""
    _accurate(case, "near-kink")


@check("accuracy")
def accurate_at_extreme_totals(case: Case) -> None:
    """Within tolerance at k = 0, 1, n - 1, n, and next to them."""
    _accurate(case, "extreme-k")


@check("accuracy", "offsets")
def accurate_with_a_huge_offset(case: Case) -> None:
    """Within tolerance when all scores share an offset up to 1e12: a threshold held as one float loses four digits there."""
    _accurate(case, "huge-offset")


@check("accuracy", "offsets")
def accurate_at_huge_scales(case: Case) -> None:
    """Within tolerance for scores and temperatures from 1e-300 to 1e300."""
    _accurate(case, "huge-scale")


@check("accuracy", "float32")
def accurate_in_float32(case: Case) -> None:
    """Within tolerance in units of float32."""
    _accurate(case, "float32")


@check("accuracy", "rounded", weight=5)
def every_entry_is_the_nearest_float(case: Case) -> None:
    """Each entry is the exact one, rounded once: to the nearest float, ties to even."""
    from hypothesis import strategies as st

    from hsproj_verify.strategies import FAMILIES

    families = case.draw(st.sampled_from([FAMILIES, ("near-midpoint",), ("huge-scale",)]))
    problem = case.problem(*families)
    p = case.project(problem)
    nearest = problem.solution.nearest(problem.dtype)
    if not np.array_equal(p, nearest):
        wrong = np.flatnonzero(p != nearest)
        reason = f"entry {wrong[0]} is {float(p[wrong[0]])!r}, not the nearest float, {float(nearest[wrong[0]])!r}"
        raise case.failure(problem, reason, p)


@check("accuracy", "long", weight=0.2)
def accurate_on_long_rows(case: Case) -> None:
    """Within tolerance on rows of up to some thousand scores, where careless sums begin to show.

    The tolerance is 1 + k / m times the ordinary one, with m free entries: so much does it move p to round a total of k.
    """
    problem = long_problem(case)
    share = problem.k / max(len(problem.solution.free), 1)
    case.close(case.project(problem), problem, "not the projection", factor=1.0 + share)


@check("accuracy", "integers")
def integer_scores_are_promoted(case: Case) -> None:
    """Integer scores give the same real answer as the same numbers as floats: nothing is truncated."""
    from hypothesis import strategies as st

    scores = case.draw(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
    problem = Problem(tuple(map(float, scores)), float(case.draw(st.integers(0, len(scores)))), dtype="int64")
    case.close(case.project(problem), problem, "not the projection of integer scores")


@check("accuracy", weight=0.25)
def agrees_with_cvxpy(case: Case) -> None:
    """Agrees with the quadratic program as CVXPY and Clarabel solve it, as far as that answer can be trusted."""
    from hsproj_verify.oracles import qp

    problem = case.problem(*MODERATE)
    p = case.project(problem)
    answer = qp.solve(problem.x, problem.k, problem.temperature)
    allowed = max(1e-5, 10 * answer.digits)
    if not np.abs(p - answer.p).max() <= allowed:
        reason = f"CVXPY differs by {np.abs(p - answer.p).max():.3g}; its own residuals are {answer.digits:.1g}"
        raise case.failure(problem, reason, p)
