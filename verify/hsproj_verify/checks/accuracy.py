"""Checks of accuracy, by family of scores."""

from __future__ import annotations

import numpy as np

from hsproj_verify.case import MODERATE, Case, as_it_came
from hsproj_verify.checks._draw import Batch, long_problem, summed
from hsproj_verify.checks._registry import check
from hsproj_verify.problems import Problem, error_in_eps


def _accurate(case: Case, *families: str) -> None:
    problem = case.problem(*families)
    case.close(case.project(problem), problem, "not the projection")


@check("accuracy")
def accurate_on_ordinary_scores(case: Case) -> None:
    """Within tolerance of the exact rational answer on moderate scores.

    Made for: jaxopt 0.8.5 bisects 30 times to 1e-5 and is off by 2e-6; pyproximal 0.13 by 9e-6.
    """
    _accurate(case, "ordinary")


@check("accuracy")
def accurate_on_tied_scores(case: Case) -> None:
    """Within tolerance where scores repeat.

    Made for: Sorted scans that are off by one where the k-th score equals the next one.
    """
    _accurate(case, "tied")


@check("accuracy")
def accurate_on_saturated_ties(case: Case) -> None:
    """Within tolerance where whole groups of equal scores are 0 or 1, vertices included.

    Made for: A bisection that stops just past the interval of thresholds, as entmax 1.3 does at [4.3, 4.3, 4.3, .1]
    with k = 3.
    """
    _accurate(case, "saturated-and-tied")


@check("accuracy")
def accurate_on_near_ties(case: Case) -> None:
    """Within tolerance where scores differ by 1e-7 to 1e-12: they are not equal.

    Made for: PAV blocks merged by an absolute 1e-9, as the code of arXiv 2602.23336 does; caches with rounded keys.
    """
    _accurate(case, "near-tied")


@check("accuracy")
def accurate_near_kinks(case: Case) -> None:
    """Within tolerance where scores lie at breakpoints, or a few ulps off.

    Made for: Blocks merged by an absolute 1e-9, as the code of arXiv 2602.23336 does, take a near tie for a tie.
    """
    _accurate(case, "near-kink", "kink")


@check("accuracy")
def accurate_at_extreme_totals(case: Case) -> None:
    """Within tolerance at k = 0, 1, n - 1, n, and next to them.

    Made for: int(k): a total just below 1 becomes 0, and k = n - 1e-9 becomes n - 1.
    """
    _accurate(case, "extreme-k")


@check("accuracy", "offsets")
def accurate_with_a_huge_offset(case: Case) -> None:
    """Within tolerance when all scores share an offset up to 1e12: a threshold held as one float loses four digits there.

    Made for: A threshold held as one float: with an offset of 1e12 all public implementations that were tried are off
    by 4e-5 or more.
    """
    _accurate(case, "huge-offset")


@check("accuracy", "offsets")
def accurate_at_huge_scales(case: Case) -> None:
    """Within tolerance for scores and temperatures from 1e-300 to 1e300.

    Made for: Overflow of sums, squares or x / tau: scaled by 1e300, most public implementations return nonsense.
    """
    _accurate(case, "huge-scale")


@check("accuracy")
def accurate_on_vertices(case: Case) -> None:
    """Within tolerance where p is 0 or 1 throughout, or nearly so, and the threshold is any of an interval.

    Made for: Newton steps on the flat piece of the equation for the threshold, where the slope is 0: NaN, or no end;
    bisection that stops past its end.
    """
    _accurate(case, "vertex")


@check("accuracy")
def accurate_on_staircases(case: Case) -> None:
    """Within tolerance where scores are whole temperatures apart, so that breakpoints of both kinds coincide.

    Made for: Newton steps that go to and fro between two breakpoints; scans that count a breakpoint twice.
    """
    _accurate(case, "staircase")


@check("accuracy", "offsets", "temperature")
def accurate_at_tiny_temperatures(case: Case) -> None:
    """Within tolerance at temperatures from 1e-3 to 1e-300, where free scores differ by little and others are far away.

    Made for: x / tau rounded before the threshold is found, or absolute tolerances: with tau = 1e-6 ten digits are
    left.
    """
    _accurate(case, "tiny-temperature")


@check("accuracy", "subnormals")
def accurate_at_subnormal_scales(case: Case) -> None:
    """Within tolerance for scores and temperatures at and below 2^-1022: their differences are exact.

    Made for: 1 / tau, which overflows; hardware set to flush small numbers to 0, as XLA does.
    """
    _accurate(case, "subnormal")


@check("accuracy", "float32")
def accurate_in_float32(case: Case) -> None:
    """Within tolerance in units of float32.

    Made for: Ranks and sums kept in float32; tolerances made for float64, which float32 never meets.
    """
    _accurate(case, "float32")


@check("accuracy", "float32", "offsets")
def accurate_in_float32_with_an_offset(case: Case) -> None:
    """Within tolerance in units of float32 when all scores share an offset up to 2^23.

    Made for: A threshold held as one float32: an offset of 1e4 costs it four digits.
    """
    _accurate(case, "float32-offset")


@check("accuracy", "rounded", weight=5)
def every_entry_is_the_nearest_float(case: Case) -> None:
    """Each entry is the exact one, rounded once: to the nearest float, ties to even.

    Made for: Answers rounded twice, by way of a longer format; no public bug is known, it guards a promise few make.
    """
    from hypothesis import strategies as st

    from hsproj_verify.strategies import FAMILIES

    families = case.draw(st.sampled_from([FAMILIES, ("near-midpoint",), ("huge-scale",)]))
    problem = case.problem(*families)
    p = case.project(problem)
    nearest = problem.solution.nearest(problem.dtype)
    if not np.array_equal(p, nearest):
        wrong = np.flatnonzero(p != nearest)
        reason = f"entry {wrong[0]} is {float(p[wrong[0]])!r}, not the nearest float, {float(nearest[wrong[0]])!r}"
        raise case.failure(problem, reason, p)


