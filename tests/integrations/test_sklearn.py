"""The classifier: scikit-learn's own checks, gradients, what its answers mean, batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hsproj

sklearn = pytest.importorskip("sklearn", minversion="1.6", reason="scikit-learn 1.6 or newer is not installed")

from sklearn.datasets import load_digits, load_iris  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from hsproj.integrations.sklearn import HypersimplexClassifier  # noqa: E402

Array = np.ndarray
LOSSES: tuple[Any, ...] = ("fenchel_young", "hypersimplex", "cross_entropy_on_p", "softmax")


def _expected_failures(estimator: Any) -> dict[str, str]:
    """Weights are repetitions to all objectives (tested below), but not to all that is done with them."""
    reason = None
    if estimator.solver == "adam":
        reason = "batches are drawn sample by sample, so those with repetitions hold others"
    elif estimator.hidden_units:
        reason = "the objective is not convex, so rounding decides where L-BFGS goes"
    elif estimator.loss == "cross_entropy_on_p":
        reason = "the slope of the loss jumps at kinks, so rounding decides where L-BFGS goes"
    return {"check_sample_weight_equivalence_on_dense_data": reason} if reason else {}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # the checks allow few iterations
@parametrize_with_checks(
    [
        *(HypersimplexClassifier(loss=loss, max_iter=50) for loss in ("fenchel_young", "cross_entropy_on_p")),
        HypersimplexClassifier(hidden_units=5, max_iter=100),
        HypersimplexClassifier(solver="adam", learning_rate=0.1, batch_size=50, max_iter=50),
    ],
    expected_failed_checks=_expected_failures,
)
def test_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def _data(classes: int = 3) -> tuple[Array, Array]:
    x, y = load_iris(return_X_y=True)
    return (x - x.mean(axis=0)) / x.std(axis=0), np.minimum(y, classes - 1)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden_units", [0, 4])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_is_the_difference_quotient_of_the_objective(
    loss: Any, hidden_units: int, classes: int, weighted: bool
) -> None:
    x, y = _data(classes)
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 2, len(y)) if weighted else None
    model = HypersimplexClassifier(loss=loss, hidden_units=hidden_units, floor=0.1, max_iter=1, tol=1e9, random_state=0)
    model.fit(x, y, weight)
    flat = rng.normal(size=model._flat.size)
    _, gradient = model._objective(flat, x, y, weight)
    step = 1e-6  # no score is so close to a kink that these steps cross one
    for i, direction in enumerate(np.eye(flat.size) * step):
        up, down = (model._objective(flat + sign * direction, x, y, weight)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / (2 * step), abs=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden_units", [0, 3])
def test_integer_weights_are_repetitions_in_the_objective(loss: Any, hidden_units: int) -> None:
    x, y = _data()
    rng = np.random.default_rng(1)
    weight = rng.integers(1, 4, len(y))
    model = HypersimplexClassifier(loss=loss, hidden_units=hidden_units, max_iter=1, tol=1e9, random_state=0).fit(x, y)
    flat = rng.normal(size=model._flat.size)
    value, gradient = model._objective(flat, x, y, weight.astype(float))
    other = model._objective(flat, np.repeat(x, weight, axis=0), np.repeat(y, weight), None)
    assert value == pytest.approx(other[0], rel=1e-13)
    np.testing.assert_allclose(gradient, other[1], rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # to learn is enough
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden_units", [0, 16])
def test_learns_handwritten_digits(loss: Any, hidden_units: int) -> None:
    x, y = load_digits(return_X_y=True)
    x = x / 16
    model = HypersimplexClassifier(loss=loss, hidden_units=hidden_units, max_iter=100, tol=1e-3, random_state=0)
    assert model.fit(x[:1000], y[:1000]).score(x[1000:], y[1000:]) > 0.87


def test_proba_of_two_classes_is_p_of_the_training_samples() -> None:
    x, y = _data(2)
    labels = np.array(["no", "yes"])[y]
    model = HypersimplexClassifier(temperature=0.5).fit(x, labels)
    scores = x @ model.weights_[0][:, 0]
    proba = model.predict_proba(x)
    np.testing.assert_allclose(proba[:, 1], hsproj.soft_binary_argmax(scores, y.sum(), temperature=0.5), atol=1e-14)
    np.testing.assert_array_equal(model.predict(x), np.where(proba[:, 1] > 0.5, "yes", "no"))


def test_proba_of_several_classes_is_the_projection_of_margins() -> None:
    x, y = _data()
    model = HypersimplexClassifier(temperature=(0.5, 1.0, 2.0)).fit(x, y)
    scores = x @ model.weights_[0]
    np.testing.assert_allclose(
        model.threshold_, hsproj.solve(scores, np.bincount(y), temperature=[0.5, 1.0, 2.0], axis=0).threshold
    )
    margins = (scores - model.threshold_) / [0.5, 1.0, 2.0]
    np.testing.assert_allclose(model.decision_function(x), margins)
    proba = model.predict_proba(x)
    np.testing.assert_allclose(proba, hsproj.project(margins, 1, axis=1), atol=1e-14)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.predict(x))


def test_a_common_factor_of_temperatures_is_another_alpha() -> None:
    """The loss is c times as large for scores and temperatures c times as large, the penalty c^2 times."""
    x, y = _data()
    one = HypersimplexClassifier(alpha=0.01).fit(x, y)
    other = HypersimplexClassifier(alpha=0.01 / 4, temperature=4.0, tol=1e-6).fit(x, y)
    np.testing.assert_allclose(other.weights_[0], 4 * one.weights_[0], atol=1e-2)
    np.testing.assert_allclose(other.predict_proba(x), one.predict_proba(x), atol=1e-2)


def test_batches_teach_it() -> None:
    x, y = load_digits(return_X_y=True)
    x = x / 16
    model = HypersimplexClassifier(learning_rate=0.02)
    rng = np.random.default_rng(0)
    for _ in range(150):
        batch = rng.choice(1000, 200, replace=False)
        model.partial_fit(x[batch], y[batch], classes=np.arange(10))
    assert model.score(x[1000:], y[1000:]) > 0.87
    assert model.n_iter_ == 150


def test_a_batch_of_one_sample_teaches_nothing() -> None:
    x, y = _data()
    model = HypersimplexClassifier(alpha=0.0).fit(x, y)
    before, threshold = model.weights_[0], model.threshold_.copy()
    model.partial_fit(x[:1], y[:1])
    np.testing.assert_array_equal(model.weights_[0], before)
    np.testing.assert_array_equal(model.threshold_, threshold)


def test_batches_may_lack_classes() -> None:
    x, y = _data()
    model = HypersimplexClassifier(learning_rate=0.05)
    order = np.argsort(y, kind="stable")
    for batch in (order[:50], order[100:], order[:100], order[50:], *[order[::2]] * 60):
        model.partial_fit(x[batch], y[batch], classes=[0, 1, 2])
    assert np.isfinite(model.threshold_).all()
    assert model.score(x, y) > 0.8


def test_partial_fit_goes_on_from_fit() -> None:
    x, y = _data()
    model = HypersimplexClassifier(learning_rate=1e-9).fit(x, y)
    before = model.predict_proba(x)
    np.testing.assert_allclose(model.partial_fit(x, y).predict_proba(x), before, atol=1e-6)


def test_a_class_without_weight_is_never_predicted() -> None:
    x, y = _data()
    for classes in (2, 3):
        labels = np.minimum(y, classes - 1)
        model = HypersimplexClassifier().fit(x, labels, sample_weight=labels != 1)
        assert 1 not in model.predict(x)
        np.testing.assert_array_equal(model.predict_proba(x)[:, 1], 0.0)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_the_same_random_state_gives_the_same_model(solver: Any) -> None:
    x, y = _data()
    one, same, other = (
        HypersimplexClassifier(hidden_units=3, solver=solver, batch_size=40, max_iter=300, tol=1e-2, random_state=seed)
        .fit(x, y)
        .decision_function(x)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_says_so_if_it_has_not_converged() -> None:
    x, y = _data()
    with pytest.warns(ConvergenceWarning, match="`max_iter`=2 iterations without reaching `tol`=1e-05"):
        HypersimplexClassifier(max_iter=2).fit(x, y)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"loss": "hinge"}, "`loss` must be"),
        ({"solver": "sgd"}, "`solver` must be"),
        ({"hidden_units": -1}, "`hidden_units` must be an integer >= 0; got -1"),
        ({"max_iter": 0}, "`max_iter` must be an integer >= 1"),
        ({"batch_size": 0.5}, "`batch_size` must be an integer >= 1"),
        ({"alpha": -1.0}, "`alpha` must be finite and >= 0"),
        ({"floor": 0.0}, "`floor` must be a number with 0 < floor < 1"),
        ({"temperature": 0.0}, "`temperature` must be positive and finite"),
        ({"temperature": (1.0, 2.0)}, r"`temperature` must be positive and finite.*\(scores=3\)"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], says: str) -> None:
    x, y = _data()
    with pytest.raises(ValueError, match=says):
        HypersimplexClassifier(**parameters).fit(x, y)


def test_labels_that_cannot_be_learned_are_refused() -> None:
    x, y = _data()
    with pytest.raises(ValueError, match="two classes or more; got one class"):
        HypersimplexClassifier().fit(x, np.zeros(len(y)))
    with pytest.raises(ValueError, match="`classes` must be given"):
        HypersimplexClassifier().partial_fit(x, y)
    with pytest.raises(ValueError, match=r"`y` must hold no classes but \[0, 1\]"):
        HypersimplexClassifier().partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"(?i)weight"):
        HypersimplexClassifier().fit(x, y, sample_weight=np.zeros(len(y)))
