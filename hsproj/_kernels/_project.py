"""Batches: (m, n) scores in, correctly rounded projections out, and the sets of each row; by `_short` or by `_long`."""

from typing import Any

import numpy as np

from hsproj._kernels._arithmetic import nonzero
from hsproj._kernels._jit import kernel
from hsproj._kernels._long import (
    ANSWER,
    CONSTANT,
    DECLINED,
    SAMPLE,
    SATURATED_FROM,
    SETTLED,
    STATE,
    SUPPORT_FROM,
    locate,
    room,
)
from hsproj._kernels._round import TERMS, round_constant, round_row
from hsproj._kernels._short import LANES, LONGEST, PAIRS, compare_rows, search_rows

# Status of a row. UNPROVED: floats leave open which scores are free. UNROUNDED: they leave the rounding of an entry open.
DONE, UNPROVED, UNROUNDED = range(3)


def project_rows(rows: Any, k: Any, temperature: Any, out: Any, bounds: Any, status: Any) -> int:
    """Fill out (m, n) with projections, bounds (m, 2) with the lowest scores of support and saturated set, and status (m,).

    Returns how many rows are not done: bounds of these are a guess, or NaN. An `out` or `bounds` of size 0 is left alone.
    What a kernel needs to work with is made here; three kernels, so that a first call waits for the one that it needs.
    """
    n = rows.shape[1]
    if n <= LONGEST:
        few = n <= PAIRS
        vectors = np.empty(max(4 * n, n + 24) * LANES, rows.dtype)
        floats = np.empty(8 * LANES + ANSWER + TERMS + (4 * n * LANES if few and rows.itemsize == 4 else 0))
        short = compare_rows if few else search_rows
        left: int = short(rows, k, temperature, out, bounds, status, vectors, floats)
        if few or left == 0:
            return left
    else:
        status[:] = UNPROVED
    floats = np.empty(2 * STATE + SETTLED + ANSWER + TERMS + room(n))
    sample = np.empty(SAMPLE if n > LONGEST else 0, rows.dtype)
    return project_long(rows, k, temperature, out, bounds, status, floats, sample)  # type: ignore[no-any-return]


@kernel()
def project_long(rows, k, temperature, out, bounds, status, floats, scores):
    """See `project_rows`; passes over rows that are done."""
    states, settled = floats[: 2 * STATE], floats[2 * STATE : 2 * STATE + SETTLED]
    rest = floats[2 * STATE + SETTLED :]
    answer, terms, buffer = rest[:ANSWER], rest[ANSWER : ANSWER + TERMS], rest[ANSWER + TERMS :]
    for r in range(rows.shape[0]):
        if status[r] == DONE:
            continue
        status[r] = UNPROVED
        answer[SUPPORT_FROM] = answer[SATURATED_FROM] = np.nan
        found = locate(rows[r], k[r], temperature[r], scores, buffer, states, settled, answer)
        if bounds.size:
            bounds[r, 0], bounds[r, 1] = answer[SUPPORT_FROM], answer[SATURATED_FROM]
        if found == DECLINED:
            continue
        status[r] = DONE
        if not out.size:
            continue
        if found == CONSTANT:
            rounded = round_constant(rows[r], temperature[r], answer, out[r], terms)
        else:
            rounded = round_row(rows[r], k[r], temperature[r], answer, out[r], terms)
        if not rounded:
            status[r] = UNROUNDED
    return nonzero(status)
