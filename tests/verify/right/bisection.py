"""Bisection to the last bit of p, from either side: where F is flat at k, theta is halfway between its ends."""

from collections.abc import Callable

import numpy as np

from right._operator import Array, from_threshold, operator, total


def threshold(z: Array, k: float, tau: float) -> np.longdouble:
    last = _boundary(z, tau, lambda t: total(z, t, tau) >= k)
    first = _boundary(z, tau, lambda t: total(z, t, tau) > k)
    return (first + last) / 2


def _boundary(z: Array, tau: float, holds: Callable[[np.longdouble], bool]) -> np.longdouble:
    """Up to where it holds."""
    low, high = z.min() - 2 * np.longdouble(tau), z.max() + tau
    closest = tau * np.finfo(z.dtype).eps  # around 0 there is a float between any two that matter
    while high - low > closest and low < (middle := (low + high) / 2) < high:
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


target = operator("bisection", from_threshold(threshold), without=("infinities",))
