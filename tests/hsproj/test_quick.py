"""The quick stage certifies what it can prove, declines the rest, and its sums are what it says they are."""

from fractions import Fraction

import numpy as np
import pytest
from exact_campaign import problem
from families import ADVERSARIAL, FAMILIES

import hsproj
from hsproj._kernels import _quick, _solve
from hsproj_verify.oracles import exact


def quick(x: np.ndarray, k: float, tau: float) -> tuple[int, np.ndarray]:
    """Status and record of a row."""
    records, status = np.empty((1, _solve.COLUMNS)), np.empty(1, np.int8)
    _quick.quick_rows(x[None], np.array([float(k)]), np.array([float(tau)]), records, status)
    return int(status[0]), records[0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family", [f for f in (*FAMILIES, *ADVERSARIAL) if f != "many equal scores"])
def test_a_certified_row_has_the_exact_sets_no_kink_and_theta_within_its_error(family: str, dtype: str) -> None:
    rng = np.random.default_rng(31)
    for _ in range(400):
        x, k, tau = problem(rng, family, dtype)
        status, record = quick(x, k, tau)
        if status != _solve.CERTIFIED:
            continue
        truth = exact.solve(x.tolist(), k, tau)
        support, saturated = x >= record[_solve.SUPPORT_FROM], x >= record[_solve.SATURATED_FROM]
        assert tuple(np.flatnonzero(support & ~saturated)) == truth.free
        assert tuple(np.flatnonzero(saturated)) == truth.saturated
        assert truth.is_differentiable
        theta = sum(Fraction(record[part]) for part in (_solve.PIVOT, _solve.DELTA_HIGH, _solve.DELTA_LOW))
        if truth.free:
            assert abs(theta - truth.theta_low) <= Fraction(record[_solve.DELTA_ERROR])
        else:
            assert truth.theta_low <= theta <= truth.theta_high


def test_most_ordinary_rows_are_certified() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 200))
    records, status = np.empty((2000, _solve.COLUMNS)), np.empty(2000, np.int8)
    _quick.quick_rows(x, rng.uniform(1, 199, 2000), np.full(2000, 1.5), records, status)
    assert (status == _solve.CERTIFIED).mean() > 0.99


@pytest.mark.parametrize(
    ("x", "k", "tau"),
    [
        ([1.0, 0.0], 1, 1.0),  # a vertex at a kink
        ([0.5, 0.5, 0.0], 1, 1.0),  # a lower kink
        ([1.5, 1.0, 0.0], 1.5, 1.0),  # an upper kink
        ([0.5 + 2.0**-50, 0.5, 2.0**-52], 1, 1.0),  # next to one
        ([np.inf, 0.5, 0.25], 1.5, 1.0),
        ([np.nan, 0.5, 0.25], 1, 1.0),
        ([-np.inf, 0.5, 0.25], 1, 1.0),
        ([1e300, 0.0], 1, 1.0),
        ([1e-320, 0.0], 1, 1e-320),
        ([0.5, 0.25], 0, 1.0),
        ([0.5, 0.25], 2, 1.0),
        ([0.5, 0.25], 1e-300, 1.0),
        ([], 0, 1.0),
    ],
)
def test_what_it_has_no_proof_for_is_declined(x: list[float], k: float, tau: float) -> None:
    status, _ = quick(np.array(x), k, tau)
    assert status == _solve.UNDECIDED


@pytest.mark.parametrize("n", [1, 10, 1000, 50_000])
def test_parts_of_the_sum_are_exact_but_for_the_error_that_goes_with_them(n: int) -> None:
    rng = np.random.default_rng(n)
    for offset in (0.0, 3.0, 1e6):
        # Entries of every size, so that there are bits below both grids.
        x = offset + rng.uniform(0, 1, n) * 10.0 ** rng.uniform(-40, 0, n)
        theta, tau = offset - 1e-3, 1.5
        coarse = _quick._grid(2 * tau, n)
        fine = _quick._grid(coarse * 2.0**-52, n)
        parts = np.empty(5)
        counts = _quick._free_sum(x, theta, theta - 1e-6, theta + 1e-6, theta + tau, theta + tau, coarse, fine, parts)
        assert counts == (n, n, 0, 0)
        exactly = sum(map(Fraction, x.tolist())) - n * Fraction(theta)
        off = abs(sum(map(Fraction, parts[:4].tolist())) - exactly)
        assert off <= (n + 4) * Fraction(2) ** -52 * Fraction(parts[4])
        if parts[4] == 0.0:
            assert off == 0


def test_the_order_of_the_scores_changes_no_bit() -> None:
    # Vectorised sums are added up in an order of the compiler's; exact ones don't mind.
    rng = np.random.default_rng(2)
    for n in (7, 100, 5001):
        x = rng.normal(size=n) + rng.choice([0.0, 1e8])
        order = rng.permutation(n)
        k = float(rng.uniform(0, n))
        np.testing.assert_array_equal(hsproj.project(x[order], k), hsproj.project(x, k)[order])
