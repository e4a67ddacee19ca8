"""Checks of structure: order, ties, and the symmetries of the operator."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from hsproj_verify.case import MODERATE, Case
from hsproj_verify.checks._registry import check


@check("structure")
def order_is_preserved(case: Case) -> None:
    """A larger score never gets a smaller p, beyond rounding.

    Made for: Answers put back by the sorting permutation instead of its inverse.
    """
    problem = case.problem(*MODERATE, min_size=2)
    p = case.project(problem)
    ascending = p[np.argsort(problem.x, kind="stable")]
    if not np.all(np.diff(ascending) >= -2 * case.allowed(problem) * problem.eps):
        raise case.failure(problem, "p is not ordered as the scores are", p)


@check("structure", "exact")
def equal_scores_get_equal_p(case: Case) -> None:
    """Equal scores get the same p, to the last bit, wherever they stand.

    Made for: Hard top-k at ties, and block averages that sum tied entries in different orders.
    """
    problem = case.problem("tied", "saturated-and-tied", min_size=2)
    p = case.project(problem)
    for score in set(problem.scores):
        group = p[problem.x == score]
        if not np.all(group == group[0]):
            raise case.failure(problem, f"entries with the score {score!r} differ", p)


@check("structure")
def permuting_scores_permutes_p(case: Case) -> None:
    """P(x[s]) = P(x)[s] for every permutation s.

    Made for: Answers left in sorted order; answers cached by shape.
    """
    from hypothesis import strategies as st

    problem = case.problem(*MODERATE, min_size=2)
    permutation = list(case.draw(st.permutations(range(problem.n))))
    moved = problem.with_scores(problem.x[permutation])
    case.close(case.project(moved), moved, "permuted scores", case.project(problem)[permutation], 2.0, others=[problem])


@check("structure", "equality")
def adding_a_constant_leaves_p_unchanged(case: Case) -> None:
    """P(x + c) = P(x): shown where x + c is exact.

    Made for: Clipping x before finding the threshold; brackets that start at 0.
    """
    from hypothesis import strategies as st

    problem = case.problem("tied", "saturated-and-tied")
    large = [1024.0, -(2.0**20)] if "offsets" in case.target.claims else []
    shift = case.draw(st.sampled_from([1.0, -3.0, *large]))
    moved = problem.with_scores(problem.x + shift)
    if any(Fraction(a) + Fraction(shift) != Fraction(b) for a, b in zip(problem.scores, moved.scores, strict=True)):
        return case.reject()
    case.close(case.project(moved), moved, f"after adding {shift}", case.project(problem), 2.0, others=[problem])


@check("structure", "equality")
def complement_is_the_projection_of_the_negated_scores(case: Case) -> None:
    """P(n, k)(x) = 1 - P(n, n - k)(-x).

    Made for: Upper bounds treated with less care than lower ones: x >= theta + tau where x > theta is meant.
    """
    problem = case.problem(*MODERATE)
    if Fraction(problem.n - problem.k) != problem.n - Fraction(problem.k):
        return case.reject()
    mirrored = problem.with_scores(-problem.x, k=problem.n - problem.k)
    p, complement = case.project(problem), 1.0 - case.project(mirrored)
    case.close(p, problem, "against the complement", complement, 2.0, others=[mirrored])


@check("structure")
def projecting_twice_changes_nothing(case: Case) -> None:
    """P(P(x)) = P(x) at temperature 1, up to the rounding of P(x) itself, which a projection does not magnify.

    Made for: Equation 5 of arXiv 2602.23336 as printed: projecting x / 2 is not idempotent.
    """
    problem = case.problem(*MODERATE, temperature=False)
    once = case.project(problem)
    if not np.isfinite(once).all():
        raise case.failure(problem, "an entry is not finite", once)
    again = problem.with_scores(once)
    case.close(case.project(again), again, "projecting again", once, 2.0 + math.sqrt(problem.n), others=[problem])


@check("structure")
def moves_no_further_than_the_scores(case: Case) -> None:
    """||P(x) - P(y)|| <= ||x - y|| / tau: the operator is 1/tau-Lipschitz.

    Made for: Heuristics that jump, such as rounding to the nearest vertex when it is near.
    """
    from hypothesis import strategies as st

    problem = case.problem("ordinary", "tied", "near-kink", min_size=3)
    moves = st.lists(st.integers(-16, 16).map(lambda i: i / 32), min_size=problem.n, max_size=problem.n)
    other = problem.with_scores(problem.x + np.array(case.draw(moves)))
    p, q = case.project(problem), case.project(other)
    allowed = np.linalg.norm(other.x - problem.x) / problem.temperature
    if not np.linalg.norm(p - q) <= allowed + 4 * case.tolerance * problem.eps * problem.n:
        reason = f"p moved by {np.linalg.norm(p - q):.3g} when x moved by {allowed:.3g} temperatures, to {other.scores}"
        raise case.failure(problem, reason, p, others=[other])


@check("structure", "temperature")
def scaling_scores_and_temperature_changes_nothing(case: Case) -> None:
    """P(c x; c tau) = P(x; tau) for powers of two c, which round nothing.

    Made for: The temperature applied after the projection, or tolerances that are absolute.
    """
    from hypothesis import strategies as st

    problem = case.problem(*MODERATE)
    c = 2.0 ** case.draw(st.sampled_from([1, -1, 10, -10]))
    scaled = problem.with_scores(problem.x * c, temperature=problem.temperature * c)
    if any(Fraction(a) * Fraction(c) != Fraction(b) for a, b in zip(problem.scores, scaled.scores, strict=True)):
        return case.reject()
    case.close(case.project(scaled), scaled, f"after scaling by {c}", case.project(problem), 2.0, others=[problem])


@check("structure", "infinities")
def masked_scores_drop_out(case: Case) -> None:
    """-inf gets p = 0, +inf gets p = 1, and the others get what they would get without them.

    Made for: Masks of -1e9, and -inf - (-inf): NaN and -inf are silently accepted by many.
    """
    from hypothesis import strategies as st

    problem = case.problem("ordinary", "tied", "huge-offset")
    down, up = case.draw(st.integers(0, 2)), case.draw(st.integers(0, 2))
    padded = problem.with_scores((*problem.scores, *[-np.inf] * down, *[np.inf] * up), k=problem.k + up)
    if Fraction(padded.k) != Fraction(problem.k) + up:
        return case.reject()
    case.close(case.project(padded), padded, "with infinite scores")
