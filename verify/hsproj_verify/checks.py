"""The checks: one function per property, each a sentence about every right implementation.

A check takes a `Case`, draws its problem, calls the target through it, and raises `CheckFailure` with a witness. Tolerances
are `case.tolerance` (8 by default) times eps (1 + |p*|), per entry, wherever nothing else is said.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from hsproj_verify.case import MODERATE, Case, CheckFailure, Raised, Witness, as_array, failed, fractions
from hsproj_verify.differences import central_difference
from hsproj_verify.problems import Problem, array_source, as_float, error_in_eps


@dataclass(frozen=True)
class Check:
    """A named property.

    Attributes
    ----------
    name, level : str
    claims : tuple of str
        What a target must claim for the check to apply; see `hsproj_verify.target.CLAIMS`.
    weight : float
        Share of the examples of an ordinary check: less than 1 for costly ones.
    """

    name: str
    level: str
    claims: tuple[str, ...]
    weight: float
    run: Callable[[Case], None]

    @property
    def summary(self) -> str:
        """First sentence of the check's docstring."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order in which they run."""


def check(level: str, *claims: str, weight: float = 1.0) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Register a function as the check of its name."""

    def register(function: Callable[[Case], None]) -> Callable[[Case], None]:
        CHECKS[function.__name__] = Check(function.__name__, level, claims, weight, function)
        return function

    return register


# Feasibility and optimality


@check("feasibility")
def entries_lie_in_the_unit_interval(case: Case) -> None:
    """0 <= p <= 1 in every entry, with no tolerance: whoever takes sqrt(p) or log(1 - p) next has none either."""
    problem = case.problem()
    p = case.project(problem)
    if not np.all((p >= 0) & (p <= 1)):
        raise case.failure(problem, "an entry is outside [0, 1]", p)


@check("feasibility")
def total_is_k(case: Case) -> None:
    """The entries sum to k, up to their own rounding."""
    problem = case.problem()
    p = case.project(problem)
    allowed = Fraction(case.tolerance * problem.eps) * (problem.n + Fraction(problem.k))
    if not np.isfinite(p).all() or abs(sum(fractions(p)) - Fraction(problem.k)) > allowed:
        raise case.failure(problem, f"the total is {math.fsum(p)!r}, not {problem.total!r}", p)


@check("optimality")
def one_threshold_explains_every_entry(case: Case) -> None:
    """P is optimal: a single theta has p_i = clip((x_i - theta) / tau, 0, 1) for all i (the KKT conditions)."""
    problem = case.problem()
    p = case.project(problem)
    tau = Fraction(problem.temperature)
    slack = 2 * Fraction(case.tolerance * problem.eps) * tau
    at_least, at_most = [], []
    for x, entry in zip(map(Fraction, problem.scores), p, strict=True):
        theta = x - tau * Fraction(float(entry)) if np.isfinite(entry) else x
        if entry > 0:
            at_most.append(theta + slack)
        if entry < 1:
            at_least.append(theta - slack)
    if not np.isfinite(p).all() or (at_least and at_most and max(at_least) > min(at_most)):
        raise case.failure(problem, "no threshold explains all entries", p)


# Accuracy, by family


def _accurate(case: Case, *families: str) -> None:
    problem = case.problem(*families)
    case.close(case.project(problem), problem, "not the projection")


@check("accuracy")
def accurate_on_ordinary_scores(case: Case) -> None:
    """Within tolerance of the exact rational answer on moderate scores."""
    _accurate(case, "ordinary")


@check("accuracy")
def accurate_on_tied_scores(case: Case) -> None:
    """Within tolerance where scores repeat."""
    _accurate(case, "tied")


@check("accuracy")
def accurate_on_saturated_ties(case: Case) -> None:
    """Within tolerance where whole groups of equal scores are 0 or 1, vertices included."""
    _accurate(case, "saturated-and-tied")


@check("accuracy")
def accurate_near_kinks(case: Case) -> None:
    """Within tolerance where scores lie at breakpoints, or a few ulps off."""
    _accurate(case, "near-kink")


@check("accuracy")
def accurate_at_extreme_totals(case: Case) -> None:
    """Within tolerance at k = 0, 1, n - 1, n, and next to them."""
    _accurate(case, "extreme-k")


@check("accuracy", "offsets")
def accurate_with_a_huge_offset(case: Case) -> None:
    """Within tolerance when all scores share an offset up to 1e12: a threshold held as one float loses four digits there."""
    _accurate(case, "huge-offset")


@check("accuracy", "offsets")
def accurate_at_huge_scales(case: Case) -> None:
    """Within tolerance for scores and temperatures from 1e-300 to 1e300."""
    _accurate(case, "huge-scale")


@check("accuracy", "float32")
def accurate_in_float32(case: Case) -> None:
    """Within tolerance in units of float32."""
    _accurate(case, "float32")


def _long_problem(case: Case) -> Problem:
    """Beyond the lengths that the families draw: up to some thousand scores, and the lengths where blocks end."""
    from hypothesis import strategies as st

    n = case.draw(st.one_of(st.integers(13, 100), st.integers(100, 1500), st.sampled_from([64, 128, 1000, 1024, 4096])))
    rng = np.random.default_rng(case.draw(st.integers(0, 2**32)))
    spread = case.draw(st.sampled_from(["normal", "wide", "tied", "vertex"]))
    dtype = case.draw(st.sampled_from(["float64", "float32"])) if "float32" in case.target.claims else "float64"
    if spread == "vertex":
        saturated = int(rng.integers(0, n + 1))
        return Problem((5.0,) * saturated + (-1.0,) * (n - saturated), float(saturated), dtype=dtype)
    wide = rng.normal(0.0, 1.0 if spread == "normal" else 50.0, n).round(4)
    scores = rng.integers(0, 30, n) / 8 if spread == "tied" else wide
    share = round(rng.uniform(0, n), 3)
    k = share if "real-k" in case.target.claims else math.floor(share)
    return Problem(tuple(scores.astype(dtype).tolist()), float(k), dtype=dtype)


@check("accuracy", "rounded", weight=5)
def every_entry_is_the_nearest_float(case: Case) -> None:
    """Each entry is the exact one, rounded once: to the nearest float, ties to even."""
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


@check("accuracy", weight=0.2)
def accurate_on_long_rows(case: Case) -> None:
    """Within tolerance on rows of up to some thousand scores, where careless sums begin to show.

    The tolerance is 1 + k / m times the ordinary one, with m free entries: so much does it move p to round a total of k.
    """
    problem = _long_problem(case)
    share = problem.k / max(len(problem.solution.free), 1)
    case.close(case.project(problem), problem, "not the projection", factor=1.0 + share)


@check("accuracy", "integers")
def integer_scores_are_promoted(case: Case) -> None:
    """Integer scores give the same real answer as the same numbers as floats: nothing is truncated."""
    from hypothesis import strategies as st

    scores = case.draw(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
    problem = Problem(tuple(map(float, scores)), float(case.draw(st.integers(0, len(scores)))), dtype="int64")
    case.close(case.project(problem), problem, "not the projection of integer scores")


@check("accuracy", weight=0.25)
def agrees_with_cvxpy(case: Case) -> None:
    """Agrees with the quadratic program as CVXPY and Clarabel solve it, as far as that answer can be trusted."""
    from hsproj_verify.oracles import qp

    problem = case.problem(*MODERATE)
    p = case.project(problem)
    answer = qp.solve(problem.x, problem.k, problem.temperature)
    allowed = max(1e-5, 10 * answer.digits)
    if not np.abs(p - answer.p).max() <= allowed:
        reason = f"CVXPY differs by {np.abs(p - answer.p).max():.3g}; its own residuals are {answer.digits:.1g}"
        raise case.failure(problem, reason, p)


# Structure


@check("structure")
def order_is_preserved(case: Case) -> None:
    """A larger score never gets a smaller p, beyond rounding."""
    problem = case.problem(*MODERATE, min_size=2)
    p = case.project(problem)
    ascending = p[np.argsort(problem.x, kind="stable")]
    if not np.all(np.diff(ascending) >= -2 * case.tolerance * problem.eps):
        raise case.failure(problem, "p is not ordered as the scores are", p)


@check("structure")
def equal_scores_get_equal_p(case: Case) -> None:
    """Equal scores get the same p, to the last bit, wherever they stand."""
    problem = case.problem("tied", "saturated-and-tied", min_size=2)
    p = case.project(problem)
    for score in set(problem.scores):
        group = p[problem.x == score]
        if not np.all(group == group[0]):
            raise case.failure(problem, f"entries with the score {score!r} differ", p)


@check("structure")
def permuting_scores_permutes_p(case: Case) -> None:
    """P(x[s]) = P(x)[s] for every permutation s."""
    from hypothesis import strategies as st

    problem = case.problem(*MODERATE, min_size=2)
    permutation = list(case.draw(st.permutations(range(problem.n))))
    moved = problem.with_scores(problem.x[permutation])
    case.close(case.project(moved), moved, "permuted scores", case.project(problem)[permutation], 2.0, others=[problem])


@check("structure")
def adding_a_constant_leaves_p_unchanged(case: Case) -> None:
    """P(x + c) = P(x): shown where x + c is exact."""
    from hypothesis import strategies as st

    problem = case.problem("tied", "saturated-and-tied")
    shift = case.draw(st.sampled_from([1.0, -3.0, 1024.0, -(2.0**20)]))
    moved = problem.with_scores(problem.x + shift)
    if any(Fraction(a) + Fraction(shift) != Fraction(b) for a, b in zip(problem.scores, moved.scores, strict=True)):
        return case.reject()
    case.close(case.project(moved), moved, f"after adding {shift}", case.project(problem), 2.0, others=[problem])


@check("structure")
def complement_is_the_projection_of_the_negated_scores(case: Case) -> None:
    """P(n, k)(x) = 1 - P(n, n - k)(-x)."""
    problem = case.problem(*MODERATE)
    if Fraction(problem.n - problem.k) != problem.n - Fraction(problem.k):
        return case.reject()
    mirrored = problem.with_scores(-problem.x, k=problem.n - problem.k)
    p, complement = case.project(problem), 1.0 - case.project(mirrored)
    case.close(p, problem, "against the complement", complement, 2.0, others=[mirrored])


@check("structure")
def projecting_twice_changes_nothing(case: Case) -> None:
    """P(P(x)) = P(x) at temperature 1, up to the rounding of P(x) itself, which a projection does not magnify."""
    problem = case.problem(*MODERATE, temperature=False)
    once = case.project(problem)
    if not np.isfinite(once).all():
        raise case.failure(problem, "an entry is not finite", once)
    again = problem.with_scores(once)
    case.close(case.project(again), again, "projecting again", once, 2.0 + math.sqrt(problem.n), others=[problem])


@check("structure")
def moves_no_further_than_the_scores(case: Case) -> None:
    """||P(x) - P(y)|| <= ||x - y|| / tau: the operator is 1/tau-Lipschitz."""
    from hypothesis import strategies as st

    problem = case.problem("ordinary", "tied", "near-kink", min_size=2)
    moves = st.lists(st.floats(-2.0, 2.0), min_size=problem.n, max_size=problem.n)
    other = problem.with_scores(problem.x + np.array(case.draw(moves)))
    p, q = case.project(problem), case.project(other)
    allowed = np.linalg.norm(other.x - problem.x) / problem.temperature
    if not np.linalg.norm(p - q) <= allowed + 4 * case.tolerance * problem.eps * problem.n:
        reason = f"p moved by {np.linalg.norm(p - q):.3g} when x moved by {allowed:.3g} temperatures, to {other.scores}"
        raise case.failure(problem, reason, p, others=[other])


@check("structure", "temperature")
def scaling_scores_and_temperature_changes_nothing(case: Case) -> None:
    """P(c x; c tau) = P(x; tau) for powers of two c, which round nothing."""
    from hypothesis import strategies as st

    problem = case.problem(*MODERATE)
    c = 2.0 ** case.draw(st.sampled_from([1, -1, 10, -10]))
    scaled = problem.with_scores(problem.x * c, temperature=problem.temperature * c)
    if any(Fraction(a) * Fraction(c) != Fraction(b) for a, b in zip(problem.scores, scaled.scores, strict=True)):
        return case.reject()
    case.close(case.project(scaled), scaled, f"after scaling by {c}", case.project(problem), 2.0, others=[problem])


@check("structure", "infinities")
def masked_scores_drop_out(case: Case) -> None:
    """-inf gets p = 0, +inf gets p = 1, and the others get what they would get without them."""
    from hypothesis import strategies as st

    problem = case.problem("ordinary", "tied")
    down, up = case.draw(st.integers(0, 2)), case.draw(st.integers(0, 2))
    padded = problem.with_scores((*problem.scores, *[-np.inf] * down, *[np.inf] * up), k=problem.k + up)
    if Fraction(padded.k) != Fraction(problem.k) + up:
        return case.reject()
    case.close(case.project(padded), padded, "with infinite scores")


# Calling


@dataclass(frozen=True)
class _Batch:
    """Rows of one length, each with its own k, and one temperature."""

    case: Case
    problems: list[Problem]
    x: np.ndarray
    k: np.ndarray

    def failure(self, reason: str, came: Any, row: int = 0, of: str = "", then: Sequence[str] = ()) -> CheckFailure:
        """What to raise; `of` the call's answer (its [row], say) is what came, or what `then` shows."""
        option = f", temperature={self.problems[0].temperature!r}" if "temperature" in self.case.target.claims else ""
        lines = [
            "import numpy as np",
            self.case.target.origin,
            f"x = {array_source(self.x)}",
            f"k = {array_source(self.k)}",
        ]
        return failed(reason, [*lines, f"function(x, k{option}){of}", *then], came, self.problems[row].solution.p)

    def project(self, x: np.ndarray, k: np.ndarray) -> np.ndarray:
        """The target's answer to these arrays, in its own dtype."""
        try:
            came = as_array(self.case.call(self.case.target, x, k, self.problems[0].temperature))
        except Raised as raised:
            raise self.failure(f"a batch: {raised}", str(raised)) from raised
        if came.shape != self.x.shape:
            raise self.failure(f"a batch of shape {self.x.shape} came back as {came.shape}", came)
        return came


