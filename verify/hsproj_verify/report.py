"""What came out: results of checks in; a verdict, tables for people and JSON for machines out."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsproj_verify.case import Witness

SCHEMA = "hsproj-verify/report/1"


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
    """One check on one target; `executed` counts the examples that ran to a verdict, `replay` runs a failing one again."""

    name: str
    level: str
    outcome: Outcome
    reason: str
    witness: Witness | None
    executed: int
    replay: Mapping[str, Any] | None = None
    cause: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON report."""
        witness = self.witness and {"code": self.witness.code, "came": self.witness.came, "exact": self.witness.exact}
        return {
            "name": self.name,
            "level": self.level,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "cause": self.cause,
            "executed": self.executed,
            "witness": witness,
            "replay": self.replay,
        }


@dataclass(frozen=True)
class Report:
    """The verdict on one target."""

    target: str
    note: str
    seed: int
    examples: int
    tolerance: float
    results: tuple[Result, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of checks by outcome."""

        def count(outcome: Outcome) -> int:
            return sum(result.outcome is outcome for result in self.results)

        return {
            "passed": count(Outcome.PASSED),
            "failed": count(Outcome.FAILED),
            "skipped": count(Outcome.SKIPPED),
            "expected_failures": count(Outcome.EXPECTED_FAILURE),
            "unexpected_passes": count(Outcome.UNEXPECTED_PASS),
        }

    @property
    def verdict(self) -> str:
        """The word: pass or fail. An unexpected pass fails, and so does a run in which no check was executed."""
        counts = self.counts
        executed = counts["passed"] + counts["expected_failures"]
        return "fail" if counts["failed"] or counts["unexpected_passes"] or not executed else "pass"

    def raise_for_failures(self) -> None:
        """Raise an AssertionError that shows every failure, if the verdict is "fail"."""
        if self.verdict == "fail":
            raise JudgedWrongError("\n\n".join([self.headline, *map(failure_text, self.failures)]))

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that make the verdict "fail"."""
        return tuple(r for r in self.results if r.outcome in (Outcome.FAILED, Outcome.UNEXPECTED_PASS))

    @property
    def headline(self) -> str:
        """The verdict in a line."""
        counted = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in self.counts.items() if number)
        return f"{self.target}: {self.verdict.upper()} ({counted or 'no check ran'}; seed {self.seed})"

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON report."""
        return {
            "schema": SCHEMA,
            "target": self.target,
            "note": self.note,
            "verdict": self.verdict,
            "seed": self.seed,
            "examples": self.examples,
            "tolerance": self.tolerance,
            "counts": self.counts,
            "checks": [result.to_dict() for result in self.results],
        }

    def write(self, path: str | Path) -> None:
        """Write the JSON report."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    def print(self) -> None:
        """Show the report on standard output: failures with their witnesses, then the table, then the verdict."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        if not console.is_terminal:
            console = Console(width=120)
        for result in self.failures:
            console.print(Text(failure_text(result)), end="\n\n", soft_wrap=True)
        table = Table(title=self.target, caption=self.note or None, title_justify="left", caption_justify="left")
        table.add_column("check", no_wrap=True)
        table.add_column("outcome")
        table.add_column("examples", justify="right")
        level = ""
        for result in self.results:
            if result.level != level:
                level = result.level
                table.add_section()
                table.add_row(Text(level, style="bold"), "", "")
            said = result.outcome.value.replace("_", " ")
            if result.outcome is Outcome.SKIPPED:
                said += f" ({result.reason.partition(':')[0]})"
            elif result.outcome is Outcome.EXPECTED_FAILURE:
                said += f" ({result.reason})"
            table.add_row(f"  {result.name}", Text(said, style=_STYLES[result.outcome]), str(result.executed))
        console.print(table)
        console.print(Text(self.headline, style="bold"), soft_wrap=True)


_STYLES = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "bold red",
    Outcome.SKIPPED: "dim",
    Outcome.EXPECTED_FAILURE: "yellow",
    Outcome.UNEXPECTED_PASS: "bold red",
}


def failure_text(result: Result) -> str:
    """A failure with its witness, for people."""
    lines = [f"{result.level} / {result.name}: {result.reason}"]
    if result.cause:
        lines.append(f"    likely cause: {result.cause}")
    if result.witness is not None:
        lines += [f"    {line}" for line in result.witness.code.splitlines()]
        lines += [f"    # came:  {result.witness.came}", f"    # exact: {result.witness.exact}"]
    return "\n".join(lines)
