"""The exact oracle with bounds, weights and a budget: the optimality conditions, the definition, and a quadratic program."""

import math
from fractions import Fraction as Fr

import numpy as np
import pytest
from boxes import FAMILIES, Box, boxes, weighted
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hsproj_verify.oracles import box, exact, qp

few = settings(max_examples=40, deadline=None)


def solved(problem: Box) -> box.BoxSolution:
    try:
        return problem.exact()
    except exact.NoAnswerError:
        assume(False)
        raise


def test_small_answers_by_hand() -> None:
    # theta = 1/4 + 1/8: 2 - 4 theta + 1/2 - theta = 5/8.
    sol = box.solve_box([1, Fr(1, 2), -1], Fr(5, 8), [0, 0, 0], [2, 2, 2], [2, 1, 1])
    assert sol.theta_low == sol.theta_high == Fr(3, 8)
    assert sol.p == (Fr(1, 4), Fr(1, 8), 0)
    assert (sol.free, sol.at_lower, sol.at_upper) == ((0, 1), (2,), ())
    # Of v = e_0 the part along w = (2, 1) is 2/5 w.
    assert sol.jvp([1, 0, 7]) == (Fr(1, 5), Fr(-2, 5), 0)


def test_budget_that_is_not_spent_leaves_the_clip_of_the_scores() -> None:
    sol = box.solve_box([3, Fr(1, 2)], 9, [0, 0], [1, 1], [1, 1], "le")
    assert (sol.p, sol.threshold, sol.is_slack) == ((1, Fr(1, 2)), 0, True)
    assert sol.jvp([5, 6]) == (0, 6)


def test_budget_that_is_just_spent_is_a_kink_if_an_entry_is_free() -> None:
    assert not box.solve_box([3, Fr(1, 2)], Fr(3, 2), [0, 0], [1, 1], [1, 1], "le").is_differentiable
    assert box.solve_box([3, -1], 1, [0, 0], [1, 1], [1, 1], "le").is_differentiable
    assert not box.solve_box([1, -1], 1, [0, 0], [1, 1], [1, 1], "le").is_differentiable  # may fall, not rise


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@few
def test_optimality_conditions_hold_exactly(family: str, data: st.DataObject) -> None:
    problem = data.draw(boxes(family))
    sol = solved(problem)
    x, lower, upper, w = (a.tolist() for a in (problem.x, problem.lower, problem.upper, problem.weights))
    ends = [weighted(problem.weights, b) for b in (problem.lower, problem.upper)]
    total = max(Fr(problem.total), ends[0]) if ends[0] is not None else Fr(problem.total)
    if problem.constraint == "eq" and ends[1] is not None:
        total = min(total, ends[1])
    spent = sum((Fr(a) * p for a, p in zip(w, sol.p, strict=True)), Fr(0))
    assert all(low <= p <= high for low, p, high in zip(lower, sol.p, upper, strict=True))
    assert spent == total or (problem.constraint == "le" and spent < total)
    middle = [t for t in (sol.theta_low, sol.theta_high) if t is not None] or [Fr(0)]
    for theta in (*middle, sum(middle, Fr(0)) / len(middle)):
        assert problem.constraint == "eq" or theta >= 0
        assert theta == 0 or spent == total
        for i, p in enumerate(sol.p):
            if math.isfinite(x[i]):  # the gradient of the Lagrangian points out of the box
                slope = p - Fr(x[i]) + theta * Fr(w[i])
                assert slope == 0 or p == (lower[i] if slope > 0 else upper[i])


@pytest.mark.parametrize("family", ["ordinary", "tied", "unbounded"])
@given(data=st.data())
@few
def test_product_with_the_jacobian_is_the_difference_quotient_inside_a_piece(family: str, data: st.DataObject) -> None:
    problem = data.draw(boxes(family))
    sol = solved(problem)
    assume(sol.is_differentiable)
    v = [Fr(data.draw(st.integers(-4, 4))) for _ in problem.x]
    h = Fr(1, 2**9000)  # nearer than any kink of floats
    lists = [a.tolist() for a in (problem.lower, problem.upper, problem.weights)]
    total = sum((Fr(w) * p for w, p in zip(lists[2], sol.p, strict=True)), Fr(0))
    if problem.constraint == "le":
        total = max(total, Fr(problem.total))
    moved = [[Fr(a) + s * h * b for a, b in zip(problem.x.tolist(), v, strict=True)] for s in (1, -1)]
    one, other = (box.solve_box(x, total, *lists, problem.constraint).p for x in moved)
    assert sol.jvp(v) == tuple((p - q) / (2 * h) for p, q in zip(one, other, strict=True))


@given(scores=st.lists(st.integers(-6, 6).map(lambda i: i / 4), min_size=1, max_size=6), share=st.integers(0, 8))
@few
def test_bounds_0_and_1_without_weights_are_the_hypersimplex(scores: list[float], share: int) -> None:
    n = len(scores)
    k = Fr(n * share, 8)
    sol, plain = box.solve_box(scores, k, [0] * n, [1] * n, [1] * n), exact.solve(scores, k)
    assert (sol.p, sol.theta_low, sol.theta_high) == (plain.p, plain.theta_low, plain.theta_high)
    assert sol.is_differentiable == plain.is_differentiable
    assert (sol.free, sol.at_upper) == (plain.free, plain.saturated)


@pytest.mark.parametrize("constraint", ["eq", "le"])
@pytest.mark.parametrize("seed", range(6))
def test_quadratic_program_agrees_as_far_as_it_says(seed: int, constraint: str) -> None:
    rng = np.random.default_rng(seed)
    n = 8
    x, lower, w = rng.normal(size=n), -rng.uniform(0, 1, n), rng.uniform(0.5, 2, n)
    upper = lower + rng.uniform(0.1, 2, n)
    if seed % 2:
        upper[:3], lower[3:5] = np.inf, -np.inf
    total = float(w @ x) / 2
    if np.isfinite(lower).all():
        total = min(max(total, float(w @ lower) + 0.1), float(w @ upper) - 0.1)
    answer = qp.solve_box(x, total, lower, upper, w, constraint)
    truth = box.solve_box(x.tolist(), total, lower.tolist(), upper.tolist(), w.tolist(), constraint)
    assert answer.status == "optimal"
    assert answer.digits < 1e-6
    assert np.abs(answer.p - [float(p) for p in truth.p]).max() < 1e-6


@pytest.mark.parametrize(
    ("x", "total", "lower", "upper", "constraint"),
    [
        ([math.nan], 0, [0], [1], "eq"),
        ([math.inf], 1, [0], [math.inf], "eq"),
        ([1.0], 2, [0], [1], "eq"),
        ([1.0], -1, [0], [1], "le"),
        ([1.0], 1, [0], [0], "eq"),
        ([math.inf, 0.0], 1, [0, 0], [2, 2], "le"),
    ],
)
def test_problems_without_an_answer_are_refused(
    x: list[float], total: float, lower: list[float], upper: list[float], constraint: str
) -> None:
    with pytest.raises(exact.NoAnswerError):
        box.solve_box(x, total, lower, upper, [1.0] * len(x), constraint)
