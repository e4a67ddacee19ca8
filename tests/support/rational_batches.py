"""Batches of problems of a family with their exact solutions, for kernels that answer within some rounding errors."""

from fractions import Fraction

import numpy as np
from families import ADVERSARIAL, FAMILIES, draw, draw_adversarial

from hsproj_verify.oracles import exact

SHORT = tuple(family for family in FAMILIES + ADVERSARIAL if family != "many equal scores")
ROWS, COLUMNS = 60, 64
SURE = {"float32": 2.0**-26, "float64": 2.0**-55}
"""How far from a breakpoint, in temperatures, sets are certain."""


class Batch:
    """Problems of a family as one array, short ones filled up with masked scores, and their exact solutions."""

    def __init__(self, family: str, dtype: str) -> None:
        rng = np.random.default_rng(20261128 + (FAMILIES + ADVERSARIAL).index(family))
        self.x = np.full((ROWS, COLUMNS), -np.inf, dtype)
        self.k, self.tau = np.zeros(ROWS), np.ones(ROWS)
        self.truths: list[exact.Solution | None] = []
        for r in range(ROWS):
            if family in ADVERSARIAL:
                x, self.k[r], self.tau[r] = draw_adversarial(rng, family, dtype)
            else:
                x, self.k[r], self.tau[r] = draw(rng, family)
            with np.errstate(over="ignore"):
                self.x[r, : len(x)] = x
            try:
                self.truths.append(exact.solve(self.x[r].tolist(), self.k[r], self.tau[r]))
            except exact.NoAnswerError:
                self.truths.append(None)

    def holds_subnormals(self, r: int) -> bool:
        arrays = (self.x[r], self.k[r : r + 1], self.tau[r : r + 1])
        return any((np.abs(a[a != 0]) < np.finfo(a.dtype).smallest_normal).any() for a in arrays)

    def case(self, r: int) -> str:
        return f"x={self.x[r].tolist()!r}, k={float(self.k[r])!r}, temperature={float(self.tau[r])!r}"


def is_sure(truth: exact.Solution, dtype: str) -> bool:
    """Whether no breakpoint is next to a score without being equal to it."""
    if truth.theta_low is None or truth.theta_low != truth.theta_high:
        return truth.margin is None or truth.margin > SURE[dtype] * truth.temperature
    finite = [x for x in truth.scores if isinstance(x, Fraction)]
    gaps = [abs(x - truth.theta_low - end) for x in finite for end in (0, truth.temperature)]
    return all(gap == 0 or gap > SURE[dtype] * truth.temperature for gap in gaps)
