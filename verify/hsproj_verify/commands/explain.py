"""`hsproj-verify explain`: what checks there are, and what one of them is about."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from hsproj_verify.checks import CHECKS, Check
from hsproj_verify.commands import Exit
from hsproj_verify.report import Outcome, Result, witness_lines
from hsproj_verify.target import CLAIMS, TargetError

SUMMARY = "list the checks, or say what one of them proves and which bug it was made for"

_EXAMPLES = 40


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("check", metavar="CHECK", nargs="?", help="its name; without it, all of them are listed")


def run(options: argparse.Namespace, arguments: Sequence[str]) -> Exit:
    """Print a list, or one explanation."""
    if options.check is None:
        print("\n".join(_listed()))
    elif options.check in CHECKS:
        print("\n".join(_explained(CHECKS[options.check])))
    else:
        close = difflib.get_close_matches(options.check, CHECKS)
        hint = f"did you mean {' or '.join(close)}?" if close else "hsproj-verify explain lists them"
        raise TargetError(f"no such check: {options.check}; {hint}")
    return Exit.PASSED


def _listed() -> list[str]:
    lines: list[str] = []
    level = ""
    for check in CHECKS.values():
        if check.level != level:
            level = check.level
            lines += [*[""] * bool(lines), level]
        lines += [f"  {check.name}", f"      {check.summary}"]
    return lines


def _explained(check: Check) -> list[str]:
    lines = [f"{check.name} ({check.level})", "", check.proves, "", f"Made for: {check.made_for}"]
    if check.claims:
        asked = "; ".join(f'"{claim}": {CLAIMS[claim]}' for claim in check.claims)
        lines += ["", f"Asked of targets that claim {asked}"]
    return [*lines, "", *_shown(check)]


def _shown(check: Check) -> list[str]:
    """An implementation that passes and one that fails, judged here and now."""
    from hsproj_verify.checks.examples import RIGHT
    from hsproj_verify.runner import check as judge

    (passing,) = judge(RIGHT, only=[check.name], examples=_EXAMPLES).results
    (failing,) = judge(check.example.target, only=[check.name], examples=_EXAMPLES).results
    lines = [
        f"Example that {_verb(passing)}: hsproj_verify.checks.examples.RIGHT, the definition in rational numbers.",
        "",
        f"Example that {_verb(failing)}:",
        "",
        *_indented(check.example.source.strip().splitlines()),
        "",
        f"    {failing.reason}",
    ]
    return lines if failing.witness is None else [*lines, "", *_indented(witness_lines(failing.witness))]


def _verb(result: Result) -> str:
    """What was seen, not what was hoped for."""
    return {Outcome.PASSED: "passes", Outcome.FAILED: "fails"}[result.outcome]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]
