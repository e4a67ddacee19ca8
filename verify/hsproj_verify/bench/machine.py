"""Where figures were measured: processor, cores and versions out; and how many threads everybody may use."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTIONS = ("numpy", "numba", "llvmlite", "scipy")


def describe(distributions: Iterable[str] = ()) -> dict[str, Any]:
    """The machine, and versions of what every run uses and of what this one does.

    Examples
    --------
    >>> from hsproj_verify.bench.machine import describe
    >>> sorted(describe())
    ['cores', 'processor', 'system', 'versions']
    """
    versions = {"python": platform.python_version()}
    for name in dict.fromkeys((*DISTRIBUTIONS, *distributions)):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a file or a package that isn't installed
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def limit_threads(number: int) -> None:
    """Let BLAS, OpenMP, Numba and torch use so many threads; XLA, too, if it is to be one and JAX isn't loaded yet."""
    import numba
    from threadpoolctl import threadpool_limits

    threadpool_limits(number)
    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)
    if number == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()


def _processor() -> str:
    """Vendors' names, as far as a virtual machine tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())  # all cores are told to be the first
    name = found.get("model name", platform.machine())
    numbered = f", family {found['cpu family']}, model {found['model']}" if "cpu family" in found else ""
    wide = [flag for flag in ("avx2", "avx512f") if flag in found.get("flags", "").split()]
    return f"{name}{numbered}{' with ' + ' and '.join(wide) if wide else ''}"
