"""jvp, vjp, jacobian, linear operator and directional derivative: formula, structure, ties, kinks."""

import numpy as np
import pytest

import hsproj
from hsproj_verify.differences import central_difference
from hsproj_verify.oracles import exact
from hsproj_verify.problems import Problem

RNG = np.random.default_rng(17)


def test_tied_saturated_scores_have_derivative_zero() -> None:
    assert hsproj.vjp([5.0, 5.0, 0.0, 0.0], 2, [1.0, 2.0, 3.0, 4.0]).tolist() == [0.0] * 4
    assert not hsproj.jacobian([5.0, 5.0, 0.0, 0.0], 2).any()


def test_tied_free_scores_have_the_formula_s_derivative() -> None:
    # f = [0, 1, 1, 0], m = 2, tau = 1: J = diag(f) - f f' / 2.
    j = hsproj.jacobian([3.0, 1.0, 1.0, 0.0], 2)
    np.testing.assert_array_equal(j, [[0, 0, 0, 0], [0, 0.5, -0.5, 0], [0, -0.5, 0.5, 0], [0, 0, 0, 0]])
    assert hsproj.vjp([3.0, 1.0, 1.0, 0.0], 2, [0.0, 1.0, 0.0, 0.0]).tolist() == [0.0, 0.5, -0.5, 0.0]


@pytest.mark.parametrize("tau", [0.5, 1.0, 3.0])
def test_jacobian_is_symmetric_with_rows_of_sum_zero_and_eigenvalues_zero_or_one_over_tau(tau: float) -> None:
    for _ in range(20):
        x = RNG.normal(size=12) * 2
        sol = hsproj.solve(x, 4.5, temperature=tau)
        j = sol.jacobian()
        m = int(sol.free.sum())
        np.testing.assert_array_equal(j, j.T)
        np.testing.assert_allclose(j.sum(axis=0), 0, atol=12 * 2.0**-52 / tau)
        # m - 1 of them are 1/tau: rank m - 1, positive semidefinite.
        expected = np.r_[np.zeros(12 - max(m - 1, 0)), np.full(max(m - 1, 0), 1 / tau)]
        np.testing.assert_allclose(np.linalg.eigvalsh(j), expected, atol=1e-14 / tau)


def test_products_are_those_of_the_dense_jacobian_on_every_row() -> None:
    x = RNG.normal(size=(3, 4, 9))
    sol = hsproj.solve(x, RNG.uniform(0, 4, (3, 9)), temperature=RNG.uniform(0.3, 2, (3, 9)), axis=1)
    v = RNG.normal(size=x.shape)
    expected = np.moveaxis(np.einsum("...ij,...j->...i", sol.jacobian(), np.moveaxis(v, 1, -1)), -1, 1)
    for product in (sol.jvp(v), sol.vjp(v), sol.directional_derivative(v)):
        np.testing.assert_allclose(product, expected, atol=1e-14)


def test_one_shot_forms_are_the_methods() -> None:
    x, v = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 6))
    sol = hsproj.solve(x, 2.5, temperature=0.7, axis=0)
    np.testing.assert_array_equal(hsproj.jvp(x, 2.5, v, temperature=0.7, axis=0), sol.jvp(v))
    np.testing.assert_array_equal(hsproj.vjp(x, 2.5, v, temperature=0.7, axis=0), sol.vjp(v))
    np.testing.assert_array_equal(hsproj.jacobian(x, 2.5, temperature=0.7, axis=0), sol.jacobian())


@pytest.mark.parametrize("n", [1, 3, 7, 8, 24, 25, 40, 1000])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_p_and_vjp_of_one_call_are_those_of_two_to_the_last_bit(n: int, dtype: str) -> None:
    x, g = RNG.normal(size=(2, 11, n)).astype(dtype)
    x[3, 0] = np.nan
    x[4], x[5] = 0.5, -np.inf
    k = np.linspace(0, n, 11)
    for axis, (scores, cotangents) in ((-1, (x, g)), (0, (x.T, g.T))):
        p, gradient = hsproj.soft_binary_argmax_and_vjp(scores, k, cotangents, temperature=0.7, axis=axis)
        sol = hsproj.solve(scores, k, temperature=0.7, axis=axis)
        np.testing.assert_array_equal(p, sol.p)
        np.testing.assert_array_equal(gradient, sol.vjp(cotangents))
        np.testing.assert_array_equal(gradient, hsproj.vjp(scores, k, cotangents, temperature=0.7, axis=axis))
        assert p.dtype == gradient.dtype == dtype
        assert np.flatnonzero(np.isnan(gradient).any(axis)).tolist() == [3, 5]