@check("accuracy", "long", weight=0.5)
def accurate_on_long_rows(case: Case) -> None:
    """Within tolerance on rows of up to some thousand scores, where careless sums begin to show.

    The tolerance is 1 + k / m times the ordinary one, with m free entries: so much does it move p to round a total of k.

    Made for: PAV that adds up in float32: 100000 scores of .1 with k = 30000 sum to 30034.9.
    """
    problem = long_problem(case)
    case.close(case.project(problem), problem, "not the projection", factor=summed(problem))


LENGTHS = (*range(1, 65), *(2**e + beside for e in range(7, 12) for beside in (-1, 0, 1)))
_SHORT = 64  # what is longer is asked of who claims long rows


@check("accuracy", weight=1 / 40, costly=True)
def accurate_at_every_length(case: Case) -> None:
    """Within tolerance at each length from 1 to 64 and on both sides of the powers of two up to 2048, alone and in a batch.

    Each is asked with all entries free, so that each score counts, and with scores on all sides of the threshold. The
    tolerance is that of accurate_on_long_rows.

    Made for: Loops over blocks whose tail is left out, or read past its end: right at most lengths, wrong at n % 8 == 7;
    kernels for short rows that are entered at one length too many.
    """
    from hypothesis import strategies as st

    rng = np.random.default_rng(case.draw(st.integers(0, 2**32)))
    claims, fixed = {*case.target.claims}, case.target.fixed_k
    for n in LENGTHS:
        if n < (fixed or 0) or (n > _SHORT and "long" not in claims):
            continue
        for dtype in sorted({"float64", "float32"} & claims):
            steps = 4 if "real-k" in claims else 1
            k = round(steps * n * rng.uniform(0.3, 0.7)) / steps if fixed is None else float(fixed)
            rows = _rows_at(n, k, dtype, rng)
            problems = [case.posed(Problem(tuple(x.tolist()), k, dtype=dtype, family="lengths")) for x in rows]
            for problem in problems:
                case.close(case.project(problem), problem, f"wrong at n = {n}", factor=summed(problem))
            if "batch" not in claims:
                continue
            batch = Batch(case, problems, np.stack([p.x for p in problems]), np.array([p.total for p in problems]))
            came = batch.project(batch.x.copy(), batch.k.copy())
            for r, problem in enumerate(problems):
                allowed = case.allowed(problem) * summed(problem)
                if not error_in_eps(came[r], problem.solution.p, problem.eps) <= allowed:
                    raise batch.failure(f"row {r} of a batch is wrong at n = {n}", came[r], r, f"[{r}]")


def _rows_at(n: int, k: float, dtype: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores so close together that all entries are free, if k is between 0 and n; and scores that are not."""
    share = k / n
    near = 0.45 * min(share, 1 - share)
    return rng.uniform(-near, near, n).astype(dtype), rng.normal(0.0, 1.0, n).round(4).astype(dtype)


@check("accuracy", "integers")
def integer_scores_are_promoted(case: Case) -> None:
    """Integer scores give the same real answer as the same numbers as floats: nothing is truncated.

    Made for: simplexers 1.0.0 writes into an array of the scores' dtype: [1, 1, 1] with k = 1 gives [0, 0, 0].
    """
    _integers(case, "int64", -5, 5)


@check("accuracy", "integers", weight=0.5)
def integers_of_any_kind_are_promoted(case: Case) -> None:
    """Integers in few bits, and such without a sign, are the numbers that they are.

    Made for: Sorting by -x, which goes round the corner in integers without a sign; sums and differences in eight bits.
    """
    for dtype, least, most in (("uint8", 200, 255), ("int8", -128, 127), ("uint64", 0, 5), ("int16", -5, 5)):
        _integers(case, dtype, least, most)


def _integers(case: Case, dtype: str, least: int, most: int) -> None:
    from hypothesis import strategies as st

    scores = case.draw(st.lists(st.integers(least, most), min_size=1, max_size=8))
    k = case.draw(st.integers(0, len(scores))) if case.target.fixed_k is None else case.target.fixed_k
    if k > len(scores):
        return case.reject()
    problem = case.posed(Problem(tuple(map(float, scores)), float(k), dtype=dtype, family="integers"))
    p = case.project(problem)
    # As many digits as the answer came in: what integers are promoted to differs from library to library.
    came_in = as_it_came(p).dtype
    unit = max(1.0, float(np.finfo(came_in).eps) / problem.eps) if came_in.kind == "f" else 1.0
    case.close(p, problem, "not the projection of integer scores", factor=unit)


@check("accuracy", "equality", weight=0.25)
def agrees_with_cvxpy(case: Case) -> None:
    """Agrees with the quadratic program as CVXPY and Clarabel solve it, as far as that answer can be trusted.

    Made for: A mistake in the definition that the judge's own oracle might share: a general solver does not know the
    formula.
    """
    from hsproj_verify.oracles import qp

    problem = case.problem(*MODERATE)
    p = case.project(problem)
    answer = qp.solve(problem.x, problem.k, problem.temperature)
    allowed = max(1e-5, 10 * answer.digits, 2 * case.allowed(problem) * problem.eps)
    if not np.abs(p - answer.p).max() <= allowed:
        reason = f"CVXPY differs by {np.abs(p - answer.p).max():.3g}; its own residuals are {answer.digits:.1g}"
        raise case.failure(problem, reason, p)
