"""The selector of features: scikit-learn's checks, the convex program, and the proof that it hands out."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6", reason="scikit-learn 1.6 or newer is not installed")

from sklearn.datasets import load_breast_cancer
from sklearn.utils.estimator_checks import parametrize_with_checks

from hsproj.integrations import _subset
from hsproj.integrations.sklearn import TopKSelector

Array = np.ndarray
EPS = 2.0**-52


@parametrize_with_checks([TopKSelector(), TopKSelector(1)])
def test_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def _planted(n: int, d: int, k: int, noise: float, seed: int = 0) -> tuple[Array, Array]:
    """Correlated features, standardised, and a y of the first k of them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 0.7 * rng.normal(size=(n, 1))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = x[:, :k] @ rng.choice([-1.0, 1.0], k) + noise * rng.normal(size=n)
    return x, y - y.mean()


def _costs(x: Array, y: Array, k: int, penalty: float) -> dict[tuple[int, ...], float]:
    """Of every subset, by the normal equations."""
    costs = {}
    for subset in combinations(range(x.shape[1]), k):
        part = x[:, subset]
        w = np.linalg.solve(part.T @ part + penalty * np.eye(k), part.T @ y)
        costs[subset] = 0.5 * float(np.sum((y - part @ w) ** 2) + penalty * np.sum(w**2))
    return costs


@pytest.mark.parametrize("shape", [(30, 6), (6, 9)])
def test_cost_of_a_subset_is_that_of_its_ridge_regression(shape: tuple[int, int]) -> None:
    x, y = _planted(*shape, 2, 0.5)
    for subset, expected in _costs(x, y, 3, 2.0).items():
        p = np.isin(np.arange(shape[1]), subset) * 1.0
        assert _subset.cost(x, y[:, None], 2.0, p)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(30, 6), (6, 9)])
def test_gradient_is_the_difference_quotient_of_the_cost(shape: tuple[int, int]) -> None:
    x, y = _planted(*shape, 2, 0.5)
    p = np.random.default_rng(0).uniform(0.2, 0.8, shape[1])
    _, gradient = _subset.cost(x, y[:, None], 2.0, p)
    for i, direction in enumerate(np.eye(shape[1]) * 1e-5):
        up, down = (_subset.cost(x, y[:, None], 2.0, p + sign * direction)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_no_subset_is_better_than_the_gap_admits(seed: int) -> None:
    x, y = _planted(25, 8, 3, 1.5, seed)
    for alpha in (0.01, 0.1, 1.0):
        selector = TopKSelector(3, alpha=alpha).fit(x, y)
        costs = _costs(x, y, 3, 25 * alpha)
        mine, best = costs[tuple(selector.get_support(indices=True).tolist())], min(costs.values())
        assert best >= (1 - selector.gap_) * mine * (1 - 1e-12)


def test_the_gap_is_small_where_the_features_are_clear() -> None:
    x, y = _planted(200, 60, 5, 0.5)
    selector = TopKSelector(5).fit(x, y)
    np.testing.assert_array_equal(selector.get_support(indices=True), np.arange(5))
    assert selector.gap_ < 0.01
    assert selector.p_.sum() == pytest.approx(5, abs=60 * EPS)


def test_selects_what_helps_together_where_each_alone_misleads() -> None:
    """Two features are noise but for their difference; a third is a weak copy of y."""
    rng = np.random.default_rng(0)
    noise, y = rng.normal(size=(2, 400))
    x = np.stack([10 * noise + y, 10 * noise, y + 2 * rng.normal(size=400)], axis=1)
    np.testing.assert_array_equal(TopKSelector(2, alpha=1e-4).fit(x, y).get_support(indices=True), [0, 1])


def test_units_of_features_do_not_matter() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    one = TopKSelector(5).fit(x, y)
    other = TopKSelector(5).fit(x * np.geomspace(1e-3, 1e3, 30) + 5.0, y)
    np.testing.assert_array_equal(one.get_support(), other.get_support())
    assert one.transform(x).shape == (569, 5)


def test_classes_count_as_indicators() -> None:
    x, _ = _planted(60, 8, 2, 0.5)
    labels = np.digitize(x[:, 0], [-0.5, 0.5])
    named = TopKSelector(2).fit(x, np.array(["low", "middle", "top"])[labels])
    np.testing.assert_allclose(named.p_, TopKSelector(2).fit(x, np.eye(3)[labels]).p_, atol=1e-12)
    assert named.get_support()[0]


def test_floats_are_numbers_even_if_they_are_whole() -> None:
    x, y = _planted(60, 8, 2, 0.5)
    counts = np.rint(3 * y)
    assert np.unique(counts).size > 5
    np.testing.assert_array_equal(TopKSelector(2).fit(x, counts).p_, TopKSelector(2).fit(x, counts[:, None]).p_)


def test_nothing_to_explain_is_explained_by_anything() -> None:
    x, _ = _planted(20, 4, 1, 0.5)
    selector = TopKSelector(2).fit(x, np.zeros(20))
    assert selector.gap_ == 0.0
    assert selector.get_support().sum() == 2


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"k": 5}, r"`k` must be None or an integer from 1 to 4; got 5 \(X.shape=\(20, 4\)\)"),
        ({"k": 0}, "`k` must be None or an integer from 1 to 4"),
        ({"k": 1.5}, "`k` must be None or an integer from 1 to 4"),
        ({"alpha": 0.0}, "`alpha` must be finite and > 0"),
        ({"tol": -1.0}, "`tol` must be finite and >= 0"),
        ({"max_iter": 0}, "`max_iter` must be an integer >= 1"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], says: str) -> None:
    x, y = _planted(20, 4, 1, 0.5)
    with pytest.raises(ValueError, match=says):
        TopKSelector(**parameters).fit(x, y)
