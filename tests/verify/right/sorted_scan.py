"""Breakpoints sorted, F at them by definition, interpolation between the two around k."""

from bisect import bisect_left, bisect_right

import numpy as np

from right._operator import Array, from_threshold, operator, total


def threshold(z: Array, k: float, tau: float) -> np.longdouble:
    t = np.unique(np.concatenate([z, z - tau]))

    def fallen(s: np.longdouble) -> np.longdouble:
        return -total(z, s, tau)

    first, end = bisect_left(t, -k, key=fallen), bisect_right(t, -k, key=fallen)
    if first < end:  # k is reached at a breakpoint, or on the flat piece between two or beyond the outermost
        low = t[first] if first > 0 else t[0] - 1
        high = t[end - 1] if end < len(t) else t[-1] + 1
        return (low + high) / 2
    above, below = total(z, t[first - 1], tau), total(z, t[first], tau)
    return t[first - 1] + (above - k) * (t[first] - t[first - 1]) / (above - below)


target = operator("sorted scan", from_threshold(threshold), without=("infinities",))
