"""The command line: `hsproj-verify check TARGET` and `hsproj-verify bench [TARGET ...]`.

Exit status 0: all passed, or was measured; 1: something failed, or was interrupted; 2: the call was wrong.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from hsproj_verify.bench.command import add_options, run
from hsproj_verify.paths import demand_writable
from hsproj_verify.runner import DEFAULT_EXAMPLES, check
from hsproj_verify.target import CLAIMS, UNUSUAL, TargetError, load

PASSED, FAILED, WRONG_CALL = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    try:
        return _bench(options, arguments) if options.command == "bench" else _check(options)
    except TargetError as error:
        print(f"hsproj-verify: {error}", file=sys.stderr)
        return WRONG_CALL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hsproj-verify", description="Judge implementations of the projection onto the hypersimplex."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    judge = commands.add_parser("check", help="judge one implementation", description=check.__doc__.partition("\n")[0])  # type: ignore[union-attr]
    judge.add_argument("target", metavar="TARGET", help="package.module:function or path/to/file.py:function")
    judge.add_argument("--vjp", metavar="TARGET", help="its vector-Jacobian product, called as vjp(x, k, g)")
    judge.add_argument("--report", metavar="FILE.json", type=Path, help="write the report for machines there")
    judge.add_argument("--seed", type=int, default=0, help="draws the same examples again (default %(default)s)")
    judge.add_argument("--examples", type=int, default=DEFAULT_EXAMPLES, help="examples a check (default %(default)s)")
    judge.add_argument("--tolerance", type=float, default=8.0, help="in units of eps (1 + p), default 8")
    judge.add_argument("--only", metavar="CHECK", action="append", help="run this check (repeat for more)")
    judge.add_argument(
        "--with",
        dest="claiming",
        metavar="CLAIM",
        action="append",
        default=[],
        choices=sorted(UNUSUAL),
        help=f"also judge {', '.join(sorted(UNUSUAL))}",
    )
    judge.add_argument(
        "--without",
        metavar="CLAIM",
        action="append",
        default=[],
        choices=sorted(CLAIMS),
        help=f"don't judge {', '.join(CLAIMS)}",
    )
    judge.add_argument("--expected-failures", metavar="FILE.toml", type=Path, help='lines of: check = "reason"')
    add_options(commands.add_parser("bench", help="time implementations beside np.sort and a bare pass"))
    return parser


def _bench(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    return PASSED if run(options, arguments) else FAILED


def _check(options: argparse.Namespace) -> int:
    if options.report is not None:
        demand_writable("--report", options.report, ".json")
    target = load(options.target, options.vjp).claiming(*options.claiming).without(*options.without)
    report = check(
        target,
        seed=options.seed,
        examples=options.examples,
        tolerance=options.tolerance,
        only=options.only,
        expected_failures=_expected(options.expected_failures),
        progress=sys.stderr.isatty(),
        keep_on_interrupt=True,
    )
    # First the report for machines: whatever happens to standard output, it is there.
    if options.report is not None:
        report.write(options.report)
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        report.print()
        sys.stdout.flush()
    except OSError as error:  # a closed pipe, a full disk: the verdict stands
        print(f"hsproj-verify: can't print the report: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
    return PASSED if report.verdict == "pass" else FAILED


def _expected(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TargetError(f"--expected-failures {path}: {error}") from error
    if not all(isinstance(reason, str) and reason for reason in table.values()):
        raise TargetError(f'--expected-failures {path}: every line must read check = "reason"')
    return table


if __name__ == "__main__":
    raise SystemExit(main())
