"""What is counted in the end: wrong decisions, and missed positives, ties included."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hsproj

LEVELS = st.integers(-1, 1).map(float)


@st.composite
def decisions(draw: st.DrawFn) -> tuple[list[float], list[int], int]:
    n = draw(st.integers(1, 6))
    scores = draw(st.lists(LEVELS, min_size=n, max_size=n))
    return scores, draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), draw(st.integers(0, n))


def _choices(scores: list[float], k: int) -> list[tuple[int, ...]]:
    """Every set of k highest scores, by trying all sets."""
    sets = list(itertools.combinations(range(len(scores)), k))
    best = max(sum(scores[i] for i in chosen) for chosen in sets)
    return [chosen for chosen in sets if sum(scores[i] for i in chosen) == best]


@settings(deadline=None)
@given(decisions())
def test_zero_one_loss_is_the_mean_share_of_wrong_decisions_over_all_ways_to_break_ties(
    case: tuple[list[float], list[int], int],
) -> None:
    scores, y, k = case
    ways = _choices(scores, k)
    wrong = sum((i in way) != bool(y[i]) for way in ways for i in range(len(y)))
    assert hsproj.zero_one_loss(scores, y, k) == pytest.approx(float(Fraction(wrong, len(ways) * len(y))), rel=1e-14)


@settings(deadline=None)
@given(decisions())
def test_top_k_zero_one_loss_is_the_mean_share_of_missed_positives_over_all_ways_to_break_ties(
    case: tuple[list[float], list[int], int],
) -> None:
    scores, y, k = case
    ways = _choices(scores, k)
    missed = sum(y[i] and i not in way for way in ways for i in range(len(y)))
    expected = float(Fraction(missed, len(ways) * max(sum(y), 1)))
    assert hsproj.top_k_zero_one_loss(scores, y, k) == pytest.approx(expected, rel=1e-14, abs=1e-16)


def test_hypersimplex_loss_is_n_halves_times_it_at_temperatures_up_to_the_gap() -> None:
    rng = np.random.default_rng(1)
    scores, y = rng.permuted(np.tile(np.arange(10.0), (50, 1)), axis=-1), rng.integers(0, 2, (50, 10))
    losses = hsproj.hypersimplex_loss(scores, y, temperature=1.0, reduction="none")
    np.testing.assert_allclose(losses, 5 * hsproj.zero_one_loss(scores, y, reduction="none"), rtol=1e-15)


def test_scores_that_say_nothing_get_no_better_by_the_order_of_the_rows() -> None:
    y = np.repeat([1, 0], [300, 700])
    assert hsproj.zero_one_loss(np.zeros(1000), y) == pytest.approx(2 * 0.3 * 0.7, rel=1e-12)
    assert hsproj.zero_one_loss(np.zeros(1000), y[::-1]) == pytest.approx(2 * 0.3 * 0.7, rel=1e-12)


def test_top_k_of_samples_is_the_error_of_a_classifier() -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    rng = np.random.default_rng(2)
    scores, labels = rng.normal(size=(200, 5)), rng.integers(0, 5, 200)
    for k in (1, 2, 3):
        accuracy = sklearn_metrics.top_k_accuracy_score(labels, scores, k=k, labels=range(5))
        assert hsproj.top_k_zero_one_loss(scores, np.eye(5)[labels], k) == pytest.approx(1 - accuracy, rel=1e-14)


def test_rows_may_lie_along_any_axis_with_a_k_each() -> None:
    scores, y = np.array([[3.0, 0.0], [2.0, 1.0], [1.0, 2.0]]), np.array([[1, 1], [1, 0], [0, 0]])
    np.testing.assert_allclose(hsproj.zero_one_loss(scores, y, [2, 1], axis=0, reduction="none"), [0, 2 / 3])
    np.testing.assert_array_equal(hsproj.top_k_zero_one_loss(scores, y, [1, 3], axis=0, reduction="none"), [0.5, 0.0])
    assert hsproj.zero_one_loss(scores, y, [2, 1], axis=0, reduction="sum") == pytest.approx(2 / 3)


def test_a_row_without_positives_misses_none() -> None:
    assert hsproj.top_k_zero_one_loss([1.0, 0.0], [0, 0], 1) == 0.0


def test_rows_without_an_answer_are_nan() -> None:
    scores = np.array([[1.0, np.nan], [1.0, -np.inf], [np.inf, np.inf], [1.0, 0.0]])
    np.testing.assert_array_equal(hsproj.zero_one_loss(scores, [1, 1], reduction="none"), [np.nan, np.nan, 0.0, 0.0])
    with pytest.raises(ValueError, match=r"`scores` must hold no NaN and at least k scores .* row \(0,\)"):
        hsproj.zero_one_loss(scores, [1, 1], nan_policy="raise")


def test_what_is_no_decision_is_refused() -> None:
    with pytest.raises(ValueError, match="`targets` must be 0 or 1; got another target"):
        hsproj.zero_one_loss([1.0, 0.0], [0.5, 0.5])
    with pytest.raises(ValueError, match="`k` must be an integer"):
        hsproj.top_k_zero_one_loss([1.0, 0.0], [1, 0], 1.5)
