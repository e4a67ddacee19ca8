"""Derivatives for gradient boosting: of the losses, for each score, with weights; and what their curvatures promise."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import hsproj
from hsproj.integrations import _weighted
from hsproj.integrations._boosting import (
    FenchelYoungMetric,
    FenchelYoungObjective,
    HypersimplexMetric,
    HypersimplexObjective,
    Metric,
    Objective,
    ZeroOneMetric,
)

Array = np.ndarray
EPS = 2.0**-52
PAIRS = [(HypersimplexObjective, HypersimplexMetric), (FenchelYoungObjective, FenchelYoungMetric)]
LOSSES = {
    HypersimplexObjective: hsproj.hypersimplex_loss_and_grad,
    FenchelYoungObjective: hsproj.fenchel_young_loss_and_grad,
}
TAU = 0.7


def _binary(n: int = 40, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), (rng.random(n) < 0.3).astype(float)


def _classes(n: int = 30, seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.integers(0, 3, n)


@st.composite
def _weighted_rows(draw: st.DrawFn) -> tuple[Array, Array, Array, float]:
    """Scores, labels, weights with a positive among those that count, and a temperature."""
    n = draw(st.integers(2, 12))
    score = draw(st.sampled_from([st.integers(-3, 3).map(float), st.floats(-5, 5).map(lambda v: round(v, 3))]))
    weight = draw(st.sampled_from([st.integers(0, 3).map(float), st.floats(0.125, 4)]))
    x, w = (np.array(draw(st.lists(s, min_size=n, max_size=n))) for s in (score, weight))
    y = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), float)
    w[0] += 1.0
    return x, y, w, draw(st.sampled_from([0.125, 0.7, 1.0, 3.0]))


@pytest.mark.parametrize("kind", LOSSES)
def test_gradient_is_that_of_the_summed_loss(kind: type[Objective]) -> None:
    x, y = _binary()
    expected = LOSSES[kind](x, y, temperature=TAU, reduction="sum")[1]
    np.testing.assert_allclose(kind(TAU).derivatives(x, y)[0], expected, rtol=0, atol=8 * EPS / TAU)


@pytest.mark.parametrize("kind", LOSSES)
def test_classes_are_projected_each_across_the_samples(kind: type[Objective]) -> None:
    x, y = _classes()
    temperature = (0.5, 1.0, 2.0)
    loss = LOSSES[kind]
    expected = loss(x, np.eye(3)[y], temperature=temperature, axis=0, reduction="sum")[1]
    gradient, curvature = kind(temperature).derivatives(x, y)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=8 * EPS / 0.5)
    for c in range(3):
        alone = kind(temperature[c]).derivatives(x[:, c], (y == c).astype(float))
        np.testing.assert_array_equal(gradient[:, c], alone[0])
        np.testing.assert_array_equal(curvature[:, c], alone[1])


def test_labels_may_be_one_for_each_class() -> None:
    x, y = _classes()
    for one, other in zip(
        FenchelYoungObjective().derivatives(x, y), FenchelYoungObjective().derivatives(x, np.eye(3)[y]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("objective", "metric"), PAIRS)
@settings(max_examples=60, deadline=None)
@given(rows=_weighted_rows())
def test_gradient_is_the_difference_quotient_of_the_weighted_loss(
    objective: type[Objective], metric: type[Metric], rows: tuple[Array, Array, Array, float]
) -> None:
    """In a linear piece both losses are quadratic: a central difference has no truncation error there."""
    x, y, w, tau = rows
    step = 1e-4 * tau
    p, theta = _weighted.project(x, w, float(w @ y), tau)
    distances = np.abs(np.concatenate([x - theta, x - theta - tau]))
    assume(np.isfinite(theta) and distances.min() > 4 * step and ((p > 0) & (p < 1) & (w > 0)).any())
    gradient, _ = objective(tau).derivatives(x, y, w)  # type: ignore[call-arg]
    total = w.sum()
    for i, direction in enumerate(np.eye(x.size) * step):
        value = metric(tau).value  # type: ignore[call-arg]
        quotient = total * (value(x + direction, y, w) - value(x - direction, y, w)) / (2 * step)
        # Both losses are known to some eps of their size, at most the sum of the weights times the spread of scores.
        assert abs(gradient[i] - quotient) <= 64 * EPS * total * (1 + np.ptp(x) + tau) / step


@pytest.mark.parametrize(("objective", "metric"), PAIRS)
@settings(max_examples=60, deadline=None)
@given(rows=_weighted_rows(), seed=st.integers(0, 99))
def test_a_sample_of_weight_w_counts_as_w_samples(
    objective: type[Objective], metric: type[Metric], rows: tuple[Array, Array, Array, float], seed: int
) -> None:
    x, y, _, tau = rows
    w = np.random.default_rng(seed).integers(0, 4, x.size)
    w[0] += 1
    where = np.repeat(np.arange(x.size), w)
    gradient, _ = objective(tau).derivatives(x, y, w)  # type: ignore[call-arg]
    repeated, _ = objective(tau).derivatives(x[where], y[where])  # type: ignore[call-arg]
    summed = np.bincount(where, repeated, x.size)
    smooth = hsproj.solve(x[where], y[where].sum(), temperature=tau).is_differentiable
    assume(smooth or objective is FenchelYoungObjective)  # at a kink the other has several
    np.testing.assert_allclose(gradient, summed, rtol=0, atol=64 * EPS * (5 + np.abs(x).max()) / tau**2)
    for kind in (metric(tau), ZeroOneMetric()):  # type: ignore[call-arg]
        one, other = kind.value(x, y, w), kind.value(x[where], y[where])
        assert one == pytest.approx(other, rel=0, abs=64 * EPS * (5 + np.abs(x).max()) / tau)


@pytest.mark.parametrize(("objective", "metric"), PAIRS)
def test_weights_of_one_change_nothing(objective: type[Objective], metric: type[Metric]) -> None:
    x, y = _classes()
    ones = np.ones(len(x))
    for one, other in zip(objective().derivatives(x, y, ones), objective().derivatives(x, y), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=64 * EPS)
    for kind in (metric(), ZeroOneMetric()):
        assert kind.value(x, y, ones) == pytest.approx(kind.value(x, y), rel=16 * EPS)


@settings(max_examples=300, deadline=None)
@given(rows=_weighted_rows(), share=st.floats(0, 1))
def test_weighted_projection_is_within_its_promise(rows: tuple[Array, Array, Array, float], share: float) -> None:
    x, _, w, tau = rows
    k = share * float(w.sum())
    p, theta = _weighted.project(x, w, k, tau)
    allowed = 1e-12 * (1 + np.abs(x).max() / tau)
    assert abs(w @ p - k) <= allowed * w.sum()
    if np.isfinite(theta):
        np.testing.assert_allclose(p, np.clip((x - theta) / tau, 0, 1), rtol=0, atol=allowed)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), weight=st.sampled_from([0.1, 0.3, 1 / 3, 0.7]))
def test_tied_scores_at_a_vertex_have_no_gradient_whatever_the_rounding_of_weights(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 60))
    x, y = rng.integers(-3, 4, n) * 5.0, (rng.random(n) < 0.4) * 1.0
    gradient, _ = HypersimplexObjective().derivatives(x, y, np.full(n, weight))
    alone, _ = HypersimplexObjective().derivatives(x, y)
    np.testing.assert_allclose(gradient, weight * alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_weighted_projection_of_a_million_scores_is_within_its_promise(offset: float) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=10**6) + offset
    p, _ = _weighted.project(x, np.full(x.size, 0.75), 0.75e5, 0.1)
    exact = hsproj.soft_binary_argmax(x, 1e5, temperature=0.1)
    assert np.abs(p - exact).max() <= 1e-12 * (1 + np.abs(x).max() / 0.1)


@settings(max_examples=300, deadline=None)
@given(
    rows=_weighted_rows(),
    hessian=st.sampled_from(["majorizer", "bound"]),
    seed=st.integers(0, 2**32 - 1),
    weighted=st.booleans(),
)
def test_the_fenchel_young_loss_is_never_above_its_majorizer(
    rows: tuple[Array, Array, Array, float], hessian: str, seed: int, weighted: bool
) -> None:
    x, y, w, tau = rows
    rng = np.random.default_rng(seed)
    w = w if weighted else np.ones(x.size)
    gradient, curvature = FenchelYoungObjective(tau, hessian).derivatives(x, y, w)  # type: ignore[arg-type]
    loss = FenchelYoungMetric(tau)
    for scale in (0.1, 1.0, 10.0):
        newton = np.divide(gradient, curvature, where=curvature > 0, out=np.zeros_like(x))
        for step in (scale * rng.normal(size=x.size), -rng.uniform(0, 2) * newton):
            change = w.sum() * (loss.value(x + step, y, w) - loss.value(x, y, w))
            allowed = 64 * EPS * w.sum() * (1 + tau + np.abs(x).max() + np.abs(step).max())
            assert change <= gradient @ step + 0.5 * curvature @ step**2 + allowed


def test_no_smaller_curvature_majorizes_the_loss_of_one_score() -> None:
    """With the threshold held fixed, as it is among many scores: l(z) = 0, z^2 / 2 tau, z - tau / 2."""

    def loss(z: Array) -> Array:
        return np.where(z <= 0, 0.0, np.where(z < TAU, z * z / (2 * TAU), z - TAU / 2))

    steps = np.linspace(-20, 20, 400_001)
    for z in (-3.0, -0.5, 0.1, 0.5, 0.9, 4.0):
        slope = np.clip(z / TAU, 0, 1)
        curvature = 1 / max(TAU, 2 * abs(z - TAU / 2))
        excess = [
            loss(z + steps) - loss(np.array(z)) - slope * steps - 0.5 * c * curvature * steps**2 for c in (1, 0.999)
        ]
        assert excess[0].max() <= 8 * EPS * 20
        assert excess[1].max() > 1e-6


@pytest.mark.parametrize("kind", LOSSES)
def test_diagonal_is_that_of_the_hessian(kind: type[Objective]) -> None:
    x, y = _binary()
    w = np.random.default_rng(2).uniform(0.5, 2, x.size)
    objective = kind(TAU, "diagonal")  # type: ignore[call-arg]
    _, curvature = objective.derivatives(x, y, w)
    step = 1e-4
    for i, direction in enumerate(np.eye(x.size) * step):
        up, down = (objective.derivatives(x + sign * direction, y, w)[0][i] for sign in (1, -1))
        assert curvature[i] == pytest.approx((up - down) / (2 * step), abs=64 * EPS / step / TAU**2)
    assert np.count_nonzero(curvature) > 5


def test_bound_is_never_below_a_hessian_of_the_hypersimplex_loss() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        x, k = rng.normal(size=8), int(rng.integers(1, 8))
        y = (np.arange(8) < k).astype(float)
        jacobian = hsproj.jacobian(x, k, temperature=TAU)
        bound = HypersimplexObjective(TAU).derivatives(x, y)[1]
        assert np.linalg.eigvalsh(np.diag(bound) - jacobian @ jacobian).min() > -8 * EPS / TAU**2


def test_no_curvature_majorizes_the_hypersimplex_loss() -> None:
    """At a kink its slope can jump upwards: theta is -1/4, the last score is about to leave 0, and takes p from positives."""
    labels, step = [1, 1, 0, 0], 1e-6
    at, after = (float(hsproj.hypersimplex_loss([0.5, 0.0, 3.0, v], labels)) for v in (-0.25, -0.25 + step))
    gradient, _ = HypersimplexObjective().derivatives([0.5, 0.0, 3.0, -0.25], labels)
    assert gradient[3] == 0.0
    assert (after - at) / step == pytest.approx(1 / 3, rel=1e-5)


@pytest.mark.parametrize("kind", LOSSES)
def test_temperature_is_the_unit_of_the_scores(kind: type[Objective]) -> None:
    """So a Newton step is eight times as long: exactly, eight being a power of two."""
    x, y = _binary()
    for hessian in kind.choices:
        gradient, curvature = kind(0.5, hessian).derivatives(x, y)  # type: ignore[call-arg]
        other = kind(4.0, hessian).derivatives(8 * x, y)  # type: ignore[call-arg]
        np.testing.assert_array_equal(gradient, 8.0 ** (kind.power - 1) * other[0])
        np.testing.assert_array_equal(curvature, 8.0**kind.power * other[1])


@pytest.mark.parametrize("kind", LOSSES)
def test_one_class_alone_pulls_at_nothing(kind: type[Objective]) -> None:
    x = np.array([1.0, 2.0, 3.0])
    for labels in (np.zeros(3), np.ones(3)):
        for weight in (None, np.array([1.0, 2.0, 0.0])):
            gradient, curvature = kind().derivatives(x, labels, weight)
            np.testing.assert_array_equal(gradient, np.zeros(3))
            assert np.isfinite(curvature).all()
            assert FenchelYoungMetric().value(x, labels, weight) == 0.0
            assert ZeroOneMetric().value(x, labels, weight) == 0.0


def test_metrics_are_means_over_samples_and_classes() -> None:
    x, y = _classes()
    onehot = np.eye(3)[y]
    n = len(x)
    assert HypersimplexMetric(TAU).value(x, y) == pytest.approx(
        float(hsproj.hypersimplex_loss(x, onehot, temperature=TAU, axis=0)) / n, rel=16 * EPS
    )
    assert FenchelYoungMetric(TAU).value(x, y) == pytest.approx(
        float(hsproj.fenchel_young_loss(x, onehot, temperature=TAU, axis=0)) / n, rel=16 * EPS
    )
    assert ZeroOneMetric().value(x, y) == float(hsproj.zero_one_loss(x, onehot, axis=0))


@pytest.mark.parametrize(
    ("scores", "labels", "weight", "temperature", "says"),
    [
        ([1.0, 2.0], [0, 2], None, 1.0, "`labels` must be 0 or 1"),
        ([[1.0, 2.0]], [2], None, 1.0, "`labels` must be integers from 0 to 1"),
        ([1.0, 2.0], [0, 1, 1], None, 1.0, "`labels` must have shape"),
        ([], [], None, 1.0, "`scores` must have shape"),
        ([1.0, np.nan], [0, 1], None, 1.0, "must hold no NaN"),
        ([1.0, np.nan], [0, 1], [1, 1], 1.0, "`scores` must be finite"),
        ([1.0, 2.0], [0, 1], [1, -1], 1.0, "`weight` must hold 2 finite numbers >= 0"),
        ([1.0, 2.0], [0, 1], [0, 0], 1.0, "`weight` must hold 2 finite numbers >= 0"),
        ([1.0, 2.0], [0, 1], None, 0.0, "`temperature` must be positive and finite"),
        ([1.0, 2.0], [0, 1], None, (1.0, 2.0), "`temperature` must be positive and finite"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    scores: object, labels: object, weight: object, temperature: object, says: str
) -> None:
    for objective, metric in PAIRS:
        for function in (objective(temperature).derivatives, metric(temperature).value):  # type: ignore[arg-type]
            with pytest.raises(ValueError, match=says):
                function(scores, labels, weight)  # type: ignore[arg-type]


def test_an_unknown_hessian_is_refused() -> None:
    for objective, _ in PAIRS:
        with pytest.raises(ValueError, match="`hessian` must be"):
            objective(1.0, "ones")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`hessian` must be 'bound' or 'diagonal'"):
        HypersimplexObjective(1.0, "majorizer")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "sklearn"])
def test_a_missing_package_is_named_with_its_extra(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; import hsproj.integrations.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"ImportError: hsproj.integrations.{name} needs the package {name}" in done.stderr
    assert f'pip install "hsproj[{name}]"' in done.stderr
