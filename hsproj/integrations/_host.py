"""The kernels, for layers of other libraries on the CPU: arrays that share their memory with NumPy."""

from __future__ import annotations

import numpy as np

from hsproj._inputs import Array, read_problem
from hsproj._projection import answer_rows


def solve(x: Array, k: Array, temperature: Array, out: Array | None = None) -> tuple[Array, Array]:
    """Projections of x (..., n), in `out` if it has room for them, and masks of free entries.

    k and temperature have the shape of the batch, and have not been looked at: where they break the rules p is NaN.
    """
    valid = (k >= 0) & (k <= x.shape[-1]) & (temperature > 0) & np.isfinite(temperature)
    problem = read_problem(x, np.where(valid, k, 0.0), np.where(valid, temperature, 1.0), -1, "propagate")
    solved = answer_rows(problem, bounds=True, out=out)
    p, (free, _) = solved.p.reshape(x.shape), solved.masks(problem.rows)
    free = free.reshape(x.shape)
    p[~valid], free[~valid] = np.nan, False
    return p, free
