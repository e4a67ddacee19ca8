"""Judges the right implementations with many seeds: any failure is a false alarm, a bug of the judge.

python tests/verify/right_campaign.py [--seeds N] [--processes N] [--only NAME]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import product

from rich.console import Console
from rich.progress import track

from hsproj_verify import check
from right import RIGHT


def false_alarms(name: str, seed: int) -> str:
    """The failures of a right implementation, with their witnesses; "" if there are none."""
    report = check(RIGHT[name], seed=seed, budget="quick")
    try:
        report.raise_for_failures()
    except AssertionError as error:
        return str(error)
    return ""


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=list(RIGHT))
    options = parser.parse_args(arguments)
    names = [options.only] if options.only else list(RIGHT)
    runs = list(product(range(options.seeds), names))
    with ProcessPoolExecutor(options.processes) as pool:
        answers = pool.map(false_alarms, [name for _, name in runs], [seed for seed, _ in runs])
        shown = track(answers, "right implementations", total=len(runs), console=Console(stderr=True))
        done = alarms = 0
        try:
            for done, alarm in enumerate(shown, start=1):  # noqa: B007 - how far it came is told, too
                alarms += bool(alarm)
                print(alarm, end="\n\n" if alarm else "", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
    of = "" if done == len(runs) else f" of {len(runs)}, then interrupted"
    print(f"{', '.join(names)}: {options.seeds} seeds, {done} runs{of}: {alarms} false alarms")
    return int(alarms > 0 or done < len(runs))


if __name__ == "__main__":
    sys.exit(main())
