"""The Fenchel-Young loss: its definition, what makes it a loss to train with, and its digits."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hsproj
from hsproj_verify.oracles import exact
from hsproj_verify.problems import Problem
from hsproj_verify.strategies import problems

Array = np.ndarray
EPS = 2.0**-52
FINITE = ("ordinary", "tied", "saturated-and-tied", "near-kink", "kink", "vertex", "huge-offset", "tiny-temperature")


@st.composite
def posed(draw: st.DrawFn, *families: str) -> tuple[Problem, list[float]]:
    """A problem and targets in its hypersimplex: zeros and ones, or eighths."""
    problem = draw(st.sampled_from(families or FINITE).flatmap(problems))
    entry = draw(st.sampled_from([st.integers(0, 1), st.integers(0, 8).map(lambda i: i / 8)]))
    y = [float(v) for v in draw(st.lists(entry, min_size=problem.n, max_size=problem.n))]
    return problem.with_scores(problem.scores, k=sum(y)), y


def loss_of(problem: Problem, y: list[float]) -> float:
    return float(hsproj.fenchel_young_loss(problem.x, y, temperature=problem.temperature))


def allowed(problem: Problem, y: list[float]) -> Fraction:
    """What the docstring promises."""
    solution = problem.solution
    distance = sum(abs(p - Fraction(t)) for p, t in zip(solution.p, y, strict=True))
    return 8 * Fraction(problem.eps) * (solution.fenchel_young_loss(y) + solution.temperature * distance)


@settings(max_examples=300, deadline=None)
@given(posed())
def test_is_the_definition_within_its_promise(case: tuple[Problem, list[float]]) -> None:
    problem, y = case
    assert abs(Fraction(loss_of(problem, y)) - problem.solution.fenchel_young_loss(y)) <= allowed(problem, y)


@settings(deadline=None)
@given(posed("float32", "float32-offset"))
def test_is_the_definition_within_its_promise_in_float32(case: tuple[Problem, list[float]]) -> None:
    problem, y = case
    assert abs(Fraction(loss_of(problem, y)) - problem.solution.fenchel_young_loss(y)) <= allowed(problem, y)


@settings(deadline=None)
@given(posed())
def test_gradient_is_p_minus_the_targets(case: tuple[Problem, list[float]]) -> None:
    problem, y = case
    loss, gradient = hsproj.fenchel_young_loss_and_grad(problem.x, y, temperature=problem.temperature)
    p = hsproj.soft_binary_argmax(problem.x, problem.k, temperature=problem.temperature)
    np.testing.assert_array_equal(gradient, p - y)
    assert loss == loss_of(problem, y)


@settings(deadline=None)
@given(posed())
def test_is_zero_where_p_is_the_target_and_nowhere_else(case: tuple[Problem, list[float]]) -> None:
    problem, y = case
    solution = problem.solution
    # In rationals, then in floats, where a loss below the smallest of them is 0 as well.
    assert (solution.fenchel_young_loss(y) == 0) == (list(solution.p) == [Fraction(t) for t in y])
    if solution.fenchel_young_loss(y) == 0:
        assert loss_of(problem, y) == 0.0
    elif problem.temperature > 1e-100 and min(abs(p - Fraction(t)) for p, t in zip(solution.p, y, strict=True)) > EPS:
        assert loss_of(problem, y) > 0.0


@settings(deadline=None)
@given(posed())
def test_is_at_least_temperature_times_the_hypersimplex_loss(case: tuple[Problem, list[float]]) -> None:
    problem, y = case
    solution = problem.solution
    assert solution.fenchel_young_loss(y) >= solution.temperature * solution.loss(y)
    if not solution.free:
        return
    below = problem.temperature * hsproj.hypersimplex_loss(problem.x, y, temperature=problem.temperature)
    assert loss_of(problem, y) >= below * (1 - 4 * EPS)


@settings(deadline=None)
@given(posed("ordinary", "tied", "kink", "vertex"), st.data())
def test_is_convex_in_the_scores(case: tuple[Problem, list[float]], data: st.DataObject) -> None:
    problem, y = case
    scores = st.integers(-(2**20), 2**20).map(lambda i: i / 2**18)  # so that the middle of two is a float
    ends = [problem.with_scores(data.draw(st.lists(scores, min_size=problem.n, max_size=problem.n))) for _ in range(2)]
    middle = problem.with_scores((ends[0].x + ends[1].x) / 2)
    chord = sum(end.solution.fenchel_young_loss(y) for end in ends) / 2
    assert middle.solution.fenchel_young_loss(y) <= chord
    assert loss_of(middle, y) <= sum(loss_of(end, y) for end in ends) / 2 + 2 * float(
        allowed(middle, y) + 50 * Fraction(EPS)
    )


@settings(max_examples=50, deadline=None)
@given(posed("ordinary", "tied", "kink", "vertex"))
def test_gradient_is_the_difference_quotient_at_kinks_too(case: tuple[Problem, list[float]]) -> None:
    """1/tau bounds the curvature, so a central difference of rationals is off by h / tau at most."""
    problem, y = case
    h = Fraction(1, 2**20)
    p = problem.solution.p
    for i in range(problem.n):
        ahead, behind = (
            exact.solve(
                [Fraction(x) + sign * h * (i == j) for j, x in enumerate(problem.scores)],
                problem.k,
                problem.temperature,
            ).fenchel_young_loss(y)
            for sign in (1, -1)
        )
        assert abs((ahead - behind) / (2 * h) - (p[i] - Fraction(y[i]))) <= h / Fraction(problem.temperature)


def test_an_offset_costs_no_digits() -> None:
    scores, y = np.array([3.0, 0.5, 0.25, -9.0]), [0, 1, 0, 1]
    assert hsproj.fenchel_young_loss(scores + 2.0**40, y) == hsproj.fenchel_young_loss(scores, y)


def test_wrong_by_far_it_grows_like_a_distance_and_its_gradient_stays() -> None:
    gaps = np.array([2.0, 20.0, 2e10])
    scores = np.stack([np.zeros(3), gaps], axis=-1)
    losses, gradients = hsproj.fenchel_young_loss_and_grad(scores, [1, 0], reduction="none")
    np.testing.assert_array_equal(losses, gaps)  # tau/2 ||p - y||^2 = 1, and theta = gap - 1 from 0
    np.testing.assert_array_equal(gradients, [[-1, 1]] * 3)
    assert not hsproj.hypersimplex_loss_and_grad(scores, [1, 0])[1].any()


def test_reductions_axis_and_temperatures_are_those_of_the_hypersimplex_loss() -> None:
    rng = np.random.default_rng(8)
    logits, onehot, tau = rng.normal(size=(9, 3)), np.eye(3)[rng.integers(0, 3, 9)], [0.5, 1.0, 2.0]
    rows, gradients = hsproj.fenchel_young_loss_and_grad(logits, onehot, temperature=tau, axis=0, reduction="none")
    for c in range(3):
        alone = hsproj.fenchel_young_loss_and_grad(logits[:, c], onehot[:, c], temperature=tau[c])
        assert rows[c] == alone[0]
        np.testing.assert_array_equal(gradients[:, c], alone[1])
    mean, gradient = hsproj.fenchel_young_loss_and_grad(logits, onehot, temperature=tau, axis=0)
    assert mean == pytest.approx(rows.mean(), rel=1e-15)
    np.testing.assert_allclose(gradient, gradients / 3, rtol=4 * EPS)


def test_masked_and_forced_scores_cost_nothing_where_their_targets_agree() -> None:
    scores = np.array([np.inf, 2.0, 1.0, -np.inf])
    within = hsproj.fenchel_young_loss([2.0, 1.0], [0, 1])
    assert hsproj.fenchel_young_loss(scores, [1, 0, 1, 0]) == within
    assert hsproj.fenchel_young_loss(scores, [1, 1, 0, 0]) == 0.0
    assert hsproj.fenchel_young_loss(scores, [1, 0, 0, 1]) == np.inf
    assert hsproj.fenchel_young_loss(scores, [0, 1, 1, 0]) == np.inf
    assert hsproj.fenchel_young_loss([np.inf, 1.0, 0.0], [1, 0, 0]) == 0.0
    assert hsproj.fenchel_young_loss([-np.inf, 1.0, 0.0], [0, 1, 1]) == 0.0


def test_no_ones_and_nothing_but_ones_leave_nothing_to_lose() -> None:
    scores = np.array([[3.0, -1.0, 0.5]] * 2)
    np.testing.assert_array_equal(hsproj.fenchel_young_loss(scores, [[0] * 3, [1] * 3], reduction="none"), [0.0, 0.0])
    assert hsproj.fenchel_young_loss(np.zeros((2, 0)), np.zeros((2, 0))) == 0.0


def test_nan_costs_its_own_row_only() -> None:
    scores, y = np.array([[0.0, 5.0], [np.nan, 0.0], [0.0, 5.0]]), np.array([[1.0, 0.0], [1.0, 0.0], [np.nan, 0.0]])
    losses, gradients = hsproj.fenchel_young_loss_and_grad(scores, y, reduction="none")
    np.testing.assert_array_equal(losses, [5.0, np.nan, np.nan])
    assert np.isnan(gradients[1:]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_of_the_scores_is_kept(dtype: type) -> None:
    loss, gradient = hsproj.fenchel_young_loss_and_grad(np.array([0.5, 0.25, 0.0], dtype), [1, 0, 0])
    assert loss.dtype == gradient.dtype == dtype


@pytest.mark.parametrize("y", [[1.5, 0.0], [-0.25, 1.0], [np.inf, 0.0]])
def test_targets_outside_the_hypersimplex_are_refused(y: list[float]) -> None:
    with pytest.raises(ValueError, match=r"`targets` must lie in \[0, 1\]"):
        hsproj.fenchel_young_loss([1.0, 0.0], y)


def test_descent_reaches_zero_from_a_vertex_that_is_wrong() -> None:
    """Where the HyperSimplex loss has no gradient. A step of tau, one over the curvature, is what makes descent sure."""
    scores, y = np.array([9.0, 4.0, 0.0, -3.0]), np.array([0.0, 0.0, 1.0, 1.0])
    losses = []
    for _ in range(40):
        loss, gradient = hsproj.fenchel_young_loss_and_grad(scores, y)
        losses.append(float(loss))
        scores = scores - gradient
    assert losses[0] > 0.0
    assert all(later <= earlier for earlier, later in pairwise(losses))
    assert losses[-1] == 0.0
