"""Inputs that several checks draw: long rows, batches, cotangents; and what they ask of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from hsproj_verify.case import Case, CheckFailure, Raised, failed
from hsproj_verify.problems import Problem, array_source


def long_problem(case: Case, *spreads: str) -> Problem:
    """Beyond the lengths that the families draw: up to some thousand scores, and the lengths where blocks end.

    Spreads are "normal", "wide" (few entries are free), "narrow" (most are), "tied" and "vertex"; any, by default.
    """
    from hypothesis import strategies as st

    n = case.draw(st.one_of(st.integers(13, 100), st.integers(100, 1500), st.sampled_from([64, 128, 1000, 1024, 4096])))
    rng = np.random.default_rng(case.draw(st.integers(0, 2**32)))
    spread = case.draw(st.sampled_from(spreads or ("normal", "wide", "narrow", "tied", "vertex")))
    dtype = case.draw(st.sampled_from([d for d in ("float64", "float32") if d in case.target.claims]))
    fixed = case.target.fixed_k
    if fixed is not None and fixed > n:
        case.reject()
    if spread == "vertex":
        saturated = int(rng.integers(0, n + 1)) if fixed is None else int(fixed)
        k = float(saturated) if fixed is None else fixed
        return case.posed(Problem((5.0,) * saturated + (-1.0,) * (n - saturated), k, dtype=dtype, family="long"))
    scale = {"normal": 1.0, "wide": 50.0, "narrow": 0.125}
    scores = rng.integers(0, 30, n) / 8 if spread == "tied" else rng.normal(0.0, scale[spread], n).round(4)
    share = round(rng.uniform(0, n), 3) if fixed is None else fixed
    k = share if "real-k" in case.target.claims or fixed is not None else math.floor(share)
    return case.posed(Problem(tuple(scores.astype(dtype).tolist()), float(k), dtype=dtype, family="long"))


@dataclass(frozen=True)
class Batch:
    """Rows of one length, each with its own k, and one temperature."""

    case: Case
    problems: list[Problem]
    x: np.ndarray
    k: np.ndarray

    def failure(
        self, reason: str, came: Any, row: int = 0, of: str = "", then: Sequence[str] = (), before: str = ""
    ) -> CheckFailure:
        """What to raise; `of` the call's answer (its [row], say) is what came, or what `then` shows.

        `before` is what was done to `x`, as Python.
        """
        temperature = repr(self.problems[0].temperature)
        # One k for all rows is a number, or the first of theirs for a target that takes no more.
        alike = self.k.ndim == 0 or "own-k" in self.case.target.claims
        call = self.case.target.call_source(
            "project", "x", "k" if alike else "k[0].item()", temperature=temperature, ndim=2
        )
        lines = [
            "import numpy as np",
            self.case.target.origin,
            f"x = {array_source(self.x)}",
            f"k = {array_source(self.k) if self.k.ndim else repr(self.k.item())}",
            *filter(None, [before]),
        ]
        return failed(reason, [*lines, f"{call}{of}", *then], came, self.problems[row].solution.p)

    def project(self, x: np.ndarray, k: np.ndarray, before: str = "") -> np.ndarray:
        """The target's answer to these arrays, in its own dtype."""
        return self.answer(self.case.target, x, k, self.problems[0].temperature, before=before)

    def answer(self, function: Callable[..., Any], *arguments: Any, before: str = "") -> np.ndarray:
        """What a function of the target answers, in its own dtype: an array as the scores are one."""
        try:
            return self.case.array(self.x.shape, function, *arguments)
        except Raised as raised:
            raise self.failure(str(raised), str(raised), before=before) from raised


def summed(problem: Problem) -> float:
    """By how much more than an entry the total may be rounded: 1 + k / m, with m free entries."""
    return 1.0 + problem.k / max(len(problem.solution.free), 1)


def of_dtype(failure: CheckFailure, came: np.dtype, wanted: np.dtype) -> CheckFailure:
    """The same failure, about dtypes instead of numbers."""
    return CheckFailure(failure.reason, replace(failure.witness, came=str(came), exact=str(wanted), entries=()))


def draw_batch(case: Case, dtype: str = "float64") -> Batch:
    from hypothesis import strategies as st

    first = case.problem("ordinary", "tied", "near-kink")
    if dtype == "float32":
        first = first.with_scores(first.x.astype(dtype), dtype=dtype)
    problems = [first]
    for _ in range(case.draw(st.integers(2, 5))):
        scores = case.draw(st.lists(st.floats(-3.0, 3.0, width=32), min_size=first.n, max_size=first.n))
        k = case.total(first.n) if "own-k" in case.target.claims else first.k
        problems.append(first.with_scores(scores, k=k))
    for problem in problems:
        case.demand_claimed(problem)
    k_rows = np.array([p.total for p in problems])
    return Batch(case, problems, np.stack([p.x for p in problems]), k_rows)


def cotangent(case: Case, n: int, dtype: str) -> np.ndarray:
    """Quarters, of which many are equal; or such with digits in nearly all places of the dtype, whose sums are exact, too."""
    from hypothesis import strategies as st

    quarters = st.integers(-8, 8).map(lambda i: i / 4)
    last = 2.0**-18 if dtype == "float32" else 2.0**-40
    digits = st.tuples(quarters, st.integers(0, 64)).map(lambda pair: pair[0] + pair[1] * last)
    entries = digits if case.draw(st.booleans()) else quarters
    return np.array(case.draw(st.lists(entries, min_size=n, max_size=n)), dtype=dtype)


def dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), start=Fraction(0))


def well_inside(problem: Problem) -> bool:
    """Whether the masks can be told in floats: no kink within a few roundings of the scores."""
    margin = problem.solution.margin
    scale = max(map(abs, problem.scores)) + problem.temperature
    return margin is None or margin > 64 * problem.eps * scale


def targets(case: Case, problem: Problem) -> np.ndarray:
    """Zeros and ones, in the dtype of the scores."""
    from hypothesis import strategies as st

    ones = case.draw(st.lists(st.booleans(), min_size=problem.n, max_size=problem.n))
    return np.array(ones, dtype=problem.dtype)
