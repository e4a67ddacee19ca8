"""Batches on several threads: the same bits, and nothing that outlives an error, a fork or the interpreter."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numba
import numpy as np
import pytest

import hsproj
from hsproj import _threads

RNG = np.random.default_rng(3)
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture(params=[1, 2, 3, 7])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A number of threads, however few the machine has, and used for any size."""
    count: int = request.param
    monkeypatch.setattr(_threads, "_allowed", lambda: count)
    monkeypatch.setattr(_threads, "_LEAST", 1)
    return count


@pytest.mark.parametrize("shape", [(1, 10), (9, 10), (50, 24), (64, 25), (131, 40), (0, 10), (10, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_no_bit(
    threads: int, shape: tuple[int, int], dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = RNG.normal(size=shape).astype(dtype)
    x[5:7, :2] = np.nan  # rows for which there are slower ways
    k, tau = RNG.uniform(0, shape[1], shape[0]), RNG.uniform(0.5, 2, shape[0])

    def answers() -> list[np.ndarray]:
        return [hsproj.soft_binary_argmax(x, k, temperature=tau), hsproj.vjp(x, k, x, temperature=tau)]

    came = answers()
    monkeypatch.setattr(_threads, "_allowed", lambda: 1)
    for array, expected in zip(came, answers(), strict=True):
        assert array.tobytes() == expected.tobytes()


@pytest.mark.parametrize("m", [1, 5, 7, 100])
def test_chunks_are_every_row_once_and_as_many_as_threads(threads: int, m: int) -> None:
    rows, numbers = np.zeros((m, 5)), np.arange(m)
    seen: list[list[int]] = []
    _threads.for_chunks(lambda _, own: seen.append(own.tolist()), rows, numbers)
    assert [i for own in sorted(seen) for i in own] == numbers.tolist()
    assert len(seen) == min(threads, m)


@pytest.mark.parametrize("threads", [3], indirect=True)
@pytest.mark.parametrize("where", [0, 40, 80])
def test_an_exception_in_any_chunk_arrives_when_all_threads_are_done(threads: int, where: int) -> None:
    ended = []

    def act(_: np.ndarray, own: np.ndarray) -> None:
        if where in own:
            raise KeyError(where)
        threading.Event().wait(0.05)
        ended.append(own)

    with pytest.raises(KeyError, match=str(where)):
        _threads.for_chunks(act, np.zeros((96, 5)), np.arange(96))
    assert len(ended) == threads - 1


@pytest.fixture
def ordinary_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@pytest.mark.usefixtures("ordinary_threads")
def test_numba_says_how_many_threads_there_are() -> None:
    for count in {1, numba.config.NUMBA_NUM_THREADS}:
        numba.set_num_threads(count)
        chunks: list[np.ndarray] = []
        _threads.for_chunks(chunks.append, np.broadcast_to(0.0, (1000, 100_000)))
        assert len(chunks) == count


def _run(code: str, **environment: str) -> str:
    code = "import os, numpy as np, hsproj, numba, threading\n" + code
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    assert done.stderr == ""
    return done.stdout.strip()


BATCH = "x = np.add.outer(np.zeros(20_000), [4, 0.25, 0.5, 0.75, -9, -9, -9, -9, -9, -9]); p = hsproj.project(x, 2.5)\n"


def test_the_environment_says_how_many_threads_there_are() -> None:
    show = BATCH + "print(threading.active_count())"
    assert _run(show, NUMBA_NUM_THREADS="1") == "1"
    assert _run(show, NUMBA_NUM_THREADS="3") == "3"


def test_threads_start_with_the_first_batch_that_needs_them_and_are_not_numbas() -> None:
    show = "hsproj.project(np.arange(10.0), 2); before = threading.active_count()\n" + BATCH
    show += "print(before, threading.active_count())\ntry: numba.threading_layer()\nexcept ValueError: print('none')"
    assert _run(show, NUMBA_NUM_THREADS="2").split() == ["1", "2", "none"]


@FORKS
def test_a_fork_projects_batches_as_its_parent_does() -> None:
    # Python warns of forks next to threads. These hold no lock that the child could want.
    code = BATCH + (
        "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
        "if os.fork() == 0:\n"
        "    os._exit(0 if (hsproj.project(x, 2.5) == p).all() and threading.active_count() == 2 else 1)\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]), p[-1].tolist())"
    )
    assert _run(code, NUMBA_NUM_THREADS="2") == "0 [1.0, 0.25, 0.5, 0.75, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]"


def test_batches_are_projected_while_the_interpreter_shuts_down() -> None:
    code = "import atexit\natexit.register(lambda: print((hsproj.project(x, 2.5) == p).all()))\n" + BATCH
    assert _run(code, NUMBA_NUM_THREADS="2") == "True"
