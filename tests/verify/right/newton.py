"""Newton's method on F(theta) = k, kept inside a bracket that shrinks with each step: so it ends."""

import numpy as np

from right._operator import Array, from_threshold, operator, total


def threshold(z: Array, k: float, tau: float) -> np.longdouble:
    low, high = z.min() - 2 * np.longdouble(tau), z.max() + tau
    theta = z.mean() - tau * np.longdouble(k) / len(z)
    while low < theta < high:
        excess = total(z, theta, tau) - k
        free = np.count_nonzero((z > theta) & (z < theta + tau))
        if excess == 0:
            return _middle(z, theta, tau)
        if excess > 0:
            low = theta
        else:
            high = theta
        step = theta + tau * excess / free if free else low
        theta = step if low < step < high else (low + high) / 2
    return theta


def _middle(z: Array, theta: np.longdouble, tau: float) -> np.longdouble:
    """Of the flat piece of F around theta, if there is one: entries that a sum of ones swallows are not free."""
    closest = tau * np.finfo(z.dtype).eps
    is_zero, is_one = z <= theta + closest, z >= theta + tau - closest
    if not (is_zero | is_one).all():
        return theta
    return (z.max(initial=theta - tau, where=is_zero) + z.min(initial=theta + 2 * tau, where=is_one) - tau) / 2


target = operator("newton", from_threshold(threshold), without=("infinities",))
