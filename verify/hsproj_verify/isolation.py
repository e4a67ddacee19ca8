"""Checks in processes of their own: a target that hangs, exits or dies with a signal costs one check.

A `Crew` keeps some workers (see `hsproj_verify.worker`), hands out jobs and yields results. Before it calls the target a
worker notes the call in a file, its *log*, which outlives it. When it dies, or stays in one call for too long, a fresh worker
runs the same case up to that call and makes the witness of it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from hsproj_verify.case import Witness
from hsproj_verify.checks import Check
from hsproj_verify.draws import ReplayError
from hsproj_verify.recording import Terms, recording
from hsproj_verify.report import Outcome, Result
from hsproj_verify.target import Target, TargetError, load

GRACE = 6
"""Beyond the timeout of each, calls may take so many timeouts in all: for compilers. A call that hangs uses that up."""

_POLL = 0.05


@dataclass(frozen=True)
class Recipe:
    """How to make a target: what a worker is sent instead of it.

    Attributes
    ----------
    target : str, Target or callable
    companions : mapping
        As in `Target.bringing`.
    claiming, without : sequence of str
        Claims added and withdrawn.
    problem : mapping
        As in `Target.solving`.
    probed : bool
        Whether the target is probed before it is judged: see `hsproj_verify.probing`.
    """

    target: Any
    companions: Mapping[str, Any] = field(default_factory=dict)
    claiming: Sequence[str] = ()
    without: Sequence[str] = ()
    problem: Mapping[str, Any] = field(default_factory=dict)
    probed: bool = True

    @property
    def is_named(self) -> bool:
        """Whether it holds names only."""
        return all(isinstance(spec, str) for spec in (self.target, *self.companions.values()))

    @property
    def name(self) -> str:
        """How reports call it."""
        if isinstance(self.target, str):
            return self.target
        if isinstance(self.target, Target):
            return self.target.name
        function, prefix = self.target, ""
        while isinstance(function, functools.partial):
            function, prefix = function.func, f"{prefix}partial of "
        return f"{prefix}{function.__module__}:{getattr(function, '__qualname__', type(function).__name__)}"

    def make(self) -> Target:
        """The target; `TargetError` if there is none."""
        if isinstance(self.target, str):
            target = load(self.target)
        elif isinstance(self.target, Target):
            target = self.target
        elif callable(self.target):
            target = Target(self.name, self.target)
        else:
            raise TargetError(f"a target is a name, a callable or a Target; got {type(self.target).__name__}")
        target = target.bringing(**self.companions).solving(**self.problem)
        if "any-k" in self.without and target.fixed_k is None:
            raise TargetError("without any-k: which k does it take, then? say so by fixed_k (--fixed-k)")
        return target.claiming(*self.claiming).without(*self.without)


@dataclass(frozen=True)
class Job:
    """A check to run: with examples of its own, or on recorded draws (encoded).

    Attributes
    ----------
    check : Check
    draws : list, optional
    stop_at : int
        With draws: the call to make a witness of instead of calling, counted from 1; 0 for none.
    reason : str
        What became of that call.
    examples : int
        Examples until then.
    """

    check: Check
    draws: list[Any] | None = None
    stop_at: int = 0
    reason: str = ""
    examples: int = 1


@dataclass(frozen=True)
class Loaded:
    """What is to be known of a target that a worker has loaded."""

    name: str
    note: str
    claims: tuple[str, ...]
    problem: Mapping[str, Any]

    @classmethod
    def of(cls, target: Target) -> Loaded:
        """What is to be known of this one."""
        return cls(target.name, target.note, tuple(sorted(target.claims)), target.problem)


@dataclass(frozen=True)
class Probing:
    """The target is loaded, and about to be called for the first time."""


@dataclass(frozen=True)
class CutOff:
    """The target raised what is meant for the user's own interruption."""

    reason: str


@dataclass(frozen=True)
class Broken:
    """The judge itself failed; its traceback."""

    text: str


