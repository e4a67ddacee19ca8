"""What everybody writes first, in NumPy: sort the 2n breakpoints, add up slopes, interpolate. Exact but for rounding.

Going down from the largest score, sum p grows with slope m: one more at each x_i, one less at each x_i - 1. O(n log n), all
rows at once. The free entries of the answer give the vjp.
"""

from typing import Any

import numpy as np

from hsproj_verify.peers._claims import UNSAID
from hsproj_verify.target import Target


def project(x: np.ndarray, k: Any) -> np.ndarray:
    """The projection of each row.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.peers.sorting import project
    >>> project(np.array([3.0, 1.0, 1.0, 0.0]), 2)
    array([1. , 0.5, 0.5, 0. ])
    """
    n = x.shape[-1]
    k = np.broadcast_to(k, x.shape[:-1])[..., None]
    breakpoints = np.concatenate([x, x - 1], axis=-1)
    order = np.argsort(-breakpoints, axis=-1)
    breakpoints = np.take_along_axis(breakpoints, order, axis=-1)
    slopes = np.cumsum(np.where(order < n, 1, -1), axis=-1)
    sums = np.cumsum(slopes[..., :-1] * -np.diff(breakpoints, axis=-1), axis=-1)  # at all breakpoints but the first
    piece = np.minimum(np.sum(sums < k, axis=-1, keepdims=True), 2 * n - 2)  # whose far end is the first to reach k

    def at(array: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, index, axis=-1)

    theta = at(breakpoints, piece + 1) + (at(sums, piece) - k) / np.maximum(at(slopes, piece), 1)
    p: np.ndarray = np.clip(x - theta, 0.0, 1.0).astype(x.dtype)
    return p


def vjp(x: np.ndarray, k: Any, g: np.ndarray) -> np.ndarray:
    """Gradient of sum(g * p): g less its mean over the free entries, on them."""
    p = project(x, k)
    free = (p > 0) & (p < 1)
    mean = np.sum(g, axis=-1, where=free, keepdims=True) / np.maximum(free.sum(axis=-1, keepdims=True), 1)
    return np.where(free, g - mean, 0).astype(g.dtype)


target = Target(name="sorting", project=project, vjp=vjp, note="a sorted scan in plain NumPy").without(
    *UNSAID, "integers"
)
