"""Checks of derivatives where the operator is differentiable."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from hsproj_verify.case import MODERATE, Case, CheckFailure, Raised, as_array, fractions, total_of
from hsproj_verify.checks._draw import cotangent, dot, draw_batch, long_problem, of_dtype, well_inside
from hsproj_verify.checks._registry import check
from hsproj_verify.differences import central_difference
from hsproj_verify.problems import Problem, array_source, as_float


def _vjp_problem(case: Case, *families: str) -> Problem:
    return case.problem(*families, min_size=3, temperature=case.target.pulls_back_temperatures)


def _vjp_matches(case: Case, problem: Problem) -> None:
    g = cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    truth = problem.solution.vjp(g.tolist())
    unit = Fraction(problem.eps) * Fraction(float(np.abs(g).max())) / Fraction(problem.temperature)
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 2 * Fraction(case.tolerance) * unit:
        raise case.failure(problem, f"the vjp is off by {as_float(worst):.3g}", came, truth, cotangent=g)


# Where a vjp is most often wrong: several free entries, and masks that a tolerance gets wrong.
_TELLING = ("free", "next-to-kink")


@check("derivatives", "vjp", weight=2)
def vjp_matches_the_exact_jacobian(case: Case) -> None:
    """vjp(g) = (1/tau) f (g - mean_F g) wherever no kink is within rounding.

    Made for: A gradient that is not divided by the temperature, or centred over all entries.
    """
    problem = _vjp_problem(case, "ordinary", "tied", "near-kink", *_TELLING, "extreme-k", "huge-offset", "float32")
    if not well_inside(problem):
        return case.reject()
    _vjp_matches(case, problem)


@check("derivatives", "vjp")
def vjp_vanishes_at_tied_saturated_scores(case: Case) -> None:
    """Ties among scores that are 0 or 1 move nothing: their derivative is exactly 0, and it is found among the free ones.

    Made for: Free sets guessed from ties of the output, as in every PAV code: [5, 5, 0, 0] with k = 2 gives +-1/2,
    the Jacobian is 0. entmax 1.3 does so at [4.3, 4.3, 4.3, .1], k = 3.
    """
    problem = _vjp_problem(case, "saturated-and-tied")
    if not well_inside(problem):
        return case.reject()
    g = cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    free = set(problem.solution.free)
    if "exact" in case.target.claims and any(came[i] != 0.0 for i in range(problem.n) if i not in free):
        truth = problem.solution.vjp(g.tolist())
        raise case.failure(problem, "a saturated or zero entry has a gradient", came, truth, cotangent=g)
    _vjp_matches(case, problem)


@check("derivatives", "vjp", "equality")
def vjp_sums_to_zero(case: Case) -> None:
    """The total is fixed, so every gradient sums to 0.

    Made for: Straight-through gradients; a derivative that treats the threshold as a constant.
    """
    problem = _vjp_problem(case, *MODERATE, "free")
    g = cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    allowed = 2 * case.tolerance * problem.eps * float(np.abs(g).max()) * problem.n / problem.temperature
    if not abs(total_of(came)) <= allowed:
        truth = problem.solution.vjp(g.tolist())
        raise case.failure(problem, f"the gradient sums to {total_of(came):.3g}", came, truth, cotangent=g)


@check("derivatives", "vjp")
def vjp_agrees_with_finite_differences(case: Case) -> None:
    """The target's vjp predicts what its own projection does inside the linear piece, where nothing else is in the way.

    Made for: Backward passes of another temperature or k than the forward pass. torch's gradcheck steps over kinks
    and calls valid ones wrong.
    """
    problem = _vjp_problem(case, *MODERATE, *_TELLING, "near-kink")
    direction = cotangent(case, problem.n, problem.dtype)
    g = cotangent(case, problem.n, problem.dtype)
    seen = central_difference(lambda x: case.project(problem.with_scores(x)), problem, direction)
    if seen is None:
        return case.reject()
    predicted = dot(fractions(case.pull_back(problem, g)), seen.displacement)
    observed = dot(fractions(g), fractions(seen.change))
    noise = Fraction(4 * case.tolerance * problem.eps * float(np.abs(g).sum()))
    if abs(predicted - observed) > noise:
        reason = f"p changes by {as_float(observed):.6g} along g, the vjp says {as_float(predicted):.6g}"
        truth = problem.solution.vjp(g.tolist())
        moved = f"d = {array_source(seen.moved)}"
        compare = [
            moved,
            f"g = {array_source(g)}",
            f"({case.call_source(problem, 'x + d')} - {case.call_source(problem, 'x - d')}) @ g  # against vjp @ (2 * d)",
        ]
        raise case.failure(problem, reason, case.pull_back(problem, g), truth, cotangent=g, last=compare)


@check("derivatives", "vjp", "long", weight=0.5)
def vjp_is_right_on_long_rows(case: Case) -> None:
    """vjp(g) = (1/tau) f (g - mean_F g) on rows of up to some thousand scores, where plain sums of g lose a digit or two.

    Made for: Near-ties merged by 1e-9: in float32, 101 wrong coordinates at n = 100000 with normal scores.
    """
    from hypothesis import strategies as st

    problem = long_problem(case, "normal", "narrow", "tied")
    if not well_inside(problem):
        return case.reject()
    rng = np.random.default_rng(case.draw(st.integers(0, 2**32)))
    g = (rng.integers(-8, 9, problem.n) / 4).astype(problem.dtype)
    came, truth = case.pull_back(problem, g), problem.solution.vjp(g.tolist())
    allowed = 2 * Fraction(case.tolerance * problem.eps * (1 + math.sqrt(problem.n)))
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 2 * allowed:
        raise case.failure(problem, f"the vjp is off by {as_float(worst):.3g}", came, truth, cotangent=g)


@check("derivatives", "vjp", "offsets", weight=0.25)
def vjp_scales_with_its_cotangent(case: Case) -> None:
    """Cotangents times a power of two, up or down by many orders of magnitude, give the gradient times the same.

    Made for: Squares of cotangents, which overflow and vanish early; thresholds for what counts as zero. Loss scaling, as
    training in half precision does it, multiplies cotangents by 2^16 and more.
    """
    problem = _vjp_problem(case, *MODERATE, "free")
    if not well_inside(problem):
        return case.reject()
    g = cotangent(case, problem.n, problem.dtype)
    truth = problem.solution.vjp(g.tolist())
    unit = Fraction(problem.eps) * Fraction(float(np.abs(g).max())) / Fraction(problem.temperature)
    far = 90 if problem.dtype == "float32" else 600
    for scale in (2.0**-far, 2.0**-16, 2.0**16, 2.0**far):
        scaled = g * g.dtype.type(scale)
        came = case.pull_back(problem, scaled)
        if np.isfinite(came).all():
            found = [Fraction(float(v)) / Fraction(scale) for v in came]
            if max(abs(a - b) for a, b in zip(found, truth, strict=True)) <= 2 * Fraction(case.tolerance) * unit:
                continue
        exactly = [entry * Fraction(scale) for entry in truth]
        raise case.failure(problem, f"wrong for cotangents times {scale!r}", came, exactly, cotangent=scaled)


@check("derivatives", "vjp")
def vjp_leaves_scores_and_cotangent_untouched(case: Case) -> None:
    """The caller's scores and cotangent hold the same bits afterwards.

    Made for: g -= g.mean() on the caller's array, which autograd engines share between nodes.
    """
    problem = _vjp_problem(case, "ordinary", "tied")
    g = cotangent(case, problem.n, problem.dtype)
    x, given = problem.x, g.copy()
    try:
        case.call(case.target.pull_back, x, problem.total, given, problem.temperature)
    except Raised as raised:
        raise case.failure(problem, f"its vjp raised {raised}", str(raised), cotangent=g) from raised
    for name, came, before in (("scores", x, problem.x), ("cotangent", given, g)):
        if came.tobytes() != before.tobytes():
            raise case.failure(problem, f"the vjp changed the {name}", came, fractions(before), cotangent=g)


@check("derivatives", "vjp", "float32", "dtype")
def dtype_of_the_vjp_is_kept(case: Case) -> None:
    """float64 scores and cotangents give a float64 gradient, float32 ones a float32 gradient.

    Made for: Gradients that promote to float64, which optimisers then refuse or silently round.
    """
    problem = _vjp_problem(case, "ordinary", "float32")
    g = cotangent(case, problem.n, problem.dtype)
    try:
        came = case.call(case.target.pull_back, problem.x, problem.total, g.copy(), problem.temperature)
    except Raised as raised:
        raise case.failure(problem, f"its vjp raised {raised}", str(raised), cotangent=g) from raised
    case.numbers(came, problem, problem.n, doing="vjp", cotangent=g)
    if as_array(came).dtype != g.dtype:
        reason = f"a {g.dtype} vjp came back as {as_array(came).dtype}"
        failure = case.failure(problem, reason, as_array(came), cotangent=g)
        raise of_dtype(failure, as_array(came).dtype, g.dtype)


@check("derivatives", "vjp")
def the_same_vjp_gives_the_same_bits(case: Case) -> None:
    """A vjp belongs to its own arguments: projecting and pulling back elsewhere in between changes nothing.

    Made for: Masks of the last forward pass kept for the backward pass, in a global or on the function.
    """
    problem = _vjp_problem(case, *MODERATE)
    other = problem.with_scores(problem.x[::-1] / 2)
    g = cotangent(case, problem.n, problem.dtype)
    first = case.pull_back(problem, g)
    case.project(other)
    case.pull_back(other, g)
    case.project(other)
    again = case.pull_back(problem, g)
    if not np.array_equal(first, again, equal_nan=True):
        raise case.failure(problem, "the same vjp gave something else before", again, fractions(first), cotangent=g)


@check("derivatives", "vjp", "batch", "own-k", "vjp-batch")
def rows_of_a_vjp_are_independent(case: Case) -> None:
    """Each row of a batch of cotangents gets the gradient it gets alone.

    Made for: Means over the whole batch instead of each row's free entries.
    """
    batch = draw_batch(case)
    shape = batch.x.shape
    g = np.array([cotangent(case, shape[1], "float64") for _ in batch.problems])
    alone = [case.pull_back(problem, row) for problem, row in zip(batch.problems, g, strict=True)]
    arguments = batch.x.copy(), batch.k.copy(), g.copy(), batch.problems[0].temperature
    try:
        came = case.array(shape, case.target.pull_back, *arguments, doing="vjp")
    except Raised as raised:
        raise case.failure(batch.problems[0], f"for a batch, {raised}", str(raised), cotangent=g[0]) from raised
    for r, problem in enumerate(batch.problems):
        unit = problem.eps * float(np.abs(g[r]).max()) / problem.temperature
        if not np.abs(came[r] - alone[r]).max() <= 4 * case.tolerance * unit:
            raise case.failure(problem, f"row {r} of a batch is not what it is alone", came, cotangent=g[r])


def _jacobian(case: Case) -> tuple[Problem, np.ndarray, float]:
    """A problem away from kinks, the matrix of the target's vjps of unit cotangents, and what rounding may do to an entry."""
    problem = _vjp_problem(case, *MODERATE, *_TELLING, "vertex")
    if not well_inside(problem):
        case.reject()
    columns = [case.pull_back(problem, unit) for unit in np.eye(problem.n)]
    return problem, np.array(columns), 2 * case.tolerance * problem.eps / problem.temperature