def _batch(case: Case, dtype: str = "float64") -> _Batch:
    from hypothesis import strategies as st

    from hsproj_verify.strategies import totals

    first = case.problem("ordinary", "tied", "near-kink")
    if dtype == "float32":
        first = first.with_scores(first.x.astype(dtype), dtype=dtype)
    problems = [first]
    for _ in range(case.draw(st.integers(2, 5))):
        scores = case.draw(st.lists(st.floats(-3.0, 3.0, width=32), min_size=first.n, max_size=first.n))
        k = case.draw(totals(first.n, real="real-k" in case.target.claims))
        problems.append(first.with_scores(scores, k=k))
    k_rows = np.array([p.total for p in problems])
    return _Batch(case, problems, np.stack([p.x for p in problems]), k_rows)


@check("calling", "batch")
def rows_are_independent(case: Case) -> None:
    """Each row of a batch, with its own k, gets the answer it gets alone."""
    batch = _batch(case)
    alone = [case.project(problem) for problem in batch.problems]
    came = batch.project(batch.x.copy(), batch.k.copy()).astype(np.float64)
    for r, problem in enumerate(batch.problems):
        if not error_in_eps(came[r], fractions(alone[r]), problem.eps) <= 2 * case.tolerance:
            raise batch.failure(f"row {r} is not what it is alone", came[r], r, f"[{r}]")


