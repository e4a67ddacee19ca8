"""Makes the vectors: problems by group in, vectors with their exact answers out, and their files written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from hsproj_verify.oracles import exact
from hsproj_verify.vectors._flags import FLAGS, flags_of
from hsproj_verify.vectors._format import Group, Vector, digest, to_text
from hsproj_verify.vectors._groups import RECIPES, Case, Draw, why_invalid


def made() -> Iterator[Group]:
    """All groups, made anew."""
    for name, recipe in RECIPES.items():
        yield Group(name, recipe.about, tuple(_vector(name, case) for case in recipe.cases(name)))


def write(folder: Path) -> list[Path]:
    """Write all files into a folder; returns them. The same bytes each time."""
    paths = []
    for group in made():
        path = folder / f"{group.name}.json"
        path.write_text(to_text(group, FLAGS), encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def _vector(group: str, case: Case) -> Vector:
    problem = case.problem
    inputs = Vector(
        "", case.comment, (), "invalid", problem.dtype, problem.scores, problem.k, problem.temperature, *[None] * 13
    )
    vector = inputs if why_invalid(problem) else _answered(inputs, _cotangent(case))
    return replace(vector, id=f"{group}-{digest(vector)}", flags=flags_of(vector))


def _cotangent(case: Case) -> tuple[float, ...]:
    """The case's own, or quarters that its problem determines: other cases come and go without changing it."""
    if case.cotangent is not None:
        return case.cotangent
    x, k, tau, dtype = case.problem.scores, case.problem.k, case.problem.temperature, case.problem.dtype
    draw = Draw(f"Problem(scores={x!r}, k={k!r}, temperature={tau!r}, dtype={dtype!r})")
    return tuple(draw.whole(-8, 8) / 4 for _ in x)


def _answered(inputs: Vector, cotangent: tuple[float, ...]) -> Vector:
    solution = exact.solve(inputs.x, inputs.k, inputs.temperature)
    vjp = solution.vjp(cotangent)

    def rounded(values: tuple[Fraction, ...], dtype: str) -> tuple[float, ...]:
        return tuple(float(exact.round_to(value, dtype)) for value in values)

    def mask(indices: tuple[int, ...]) -> tuple[bool, ...]:
        return tuple(i in indices for i in range(len(inputs.x)))

    return replace(
        inputs,
        result="valid",
        cotangent=cotangent,
        p=solution.p,
        p_float64=rounded(solution.p, "float64"),
        p_float32=rounded(solution.p, "float32"),
        threshold=(solution.theta_low, solution.theta_high),
        free=mask(solution.free),
        saturated=mask(solution.saturated),
        support=mask(solution.free + solution.saturated),
        lower_kinks=mask(solution.lower_kinks),
        upper_kinks=mask(solution.upper_kinks),
        vjp=vjp,
        vjp_float64=rounded(vjp, "float64"),
        vjp_float32=rounded(vjp, "float32"),
    )
