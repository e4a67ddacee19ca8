"""Runs the benchmark: targets and regimes in, `Results` out. What a target does wrong costs it that cell and nobody else."""

from __future__ import annotations

import datetime
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hsproj_verify.bench.contenders import SORT, Cell, Contender
from hsproj_verify.bench.machine import describe, limit_threads
from hsproj_verify.bench.outcomes import Figure, Outcome
from hsproj_verify.bench.regimes import OPERATIONS, Regime
from hsproj_verify.bench.results import Measured, Results
from hsproj_verify.bench.timing import Timing, by_turns, seconds
from hsproj_verify.target import Target, TargetError, takes

TOLERANCE = {"forward": 1e-3, "vjp": 1e-2, "pullback": 1e-2, "forward+vjp": 1e-2}
"""Errors above these make a figure inaccurate. They only tell right from wrong; `hsproj_verify.check` does the judging."""
_CALLS = 5  # the least that a figure costs: a first call, one to see how long it takes, three samples
_BYTES = 120  # a score, at most: arrays, the reference, the answers of a target


def bench(
    targets: Iterable[Target],
    regimes: Iterable[Regime],
    *,
    sweep: Iterable[Regime] = (),
    operations: Sequence[str] = OPERATIONS,
    threads: int = 1,
    limit: float = 5.0,
    budget: float = 0.3,
    command: str = "",
    progress: bool = False,
    keep_on_interrupt: bool = False,
) -> Results:
    """Time targets beside np.sort and a bare pass.

    Parameters
    ----------
    targets : iterable of Target
        Each is called with all rows and one k. Without a parameter `temperature` it gets scores divided beforehand, and
        without a parameter `axis` it gets rows, which are copied within the timed call.
    regimes, sweep : iterable of Regime
        What to measure, and rows of growing length, forward only, for the figure; see `hsproj_verify.bench.regimes`.
    operations : sequence of str
        From "forward", "vjp", "pullback" (the vjp of a problem that was solved before) and "forward+vjp".
    threads : int
        How many threads each contender may use. JAX asks once, so limit it before it is loaded, as the command line does.
    limit : float
        Seconds that one operation of one target may take in a cell, by an estimate from a part of it; ten times as many in
        the sweep.
    budget : float
        Seconds for a cell, beyond the fewest samples.
    command : str
        What results say of how they came about.
    progress, keep_on_interrupt : bool
        As for `hsproj_verify.check`.

    Returns
    -------
    Results

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify import Target
    >>> from hsproj_verify.bench.regimes import regimes
    >>> from hsproj_verify.bench.run import bench
    >>> uniform = Target("uniform", lambda x, k: np.full(x.shape, k / x.shape[-1]))
    >>> grid = regimes(["3x5"], ["1"], ["gaussian", "constant"], ["float64"])
    >>> results = bench([uniform], grid, operations=["forward"], budget=0.0)
    >>> [figure.outcome.value for cell, figure in results.figures() if figure.who == "uniform"]
    ['inaccurate', 'measured']
    """
    limit_threads(threads)
    judged = {target.name: target for target in targets}
    unknown = sorted({*operations} - {*OPERATIONS})
    if unknown or not judged:
        raise TargetError(
            f"needs targets, and operations from {OPERATIONS}; got {sorted(judged)} and {list(operations)}"
        )
    grids = [(operations, list(regimes), limit), (("forward",), list(sweep), 10 * limit)]
    parts: tuple[list[Measured], list[Measured]] = ([], [])
    complete = True
    try:
        for part, (wanted, grid, longest) in zip(parts, grids, strict=True):
            run = _Run(list(judged.values()), wanted, longest, budget)
            for regime in _with_progress(grid) if progress else grid:
                part.append(run.measure(regime))
    except KeyboardInterrupt:
        if not keep_on_interrupt:
            raise
        complete = False
    return Results(
        targets={name: _about(target) for name, target in judged.items()},
        machine=describe(_distribution(target) for target in judged.values()),
        threads=threads,
        command=command,
        date=datetime.date.today().isoformat(),
        complete=complete,
        cells=tuple(parts[0]),
        sweep=tuple(parts[1]),
    )


