"""Checks of the HyperSimplex loss of a row, 1/2 ||p - y||^2, and of its gradient in the scores, J (p - y)."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from hsproj_verify.case import MODERATE, Case, Raised, fractions, total_of
from hsproj_verify.checks._draw import dot, long_problem, targets, well_inside
from hsproj_verify.checks._registry import check
from hsproj_verify.differences import central_difference
from hsproj_verify.problems import Problem, as_float


def _problem(case: Case, name: str, *families: str, min_size: int = 2) -> Problem:
    return case.problem(*families, min_size=min_size, temperature=case.target.takes_temperature(name))


def _loss_of(case: Case) -> str:
    return case.target.that_loses("loss")


def _allowed(case: Case, problem: Problem, y: np.ndarray) -> Fraction:
    """What errors of the ordinary tolerance in p make of the loss, and as much again for its sum."""
    unit = Fraction(2 * case.tolerance * problem.eps)
    distance = sum(
        (abs(p - Fraction(t)) * (1 + p) for p, t in zip(problem.solution.p, y.tolist(), strict=True)), Fraction(0)
    )
    return unit * (distance + problem.solution.loss(y.tolist())) + problem.n * unit**2


def _loss_matches(case: Case, problem: Problem, y: np.ndarray) -> None:
    truth = problem.solution.loss(y.tolist())
    came = {_loss_of(case): case.lose(problem, y)}
    if "loss-gradient" in case.target.claims:
        came["loss_and_grad"] = case.lose_with_gradient(problem, y)[0]
    for name, loss in came.items():
        if not math.isfinite(loss) or abs(Fraction(loss) - truth) > _allowed(case, problem, y):
            raise case.failure(problem, f"the loss is {loss!r}", repr(loss), [truth], companion=(name, y))


@check("losses", "loss")
def loss_is_half_the_squared_distance(case: Case) -> None:
    """1/2 ||p - y||^2 with targets of zeros and ones, also where their sum is not k.

    Made for: The factor one half, forgotten or applied twice: equation 5 of arXiv 2602.23336 lacks one, 7 and 9 have it.
    """
    problem = _problem(case, _loss_of(case), *MODERATE, "extreme-k", "float32")
    _loss_matches(case, problem, targets(case, problem))


@check("losses", "loss", "long", weight=0.25)
def loss_is_right_on_long_rows(case: Case) -> None:
    """1/2 ||p - y||^2 of up to some thousand scores.

    Made for: Squares added up in float32; the mean over scores where the sum is meant, which a factor for short rows hides.
    """
    problem = long_problem(case, "normal", "wide", "tied")
    _loss_matches(case, problem, _targets_of_a_long_row(case, problem))


def _targets_of_a_long_row(case: Case, problem: Problem) -> np.ndarray:
    from hypothesis import strategies as st

    rng = np.random.default_rng(case.draw(st.integers(0, 2**32)))
    return rng.integers(0, 2, problem.n).astype(problem.dtype)


@check("losses", "loss", "offsets")
def loss_is_right_with_a_huge_offset(case: Case) -> None:
    """1/2 ||p - y||^2 when all scores share an offset.

    Made for: 1/2 ||p||^2 - p.y + const and other expanded forms, and thresholds held as one float.
    """
    problem = _problem(case, _loss_of(case), "huge-offset")
    _loss_matches(case, problem, targets(case, problem))


@check("losses", "loss", "equality")
def loss_is_zero_where_p_is_the_target(case: Case) -> None:
    """The loss of targets that are p itself, a vertex, is 0; with one of them wrong it is not, and it is never negative.

    Made for: Expanded squares, whose difference of large terms is a small number of either sign.
    """
    problem = _problem(case, _loss_of(case), "vertex")
    problem = problem.with_scores(problem.scores, k=round(problem.k))
    if problem.solution.free:
        return case.reject()  # of a fixed k, these scores make no vertex
    y = np.array([float(p) for p in problem.solution.p], dtype=problem.dtype)
    _loss_matches(case, problem, y)
    loss = case.lose(problem, 1 - y)
    if not loss > 0:
        truth = problem.solution.loss((1 - y).tolist())
        raise case.failure(problem, f"the loss is {loss!r}", repr(loss), [truth], companion=(_loss_of(case), 1 - y))


@check("losses", "loss-gradient")
def loss_gradient_matches_the_exact_one(case: Case) -> None:
    """(1/tau) f ((p - y) - mean_F (p - y)) wherever no kink is within rounding.

    Made for: A gradient that is p - y, as if p were the softmax of a cross entropy, or that lacks 1 / tau.
    """
    problem = _problem(case, "loss_and_grad", *MODERATE, "extreme-k", "huge-offset", "float32", min_size=3)
    if not well_inside(problem):
        return case.reject()
    y = targets(case, problem)
    _gradient_matches(case, problem, y, case.lose_with_gradient(problem, y)[1])


def _gradient_matches(case: Case, problem: Problem, y: np.ndarray, came: np.ndarray) -> None:
    truth = problem.solution.loss_gradient(y.tolist())
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 8 * Fraction(case.tolerance * problem.eps) / Fraction(problem.temperature):
        reason = f"the gradient of the loss is off by {as_float(worst):.3g}"
        raise case.failure(problem, reason, came, truth, companion=("loss_and_grad", y))


@check("losses", "loss-gradient")
def loss_gradient_vanishes_at_tied_saturated_scores(case: Case) -> None:
    """Scores that are 0 or 1 beyond their breakpoints have no gradient, whether their targets are met or not.

    Made for: Blocks of equal output taken as free: the code of arXiv 2602.23336 gives gradients inside tied saturated groups.
    """
    problem = _problem(case, "loss_and_grad", "saturated-and-tied", "vertex")
    if not well_inside(problem):
        return case.reject()
    y = targets(case, problem)
    came, free = case.lose_with_gradient(problem, y)[1], set(problem.solution.free)
    if "exact" in case.target.claims and any(came[i] != 0.0 for i in range(problem.n) if i not in free):
        truth = problem.solution.loss_gradient(y.tolist())
        reason = "a saturated or zero entry has a gradient"
        raise case.failure(problem, reason, came, truth, companion=("loss_and_grad", y))
    _gradient_matches(case, problem, y, came)


@check("losses", "loss-gradient", "equality")
def loss_gradient_sums_to_zero(case: Case) -> None:
    """A constant added to all scores changes nothing, so the gradient sums to 0, at kinks too.

    Made for: Gradients that treat the threshold as a constant.
    """
    problem = _problem(case, "loss_and_grad", *MODERATE, "kink")
    y = targets(case, problem)
    came = case.lose_with_gradient(problem, y)[1]
    if not abs(total_of(came)) <= 4 * case.tolerance * problem.eps * problem.n / problem.temperature:
        truth, reason = problem.solution.loss_gradient(y.tolist()), f"the gradient sums to {total_of(came):.3g}"
        raise case.failure(problem, reason, came, truth, companion=("loss_and_grad", y))


@check("losses", "loss-gradient")
def loss_gradient_agrees_with_finite_differences(case: Case) -> None:
    """The target's gradient predicts how its own loss changes inside the linear piece of p.

    There the loss is quadratic, so a central difference has no truncation error.

    Made for: A loss and a gradient with different factors, temperatures or reductions (the mean here, the sum there).
    """
    problem = _problem(case, "loss_and_grad", *MODERATE, min_size=3)
    y = targets(case, problem)
    direction = y - 0.5 + problem.x / 64  # along which the loss changes, where it can

    def loss(x: np.ndarray) -> float:
        return case.lose_with_gradient(problem.with_scores(x), y)[0]

    seen = central_difference(lambda x: np.array(loss(x)), problem, direction)
    if seen is None:
        return case.reject()
    gradient = case.lose_with_gradient(problem, y)[1]
    predicted, observed = dot(fractions(gradient), seen.displacement), Fraction(float(seen.change))
    noise = 16 * Fraction(case.tolerance * problem.eps * problem.n)
    if abs(predicted - observed) > noise:
        reason = f"the loss changes by {as_float(observed):.6g}, its gradient says {as_float(predicted):.6g}"
        truth = problem.solution.loss_gradient(y.tolist())
        raise case.failure(problem, reason, gradient, truth, companion=("loss_and_grad", y))


@check("losses", "loss")
def loss_leaves_scores_and_targets_untouched(case: Case) -> None:
    """The caller's scores and targets hold the same bits afterwards.

    Made for: p -= y in place, on an array that shares its memory with one of them.
    """
    problem = _problem(case, _loss_of(case), "ordinary", "vertex")
    y = targets(case, problem)
    x, given = problem.x, y.copy()
    try:
        case.call(case.target.lose, x, given, problem.total, problem.temperature)
    except Raised as raised:
        raise case.failure(problem, f"it raised {raised}", str(raised), companion=(_loss_of(case), y)) from raised
    for name, came, before in (("scores", x, problem.x), ("targets", given, y)):
        if came.tobytes() != before.tobytes():
            reason = f"the loss changed the {name}"
            raise case.failure(problem, reason, came, fractions(before), companion=(_loss_of(case), y))
