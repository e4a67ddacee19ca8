"""The projection is right; the Fenchel-Young loss, the cross entropy, or what is counted in the end is not."""

import numpy as np

from mutants._mutant import BASE, Array, nearest, part

fenchel_young_gradient = part("fenchel_young_loss_and_grad")
fenchel_young = part("fenchel_young_loss")
cross_entropy_gradient = part("cross_entropy_loss_and_grad")
cross_entropy = part("cross_entropy_loss")
zero_one = part("zero_one_loss")
top_k_zero_one = part("top_k_zero_one_loss")

_DEFINITION = "fenchel_young_loss_is_the_definition"
_GRADIENT = "fenchel_young_gradient_is_p_minus_the_target"


def _p(scores: Array, targets: Array, tau: float) -> Array:
    return nearest(scores, float(targets.sum(dtype=np.float64)), tau)


def _right(scores: Array, targets: Array, tau: float) -> tuple[float, Array]:
    return BASE.fenchel_young_loss_and_grad(scores, targets, tau)  # type: ignore[misc,no-any-return]


# The Fenchel-Young loss


@fenchel_young(_DEFINITION)
def without_the_entropy_of_the_targets(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    """max_p (s.p - Omega(p)) - s.y: the constant left out, so that it is not 0 at the target."""
    return _right(scores, targets, temperature)[0] - temperature / 2 * float((targets**2).sum())


@fenchel_young(_DEFINITION)
def regularised_without_the_half(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    """Omega(p) = tau ||p||^2, with the p of tau / 2 ||p||^2."""
    p = _p(scores, targets, temperature)
    return float(scores @ (p - targets) + temperature * (targets @ targets - p @ p))


@fenchel_young(_DEFINITION)
def in_units_of_the_temperature(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    """The loss of s / tau with Omega = 1/2 ||p||^2: 1 / tau of what it is, and its gradient with it."""
    return _right(scores, targets, temperature)[0] / temperature


@fenchel_young(_DEFINITION)
def perceptron_loss(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    """The k highest scores minus those of the targets: what is left of it without a regulariser."""
    k = int(targets.sum())
    return float(np.sort(scores)[::-1][:k].sum() - scores @ targets)


@fenchel_young("fenchel_young_loss_is_right_with_a_huge_offset")
def subtracts_large_from_large(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    """The definition, term by term, in floats."""
    p = _p(scores, targets, temperature)
    return float((scores @ p - temperature / 2 * (p @ p)) - (scores @ targets - temperature / 2 * (targets @ targets)))


@fenchel_young("fenchel_young_loss_is_convex", _DEFINITION)
def capped_at_one_mistake(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    """min(loss, 1), "so that outliers don't dominate": no longer convex."""
    return min(_right(scores, targets, temperature)[0], 1.0)


@fenchel_young("fenchel_young_loss_is_zero_at_the_target_alone")
def half_the_squared_distance(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    """tau times the HyperSimplex loss under another name."""
    return temperature / 2 * float(((_p(scores, targets, temperature) - targets) ** 2).sum())


@fenchel_young_gradient(_GRADIENT, "fenchel_young_gradient_survives_a_wrong_vertex")
def differentiated_through_p(scores: Array, targets: Array, temperature: float = 1.0) -> tuple[float, Array]:
    """The gradient of automatic differentiation of 1/2 ||p - y||^2: J (p - y)."""
    loss, difference = _right(scores, targets, temperature)
    return loss, BASE.vjp(scores, targets.sum(dtype=np.float64), difference, temperature)  # type: ignore[misc]


@fenchel_young_gradient(_GRADIENT)
def target_minus_p(scores: Array, targets: Array, temperature: float = 1.0) -> tuple[float, Array]:
    """y - p: the sign of an update rule, not of a gradient."""
    loss, difference = _right(scores, targets, temperature)
    return loss, -difference


@fenchel_young_gradient(_GRADIENT)
def gradient_over_the_temperature(scores: Array, targets: Array, temperature: float = 1.0) -> tuple[float, Array]:
    """(p - y) / tau beside a loss in the units of the scores."""
    loss, difference = _right(scores, targets, temperature)
    return loss, difference / scores.dtype.type(temperature)


@fenchel_young_gradient("fenchel_young_gradient_predicts_its_own_loss", _DEFINITION)
def mean_beside_the_gradient_of_the_sum(scores: Array, targets: Array, temperature: float = 1.0) -> tuple[float, Array]:
    """loss.mean() for the logs, the gradient of the sum for the update."""
    loss, difference = _right(scores, targets, temperature)
    return loss / scores.size, difference


# The cross entropy of p


@cross_entropy("cross_entropy_below_the_floor_is_that_of_the_floor")
def logarithm_of_zero(scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9) -> float:
    """-sum(y log p): infinite, or NaN where a negative target has p = 0."""
    with np.errstate(all="ignore"):
        return -float((targets * np.log(nearest(scores, float(k), temperature))).sum())


@cross_entropy("cross_entropy_below_the_floor_is_that_of_the_floor")
def floor_of_the_code(scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9) -> float:
    """log(clamp(p, 1e-8)), whatever was asked for."""
    return -float((targets * np.log(np.maximum(nearest(scores, float(k), temperature), 1e-8))).sum())


@cross_entropy("cross_entropy_is_that_of_p")
def floor_added(scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9) -> float:
    """log(p + floor): every p is a little more than it is."""
    return -float((targets * np.log(nearest(scores, float(k), temperature) + floor)).sum())


@cross_entropy("cross_entropy_is_that_of_p")
def mean_over_entries(scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9) -> float:
    """reduction="mean" of an elementwise loss."""
    return BASE.cross_entropy_loss(scores, targets, k, temperature, floor) / scores.size  # type: ignore[misc,no-any-return]


@cross_entropy("cross_entropy_is_that_of_p")
def binary_cross_entropy(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9
) -> float:
    """Zeros count as well, -(1 - y) log(1 - p): torch's BCELoss of p, another loss."""
    p = nearest(scores, float(k), temperature).astype(np.float64)
    return -float((targets * np.log(np.maximum(p, floor)) + (1 - targets) * np.log(np.maximum(1 - p, floor))).sum())


@cross_entropy_gradient("cross_entropy_gradient_matches_the_exact_one")
def as_of_a_softmax(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9
) -> tuple[float, Array]:
    """p - y."""
    loss, _ = BASE.cross_entropy_loss_and_grad(scores, targets, k, temperature, floor)  # type: ignore[misc]
    return loss, nearest(scores, float(k), temperature) - targets


@cross_entropy_gradient("cross_entropy_gradient_is_zero_below_the_floor")
def slope_of_the_floor(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9
) -> tuple[float, Array]:
    """-y / max(p, floor), which is not 0 where the loss is flat."""
    loss, _ = BASE.cross_entropy_loss_and_grad(scores, targets, k, temperature, floor)  # type: ignore[misc]
    slopes = -targets / np.maximum(nearest(scores, float(k), temperature), scores.dtype.type(floor))
    return loss, BASE.vjp(scores, k, slopes, temperature)  # type: ignore[misc]


# What is counted

_WRONG = "zero_one_loss_counts_wrong_decisions"
_MISSED = "top_k_zero_one_loss_counts_missed_positives"


@zero_one(_WRONG)
def threshold_at_one_half(scores: Array, targets: Array, k: int) -> float:
    """Scores above 1/2 are ones, however many there are: k is not asked."""
    return float(np.mean((scores > 0.5) != targets))


@zero_one(_WRONG)
def counts_wrong_decisions(scores: Array, targets: Array, k: int) -> float:
    """The number, not the share."""
    return BASE.zero_one_loss(scores, targets, k) * scores.size  # type: ignore[misc,no-any-return]


@zero_one(_WRONG)
def all_that_is_tied_is_one(scores: Array, targets: Array, k: int) -> float:
    """scores >= the k-th largest: more than k ones at ties."""
    kth = np.sort(scores)[::-1][k - 1] if k else np.inf
    return float(np.mean((scores >= kth) != targets))


@zero_one(_WRONG)
def accuracy_for_loss(scores: Array, targets: Array, k: int) -> float:
    """One minus it."""
    return 1 - BASE.zero_one_loss(scores, targets, k)  # type: ignore[misc,no-any-return]


@top_k_zero_one(_MISSED)
def one_minus_precision(scores: Array, targets: Array, k: int) -> float:
    """The share of the k that are wrong."""
    return 1 - float(targets[np.lexsort((targets, -scores))[:k]].sum() / max(k, 1))


@top_k_zero_one(_MISSED)
def k_plus_one(scores: Array, targets: Array, k: int) -> float:
    """Ranks counted from 0: the top k + 1."""
    return BASE.top_k_zero_one_loss(scores, targets, min(k + 1, scores.size))  # type: ignore[misc,no-any-return]


@top_k_zero_one(_MISSED)
def the_first_positive_only(scores: Array, targets: Array, k: int) -> float:
    """argmax(targets) for the label: right with one positive, wrong with more."""
    return float(int(np.argmax(targets)) not in np.lexsort((targets, -scores))[:k])
