"""scipy.optimize.isotonic_regression (BSD-3-Clause), composed: sort, pool adjacent violators, unsort.

With z the scores in descending order and w = (1^k, 0^(n-k)), p is z less the non-increasing fit of z - w. This is how soft
ranks are projected; it needs whole k. SciPy fits a vector in float64, so rows are looped over here.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from hsproj_verify.peers._rows import row_by_row
from hsproj_verify.target import Target


def _row(x: np.ndarray, k: Any) -> np.ndarray:
    order = np.argsort(x)[::-1]
    z = x[order]
    shifted = z.astype(np.float64)
    shifted[: int(k)] -= 1.0
    p = np.empty_like(z)
    p[order] = z - isotonic_regression(shifted, increasing=False).x
    return p


project = row_by_row(_row)
target = Target(
    name="scipy",
    project=project,
    note=f"scipy {version('scipy')}, isotonic_regression on sorted scores; a vector a call, looped over rows",
).without("real-k", "integers", "infinities")
