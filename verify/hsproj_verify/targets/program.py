"""Programs in any language: ``exec:./program --option``, asked by JSON Lines. docs/protocol.md is the protocol.

One request and one reply are one line each. Numbers are decimals that read back as the same float64, which `strtod`, and
whatever a language parses numbers with, gets right; what JSON has no number for is "nan", "inf" or "-inf".
"""

from __future__ import annotations

import contextlib
import json
import math
import queue
import shlex
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from hsproj_verify.target import COMPANIONS
from hsproj_verify.targets._error import TargetError

PROTOCOL = 1

TIMEOUT = 90.0
"""Seconds for one reply. Workers end a call that takes too long well before that."""

OPERATIONS = ("project", *COMPANIONS)

UNCLAIMED = {
    "batch": "programs are asked for one row at a time unless they say that they take batches",
    "own-k": "programs are asked for one row at a time unless they say that they take batches",
    "layouts": "arrays are sent as numbers",
    "numbers": "all numbers are sent as digits",
    "integers": "all numbers are sent as floats",
}
"""Claims that a program makes only if it says so, or can't make at all, with the reason."""

SETTINGS = ("protocol", "operations", "claims", "without", "fixed_k", "constraint", "note")
"""What a program may say of itself, in reply to "hello"."""


class ProgramError(Exception):
    """A program did not answer a request, or not as the protocol wants it."""


class Program:
    """A running program; started when it is first asked, and again after it has failed to answer.

    Parameters
    ----------
    command : str
        As for a shell, without one: quotes and backslashes are understood, variables and pipes are not.

    Examples
    --------
    >>> from hsproj_verify.targets.program import Program
    >>> Program("cat").ask("project", k=1)
    Traceback (most recent call last):
        ...
    hsproj_verify.targets.program.ProgramError: it replied without a result or an error: {"id": 1, "op": "project", "k": 1}
    """

    def __init__(self, command: str) -> None:
        try:
            self.arguments = shlex.split(command)
        except ValueError as error:
            raise TargetError(f"can't read the command {command!r}: {error}") from error
        if not self.arguments:
            raise TargetError("a program is exec:COMMAND; got no command")
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._number = 0

    def ask(self, operation: str, **content: Any) -> Any:
        """The result of one request; `ProgramError` says why there is none."""
        with self._lock:
            self._number += 1
            if self._running is None:
                self._running = _Running(self.arguments)
            request = {"id": self._number, "op": operation, **content}
            try:
                reply = self._running.exchange(json.dumps(request, allow_nan=False))
                return self._result(reply)
            except _RefusalError:
                raise
            except BaseException:
                self._running.end()
                self._running = None
                raise

    def _result(self, line: str) -> Any:
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            raise ProgramError(f"it wrote what is no JSON: {line:.200}") from None
        if not isinstance(reply, dict):
            raise ProgramError(f"it replied with no JSON object: {line:.200}")
        if reply.get("id") != self._number:
            raise ProgramError(f"it replied to {reply.get('id')!r:.50}, not to request {self._number}: {line:.200}")
        if "error" in reply:
            raise _RefusalError(str(reply["error"]))
        if "result" not in reply:
            raise ProgramError(f"it replied without a result or an error: {line:.200}")
        return reply["result"]


class _RefusalError(ProgramError):
    """The program replied with an error: it is well, and goes on."""


