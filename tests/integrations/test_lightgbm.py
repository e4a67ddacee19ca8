"""Objectives and metrics with the real LightGBM: both interfaces, weights, classes, early stopping, descent."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import hsproj

lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not installed")

from hsproj.integrations.lightgbm import (  # noqa: E402
    FenchelYoungMetric,
    FenchelYoungObjective,
    HypersimplexMetric,
    HypersimplexObjective,
    ZeroOneMetric,
)

Array = np.ndarray
QUIET = {"num_threads": 1, "verbosity": -1, "deterministic": True, "seed": 0}
PAIRS = [(HypersimplexObjective, HypersimplexMetric), (FenchelYoungObjective, FenchelYoungMetric)]
OBJECTIVES = [objective for objective, _ in PAIRS]


def _data(classes: int = 2, n: int = 600, noise: float = 0.3) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 5))
    z = x[:, 0] + x[:, 1] * x[:, 2] + noise * rng.normal(size=n)
    return x, np.digitize(z, np.quantile(z, np.linspace(0.7, 1, classes)[:-1])) if classes > 2 else (z > 0.8) * 1


def _train(
    objective: Any, x: Array, y: Array, rounds: int = 30, metric: Any = None, **params: Any
) -> tuple[Any, list[float]]:
    """A booster, and the metric on the training set after each round."""
    weight, init = params.pop("weight", None), params.pop("init_score", None)
    data = lightgbm.Dataset(x, y, weight=weight, init_score=init)
    record: dict[str, Any] = {}
    booster = lightgbm.train(
        {**QUIET, "objective": objective, "metric": "none", **params},
        data,
        rounds,
        valid_sets=[data],
        valid_names=["training"],
        feval=metric,
        callbacks=[lightgbm.record_evaluation(record)],
    )
    return booster, record["training"][metric.name] if metric else []


@pytest.mark.parametrize(("objective", "metric"), PAIRS)
def test_training_finds_what_can_be_found(objective: Any, metric: Any) -> None:
    x, y = _data(noise=0.0)
    booster, losses = _train(objective(), x, y, 60, metric(), learning_rate=0.3)
    assert losses[-1] < 0.1 * losses[0]
    assert ZeroOneMetric().value(booster.predict(x), y) < 0.02


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_objective_is_given_scores_labels_and_weights(objective: Any) -> None:
    x, y = _data(3)
    weight = np.linspace(0.5, 2, len(y)).astype(np.float32)
    seen = []

    def spy(scores: Array, data: Any) -> tuple[Array, Array]:
        seen.append((scores.copy(), *objective()(scores, data)))
        return seen[-1][1:]

    init = np.random.default_rng(0).normal(size=(len(y), 3))
    _train(spy, x, y, 2, num_class=3, weight=weight, init_score=init.ravel(order="F"))
    assert np.array_equal(seen[0][0], init)
    assert len(seen) == 2
    for scores, gradient, curvature in seen:
        expected = objective().derivatives(scores, y, weight)
        np.testing.assert_array_equal(gradient, expected[0])
        np.testing.assert_array_equal(curvature, expected[1])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    "params",
    [{"bagging_fraction": 0.5, "bagging_freq": 1}, {"data_sample_strategy": "goss"}, {"boosting": "dart"}],
    ids=["bagging", "goss", "dart"],
)
def test_training_on_samples_or_with_dropout_works(objective: Any, params: dict[str, Any]) -> None:
    x, y = _data(noise=0.0)
    booster, _ = _train(objective(), x, y, 60, learning_rate=0.3, **params)
    assert ZeroOneMetric().value(booster.predict(x), y) < 0.05


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")  # its successor is not in older versions
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("classes", [2, 3])
def test_both_interfaces_grow_the_same_trees(objective: Any, classes: int) -> None:
    x, y = _data(classes)
    weight = np.linspace(0.5, 2, len(y)).astype(np.float32)
    params = {"num_class": classes} if classes > 2 else {}
    booster, _ = _train(objective(), x, y, 10, weight=weight, **params)
    model = lightgbm.LGBMClassifier(objective=objective(), n_estimators=10, min_child_samples=20, **QUIET)
    model.fit(x, y, sample_weight=weight, eval_set=[(x, y)], eval_metric=ZeroOneMetric())
    np.testing.assert_array_equal(model.booster_.predict(x), booster.predict(x))
    recorded = model.evals_result_["training"]["zero_one"]
    assert recorded[-1] == ZeroOneMetric().value(booster.predict(x), y, weight)


def test_integer_weights_are_repetitions() -> None:
    """Bins of features, and leaves, count samples and not their weights, so leave those out of it."""
    x, y = _data(n=300)
    x = x.round(1)
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    free = {
        "min_data_in_leaf": 1,
        "min_data_in_bin": 1,
        "max_bin": 1000,
        "min_sum_hessian_in_leaf": 5.0,
        "max_depth": 3,
    }
    one, _ = _train(FenchelYoungObjective(), x, y, 5, weight=weight, **free)
    other, _ = _train(FenchelYoungObjective(), np.repeat(x, weight, 0), np.repeat(y, weight), 5, **free)
    # Sums of gradients of 32 bits.
    np.testing.assert_allclose(one.predict(x), other.predict(x), rtol=0, atol=1e-5)


def _losses_from_afar(objective: Any, temperature: float, rate: float, **params: Any) -> list[float]:
    """Fenchel-Young losses of a training that begins at scores far from where they have to go."""
    x, y = _data(noise=1.0)
    init = temperature * np.random.default_rng(1).normal(size=len(y)) * 30
    metric = FenchelYoungMetric(temperature)
    return _train(objective, x, y, 40, metric, init_score=init, learning_rate=rate, **params)[1]


@pytest.mark.parametrize("hessian", ["majorizer", "bound"])
@pytest.mark.parametrize("rate", [0.1, 1.0, 1.9])
@pytest.mark.parametrize("temperature", [1e-3, 1.0])
def test_no_iteration_increases_the_fenchel_young_loss(hessian: Any, rate: float, temperature: float) -> None:
    free = {"min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0}
    losses = _losses_from_afar(FenchelYoungObjective(temperature, hessian), temperature, rate, **free)
    # Leaf values are quotients of sums of 32-bit numbers.
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(losses))
    assert losses[-1] < losses[0]


def test_the_diagonal_of_the_hessian_may_increase_the_fenchel_young_loss_where_the_majorizer_does_not() -> None:
    x, y = _data(n=2000, noise=1.0)
    params = {"learning_rate": 1.0, "min_data_in_leaf": 5}
    rises = []
    for hessian in ("diagonal", "majorizer"):
        _, losses = _train(FenchelYoungObjective(1.0, hessian), x, y, 40, FenchelYoungMetric(), **params)  # type: ignore[arg-type]
        rises.append(max(after / before for before, after in pairwise(losses)))
    assert rises[0] > 2.0
    assert rises[1] < 1.0


def test_the_majorizer_has_the_longer_steps() -> None:
    majorizer, bound = (_losses_from_afar(FenchelYoungObjective(1.0, h), 1.0, 0.1)[-1] for h in ("majorizer", "bound"))
    assert majorizer < 0.8 * bound


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_temperature_changes_the_unit_of_the_scores_and_nothing_else(objective: Any) -> None:
    x, y = _data()
    (one, _), (other, _) = (_train(objective(t), x, y, 10, min_sum_hessian_in_leaf=0.0) for t in (1.0, 2.0**-6))
    np.testing.assert_allclose(other.predict(x), one.predict(x) / 64, rtol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_early_stopping_stops_where_the_metric_is_least(objective: Any) -> None:
    x, y = _data(noise=1.5)
    train = lightgbm.Dataset(x[:400], y[:400])
    valid = lightgbm.Dataset(x[400:], y[400:], reference=train)
    record: dict[str, Any] = {}
    booster = lightgbm.train(
        {**QUIET, "objective": objective(), "metric": "none", "learning_rate": 0.5},
        train,
        200,
        valid_sets=[valid],
        feval=[FenchelYoungMetric(), ZeroOneMetric()],
        callbacks=[
            lightgbm.early_stopping(5, first_metric_only=True, verbose=False),
            lightgbm.record_evaluation(record),
        ],
    )
    losses = record["valid_0"]["fenchel_young"]
    assert booster.best_iteration == 1 + int(np.argmin(losses))
    assert len(losses) == booster.best_iteration + 5
    assert booster.best_score["valid_0"]["zero_one"] == ZeroOneMetric().value(booster.predict(x[400:]), y[400:])


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")  # its successor is not in older versions
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_early_stopping_of_the_classifier_stops_where_the_metric_is_least(objective: Any) -> None:
    x, y = _data(noise=1.5)
    model = lightgbm.LGBMClassifier(objective=objective(), n_estimators=200, metric="none", **QUIET)
    stop = lightgbm.early_stopping(5, verbose=False)
    model.fit(x[:400], y[:400], eval_set=[(x[400:], y[400:])], eval_metric=FenchelYoungMetric(), callbacks=[stop])
    losses = model.evals_result_["valid_0"]["fenchel_young"]
    assert model.best_iteration_ == 1 + int(np.argmin(losses))
    assert len(losses) == model.best_iteration_ + 5


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scores_minus_their_thresholds_classify(objective: Any) -> None:
    x, y = _data(3, noise=0.1)
    booster, _ = _train(objective(), x, y, 60, num_class=3, learning_rate=0.3)
    scores = booster.predict(x, raw_score=True)
    theta = hsproj.solve(scores, np.bincount(y), axis=0).threshold
    assert np.mean((scores - theta).argmax(axis=1) == y) > 0.9


def test_groups_are_refused() -> None:
    x, y = _data()
    data = lightgbm.Dataset(x, y, group=[300, 300])
    with pytest.raises(ValueError, match="`group` must not be set"):
        lightgbm.train({**QUIET, "objective": FenchelYoungObjective()}, data, 1)


@pytest.mark.parametrize(
    "made", [FenchelYoungObjective(0.5, "bound"), HypersimplexObjective((1.0, 2.0)), ZeroOneMetric()]
)
def test_survives_pickling_and_cloning(made: Any) -> None:
    sklearn_base = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed")
    assert pickle.loads(pickle.dumps(made)) == made
    assert sklearn_base.clone(lightgbm.LGBMClassifier(objective=made)).objective == made
