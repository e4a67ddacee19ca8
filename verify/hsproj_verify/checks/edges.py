"""Checks at the edges of what can be asked: no choice at all, one score, none, totals next to whole numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from hsproj_verify.case import MODERATE, Case, Raised, failed
from hsproj_verify.checks._registry import check
from hsproj_verify.problems import Problem


@check("edges", "edge-k")
def without_a_choice_all_are_zero_or_one(case: Case) -> None:
    """With k = 0 every entry is 0, with k = n every entry is 1, whatever the scores.

    Made for: Thresholds that start at the largest score minus tau, and scans that end one breakpoint early.
    """
    from hypothesis import strategies as st

    problem = case.problem(*MODERATE, "huge-offset")
    problem = problem.with_scores(problem.scores, k=float(case.draw(st.sampled_from([0, problem.n]))))
    case.close(case.project(problem), problem, f"k = {problem.total} leaves no choice")


@check("edges")
def one_score_gets_the_whole_total(case: Case) -> None:
    """With n = 1, p = k.

    Made for: Differences of neighbouring scores, which one score does not have.
    """
    from hypothesis import strategies as st

    real = "real-k" in case.target.claims
    k = case.draw(st.sampled_from([0.0, 1.0, *([0.5, 0.25, 1e-9] if real else [])]))
    greatest = 1e6 if "offsets" in case.target.claims else 4.0
    score = case.draw(st.one_of(st.integers(-3, 3).map(float), st.floats(-greatest, greatest)))
    problem = case.problem(*MODERATE).with_scores([score], k=k)
    case.close(case.project(problem), problem, "one score")


@check("edges")
def equal_scores_share_the_total(case: Case) -> None:
    """Where all scores are equal, every entry is k / n, whatever the score.

    Made for: Variances and ranges used as scales: 0 where all scores are equal.
    """
    from hypothesis import strategies as st

    like = case.problem(*MODERATE)
    claims = {*case.target.claims}
    far = [*([1e12] if "offsets" in claims else []), *([-1e300] if {"offsets", "float64"} <= claims else [])]
    score = case.draw(st.sampled_from([0.0, 1.0, -2.5, *far]))
    problem = like.with_scores([score] * like.n)
    case.close(case.project(problem), problem, "equal scores")


@check("edges", "exact")
def negative_zero_is_zero(case: Case) -> None:
    """Scores of 0.0 and -0.0 are equal: they get the same p, and what 0.0 alone would get.

    Made for: Radix sorts and comparisons of bits, to which -0.0 is another number than 0.0.
    """
    from hypothesis import strategies as st

    like = case.problem("tied", min_size=2)
    zeros = st.lists(st.sampled_from([0.0, -0.0, 1.0]), min_size=like.n, max_size=like.n)
    problem = like.with_scores(case.draw(zeros))
    p = case.project(problem)
    case.close(p, problem, "zeros of both signs")
    group = p[problem.x == 0.0]
    if not np.all(group == group[:1]):
        raise case.failure(problem, "0.0 and -0.0 get different p", p)


@check("edges", "equality")
def total_one_is_sparsemax(case: Case) -> None:
    """With k = 1 the answer is the projection onto the simplex (Held, Wolfe and Crowder 1974; sparsemax), in rationals.

    Made for: None known; it guards against an oracle of ours that shares a mistake: this formula is another one.
    """
    problem = case.problem(*MODERATE, "near-kink")
    problem = problem.with_scores(problem.scores, k=1.0)
    case.close(case.project(problem), problem, "against sparsemax", truth=_sparsemax(problem))


@check("edges", "equality")
def all_but_one_is_sparsemax_of_what_is_left_out(case: Case) -> None:
    """With k = n - 1, 1 - p is the projection of -x onto the simplex.

    Made for: Indices such as x[k] that leave the array at k = n - 1 or k = n.
    """
    problem = case.problem(*MODERATE, "near-kink")
    problem = problem.with_scores(problem.scores, k=problem.n - 1.0)
    left_out = _sparsemax(problem.with_scores([-x for x in problem.scores], k=1.0))
    case.close(case.project(problem), problem, "against sparsemax of -x", truth=[1 - p for p in left_out])


def _sparsemax(problem: Problem) -> list[Fraction]:
    """max(z - theta, 0), with theta from the longest prefix of the sorted z = x / tau in which all are above it."""
    z = [Fraction(x) / Fraction(problem.temperature) for x in problem.scores]
    theta, total = Fraction(0), Fraction(0)
    for count, largest in enumerate(sorted(z, reverse=True), start=1):
        total += largest
        if largest <= (total - 1) / count:
            break
        theta = (total - 1) / count
    return [max(entry - theta, Fraction(0)) for entry in z]


@check("edges", "real-k")
def totals_next_to_whole_numbers_are_not_whole(case: Case) -> None:
    """A total a rounding, or 1e-9, or a half off a whole number is taken as it is.

    Made for: int(k) and round(k): k = 2 - 1e-9 becomes 1 or 2. `int(n * p)` loses a positive this way.
    """
    from hypothesis import strategies as st

    problem = case.problem(*MODERATE, "vertex")
    whole = case.draw(st.integers(0, problem.n))
    off = case.draw(st.sampled_from([0.5, 1e-9, -1e-9, 1e-12, -1e-12, 1e-3]))
    k = case.draw(st.sampled_from([whole + off, math.nextafter(whole, -math.inf), math.nextafter(whole, math.inf)]))
    problem = problem.with_scores(problem.scores, k=min(max(k, 0.0), float(problem.n)))
    case.close(case.project(problem), problem, f"k = {problem.k!r}")


@check("edges", "any-k", weight=0.25)
def every_whole_total_is_met(case: Case) -> None:
    """For each k from 0 to n, n equal scores get k / n each.

    Made for: int(n * share) with a share that was rounded: as the mean of float32 labels, 7 of 10 become 6.
    """
    from hypothesis import strategies as st

    like = case.problem(*MODERATE)
    n = case.draw(st.one_of(st.integers(1, 12), st.sampled_from([10, 11, 12, 6])))
    for k in range(n + 1):
        problem = like.with_scores([0.5] * n, k=float(k))
        case.close(case.project(problem), problem, f"{k} of {n}")


@check("edges")
def scores_next_to_the_hypersimplex_are_projected(case: Case) -> None:
    """Scores that are a point of the hypersimplex but for 1e-4 to 1e-12 are projected like any others.

    Made for: "Feasible up to a tolerance" as the test whether to begin at all, and early exits of iterations.
    """
    from hypothesis import strategies as st

    start = case.problem(*MODERATE, temperature=False, min_size=2)
    nudges = st.lists(st.sampled_from([0.0, 1.0, -1.0]), min_size=start.n, max_size=start.n)
    size = case.draw(st.sampled_from([1e-4, 1e-6, 1e-9, 1e-12]))
    problem = start.with_scores(start.solution.nearest("float64") + size * np.array(case.draw(nudges)))
    case.close(case.project(problem), problem, f"within {size:g} of the hypersimplex")


@check("edges", "empty")
def no_scores_have_no_p(case: Case) -> None:
    """A row without scores, whose total is 0, has an answer without entries, in the dtype of the scores.

    Made for: max() of an empty array, which raises.
    """
    _answers_empty(case, case.posed(Problem((), 0.0)).x, 0)


@check("edges", "empty", "batch")
def a_batch_without_rows_has_an_answer_without_rows(case: Case) -> None:
    """Scores of shape (0, n) have an answer of that shape.

    Made for: Reductions over no rows, and loops that never set what they return.
    """
    from hypothesis import strategies as st

    k = case.draw(st.sampled_from([0, 1])) if case.target.fixed_k is None else case.target.fixed_k
    n = case.draw(st.integers(1, 5)) + int(k)
    _answers_empty(case, np.zeros((0, n), case.posed(Problem((), 0.0)).dtype), k)


def _answers_empty(case: Case, x: np.ndarray, k: Any) -> None:
    case.demand_claimed(case.posed(Problem((), float(k))))
    total = str(k) if x.ndim == 1 or "one-k" in case.target.claims else f"np.full({x.shape[:-1]}, {k})"
    call = case.target.call_source("project", "x", total, temperature="1.0", ndim=x.ndim)
    lines = ["import numpy as np", case.target.origin, f'x = np.zeros({x.shape}, "{x.dtype}")', call]
    try:
        came = case.array(x.shape, case.target, x, k, 1.0)
    except Raised as raised:
        raise failed(str(raised), lines, str(raised), []) from raised
    if came.dtype != x.dtype and "dtype" in case.target.claims:
        raise failed(f"{x.dtype} came back as {came.dtype}", lines, came, [])
