"""First calls: where nothing can be cached, from several processes at once, and next to what others left behind."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hsproj
from hsproj._kernels._jit import _CacheFile

# The first score is saturated, and the others add up to what it leaves of k.
CALL = "import numpy, hsproj; print(hsproj.project(numpy.array([4, 0.25, 0.5, 0.75], '{}'), 2.5).tolist())"
ANSWER = "[1.0, 0.25, 0.5, 0.75]"


def _start(dtype: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    return subprocess.Popen(
        [sys.executable, "-c", CALL.format(dtype)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**inherited, "PYTHONPATH": str(cwd), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=cwd,
    )


def _came(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, complaints = process.communicate()
    return out.strip(), complaints


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a copy of the package in it, without anything compiled."""
    shutil.copytree(Path(hsproj.__file__).parent, tmp_path / "hsproj", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_read_only_installation_without_a_home_compiles_in_each_process(installed: Path) -> None:
    # Root may write anywhere, but no one may make a folder where there is a file.
    for folder in (installed / "hsproj", installed / "hsproj" / "_kernels"):
        (folder / "__pycache__").touch()
    before = sorted(installed.rglob("*"))
    assert _came(_start("float64", installed, HOME=os.devnull)) == (ANSWER, "")
    assert sorted(installed.rglob("*")) == before


def test_three_processes_may_fill_an_empty_cache_at_once(installed: Path) -> None:
    cache = installed / "cache"
    for _ in ("empty", "filled"):
        processes = [
            _start(dtype, installed, NUMBA_CACHE_DIR=str(cache)) for dtype in ("float32", "float64", "float32")
        ]
        assert [_came(process) for process in processes] == [(ANSWER, "")] * 3
        assert list(cache.rglob("*compare_rows*.nbc"))


def _before(cache: _CacheFile, step: str, act: Callable[[], Any]) -> None:
    """Have something happen before a step of saving to this cache."""
    take = getattr(cache, step)

    def interrupted(*arguments: Any) -> None:
        act()
        take(*arguments)

    setattr(cache, step, interrupted)


@pytest.mark.parametrize("step", ["_save_data", "_save_index"])
def test_two_processes_that_save_at_once_never_give_code_for_another_dtype(tmp_path: Path, step: str) -> None:
    first, second = (_CacheFile(str(tmp_path), "kernel", "stamp") for _ in range(2))
    second._load_index = dict  # it has looked before there was anything
    _before(first, step, lambda: second.save("float32", "code for float32"))
    first.save("float64", "code for float64")
    reader = _CacheFile(str(tmp_path), "kernel", "stamp")
    for dtype in ("float32", "float64"):
        assert reader.load(dtype) in (None, f"code for {dtype}")  # None: it is compiled again


@pytest.mark.parametrize("step", ["_save_data", "_save_index"])
def test_code_of_an_earlier_version_is_never_loaded(tmp_path: Path, step: str) -> None:
    earlier, later = (_CacheFile(str(tmp_path), "kernel", stamp) for stamp in ("earlier", "later"))
    earlier.save("float64", "earlier code")
    loaded = []
    _before(later, step, lambda: loaded.append(later.load("float64")))
    later.save("float64", "later code")
    assert [*loaded, later.load("float64")] == [None, "later code"]


def test_code_of_an_earlier_version_is_removed(tmp_path: Path) -> None:
    for stamp in ("earlier", "later"):
        _CacheFile(str(tmp_path), "kernel", stamp).save("float64", "code")
    assert len(list(tmp_path.glob("*.nbc"))) == 1


_EVERYTHING = """
import numpy as np
from numba.core import event

import hsproj

compiled = []


class Listener(event.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"].__name__)

    def on_end(self, event):
        pass


event.register("numba:compile", Listener())
rng = np.random.default_rng(0)
for n in (5, 10, 100, 1000):
    x, y = rng.normal(size=n).astype("float32"), np.eye(n, 1)[:, 0].astype("float32")
    hsproj.soft_binary_argmax(x, 2)
    hsproj.vjp(x, 2, y)
    hsproj.solve(x, 2).vjp(y)
    hsproj.hypersimplex_loss_and_grad(x, y, 1)
    hsproj.binary_argmax(x, 2)
hsproj.soft_binary_argmax(rng.normal(size=(600, 300)), 2, axis=0)
hsproj.soft_binary_argmax(rng.normal(size=2_000_000), 200_000)  # by several threads, where there are
hsproj.project([1e9, 1e9 + 1e-7, 0.0], 1.5)
print(compiled)
"""


def test_what_is_called_from_python_is_compiled_once_and_for_all() -> None:
    command = [sys.executable, "-c", _EVERYTHING]
    subprocess.run(command, check=True, capture_output=True)  # compiles what no test before has
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the processor named here is of another family"
)
def test_a_processor_without_the_longest_vectors_gives_the_same_bits(tmp_path: Path) -> None:
    call = "import numpy, hsproj; x = numpy.random.default_rng(0).normal(size=(20, 1000)); "
    call += "print(hsproj.soft_binary_argmax(x, 100).tobytes().hex())"
    older = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+popcnt"}
    answers = [
        subprocess.run(
            [sys.executable, "-c", call], env={**os.environ, **more}, check=True, capture_output=True, text=True
        ).stdout
        for more in ({}, {**older, "NUMBA_CACHE_DIR": str(tmp_path)})
    ]
    assert answers[0] == answers[1]
