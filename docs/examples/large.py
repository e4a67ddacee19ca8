"""Scores that don't fit into memory: a row of 10^9 from a file, and a batch with millions of classes, on workers of Dask.

python docs/examples/large.py [--entries N] [--classes C] [--memory BYTES] [--folder PATH]

Takes 12 bytes an entry in a temporary folder, shows progress, and prints time and peak memory. Nothing but pages of
the files, which the system may drop at any time, is ever held as a whole.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import psutil
from dask.utils import format_bytes, parse_bytes
from distributed import Client, LocalCluster, progress

from hsproj.integrations.dask import project, vjp

FLOAT32 = np.dtype(np.float32)
CHUNK = 1 << 23
"""Entries of a chunk."""


@dataclass(frozen=True)
class File:
    """An array of float32 in a file: what Dask reads from and writes to, a chunk at a time, wherever a worker is."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = FLOAT32

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.array(self._mapped("r")[index])

    def __setitem__(self, index: Any, value: np.ndarray) -> None:
        self._mapped("r+")[index] = value

    def create(self) -> File:
        """As it is, with zeros where nothing was written."""
        with open(self.path, "wb") as file:
            file.truncate(int(np.prod(self.shape)) * self.dtype.itemsize)
        return self

    def _mapped(self, mode: Any) -> np.memmap[Any, Any]:
        return np.memmap(self.path, self.dtype, mode, shape=self.shape)


class Peak(threading.Thread):
    """The most memory, but for pages of files, that this process and its workers have held together."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes, self._done = 0, threading.Event()

    def run(self) -> None:
        """Look ten times a second."""
        while not self._done.wait(0.1):
            processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
            self.bytes = max(self.bytes, sum(map(_anonymous, processes)))

    def stop(self) -> int:
        """What it was."""
        self._done.set()
        self.join()
        return self.bytes


def _anonymous(process: psutil.Process) -> int:
    try:
        memory = process.memory_info()
    except psutil.NoSuchProcess:
        return 0
    return memory.rss - memory.shared


def compute(what: str, tasks: Any) -> None:
    """Run, with progress, and say how long it took."""
    start, peak = time.perf_counter(), Peak()
    peak.start()
    running = dask.persist(tasks)
    progress(running, notebook=False)
    dask.compute(*running)
    print(f"\n{what}: {time.perf_counter() - start:.0f} s, peak memory {format_bytes(peak.stop())}", flush=True)


def drawn(path: Path, shape: tuple[int, ...], chunks: tuple[int, ...]) -> File:
    """A file of gaussian scores."""
    file = File(str(path), shape).create()
    scores = da.random.default_rng(0).normal(size=shape, chunks=chunks).astype(np.float32)
    compute(
        f"{path.name}: {' x '.join(map(str, shape))} scores, {format_bytes(path.stat().st_size)}", _stored(scores, file)
    )
    return file


def _stored(array: da.Array, file: File) -> Any:
    return da.store(array, file, lock=False, compute=False)


def one_row(folder: Path, n: int) -> None:
    """A row of n scores, one in a hundred of which is chosen: p, and the gradient of a weighted sum."""
    scores = da.from_array(drawn(folder / "row", (n,), (CHUNK,)), chunks=CHUNK)
    p = File(str(folder / "p"), (n,)).create()
    compute(f"p of a row of {n}", _stored(project(scores, n // 100), p))
    print("sum of p:", float(da.from_array(p, chunks=CHUNK).sum(dtype=np.float64).compute()))
    weights = da.from_array(p, chunks=CHUNK)
    compute("its gradient", _stored(vjp(scores, n // 100, weights), File(str(folder / "g"), (n,)).create()))


def many_classes(folder: Path, m: int, classes: int) -> None:
    """Scores of m samples over millions of classes, ten of which are chosen for each, with the gradient of the loss."""
    rows = max(CHUNK // classes, 1)
    scores = da.from_array(drawn(folder / "classes", (m, classes), (rows, classes)), chunks=(rows, classes))
    p = project(scores, 10)
    residual = p - (scores > 4.0)
    loss = 0.5 * (residual**2).sum(axis=-1, dtype=np.float64)
    gradient = _stored(vjp(scores, 10, residual), File(str(folder / "gradient"), (m, classes)).create())
    compute(f"loss and gradient of {m} samples with {classes} classes", [loss.mean(), gradient])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10**9)
    parser.add_argument("--classes", type=int, default=4 * 10**6)
    parser.add_argument("--memory", default="2GB", help="of all workers together")
    parser.add_argument("--folder", type=Path, help="a disk with room for 12 bytes an entry")
    options = parser.parse_args()
    workers = 2
    limit = parse_bytes(options.memory) // workers
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        LocalCluster(n_workers=workers, threads_per_worker=1, memory_limit=limit, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        one_row(Path(folder), options.entries)
        for name in ("row", "p", "g"):
            (Path(folder) / name).unlink()
        many_classes(Path(folder), max(options.entries // options.classes, 1), options.classes)


if __name__ == "__main__":
    main()
