"""Trains what `plan` lists, on all cores, and writes `results`: what came of each run, and tables and figures of the page.

python docs/experiments/experiment.py [--tables | --check N]

What has been trained is kept in docs/_generated/experiment, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import os
import platform
import random
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import astuple, fields
from functools import partial
from importlib.metadata import version
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import tables
from plan import BOOSTERS, SEEDS, Boosted, Boosting, Outcome, Run, plan
from rich.progress import track

import hsproj
from hsproj_verify.bench.machine import describe

HERE = Path(__file__).parent
RESULTS = HERE / "results"
TRAINED, BOOSTED = RESULTS / "runs.csv", RESULTS / "boosting.csv"
PACKAGES = ("torch", "numpy", "numba", "llvmlite", "scipy", "scikit-learn", "mlxtend", "river", "lightgbm")
SOURCES = ("harness", "boosting", "experiment")
KEPT = HERE.parent / "_generated" / "experiment"


def train(run: Run) -> Outcome:
    """`harness.train`, on one thread, so that sums are in one order."""
    import harness
    import torch

    torch.set_num_threads(1)
    return harness.train(run)


def boost(run: Boosting) -> Boosted:
    """`boosting.boost`."""
    import boosting

    return boosting.boost(run)


def _types(kind: type) -> dict[str, Callable[[str], Any]]:
    readers = {"str": str, "int": int, "float": float, "bool": lambda text: text == "True"}
    return {field.name: readers[str(field.type)] for field in fields(kind)}


def to_text(pairs: Iterable[tuple[Any, Any]]) -> str:
    """Lines of a file: what was run, and what came of it in digits that read back as the same numbers."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([*astuple(run), *astuple(outcome)] for run, outcome in pairs)
    return file.getvalue()


def header(kind: type, result: type) -> str:
    """The first line of a file."""
    return ",".join([*_types(kind), *_types(result)]) + "\n"


def from_text(text: str, kind: type, result: type) -> Iterator[tuple[Any, Any]]:
    """What a file holds, but for a last line that was cut off."""
    for line in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
        yield tuple(made(**{name: read(line[name]) for name, read in _types(made).items()}) for made in (kind, result))


def digest() -> str:
    """What outcomes depend on, in eight letters: what is kept for another is of no use."""
    sources = [*sorted(Path(hsproj.__file__).parent.rglob("*.py")), *(HERE / f"{name}.py" for name in SOURCES)]
    texts = [platform.python_version(), *map(version, PACKAGES), *(path.read_text() for path in sources)]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:8]


def machine() -> str:
    """A sentence on where all this was trained."""
    found = describe(PACKAGES)
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return f"{found['processor']}, {found['cores']} cores, {found['system']}; {versions}.\n"


def run_all(work: Callable[[Any], Any], runs: list[Any], kind: type, result: type, title: str) -> list[tuple[Any, Any]]:
    """(run, outcome) in the order of runs; each is kept as soon as it is there."""
    kept = KEPT / f"{title}-{digest()}.csv"
    kept.parent.mkdir(parents=True, exist_ok=True)
    done = dict(from_text(kept.read_text(), kind, result)) if kept.exists() else {}
    whole = kept.with_suffix(".new")
    whole.write_text(header(kind, result) + to_text(done.items()))
    os.replace(whole, kept)  # without a last line that was cut off
    left = [run for run in runs if run not in done]
    random.Random(0).shuffle(left)  # long ones and short ones mixed, so that the time left can be told
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with (
        kept.open("a") as file,
        # An interruption is the parent's: what its workers are at comes to its end, and is kept.
        ProcessPoolExecutor(
            os.cpu_count(), get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
        ) as pool,
    ):

        def keep(run: Any, future: Future[Any]) -> None:
            if not future.cancelled() and not future.exception():
                done[run] = future.result()
                file.write(to_text([(run, done[run])]))
                file.flush()

        futures = []
        for run in left:
            futures.append(pool.submit(work, run))
            futures[-1].add_done_callback(partial(keep, run))
        try:
            for future in track(as_completed(futures), title, total=len(futures)):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [(run, done[run]) for run in runs]


def check(count: int) -> int:
    """Train some of the committed runs again, and compare all digits: so many networks, and boosters in proportion."""
    networks = [(train, *pair) for pair in from_text(TRAINED.read_text(), Run, Outcome)]
    boosters = [(boost, *pair) for pair in from_text(BOOSTED.read_text(), Boosting, Boosted)]
    chosen = random.sample(networks, min(count, len(networks)))
    chosen += random.sample(boosters, -(-len(chosen) * len(boosters) // len(networks)))
    differing = 0
    for work, run, outcome in track(chosen, "again"):
        again = work(run)
        if again != outcome:
            differing += 1
            print(f"{run}\n  committed {outcome}\n  now       {again}")
    print(f"{len(chosen) - differing} of {len(chosen)} runs came out as committed, in all digits")
    return int(differing > 0)


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tables", action="store_true", help="write tables and figures of the committed results, and train nothing"
    )
    parser.add_argument("--check", type=int, metavar="N", help="train N committed runs again, and compare")
    options = parser.parse_args()
    if options.check is not None:
        return check(options.check)
    if not options.tables:
        RESULTS.mkdir(exist_ok=True)
        boosters = [Boosting(*each) for each in product(BOOSTERS, SEEDS)]
        pairs = run_all(boost, boosters, Boosting, Boosted, "boosters")
        BOOSTED.write_text(header(Boosting, Boosted) + to_text(pairs))
        TRAINED.write_text(header(Run, Outcome) + to_text(run_all(train, list(plan()), Run, Outcome, "networks")))
        (RESULTS / "machine.md").write_text(machine())
    results = dict(from_text(TRAINED.read_text(), Run, Outcome))
    tables.write(RESULTS, results, dict(from_text(BOOSTED.read_text(), Boosting, Boosted)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. What was trained is kept: the same command goes on from there.")
