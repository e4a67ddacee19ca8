"""Checks of the Fenchel-Young loss of a row, max_p (s.p - tau/2 ||p||^2) + tau/2 ||y||^2 - s.y, and of its gradient, p - y.

Its targets y lie in the hypersimplex, so they say what k is.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from hsproj_verify.case import MODERATE, Case, fractions
from hsproj_verify.checks._draw import dot
from hsproj_verify.checks._registry import check
from hsproj_verify.problems import Problem, as_float

_KIND = "fenchel_young_loss"


def _posed(case: Case, name: str, *families: str) -> tuple[Problem, np.ndarray]:
    """A problem of one of the families, and targets that sum to its k: whole ones, or eighths where k may be real."""
    from hypothesis import strategies as st

    problem = case.problem(*families, min_size=2, temperature=case.target.takes_temperature(name))
    if case.target.fixed_k is not None:
        first = min(math.floor(problem.k), problem.n)
        y = np.array(case.draw(st.permutations([1.0] * first + [0.0] * (problem.n - first))), dtype=problem.dtype)
        if first != problem.k:
            case.reject()
        return problem, y
    parts = case.draw(st.sampled_from([1, 8] if "real-k" in case.target.claims else [1]))
    shares = case.draw(st.lists(st.integers(0, parts), min_size=problem.n, max_size=problem.n))
    y = (np.array(shares) / parts).astype(problem.dtype)
    return problem.with_scores(problem.scores, k=float(y.sum(dtype=np.float64))), y


def _allowed(case: Case, problem: Problem, y: np.ndarray, *, offset: bool = False) -> Fraction:
    """What errors of the ordinary tolerance in p make of the loss; and in scores, unless these share an offset."""
    solution = problem.solution
    distance = sum((abs(p - Fraction(t)) for p, t in zip(solution.p, y.tolist(), strict=True)), Fraction(0))
    size = 0.0 if offset else problem.n * max(map(abs, problem.scores))
    unit = Fraction(2 * case.tolerance * problem.eps)
    return unit * (solution.fenchel_young_loss(y.tolist()) + solution.temperature * (distance + 1) + Fraction(size))


def _loss_matches(case: Case, problem: Problem, y: np.ndarray, *, offset: bool = False) -> None:
    truth = problem.solution.fenchel_young_loss(y.tolist())
    came = {case.target.that_loses(_KIND): case.lose(problem, y, _KIND)}
    if "fenchel-young-gradient" in case.target.claims:
        came[f"{_KIND}_and_grad"] = case.lose_with_gradient(problem, y, _KIND)[0]
    for name, loss in came.items():
        if not math.isfinite(loss) or abs(Fraction(loss) - truth) > _allowed(case, problem, y, offset=offset):
            raise case.failure(problem, f"the Fenchel-Young loss is {loss!r}", repr(loss), [truth], companion=(name, y))


@check("losses", "fenchel-young", "equality")
def fenchel_young_loss_is_the_definition(case: Case) -> None:
    """s.p - tau/2 ||p||^2 + tau/2 ||y||^2 - s.y, for targets of zeros and ones, and others that sum to k.

    Made for: A regulariser without its half, or without the temperature; p of another k than that of the targets.
    """
    problem, y = _posed(case, case.target.that_loses(_KIND), *MODERATE, "extreme-k", "near-kink", "float32")
    _loss_matches(case, problem, y)


@check("losses", "fenchel-young", "equality", "offsets")
def fenchel_young_loss_is_right_with_a_huge_offset(case: Case) -> None:
    """The same when all scores share an offset, which cancels.

    Made for: The definition as it stands, whose terms are as large as the scores while their sum is not.
    """
    _loss_matches(case, *_posed(case, case.target.that_loses(_KIND), "huge-offset"), offset=True)


@check("losses", "fenchel-young", "equality")
def fenchel_young_loss_is_zero_at_the_target_alone(case: Case) -> None:
    """The loss of a vertex whose targets are p itself is 0; with a one and a zero of them exchanged it is not.

    Made for: Losses that saturate: half the squared distance can't tell a wrong vertex from a worse one.
    """
    problem = case.problem(
        "vertex", min_size=2, temperature=case.target.takes_temperature(case.target.that_loses(_KIND))
    )
    problem = problem.with_scores(problem.scores, k=round(problem.k))
    if problem.solution.free:
        case.reject()
    y = np.array([float(p) for p in problem.solution.p], dtype=problem.dtype)
    _loss_matches(case, problem, y)
    if not 0 < problem.k < problem.n:
        return
    other = y.copy()
    other[[int(np.argmax(y)), int(np.argmin(y))]] = 0, 1
    _loss_matches(case, problem, other)
    loss = case.lose(problem, other, _KIND)
    if not loss > 0:
        truth, shown = problem.solution.fenchel_young_loss(other.tolist()), (case.target.that_loses(_KIND), other)
        raise case.failure(problem, f"the Fenchel-Young loss is {loss!r}", repr(loss), [truth], companion=shown)


@check("losses", "fenchel-young", "equality")
def fenchel_young_loss_is_convex(case: Case) -> None:
    """Halfway between two rows of scores the loss is at most the mean of theirs.

    Made for: Distances of p from the targets under the name of a Fenchel-Young loss: none of these is convex.
    """
    from hypothesis import strategies as st

    problem, y = _posed(case, case.target.that_loses(_KIND), *MODERATE)
    scores = st.lists(st.integers(-16, 16).map(lambda i: i / 4), min_size=problem.n, max_size=problem.n)
    ends = [problem.with_scores(case.draw(scores)) for _ in range(2)]
    middle = problem.with_scores((ends[0].x + ends[1].x) / 2)
    losses = [case.lose(end, y, _KIND) for end in ends]
    loss, chord = case.lose(middle, y, _KIND), sum(losses) / 2
    allowed = max(_allowed(case, row, y) for row in (*ends, middle)) * 2
    if not (math.isfinite(loss) and math.isfinite(chord)) or Fraction(loss) - Fraction(chord) > allowed:
        reason = (
            f"the Fenchel-Young loss is {loss!r}, at rows on either side as far off {losses[0]!r} and {losses[1]!r}"
        )
        truth, shown = middle.solution.fenchel_young_loss(y.tolist()), (case.target.that_loses(_KIND), y)
        raise case.failure(middle, reason, repr(loss), [truth], companion=shown)


def _gradient_matches(case: Case, problem: Problem, y: np.ndarray) -> None:
    came = case.lose_with_gradient(problem, y, _KIND)[1]
    truth = [p - Fraction(t) for p, t in zip(problem.solution.p, y.tolist(), strict=True)]
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 4 * Fraction(case.tolerance * problem.eps):
        reason = f"the gradient of the Fenchel-Young loss is off by {as_float(worst):.3g}"
        raise case.failure(problem, reason, came, truth, companion=(f"{_KIND}_and_grad", y))


@check("losses", "fenchel-young-gradient", "equality")
def fenchel_young_gradient_is_p_minus_the_target(case: Case) -> None:
    """The gradient is p - y, everywhere: at kinks of p, too, whose Jacobian plays no part in it.

    Made for: A Jacobian applied once too often, and gradients divided by the temperature.
    """
    _gradient_matches(case, *_posed(case, f"{_KIND}_and_grad", *MODERATE, "extreme-k", "kink", "near-kink", "float32"))


@check("losses", "fenchel-young-gradient", "equality")
def fenchel_young_gradient_survives_a_wrong_vertex(case: Case) -> None:
    """Where p is a vertex and the targets are another one, the gradient is their difference.

    Made for: Automatic differentiation through p: it finds nothing free to move.
    """
    _gradient_matches(case, *_posed(case, f"{_KIND}_and_grad", "vertex", "saturated-and-tied"))


@check("losses", "fenchel-young-gradient", "equality")
def fenchel_young_gradient_predicts_its_own_loss(case: Case) -> None:
    """The loss at other scores lies between its tangent and its tangent plus ||d||^2 / (2 tau): convex, and smooth.

    Made for: A loss and a gradient with different factors, temperatures or reductions.
    """
    from hypothesis import strategies as st

    problem, y = _posed(case, f"{_KIND}_and_grad", *MODERATE)
    steps = case.draw(st.lists(st.integers(-8, 8).map(lambda i: i / 8), min_size=problem.n, max_size=problem.n))
    other = problem.with_scores(problem.x + np.array(steps, dtype=problem.dtype))
    loss, gradient = case.lose_with_gradient(problem, y, _KIND)
    moved = [Fraction(a) - Fraction(b) for a, b in zip(other.scores, problem.scores, strict=True)]
    there = case.lose_with_gradient(other, y, _KIND)[0]
    if not (math.isfinite(loss) and math.isfinite(there)):
        shown = f"{_KIND}_and_grad", y
        raise case.failure(problem, f"the Fenchel-Young loss is {loss!r}", repr(loss), companion=shown)
    beyond = Fraction(there) - Fraction(loss) - dot(fractions(gradient), moved)
    most = dot(moved, moved) / (2 * problem.solution.temperature)
    room = 4 * (_allowed(case, problem, y) + _allowed(case, other, y))
    room += Fraction(16 * case.tolerance * problem.eps * problem.n)
    if not -room <= beyond <= most + room:
        reason = (
            f"along d = {[float(m) for m in moved]} the loss comes to {as_float(beyond):.6g} more than its gradient says; "
            f"that must be between 0 and ||d||^2 / (2 tau) = {as_float(most):.6g}"
        )
        truth = [p - Fraction(t) for p, t in zip(problem.solution.p, y.tolist(), strict=True)]
        raise case.failure(problem, reason, gradient, truth, companion=(f"{_KIND}_and_grad", y))
