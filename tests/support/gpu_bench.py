"""Times the kernels on a CUDA device against copies, sorting and the generic path: docs/gpu-benchmarks.md.

python tests/support/gpu_bench.py [--rounds R] [--write PATH]

Where there is no device it says so, and writes nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console
from rich.progress import track

import hsproj
from hsproj import _cuda

SHAPES = ((65536, 1000), (4096, 8192), (65536, 10), (65536, 32), (65536, 100), (1024, 50_000), (1, 10_000_000))
PAGE = """---
orphan: true
---

# On a GPU

<!-- Written by `make gpu`. -->

On {device}: gaussian scores, k = n / 10, medians of {rounds} rounds in which each was called in turn. *Copy* is
`x.copy()`. A percentage is that of the copy's bandwidth: forward reads and writes each entry once, a vjp reads scores and
cotangents and writes once. *Sorting* is the projection by `cupy.argsort` of all breakpoints and prefix sums; *generic* is the
path of array-API calls. Both are times of forward, as multiples of the kernel's.

| | | copy, ms | forward | vjp | forward and vjp | sorting | generic |
| --- | --- | --- | --- | --- | --- | --- | --- |
{lines}
"""


def by_sorting(cupy: Any, x: Any, k: int) -> Any:
    """The textbook's way: the sum of clip(x - t, 0, 1) at all its breakpoints, and the linear piece that crosses k."""
    points = cupy.concatenate([x, x - 1], axis=-1)
    order = cupy.argsort(points, axis=-1)
    points = cupy.take_along_axis(points, order, -1)
    # Below all of them the sum is n; its slope falls by one at each x - 1 and rises by one at each x.
    slopes = cupy.cumsum(cupy.where(order < x.shape[-1], 1.0, -1.0), axis=-1)
    sums = x.shape[-1] + cupy.cumsum(slopes[:, :-1] * cupy.diff(points, axis=-1), axis=-1)
    i = cupy.argmax(sums <= k, axis=-1)[:, None]
    theta = cupy.take_along_axis(points, i + 1, -1) + (cupy.take_along_axis(sums, i, -1) - k) / cupy.maximum(
        -cupy.take_along_axis(slopes, i, -1), 1
    )
    return cupy.clip(x - theta.astype(x.dtype), 0, 1)


def medians(cupy: Any, calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Milliseconds on the device that each takes, called in turn, after calls to warm up."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 3):
        for call, milliseconds in zip(calls, times, strict=True):
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            call()
            end.record()
            end.synchronize()
            if turn > 2:
                milliseconds.append(cupy.cuda.get_elapsed_time(start, end))
    return [statistics.median(milliseconds) for milliseconds in times]


def lines(cupy: Any, rounds: int) -> Iterator[str]:
    """Those of the table."""
    cases = [(shape, dtype) for shape in SHAPES for dtype in ("float32", "float64")]
    for (m, n), dtype in track(cases, "shapes", console=Console(stderr=True)):
        random = cupy.random.default_rng(0)
        x, g = (random.standard_normal((m, n), dtype=dtype) for _ in range(2))
        k = n // 10

        def generic(x: Any = x, k: int = k) -> Any:
            with mock.patch.object(_cuda, "device_of", return_value=None):
                return hsproj.project(x, k)

        def kernel(x: Any = x, k: int = k) -> Any:
            return hsproj.project(x, k)

        def sorting(x: Any = x, k: int = k) -> Any:
            return by_sorting(cupy, x, k)

        if dtype == "float64":  # prefix sums of long rows in float32 are off
            assert float(abs(kernel() - sorting()).max()) < 1e-6, "the two ways disagree"
        calls = [
            x.copy,
            kernel,
            lambda x=x, g=g, k=k: hsproj.vjp(x, k, g),
            lambda x=x, g=g, k=k: hsproj.soft_binary_argmax_and_vjp(x, k, g),
            sorting,
            generic,
        ]
        copy, forward, vjp, both, sort, array_api = medians(cupy, calls, rounds)
        yield (
            f"| {m}x{n} | {dtype} | {copy:.3f} | {copy / forward:.0%} | {1.5 * copy / vjp:.0%} | {2 * copy / both:.0%} "
            f"| {sort / forward:.1f} | {array_api / forward:.1f} |"
        )
        cupy.get_default_memory_pool().free_all_blocks()


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--write", type=Path, default=Path(__file__).parents[2] / "docs" / "gpu-benchmarks.md")
    options = parser.parse_args(arguments)
    missing = why_not()
    if missing:
        print(f"Nothing is timed: {missing}.")
        return 0
    import cupy

    device = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    table = "\n".join(lines(cupy, options.rounds))
    options.write.write_text(PAGE.format(device=device, rounds=options.rounds, lines=table), encoding="utf-8")
    print(options.write.read_text(encoding="utf-8"))
    return 0


def why_not() -> str | None:
    """What is missing for a run; None where nothing is."""
    if find_spec("cupy") is None:
        return "cupy is not installed"
    import cupy

    try:
        return None if cupy.cuda.runtime.getDeviceCount() else "there is no CUDA device"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"there is no CUDA device ({error})"


if __name__ == "__main__":
    sys.exit(main())
