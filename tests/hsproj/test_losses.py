"""The HyperSimplex loss: value, reductions, gradient, and the multiclass form across the batch."""

import numpy as np
import pytest

import hsproj

RNG = np.random.default_rng(23)


def _problem() -> tuple[np.ndarray, np.ndarray]:
    return RNG.normal(size=(6, 5)), (RNG.random((6, 5)) < 0.4).astype(float)


def test_is_half_the_squared_distance_with_k_from_the_targets() -> None:
    x, y = _problem()
    loss = hsproj.hypersimplex_loss(x, y, temperature=0.8, reduction="none")
    p = hsproj.soft_binary_argmax(x, y.sum(axis=-1), temperature=0.8)
    np.testing.assert_allclose(loss, 0.5 * ((p - y) ** 2).sum(axis=-1), rtol=4 * 2.0**-52)


def test_k_may_be_given() -> None:
    x, y = _problem()
    p = hsproj.project(x, 2)
    np.testing.assert_allclose(
        hsproj.hypersimplex_loss(x, y, 2, reduction="none"), 0.5 * ((p - y) ** 2).sum(axis=-1), rtol=4 * 2.0**-52
    )


def test_reductions_are_sum_and_mean_over_rows() -> None:
    x, y = _problem()
    rows, gradients = hsproj.hypersimplex_loss_and_grad(x, y, reduction="none")
    total, total_gradient = hsproj.hypersimplex_loss_and_grad(x, y, reduction="sum")
    mean, mean_gradient = hsproj.hypersimplex_loss_and_grad(x, y)
    assert total == pytest.approx(rows.sum(), rel=1e-15)
    assert mean == pytest.approx(rows.mean(), rel=1e-15)
    np.testing.assert_array_equal(total_gradient, gradients)
    np.testing.assert_allclose(mean_gradient, gradients / 6, rtol=4 * 2.0**-52)


def test_loss_is_that_of_loss_and_grad() -> None:
    x, y = _problem()
    for reduction in ("none", "sum", "mean"):
        np.testing.assert_array_equal(
            hsproj.hypersimplex_loss(x, y, reduction=reduction),
            hsproj.hypersimplex_loss_and_grad(x, y, reduction=reduction)[0],
        )


def test_is_zero_exactly_when_the_right_scores_are_ahead_by_the_temperature() -> None:
    assert hsproj.hypersimplex_loss([2.0, 1.0, 0.5], [1, 0, 0]) == 0.0
    assert hsproj.hypersimplex_loss([2.0, 1.0, 0.5], [1, 0, 0], temperature=1.5) > 0.0


def _assert_gradient_is_the_difference_quotient(x: np.ndarray, y: np.ndarray, axis: int, tau: object) -> None:
    """Inside the linear piece the loss is quadratic, so a central difference has no truncation error."""
    _, gradient = hsproj.hypersimplex_loss_and_grad(x, y, temperature=tau, axis=axis)
    sol = hsproj.solve(x, y.sum(axis=axis), temperature=tau, axis=axis)
    step = 0.4 * float(sol.margin.min())
    assert step > 1e-6
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        ahead = hsproj.hypersimplex_loss(x + moved, y, temperature=tau, axis=axis)
        behind = hsproj.hypersimplex_loss(x - moved, y, temperature=tau, axis=axis)
        assert gradient[index] == pytest.approx((ahead - behind) / (2 * step), rel=0, abs=1e-14 / step)


def test_gradient_per_sample() -> None:
    x, y = np.array([[0.3, -0.2, 0.9], [1.7, 0.1, 0.6]]), np.array([[1.0, 0, 0], [0, 1, 1]])
    _assert_gradient_is_the_difference_quotient(x, y, -1, 1.3)


def test_gradient_of_the_multiclass_form_with_k_c_and_tau_c() -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(9, 3))
    onehot = np.eye(3)[rng.integers(0, 3, 9)]
    _assert_gradient_is_the_difference_quotient(logits, onehot, 0, np.array([0.8, 1.5, 2.0]))


