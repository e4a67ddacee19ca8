"""`hsproj-verify check`: its options, and what becomes of them."""

from __future__ import annotations

import argparse
import io
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from hsproj_verify.commands import Exit
from hsproj_verify.paths import demand_writable
from hsproj_verify.recording import write
from hsproj_verify.report import SUFFIXES, Report
from hsproj_verify.runner import BUDGETS, TIMEOUT, check
from hsproj_verify.target import CLAIMS, COMPANIONS, CONSTRAINTS, UNUSUAL, TargetError
from hsproj_verify.targets import LIBRARIES

SUMMARY = "judge one implementation"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", help="package.module:function or path/to/file.py:function"
    )
    parser.add_argument(
        "--as", dest="kind", choices=sorted(LIBRARIES), help="it is a function of that library's arrays"
    )
    parser.add_argument("--program", metavar="COMMAND", help="judge a program in any language, instead of a TARGET")
    for name, meaning in COMPANIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="TARGET", help=meaning)
    parser.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help=f"write a report there, in the format of the suffix: {', '.join(SUFFIXES)} (repeat for more)",
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the same examples again (default %(default)s)")
    sizes = ", ".join(f"{name} {examples}" for name, examples in BUDGETS.items())
    parser.add_argument("--budget", choices=BUDGETS, default="standard", help=f"examples a check: {sizes}")
    parser.add_argument("--examples", type=int, metavar="N", help="examples a check, whatever the budget")
    parser.add_argument("--tolerance", type=float, default=8.0, help="in units of eps (1 + p), default 8")
    parser.add_argument("--only", metavar="CHECK", action="append", help="run this check (repeat for more)")
    parser.add_argument(
        "--with",
        dest="claiming",
        metavar="CLAIM",
        action="append",
        default=[],
        choices=sorted(CLAIMS),
        help=f"judge it, whatever it refuses; only so are {', '.join(sorted(UNUSUAL))} judged",
    )
    parser.add_argument(
        "--without",
        metavar="CLAIM",
        action="append",
        default=[],
        choices=sorted(CLAIMS),
        help=f"don't judge {', '.join(CLAIMS)}",
    )
    add_problem_options(parser)
    parser.add_argument("--expected-failures", metavar="FILE.toml", type=Path, help='lines of: check = "reason"')
    parser.add_argument(
        "--witnesses", metavar="FOLDER", type=Path, help="write a file for each failure, to be replayed"
    )
    add_process_options(parser)
    parser.add_argument("--workers", metavar="N", type=int, help="processes that call the target (default: 2 at most)")


def add_problem_options(parser: argparse.ArgumentParser) -> None:
    """Options of commands that judge: what a target solves."""
    parser.add_argument(
        "--constraint",
        choices=sorted(CONSTRAINTS),
        help=f"it solves {' or '.join(f'{meaning} ({name})' for name, meaning in CONSTRAINTS.items())}",
    )
    parser.add_argument(
        "--fixed-k",
        metavar="K",
        type=float,
        help="the only total that it takes; it is called without one if it has no parameter for it",
    )


def add_process_options(parser: argparse.ArgumentParser) -> None:
    """Options of commands that call a target in processes of its own."""
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=TIMEOUT, help="for one call (default %(default)g)"
    )


def run(options: argparse.Namespace, arguments: Sequence[str]) -> Exit:
    """Judge, write and show what was asked for."""
    for path in options.report:
        demand_writable("--report", path, *SUFFIXES)
    if (options.target is None) == (options.program is None):
        raise TargetError("one of TARGET and --program must be given, and not both")
    kind = f"{options.kind}:" if options.kind else ""
    report = check(
        f"{kind}{options.target}" if options.program is None else f"exec:{options.program}",
        **{name: getattr(options, name) for name in COMPANIONS},
        claiming=options.claiming,
        without=options.without,
        constraint=options.constraint,
        fixed_k=options.fixed_k,
        seed=options.seed,
        budget=options.budget,
        examples=options.examples,
        tolerance=options.tolerance,
        only=options.only,
        expected_failures=read_expected(options.expected_failures),
        timeout=options.timeout,
        workers=options.workers,
        progress=sys.stderr.isatty(),
        keep_on_interrupt=True,
    )
    if options.witnesses is not None:
        try:
            write(options.witnesses, [result.replay for result in report.results if result.replay])
        except OSError as error:
            raise TargetError(f"--witnesses: can't write to {options.witnesses}: {error.strerror}") from error
    # First the reports in files: whatever happens to standard output, they are there.
    unwritten = [path for path in options.report if not _written(report, path)]
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        report.print()
        sys.stdout.flush()
    except (
        OSError,
        SystemExit,
    ) as error:  # a closed pipe (which rich makes an exit of), a full disk: the verdict stands
        why = "standard output was closed" if isinstance(error, SystemExit) else error.strerror
        print(f"hsproj-verify: can't print the report: {why}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
    return Exit.PASSED if report.verdict == "pass" and not unwritten else Exit.FAILED


def _written(report: Report, path: Path) -> bool:
    """Write it, or say why not: the other reports are to be written all the same."""
    try:
        report.write(path)
    except OSError as error:
        print(f"hsproj-verify: can't write {path}: {error.strerror}", file=sys.stderr)
        return False
    return True


def read_expected(path: Path | None, option: str = "--expected-failures") -> dict[str, str]:
    """What a file of expected failures says: {check: reason}."""
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TargetError(f"{option} {path}: {error}") from error
    if not all(isinstance(reason, str) and reason for reason in table.values()):
        raise TargetError(f'{option} {path}: every line must read check = "reason"')
    return table
