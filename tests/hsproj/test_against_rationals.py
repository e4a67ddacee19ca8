"""hsproj against exact rational answers, 2,000 random problems a family."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from families import FAMILIES, draw

import hsproj
from hsproj_verify.oracles import exact
from hsproj_verify.problems import error_in_eps

PROBLEMS = 1200


def solved(family: str, count: int = PROBLEMS) -> Iterator[tuple[np.ndarray, float, float, exact.Solution]]:
    """Problems that have an answer, with it."""
    rng = np.random.default_rng(20260223 + FAMILIES.index(family))
    for _ in range(count):
        x, k, tau = draw(rng, family)
        try:
            yield x, k, tau, exact.solve(x.tolist(), k, tau)
        except exact.NoAnswerError:
            assert np.isnan(hsproj.soft_binary_argmax(x, k, temperature=tau)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_masks_and_threshold_are_those_of_the_rational_answer_and_margin_is_to_4_ulps(family: str) -> None:
    for x, k, tau, truth in solved(family):
        eps = float(np.finfo(x.dtype).eps)
        sol = hsproj.solve(x, k, temperature=tau)
        case = f"x={x!r}, k={k!r}, temperature={tau!r}"
        # The promise is 8 eps (1 + p*).
        assert error_in_eps(sol.p, truth.p, eps) <= 8.0, case
        # Masks are exact even at kinks: no case is left out.
        assert tuple(np.flatnonzero(sol.free)) == truth.free, case
        assert tuple(np.flatnonzero(sol.saturated)) == truth.saturated, case
        assert bool(sol.is_differentiable) == truth.is_differentiable, case
        _assert_within_4_ulps(sol.margin, truth.margin, case)
        assert (sol.margin == 0) == (not truth.is_differentiable) or sol.margin < np.finfo(x.dtype).tiny, case
        # On a vertex it is the midpoint of the interval, rounded.
        threshold = truth.threshold
        nearest = exact.round_to(threshold, x.dtype) if isinstance(threshold, Fraction) else threshold
        assert sol.threshold == nearest, case


def _assert_within_4_ulps(came: np.ndarray, truth: Fraction | None, case: str) -> None:
    """4 ulps of the dtype; a margin that is not there, or one beyond the dtype's range, must come back infinite."""
    limits = np.finfo(came.dtype)
    if truth is None or truth > Fraction(float(limits.max)):
        assert math.isinf(came), case
    else:
        allowed = 4 * max(truth * Fraction(float(limits.eps)), Fraction(float(limits.smallest_subnormal)))
        assert abs(Fraction(float(came)) - truth) <= allowed, case


