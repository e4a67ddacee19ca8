"""How far a target is off, by family of scores: figures, and no verdict.

Also on families that it does not claim to take, since its users may meet them all the same.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hsproj_verify.case import as_array
from hsproj_verify.problems import Problem, error_in_eps
from hsproj_verify.target import Target, load

FAMILIES = {
    "ordinary": "up to 12 scores in [-4, 4]",
    "tied": "multiples of 1/4",
    "saturated-and-tied": "groups of equal scores far apart",
    "near-kink": "scores at breakpoints, or a few ulps off",
    "extreme-k": "k at 0, 1, n - 1, n, or next to them; elsewhere 0 < k < n",
    "long": "1000 scores from N(0, 1), k = 100",
    "huge-offset": "one offset for all, 10^6 to 10^16",
    "huge-scale": "scores times 10^-300 to 10^300",
    "float32": "ordinary scores in float32",
}
"""Columns, and what they hold."""


@dataclass(frozen=True)
class Worst:
    """The largest error seen in a family: max_i |p_i - p*_i| / (1 + p*_i), with the problem; and calls without an answer."""

    error: float = 0.0
    problem: Problem | None = None
    calls: int = 0
    unanswered: int = 0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON file."""
        problem = self.problem
        return {
            "error": self.error,
            "calls": self.calls,
            "unanswered": self.unanswered,
            "reason": self.reason,
            "problem": problem
            and {"scores": [x.hex() for x in problem.scores], "k": problem.k, "dtype": problem.dtype},
        }


def worst_errors(target: Target, seed: int = 0, examples: int = 200) -> Iterator[tuple[str, Worst]]:
    """The worst of so many problems a family, all with temperature 1; the same ones for targets that take the same totals.

    Examples
    --------
    >>> from hsproj_verify.peers.sorting import target
    >>> from hsproj_verify.scoreboard.errors import worst_errors
    >>> dict(worst_errors(target, examples=5))["ordinary"].error < 1e-14
    True
    """
    skipped = {name for name in ("long", "float32") if name not in target.claims}
    for family in FAMILIES:
        if family not in skipped:
            yield family, _worst(target, _problems(family, target, seed, examples))


def _problems(family: str, target: Target, seed: int, examples: int) -> Iterator[Problem]:
    if family == "long":
        rng = np.random.default_rng(seed)
        return (Problem(tuple(rng.standard_normal(1000).tolist()), 100.0) for _ in range(min(examples, 5)))
    return iter(_drawn(family, "real-k" in target.claims, seed, examples))


def _drawn(family: str, real_k: bool, seed: int, examples: int) -> list[Problem]:
    import hypothesis

    from hsproj_verify.strategies import problems

    found: list[Problem] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(problems(family, temperature=False, real_k=real_k))
    def collect(problem: Problem) -> None:
        if family == "extreme-k" or 0 < problem.k < problem.n:
            found.append(problem)

    collect()
    return found


def _worst(target: Target, problems: Iterator[Problem]) -> Worst:
    error, where, calls, unanswered, reason = 0.0, None, 0, 0, ""
    for problem in problems:
        calls += 1
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                p = as_array(target(problem.x, problem.total)).astype(np.float64)
            if p.shape != (problem.n,) or not np.isfinite(p).all():
                raise ValueError("not n finite numbers")
        except Exception as raised:
            unanswered, reason = unanswered + 1, reason or f"{type(raised).__name__}: {raised}"
            continue
        off = error_in_eps(p, problem.solution.p, 1.0)
        if where is None or off > error:
            error, where = off, problem
    return Worst(error, where, calls, unanswered, reason)


if (
    __name__ == "__main__"
):  # in a process of its own: python -m hsproj_verify.scoreboard.errors TARGET SEED EXAMPLES FILE
    import sys

    name, seed, examples, file = sys.argv[1:]
    found = {}
    for family, worst in worst_errors(load(name), int(seed), int(examples)):
        found[family] = worst.to_dict()  # one by one: the next call may never return
        Path(file).write_text(json.dumps(found), encoding="utf-8")