@pytest.mark.parametrize("n", [2, 9, 24, 25, 333])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_cotangents_give_zero_to_the_last_bit(n: int, dtype: str) -> None:
    x = RNG.normal(size=(17, n)).astype(dtype)
    g = np.broadcast_to(RNG.normal(size=(17, 1)).astype(dtype), x.shape)
    assert not hsproj.vjp(x, n / 3, g, temperature=0.7).any()


def test_linear_operator_is_the_jacobian_with_its_adjoint() -> None:
    sol = hsproj.solve(RNG.normal(size=8), 3)
    operator = sol.linear_operator()
    np.testing.assert_allclose(operator @ np.eye(8), sol.jacobian(), atol=1e-15)
    np.testing.assert_allclose(operator.H @ np.eye(8), sol.jacobian().T, atol=1e-15)
    assert operator.shape == (8, 8)


def test_entries_outside_the_free_set_do_not_matter_even_if_nan() -> None:
    sol = hsproj.solve([3.0, 1.0, 1.0, 0.0], 2)
    assert sol.vjp([np.nan, 1.0, 0.0, np.inf]).tolist() == [0.0, 0.5, -0.5, 0.0]


def test_tangents_broadcast_to_the_scores() -> None:
    x = RNG.normal(size=(3, 5))
    sol = hsproj.solve(x, 2)
    v = RNG.normal(size=5)
    np.testing.assert_array_equal(sol.jvp(v), sol.jvp(np.tile(v, (3, 1))))


