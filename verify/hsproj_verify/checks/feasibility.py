"""Checks of feasibility and optimality: a point of the hypersimplex, and the nearest one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from hsproj_verify.case import MODERATE, Case, fractions, total_of
from hsproj_verify.checks._registry import check
from hsproj_verify.problems import as_float


@check("feasibility", "exact")
def entries_lie_in_the_unit_interval(case: Case) -> None:
    """0 <= p <= 1 in every entry, with no tolerance: whoever takes sqrt(p) or log(1 - p) next has none either.

    Made for: Softmax times k exceeds 1; solvers of the quadratic program return -1e-9, and a logarithm of it NaN.
    """
    problem = case.problem()
    p = case.project(problem)
    if not np.all((p >= 0) & (p <= 1)):
        raise case.failure(problem, "an entry is outside [0, 1]", p)


@check("feasibility")
def total_is_k(case: Case) -> None:
    """The entries sum to k, up to their own rounding; where sum p <= k is solved, to what the exact ones sum to.

    Made for: pyproximal 0.13 at its default tolerance: 1000 scores of .1234 with k = 1 sum to 1.0016.
    """
    problem = case.problem()
    p = case.project(problem)
    allowed = Fraction(case.allowed(problem) * problem.eps) * (problem.n + Fraction(problem.k))
    if not np.isfinite(p).all() or abs(sum(fractions(p)) - sum(problem.solution.p, Fraction(0))) > allowed:
        total = problem.total if problem.constraint == "eq" else as_float(sum(problem.solution.p, Fraction(0)))
        raise case.failure(problem, f"the total is {total_of(p)!r}, not {total!r}", p)


@check("feasibility", "exact")
def zeros_have_no_sign(case: Case) -> None:
    """No entry is -0.0, which prints as such, and whose reciprocal is -inf.

    Made for: (x - theta) * mask, which is -0.0 below the threshold.
    """
    problem = case.problem(*MODERATE, "extreme-k")
    p = case.project(problem)
    if np.any((p == 0) & np.signbit(p)):
        raise case.failure(problem, "an entry is -0.0", p)


@check("optimality")
def one_threshold_explains_every_entry(case: Case) -> None:
    """P is optimal: a single theta has p_i = clip((x_i - theta) / tau, 0, 1) for all i (the KKT conditions).

    Made for: Equation 5 of arXiv 2602.23336 as printed projects x / 2; clipping and rescaling has the total, but no
    threshold.
    """
    problem = case.problem()
    p = case.project(problem)
    tau = Fraction(problem.temperature)
    rounding = case.allowed(problem) * problem.eps  # an entry this close to 0 or 1 may be meant to be just that
    slack = 2 * Fraction(rounding) * tau
    # A bound on the total can only lower what x asks for.
    at_least, at_most = [Fraction(0) for _ in range(problem.constraint == "le")], []
    for x, entry in zip(map(Fraction, problem.scores), p, strict=True):
        theta = x - tau * Fraction(float(entry)) if np.isfinite(entry) else x
        if entry > rounding:
            at_most.append(theta + slack)
        if entry < 1 - rounding:
            at_least.append(theta - slack)
    if not np.isfinite(p).all() or (at_least and at_most and max(at_least) > min(at_most)):
        raise case.failure(problem, "no threshold explains all entries", p)