def _not_a_jacobian(case: Case, problem: Problem, reason: str, came: np.ndarray) -> CheckFailure:
    last = np.eye(problem.n)[-1]
    truth = [entry for row in problem.solution.jacobian() for entry in row]
    return case.failure(problem, f"the matrix of the vjps of all unit cotangents {reason}", came, truth, cotangent=last)


@check("derivatives", "vjp", weight=0.5)
def jacobian_is_symmetric(case: Case) -> None:
    """The matrix of the vjps of all unit cotangents is symmetric: the projection is the gradient of a convex function.

    Made for: Gradients sorted back by the wrong permutation; a backward pass that is that of another function.
    """
    problem, matrix, unit = _jacobian(case)
    if not np.abs(matrix - matrix.T).max() <= 2 * unit:
        raise _not_a_jacobian(case, problem, "is not symmetric", matrix)


@check("derivatives", "vjp", "equality", weight=0.5)
def jacobian_vanishes_on_constants(case: Case) -> None:
    """Rows and columns of the Jacobian sum to 0: a constant added to the scores moves nothing.

    Made for: The mean that is subtracted on the free entries, forgotten, or divided by n instead of m.
    """
    problem, matrix, unit = _jacobian(case)
    if not max(np.abs(matrix.sum(axis=axis)).max() for axis in (0, 1)) <= 2 * unit * problem.n:
        raise _not_a_jacobian(case, problem, "has rows or columns that don't sum to 0", matrix)