@check("calling", "batch", "errors")
def a_bad_row_costs_no_other_row(case: Case) -> None:
    """A NaN row in a batch is refused, or comes back as NaN and leaves the other rows as they were."""
    batch = _batch(case)
    alone = [case.project(problem) for problem in batch.problems]
    batch.x[1, 0] = np.nan
    temperature = batch.problems[0].temperature
    try:
        came = as_array(case.call(case.target, batch.x.copy(), batch.k.copy(), temperature)).astype(np.float64)
    except Raised:
        return
    if came.shape != batch.x.shape or not np.isnan(came[1]).all():
        raise batch.failure("the row with NaN came back with numbers in it", came)
    for r, problem in enumerate(batch.problems):
        if r != 1 and not error_in_eps(came[r], fractions(alone[r]), problem.eps) <= 2 * case.tolerance:
            raise batch.failure(f"row {r} suffered from the NaN in row 1", came[r], r, f"[{r}]")


@check("calling", "batch")
def a_batch_is_untouched(case: Case) -> None:
    """The caller's arrays of scores and totals hold the same bits afterwards."""
    batch = _batch(case)
    x, k = batch.x.copy(), batch.k.copy()
    batch.project(x, k)
    if x.tobytes() != batch.x.tobytes():
        raise batch.failure("the scores of a batch were changed", x, then=["x"])
    if k.tobytes() != batch.k.tobytes():
        raise batch.failure("the totals of a batch were changed", k, then=["k"])


