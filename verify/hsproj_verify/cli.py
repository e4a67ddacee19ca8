"""The command line: `hsproj-verify COMMAND`.

Exit status 0: all passed, or was measured; 1: something failed, or was interrupted; 2: the call was wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from hsproj_verify.bench import command as bench
from hsproj_verify.commands import Exit, check, explain, peers, replay, vectors
from hsproj_verify.target import TargetError

COMMANDS = {"check": check, "explain": explain, "replay": replay, "vectors": vectors, "peers": peers, "bench": bench}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="hsproj-verify", description="Judge implementations of the projection onto the hypersimplex."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, command in COMMANDS.items():
        command.add_options(commands.add_parser(name, help=command.SUMMARY, description=command.SUMMARY))
    options = parser.parse_args(arguments)
    try:
        status: Exit = COMMANDS[options.command].run(options, arguments)
        sys.stdout.flush()
    except TargetError as error:
        print(f"hsproj-verify: {error}", file=sys.stderr)
        status = Exit.WRONG_CALL
    except BrokenPipeError:  # whoever was reading, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = Exit.FAILED
    return status


if __name__ == "__main__":
    raise SystemExit(main())
