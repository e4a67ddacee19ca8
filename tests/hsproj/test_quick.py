"""The quick kernels settle what they can prove, decline the rest, and their sums are what they say they are."""

import math
from fractions import Fraction

import numpy as np
import pytest
from exact_campaign import problem
from families import ADVERSARIAL, FAMILIES

import hsproj
from hsproj._kernels import _long, _project, _short
from hsproj_verify.oracles import exact


def quick(x: np.ndarray, k: object, tau: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Projections, bounds and status of rows."""
    rows = np.atleast_2d(x)
    m = len(rows)
    p, bounds, status = np.empty_like(rows), np.empty((m, 2)), np.empty(m, np.int8)
    k, tau = (np.broadcast_to(value, m).astype(float) for value in (k, tau))
    _project.project_rows(rows, k, tau, p, bounds, status)
    return p, bounds, status


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family", [f for f in (*FAMILIES, *ADVERSARIAL) if f != "many equal scores"])
def test_a_settled_row_has_the_exact_sets_and_every_entry_correctly_rounded(family: str, dtype: str) -> None:
    rng = np.random.default_rng(31)
    settled = 0
    for _ in range(400):
        x, k, tau = problem(rng, family, dtype)
        (p,), ((support_from, saturated_from),), (status,) = quick(x, k, tau)
        if status == _project.UNPROVED:
            continue
        truth = exact.solve(x.tolist(), k, tau)
        assert tuple(np.flatnonzero((x >= support_from) & (x < saturated_from))) == truth.free
        assert tuple(np.flatnonzero(x >= saturated_from)) == truth.saturated
        if status == _project.DONE:
            settled += 1
            assert p.tolist() == truth.nearest(x.dtype).tolist()
    if family in ("gaussian", "float32", "offset", "k one ulp from an integer"):
        assert settled > 100


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 2, 8, 10, 24, 25, 64, 100, 511, 513, 2000])
@pytest.mark.parametrize("tau", [1.5, 1e-3])
def test_ordinary_rows_of_any_length_are_settled_and_right(n: int, tau: float, dtype: str) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(60, n)).astype(dtype)
    k = np.minimum(rng.choice([1.0, 0.1 * n + 0.5, n / 2, 0.9 * n], 60), 0.99 * n)
    p, _, status = quick(x, k, tau)
    assert np.mean(status == _project.DONE) > 0.98
    for row in np.flatnonzero(status == _project.DONE)[: 60 if n < 600 else 12]:
        assert p[row].tolist() == exact.solve(x[row].tolist(), k[row], tau).nearest(x.dtype).tolist()


@pytest.mark.parametrize(
    "scores",
    [
        np.full(3000, 0.3),
        np.repeat(np.random.default_rng(0).normal(size=50), 60),
        np.sort(np.random.default_rng(1).normal(size=3000)),
        np.append(np.random.default_rng(2).normal(size=2999), 1e9),
        -np.exp(np.random.default_rng(3).uniform(0, 60, 3000)),
        np.random.default_rng(4).normal(size=3000) + 1e9,
        np.where(np.arange(3000) % 3 == 0, -np.inf, np.random.default_rng(5).normal(size=3000)),
        np.where(np.arange(3000) % 1500 == 0, np.inf, np.random.default_rng(6).normal(size=3000)),
    ],
    ids=["constant", "ties", "sorted", "outlier", "geometric", "offset", "masked", "forced"],
)
@pytest.mark.parametrize("k", [1, 30, 299.5, 1500, 1999])
def test_long_rows_of_every_kind_are_right_to_the_last_bit(scores: np.ndarray, k: float) -> None:
    if math.isinf(scores.max()) and k == 1:
        k = 2  # the forced entries take it all
    for x in (scores, scores.astype(np.float32)):
        p = hsproj.soft_binary_argmax(x, k, temperature=1.5)
        assert p.tolist() == exact.solve(x.tolist(), k, 1.5).nearest(x.dtype).tolist()


@pytest.mark.parametrize("padding", [0, 30])
@pytest.mark.parametrize(
    ("x", "k", "tau"),
    [
        ([1.0, 0.0], 1, 1.0),  # a vertex at a kink
        ([0.5, 0.5, 0.0], 1, 1.0),  # a lower kink
        ([1.5, 1.0, 0.0], 1.5, 1.0),  # an upper kink
        ([0.5 + 2.0**-50, 0.5, 2.0**-52], 1, 1.0),  # next to one
        ([np.nan, 0.5, 0.25], 1, 1.0),
        ([1e300, 0.0], 1.5, 1.0),
        ([1e-320, 0.0], 1, 1e-320),
        ([0.5, 0.25], 1e-300, 1.0),
    ],
)
def test_what_there_is_no_proof_for_is_declined(x: list[float], k: float, tau: float, padding: int) -> None:
    # By the kernel for short rows, and with scores far below by the one for long rows.
    _, _, (status,) = quick(np.array(x + [-8.0] * padding), k, tau)
    assert status == _project.UNPROVED or (padding and k == 1.5)  # nothing is free next to 1e300 but far scores


@pytest.mark.parametrize("n", [32, 1000, 50_001])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sums_of_a_reduction_are_within_their_bound(n: int, dtype: str) -> None:
    rng = np.random.default_rng(n)
    for offset in (0.0, 3.0, -3.0, -0.7, 1e6, 1e9):
        tau = 1.5
        # Entries of every size, so that there are bits below the grid.
        x = (offset + rng.uniform(0, 1, n) * 10.0 ** rng.uniform(-40, 0, n)).astype(dtype)
        theta = offset - 0.25
        buffer, settled = np.empty(_long.room(n)), np.zeros(_long.SETTLED)
        pivot = _long.pivot_for(x, theta, tau)
        low, high, nobody = theta - 1e-6, theta + 1e-6, np.nan
        count = _long.reduce(x, low, high, tau, pivot, nobody, nobody, buffer, settled)
        assert (count, settled[_long.FREE], settled[_long.SATURATED]) == (0, n, 0)
        exactly = sum(map(Fraction, x.tolist())) - n * Fraction(pivot)
        off = abs(sum(Fraction(settled[part]) for part in (_long.SUM, _long.REST, _long.LAST)) - exactly)
        assert off <= n * Fraction(tau) * (Fraction(2) ** -86 + n * Fraction(2) ** -107)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_crowds_of_equal_scores_next_to_theta_and_to_theta_plus_tau_are_solved_as_they_are(dtype: str) -> None:
    # Far more of them than may be set aside, exactly on theta, and a little off to either side.
    rng = np.random.default_rng(12)
    eps = float(np.finfo(dtype).eps)
    kinks = 0
    for _ in range(60):
        n, tau = int(rng.integers(600, 1200)), float(rng.choice([1.0, 0.75, 1.5]))
        crowd, crowd_up, others = rng.multinomial(n, rng.dirichlet([1.0, 1.0, float(rng.choice([0.01, 0.3]))]))
        low = float(rng.choice([0.0, 0.5, 3.0]))
        high = low + tau + eps * float(rng.choice([0.0, 0.0, 0.0, 1.0, -1.0, 3.0]))
        x = np.concatenate([np.full(crowd, low), np.full(crowd_up, high), rng.normal(low, 1.0, others)]).astype(dtype)
        x = rng.permutation(x)
        above = int((x > np.float64(low) + tau / 2).sum())
        k = float(min(max(above + rng.choice([0.0, 0.0, 1e-9, -1e-9, 0.5, -1.0, 7.0]), 1e-3), n - 1e-3))
        truth = exact.solve(x.tolist(), k, tau)
        sol = hsproj.solve(x, k, temperature=tau)
        assert sol.p.tolist() == truth.nearest(dtype).tolist()
        assert tuple(np.flatnonzero(sol.free)) == truth.free
        assert tuple(np.flatnonzero(sol.saturated)) == truth.saturated
        assert bool(sol.is_differentiable) == truth.is_differentiable
        kinks += not truth.is_differentiable
    assert 5 < kinks < 55  # both ways


@pytest.mark.parametrize("temperature", [1.5, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("k", [0.01, 1.0, 100.0])
def test_entries_too_small_for_arithmetic_in_float32_are_right(k: float, temperature: float) -> None:
    # The way through a row changes where there have been too many doubts: from large entries to small ones, back, or at once.
    rng = np.random.default_rng(15)
    x = rng.normal(size=3000).astype(np.float32)
    few = np.where(np.arange(3000) % 100 == 7, x, np.float32(-1e12))
    for scores in (np.sort(x)[::-1].copy(), np.sort(x), x, few, x * np.float32(temperature)):
        (p,), _, (status,) = quick(scores, k, temperature)
        assert status == _project.DONE
        assert p.tolist() == exact.solve(scores.tolist(), k, temperature).nearest("float32").tolist()


def test_the_order_of_the_scores_changes_no_bit() -> None:
    rng = np.random.default_rng(2)
    for n in (7, 100, 5001):
        x = rng.normal(size=n) + rng.choice([0.0, 1e8])
        order = rng.permutation(n)
        k = float(rng.uniform(0, n))
        np.testing.assert_array_equal(hsproj.project(x[order], k), hsproj.project(x, k)[order])


def test_an_entry_is_in_the_support_if_the_others_exceed_it_by_less_than_k_tau() -> None:
    # The rule of the kernel for short rows, in rationals.
    rng = np.random.default_rng(8)
    for _ in range(300):
        n = int(rng.integers(1, _short.LONGEST + 1))
        x, k, tau = (
            rng.integers(-6, 7, n) / 4,
            float(rng.integers(0, 4 * n + 1)) / 4,
            float(rng.choice([0.5, 1.0, 2.0])),
        )
        truth = exact.solve(x.tolist(), k, tau)
        below = np.clip(x[None, :] - x[:, None], 0, tau).sum(axis=1)  # exact: quarters
        above = np.clip(x[:, None] - x[None, :], 0, tau).sum(axis=1)
        support, saturated = below < k * tau, above >= (n - k) * tau
        assert tuple(np.flatnonzero(support & ~saturated)) == truth.free
        assert tuple(np.flatnonzero(saturated)) == truth.saturated
