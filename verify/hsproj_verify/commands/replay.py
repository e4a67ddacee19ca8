"""`hsproj-verify replay`: one recorded case, run again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hsproj_verify.commands import Exit
from hsproj_verify.commands.check import add_process_options
from hsproj_verify.draws import ReplayError
from hsproj_verify.recording import read
from hsproj_verify.report import Outcome, failure_text
from hsproj_verify.runner import replay
from hsproj_verify.target import COMPANIONS

SUMMARY = "run a recorded failure again"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "witness", metavar="WITNESS.json", type=Path, help="as hsproj-verify check --witnesses writes it"
    )
    parser.add_argument("target", metavar="TARGET", nargs="?", help="another target than the one that failed")
    for name, meaning in COMPANIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="TARGET", help=meaning)
    add_process_options(parser)


def run(options: argparse.Namespace, arguments: Sequence[str]) -> Exit:
    """Replay, and say whether it still fails."""
    companions = {name: getattr(options, name) for name in COMPANIONS}
    try:
        case = read(options.witness)
        result = replay(case, options.target, timeout=options.timeout, **companions)
    except ReplayError as error:
        print(f"hsproj-verify: {options.witness}: {error}", file=sys.stderr)
        return Exit.WRONG_CALL
    except KeyboardInterrupt:
        print("hsproj-verify: interrupted", file=sys.stderr)
        return Exit.FAILED
    target = options.target or case["target"]
    if result.outcome is Outcome.PASSED:
        print(f"{target}: passes {result.name} on this case; recorded: {case['reason']}")
        return Exit.PASSED
    print(f"{target}: STILL FAILS\n\n{failure_text(result)}")
    return Exit.FAILED
