"""Objectives and metrics with the real XGBoost: both interfaces, weights, classes, early stopping, descent."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import hsproj

xgboost = pytest.importorskip("xgboost", reason="XGBoost is not installed")

from hsproj.integrations.xgboost import (  # noqa: E402
    FenchelYoungMetric,
    FenchelYoungObjective,
    HypersimplexMetric,
    HypersimplexObjective,
    ZeroOneMetric,
)

Array = np.ndarray
QUIET = {"nthread": 1, "seed": 0, "disable_default_eval_metric": 1}
PAIRS = [(HypersimplexObjective, HypersimplexMetric), (FenchelYoungObjective, FenchelYoungMetric)]
OBJECTIVES = [objective for objective, _ in PAIRS]


def _data(classes: int = 2, n: int = 600, noise: float = 0.3) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 5))
    z = x[:, 0] + x[:, 1] * x[:, 2] + noise * rng.normal(size=n)
    return x, np.digitize(z, np.quantile(z, np.linspace(0.7, 1, classes)[:-1])) if classes > 2 else (z > 0.8) * 1


def _train(objective: Any, data: Any, rounds: int = 30, metric: Any = None, **params: Any) -> tuple[Any, list[float]]:
    """A booster, and the metric on the training set after each round."""
    record: dict[str, Any] = {}
    booster = xgboost.train(
        {**QUIET, **params},
        data,
        rounds,
        obj=objective,
        custom_metric=metric,
        evals=[(data, "training")] if metric else [],
        evals_result=record,
        verbose_eval=False,
    )
    return booster, record["training"][metric.name] if metric else []


@pytest.mark.parametrize(("objective", "metric"), PAIRS)
def test_training_finds_what_can_be_found(objective: Any, metric: Any) -> None:
    x, y = _data(noise=0.0)
    data = xgboost.DMatrix(x, y)
    booster, losses = _train(objective(), data, 60, metric())
    assert losses[-1] < 0.1 * losses[0]
    assert ZeroOneMetric().value(booster.predict(data, output_margin=True), y) < 0.02


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_objective_is_given_scores_labels_and_weights(objective: Any, classes: int) -> None:
    x, y = _data(classes)
    weight = np.linspace(0.5, 2, len(y)).astype(np.float32)
    init = np.random.default_rng(0).normal(size=(len(y), 3) if classes == 3 else len(y)).astype(np.float32)
    seen = []

    def spy(scores: Array, data: Any) -> tuple[Array, Array]:
        seen.append((scores.copy(), *objective()(scores, data)))
        return seen[-1][1:]

    data = xgboost.DMatrix(x, y, weight=weight, base_margin=init)
    _train(spy, data, 2, **({"num_class": 3} if classes == 3 else {}))
    np.testing.assert_array_equal(seen[0][0], init)
    assert len(seen) == 2
    for scores, gradient, curvature in seen:
        expected = objective().derivatives(scores, y, weight)
        np.testing.assert_array_equal(gradient, expected[0].astype(np.float32))
        np.testing.assert_array_equal(curvature, expected[1].astype(np.float32))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("classes", [2, 3])
def test_both_interfaces_grow_the_same_trees(objective: Any, classes: int) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    x, y = _data(classes)
    weight = np.linspace(0.5, 2, len(y))
    data = xgboost.DMatrix(x, y, weight=weight)
    booster, _ = _train(objective(), data, 10, base_score=0.5, **({"num_class": 3} if classes == 3 else {}))
    model = xgboost.XGBClassifier(
        objective=objective(), n_estimators=10, n_jobs=1, eval_metric=ZeroOneMetric(), base_score=0.5
    )
    model.fit(x, y, sample_weight=weight, eval_set=[(x, y)], verbose=False)
    one, other = model.predict(x, output_margin=True), booster.predict(data, output_margin=True)
    # They begin at different constants, which change nothing but the last bits.
    np.testing.assert_allclose(one - one.mean(axis=0), other - other.mean(axis=0), rtol=0, atol=1e-5)
    recorded = model.evals_result()["validation_0"]["zero_one"]
    assert recorded[-1] == pytest.approx(ZeroOneMetric().value(one, y), abs=1e-6)  # reported with 6 decimals


def test_integer_weights_are_repetitions() -> None:
    x, y = _data(n=300)
    x = x.round(1)
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    free = {"tree_method": "exact", "max_depth": 3, "min_child_weight": 5.0}
    one, _ = _train(FenchelYoungObjective(), xgboost.DMatrix(x, y, weight=weight), 5, **free)
    other, _ = _train(
        FenchelYoungObjective(), xgboost.DMatrix(np.repeat(x, weight, 0), np.repeat(y, weight)), 5, **free
    )
    data = xgboost.DMatrix(x)
    np.testing.assert_allclose(
        one.predict(data, output_margin=True), other.predict(data, output_margin=True), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("hessian", ["majorizer", "bound"])
@pytest.mark.parametrize("rate", [0.1, 1.0])
@pytest.mark.parametrize("temperature", [1e-3, 1.0])
def test_no_iteration_increases_the_fenchel_young_loss(hessian: Any, rate: float, temperature: float) -> None:
    x, y = _data(noise=1.0)
    init = temperature * np.random.default_rng(1).normal(size=len(y)) * 30  # far from where it has to go
    objective = FenchelYoungObjective(temperature, hessian)
    free = {"min_child_weight": 0.0, "reg_lambda": 0.0, "learning_rate": rate}
    _, losses = _train(objective, xgboost.DMatrix(x, y, base_margin=init), 40, FenchelYoungMetric(temperature), **free)
    # Scores have 32 bits, and losses 6 decimals.
    allowed = 1e-6 * (1 + losses[0])
    assert all(after <= before + allowed for before, after in pairwise(losses))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_early_stopping_stops_where_the_metric_is_least(objective: Any) -> None:
    x, y = _data(noise=1.5)
    train, valid = xgboost.DMatrix(x[:400], y[:400]), xgboost.DMatrix(x[400:], y[400:])
    record: dict[str, Any] = {}
    booster = xgboost.train(
        QUIET,
        train,
        200,
        obj=objective(),
        custom_metric=FenchelYoungMetric(),
        evals=[(valid, "valid")],
        evals_result=record,
        early_stopping_rounds=5,
        verbose_eval=False,
    )
    losses = record["valid"]["fenchel_young"]
    assert booster.best_iteration == int(np.argmin(losses))
    assert len(losses) == booster.best_iteration + 6


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_early_stopping_of_the_classifier_stops_where_the_metric_is_least(objective: Any) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    x, y = _data(noise=1.5)
    model = xgboost.XGBClassifier(
        objective=objective(), eval_metric=FenchelYoungMetric(), early_stopping_rounds=5, n_estimators=200, n_jobs=1
    )
    model.fit(x[:400], y[:400], eval_set=[(x[400:], y[400:])], verbose=False)
    losses = model.evals_result()["validation_0"]["fenchel_young"]
    assert model.best_iteration == int(np.argmin(losses))
    assert len(losses) == model.best_iteration + 6


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scores_minus_their_thresholds_classify(objective: Any) -> None:
    x, y = _data(3, noise=0.1)
    data = xgboost.DMatrix(x, y)
    booster, _ = _train(objective(), data, 60, num_class=3)
    scores = booster.predict(data, output_margin=True).astype(np.float64)
    theta = hsproj.solve(scores, np.bincount(y), axis=0).threshold
    assert np.mean((scores - theta).argmax(axis=1) == y) > 0.9


def test_several_labels_at_once_are_projected_each() -> None:
    x, y = _data(3, noise=0.0)
    labels = np.stack([y > 0, y > 1], axis=1).astype(float)
    data = xgboost.DMatrix(x, labels)
    booster, losses = _train(FenchelYoungObjective(), data, 40, FenchelYoungMetric(), base_score=0.5)
    assert losses[-1] < 0.2 * losses[0]
    assert booster.predict(data, output_margin=True).shape == labels.shape


def test_groups_are_refused() -> None:
    x, y = _data()
    data = xgboost.DMatrix(x, y)
    data.set_group([300, 300])
    with pytest.raises(ValueError, match="`group` must not be set"):
        _train(FenchelYoungObjective(), data, 1)


@pytest.mark.parametrize(
    "made", [FenchelYoungObjective(0.5, "bound"), HypersimplexObjective((1.0, 2.0)), ZeroOneMetric()]
)
def test_survives_pickling_and_cloning(made: Any) -> None:
    sklearn_base = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed")
    assert pickle.loads(pickle.dumps(made)) == made
    assert sklearn_base.clone(xgboost.XGBClassifier(objective=made)).objective == made