@dataclass(frozen=True)
class Log:
    """The last call that a worker noted."""

    calls: int
    in_call: bool
    number: int
    examples: int
    draws: bytes

    FORMAT: ClassVar = struct.Struct("<Q?QQQ")

    @classmethod
    def read(cls, path: Path, *, draws: bool) -> Log:
        """The log in a file; without its draws unless they are asked for."""
        with path.open("rb") as file:
            header = file.read(cls.FORMAT.size)
            if len(header) < cls.FORMAT.size:
                return cls(0, False, 0, 0, b"")
            calls, in_call, number, examples, size = cls.FORMAT.unpack(header)
            return cls(calls, in_call, number, examples, file.read(size) if draws else b"")


class Clock:
    """Seconds in which this process could look at its workers: a machine that was suspended suspended them, too.

    Examples
    --------
    >>> from hsproj_verify.isolation import Clock
    >>> times = iter([0.0, 0.05, 3600.0])
    >>> clock = Clock(times.__next__)
    >>> for _ in range(3):
    ...     clock.tick()
    >>> clock.now
    1.05
    """

    def __init__(self, time: Callable[[], float] = time.monotonic) -> None:
        self.now = 0.0
        self._time = time
        self._last: float | None = None

    def tick(self) -> None:
        """To be called many times a second."""
        time = self._time()
        self.now += 0.0 if self._last is None else min(time - self._last, 1.0)
        self._last = time


