"""Kinks, generalised Jacobians, and derivatives in k and temperature, against limits taken in rationals."""

from fractions import Fraction

import numpy as np
import pytest
from families import draw

import hsproj
from hsproj_verify.oracles import exact

STEP = Fraction(
    1, 2**200
)  # no two breakpoints of the problems below lie this close: the projection is affine up to here


def problems(count: int, families: tuple[str, ...] = ("tied integers", "tied quarters", "near a kink")):
    rng = np.random.default_rng(23)
    for i in range(count):
        x, k, tau = draw(rng, families[i % len(families)])
        yield x, k, 1.0 if i % 3 == 2 else tau


def slopes(after: exact.Solution, before: exact.Solution, step: Fraction) -> list[float]:
    return [float((a - b) / step) for a, b in zip(after.p, before.p, strict=True)]


def test_kinks_are_the_entries_on_a_breakpoint() -> None:
    found = 0
    for x, k, tau in problems(900):
        truth = exact.solve(x.tolist(), k, tau)
        lower, upper = hsproj.solve(x, k, temperature=tau).kinks
        assert tuple(np.flatnonzero(lower)) == truth.lower_kinks
        assert tuple(np.flatnonzero(upper)) == truth.upper_kinks
        found += bool(truth.lower_kinks) + bool(truth.upper_kinks)
    assert found > 50


def test_kinks_of_a_batch_keep_its_axis() -> None:
    x = np.array([[1.0, 0.0], [0.5, 0.0], [np.nan, 1.0]])
    kinks = hsproj.solve(x.T, 1, axis=0).kinks
    assert kinks.lower.T.tolist() == [[False, True], [False, False], [False, False]]
    assert kinks.upper.T.tolist() == [[True, False], [False, False], [False, False]]


@pytest.mark.parametrize(
    ("x", "k"),
    [
        ([1.0, 0.0], 1),  # a vertex whose interval is a point
        ([1.0, 1.0, 0.0, 0.0], 2),
        ([0.5, 0.5, 0.0], 1),  # a lower kink below two free entries
        ([1.25, 0.5, 0.25, 0.25], 1.25),  # theta = 1/4: an upper kink, a free entry, two lower kinks
        ([2.0, 1.0, 1.0, 0.0], 2),  # smooth: theta = 1/2
        ([7.0, 1.0, 0.0, -9.0], 2),  # kinks beside strictly saturated and zero entries
    ],
)
def test_generalized_jacobians_are_the_limits_of_jacobians_at_smooth_points_nearby(x: list[float], k: float) -> None:
    rng = np.random.default_rng(1)
    limits = set()
    for direction in rng.integers(-9, 10, (2000, len(x))).tolist():
        nearby = exact.solve([Fraction(a) + STEP * v for a, v in zip(x, direction, strict=True)], k)
        if nearby.is_differentiable:
            limits.add(tuple(float(v) for row in nearby.jacobian() for v in row))
    sol = hsproj.solve(x, k)
    came = [tuple(jacobian.ravel().tolist()) for jacobian in sol.generalized_jacobians()]
    assert len(came) == len(set(came)) == len(limits)
    close = [min(np.abs(np.subtract(a, b)).max() for b in limits) for a in came]
    assert max(close) <= 2.0**-52
    np.testing.assert_array_equal(came[0], sol.jacobian(selection="free").ravel())
    np.testing.assert_array_equal(came[-1], sol.jacobian(selection="closure").ravel())


def test_products_follow_the_selection() -> None:
    x, v = np.array([1.25, 0.5, 0.25, 0.25]), np.array([3.0, -1.0, 2.0, 5.0])
    for selection in ("free", "closure"):
        jacobian = hsproj.jacobian(x, 1.25, selection=selection)
        np.testing.assert_allclose(hsproj.jvp(x, 1.25, v, selection=selection), jacobian @ v, atol=4e-16)
        np.testing.assert_allclose(hsproj.vjp(x, 1.25, v, selection=selection), v @ jacobian, atol=4e-16)
    assert hsproj.jacobian(x, 1.25).any(axis=1).sum() < hsproj.jacobian(x, 1.25, selection="closure").any(axis=1).sum()


