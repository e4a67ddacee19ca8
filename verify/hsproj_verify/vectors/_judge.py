"""Judges a target on vectors: its projection, and its vjp where it has one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, combinations

import numpy as np

from hsproj_verify.case import Case, Raised, Unclaimed, as_array, fractions
from hsproj_verify.checks import Check
from hsproj_verify.isolation import Job, Recipe
from hsproj_verify.oracles.hull import is_outside
from hsproj_verify.problems import as_float
from hsproj_verify.recording import Terms
from hsproj_verify.report import Result
from hsproj_verify.runner import TIMEOUT, judging
from hsproj_verify.target import Target
from hsproj_verify.vectors._flags import near_kink
from hsproj_verify.vectors._format import Vector

NEEDED = {"Infinities": "infinities", "Magnitude": "offsets"}
"""Flags of vectors that only targets with such a claim are judged on, beside those that `Target.lacks` asks for."""

_MOST_KINKS = 10  # of which all subsets are tried


@dataclass(frozen=True)
class Verdict:
    """What came of one vector and one function of a target, "project" or "vjp"."""

    vector: Vector
    function: str
    result: Result


def judge(
    recipe: Recipe,
    vectors: Iterable[Vector],
    tolerance: float = 8.0,
    timeout: float = TIMEOUT,
    workers: int | None = None,
) -> Iterator[Verdict]:
    """The verdicts, as they come; never raises on a failure. Each vector is a check: its call may hang, or die, like any."""
    asked = {
        f"{vector.id} / {function}": (vector, function)
        for vector in vectors
        for function in ("project", "vjp")
        if function == "project" or vector.result == "valid"
    }
    jobs = [Job(Check(name, "vectors", (), 1.0, True, partial(ask, *what)), draws=[]) for name, what in asked.items()]
    with judging(recipe, Terms(0, 1, tolerance), timeout, workers) as court:
        for event in court.run(jobs):
            if isinstance(event, Result):
                vector, function = asked[event.name]
                assert court.loaded is not None
                if function == "project" or "vjp" in court.loaded.claims:
                    yield Verdict(vector, function, event)


def ask(vector: Vector, function: str, case: Case) -> None:
    """One vector, as a check."""
    if reason := _not_claimed(case.target, vector, function):
        raise Unclaimed(reason)
    (_project if function == "project" else _vjp)(case, vector)


def _not_claimed(target: Target, vector: Vector, function: str) -> str:
    if lacks := target.lacks(vector.problem):
        return lacks
    needed = [
        *(["vjp"] if function == "vjp" else []),
        "equality",
        *(NEEDED[flag] for flag in vector.flags if flag in NEEDED),
    ]
    needed += ["errors"] * (vector.result == "invalid")
    missing = [claim for claim in needed if claim not in target.claims]
    if missing:
        return f"{missing[0]} not claimed: {target.why_not(missing[0])}"
    if function == "vjp" and "Temperature" in vector.flags and not target.pulls_back_temperatures:
        return "temperature not claimed: the vjp takes none"
    return ""


def _project(case: Case, vector: Vector) -> None:
    if vector.result == "invalid":
        return _refuses(case, vector)
    problem, truth, nearest = vector.problem, vector.p, vector.nearest
    assert truth is not None
    if "EmptyRow" in vector.flags:
        try:
            case.call(case.target, problem.x, problem.total, problem.temperature)
        except Raised as raised:
            raise Unclaimed(f"EmptyRow: it raised {raised}") from raised
    p = case.project(problem)
    errors = [abs(a - b) / (1 + b) for a, b in zip(fractions(p), truth, strict=True)]
    worst = as_float(max(errors, default=Fraction(0)) / Fraction(problem.eps))
    if not worst <= case.tolerance * _leeway(vector):
        raise case.failure(problem, f"off by {worst:.3g} eps (1 + p)", p, truth)
    if "exact" in case.target.claims and not ((p >= 0) & (p <= 1)).all():
        raise case.failure(problem, "an entry lies outside [0, 1]", p, truth)
    if "rounded" in case.target.claims and tuple(p.tolist()) != nearest:
        raise case.failure(problem, "not the nearest float, as it claims to be", p, truth)


def _leeway(vector: Vector) -> float:
    return 1 + vector.k / max(sum(vector.free or ()), 1) if "LongRow" in vector.flags else 1.0


def _refuses(case: Case, vector: Vector) -> None:
    problem = vector.problem
    try:
        came = as_array(case.call(case.target, problem.x, problem.total, problem.temperature))
    except Raised:
        return
    if not came.size or not np.isnan(came).all():
        raise case.failure(problem, "accepted, though there is no answer", came, ())


def _vjp(case: Case, vector: Vector) -> None:
    problem, cotangent = vector.problem, vector.cotangent
    assert cotangent is not None
    if "VjpOverflow" in vector.flags:
        raise Unclaimed("VjpOverflow: beyond the largest float")
    if "EmptyRow" in vector.flags:
        raise Unclaimed("EmptyRow: nothing to differentiate")
    g = np.array(cotangent, dtype=vector.dtype)
    came = case.pull_back(problem, g)
    unit = Fraction(problem.eps) * max(map(abs, map(Fraction, cotangent))) / Fraction(problem.temperature)
    long_row = 1 + math.sqrt(len(vector.x)) if "LongRow" in vector.flags else 1.0
    least = Fraction(float(np.finfo(vector.dtype).smallest_subnormal))  # no float is nearer than half of that
    allowed = 2 * Fraction(case.tolerance * long_row) * unit + least
    assert vector.vjp is not None
    off = _distance(came, vector.vjp)
    if off <= allowed:
        return
    near = near_kink(vector)
    if sum(near) > _MOST_KINKS:
        raise Unclaimed(f"Kink: {sum(near)} scores at kinks have too many derivatives to try them all")
    right = [vector.vjp, *other_vjps(vector, near)]
    if is_outside(fractions(came), right, allowed):
        raise case.failure(problem, f"the vjp is off by {as_float(off):.3g}", came, vector.vjp, cotangent=g)


def _distance(came: np.ndarray, right: tuple[Fraction, ...]) -> Fraction:
    return max((abs(a - b) for a, b in zip(fractions(came), right, strict=True)), default=Fraction(0))


def other_vjps(vector: Vector, near: list[bool]) -> Iterator[tuple[Fraction, ...]]:
    """The vjp of each free set that is as right as the exact one: with any of the scores at kinks, or next to them.

    Some entry must be free beyond them, or scores at both kinds of kinks must join together: ones among themselves, or zeros
    among themselves, have nothing to exchange, since their sum is fixed at its bound.
    """
    assert vector.threshold is not None
    assert vector.free is not None
    assert vector.cotangent is not None
    low, tau = vector.threshold[0], Fraction(vector.temperature)
    base = [i for i, free in enumerate(vector.free) if free and not near[i]]
    at = [i for i, close in enumerate(near) if close]
    is_upper = {i: 2 * (Fraction(vector.x[i]) - (low or 0)) > tau for i in at}
    for joining in chain.from_iterable(combinations(at, m) for m in range(len(at) + 1)):
        free = [*base, *joining]
        if joining and not base and len({is_upper[i] for i in joining}) < 2:
            continue
        mean = sum((Fraction(vector.cotangent[i]) for i in free), Fraction(0)) / max(len(free), 1)
        yield tuple(
            (Fraction(vector.cotangent[i]) - mean) / tau if i in free else Fraction(0) for i in range(len(vector.x))
        )
