"""Batches: (m, n) scores in, correctly rounded projections out, and the sets of each row; by `_short` or by `_long`."""

from typing import Any

import numpy as np

from hsproj._kernels._jit import jit
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
from hsproj._kernels._short import LANES, LONGEST, PAIRS, project_short

# Status of a row. UNPROVED: floats leave open which scores are free. UNROUNDED: they leave the rounding of an entry open.
DONE, UNPROVED, UNROUNDED = range(3)


def scratch_for(n: int, dtype: Any) -> tuple[Any, Any]:
    """(floats, scores) to work with on rows of n scores of a dtype."""
    short = (3 * n + 9) * LANES + TERMS + ANSWER if n <= LONGEST else 0
    long = 2 * STATE + SETTLED + ANSWER + TERMS + room(n) if n > PAIRS else 0
    return np.empty(max(short, long)), np.empty(SAMPLE if n > LONGEST else 0, dtype)


@jit()
def project_rows(rows, k, temperature, out, bounds, status, floats, scores):
    """Fill out (m, n) with projections, bounds (m, 2) with the lowest scores of support and saturated set, and status (m,).

    An `out` or `bounds` of size 0 is left alone. `floats` and `scores` are as `scratch_for` makes them.
    """
    m, n = rows.shape
    if n <= LONGEST:
        project_short(rows, k, temperature, out, bounds, status, floats)
        if n <= PAIRS:
            return
    states, settled = floats[: 2 * STATE], floats[2 * STATE : 2 * STATE + SETTLED]
    rest = floats[2 * STATE + SETTLED :]
    answer, terms, buffer = rest[:ANSWER], rest[ANSWER : ANSWER + TERMS], rest[ANSWER + TERMS :]
    for r in range(m):
        if n <= LONGEST and status[r] == DONE:
            continue
        status[r] = UNPROVED
        found = locate(rows[r], k[r], temperature[r], scores, buffer, states, settled, answer)
        if found == DECLINED:
            continue
        status[r] = DONE
        if bounds.size:
            bounds[r, 0], bounds[r, 1] = answer[SUPPORT_FROM], answer[SATURATED_FROM]
        if not out.size:
            continue
        if found == CONSTANT:
            rounded = round_constant(rows[r], temperature[r], answer, out[r], terms)
        else:
            rounded = round_row(rows[r], k[r], temperature[r], answer, out[r], terms)
        if not rounded:
            status[r] = UNROUNDED
