"""Time by turns: calls in; quartiles of the seconds that each took, out.

Contenders take turns, so that whatever else the machine does, it does to all alike, and each turn in another order: what
the call before leaves in the caches helps or hurts everybody as often. (In one order for all turns, the same code was
seen to take 1.5 times as long as itself.) A sample is as many calls as take `LEAST` seconds; the first calls are not
counted.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

LEAST = 200e-6
FEWEST, ENOUGH, MOST = 3, 7, 41
"""Turns: `ENOUGH`, or `FEWEST` where they take ten times the budget; then as many as fit into it, at most `MOST`."""


@dataclass(frozen=True)
class Timing:
    """Seconds a call: quartiles of the samples, and how many samples of how many calls there were."""

    quartiles: tuple[float, float, float]
    samples: int
    calls: int

    @property
    def median(self) -> float:
        """The figure that ratios are made of."""
        return self.quartiles[1]


def seconds(call: Callable[[], Any], calls: int = 1) -> float:
    """Seconds that so many calls take. Each answer is dropped before the next call."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


def by_turns(calls: Sequence[Callable[[], Any]], *, budget: float) -> list[Timing]:
    """Time warm calls in turns until the budget, in seconds, is spent.

    Examples
    --------
    >>> from hsproj_verify.bench.timing import by_turns
    >>> short, long = by_turns([lambda: sum(range(100)), lambda: sum(range(10_000))], budget=0.02)
    >>> short.samples == long.samples, short.calls > long.calls
    (True, True)
    """
    numbers = [max(1, math.ceil(LEAST / max(seconds(call), 1e-9))) for call in calls]
    samples: list[list[float]] = [[] for _ in calls]
    order, shuffled = list(range(len(calls))), random.Random(0)
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for turn in range(MOST):
            spent = time.perf_counter() - start
            if (turn >= ENOUGH and spent > budget) or (turn >= FEWEST and spent > 10 * budget):
                break
            shuffled.shuffle(order)
            for i in order:
                samples[i].append(seconds(calls[i], numbers[i]) / numbers[i])
    finally:
        if collecting:
            gc.enable()
    return [Timing(_quartiles(s), len(s), number) for s, number in zip(samples, numbers, strict=True)]


def _quartiles(sample: list[float]) -> tuple[float, float, float]:
    lower, median, upper = statistics.quantiles(sample, n=4, method="inclusive")
    return lower, median, upper
