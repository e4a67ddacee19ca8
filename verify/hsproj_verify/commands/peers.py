"""`hsproj-verify peers`: its options, and what becomes of them."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hsproj_verify.commands import Exit
from hsproj_verify.paths import demand_writable
from hsproj_verify.runner import BUDGETS
from hsproj_verify.scoreboard.catalogue import PEERS
from hsproj_verify.target import TargetError

SUMMARY = "judge the public implementations that are installed"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--only", metavar="PEER", action="append", choices=list(PEERS), help=f"repeat for more; of {', '.join(PEERS)}"
    )
    parser.add_argument("--write", metavar="FILE.md", type=Path, help="write the page there")
    parser.add_argument("--json", metavar="FILE.json", type=Path, help="write every report there")
    parser.add_argument("--seed", type=int, default=0, help="draws the same examples again (default %(default)s)")
    sizes = ", ".join(f"{name} {examples}" for name, examples in BUDGETS.items())
    parser.add_argument("--budget", choices=BUDGETS, default="quick", help=f"examples a check: {sizes}")
    parser.add_argument("--examples", type=int, metavar="N", help="examples a check, whatever the budget")
    parser.add_argument(
        "--resume", action="store_true", help="keep what FILE.json has of peers that were asked the same, to the end"
    )
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for a peer (default %(default)s)")


def run(options: argparse.Namespace, arguments: Sequence[str]) -> Exit:
    """Judge, write and show; passed if every peer that is installed was judged to the end, whatever the verdicts."""
    for option, suffix in (("write", ".md"), ("json", ".json")):
        if getattr(options, option) is not None:
            demand_writable(f"--{option}", getattr(options, option), suffix)
    examples = BUDGETS[options.budget] if options.examples is None else options.examples
    if examples < 1 or not options.limit > 0.0:
        raise TargetError("--examples must be at least 1 and --limit positive")
    if options.resume and options.json is None:
        raise TargetError("--resume needs --json, the file to go on with")
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from hsproj_verify.bench.machine import describe
    from hsproj_verify.scoreboard.judge import Entry, Status, judge
    from hsproj_verify.scoreboard.page import Scoreboard, headline, page, verdict_table

    chosen = [PEERS[name] for name in options.only or PEERS]
    entries: dict[str, Entry] = {}
    if options.resume and options.json.exists():
        found = {entry["name"]: entry for entry in json.loads(options.json.read_text(encoding="utf-8"))["peers"]}
        kept = [Entry.kept(peer, found[peer.name], options.seed, examples) for peer in chosen if peer.name in found]
        entries = {entry.peer.name: entry for entry in kept if entry is not None}
    command, machine = shlex.join(["hsproj-verify", *arguments]), describe()

    def board() -> Scoreboard:
        ordered = [entries[peer.name] for peer in chosen if peer.name in entries]
        return Scoreboard(ordered, command, f"{datetime.now(UTC):%Y-%m-%d}", machine, len(entries) == len(chosen))

    def write() -> None:
        if options.json is not None:
            options.json.write_text(json.dumps(board().to_dict(), indent=1) + "\n", encoding="utf-8")
        if options.write is not None:
            options.write.write_text(page(board()), encoding="utf-8")

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    shown = Console(stderr=True)
    try:
        with Progress(*columns, console=shown, disable=not shown.is_terminal) as progress:
            task = progress.add_task("peers", total=len(chosen), completed=len(entries))
            for peer in chosen:
                if peer.name in entries:
                    continue
                progress.update(task, description=peer.name)
                entries[peer.name] = judge(peer, seed=options.seed, examples=examples, limit=options.limit)
                write()  # now and again: whatever happens to the rest
                shown.print(headline(entries[peer.name]), highlight=False, soft_wrap=True)
                progress.advance(task)
    except KeyboardInterrupt:
        pass  # what was judged is shown, and the page says that there is more
    write()
    _show(*verdict_table(board()))
    for entry in entries.values():
        if entry.report is None:
            print(headline(entry))
    if not board().complete:
        print(f"interrupted: {len(chosen) - len(entries)} of {len(chosen)} peers were not reached")
    ended = all(entry.status in (Status.JUDGED, Status.NOT_INSTALLED) for entry in entries.values())
    return Exit.PASSED if board().complete and board().judged and ended else Exit.FAILED


def _show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    (console if console.is_terminal else Console(width=160)).print(table)
