"""One example of a check: draws inputs the target claims to take, calls it, and fails with a witness to paste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from hsproj_verify.problems import Problem, array_source, error_in_eps
from hsproj_verify.target import Target

if TYPE_CHECKING:
    from hypothesis.strategies import DataObject


@dataclass(frozen=True)
class Witness:
    """A failing case: Python to paste, what came, and the exact answer."""

    code: str
    came: str
    exact: str


class CheckFailure(Exception):  # noqa: N818 - a verdict, not an error of the judge
    """The target broke the property a check is about."""

    def __init__(self, reason: str, witness: Witness) -> None:
        super().__init__(reason)
        self.reason = reason
        self.witness = witness


@dataclass(frozen=True)
class Case:
    """One example of a check: draws inputs, calls the target, and knows how to fail with a witness."""

    target: Target
    data: DataObject
    tolerance: float

    def draw(self, strategy: Any) -> Any:
        """A value from a Hypothesis strategy."""
        return self.data.draw(strategy)

    def problem(self, *families: str, min_size: int = 1, temperature: bool = True) -> Problem:
        """A problem of one of the families (of any, by default) that the target claims to take."""
        from hypothesis import strategies as st

        from hsproj_verify.strategies import FAMILIES, problems

        claimed = [f for f in families or FAMILIES if _FAMILY_CLAIMS.get(f, "batch") in {*self.target.claims, "batch"}]
        family = self.draw(st.sampled_from(claimed))
        claims = self.target.claims
        with_temperature = temperature and "temperature" in claims
        return self.draw(  # type: ignore[no-any-return]
            problems(family, temperature=with_temperature, real_k="real-k" in claims, min_size=min_size)
        )

    def project(self, problem: Problem, x: np.ndarray | None = None) -> np.ndarray:
        """The target's answer to one row, as float64; fails if it raises or is no row of numbers."""
        scores = problem.x if x is None else x
        return self.numbers(self.answer(problem, scores), problem, problem.n)

    def answer(self, problem: Problem, x: np.ndarray) -> Any:
        """The target's answer as it came; fails if it raises."""
        try:
            return self.target(x, problem.total, problem.temperature)
        except Exception as error:
            raise self.failure(problem, f"it raised {type(error).__name__}: {error}", repr(error)) from error

    def numbers(self, came: Any, problem: Problem, *shape: int, doing: str = "project") -> np.ndarray:
        """What came, as a float64 array of this shape."""
        try:
            array = np.asarray(came)
            numeric = array.astype(np.float64)
        except (TypeError, ValueError):
            raise self.failure(problem, f"it returned {type(came).__name__}, not numbers", repr(came)) from None
        if array.dtype.kind not in "biuf":
            raise self.failure(problem, f"it returned dtype {array.dtype}, not real numbers", repr(came))
        if array.shape != shape:
            raise self.failure(problem, f"{doing} returned shape {array.shape} for shape {shape}", repr(came))
        return numeric

    def pull_back(self, problem: Problem, g: np.ndarray) -> np.ndarray:
        """The target's vjp of one row, as float64."""
        try:
            came = self.target.pull_back(problem.x, problem.total, g, problem.temperature)
        except Exception as error:
            reason = f"its vjp raised {type(error).__name__}: {error}"
            raise self.failure(problem, reason, repr(error), cotangent=g) from error
        return self.numbers(came, problem, problem.n, doing="vjp")

    def reject(self) -> None:
        """Give this example up: it does not have what the check is about."""
        from hypothesis import reject

        reject()

    def failure(
        self,
        problem: Problem,
        reason: str,
        came: Any,
        truth: Sequence[Fraction] | None = None,
        *,
        cotangent: np.ndarray | None = None,
    ) -> CheckFailure:
        """What to raise: the reason, the call as Python, what came, and the truth (by default the exact projection)."""
        lines = ["import numpy as np", self.target.origin, f"x = {array_source(problem.x)}"]
        option = "" if problem.temperature == 1.0 else f", temperature={problem.temperature!r}"
        if cotangent is None:
            lines.append(f"function(x, {problem.total!r}{option})")
        else:
            lines.append(f"vjp(x, {problem.total!r}, {array_source(cotangent)}{option})")
        return failed(reason, lines, came, problem.solution.p if truth is None else truth)

    def close(
        self, p: np.ndarray, problem: Problem, what: str, own: np.ndarray | None = None, factor: float = 1.0
    ) -> None:
        """Fail unless p is within the tolerance (times `factor`) of the exact answer, or of the target's `own` other one."""
        truth = problem.solution.p if own is None else fractions(own)
        error = error_in_eps(p, truth, problem.eps)
        if not error <= self.tolerance * factor:
            against = "" if own is None else f" from {array_source(own)}"
            raise self.failure(problem, f"{what}: off by {error:.3g} eps (1 + p){against}", p)


# What checks of structure and calling draw from: a target that only fails at 1e300 fails there, and not everywhere.
MODERATE = ("ordinary", "tied", "saturated-and-tied")
_FAMILY_CLAIMS = {"huge-offset": "offsets", "huge-scale": "offsets", "float32": "float32"}


def failed(reason: str, lines: Sequence[str], came: Any, truth: Sequence[Fraction]) -> CheckFailure:
    """What to raise: the call as lines of Python, what came, and the truth; of long rows, what is furthest off."""
    code = "\n".join(line for line in lines if line)
    if isinstance(came, np.ndarray) and came.ndim == 1 and came.size == len(truth) > _SHOWN:
        # Of a long row, the entries that are furthest off.
        worst = np.argsort([-float(abs(a - b)) for a, b in zip(fractions(came), truth, strict=True)], kind="stable")[:5]
        at = f" at {worst.tolist()}, the worst of {came.size}"
        return CheckFailure(
            reason, Witness(code, array_source(came[worst]) + at, describe([truth[i] for i in worst]) + at)
        )
    shown = array_source(came) if isinstance(came, np.ndarray) else str(came)
    return CheckFailure(reason, Witness(code, shown, describe(truth)))


_SHOWN = 40


def describe(values: Sequence[Fraction]) -> str:
    """Rationals a person can read: as they are while short, else as the nearest float64."""
    return "[" + ", ".join(str(v) if v.denominator < 10**6 and abs(v) < 10**6 else repr(float(v)) for v in values) + "]"


def fractions(array: np.ndarray) -> list[Fraction]:
    """Entries as rationals; NaN and infinities as a number beyond all floats, far from every answer."""
    return [Fraction(float(v)) if np.isfinite(v) else Fraction(2) ** 1100 for v in array]