@check("calling", "batch", "float32")
def dtype_of_a_batch_is_kept(case: Case) -> None:
    """float32 rows give float32 rows, also where the totals are float64 or integers."""
    batch = _batch(case, "float32")
    came = batch.project(batch.x.copy(), batch.k.copy())
    if came.dtype != batch.x.dtype:
        raise batch.failure(f"a batch of float32 came back as {came.dtype}", str(came.dtype), of=".dtype")


@check("calling")
def input_is_untouched(case: Case) -> None:
    """The caller's array holds the same bits afterwards."""
    problem = case.problem("ordinary", "tied", "float32")
    x = problem.x
    case.project(problem, x)
    if x.tobytes() != problem.x.tobytes():
        raise case.failure(problem, f"the input was changed to {array_source(x)}", x, last=["x"])


@check("calling")
def dtype_is_kept(case: Case) -> None:
    """float64 in, float64 out; float32 in, float32 out, where that is claimed."""
    problem = case.problem("ordinary", "float32")
    came = case.answer(problem, problem.x)
    case.numbers(came, problem, problem.n)
    dtype = as_array(came).dtype
    if dtype != problem.x.dtype:
        raise case.failure(problem, f"{problem.dtype} came back as {dtype}", as_array(came))


@check("calling", "real-k")
def a_whole_total_may_come_as_a_float(case: Case) -> None:
    """K = 2.0 is k = 2."""
    problem = case.problem(*MODERATE)
    k = float(math.floor(problem.k))
    whole = problem.with_scores(problem.scores, k=k)
    expected = case.project(whole)
    *lines, call = case.lines(whole, others=[whole])
    lines.append(call.replace(f"(x, {whole.total!r}", f"(x, {k!r}"))
    try:
        came = as_array(case.call(case.target, whole.x, k, whole.temperature))
    except Raised as raised:
        raise failed(f"k = {k!r} raised {raised}", lines, str(raised), whole.solution.p) from raised
    same = came.shape == expected.shape and error_in_eps(came, fractions(expected), whole.eps) <= case.tolerance
    if not same:
        raise failed(f"k = {k!r} is not k = {whole.total}", lines, came, whole.solution.p)


