"""Results of checks, and the report they make: verdict, counts, JSON; other formats are a module each."""

from __future__ import annotations

import enum
import json
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hsproj_verify.case import Witness
from hsproj_verify.errors import Measurement, Worst, merged
from hsproj_verify.report.text import printable, shortened

SCHEMA = "hsproj-verify/report/2"


class Outcome(enum.Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    EXPECTED_FAILURE = "expected_failure"
    UNEXPECTED_PASS = "unexpected_pass"


class JudgedWrongError(AssertionError):
    """Raised by `Report.raise_for_failures`."""


@dataclass(frozen=True)
class Result:
    """One check on one target.

    Attributes
    ----------
    name, level : str
    outcome : Outcome
    reason : str
        Why, unless it passed.
    witness : Witness, optional
        The failing case.
    executed : int
        Examples that ran to a verdict.
    replay : mapping, optional
        What `hsproj_verify.runner.replay` runs again.
    cause : str
        The known bug that the failure looks like, if any.
    worst : Worst, optional
        The largest error that the check measured, if it measures any.
    measured : tuple of Measurement
        The largest error of each family, dtype and range of lengths.
    seconds : float
        How long it took.
    """

    name: str
    level: str
    outcome: Outcome
    reason: str
    witness: Witness | None
    executed: int
    replay: Mapping[str, Any] | None = None
    cause: str = ""
    worst: Worst | None = None
    measured: tuple[Measurement, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON report."""
        return {
            "name": self.name,
            "level": self.level,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "cause": self.cause,
            "executed": self.executed,
            "witness": self.witness and _witness(self.witness),
            "replay": self.replay,
            "worst": self.worst
            and {
                "error": _number(self.worst.error),
                "family": self.worst.family,
                "dtype": self.worst.dtype,
                "n": self.worst.n,
                "witness": _witness(self.worst.witness),
            },
            "measured": [{**vars(measured), "error": _number(measured.error)} for measured in self.measured],
        }


def _witness(witness: Witness) -> dict[str, str]:
    return {"code": witness.code, "came": witness.came, "exact": witness.exact}


def _number(error: float) -> float | None:
    """JSON has no infinity."""
    return error if math.isfinite(error) else None


@dataclass(frozen=True)
class Level:
    """The checks of one level."""

    name: str
    results: tuple[Result, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of checks by outcome."""
        return _counts(self.results)

    @property
    def worst(self) -> Worst | None:
        """The largest error that one of them measured."""
        return _worst(self.results)


def _counts(results: Iterable[Result]) -> dict[str, int]:
    outcomes = [result.outcome for result in results]
    return {
        "passed": outcomes.count(Outcome.PASSED),
        "failed": outcomes.count(Outcome.FAILED),
        "skipped": outcomes.count(Outcome.SKIPPED),
        "expected_failures": outcomes.count(Outcome.EXPECTED_FAILURE),
        "unexpected_passes": outcomes.count(Outcome.UNEXPECTED_PASS),
    }


def counted(counts: Mapping[str, int]) -> str:
    """Counts that are not 0, in words."""
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)


def _worst(results: Iterable[Result]) -> Worst | None:
    return max((r.worst for r in results if r.worst is not None), key=lambda worst: worst.error, default=None)


@dataclass(frozen=True)
class Alike:
    """Failures that say the same: of one likely cause or, where none is known, of reasons that differ in numbers only."""

    results: tuple[Result, ...]
    of: int

    @property
    def headline(self) -> str:
        """How many they are, and what they say."""
        first = self.results[0]
        said = f"likely cause: {first.cause}" if first.cause else first.reason
        return f"{len(self.results)} of {self.of} checks failed alike: {said}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the checks."""
        return tuple(result.name for result in self.results)


_NUMBERS = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?|\binf\b|\bnan\b")
_TUPLES = re.compile(r"\(#?(, ?#)*,?\)")
_MANY = 3  # so many failures that are alike are told together


def _kind(result: Result) -> str:
    """The same for failures that are alike."""
    return result.cause or _TUPLES.sub("(#)", _NUMBERS.sub("#", result.reason))


@dataclass(frozen=True)
class Report:
    """The verdict on one target.

    Attributes
    ----------
    target, note : str
    seed, examples : int
    tolerance : float
        In units of eps (1 + p).
    results : tuple of Result
    interrupted : bool
        Whether somebody ended the run before all checks had ended.
    """

    target: str
    note: str
    seed: int
    examples: int
    tolerance: float
    results: tuple[Result, ...]
    interrupted: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Number of checks by outcome."""
        return _counts(self.results)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The results by level, in the order in which they run."""
        names = dict.fromkeys(result.level for result in self.results)
        return tuple(Level(name, tuple(r for r in self.results if r.level == name)) for name in names)

    @property
    def worst(self) -> Worst | None:
        """The largest error that a check measured."""
        return _worst(self.results)

    @property
    def measured(self) -> tuple[Measurement, ...]:
        """The largest error of each family, dtype and range of lengths, in whatever check."""
        return merged(measured for result in self.results for measured in result.measured)

    @property
    def verdict(self) -> str:
        """The word: pass or fail. An unexpected pass fails, and so does a run that was interrupted or executed no check."""
        return "fail" if self.failures or self.lack else "pass"

    @property
    def lack(self) -> str:
        """What the run as a whole lacks for a verdict on the target, if anything."""
        if self.interrupted:
            return "interrupted: a partial report"
        return "" if self.executed else "no check was executed"

    @property
    def executed(self) -> int:
        """Number of checks that were not skipped."""
        return len(self.results) - self.counts["skipped"]

    def raise_for_failures(self) -> None:
        """Raise an AssertionError that shows the failures as `print` does, if the verdict is "fail"."""
        if self.verdict == "fail":
            raise JudgedWrongError("\n\n".join([self.headline, *self.texts()]))

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that make the verdict "fail"."""
        return tuple(r for r in self.results if r.outcome in (Outcome.FAILED, Outcome.UNEXPECTED_PASS))

    @property
    def alike(self) -> tuple[Alike, ...]:
        """Failures that are alike, where there are three of them or more: the largest group first."""
        groups: dict[str, list[Result]] = {}
        for result in self.failures:
            groups.setdefault(_kind(result), []).append(result)
        many = [Alike(tuple(group), self.executed) for group in groups.values() if len(group) >= _MANY]
        return tuple(sorted(many, key=lambda group: -len(group.results)))

    def texts(self, longest: int | None = None) -> Iterator[str]:
        """The failures for people: those that are alike told once, with the first witness, and then the others."""
        told = {name for group in self.alike for name in group.names}
        for group in self.alike:
            shown = failure_text(replace(group.results[0], cause=""), longest).splitlines()
            if not group.results[0].cause:
                del shown[0]  # what the headline says
            lines = [f"    {line.removeprefix('    ')}" for line in shown]
            names = textwrap.wrap(", ".join(group.names), 110, initial_indent="    in ", subsequent_indent="       ")
            yield "\n".join([shortened(printable(group.headline), longest), *lines, *names])
        yield from (failure_text(result, longest) for result in self.failures if result.name not in told)

    @property
    def headline(self) -> str:
        """The verdict in a line."""
        said = [self.lack, counted(self.counts), f"seed {self.seed}"]
        return f"{self.target}: {self.verdict.upper()} ({'; '.join(part for part in said if part)})"

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON report."""
        return {
            "schema": SCHEMA,
            "target": self.target,
            "note": self.note,
            "verdict": self.verdict,
            "interrupted": self.interrupted,
            "seed": self.seed,
            "examples": self.examples,
            "tolerance": self.tolerance,
            "counts": self.counts,
            "alike": [{"headline": group.headline, "checks": [*group.names]} for group in self.alike],
            "checks": [result.to_dict() for result in self.results],
        }

    def write(self, path: str | Path) -> None:
        """Write the report in the format of the suffix: .json, .xml (JUnit) or .html (one page that needs no other file).

        Raises
        ------
        ValueError
            If the suffix is another one.
        """
        path = Path(path)
        if path.suffix not in _FORMATS:
            raise ValueError(f"a report's name must end in {' or '.join(SUFFIXES)}; got {path}")
        path.write_text(_FORMATS[path.suffix](self), encoding="utf-8")

    def print(self) -> None:
        """Show the report on standard output: failures with their witnesses, then the table, then the verdict."""
        from hsproj_verify.report.terminal import show

        show(self)


def _json(report: Report) -> str:
    return json.dumps(report.to_dict(), indent=2) + "\n"


def _junit(report: Report) -> str:
    from hsproj_verify.report.junit import junit

    return junit(report)


def _page(report: Report) -> str:
    from hsproj_verify.report.page import page

    return page(report)


_FORMATS: dict[str, Callable[[Report], str]] = {".json": _json, ".xml": _junit, ".html": _page}

SUFFIXES = tuple(_FORMATS)
"""What the name of a report may end in."""


def failure_text(result: Result, longest: int | None = None) -> str:
    """A failure with its witness, for people; lines longer than `longest` characters are cut."""
    lines = [f"{result.level} / {result.name}: {result.reason}"]
    if result.cause:
        lines.append(f"    likely cause: {result.cause}")
    if result.witness is not None:
        lines += [f"    {line}" for line in witness_lines(result.witness)]
    return "\n".join(shortened(printable(line), longest) for line in lines)


def witness_lines(witness: Witness) -> list[str]:
    """A witness as Python: the code, and in comments what came and what is exact."""
    return [*witness.code.splitlines(), f"# came:  {witness.came}", f"# exact: {witness.exact}"]