@check("derivatives", "vjp", "equality", weight=0.5)
def jacobian_has_two_eigenvalues(case: Case) -> None:
    """Its eigenvalues are 1/tau, m - 1 times for m free entries, and 0: it is a multiple of an orthogonal projection.

    Made for: Smoothed or damped gradients (an epsilon added to a denominator), and free sets with an entry too many.
    """
    problem, matrix, unit = _jacobian(case)
    values = np.sort(np.linalg.eigvalsh((matrix + matrix.T) / 2)) if np.isfinite(matrix).all() else matrix[0]
    expected = np.zeros(problem.n)
    expected[problem.n - max(len(problem.solution.free) - 1, 0) :] = 1 / problem.temperature
    if not np.abs(values - expected).max() <= 4 * unit * problem.n:
        raise _not_a_jacobian(case, problem, f"has the eigenvalues {values.round(6).tolist()}", matrix)


@check("derivatives", "jvp", weight=2)
def jvp_matches_the_exact_jacobian(case: Case) -> None:
    """jvp(v) = (1/tau) f (v - mean_F v) wherever no kink is within rounding.

    Made for: A tangent that is not divided by the temperature, or one with the threshold held constant.
    """
    families = (*MODERATE, *_TELLING, "near-kink", "extreme-k", "huge-offset", "float32")
    problem = case.problem(*families, min_size=3, temperature=case.target.takes_temperature("jvp"))
    if not well_inside(problem):
        return case.reject()
    v = cotangent(case, problem.n, problem.dtype)
    came, truth = case.push_forward(problem, v), problem.solution.vjp(v.tolist())
    unit = Fraction(problem.eps) * Fraction(float(np.abs(v).max())) / Fraction(problem.temperature)
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 2 * Fraction(case.tolerance) * unit:
        raise case.failure(problem, f"the jvp is off by {as_float(worst):.3g}", came, truth, companion=("jvp", v))


@check("derivatives", "jvp", "vjp")
def jvp_and_vjp_are_adjoint(case: Case) -> None:
    """The products g . jvp(v) and vjp(g) . v agree, away from kinks: forward and reverse mode are of one Jacobian.

    Made for: A custom reverse mode beside the forward mode of the operations within, or the other way round.
    """
    both = all(map(case.target.takes_temperature, ("jvp", "vjp")))
    problem = case.problem(*MODERATE, "free", min_size=3, temperature=both)
    if not well_inside(problem):
        return case.reject()
    g, v = (cotangent(case, problem.n, problem.dtype) for _ in range(2))
    forward, reverse = case.push_forward(problem, v), case.pull_back(problem, g)
    size = float(np.abs(g).max() * np.abs(v).max()) * problem.n / problem.temperature
    difference = dot(fractions(forward), fractions(g)) - dot(fractions(reverse), fractions(v))
    if abs(difference) > 4 * Fraction(case.tolerance * problem.eps * size):
        reason = f"g . jvp(v) and vjp(g) . v differ by {as_float(difference):.3g} for v = {v.tolist()}"
        raise case.failure(problem, reason, reverse, problem.solution.vjp(g.tolist()), cotangent=g)
