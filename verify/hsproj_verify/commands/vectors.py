"""`hsproj-verify vectors`: lists, writes and checks the test vectors, or judges a target on them."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hsproj_verify.commands import Exit
from hsproj_verify.commands.check import add_problem_options, add_process_options
from hsproj_verify.recording import Terms
from hsproj_verify.report import witness_lines
from hsproj_verify.target import CLAIMS, UNUSUAL, TargetError

if TYPE_CHECKING:
    from hsproj_verify.vectors._judge import Verdict

SUMMARY = "test vectors: list, write or check them, or judge an implementation on them"

_SHOWN = 10


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", help="judge this: package.module:function or path/to/file.py:function"
    )
    parser.add_argument("--write", metavar="DIR", type=Path, help="write the files there, the same bytes each time")
    parser.add_argument(
        "--check", metavar="DIR", type=Path, nargs="?", const="", help="prove the files there, or those of the package"
    )
    parser.add_argument(
        "--group", metavar="NAME", action="append", default=[], help="only this group (repeat for more)"
    )
    parser.add_argument("--vjp", metavar="TARGET", help="its vector-Jacobian product, called as vjp(x, k, g)")
    parser.add_argument("--tolerance", type=float, default=8.0, help="in units of eps (1 + p), default 8")
    parser.add_argument(
        "--with", dest="claiming", metavar="CLAIM", action="append", default=[], choices=sorted(UNUSUAL)
    )
    parser.add_argument("--without", metavar="CLAIM", action="append", default=[], choices=sorted(CLAIMS))
    add_problem_options(parser)
    add_process_options(parser)


def run(options: argparse.Namespace, arguments: Sequence[str]) -> Exit:
    """Do the one thing that was asked for; list the groups by default."""
    asked = [options.target is not None, options.write is not None, options.check is not None]
    if sum(asked) > 1:
        raise TargetError("vectors: TARGET, --write and --check are three different things to do; give one of them")
    if options.write is not None:
        return _write(options.write)
    if options.check is not None:
        return _check(options.check)
    return _list(options.group) if options.target is None else _judge(options)


def _list(names: Sequence[str]) -> Exit:
    from hsproj_verify import vectors

    chosen = Counter(vector.group for vector in vectors.load(*names))
    for group in vectors.groups():
        if group.name in chosen:
            print(f"{len(group.vectors):4} {group.name:19} {group.about}")
    print(f"{chosen.total():4} in all, in {vectors.FOLDER}")
    return Exit.PASSED


def _write(folder: Path) -> Exit:
    from hsproj_verify.vectors._write import write

    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = write(folder)
    except OSError as error:
        raise TargetError(f"--write: can't write into {folder}: {error.strerror}") from error
    print(f"{len(paths)} files in {folder}")
    return Exit.PASSED


def _check(given: Path) -> Exit:
    from hsproj_verify import vectors
    from hsproj_verify.vectors._check import faults_of_files

    folder = given if given.parts else vectors.FOLDER
    if not folder.is_dir():
        raise TargetError(f"--check: no such folder: {folder}")
    faults = list(faults_of_files(folder))
    for fault in faults:
        print(fault)
    if not faults:
        groups = vectors.groups(folder)
        print(f"{sum(len(group.vectors) for group in groups)} vectors in {len(groups)} groups: all proved")
    return Exit.FAILED if faults else Exit.PASSED


def _judge(options: argparse.Namespace) -> Exit:
    from hsproj_verify import vectors
    from hsproj_verify.isolation import Recipe
    from hsproj_verify.report import Outcome
    from hsproj_verify.runner import demand_sensible
    from hsproj_verify.vectors._judge import judge

    demand_sensible(Terms(0, 1, options.tolerance), options.timeout)
    companions = {} if options.vjp is None else {"vjp": options.vjp}
    problem = {"constraint": options.constraint, "fixed_k": options.fixed_k}
    recipe = Recipe(options.target, companions, options.claiming, options.without, problem)
    chosen = list(vectors.load(*options.group))
    verdicts: list[Verdict] = []
    interrupted = False
    try:
        for verdict in judge(recipe, chosen, options.tolerance, options.timeout):
            verdicts.append(verdict)  # noqa: PERF402 - what came until it is interrupted is kept
    except KeyboardInterrupt:
        interrupted = True
    order = {vector.id: number for number, vector in enumerate(chosen)}
    verdicts.sort(key=lambda verdict: (order[verdict.vector.id], verdict.function))
    of = {outcome: [v for v in verdicts if v.result.outcome is outcome] for outcome in Outcome}
    failures = of[Outcome.FAILED]
    for verdict in failures[:_SHOWN]:
        print(_failure_text(verdict), end="\n\n")
    if len(failures) > _SHOWN:
        print(f"... and {len(failures) - _SHOWN} more: {' '.join(v.vector.id for v in failures[_SHOWN:])}\n")
    counts = {
        outcome.value: Counter((v.vector.group, v.function) for v in of[outcome])
        for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)
    }
    for row in dict.fromkeys((v.vector.group, v.function) for v in verdicts):
        print(f"{' '.join(row):28}" + "".join(f"{counts[name][row]:5} {name}" for name in counts))
    for reason, number in Counter(v.result.reason.partition(":")[0] for v in of[Outcome.SKIPPED]).items():
        print(f"skipped {number}: {reason}")
    passed = not failures and bool(of[Outcome.PASSED]) and not interrupted
    said = ", ".join(f"{counter.total()} {name}" for name, counter in counts.items())
    print(f"{recipe.name}: {'PASS' if passed else 'FAIL'} ({said}{', then interrupted' if interrupted else ''})")
    return Exit.PASSED if passed else Exit.FAILED


def _failure_text(verdict: Verdict) -> str:
    result = verdict.result
    lines = [f"{result.name}: {result.reason}", f"    # {verdict.vector.comment}"]
    if result.witness is not None:
        lines += [f"    {line}" for line in witness_lines(result.witness)]
    return "\n".join(lines)