class _Running:
    """One process of the program, and two threads, so that neither a read nor a write lasts for ever."""

    def __init__(self, arguments: list[str]) -> None:
        self._last_words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `_end`
        try:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._last_words
            )
        except OSError as error:
            self._last_words.close()
            raise TargetError(f"can't run {shlex.join(arguments)!r}: {error.strerror or error}") from error
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()
        threading.Thread(target=_write, args=(self._process.stdin, self._requests), daemon=True).start()
        # Whoever forgets the program ends it.
        self._ended = weakref.finalize(self, _end, self._process, self._requests, self._last_words)

    def exchange(self, line: str) -> str:
        """Send a line, and wait for one."""
        if not self._lines.empty():
            raise self._silence("wrote a line that nobody had asked for", self._lines.get())
        self._requests.put(line.encode() + b"\n")
        try:
            came = self._lines.get(timeout=TIMEOUT)
        except queue.Empty:
            raise ProgramError(f"no answer within {TIMEOUT:g} s") from None
        if not came.endswith(b"\n"):
            raise self._silence("ended in the middle of a line" if came else "ended without an answer", came)
        return came.decode("utf-8", "backslashreplace").rstrip("\r\n")

    def _silence(self, what: str, line: bytes) -> ProgramError:
        """The error that says what it did instead of answering, how it ended, and what it said at last."""
        ended = ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._process.wait(timeout=1.0)
            ended = f", with {_signal_name(-status)}" if status < 0 else f", with exit status {status}"
        self._last_words.seek(0)
        words = self._last_words.read()[-2000:].decode("utf-8", "backslashreplace").strip().splitlines()
        said = "".join(
            f": {text}" for text in (line.decode("utf-8", "backslashreplace").strip()[:200], *words[-1:]) if text
        )
        return ProgramError(f"it {what}{ended}{said}")

    def end(self) -> None:
        """End the process."""
        self._ended()


def _read(source: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError), source:
        for line in source:
            lines.put(line)
    lines.put(b"")


def _write(sink: IO[bytes], requests: queue.SimpleQueue[bytes | None]) -> None:
    with contextlib.suppress(OSError, ValueError), sink:
        while (request := requests.get()) is not None:
            sink.write(request)
            sink.flush()


def _end(process: subprocess.Popen[bytes], requests: queue.SimpleQueue[bytes | None], last_words: IO[bytes]) -> None:
    requests.put(None)
    process.kill()
    process.wait()
    last_words.close()


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def numbers(array: Any) -> Any:
    """An array, or a number, as JSON.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.targets.program import numbers
    >>> numbers(np.array([0.1, -np.inf]))
    [0.1, '-inf']
    """
    if isinstance(array, np.ndarray | list | tuple):
        return [numbers(value) for value in (array.tolist() if isinstance(array, np.ndarray) else array)]
    if isinstance(array, float) and not math.isfinite(array):
        return "nan" if math.isnan(array) else "inf" if array > 0 else "-inf"
    return array


def floats(value: Any, dtype: Any) -> Any:
    """What `numbers` made, as floats of a dtype; also hex floats, as C's ``%a`` writes them, as strings."""
    return np.array(_floats(value), dtype=np.float64).astype(dtype)


def _floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_floats(entry) for entry in value]
    if isinstance(value, str):
        if value in ("nan", "inf", "-inf") or value.removeprefix("-").startswith("0x"):
            return float.fromhex(value)
        raise ProgramError(f'a number is a JSON number, "nan", "inf", "-inf" or a hex float; got {value!r:.50}')
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProgramError(f"a result holds numbers; got {json.dumps(value):.50}")
    return float(value)


def target(command: str) -> Any:
    """The program as a target, by what it says of itself."""
    from hsproj_verify.target import Target

    program = Program(command)
    try:
        said = program.ask("hello", protocol=PROTOCOL)
    except ProgramError:
        said = {}  # it need not know the question
    said = dict(_checked(said, command))
    functions: dict[str, Any] = {name: _OPERATIONS[name](program) for name in said.get("operations", ["project"])}
    found = Target(
        f"exec:{command}",
        claims=said.get("claims"),  # type: ignore[arg-type]  # None is for the default
        note=said.get("note", ""),
        fixed_k=said.get("fixed_k"),
        constraint=said.get("constraint", "eq"),
        **functions,
    )
    if said.get("claims") is None:
        found = found.lacking(UNCLAIMED)
    return found.without(*said.get("without", []))


