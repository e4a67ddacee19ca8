"""What came out: figures of each cell, and where and how they were measured; JSON for machines.

`hsproj_verify.bench.table` and `hsproj_verify.bench.figure` make pages for people of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hsproj_verify.bench.contenders import BARE, SORT
from hsproj_verify.bench.outcomes import Figure, Outcome
from hsproj_verify.bench.regimes import Regime

SCHEMA = "hsproj-verify/bench/1"


@dataclass(frozen=True)
class Measured:
    """A cell and its figures."""

    regime: Regime
    figures: tuple[Figure, ...]

    def seconds(self, who: str, operation: str, *, reused: bool = False) -> float:
        """Median time of an accurate answer, or NaN."""
        for figure in self.figures:
            if (figure.who, figure.operation, figure.reused) == (who, operation, reused):
                right = figure.outcome is Outcome.MEASURED and figure.timing is not None
                return figure.timing.median if right else math.nan  # type: ignore[union-attr]
        return math.nan

    def to_sort(self, who: str, operation: str, *, reused: bool = False) -> float:
        """Time over that of np.sort of the scores."""
        return self.seconds(who, operation, reused=reused) / self.seconds(SORT, "forward")

    def to_bare(self, who: str, operation: str, *, reused: bool = False) -> float:
        """Time over that of the bare pass of the same operation, with an array for its answer that is as new or as old."""
        return self.seconds(who, operation, reused=reused) / self.seconds(BARE, operation, reused=reused)

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON report."""
        regime = self.regime
        return {
            "shape": regime.name,
            "rows": regime.rows,
            "n": regime.n,
            "k": regime.k,
            "scores": regime.scores,
            "temperature": regime.temperature,
            "dtype": regime.dtype,
            "figures": [self._figure(figure) for figure in self.figures],
        }

    def _figure(self, figure: Figure) -> dict[str, Any]:
        key = {"reused": figure.reused}
        timing = figure.timing
        return {
            "who": figure.who,
            "operation": figure.operation,
            "output": "reused" if figure.reused else "new",
            "outcome": figure.outcome.value,
            "reason": figure.reason,
            "error": _number(figure.error),
            "seconds": timing and timing.median,
            "quartiles": timing and list(timing.quartiles),
            "samples": timing and timing.samples,
            "calls": timing and timing.calls,
            "to_sort": _number(self.to_sort(figure.who, figure.operation, **key)),
            "to_bare": _number(self.to_bare(figure.who, figure.operation, **key)),
        }


@dataclass(frozen=True)
class Results:
    """A run of the benchmark.

    Attributes
    ----------
    targets : mapping
        Name of each target, in order, to what is to be known of it.
    machine : mapping
        Processor, cores, versions.
    threads : int
        How many each contender could use.
    command, date : str
    complete : bool
        False if the run was interrupted.
    cells, sweep : tuple of Measured
        The regimes, and rows of growing length.
    """

    targets: dict[str, dict[str, Any]]
    machine: dict[str, Any]
    threads: int
    command: str
    date: str
    complete: bool
    cells: tuple[Measured, ...]
    sweep: tuple[Measured, ...] = field(default=())

    def figures(self) -> Iterator[tuple[Measured, Figure]]:
        """Every figure with its cell."""
        return ((cell, figure) for cell in (*self.cells, *self.sweep) for figure in cell.figures)

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON report; `bench.schema.json` describes it."""
        return {
            "schema": SCHEMA,
            "complete": self.complete,
            "date": self.date,
            "command": self.command,
            "threads": self.threads,
            "machine": self.machine,
            "targets": self.targets,
            "cells": [cell.to_dict() for cell in self.cells],
            "sweep": [cell.to_dict() for cell in self.sweep],
        }

    def write(self, path: str | Path) -> None:
        """Write the JSON report."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")


def _number(value: float | None) -> float | None:
    """JSON has neither NaN nor infinities."""
    return value if value is not None and math.isfinite(value) else None