@check("calling")
def ordinary_calls_give_no_warning(case: Case) -> None:
    """A right call gives no RuntimeWarning: no division by zero at a vertex, no NaN that is masked afterwards."""
    problem = case.problem("tied", "saturated-and-tied", "near-kink", "extreme-k", "huge-offset")
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error", RuntimeWarning)
        case.project(problem)


@check("calling", "layouts")
def memory_layout_does_not_matter(case: Case) -> None:
    """Strided, reversed, read-only and big-endian arrays give what a plain array gives."""
    from hypothesis import strategies as st

    problem = case.problem("ordinary", "tied")
    x, plain = problem.x, case.project(problem)
    views = {
        "strided": (np.repeat(x, 2)[::2], "x = np.repeat(x, 2)[::2]"),
        "reversed": (x[::-1].copy()[::-1], "x = x[::-1].copy()[::-1]"),
        "read-only": (x.copy(), "x.setflags(write=False)"),
        "big-endian": (x.astype(">f8"), "x = x.astype('>f8')"),
    }
    views["read-only"][0].setflags(write=False)
    kind = case.draw(st.sampled_from(sorted(views)))
    view, then = views[kind]
    case.close(case.project(problem, view, then=then), problem, f"as a {kind} array", plain, then=then)


@check("calling")
def the_same_call_gives_the_same_bits(case: Case) -> None:
    """Repeating a call, at once and with another one in between, changes nothing."""
    problem, other = case.problem(*MODERATE), case.problem("ordinary")
    first, second = case.project(problem), case.project(problem)
    case.project(other)
    third = case.project(problem)
    for again in (second, third):
        if not np.array_equal(first, again, equal_nan=True):
            raise case.failure(problem, f"the first call gave {array_source(first)}", again, others=[problem, other])


