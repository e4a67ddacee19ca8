"""What a target refuses plainly, before it is judged: "says so or is found out".

Each claim that a target has not made itself but is assumed of it, `Target.assumed`, is tried on plain calls. If all that need
it raise, the target does not make the claim, and the report says what was raised. What came of the calls is kept, for a
check to judge as it judges all others: these are the first calls of the process.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from hsproj_verify.problems import Problem, array_source, number_source
from hsproj_verify.target import Target, takes_scores_only

_PLAIN = {
    "vectors": ("row", "scores of shape (n,) raise"),
    "batch": ("rows", "scores of shape (2, n) raise"),
    "float64": ("float64", "float64 scores raise"),
    "float32": ("float32", "float32 scores raise"),
}
_NEEDED = {
    "row": ("vectors",),
    "rows": ("batch", "one-k"),
    "own-k": ("batch", "own-k"),
    "vjp": ("vjp",),
    "jvp": ("jvp",),
}


@dataclass(frozen=True)
class PlainCall:
    """A call that any implementation takes which claims what is needed for it.

    Attributes
    ----------
    kind : str
        "row", "rows" (with one k), "own-k" (rows with a k each), "vjp" or "jvp" (of one row).
    problems : tuple of Problem
        A problem for each row.

    Examples
    --------
    >>> from hsproj_verify import Target
    >>> from hsproj_verify.probing import plain_calls
    >>> target = Target("t", lambda x, k: x).without("float32")
    >>> [call.kind for call in plain_calls(target)]
    ['row', 'rows', 'own-k']
    """

    kind: str
    problems: tuple[Problem, ...]

    def ask(self, target: Target) -> Any:
        """What came of the call: a copy of the answer, or the exception that it raised."""
        x, k, *vector = self._arguments
        functions = {"vjp": target.pull_back, "jvp": target.push_forward}
        try:
            came = functions.get(self.kind, target)(x, k, *vector)
            return came.copy() if isinstance(came, np.ndarray) else came
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a target must not end the judge
            return error

    def source(self, target: Target) -> str:
        """The call as Python."""
        x, k, *vector = self._arguments
        name = self.kind if self.kind in ("vjp", "jvp") else "project"
        total = array_source(k) if isinstance(k, np.ndarray) else number_source(k)
        return target.call_source(
            name, array_source(x), total, *map(array_source, vector), temperature="1.0", ndim=x.ndim
        )

    def lacks(self, target: Target) -> str:
        """Why the target is not to be asked this, by its claims; empty if it is."""
        missing = [claim for claim in _NEEDED[self.kind] if claim not in target.claims]
        return target.why_not(missing[0]) if missing else target.lacks(self.problems[0])

    @property
    def truth(self) -> list[list[Fraction]]:
        """The exact answer, by rows."""
        *_, v = self._arguments
        solutions = [problem.solution for problem in self.problems]
        return [[*s.vjp(v.tolist())] if self.kind in ("vjp", "jvp") else [*s.p] for s in solutions]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its scores, and of the answer."""
        return self._arguments[0].shape  # type: ignore[no-any-return]

    @property
    def _arguments(self) -> list[Any]:
        first = self.problems[0]
        if self.kind in ("vjp", "jvp"):
            return [first.x, first.total, (np.arange(first.n) % 3 - 0.5).astype(first.dtype)]
        if self.kind == "row":
            return [first.x, first.total]
        totals = np.array([problem.total for problem in self.problems])
        return [np.stack([problem.x for problem in self.problems]), totals if self.kind == "own-k" else first.total]


def plain_calls(target: Target) -> Iterator[PlainCall]:
    """The first calls of a target: in each way and dtype that it claims."""
    for dtype in ("float64", "float32"):
        if dtype not in target.claims:
            continue
        row = _row(target, dtype)
        reverse = row.with_scores(row.scores[::-1])
        calls = (
            PlainCall("row", (row,)),
            PlainCall("rows", (row, reverse)),
            PlainCall("own-k", (row, reverse.with_scores(reverse.scores, k=row.k + 1))),
        )
        yield from (call for call in calls if {*_NEEDED[call.kind]} <= {*target.claims})


def _row(target: Target, dtype: str) -> Problem:
    k = 1.0 if target.fixed_k is None else target.fixed_k
    scores = np.arange(2 * math.ceil(k) + 1)[::-1] / 4.0
    return Problem(tuple(scores.tolist()), float(k), dtype=dtype, constraint=target.constraint)


