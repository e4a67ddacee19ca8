"""`hsproj-verify bench`: its options, and what becomes of them."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hsproj_verify.bench.machine import limit_threads
from hsproj_verify.bench.regimes import DTYPES, FAMILIES, OPERATIONS, SHAPES, TOTALS, regimes, sweep
from hsproj_verify.commands import Exit
from hsproj_verify.paths import demand_writable
from hsproj_verify.target import Target, TargetError, load

SUMMARY = "time implementations beside np.sort and a bare pass"
DEFAULT = "hsproj:soft_binary_argmax", "hsproj:vjp", "hsproj:solve"
QUICK: dict[str, Sequence[str]] = {
    "shape": ("4096x10", "10x8192", "1000000"),
    "k": ("1", "10%"),
    "scores": ("gaussian", "ties", "adversarial"),
}
LARGEST = 10**8


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "targets", metavar="TARGET", nargs="*", help="what to measure (default hsproj's projection and vjp)"
    )
    parser.add_argument("--vjp", metavar="TARGET", help="the vjp of the first target, called as vjp(x, k, g)")
    parser.add_argument(
        "--project-and-vjp", metavar="TARGET", help="both in one call of the first target, as (p, gradient)"
    )
    parser.add_argument(
        "--solve", metavar="TARGET", help="what solves a problem for the vjp of the first target: gives a g -> gradient"
    )
    known = {"shape": SHAPES, "k": TOTALS, "scores": FAMILIES, "dtype": DTYPES, "operation": OPERATIONS}
    for name, values in known.items():
        choices = None if name in ("shape", "k") else list(values)
        text = f"only this one (repeat for more); {'such as' if choices is None else 'one of'} {', '.join(values)}"
        parser.add_argument(
            f"--{name}", action="append", choices=choices, metavar=name.upper(), help=text.replace("%", "%%")
        )
    parser.add_argument("--quick", action="store_true", help="few regimes and short samples: under a minute")
    parser.add_argument("--sweep", action="store_true", help="also measure rows of 10 to 10^8 scores, as --figure does")
    parser.add_argument(
        "--largest", type=int, default=LARGEST, help="the longest row of the sweep (default %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=1, help="for everybody (default %(default)s)")
    parser.add_argument("--limit", type=float, default=5.0, help="seconds for a target in a cell (default %(default)s)")
    parser.add_argument("--json", metavar="FILE.json", type=Path, help="write every figure there")
    parser.add_argument("--table", metavar="FILE.md", type=Path, help="write the page there instead of standard output")
    parser.add_argument("--figure", metavar="FILE", type=Path, help="draw time against length; .svg, .png or .pdf")


def run(options: argparse.Namespace, arguments: Sequence[str]) -> Exit:
    """Measure, write and draw what was asked for; passed if the run is complete and has measured every target."""
    for option, suffixes in (("json", (".json",)), ("table", (".md",)), ("figure", (".svg", ".png", ".pdf"))):
        if getattr(options, option) is not None:
            demand_writable(f"--{option}", getattr(options, option), *suffixes)
    if options.threads < 1 or not options.limit > 0.0 or options.largest < 10:
        raise TargetError("--threads must be at least 1, --limit positive and --largest at least 10")
    limit_threads(options.threads)
    targets = _targets(options)
    from hsproj_verify.bench.run import bench  # brings Numba, which other commands can do without
    from hsproj_verify.bench.table import page

    chosen = {
        name: getattr(options, name) or (QUICK.get(name) if options.quick else None)
        for name in ("shape", "k", "scores")
    }
    dtypes = options.dtype or DTYPES
    grid = list(regimes(chosen["shape"] or SHAPES, chosen["k"] or TOTALS, chosen["scores"], dtypes))
    growing = sweep(options.largest, dtypes) if options.sweep or options.figure else ()
    results = bench(
        targets,
        list(grid),
        sweep=growing,
        operations=options.operation or OPERATIONS,
        threads=options.threads,
        limit=options.limit,
        budget=0.1 if options.quick else 0.3,
        command=shlex.join(["hsproj-verify", *arguments]),
        progress=sys.stderr.isatty(),
        keep_on_interrupt=True,
    )
    if options.json is not None:
        results.write(options.json)
    if options.table is not None:
        drawn = options.figure is not None and results.sweep
        figure = os.path.relpath(options.figure, options.table.parent) if drawn else ""
        options.table.write_text(page(results, figure), encoding="utf-8")
    else:
        print(page(results), end="")
    if options.figure is not None and results.sweep:
        from hsproj_verify.bench.figure import draw

        draw(results, options.figure)
    measured = {figure.who for _, figure in results.figures() if figure.timing is not None}
    return Exit.PASSED if results.complete and measured >= {*results.targets} else Exit.FAILED


def _targets(options: argparse.Namespace) -> list[Target]:
    first, *others = options.targets or [DEFAULT[0]]
    vjp, solve = options.vjp, options.solve
    if not options.targets:
        vjp, solve = vjp or DEFAULT[1], solve or DEFAULT[2]
    target = load(first, vjp)
    if solve is not None:
        target = target.with_solve(solve)
    if options.project_and_vjp is not None:
        target = target.with_project_and_vjp(options.project_and_vjp)
    return [target, *map(load, others)]