@check("calling")
def earlier_answers_stay_as_they_were(case: Case) -> None:
    """An answer belongs to the caller: a later call does not write into it, nor is it the caller's own input."""
    problem = case.problem(*MODERATE)
    other = problem.with_scores(problem.x[::-1])
    x = problem.x
    came = case.answer(problem, x)
    before = case.numbers(came, problem, problem.n)
    case.project(other)
    after = case.numbers(came, problem, problem.n)
    if not np.array_equal(before, after, equal_nan=True):
        *lines, call = case.lines(problem)
        lines += [f"p = {call}", case.call_source(other, array_source(other.x)), "p"]
        raise failed("a later call changed an earlier answer", lines, after, fractions(before))
    if np.shares_memory(as_array(came), x):
        raise case.failure(problem, "the answer is a view of the input: changing one changes the other", before)


@check("calling", "errors")
def bad_input_is_refused(case: Case) -> None:
    """Bad k (outside [0, n], NaN), NaN scores, complex scores, strings, temperatures <= 0: an exception, or NaN."""
    from hypothesis import strategies as st

    problem = case.problem("ordinary", temperature=False)
    n, x = problem.n, problem.x
    bad: dict[str, tuple[Any, Any, float]] = {
        "k = -1": (x, -1, 1.0),
        "k = n + 1": (x, n + 1, 1.0),
        "k = nan": (x, math.nan, 1.0),
        "a NaN score": (np.append(x, np.nan), 1, 1.0),
        "complex scores": (x + 1j, 1, 1.0),
        "strings": (x.astype(str), 1, 1.0),
    }
    if "infinities" in case.target.claims:
        bad["more unmasked scores asked for than there are"] = (np.array([-np.inf, 0.0]), 2, 1.0)
        bad["more forced scores than k"] = (np.array([np.inf, np.inf, 0.0]), 1, 1.0)
    if "temperature" in case.target.claims:
        bad |= {"temperature = 0": (x, 1, 0.0), "temperature = -1": (x, 1, -1.0), "temperature = nan": (x, 1, math.nan)}
    what = case.draw(st.sampled_from(sorted(bad)))
    scores, k, temperature = bad[what]
    try:
        came = case.call(case.target, scores, k, temperature)
        if np.isnan(as_array(came)).all():
            return
        shown = array_source(as_array(came))
    except Raised as raised:
        if "of dtype complex" not in str(raised) or np.isnan(came).all():
            return
        shown = repr(came)
    option = f", temperature={temperature!r}" if "temperature" in case.target.claims else ""
    call = f"function(x, {k!r}{option})".replace("nan", "np.nan")
    code = ["import numpy as np", case.target.origin, f"x = {array_source(scores)}", call]
    witness = Witness("\n".join(line for line in code if line), shown, "none: an exception, or NaN")
    raise CheckFailure(f"{what} was accepted", witness)


# Derivatives


def _cotangent(case: Case, n: int, dtype: str) -> np.ndarray:
    from hypothesis import strategies as st

    entries = st.integers(-8, 8).map(lambda i: i / 4)
    return np.array(case.draw(st.lists(entries, min_size=n, max_size=n)), dtype=dtype)


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), start=Fraction(0))


def _well_inside(problem: Problem) -> bool:
    """Whether the masks can be told in floats: no kink within a few roundings of the scores."""
    margin = problem.solution.margin
    scale = max(map(abs, problem.scores)) + problem.temperature
    return margin is None or margin > 64 * problem.eps * scale


def _vjp_problem(case: Case, *families: str) -> Problem:
    return case.problem(*families, temperature=case.target.pulls_back_temperatures)


def _vjp_matches(case: Case, problem: Problem) -> None:
    g = _cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    truth = problem.solution.vjp(g.tolist())
    unit = Fraction(problem.eps) * Fraction(float(np.abs(g).max())) / Fraction(problem.temperature)
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 2 * Fraction(case.tolerance) * unit:
        raise case.failure(problem, f"the vjp is off by {as_float(worst):.3g}", came, truth, cotangent=g)


@check("derivatives", "vjp")
def vjp_matches_the_exact_jacobian(case: Case) -> None:
    """vjp(g) = (1/tau) f (g - mean_F g) wherever no kink is within rounding."""
    problem = _vjp_problem(case, "ordinary", "tied", "near-kink", "extreme-k", "huge-offset", "float32")
    if not _well_inside(problem):
        return case.reject()
    _vjp_matches(case, problem)


