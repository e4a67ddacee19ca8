"""Which kernel a batch goes to: rows in chunks over threads, or one long row after the other, each over all of them."""

import math
from functools import cache
from typing import Any

import numpy as np

from hsproj._inputs import Array
from hsproj._threads import for_chunks, side_by_side, useful

_LONG = 1 << 19
"""Entries from which to share a row between threads pays: it is handed over three times or more, not once."""


@cache
def quick_kernels() -> Any:
    """The kernels, imported with the first call: to import `hsproj` takes no Numba."""
    from hsproj._kernels import _project

    return _project


def project_batch(rows: Array, k: Array, temperature: Array, out: Array, bounds: Array, status: Array) -> int:
    """See `_kernels._project.project_rows`."""
    m, n = rows.shape
    _project = quick_kernels()
    threads = useful(n, n) if n >= _LONG else 1
    if threads <= 1 or m >= threads:
        return sum(for_chunks(_project.project_rows, rows, k, temperature, out, bounds, status))
    for r in range(m):
        row = slice(r, r + 1)
        if not _project_shared(rows[r], float(k[r]), float(temperature[r]), out[r], bounds[r], threads):
            _project.project_rows(rows[row], k[row], temperature[row], out[row], bounds[row], status[row])
        else:
            status[r] = _project.DONE
    return int(np.count_nonzero(status))


def _project_shared(x: Array, k: float, tau: float, out: Array, bounds: Array, threads: int) -> bool:
    """Whether a row could be projected, every pass over it shared between threads: `_long.locate`, step by step.

    The answer does not depend on their number: it is the correctly rounded one, whatever order sums are added up in.
    """
    from hsproj._kernels import _long, _round

    if not (_long.SMALLEST <= tau <= _long.LARGEST and _long.SMALLEST <= k < x.size) or _long.is_constant(x):
        return False
    step = -(-x.size // (threads * _long.BLOCK)) * _long.BLOCK
    parts = [slice(start, min(start + step, x.size)) for start in range(0, x.size, step)]
    state, other = np.empty((2, _long.STATE))
    answer, sample, buffer = np.empty(_long.ANSWER), np.empty(_long.SAMPLE, x.dtype), np.empty(_long.room(x.size))
    _long.begin(x, k, tau, sample, state)
    action = _long.EVALUATE
    while action == _long.EVALUATE:
        theta = float(state[_long.THETA])
        if not abs(theta) <= _long.LARGEST:
            return False
        found = side_by_side(_long.evaluate, [(x[part], theta, tau, float(state[_long.PRECISELY])) for part in parts])
        action = _long.advance(x, k, tau, state, math.fsum(s for s, _ in found), sum(f for _, f in found))
        while action == _long.REDUCE:
            action = _long.foresee(x, tau, sample, state)
            if action == _long.EVALUATE:
                continue
            low, high, *crowds = map(float, state[[_long.FROM, _long.TO, _long.CROWD, _long.CROWD_UP]])
            pivot = _long.pivot_for(x, low, tau)
            settled = np.zeros((len(parts), _long.SETTLED))
            asides = [np.empty(_long.room(x.size)) for _ in parts]
            pieces = [(x[part], low, high, tau, pivot, *crowds, asides[i], settled[i]) for i, part in enumerate(parts)]
            counts = side_by_side(_long.reduce, pieces)
            if min(counts) < 0 or sum(counts) > buffer.size - 32:
                return False
            buffer[: sum(counts)] = np.concatenate([aside[:count] for aside, count in zip(asides, counts, strict=True)])
            _long.add_settled(settled)
            action = _long.conclude(buffer, sum(counts), settled[0], pivot, k, tau, x.size, state, answer)
            if action == _long.EVALUATE:
                action = _long.advance(x, k, tau, state, settled[0, _long.SUM], settled[0, _long.FREE])
        if action == _long.LOOK_ASIDE:
            _long.look_aside(x, k, tau, sample, state, other)
            action = _long.EVALUATE
    if action != _long.SOLVED:
        return False
    if bounds.size:
        bounds[:] = answer[_long.SUPPORT_FROM], answer[_long.SATURATED_FROM]
    if not out.size:
        return True
    # Without k no part can add up the free scores once more: it would add up its own.
    calls = [(x[part], math.nan, tau, answer.copy(), out[part], np.empty(_round.TERMS)) for part in parts]
    return all(side_by_side(_round.round_row, calls)) or bool(
        _round.round_row(x, k, tau, answer, out, np.empty(_round.TERMS))
    )
