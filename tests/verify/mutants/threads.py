"""Right alone, wrong beside calls from other threads."""

import threading
from typing import Any

import numpy as np

from mutants._mutant import BASE, Array, call, nearest, relative, row
from right._operator import total

_BESIDE = "calls_side_by_side_give_the_same_bits"
_project = BASE.project

_work = np.empty(64, dtype=np.longdouble)


@row(_BESIDE)
def one_work_array(x: Array, k: float, tau: float) -> Array:
    """A static buffer for the shifted scores, as C has them: another call fills it before this one is done with it."""
    z = _work[: len(x)] if len(x) <= len(_work) else np.empty(len(x), dtype=np.longdouble)
    z[...] = relative(x)
    low, high = z.min() - 2 * np.longdouble(tau), z.max() + tau
    for _ in range(90):
        theta = (low + high) / 2
        low, high = (theta, high) if total(z, theta, tau) >= k else (low, theta)
    return np.clip((z - low) / tau, 0, 1).astype(x.dtype)


_order: dict[int, Array] = {}


@row(_BESIDE)
def one_permutation_by_length(x: Array, k: float, tau: float) -> Array:
    """Keeps the sorting permutation by length, to save an allocation, and sorts back by what is there by then."""
    _order[len(x)] = np.argsort(-x, kind="stable")
    p = nearest(x[_order[len(x)]], k, tau)
    out = np.empty_like(p)
    out[_order[len(x)]] = p
    return out


class _Memo:
    key: Any = None
    answer: Any = None


@call(_BESIDE)
def key_before_answer(x: Array, k: Any, tau: float) -> Array:
    """A memo of the last call without a lock: its key is set, then its answer, and somebody looks in between."""
    key = np.asarray(x).tobytes(), repr((np.shape(x), np.asarray(x).dtype, k, tau))
    if _Memo.key != key:
        _Memo.key = key
        _Memo.answer = _project(x, k, temperature=tau)
    return np.array(_Memo.answer)


class _Solver:
    """An object that is set up, run and read, like those of OSQP and of CVXPY's parametrised problems."""

    def set_up(self, x: Array, k: float, tau: float) -> None:
        self.z, self.k, self.tau = relative(x), k, tau
        self.low, self.high = self.z.min() - 2 * np.longdouble(tau), self.z.max() + tau

    def run(self) -> None:
        for _ in range(90):
            theta = (self.low + self.high) / 2
            if total(self.z, theta, self.tau) >= self.k:
                self.low = theta
            else:
                self.high = theta

    def read(self) -> Array:
        return np.clip((self.z - self.low) / self.tau, 0, 1)


_solver = _Solver()


@row(_BESIDE)
def one_solver_for_all(x: Array, k: float, tau: float) -> Array:
    """One solver object for the process: set up by one thread, run by another."""
    _solver.set_up(x, k, tau)
    _solver.run()
    return _solver.read().astype(x.dtype)


_lock = threading.Lock()


@call(_BESIDE)
def refuses_while_busy(x: Array, k: Any, tau: float) -> Array:
    """A lock that is tried, not waited for: "solver is already running"."""
    if not _lock.acquire(blocking=False):
        raise RuntimeError("not reentrant")
    try:
        return _project(x, k, temperature=tau)
    finally:
        _lock.release()


_local = threading.local()
_local.scale = 1.0


@call(_BESIDE)
def local_to_the_main_thread(x: Array, k: Any, tau: float) -> Array:
    """threading.local() filled at import: in every other thread it is empty."""
    return _project(x, k, temperature=tau * _local.scale)
