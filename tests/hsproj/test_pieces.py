"""Rows in pieces: whatever the pieces, to the last bit the answer for the whole row, which other tests hold to rationals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from families import ADVERSARIAL, FAMILIES, LONG, draw, draw_adversarial

import hsproj
from hsproj import _pieces


@pytest.fixture
def little_memory(monkeypatch):
    """Short rows are sampled as long ones are, and leave as few scores open."""
    monkeypatch.setattr(_pieces, "SAMPLE", 32)
    monkeypatch.setattr(_pieces, "ROOM", 8)
    monkeypatch.setattr(_pieces, "_BLOCK", 64)


def answer_of(x, k, tau, cuts, v=None):
    """The answer, the pieces, and how many scores were open."""
    pieces = np.split(x, cuts)
    vs = [None] * len(pieces) if v is None else np.split(v, cuts)
    share = min(_pieces.SAMPLE / max(x.size, 1), 1.0)
    outline = _pieces.plan([_pieces.survey(piece, share, i) for i, piece in enumerate(pieces)], k, tau)
    interval = _pieces.enclose([_pieces.weigh(piece, outline, tau) for piece in pieces], outline, k, tau)
    settled = [_pieces.settle(piece, interval, tau, g) for piece, g in zip(pieces, vs, strict=True)]
    answer = _pieces.conclude(settled, outline, interval, k, tau)
    return answer, pieces, sum(part.values.size for part in settled)


def cuts_of(rng, n):
    return np.sort(rng.integers(0, n + 1, rng.integers(0, 6)))


def agree(x, k, tau, cuts):
    answer, pieces, _ = answer_of(x, k, tau, cuts)
    sol = hsproj.solve(x, k, temperature=tau)
    masks = [answer.masks(piece) for piece in pieces]
    np.testing.assert_array_equal(np.concatenate([answer.project(piece) for piece in pieces]), sol.p)
    np.testing.assert_array_equal(np.concatenate([free for free, _ in masks]), sol.free)
    np.testing.assert_array_equal(np.concatenate([full for _, full in masks]), sol.saturated)
    np.testing.assert_array_equal(answer.threshold(x.dtype.type), sol.threshold)
    assert answer.is_differentiable == sol.is_differentiable
    # Exact here; within 4 ulps there.
    np.testing.assert_array_max_ulp(x.dtype.type(answer.margin), sol.margin, 4)


@pytest.mark.parametrize("family", [*FAMILIES, *LONG])
def test_pieces_of_random_rows_give_what_the_row_gives(family, little_memory):
    rng = np.random.default_rng(len(family))
    for _ in range(60):
        x, k, tau = draw(rng, family)
        agree(x, k, tau, cuts_of(rng, x.size))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family", ADVERSARIAL)
def test_pieces_of_adversarial_rows_give_what_the_row_gives(family, dtype, little_memory):
    rng = np.random.default_rng(len(family))
    for _ in range(20):
        x, k, tau = draw_adversarial(rng, family, dtype)
        agree(x.astype(dtype), k, tau, cuts_of(rng, x.size))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_cut_gives_the_same(dtype, little_memory):
    rng = np.random.default_rng(0)
    x = np.sort(rng.normal(size=300).astype(dtype))
    for cuts in ([], [1], [0, 0, 300], range(1, 300), [150]):
        agree(x, 40.0, 0.5, cuts)


@pytest.mark.parametrize(("score", "k"), [(-np.inf, 0.0), (np.inf, 9.0), (1.0, 0.0), (1.0, 9.0), (np.inf, 3.0)])
def test_rows_without_a_choice_or_without_an_answer(score, k):
    agree(np.full(9, score), k, 1.0, [4])


def test_an_unlucky_sample_costs_no_bit(monkeypatch, little_memory):
    """Its thresholds are all on one side of theta, or the same."""
    rng = np.random.default_rng(0)
    for trials in ([], [-9.0], [9.0], [-9.0, -8.0], [0.0, 0.0], [8.0, 9.0]):
        plan = _pieces.plan
        monkeypatch.setattr(_pieces, "plan", lambda *a, p=plan, t=trials: p(*a)._replace(trials=np.array(t)))
        agree(rng.normal(size=200), 20.0, 1.0, [90, 100])
        monkeypatch.setattr(_pieces, "plan", plan)


CROWDS = {
    "gaussian": lambda rng, n: rng.normal(size=n),
    "few different scores": lambda rng, n: rng.integers(0, 50, n) / 10.0,
    "equal but for one": lambda rng, n: np.r_[np.zeros(n - 1), 1e9],
    "a crowd within 1e-4 of theta": lambda rng, n: rng.integers(0, 2, n) / 2.0 + 1e-4 * rng.random(n),
    "masked but for some": lambda rng, n: np.where(rng.random(n) < 1e-3, rng.normal(size=n), -np.inf),
    "an offset that leaves few floats": lambda rng, n: rng.normal(size=n) + 1e15,
    "ascending": lambda rng, n: np.sort(rng.normal(size=n)),
}


@pytest.mark.parametrize("kind", CROWDS)
def test_few_scores_stay_open_whatever_they_are(kind, monkeypatch):
    """About ROOM of them, or one in 64 if that is more."""
    monkeypatch.setattr(_pieces, "SAMPLE", 1 << 14)
    monkeypatch.setattr(_pieces, "ROOM", 1 << 12)
    x = CROWDS[kind](np.random.default_rng(0), 1 << 19)
    for k in (20.0, 0.3 * np.isfinite(x).sum()):
        answer, _, open_ = answer_of(x, k, 1.0, [100_000, 300_000])
        assert open_ <= 1.5 * max(_pieces.ROOM, x.size / 64)
        np.testing.assert_array_equal(answer.project(x), hsproj.project(x, k))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_products_are_as_near_as_those_of_the_row(dtype, scale, little_memory):
    """Within 4 eps max|v| / tau of the exact product; where the row's are, too."""
    rng = np.random.default_rng(0)
    for tied in (False, True):
        x, v = rng.normal(size=500).astype(dtype), (scale * rng.normal(size=500)).astype(dtype)
        x = np.round(x, 1) if tied else x
        answer, pieces, _ = answer_of(x, 50.0, 0.5, [7, 300], v)
        sums = [answer.gather(piece, g) for piece, g in zip(pieces, np.split(v, [7, 300]), strict=True)]
        free = answer.masks(x)[0]
        exact = np.where(free, (v.astype(float) - math.fsum(v[free]) / free.sum()) / 0.5, 0.0)
        bound = 4 * np.finfo(dtype).eps * np.abs(v).max() / 0.5
        for found in (answer, answer.with_mean(sums)):
            np.testing.assert_allclose(found.tangent(x, v), exact, rtol=0, atol=bound)