class _Run:
    """Targets, options, and estimates made so far."""

    def __init__(self, targets: list[Target], operations: Sequence[str], limit: float, budget: float) -> None:
        self.targets, self.operations, self.limit, self.budget = targets, operations, limit, budget
        self._estimates: dict[tuple[Any, ...], dict[str, float]] = {}

    def measure(self, regime: Regime) -> Measured:
        """All figures of a cell."""
        need, have = _BYTES * regime.rows * regime.n / 2**30, _memory()
        if need > have:
            reason = f"needs about {need:.0f} GiB of memory, and this machine has {have:.0f}"
            keys = [(target.name, operation) for target in self.targets for operation in self.operations]
            return Measured(regime, tuple(Figure(*key, False, Outcome.SKIPPED, reason) for key in keys))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a target's warnings are its own business
            return self._measure(regime)

    def _measure(self, regime: Regime) -> Measured:
        cell = Cell.of(regime)
        figures: list[Figure] = []
        ready: list[tuple[Contender, Figure]] = []
        functions = [function for target in self.targets for function in (target.project, target.vjp) if function]
        for contender in cell.baselines(reused=any(takes(function, "out") for function in functions)):
            if contender.who == SORT or contender.operation in self.operations:
                contender.call()
                ready.append((contender, contender.figure(Outcome.MEASURED)))
        for target in self.targets:
            estimates = self._estimate(target, regime)
            for contender in self._of(cell, target):
                figure = self._first(contender, estimates.get(contender.operation, 0.0))
                if figure.outcome in (Outcome.MEASURED, Outcome.INACCURATE) and figure.timing is None:
                    ready.append((contender, figure))
                else:
                    figures.append(figure)
        try:
            timings = by_turns([contender.call for contender, _ in ready], budget=self.budget)
        except (Exception, SystemExit) as error:  # of a call that went well before; there is no telling whose
            figures += [_failed(contender, error) for contender, _ in ready if contender.error is not None]
        else:
            figures[:0] = [replace(f, timing=timing) for (_, f), timing in zip(ready, timings, strict=True)]
        return Measured(regime, tuple(figures))

    def _first(self, contender: Contender, estimate: float) -> Figure:
        """A figure that waits for its samples, or has the only one it will get, or says why there is none."""
        if estimate * _CALLS > self.limit:
            reason = f"over the limit: about {estimate:.2g} s a call, by smaller shapes"
            return contender.figure(Outcome.SKIPPED, reason)
        answers: list[Any] = []
        try:
            took = seconds(lambda: answers.append(contender.call()))
            if took * _CALLS > self.limit:
                took = seconds(
                    contender.call
                )  # the first may have compiled: it can't be as slow as that by the estimate
            assert contender.error is not None
            error = contender.error(answers.pop())
        except (Exception, SystemExit) as caught:
            return _failed(contender, caught)
        right = error <= TOLERANCE[contender.operation]
        figure = contender.figure(
            Outcome.MEASURED if right else Outcome.INACCURATE, "" if right else f"wrong by {error:.1e}"
        )
        slow = Timing((took, took, took), 1, 1) if took * _CALLS > self.limit else None
        return replace(figure, error=error, timing=slow)

    def _of(self, cell: Cell, target: Target) -> Iterator[Contender]:
        return (contender for contender in cell.contenders(target) if contender.operation in self.operations)

    def _estimate(self, target: Target, regime: Regime) -> dict[str, float]:
        """Seconds a call, by operation: from the largest part of the problem that was sure to take less than the limit."""
        key = target.name, regime.dims, regime.axis, regime.dtype
        if key not in self._estimates:
            last, estimates = dict.fromkeys(self.operations, 0.0), self._estimates.setdefault(key, {})
            for share in (4096, 256, 16):
                part = _part(regime, share)
                for contender in self._of(Cell.of(part), target):
                    if contender.reused or 16 * last[contender.operation] > self.limit:
                        continue
                    try:
                        contender.call()  # may compile
                        last[contender.operation] = took = min(seconds(contender.call) for _ in range(2))
                    except (Exception, SystemExit):
                        continue  # the cell itself will say
                    estimates[contender.operation] = took * (regime.rows * regime.n) / (part.rows * part.n)
        return self._estimates[key]


def _part(regime: Regime, share: int) -> Regime:
    """A regime of gaussian scores with fewer rows or, where there are not enough, shorter ones."""
    rows = max(1, regime.rows // share)
    n = max(2, regime.n * regime.rows // max(share, regime.rows)) if regime.rows < share else regime.n
    axis = min(regime.axis, 1)
    dims = (n,) if len(regime.dims) == 1 else (rows, n) if axis else (n, rows)
    return Regime(dims, axis, min(regime.k, n - 1), "gaussian", regime.dtype)


def _failed(contender: Contender, error: BaseException) -> Figure:
    reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return contender.figure(Outcome.FAILED, reason[:300])


def _about(target: Target) -> dict[str, Any]:
    return {
        "note": target.note,
        "temperature": "passed" if "temperature" in target.claims else "divided out beforehand",
        "vjp": target.vjp is not None,
        "pullback": target.solve is not None,
        "forward+vjp": "one call" if target.project_and_vjp else "two calls",
    }


def _distribution(target: Target) -> str:
    """The top-level module of a target's function, which for most is the name of its distribution."""
    return getattr(target.project, "__module__", "").partition(".")[0]


def _memory() -> float:
    """GiB of this machine."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _with_progress(grid: list[Regime]) -> Iterable[Regime]:
    from rich.console import Console
    from rich.progress import track

    return track(grid, description="bench", console=Console(file=sys.stderr), transient=True)
