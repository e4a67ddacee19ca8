"""Checks of what is counted in the end: wrong decisions, and missed positives, if the k highest scores are taken for ones.

Scores that are tied at the k-th place leave a choice. Whatever lies between the best and the worst choice passes.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from hsproj_verify.case import Case
from hsproj_verify.checks._draw import targets
from hsproj_verify.checks._registry import check
from hsproj_verify.problems import Problem


def _hits(problem: Problem, y: np.ndarray) -> tuple[int, int]:
    """The least and the largest number of positives among the k highest scores."""
    k = int(problem.k)
    kth = sorted(problem.scores, reverse=True)[k - 1] if k else math.inf
    above = [bool(t) for x, t in zip(problem.scores, y, strict=True) if x > kth]
    tied = [bool(t) for x, t in zip(problem.scores, y, strict=True) if x == kth]
    left = k - len(above)
    return sum(above) + max(left - tied.count(False), 0), sum(above) + min(left, sum(tied))


def _between(case: Case, problem: Problem, y: np.ndarray, kind: str, least: Fraction, most: Fraction) -> None:
    came = case.lose(problem, y, kind)
    room = Fraction(case.tolerance * problem.eps)
    if not (math.isfinite(came) and least - room <= Fraction(came) <= most + room):
        span = f"{least}" if least == most else f"between {least} and {most}"
        reason = f"the loss is {came!r}; it is {span}"
        raise case.failure(problem, reason, repr(came), [least, most], companion=(kind, y))


def _posed(case: Case) -> tuple[Problem, np.ndarray]:
    """A problem, now and then one with a tie at the k-th place, and targets."""
    from hypothesis import strategies as st

    problem = case.problem("ordinary", "tied", "saturated-and-tied", "float32", min_size=2, temperature=False)
    k, order = math.floor(problem.k), sorted(problem.scores, reverse=True)
    splitting = [i for i in range(1, problem.n) if order[i - 1] == order[i]]
    if case.target.fixed_k is not None:
        if k != case.target.fixed_k:
            case.reject()
    elif splitting and case.draw(st.booleans()):
        k = case.draw(st.sampled_from(splitting))
    problem = problem.with_scores(problem.scores, k=float(k))
    return problem, targets(case, problem)


@check("losses", "zero-one")
def zero_one_loss_counts_wrong_decisions(case: Case) -> None:
    """Of n decisions, k ones for the highest scores and zeros for the others, the share that is not the target.

    Made for: A threshold at 0 or 1/2 instead of k ones, counts instead of shares, and half the count, as the HyperSimplex
    loss has it.
    """
    problem, y = _posed(case)
    n, k, positives = problem.n, int(problem.k), int(y.sum())
    least, most = (Fraction(k + positives - 2 * hits, n) for hits in reversed(_hits(problem, y)))
    _between(case, problem, y, "zero_one_loss", least, most)


@check("losses", "top-k-zero-one")
def top_k_zero_one_loss_counts_missed_positives(case: Case) -> None:
    """Of the positives, the share that is not among the k highest scores; 1 or 0 where there is one positive.

    Made for: The share of the k that are wrong, which is another number where k is not the number of positives.
    """
    problem, y = _posed(case)
    positives = int(y.sum())
    if not positives:
        case.reject()
    least, most = (1 - Fraction(hits, positives) for hits in reversed(_hits(problem, y)))
    _between(case, problem, y, "top_k_zero_one_loss", least, most)