def test_mean_of_the_cotangent_is_compensated() -> None:
    # 1e16 + 1 - 1e16 - 1 ... : a plain sum loses the ones.
    n = 1000
    g = np.tile([1e16, 1.0, -1e16, 1.0], n // 4)
    came = hsproj.vjp(np.zeros(n), n / 2, g)
    np.testing.assert_array_equal(came, g - 0.5)


@pytest.mark.parametrize("n", [6, 20, 100])
def test_cotangents_near_the_overflow_limit_do_not_overflow(n: int) -> None:
    g = np.full((9, n), 1.5e308)
    g[2] = 1.0
    assert not hsproj.vjp(np.zeros((9, n)), 0.3 * n, g).any()


def test_agrees_with_finite_differences_inside_the_margin() -> None:
    compared = 0
    for _ in range(200):
        n = int(RNG.integers(2, 20))
        problem = Problem(
            tuple(RNG.normal(size=n).tolist()), float(RNG.uniform(0, n)), float(RNG.choice([0.5, 1.0, 2.0]))
        )

        def project(x: np.ndarray, problem: Problem = problem) -> np.ndarray:
            return hsproj.soft_binary_argmax(x, problem.k, temperature=problem.temperature)

        seen = central_difference(project, problem, RNG.normal(size=n))
        if seen is None:
            continue
        predicted = hsproj.jvp(
            problem.x, problem.k, [float(d) for d in seen.displacement], temperature=problem.temperature
        )
        # Two roundings of p a side: the difference has no truncation error.
        np.testing.assert_allclose(seen.change, predicted, rtol=0, atol=4 * 2.0**-52)
        compared += 1
    assert compared > 100


def test_margin_is_where_the_linear_piece_ends() -> None:
    for _ in range(50):
        n = int(RNG.integers(3, 12))
        x, k = RNG.normal(size=n), float(RNG.integers(1, n))
        sol = hsproj.solve(x, k)
        margin = float(sol.margin)
        inside = x + 0.999 * margin * RNG.choice([-1.0, 1.0], n)
        np.testing.assert_array_equal(hsproj.solve(inside, k).free, sol.free)
        # Some vertex of the cube just outside changes a mask.
        truth = exact.solve(x.tolist(), k)
        corners = (x + 1.001 * margin * _facing(x, sol, i, truth) for i in range(n))
        assert any((hsproj.solve(c, k).free != sol.free).any() for c in corners)


def _facing(x: np.ndarray, sol: hsproj.Projection, i: int, truth: exact.Solution) -> np.ndarray:
    """The corner of the unit cube along which entry i runs fastest at its nearest breakpoint."""
    theta = float(truth.threshold)
    near_theta = abs(x[i] - theta) < abs(x[i] - theta - 1)
    sign = 1.0 if (x[i] < theta if near_theta else x[i] < theta + 1) else -1.0
    corner = np.where(sol.free, -sign, 0.0) if sol.free.any() else np.full(x.size, -sign)
    corner[i] = sign
    return corner


def test_vjp_keeps_the_free_set_as_it_is_at_a_kink() -> None:
    # theta = 0 exactly: [1, 0] is saturated and zero, both at a breakpoint.
    sol = hsproj.solve([1.0, 0.0], 1)
    assert not sol.is_differentiable
    assert sol.margin == 0.0
    assert sol.vjp([1.0, 2.0]).tolist() == [0.0, 0.0]


def test_directional_derivative_at_a_kink_is_positively_homogeneous_but_not_linear() -> None:
    sol = hsproj.solve([1.0, 0.0], 1, temperature=1.0)
    up = sol.directional_derivative([0.0, 1.0])
    assert up.tolist() == [-0.5, 0.5]
    assert sol.directional_derivative([0.0, 3.0]).tolist() == [-1.5, 1.5]
    assert sol.directional_derivative([0.0, -1.0]).tolist() == [0.0, 0.0]


def test_directional_derivative_of_a_batch_treats_each_row_by_its_own_kinks() -> None:
    x = np.array([[1.0, 0.0], [0.75, 0.5], [np.nan, 0.0]])
    d = hsproj.solve(x, 1).directional_derivative([0.0, 1.0])
    assert d[:2].tolist() == [[-0.5, 0.5], [-0.5, 0.5]]
    assert np.isnan(d[2]).all()


def test_directional_derivative_of_huge_directions_at_a_kink_does_not_overflow() -> None:
    d = hsproj.solve([1.0, 1.0, 0.0, 0.0], 2).directional_derivative([1.7e308, 1e308, 1.7e308, 1.7e308])
    # Only the lower kinks rise above the mean of those that move: (1e308 + 2 * 1.7e308) / 3.
    np.testing.assert_allclose(d / 1e308, [0.0, 1 - 4.4 / 3, 1.7 - 4.4 / 3, 1.7 - 4.4 / 3], atol=1e-15)


def test_infinite_directions_give_infinities_or_nan_and_no_warning() -> None:
    assert not np.isfinite(hsproj.solve([1.0, 0.0], 1).directional_derivative([0.0, np.inf])).any()


def test_entries_that_do_not_move_cost_a_directional_derivative_no_digits() -> None:
    sol = hsproj.solve([1.0, 0.0, -9.0], 1)
    slope = sol.directional_derivative([0.0, 1e-10 / 3, 0.0])
    np.testing.assert_array_equal(sol.directional_derivative([0.0, 1e-10 / 3, 1e308]), slope)


def test_derivatives_at_tiny_temperatures_overflow_only_where_they_are_beyond_floats() -> None:
    sol = hsproj.solve([1e-310, 0.0], 1, temperature=1e-310)
    np.testing.assert_allclose(sol.directional_derivative([0.0, 1e-200]), [-5e109, 5e109], rtol=1e-14)
    assert np.isinf(hsproj.jacobian([1.0, 1.0, 1.0], 1, temperature=1e-310)).all()


def test_differences_of_huge_tangents_do_not_overflow_on_the_way() -> None:
    largest = np.finfo(np.float64).max
    came = hsproj.jvp([0.0, 0.0, 0.0], 1, [largest, -largest, -(2.0**994)], temperature=4.0)
    np.testing.assert_allclose(came[:2], [largest / 4, -largest / 4], rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_tangents_beyond_the_range_of_the_dtype_are_infinite_and_say_nothing(dtype: type) -> None:
    x = np.ones(3, dtype)
    assert not np.isfinite(hsproj.jvp(x, 1, [1e300, 0.0, 0.0])).any()
    assert np.isinf(hsproj.jvp(x, 1, [1.0, 0.0, 0.0], temperature=1e-42)).all()
    assert np.isinf(hsproj.jacobian(x, 1, temperature=1e-42)).all()
