"""The exact oracle against the definition, by arithmetic that can be done by hand or in another way."""

import itertools
import math
from fractions import Fraction as Fr

import numpy as np
import pytest

from hsproj_verify.oracles import exact, qp


def test_small_answers_by_hand() -> None:
    # 1 + 1 tied entries share what [3] leaves of 2; theta = 1 - 1/2.
    sol = exact.solve([3, 1, 1, 0], 2)
    assert sol.p == (1, Fr(1, 2), Fr(1, 2), 0)
    assert sol.theta_low == sol.theta_high == Fr(1, 2)
    assert (sol.free, sol.saturated) == ((1, 2), (0,))
    # Distances: 1 to theta over norm 2 (zero entry at 0: 1/2), free 1/2 over norm 1, saturated 3 - 3/2 over 2.
    assert sol.margin == Fr(1, 4)
    assert sol.vjp([0, 1, 0, 0]) == (0, Fr(1, 2), Fr(-1, 2), 0)


def _quadratic(p: tuple[Fr, ...], x: list[Fr], tau: Fr) -> Fr:
    return sum(((a - b / tau) ** 2 for a, b in zip(p, x, strict=True)), start=Fr(0))


@pytest.mark.parametrize("seed", range(30))
def test_no_feasible_point_of_a_grid_is_closer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = [Fr(int(i), 3) for i in rng.integers(-6, 7, 4)]
    k, tau = Fr(int(rng.integers(0, 9)), 2), Fr(int(rng.integers(1, 5)), 2)
    sol = exact.solve(x, k, tau)
    assert sum(sol.p) == k
    assert all(0 <= p <= 1 for p in sol.p)
    steps = [Fr(i, 6) for i in range(7)]
    feasible = [p for p in itertools.product(steps, repeat=4) if sum(p) == k]
    assert feasible
    assert all(_quadratic(sol.p, x, tau) <= _quadratic(p, x, tau) for p in feasible)


def test_vertex_has_an_interval_of_thetas_and_no_kink() -> None:
    sol = exact.solve([5, 5, 0, 0], 2)
    assert (sol.theta_low, sol.theta_high, sol.threshold, sol.margin) == (0, 4, 2, 2)
    assert sol.is_differentiable
    assert sol.vjp([1, 2, 3, 4]) == (0, 0, 0, 0)


def test_vertex_with_a_single_theta_is_a_kink_of_both_kinds() -> None:
    sol = exact.solve([1, 0], 1)
    assert (sol.theta_low, sol.theta_high) == (0, 0)
    assert (sol.lower_kinks, sol.upper_kinks) == ((1,), (0,))
    assert sol.margin == 0


def test_all_or_nothing_has_a_half_line_of_thetas() -> None:
    assert (exact.solve([1, 2], 0).theta_low, exact.solve([1, 2], 0).theta_high) == (2, None)
    assert (exact.solve([1, 2], 2).theta_low, exact.solve([1, 2], 2).theta_high) == (None, 0)
    assert exact.solve([1, 2], 0).threshold == math.inf
    assert exact.solve([1, 2], 2).threshold == -math.inf
    assert exact.solve([math.inf, -math.inf], 1).threshold == 0


def test_infinite_scores_are_fixed_and_the_rest_is_solved_without_them() -> None:
    assert exact.solve([math.inf, 1.0, 1.0, -math.inf], 2).p == (1, Fr(1, 2), Fr(1, 2), 0)


@pytest.mark.parametrize(
    ("x", "k"), [([math.nan], 0), ([math.inf, math.inf], 1), ([-math.inf, 0.0], 2), ([1.0], 2), ([1.0], -1)]
)
def test_problems_without_an_answer_are_refused(x: list[float], k: float) -> None:
    with pytest.raises(exact.NoAnswerError):
        exact.solve(x, k)


def test_rounding_to_float32_does_not_round_twice() -> None:
    # Just above the midpoint of 1 and the next float32; as a float64 it is the midpoint, and ties to even would give 1.
    value = 1 + Fr(1, 2**24) + Fr(1, 2**80)
    assert float(exact.round_to(value, "float32")) == 1 + 2.0**-23
    assert float(exact.round_to(1 + Fr(1, 2**24), "float32")) == 1.0  # the midpoint itself ties to even
    assert exact.round_to(Fr(1, 3), "float64") == 1 / 3
    assert exact.round_to(Fr(1, 2**1074), "float64") == 5e-324


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_overflows_from_half_a_step_beyond_the_largest_number_on(dtype: str) -> None:
    largest = np.finfo(dtype).max
    step = Fr(float(largest)) - Fr(float(np.nextafter(largest, largest.dtype.type(0))))
    assert exact.round_to(Fr(float(largest)) + step / 2 - 1, dtype) == largest
    assert exact.round_to(Fr(float(largest)) + step / 2, dtype) == np.inf
    assert exact.round_to(Fr(-10) ** 401, dtype) == -np.inf


@pytest.mark.parametrize("seed", range(10))
def test_quadratic_program_agrees_as_far_as_it_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=10) + rng.choice([0.0, 1e8])
    k, tau = float(rng.uniform(0, 10)), float(rng.uniform(0.3, 2))
    answer = qp.solve(x, k, tau)
    truth = [float(p) for p in exact.solve(x.tolist(), k, tau).p]
    assert answer.status == "optimal"
    assert answer.digits < 1e-7
    assert np.abs(answer.p - truth).max() <= 10 * answer.digits + 1e-15