def probe(target: Target) -> Target:
    """The target without the claims that it is found not to keep, and with what came of its first calls.

    Examples
    --------
    >>> from hsproj_verify import Target
    >>> from hsproj_verify.probing import probe
    >>> def project(x, k):
    ...     if x.ndim > 1:
    ...         raise ValueError("one row, please")
    ...     return x * 0 + k / x.size
    >>> probe(Target("t", project)).why_not("batch")
    'found out: scores of shape (2, n) raise ValueError: one row, please'
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        target = _with_its_total(target)
        came = {**target.first_calls}
        refused: dict[tuple[str, str], str] = {}
        for call in plain_calls(target):
            came[call] = call.ask(target)
            refused[call.kind, call.problems[0].dtype] = _refusal(came[call])
        found = _found(refused)
        narrower = _lacking(target, found)
        working = [dtype for (_, dtype), reason in refused.items() if not reason]
        for claim, what, call in _further_calls(target, working):
            if claim in narrower.claims and claim in target.assumed:
                came[call] = call.ask(narrower)
                if reason := _refusal(came[call]):
                    narrower = _lacking(narrower, {claim: f"{what} {reason}"})
                    if claim == "any-k":
                        narrower = narrower.solving(fixed_k=1)
    return replace(narrower, first_calls=came)


def _found(refused: dict[tuple[str, str], str]) -> dict[str, str]:
    """Claims that are refused by all calls that need them, and what was raised; none if no call got an answer."""
    dtypes = [dtype for (_, dtype), reason in refused.items() if not reason]
    if not dtypes:
        return {}
    found: dict[str, str] = {}
    # Rows are taken if they are taken in one of two ways.
    taken = {case: reason for case, reason in refused.items() if case[0] != "own-k"}
    for (kind, dtype), reason in refused.items():
        if kind == "own-k":
            one = taken.get(("rows", dtype), reason)
            taken["rows", dtype] = one and reason
            if one and not reason:
                found["one-k"] = f"one k for all rows raises {one}"
    for claim, (kind, what) in _PLAIN.items():
        reasons = {case: reason for case, reason in taken.items() if kind in case}
        if reasons and all(reasons.values()):
            # What raises with a kind, or a dtype, that works otherwise says more.
            works = {part for case, reason in taken.items() if not reason for part in case}
            telling = [reason for case, reason in reasons.items() if works & {*case}]
            found[claim] = f"{what} {next(iter([*telling, *reasons.values()]))}"
    if own := refused.get(("own-k", dtypes[0])):
        found["own-k"] = f"a k for each row raises {own}"
    return found


def _further_calls(target: Target, dtypes: Sequence[str]) -> Iterator[tuple[str, str, PlainCall]]:
    """Calls of a dtype that works, each with the claim that it is about and what it says of a target that raises."""
    if dtypes:
        row = _row(target, dtypes[0])
        yield "any-k", "k = 1 is taken, k = 2 raises", PlainCall("row", (row.with_scores(row.scores, k=2.0),))
        yield "real-k", "k = 1.5 raises", PlainCall("row", (row.with_scores(row.scores, k=1.5),))
        if "float64" in dtypes:
            whole = row.with_scores(4 * row.x, dtype="int64")
            yield "integers", "integer scores raise", PlainCall("row", (whole,))
        yield "vjp", "its vjp raises", PlainCall("vjp", (row,))
        yield "jvp", "its jvp raises", PlainCall("jvp", (row,))


def _with_its_total(target: Target) -> Target:
    """The target as it is or, if its function takes no k, with the k that its p adds up to."""
    if target.fixed_k is not None or "any-k" not in target.assumed or not takes_scores_only(target.project):
        return target
    plain = Problem((0.5, 0.25, 0.0, -0.25), 1.0, constraint=target.constraint)
    rows = [replace(plain, dtype=dtype) for dtype in ("float64", "float32") if dtype in target.claims]
    for row, kind in itertools.product(rows, ("row", "rows")):
        asked = replace(target, fixed_k=1)  # called without k, whatever it is
        came = PlainCall(kind, (row,)).ask(asked)
        try:
            total = float(np.sum(np.asarray(came, dtype=np.float64)))
        except Exception:  # the checks will tell
            continue
        if 0 <= total <= row.n:
            k = round(total) if abs(total - round(total)) < 1e-3 else total
            note = f"found out: it takes no k, and its p adds up to {k}"
            call = PlainCall(kind, (row.with_scores(row.scores, k=float(k)),))
            return replace(
                target, fixed_k=k, note="; ".join(filter(None, (target.note, note))), first_calls={call: came}
            )
    return target


def _lacking(target: Target, found: dict[str, str]) -> Target:
    reasons = {claim: f"found out: {what}" for claim, what in found.items() if claim in target.assumed}
    notes = [target.note, *(reasons[claim] for claim in reasons if claim in target.claims)]
    return replace(target, note="; ".join(filter(None, notes))).lacking(reasons)


def _refusal(came: Any) -> str:
    """The exception as text; empty if an answer came, whatever it is."""
    return f"{type(came).__name__}: {came}".partition("\n")[0][:200] if isinstance(came, BaseException) else ""
