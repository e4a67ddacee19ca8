"""The projection by isotonic regression: sort, pool adjacent violators, unsort. It needs whole k.

With z the scores in descending order and w = (1^k, 0^(n-k)), p is z less the non-increasing fit of z - w. This is how soft
ranks are projected.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from hsproj_verify.peers._rows import Rowwise


def by_isotonic_regression(fit: Callable[[np.ndarray], Any]) -> Rowwise:
    """The projection of one row, by a function that fits a non-increasing vector to one of float64.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.peers._isotonic import by_isotonic_regression
    >>> pooled = by_isotonic_regression(lambda y: np.full(y.shape, y.mean()))  # right where all scores are free
    >>> pooled(np.array([1.0, 1.5, 1.25]), 2)
    array([0.41666667, 0.91666667, 0.66666667])
    """

    def project(x: np.ndarray, k: Any) -> np.ndarray:
        order = np.argsort(x)[::-1]
        z = x[order]
        shifted = z.astype(np.float64)
        shifted[: int(k)] -= 1.0
        p = np.empty_like(z)
        p[order] = z - fit(shifted)
        return p

    return project
