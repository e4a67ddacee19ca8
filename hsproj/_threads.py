"""Batches on several threads: contiguous chunks of rows, each a call of a kernel, which lets go of the interpreter.

There are as many as Numba may use, which `NUMBA_NUM_THREADS` and `numba.set_num_threads` say.
"""

import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from hsproj._inputs import Array

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Result = TypeVar("Result")
_LEAST = 40_000
"""Entries for a thread to be worth it: to hand them over takes about 25 us, and to project them twice that or more."""


def for_chunks(act: Callable[..., Result], rows: Array, *others: Array) -> list[Result]:
    """Call `act` with (m, n) rows and other arrays of length m: with chunks of them, on several threads, where that pays.

    What it returns, a result a chunk.
    """
    m, n = rows.shape
    threads = useful(m * n, m) if m > 1 else 1
    if threads == 1:
        return [act(rows, *others)]
    ends = [m * i // threads for i in range(threads + 1)]
    return side_by_side(act, [[array[start:end] for array in (rows, *others)] for start, end in pairwise(ends)])


def useful(entries: int, parts: int) -> int:
    """How many threads to use for so many entries, in at most so many parts."""
    return min(entries // _LEAST, parts, _allowed()) if entries >= 2 * _LEAST else 1


def side_by_side(act: Callable[..., Result], calls: Sequence[Sequence[Any]]) -> list[Result]:
    """What `act` returns when called with each of these arguments, the first of them on this thread."""
    first, *others = calls
    try:
        begun = [_pool().submit(act, *arguments) for arguments in others]
    except RuntimeError:  # No threads can be had: the interpreter is shutting down.
        return [act(*arguments) for arguments in calls]
    try:
        results = [act(*first)]
    finally:
        for future in begun:
            future.exception()  # Nobody may write to the caller's arrays any more when this returns.
    return results + [future.result() for future in begun]


def _allowed() -> int:
    import numba

    try:
        numba.threading_layer()
    except ValueError:  # Nobody has set another number, and to ask for it would start Numba's own threads.
        return int(numba.config.NUMBA_NUM_THREADS)
    return int(numba.get_num_threads())


@cache
def _pool() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max(os.cpu_count() or 1, _allowed()), "hsproj")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads stay with the parent