def test_multiclass_form_projects_each_class_across_the_batch() -> None:
    logits = RNG.normal(size=(9, 3))
    onehot = np.eye(3)[RNG.integers(0, 3, 9)]
    loss = hsproj.hypersimplex_loss(logits, onehot, temperature=[0.8, 1.5, 2.0], axis=0, reduction="none")
    for c, tau in enumerate([0.8, 1.5, 2.0]):
        p = hsproj.soft_binary_argmax(logits[:, c], onehot[:, c].sum(), temperature=tau)
        assert loss[c] == pytest.approx(0.5 * ((p - onehot[:, c]) ** 2).sum(), rel=1e-15)


def test_nan_in_scores_or_targets_costs_its_own_row_only() -> None:
    x, y = _problem()
    clean_loss, clean_gradient = hsproj.hypersimplex_loss_and_grad(x, y, reduction="none")
    x[1, 2], y[4, 0] = np.nan, np.nan
    before = x.tobytes(), y.tobytes()
    loss, gradient = hsproj.hypersimplex_loss_and_grad(x, y, reduction="none")
    assert (x.tobytes(), y.tobytes()) == before
    assert np.isnan(loss[[1, 4]]).all()
    assert np.isnan(gradient[[1, 4]]).all()
    good = [0, 2, 3, 5]
    np.testing.assert_array_equal(loss[good], clean_loss[good])
    np.testing.assert_array_equal(gradient[good], clean_gradient[good])
    with pytest.raises(ValueError, match=r"`targets` must hold no NaN in any row; .* row \(4,\)"):
        hsproj.hypersimplex_loss(x, y, nan_policy="raise")
    with pytest.raises(ValueError, match=r"`scores` must hold no NaN.* row \(1,\)"):
        hsproj.hypersimplex_loss(x, np.nan_to_num(y), nan_policy="raise")


def test_totals_come_from_the_targets_as_they_were_given() -> None:
    # As float32, 0.1 is a little more than 0.1.
    targets = np.full(10, 0.1)
    scores = np.arange(10, dtype=np.float32)
    assert hsproj.hypersimplex_loss(scores, targets, temperature=50.0) == hsproj.hypersimplex_loss(
        scores, targets, targets.sum(), temperature=50.0
    )


def test_losses_beyond_the_range_of_their_dtype_are_infinite_and_say_nothing() -> None:
    assert hsproj.hypersimplex_loss([1.0, 1.0], [1e300, 0.0], 1) == np.inf
    assert hsproj.hypersimplex_loss(np.ones((70_000, 2), np.float16), [[3, 1]], 1, reduction="sum") == np.inf
    assert hsproj.hypersimplex_loss(np.ones(2, np.float32), [1e300, 0.0], 1) == np.inf
    with pytest.raises(ValueError, match="`targets` must be finite; got an infinite target"):
        hsproj.hypersimplex_loss([1.0, 1.0], [np.inf, -np.inf])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_of_the_scores_is_kept(dtype: type) -> None:
    x = np.array([0.5, 0.25, 0.0], dtype)
    loss, gradient = hsproj.hypersimplex_loss_and_grad(x, np.array([1, 0, 0]))
    assert loss.dtype == gradient.dtype == dtype
    rows, _ = hsproj.hypersimplex_loss_and_grad(x[None], np.array([1, 0, 0]), reduction="none")
    assert rows.dtype == dtype


def test_empty_batch_has_sum_zero_and_no_mean() -> None:
    x = np.zeros((0, 4))
    assert hsproj.hypersimplex_loss(x, x, reduction="sum") == 0.0
    assert np.isnan(hsproj.hypersimplex_loss(x, x))
    assert hsproj.hypersimplex_loss_and_grad(x, x)[1].shape == (0, 4)
