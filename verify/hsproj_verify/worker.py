"""A process of a `Crew`: a target's recipe and then jobs come in by standard input; results go out by standard output.

Both are pickled, and taken away from the target, which finds an empty standard input and writes to standard error.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from hsproj_verify.case import Raised, Witness
from hsproj_verify.draws import ReplayError, decode, encode
from hsproj_verify.examine import replay_check, run_check
from hsproj_verify.isolation import Broken, CutOff, Job, Loaded, Log, Probing, Recipe, cut_off
from hsproj_verify.probing import probe
from hsproj_verify.problems import array_source
from hsproj_verify.recording import Terms
from hsproj_verify.target import COMPANIONS, Target, TargetError

_LONGEST_SHOWN = 5000


def main(log: str) -> None:
    """Serve until standard input ends."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process

    def send(message: Any) -> None:
        pickle.dump(message, sink)
        sink.flush()

    recipe, terms = pickle.load(source)
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(source, jobs), daemon=True).start()
    try:
        _serve(recipe, terms, Path(log), jobs, send)
    except TargetError as error:
        send(error)


def _receive(source: IO[bytes], jobs: queue.SimpleQueue[Job]) -> None:
    # At its end whoever asked is gone, and nobody waits for what the target is doing. A target may also have closed it.
    with contextlib.suppress(OSError):
        try:
            while True:
                jobs.put(pickle.load(source))
        except (EOFError, pickle.UnpicklingError):
            os._exit(0)


def _serve(recipe: Recipe, terms: Terms, path: Path, jobs: queue.SimpleQueue[Job], send: Callable[[Any], None]) -> None:
    logger = Logger(path)
    judged = _around(recipe.make(), logger.around)
    if recipe.probed:
        send(Probing())
        judged = probe(judged)
    loaded = Loaded.of(judged)
    _freeze_constants()
    send(loaded)
    while True:
        job = jobs.get()
        try:
            if job.draws is None:
                send(run_check(job.check, judged, terms, logger.record))
                continue
            logger.record([decode(value) for value in job.draws])
            stopper = Stopper(judged.origin, job.stop_at)
            result = replay_check(job.check, _around(judged, stopper.around), terms, job.draws)
            send(cut_off(job, job.reason, loaded, terms, stopper.witness) if job.stop_at else result)
        except ReplayError as error:
            send(error)
        except KeyboardInterrupt:
            send(CutOff("raised KeyboardInterrupt"))
        except BaseException:
            send(Broken(traceback.format_exc()))


def _around(target: Target, around: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> Target:
    """The same target, with something around each of its functions."""
    functions = {name: getattr(target, name) for name in ("project", *COMPANIONS)}
    around_each: dict[str, Any] = {name: around(name, f) for name, f in functions.items() if f is not None}
    return replace(target, **around_each)


def _freeze_constants() -> None:
    """Hypothesis tries constants of the modules loaded so far: from here on of no others, in whatever order checks run."""
    from hypothesis.internal.conjecture import providers

    import hsproj_verify.oracles.qp
    import hsproj_verify.strategies  # noqa: F401

    if hasattr(providers, "_get_local_constants"):  # since 6.130
        constants = providers._get_local_constants()
        providers._get_local_constants = lambda: constants


class Logger:
    """Notes the calls of a target in a file: see `hsproj_verify.isolation.Log`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self._lock = threading.Lock()
        self._values: list[Any] = []
        self._noted = -1
        self._calls = self._active = self._number = self._examples = self._size = 0

    def record(self, values: list[Any]) -> None:
        """A new example, whose draws will be appended to `values`."""
        self._values = values
        self._noted = -1
        self._number = 0
        self._examples += 1

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its calls noted."""

        @functools.wraps(function)
        def noted(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self._calls += 1
                self._number += 1
                self._active += 1
                self._write()
            try:
                return function(*arguments, **options)
            finally:
                with self._lock:
                    self._active -= 1
                    self._write()

        return noted

    def _write(self) -> None:
        if self._noted != len(self._values):
            draws = json.dumps([encode(value) for value in self._values]).encode()
            self._file.seek(Log.FORMAT.size)
            self._file.write(draws)
            self._noted, self._size = len(self._values), len(draws)
        self._file.seek(0)
        header = (self._calls, self._active > 0, self._number, self._examples, self._size)
        self._file.write(Log.FORMAT.pack(*header))


class Stopper:
    """Lets calls pass until one that is known to end badly, and makes a witness of that one instead."""

    def __init__(self, origin: str, stop_at: int) -> None:
        self.witness: Witness | None = None
        self._origin = origin
        self._left = stop_at

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, until then."""

        @functools.wraps(function)
        def counted(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left != 0:
                return function(*arguments, **options)
            shown = [_source(value) for value in arguments]
            shown += [f"{option}={_source(value)}" for option, value in options.items()]
            call = f"{'function' if name == 'project' else name}({', '.join(shown)})"
            lines = ["import numpy as np", self._origin, call]
            self.witness = Witness("\n".join(line for line in lines if line), "nothing", "an answer")
            raise Raised("not called")

        return counted


def _source(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size <= _LONGEST_SHOWN:
        return array_source(value)
    return f"... # {value.dtype} of shape {value.shape}: see the file of this witness"
