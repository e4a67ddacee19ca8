"""The projection is right, the loss 1/2 ||p - y||^2 or its gradient is not."""

import numpy as np

from hsproj_verify.oracles import exact
from mutants._mutant import BASE, Array, free, loss, loss_and_grad, nearest
from mutants.accuracy import threshold_as_one_float
from right._operator import centred

_HALF = "loss_is_half_the_squared_distance"
_GRADIENT = "loss_gradient_matches_the_exact_one"
_DIFFERENCES = "loss_gradient_agrees_with_finite_differences"


def _difference(x: Array, y: Array, k: float, tau: float) -> Array:
    return nearest(x, float(k), tau) - y


def _right(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    return BASE.loss_and_grad(x, y, k, temperature=tau)


@loss(_HALF)
def the_square_not_its_half(x: Array, y: Array, k: float, tau: float) -> float:
    """||p - y||^2: the factor 1/2 belongs to the definition, and most code leaves it out."""
    return 2 * _right(x, y, k, tau)[0]


@loss(_HALF)
def mean_for_sum(x: Array, y: Array, k: float, tau: float) -> float:
    """reduction="mean", the default of torch.nn.MSELoss, halved."""
    return _right(x, y, k, tau)[0] / len(x)


@loss(_HALF)
def mean_squared_error(x: Array, y: Array, k: float, tau: float) -> float:
    """torch.nn.MSELoss()(p, y), as it is."""
    return 2 * _right(x, y, k, tau)[0] / len(x)


@loss(_HALF)
def root_of_the_square(x: Array, y: Array, k: float, tau: float) -> float:
    """np.linalg.norm(p - y), not squared."""
    return float(np.sqrt(2 * _right(x, y, k, tau)[0]))


@loss(_HALF)
def divided_by_the_total(x: Array, y: Array, k: float, tau: float) -> float:
    """Normalised by the number of positives, so that classes weigh the same: another loss."""
    return _right(x, y, k, tau)[0] / max(float(k), 1.0)


@loss(_HALF)
def a_gain_not_a_loss(x: Array, y: Array, k: float, tau: float) -> float:
    """-1/2 ||p - y||^2, for an optimiser that maximises."""
    return -_right(x, y, k, tau)[0]


@loss(_HALF)
def loss_of_the_scores(x: Array, y: Array, k: float, tau: float) -> float:
    """1/2 ||x / tau - y||^2: the scores never went through the projection."""
    return float(((x.astype(np.float64) / tau - y) ** 2).sum() / 2)


@loss(_HALF)
def loss_at_temperature_one(x: Array, y: Array, k: float, tau: float) -> float:
    """The loss has the temperature as an option, and projects without."""
    return _right(x, y, k, 1.0)[0]


@loss(_HALF)
def loss_without_the_total(x: Array, y: Array, k: float, tau: float) -> float:
    """k is the number of positive targets, whatever k was passed."""
    return _right(x, y, float(y.sum()), tau)[0]


@loss(_HALF)
def takes_the_targets_to_sum_to_k(x: Array, y: Array, k: float, tau: float) -> float:
    """||p||^2 / 2 - p.y + k / 2: ||y||^2 is k for targets of k ones, and only then."""
    p = nearest(x, float(k), tau).astype(np.float64)
    return float((p**2).sum() / 2 - (p * y).sum() + k / 2)


@loss(_HALF, "loss_is_zero_where_p_is_the_target")
def cross_entropy(x: Array, y: Array, k: float, tau: float) -> float:
    """Binary cross entropy of p with an epsilon in the logarithm: another loss, and 1e-7 where p is y."""
    p = nearest(x, float(k), tau).astype(np.float64)
    return float(-(y * np.log(p + 1e-7) + (1 - y) * np.log(1 - p + 1e-7)).sum())


@loss("loss_is_zero_where_p_is_the_target", _HALF)
def smoothed_targets(x: Array, y: Array, k: float, tau: float) -> float:
    """Label smoothing of .01 left on: no p that is a vertex has a loss of 0."""
    return _right(x, 0.99 * y.astype(np.float64) + 0.005, k, tau)[0]


@loss("loss_is_right_with_a_huge_offset")
def loss_of_one_float(x: Array, y: Array, k: float, tau: float) -> float:
    """Has its own projection inside, with the threshold as one float."""
    p = threshold_as_one_float.target.project(x, k, temperature=tau)
    return float(((p.astype(np.float64) - y) ** 2).sum() / 2)


@loss("loss_is_right_with_a_huge_offset")
def expands_around_the_scores(x: Array, y: Array, k: float, tau: float) -> float:
    """1/2 ||z - y||^2 - 1/2 ||z - p||^2 + ..., z = x / tau: large terms whose difference is the loss."""
    p, z = nearest(x, float(k), tau).astype(np.float64), x.astype(np.float64) / tau
    return float(((z - y) ** 2).sum() / 2 - ((z - p) ** 2).sum() / 2 + ((z - p) * (y - p)).sum())


@loss(_HALF)
def loss_in_float16(x: Array, y: Array, k: float, tau: float) -> float:
    """Mixed precision: the squares are summed in half."""
    return float((_difference(x, y, k, tau).astype(np.float16) ** 2).sum() / 2)


@loss("loss_leaves_scores_and_targets_untouched")
def subtracts_from_the_targets(x: Array, y: Array, k: float, tau: float) -> float:
    """y -= p, in the caller's labels, which the next epoch reads."""
    value = _right(x, y, k, tau)[0]
    y -= nearest(x, float(k), tau)
    return value


@loss_and_grad(_GRADIENT, _DIFFERENCES)
def gradient_in_p(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """p - y: the gradient in p, without the Jacobian. It is that of a Fenchel-Young loss, which is another one."""
    return _right(x, y, k, tau)[0], _difference(x, y, k, tau)


@loss_and_grad(_GRADIENT, _DIFFERENCES)
def gradient_in_the_targets(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """y - p, the gradient with respect to the other argument."""
    return _right(x, y, k, tau)[0], -_difference(x, y, k, tau)


@loss_and_grad(_GRADIENT, _DIFFERENCES)
def gradient_lacks_the_temperature(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """J (p - y) with the Jacobian of temperature 1 on the right free set."""
    return _right(x, y, k, tau)[0], centred(_difference(x, y, k, tau), free(x, float(k), tau), 1.0)


@loss_and_grad(_DIFFERENCES, _GRADIENT)
def gradient_of_the_square(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """2 J (p - y): the loss has the factor 1/2, its gradient is that of the whole square."""
    value, gradient = _right(x, y, k, tau)
    return value, 2 * gradient


@loss_and_grad(_DIFFERENCES, _GRADIENT)
def gradient_of_the_mean(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """Divided by n, as if the loss were a mean."""
    value, gradient = _right(x, y, k, tau)
    return value, gradient / gradient.dtype.type(len(x))


@loss_and_grad(_DIFFERENCES, _GRADIENT)
def gradient_uphill(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """J (y - p): the sign of an update, returned as a gradient."""
    value, gradient = _right(x, y, k, tau)
    return value, -gradient


@loss_and_grad("loss_gradient_sums_to_zero", _GRADIENT)
def gradient_with_theta_held(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """f (p - y) / tau: autograd through the last clip alone."""
    value, gradient = _right(x, y, k, tau)
    return value, (np.where(free(x, float(k), tau), _difference(x, y, k, tau), 0) / tau).astype(gradient.dtype)


@loss_and_grad("loss_gradient_sums_to_zero", _GRADIENT)
def gradient_of_a_softmax(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """p times (p - y), each entry by itself: a sigmoid's rule of thumb."""
    value, gradient = _right(x, y, k, tau)
    p = nearest(x, float(k), tau)
    return value, (p * (1 - p) * (p - y) / tau).astype(gradient.dtype)


@loss_and_grad("loss_gradient_vanishes_at_tied_saturated_scores", _GRADIENT)
def gradient_over_the_support(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """The Jacobian of sparsemax in it, whose support counts saturated entries in."""
    value, gradient = _right(x, y, k, tau)
    return value, centred(_difference(x, y, k, tau), nearest(x, float(k), tau) > 0, tau).astype(gradient.dtype)


@loss_and_grad("loss_gradient_vanishes_at_tied_saturated_scores")
def gradient_over_blocks(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """Blocks of equal p taken as free, also at 0 and 1: the loss of arXiv 2602.23336's code."""
    p, d = nearest(x, float(k), tau), _difference(x, y, k, tau)
    masks = [free(x, float(k), tau), p == 0, p == 1]
    return _right(x, y, k, tau)[0], sum((centred(d, mask, tau) for mask in masks), np.zeros_like(d))


@loss_and_grad("loss_gradient_at_kinks_is_a_generalised_one")
def gradient_with_two_masks(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """The mean is over 0 <= (x - theta) / tau <= 1, the mask is 0 < p < 1: they differ at kinks."""
    value, gradient = _right(x, y, k, tau)
    solution, d = exact.solve(x.tolist(), k, tau), _difference(x, y, k, tau)
    closed = [*solution.free, *solution.lower_kinks, *solution.upper_kinks]
    mean = d[closed].mean(dtype=np.float64) if closed else 0.0
    return value, (np.where(free(x, float(k), tau), d - mean, 0) / tau).astype(gradient.dtype)


@loss_and_grad("loss_gradient_at_kinks_is_a_generalised_one")
def gradient_is_nan_at_kinks(x: Array, y: Array, k: float, tau: float) -> tuple[float, Array]:
    """0 / 0 where a score meets the threshold, as of a norm that is differentiated."""
    value, gradient = _right(x, y, k, tau)
    solution = exact.solve(x.tolist(), k, tau)
    gradient[[*solution.lower_kinks, *solution.upper_kinks]] = np.nan
    return value, gradient


@loss_and_grad(_HALF)
def gradient_comes_first(x: Array, y: Array, k: float, tau: float) -> tuple[Array, float]:
    """(gradient, loss): torch.func.grad_and_value and jax.value_and_grad differ in the order."""
    value, gradient = _right(x, y, k, tau)
    return gradient, value
