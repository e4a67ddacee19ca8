"""The cross entropy of p, with its floor."""

import math

import numpy as np
import pytest

import hsproj

RNG = np.random.default_rng(5)


def test_is_the_cross_entropy_of_p() -> None:
    x, y = RNG.normal(size=(6, 5)), (RNG.random((6, 5)) < 0.4).astype(float)
    p = hsproj.soft_binary_argmax(x, y.sum(axis=-1), temperature=6.0)
    loss = hsproj.cross_entropy_loss(x, y, temperature=6.0, floor=1e-9, reduction="none")
    np.testing.assert_allclose(loss, -(y * np.log(p)).sum(axis=-1), rtol=8 * 2.0**-52, atol=2.0**-52)


def test_a_missed_positive_costs_minus_the_logarithm_of_the_floor() -> None:
    for floor in (1e-3, 1e-9, 1e-300):
        loss, gradient = hsproj.cross_entropy_loss_and_grad([0.0, 5.0], [1, 0], floor=floor)
        assert loss == pytest.approx(-math.log(floor), rel=1e-15)
        np.testing.assert_array_equal(gradient, [0.0, 0.0])


def test_below_the_floor_the_loss_is_flat_and_so_its_gradient_is_zero() -> None:
    scores = np.array([0.0, 0.9])  # p = (0.05, 0.95)
    losses = hsproj.cross_entropy_loss([scores, [0.01, 0.9]], [1, 0], floor=0.1, reduction="none")
    assert losses[0] == losses[1] == -math.log(0.1)
    assert not hsproj.cross_entropy_loss_and_grad(scores, [1, 0], floor=0.1)[1].any()
    assert hsproj.cross_entropy_loss_and_grad(scores, [1, 0], floor=0.01)[1].any()


def test_gradient_is_the_difference_quotient() -> None:
    x, y = np.array([[0.3, -0.2, 0.9], [1.7, 0.1, 0.6]]), np.array([[1.0, 0, 0], [0, 1, 1]])
    options = {"temperature": 3.0, "floor": 1e-6}
    _, gradient = hsproj.cross_entropy_loss_and_grad(x, y, **options)
    h = 2.0**-16
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = h
        ahead, behind = (hsproj.cross_entropy_loss(x + sign * moved, y, **options) for sign in (1, -1))
        # The third derivative is below 2 / (tau p)^3 < 100, so the quotient is off by less than 100 h^2, and by rounding.
        assert gradient[index] == pytest.approx((ahead - behind) / (2 * h), rel=0, abs=100 * h**2 + 2.0**-52 / h * 8)


def test_k_axis_and_reductions_are_those_of_the_hypersimplex_loss() -> None:
    x, y = RNG.normal(size=(4, 3)), np.eye(4)[:, :3]
    rows, gradients = hsproj.cross_entropy_loss_and_grad(
        x, y, [1, 2, 2], floor=1e-6, axis=0, temperature=4.0, reduction="none"
    )
    for c, k in enumerate([1, 2, 2]):
        loss, gradient = hsproj.cross_entropy_loss_and_grad(x[:, c], y[:, c], k, floor=1e-6, temperature=4.0)
        assert rows[c] == loss
        np.testing.assert_array_equal(gradients[:, c], gradient)
    mean, _ = hsproj.cross_entropy_loss_and_grad(x, y, [1, 2, 2], floor=1e-6, axis=0, temperature=4.0)
    assert mean == pytest.approx(rows.mean(), rel=1e-15)


def test_float32_scores_give_a_float32_loss_and_gradient_of_small_p() -> None:
    scores = np.array([2.0**-60, 1.0], np.float32)  # p = (2^-61, 1)
    loss, gradient = hsproj.cross_entropy_loss_and_grad(scores, [1, 0], floor=1e-30)
    assert loss.dtype == gradient.dtype == np.float32
    assert loss == pytest.approx(61 * math.log(2), rel=1e-7)
    np.testing.assert_allclose(gradient, [-(2.0**60), 2.0**60])


@pytest.mark.parametrize("floor", [0.0, 1.0, -1e-9, math.nan])
def test_a_floor_must_lie_between_zero_and_one(floor: float) -> None:
    with pytest.raises(ValueError, match="`floor` must be a number with 0 < floor < 1; got"):
        hsproj.cross_entropy_loss([1.0, 0.0], [1, 0], floor=floor)


def test_targets_must_lie_in_the_unit_interval() -> None:
    with pytest.raises(ValueError, match=r"`targets` must lie in \[0, 1\]; got a target outside"):
        hsproj.cross_entropy_loss([1.0, 0.0], [-1, 1], 1, floor=1e-6)
