"""pyproximal (PyPI, LGPL-3.0): `HyperPlaneBoxProj`, SciPy's bisection on the threshold to an absolute 1e-5, its default.

It takes a vector, and knows weights and bounds but no temperature, no masks and no derivative. Rows are looped over here.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
from pyproximal.projection import HyperPlaneBoxProj

from hsproj_verify.peers._claims import UNSAID
from hsproj_verify.peers._rows import row_by_row
from hsproj_verify.target import Target


def _row(x: np.ndarray, k: Any) -> np.ndarray:
    answer: np.ndarray = HyperPlaneBoxProj(np.ones_like(x), k, lower=0.0, upper=1.0)(x)
    return answer


project = row_by_row(_row)
target = Target(
    name="pyproximal",
    project=project,
    note=f"pyproximal {version('pyproximal')}, default tolerance; a vector a call, looped over rows",
).without(*UNSAID, "batch")
