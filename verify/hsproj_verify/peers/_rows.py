"""Row by row: a function of one vector made into one of (m, n) scores, as a user would have to do it."""

from collections.abc import Callable
from typing import Any

import numpy as np

Rowwise = Callable[..., np.ndarray]


def row_by_row(function: Rowwise) -> Rowwise:
    """The same function for one row, and for rows with one k for all or a k each.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.peers._rows import row_by_row
    >>> row_by_row(lambda x, k: x * k)(np.ones((2, 3)), [1, 2])
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """

    def project(x: np.ndarray, k: Any) -> np.ndarray:
        if x.ndim == 1:
            return function(x, k)
        totals = np.broadcast_to(k, x.shape[:-1]).ravel()
        rows = [function(row, total) for row, total in zip(x.reshape(-1, x.shape[-1]), totals, strict=True)]
        return np.stack(rows).reshape(x.shape)

    return project
