"""Problems with bounds, weights and a budget, for tests of the projection and of its oracle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from hsproj_verify.oracles import box

Array = Any


@dataclass(frozen=True)
class Box:
    """A problem with an answer; the total is between the sums of the bounds, or their rounding."""

    x: Array
    total: float
    lower: Array
    upper: Array
    weights: Array
    constraint: str

    @property
    def options(self) -> dict[str, Any]:
        return {"lower": self.lower, "upper": self.upper, "weights": self.weights, "constraint": self.constraint}

    def exact(self) -> box.BoxSolution:
        """The exact answer; a total beyond an end, by rounding, is that end."""
        low, high = (weighted(self.weights, b) for b in (self.lower, self.upper))
        total = Fraction(self.total) if low is None else max(Fraction(self.total), low)
        if self.constraint == "eq" and high is not None:
            total = min(total, high)
        lists = (a.tolist() for a in (self.lower, self.upper, self.weights))
        return box.solve_box(self.x.tolist(), total, *lists, self.constraint)


def weighted(weights: Array, bounds: Array) -> Fraction | None:
    """Sum of weights * bounds, exactly; None if it is infinite."""
    if not np.isfinite(bounds).all():
        return None
    products = (Fraction(w) * Fraction(b) for w, b in zip(weights.tolist(), bounds.tolist(), strict=True))
    return sum(products, Fraction(0))


_QUARTERS = st.integers(-8, 8).map(lambda i: i / 4)
_ORDINARY = st.floats(-4, 4)
# Scores, bounds, gaps between bounds, weights: each family is where another kind of implementation goes wrong.
FAMILIES = {
    "ordinary": (_ORDINARY, _ORDINARY, st.floats(0, 4), st.floats(0.125, 8)),
    "tied": (_QUARTERS, _QUARTERS, st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([0.5, 1.0, 2.0])),
    "hypersimplex": (_QUARTERS, st.just(0.0), st.just(1.0), st.just(1.0)),
    "offset": (_ORDINARY.map(lambda v: 1e12 + v), st.just(0.0), st.floats(0, 1), st.floats(0.5, 2)),
    "fixed": (_ORDINARY, _ORDINARY, st.sampled_from([0.0, 0.0, 1.0]), st.floats(0.5, 2)),
    "unbounded": (_ORDINARY, st.sampled_from([-np.inf, -1.0]), st.sampled_from([np.inf, 2.0]), st.floats(0.5, 2)),
    "infinite": (st.sampled_from([-np.inf, 0.5, 1.0, np.inf]), st.just(0.0), st.sampled_from([0.5, 1.0]), st.just(1.0)),
    "scales": tuple(
        st.tuples(st.floats(a, b), st.integers(-40, 40)).map(lambda v: v[0] * 10.0 ** v[1])
        for a, b in ((-1, 1), (-1, 1), (0, 1), (0.1, 1))
    ),
}


@st.composite
def boxes(draw: st.DrawFn, family: str, dtype: str = "float64", constraint: str | None = None) -> Box:
    """A problem of one family, with an answer but for infinite scores."""
    scores, lowers, gaps, weights = FAMILIES[family]
    n = draw(st.integers(1, 6))
    columns = [np.array(draw(st.lists(s, min_size=n, max_size=n))) for s in (scores, lowers, gaps, weights)]
    most = float(np.finfo(dtype).max)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        x, lower, gap = (np.where(np.isinf(c), c, np.clip(c, -most, most)).astype(dtype) for c in columns[:3])
        upper = np.where(np.isinf(gap), np.inf, np.where(np.isinf(lower), 2.0, lower + gap)).astype(dtype)
    w = columns[3]
    low = np.where(np.isinf(lower), -3.0, lower.astype(float))
    high = np.where(np.isinf(upper), low + 3.0, upper.astype(float))
    ends = [float(np.sum(w * b)) for b in (low, high)]
    share = draw(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5])))
    total = ends[1] if share == 1.0 else ends[0] + share * (ends[1] - ends[0])
    if draw(st.booleans()):
        total = float(np.clip(np.round(4 * total) / 4, *ends))
    return Box(x, total, lower, upper, w, constraint or draw(st.sampled_from(["eq", "le"])))