@check("derivatives", "vjp")
def vjp_vanishes_at_tied_saturated_scores(case: Case) -> None:
    """Ties among scores that are 0 or 1 move nothing: their derivative is exactly 0, and it is found among the free ones."""
    problem = _vjp_problem(case, "saturated-and-tied")
    if not _well_inside(problem):
        return case.reject()
    g = _cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    free = set(problem.solution.free)
    if any(came[i] != 0.0 for i in range(problem.n) if i not in free):
        truth = problem.solution.vjp(g.tolist())
        raise case.failure(problem, "a saturated or zero entry has a gradient", came, truth, cotangent=g)
    _vjp_matches(case, problem)


@check("derivatives", "vjp")
def vjp_sums_to_zero(case: Case) -> None:
    """The total is fixed, so every gradient sums to 0."""
    problem = _vjp_problem(case, *MODERATE)
    g = _cotangent(case, problem.n, problem.dtype)
    came = case.pull_back(problem, g)
    allowed = 2 * case.tolerance * problem.eps * float(np.abs(g).max()) * problem.n / problem.temperature
    if not abs(math.fsum(came)) <= allowed:
        truth = problem.solution.vjp(g.tolist())
        raise case.failure(problem, f"the gradient sums to {math.fsum(came):.3g}", came, truth, cotangent=g)


@check("derivatives", "vjp")
def vjp_agrees_with_finite_differences(case: Case) -> None:
    """The target's vjp predicts what its own projection does inside the linear piece, where nothing else is in the way."""
    problem = _vjp_problem(case, *MODERATE, "near-kink")
    direction = _cotangent(case, problem.n, problem.dtype)
    g = _cotangent(case, problem.n, problem.dtype)
    seen = central_difference(lambda x: case.project(problem.with_scores(x)), problem, direction)
    if seen is None:
        return case.reject()
    predicted = _dot(fractions(case.pull_back(problem, g)), seen.displacement)
    observed = _dot(fractions(g), fractions(seen.change))
    noise = Fraction(4 * case.tolerance * problem.eps * float(np.abs(g).sum()))
    if abs(predicted - observed) > noise:
        reason = f"p changes by {as_float(observed):.6g} along g, the vjp says {as_float(predicted):.6g}"
        truth = problem.solution.vjp(g.tolist())
        moved = f"d = {array_source(seen.moved)}"
        compare = [
            moved,
            f"g = {array_source(g)}",
            "(function(x + d, k) - function(x - d, k)) @ g  # against vjp @ (2 * d)",
        ]
        if "temperature" in case.target.claims:
            compare[-1] = compare[-1].replace(", k)", f", {problem.total!r}, temperature={problem.temperature!r})")
        compare[-1] = compare[-1].replace(", k)", f", {problem.total!r})")
        raise case.failure(problem, reason, case.pull_back(problem, g), truth, cotangent=g, last=compare)


@check("derivatives", "vjp", weight=0.2)
def vjp_is_right_on_long_rows(case: Case) -> None:
    """vjp(g) = (1/tau) f (g - mean_F g) on rows of up to some thousand scores, where plain sums of g lose a digit or two."""
    from hypothesis import strategies as st

    problem = _long_problem(case)
    if not _well_inside(problem):
        return case.reject()
    rng = np.random.default_rng(case.draw(st.integers(0, 2**32)))
    g = (rng.integers(-8, 9, problem.n) / 4).astype(problem.dtype)
    came, truth = case.pull_back(problem, g), problem.solution.vjp(g.tolist())
    allowed = 2 * Fraction(case.tolerance * problem.eps * (1 + math.sqrt(problem.n)))
    worst = max(abs(a - b) for a, b in zip(fractions(came), truth, strict=True))
    if worst > 2 * allowed:
        raise case.failure(problem, f"the vjp is off by {as_float(worst):.3g}", came, truth, cotangent=g)


@check("derivatives", "vjp")
def vjp_leaves_scores_and_cotangent_untouched(case: Case) -> None:
    """The caller's scores and cotangent hold the same bits afterwards."""
    problem = _vjp_problem(case, "ordinary", "tied")
    g = _cotangent(case, problem.n, problem.dtype)
    x, given = problem.x, g.copy()
    try:
        case.call(case.target.pull_back, x, problem.total, given, problem.temperature)
    except Raised as raised:
        raise case.failure(problem, f"its vjp raised {raised}", str(raised), cotangent=g) from raised
    for name, came, before in (("scores", x, problem.x), ("cotangent", given, g)):
        if came.tobytes() != before.tobytes():
            raise case.failure(problem, f"the vjp changed the {name}", came, fractions(before), cotangent=g)