@pytest.mark.parametrize("family", FAMILIES)
def test_every_entry_is_the_float_nearest_to_the_exact_answer(family: str) -> None:
    for x, k, tau, truth in solved(family):
        p = hsproj.soft_binary_argmax(x, k, temperature=tau)
        assert p.tolist() == truth.nearest(x.dtype).tolist(), f"x={x!r}, k={k!r}, temperature={tau!r}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_midpoints_of_two_floats_are_rounded_to_even_and_their_neighbours_to_their_side(dtype: str) -> None:
    # Two free entries: p = 1/2 + (x_0 - x_1) / 2 tau, a midpoint of two floats for every other x; then an ulp of tau or of
    # an entry 1e-30 in size takes it off the midpoint.
    rng = np.random.default_rng(8)
    eps = float(np.finfo(dtype).eps)
    ties = 0
    for _ in range(3000):
        steps = int(rng.integers(1, 2**20))
        gap = eps / 2 * steps
        other = float(rng.choice([0.0, 0.0, 1e-30, -1e-30]))
        tau = float(rng.choice([1.0, 1.0, 1.0 + 2.0**-52, 1.0 - 2.0**-53]))
        x = np.array([gap, other], dtype)
        truth = exact.solve(x.tolist(), 1, tau)
        p = hsproj.soft_binary_argmax(x, 1, temperature=tau)
        assert p.tolist() == truth.nearest(dtype).tolist(), (x, tau)
        near = Fraction(float(p[0]))
        ties += abs(truth.p[0] - near) == Fraction(eps) / 4 and near >= Fraction(1, 2)
    assert ties > 200  # exact midpoints, which only "ties to even" decides


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ties_in_batches_of_short_rows_are_rounded_to_even(dtype: str) -> None:
    # With 2, 4 or 8 free scores and a temperature of 3/2, one quotient in three has few digits: a float, or a midpoint.
    rng = np.random.default_rng(9)
    ties = 0
    for n in (2, 3, 8, 10, 24):
        for k in sorted({1, n // 2, n - 1}):
            x = rng.normal(size=(64, n)).astype(dtype)
            p = hsproj.soft_binary_argmax(x, k, temperature=1.5)
            for row, came in zip(x, p, strict=True):
                truth = exact.solve(row.tolist(), k, 1.5)
                assert came.tolist() == truth.nearest(dtype).tolist(), row
                ties += sum(_is_midpoint(q, np.dtype(dtype)) for q in truth.p)
    assert ties > 100


def _is_midpoint(q: Fraction, dtype: np.dtype) -> bool:
    near = exact.round_to(q, dtype)
    others = np.nextafter(near, dtype.type(0)), np.nextafter(near, dtype.type(2))
    return any(2 * q == Fraction(float(near)) + Fraction(float(other)) for other in others)


@pytest.mark.parametrize("family", FAMILIES)
def test_jacobian_products_are_those_of_the_rational_answer(family: str) -> None:
    rng = np.random.default_rng(7)
    for x, k, tau, truth in solved(family, 300):
        g = rng.normal(size=x.size).astype(x.dtype)
        eps = float(np.finfo(x.dtype).eps)
        with np.errstate(over="ignore"):
            came = hsproj.vjp(x, k, g, temperature=tau)
        largest = Fraction(float(np.finfo(x.dtype).max))
        for a, b in zip(came, truth.vjp(g.tolist()), strict=True):
            if abs(b) < largest / 2:
                scale = Fraction(float(np.abs(g).max())) / Fraction(tau)
                assert abs(Fraction(float(a)) - b) <= 4 * Fraction(eps) * scale + Fraction(5e-324), (x, k, tau)


@pytest.mark.parametrize("family", ["tied integers", "tied quarters", "near a kink"])
def test_directional_derivative_is_the_one_sided_limit_even_at_kinks(family: str) -> None:
    rng = np.random.default_rng(11)
    kinks = 0
    for x, k, drawn, _ in solved(family, 600):
        tau = 1.0 if family == "near a kink" else drawn
        v = rng.integers(-3, 4, x.size).astype(float)
        # The projection is piecewise affine, so a step this short is exact: no two breakpoints are this close.
        step = Fraction(1, 2**200)
        moved = [Fraction(a) + step * Fraction(b) for a, b in zip(x.tolist(), v.tolist(), strict=True)]
        start = exact.solve(x.tolist(), k, tau)
        slopes = [(a - b) / step for a, b in zip(exact.solve(moved, k, tau).p, start.p, strict=True)]
        came = hsproj.solve(x, k, temperature=tau).directional_derivative(v)
        kinks += not start.is_differentiable
        np.testing.assert_allclose(came, [float(s) for s in slopes], rtol=0, atol=16 * 2.0**-52 * 3 / tau)
    assert kinks > 10  # the family would not test anything otherwise


def test_exact_fallback_answers_what_the_kernels_answer() -> None:
    from hsproj import _exact
    from hsproj._kernels import _solve
    from hsproj._threshold import threshold

    def _delta(record: np.ndarray) -> Fraction:
        return Fraction(record[_solve.DELTA_HIGH]) + Fraction(record[_solve.DELTA_LOW])

    rng = np.random.default_rng(3)
    compared = 0
    for _ in range(500):
        x, k, tau = draw(rng, str(rng.choice(["gaussian", "tied quarters", "near a kink", "offset"])))
        if not 0 < k < x.size:
            continue
        kernel = threshold(x[None], np.array([k]), np.array([tau])).records[0]
        integers = _exact.solve_row(x, k, tau)
        parts = [_solve.DELTA_LOW, _solve.DELTA_ERROR]
        np.testing.assert_allclose(np.delete(integers, parts), np.delete(kernel, parts), rtol=4 * 2.0**-52, atol=0)
        # delta is held as a pair, good to 2^-100 of the temperature.
        assert abs(_delta(integers) - _delta(kernel)) <= Fraction(tau) / 2**100
        compared += 1
    assert compared > 300
