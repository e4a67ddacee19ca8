"""The definition in rational numbers, rounded once: the judge's own oracle."""

import numpy as np

from hsproj_verify.oracles import exact
from right._operator import Array, Row, operator


def solve(x: Array, k: float, tau: float) -> Row:
    solution = exact.solve(x.tolist(), k, tau)
    free = np.zeros(len(x), dtype=bool)
    free[list(solution.free)] = True
    return Row(solution.nearest(x.dtype.newbyteorder("=")), free)


target = operator("rationals", solve, without=("large",)).claiming("rounded")