def test_products_of_huge_and_of_infinite_cotangents_are_those_of_the_row(little_memory):
    x = np.array([0.5, 0.25, 0.0, -9.0])
    for v in ([1.7e308, 1.7e308, 1.7e308, 0.0], [1.7e308, -1.7e308, 0.0, 0.0], [np.inf, 0.0, 0.0, 1.0], [np.nan] * 4):
        g = np.array(v)
        answer, pieces, _ = answer_of(x, 1.0, 1.0, [2], g)
        found = np.concatenate(
            [answer.tangent(piece, part) for piece, part in zip(pieces, np.split(g, [2]), strict=True)]
        )
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(found, hsproj.vjp(x, 1.0, g))


def test_sums_are_exact():
    rng = np.random.default_rng(0)
    for v in (
        rng.normal(size=1000),
        np.exp(rng.uniform(-700, 600, 1000)),
        np.array([1e308, 1e308, -1e308]),
        np.empty(0),
    ):
        assert _pieces._sum(v) == sum(map(Fraction, v.tolist()))
        counts = rng.integers(1, 1000, v.size)
        expected = sum(Fraction(a) * b for a, b in zip(v.tolist(), counts.tolist(), strict=True))
        assert _pieces._weighted_sum(v, counts) == expected


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_next_to_a_number(kind):
    largest = kind(np.finfo(kind).max)
    for value in (0.1, 1.0, -0.3, 1e-50, 1e300, -1e300, float(largest)):
        exact = Fraction(value)
        low, high = _pieces._floor(exact, kind), _pieces._ceil(exact, kind)
        assert low == -np.inf or Fraction(float(low)) <= exact
        assert high == np.inf or Fraction(float(high)) >= exact
        with np.errstate(over="ignore"):
            assert low == high or np.nextafter(low, kind(np.inf)) == high


def test_entries_on_rounding_midpoints_are_rounded_without_rationals(monkeypatch):
    """Theta is a pair of floats here, and then nothing is left open: rationals would take seconds for each million."""
    x = (np.random.default_rng(0).integers(0, 2**23, 100_000) * 2.0**-23).astype(np.float32)
    x[:2] = 0.5, 0.5 + 2.0**-12
    k = float(np.clip(x.astype(float) - (0.25 + 2.0**-26), 0, 1).sum())
    monkeypatch.setattr(_pieces._exact, "round_row", None)
    answer, _, _ = answer_of(x, k, 1.0, [50_000])
    assert answer.theta == Fraction(0.25 + 2.0**-26)
    np.testing.assert_array_equal(answer.project(x), hsproj.project(x, k))