def _checked(said: Any, command: str) -> Mapping[str, Any]:
    """What a program said of itself; `TargetError` if that makes no sense."""
    where = f"exec:{command} said hello"
    if not isinstance(said, dict):
        raise TargetError(f"{where} with no JSON object: {json.dumps(said):.200}")
    if unknown := sorted({*said} - {*SETTINGS}):
        raise TargetError(f"{where} with unknown keys {unknown}; known: {', '.join(SETTINGS)}")
    if said.get("protocol", PROTOCOL) != PROTOCOL:
        raise TargetError(f"{where} in protocol {said['protocol']!r}; this is {PROTOCOL}")
    for key in ("operations", "claims", "without"):
        value = said.get(key)
        if value is not None and not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            raise TargetError(f"{where}: {key} must be a list of strings; got {value!r:.100}")
    operations = said.get("operations", ["project"])
    if "project" not in operations or not {*operations} <= {*OPERATIONS}:
        raise TargetError(f"{where}: operations must be of {', '.join(OPERATIONS)}, with project; got {operations}")
    fixed_k, note = said.get("fixed_k"), said.get("note", "")
    if isinstance(fixed_k, bool) or not isinstance(fixed_k, int | float | None) or not isinstance(note, str):
        raise TargetError(f"{where}: fixed_k must be a number and note a string; got {fixed_k!r} and {note!r}")
    return said


def _request(x: np.ndarray, k: Any, temperature: Any) -> dict[str, Any]:
    scores = np.asarray(x)
    if scores.dtype.kind not in "iuf":
        raise TypeError(f"only real numbers can be sent to a program; got {scores.dtype}")
    dtype = "float32" if scores.dtype == np.float32 else "float64"
    scores = scores.astype(dtype)
    n = {} if scores.ndim != 1 else {"n": scores.size}
    total = {} if k is None else {"k": numbers(k)}
    return {"dtype": dtype, **n, **total, "temperature": numbers(temperature), "x": numbers(scores)}


# The signatures below are those of a target with any k; with a fixed one, k is left out: see `Target`.
def _project(program: Program) -> Callable[..., Any]:
    def project(x: Any, *k: Any, temperature: Any = 1.0) -> Any:
        request = _request(x, k[0] if k else None, temperature)
        return floats(program.ask("project", **request), request["dtype"])

    return project


def _product(name: str, letter: str) -> Callable[[Program], Callable[..., Any]]:
    def of(program: Program) -> Callable[..., Any]:
        def product(x: Any, *k_and_array: Any, temperature: Any = 1.0) -> Any:
            *k, array = k_and_array
            request = _request(x, k[0] if k else None, temperature)
            return floats(program.ask(name, **request, **{letter: numbers(array)}), request["dtype"])

        return product

    return of


def _loss(name: str) -> Callable[[Program], Callable[..., Any]]:
    def of(program: Program) -> Callable[..., Any]:
        def ask(scores: Any, targets: Any, k: Any, temperature: Any, **options: Any) -> Any:
            request = _request(scores, k, temperature)
            result = program.ask(name, **request, targets=numbers(targets), **options)
            if not name.endswith("_and_grad"):
                return floats(result, np.float64)[()]
            if not isinstance(result, list) or len(result) != 2:
                raise ProgramError(f"the result of {name} is [loss, [gradient]]; got {json.dumps(result):.100}")
            return floats(result[0], np.float64)[()], floats(result[1], request["dtype"])

        def loss(scores: Any, targets: Any, k: Any = None, *, temperature: Any = 1.0) -> Any:
            return ask(scores, targets, k, temperature)

        def loss_with_a_floor(scores: Any, targets: Any, k: Any = None, *, floor: float, temperature: Any = 1.0) -> Any:
            return ask(scores, targets, k, temperature, floor=floor)

        return loss_with_a_floor if name.startswith("cross_entropy") else loss

    return of


_OPERATIONS: Mapping[str, Callable[[Program], Callable[..., Any]]] = {
    "project": _project,
    "vjp": _product("vjp", "g"),
    "jvp": _product("jvp", "v"),
    **{name: _loss(name) for name in COMPANIONS if "loss" in name},
}