class _Worker:
    """One process, and the thread that listens to it."""

    def __init__(self, recipe: Recipe, terms: Terms, log: Path, inbox: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        # The package is found where it was found here, and so is everything that the target needs.
        program = f"import sys; sys.path[:] = {sys.path!r}; from hsproj_verify.worker import main; main({str(log)!r})"
        self.log = log
        self.job: Job | None = None
        self.ready = False
        self.probing = False
        self.stalled = ""
        self._ended = False
        self.took = 0.0
        self._seen = 0
        self._waited = 0.0
        self._since = self._until = 0.0
        # In a session of its own: Ctrl-C in the terminal is the parent's to handle, and a kill takes its children along.
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.send((recipe, terms))
        self._listener = threading.Thread(target=self._listen, args=(inbox,), daemon=True)
        self._listener.start()

    def _listen(self, inbox: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout, contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                inbox.put((self, pickle.load(self._process.stdout)))
        inbox.put((self, None))

    def send(self, message: Any) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # a dead worker is heard of by the listener
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def start(self, job: Job) -> None:
        self.job = job
        self.send(job)

    def watch(self, now: float) -> float:
        """Seconds in the call that it is in, if any; how long the one before took is in `took`."""
        log = Log.read(self.log, draws=False)
        now -= self._queued()
        self.took = 0.0
        if not log.in_call or log.calls != self._seen:
            self.took, self._seen, self._since, self._until = self._until - self._since, log.calls, now, now
        self._until = now
        return now - self._since

    def _queued(self) -> float:
        """Seconds that it waited for a processor, where Linux tells: nobody's fault, least of all the target's."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            self._waited = int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[1]) / 1e9
        return self._waited

    def death(self) -> str:
        """Ends it, and says how it died if it did so by itself."""
        try:
            status = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self.end()
            return "went silent"
        self.end()
        if status >= 0:
            return f"ended its process with exit status {status}"
        try:
            return f"died with {signal.Signals(-status).name}"
        except ValueError:
            return f"died with signal {-status}"

    @property
    def gone(self) -> bool:
        """Whether it has ended by itself: its children may still hold the pipe that would tell."""
        return self._process.poll() is not None

    def end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):  # it may be gone, and its children with it
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._listener.join(1.0)  # longer if a child that left the session holds the other end of the pipe
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()


class Crew:
    """Workers with the same target.

    Parameters
    ----------
    recipe : Recipe
    terms : Terms
    size : int
        Number of workers, at most one a job.
    timeout : float
        Seconds for one call of the target.
    """

    def __init__(self, recipe: Recipe, terms: Terms, size: int, timeout: float) -> None:
        self.loaded: Loaded | None = None
        self._refused: TargetError | None = None
        self._recipe = recipe
        self._terms = terms
        self._size = size
        self._timeout = timeout
        self._grace = GRACE * timeout
        self._clock = Clock()
        self._inbox: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._folder = tempfile.TemporaryDirectory(prefix="hsproj-verify-")
        self._started = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        while self._workers:
            self._workers.pop().end()
        self._folder.cleanup()

    def run(self, jobs: Sequence[Job]) -> Iterator[Job | Result]:
        """Each job as it is started, and its result as it comes."""
        if self._refused is not None:
            raise self._refused
        waiting = deque(jobs)
        open_jobs = len(waiting)
        while open_jobs:
            while len(self._workers) < min(self._size, open_jobs):
                self._hire()
            for worker in self._workers:
                if waiting and worker.ready and worker.job is None:
                    job = waiting.popleft()
                    worker.start(job)
                    if not job.stop_at:
                        yield job
            self._clock.tick()
            try:
                worker, message = self._inbox.get(timeout=_POLL)
            except queue.Empty:
                self._end_stalled()
                continue
            if worker not in self._workers:
                continue  # the end of one that was ended here
            answer = self._heard(worker, message)
            if isinstance(answer, Job):
                waiting.appendleft(answer)
            elif answer is not None:
                open_jobs -= 1
                yield answer

    def _hire(self) -> None:
        self._started += 1
        log = Path(self._folder.name) / f"{self._started}.log"
        log.touch()
        self._workers.append(_Worker(self._recipe, self._terms, log, self._inbox))

    def _end_stalled(self) -> None:
        for worker in self._workers:
            if worker.gone and not worker.stalled:
                worker.end()
                self._inbox.put((worker, None))
                continue
            late = worker.watch(self._clock.now) - self._timeout
            self._grace -= max(worker.took - self._timeout, 0.0)
            if late > max(self._grace, 0.0) and not worker.stalled:
                worker.stalled, worker.ready = f"no answer within {self._timeout:g} s", False
                self._grace = 0.0
                worker.end()

    def _heard(self, worker: _Worker, message: Any) -> Job | Result | None:
        """What a message of a worker means: a result, a job that takes the place of the one it had, or neither."""
        job = worker.job
        match message:
            case Probing():
                worker.probing = True
                return None
            case Loaded():
                self.loaded, worker.ready, worker.probing = message, True, False
                return None
            case TargetError():
                self._refused = message
                raise message
            case ReplayError():
                worker.job = None
                raise message
            case Broken():
                raise RuntimeError(f"the judge failed, not the target:\n{message.text}")
            case Result():
                worker.job = None
                return message
            case CutOff():
                reason = message.reason
            case _:
                reason = worker.stalled or worker.death()
        log = Log.read(worker.log, draws=True)
        self._workers.remove(worker)
        worker.end()
        if job is None and worker.probing:
            self._recipe = replace(self._recipe, probed=False)  # its checks will tell
            return None
        if job is None:
            if worker.ready or worker.stalled:
                return None
            self._refused = TargetError(f"can't load the target {self._recipe.name!r}: {reason}")
            raise self._refused
        if not job.stop_at and log.draws:
            return Job(job.check, json.loads(log.draws), log.number, reason, log.examples)
        assert self.loaded is not None
        return cut_off(job, job.reason or reason, self.loaded, self._terms)


def cut_off(job: Job, reason: str, loaded: Loaded, terms: Terms, witness: Witness | None = None) -> Result:
    """The result of a job that its target ended; of its last call there may be a witness."""
    name = job.check.name
    replay = job.draws and recording(name, loaded.name, loaded.claims, loaded.problem, terms, job.draws, reason)
    return Result(name, job.check.level, Outcome.FAILED, reason, witness, job.examples, replay=replay or None)