@pytest.mark.parametrize("side", [1, -1])
def test_derivative_in_k_is_the_one_sided_limit(side: int) -> None:
    differ = 0
    for x, k, tau in problems(600):
        here = exact.solve(x.tolist(), k, tau)
        sol = hsproj.solve(x, k, temperature=tau)
        # At 0 and n there is one side only.
        sign = {0: 1, x.size: -1}.get(k, side)
        moved = exact.solve(x.tolist(), Fraction(k) + sign * STEP, tau)
        came = sol.dk if side == 1 else sol.dk_left
        assert came.tolist() == slopes(moved, here, sign * STEP), (x, k, tau)
        differ += not np.array_equal(sol.dk, sol.dk_left)
    assert differ > 50


@pytest.mark.parametrize("side", [1, -1])
def test_derivative_in_temperature_is_the_one_sided_limit_within_8_eps_over_temperature(side: int) -> None:
    differ = 0
    for x, k, tau in problems(600, ("gaussian", "tied quarters", "near a kink")):
        here = exact.solve(x.tolist(), k, tau)
        moved = exact.solve(x.tolist(), k, Fraction(tau) + side * STEP)
        sol = hsproj.solve(x, k, temperature=tau)
        came = sol.dtemperature if side == 1 else sol.dtemperature_left
        np.testing.assert_allclose(came, slopes(moved, here, side * STEP), rtol=0, atol=8 * 2.0**-52 / tau)
        assert not np.signbit(came[came == 0]).any()
        differ += not np.array_equal(sol.dtemperature, sol.dtemperature_left)
    assert differ > 10


def test_derivatives_in_k_at_infinite_scores_move_the_finite_ones() -> None:
    sol = hsproj.solve([np.inf, 0.0, -1.0, -np.inf], 1)  # k can grow, not shrink
    assert sol.dk.tolist() == sol.dk_left.tolist() == [0.0, 1.0, 0.0, 0.0]
    assert np.isnan(hsproj.solve([np.inf, -np.inf], 1).dk).all()  # k can do neither


def test_a_row_without_an_answer_has_no_derivatives() -> None:
    sol = hsproj.solve([[np.nan, 1.0], [0.5, 0.0]], 1)
    for came in (sol.dk, sol.dk_left, sol.dtemperature, sol.dtemperature_left):
        assert np.isnan(came[0]).all()
        assert np.isfinite(came[1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 50, 20_000])
def test_products_are_within_4_eps_of_the_largest_tangent_over_the_temperature(n: int, dtype: str) -> None:
    rng = np.random.default_rng(n)
    eps = Fraction(float(np.finfo(dtype).eps))
    for spread in (0, 150 if dtype == "float64" else 18):
        x = rng.normal(size=n).astype(dtype)
        sol = hsproj.solve(x, 0.4 * n, temperature=0.7)
        v = (rng.normal(size=n) * 10.0 ** rng.uniform(-spread, spread, n)).astype(dtype)
        free = np.flatnonzero(sol.free)
        mean = sum(map(Fraction, v[free].tolist())) / free.size
        came = sol.jvp(v)
        largest = Fraction(float(np.abs(v[free]).max()))
        for i in free[:: max(1, free.size // 200)]:
            exactly = (Fraction(float(v[i])) - mean) / Fraction(0.7)
            assert abs(Fraction(float(came[i])) - exactly) <= 4 * eps * largest / Fraction(0.7)


def test_generalized_jacobians_and_selections_are_refused_where_they_make_no_sense() -> None:
    with pytest.raises(ValueError, match="`x` must be a single row"):
        hsproj.solve([[1.0, 0.0]], 1).generalized_jacobians()
    with pytest.raises(ValueError, match="`x` must have an answer"):
        hsproj.solve([np.nan, 0.0], 1).generalized_jacobians()
    with pytest.raises(ValueError, match="`selection` must be 'free' or 'closure'; got 'all'"):
        hsproj.solve([1.0, 0.0], 1).jvp([1.0, 0.0], selection="all")  # type: ignore[arg-type]
