"""Newton's method on F(theta) = k, kept inside a bracket that shrinks with each step: so it ends."""

import numpy as np

from right._operator import Array, from_threshold, operator, total


def threshold(z: Array, k: float, tau: float) -> np.longdouble:
    after, first = np.sort(z)[[-1 - int(k), -int(k)]]
    if k == int(k) and first - after >= tau:
        # F is flat at k between two scores. Roundings of F hide where that begins, and would make entries free there.
        return (first - tau + after) / 2
    low, high = z.min() - 2 * np.longdouble(tau), z.max() + tau
    theta = z.mean() - tau * np.longdouble(k) / len(z)
    while low < theta < high:
        excess = total(z, theta, tau) - k
        free = np.count_nonzero((z > theta) & (z < theta + tau))
        if excess == 0:
            break
        if excess > 0:
            low = theta
        else:
            high = theta
        step = theta + tau * excess / free if free else low
        theta = step if low < step < high else (low + high) / 2
    return theta


target = operator("newton", from_threshold(threshold), without=("infinities",))
