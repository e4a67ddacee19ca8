"""simplexers (PyPI, BSD): `capped_simplexer(arr, s, axis=-1, method="root")`, Brent's method on the threshold.

It takes one total for all rows and knows no temperature, no masks and no derivative; its docstring speaks of arrays of
one or two dimensions and of no dtype, and it takes integers. The method "sort" assumes a total below n.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
from simplexers.capped import capped_simplexer

from hsproj_verify.peers._claims import UNSAID
from hsproj_verify.target import Target


def project(x: np.ndarray, k: Any) -> np.ndarray:
    """The package's own call, by its default method; it answers a vector with a (1, n) array, which is undone here."""
    answer: np.ndarray = capped_simplexer(x, k).reshape(x.shape)
    return answer


def project_by_sorting(x: np.ndarray, k: Any) -> np.ndarray:
    """The same by the other method, O(n^2): for vectors of some hundred scores at most."""
    answer: np.ndarray = capped_simplexer(x, k, method="sort").reshape(x.shape)
    return answer


target = Target(
    name="simplexers",
    project=project,
    origin="from simplexers.capped import capped_simplexer as function",
    note=f'simplexers {version("simplexers")}, method="root" (its default)',
).without(*UNSAID, "batch")

by_sorting = Target(
    name="simplexers-sort",
    project=project_by_sorting,
    note=f'simplexers {version("simplexers")}, method="sort"',
).without(*UNSAID, "batch", "real-k", "edge-k", "long")
