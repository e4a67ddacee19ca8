"""What became of a contender in a cell."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hsproj_verify.bench.timing import Timing


class Outcome(enum.Enum):
    """What became of a contender in a cell."""

    MEASURED = "measured"
    INACCURATE = "inaccurate"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Figure:
    """A contender in a cell: its time and error, or the reason why there is none."""

    who: str
    operation: str
    reused: bool
    outcome: Outcome
    reason: str = ""
    timing: Timing | None = None
    error: float | None = None
