"""Runs every check on every mutant and writes docs/mutants.md: which check catches what.

Exits with 1 if a mutant escapes the checks meant for it, or a check catches none.

python tests/verify/mutant_matrix.py [--seed N] [--processes N]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track

from hsproj_verify import check
from hsproj_verify.checks import CHECKS
from mutants import MUTANTS

PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"

INTRODUCTION = """# Mutants

<!-- Written by `make mutants`. -->

Does the judge catch what it claims to catch? {count} wrong implementations, each with one bug that somebody had, are run
through all {checks} checks at the quick budget (seed {seed}). Each must be caught by a check that is named, in its source, as
one for its kind; a slice of it runs with the tests, for another seed. The mutants are in `tests/verify/mutants/`, and derive
from an implementation that passes everything.

*For its kind* are the checks the mutant names, in bold if they caught it in this run; *others* counts further checks that
failed it. *Likely cause* is what the report said.
"""

CHECKS_SAY = """How many mutants each check failed, and how many name it as one for their kind. A function that is wrong
throughout fails checks that were made for other bugs, too.
"""


def failed_checks(name: str, seed: int) -> dict[str, str]:
    """The checks that fail a mutant, each with the likely cause that it names."""
    report = check(MUTANTS[name].target, seed=seed, budget="quick", shrink=False)
    return {result.name: result.cause for result in report.results if result.outcome.value == "failed"}


def page(caught: dict[str, dict[str, str]], seed: int) -> str:
    """The page, as Markdown."""
    parts = [INTRODUCTION.format(count=len(caught), checks=len(CHECKS), seed=seed)]
    modules: dict[str, list[str]] = {}
    for name in caught:
        modules.setdefault(MUTANTS[name].module, []).append(name)
    for module, names in modules.items():
        parts += [
            f"\n## {module.capitalize()}\n",
            "| mutant | bug, and where it is from | for its kind | others | likely cause |",
        ]
        parts.append("|---|---|---|---|---|")
        parts += [_line(name, caught[name]) for name in names]
    parts += ["\n## Checks\n", CHECKS_SAY, "| check | level | failed | made for it |", "|---|---|---|---|"]
    for name in CHECKS:
        failed = sum(name in checks for checks in caught.values())
        named = sum(name in MUTANTS[mutant].caught_by for mutant in caught)
        parts.append(f"| `{name}` | {CHECKS[name].level} | {failed} | {named or ''} |")
    return "\n".join(parts) + "\n"


def _line(name: str, failed: dict[str, str]) -> str:
    mutant = MUTANTS[name]
    named = [f"**`{check}`**" if check in failed else f"`{check}`" for check in mutant.caught_by]
    others = len(set(failed) - set(mutant.caught_by))
    causes = sorted({cause for cause in failed.values() if cause})
    origin = mutant.origin.replace("|", "\\|").replace("\n", " ")
    return f"| `{name}` | {origin} | {', '.join(named)} | {others} | {'; '.join(causes).replace('|', chr(92) + '|')} |"


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(options.processes) as pool:
        runs = pool.map(failed_checks, MUTANTS, [options.seed] * len(MUTANTS))
        shown = track(runs, "mutants", total=len(MUTANTS), console=Console(stderr=True))
        caught = dict(zip(MUTANTS, shown, strict=True))
    PAGE.write_text(page(caught, options.seed), encoding="utf-8")
    escaped = [name for name, failed in caught.items() if not set(failed) & set(MUTANTS[name].caught_by)]
    idle = sorted(set(CHECKS).difference(*caught.values()))
    print(f"{PAGE}: {len(caught)} mutants, {len(escaped)} not caught by a check meant for them {escaped or ''}")
    print(f"{len(CHECKS)} checks, {len(idle)} of which catch no mutant {idle or ''}")
    return int(bool(escaped or idle))


if __name__ == "__main__":
    sys.exit(main())
