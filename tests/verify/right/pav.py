"""Isotonic regression of the sorted scores, p = z - PAV(z - w), with w = (1, ..., 1, the rest of k, 0, ..., 0).

z falls, so z - w falls too but at the step of w: pool-adjacent-violators pools one block, around that step. The entries
in it are the free ones, exactly, while codes that look for equal values in the answer also find tied saturated scores.
"""

import numpy as np

from right._operator import Array, Row, operator, relative


def solve(x: Array, k: float, tau: float) -> Row:
    order = np.argsort(-x, kind="stable")
    z = relative(x, k, tau)[order]
    w = np.clip(k - np.arange(len(z)), 0, 1)
    y = z - tau * w
    step = int(k)
    first, end = (step, step + 1) if step < k else (step, step)  # the block is [first, end)

    def mean(first: int, end: int) -> np.longdouble:
        return y[first:end].mean()

    if first == end and 0 < step < len(z) and y[step - 1] < y[step]:
        first, end = step - 1, step + 1
    pooling = first < end
    while pooling:
        pooling = False
        while first > 0 and y[first - 1] < mean(first, end):
            first, pooling = first - 1, True
        while end < len(z) and y[end] > mean(first, end):
            end, pooling = end + 1, True
    p, free = w.astype(np.longdouble), np.zeros(len(z), dtype=bool)
    if first < end:
        p[first:end] = np.clip((z[first:end] - mean(first, end)) / tau, 0, 1)
        free[first:end] = True
    back = np.argsort(order)
    return Row(p[back].astype(x.dtype.newbyteorder("=")), free[back])


target = operator("pav", solve, without=("infinities", "large"))
