"""Matrices turned over their diagonals, for problems along another axis than the last."""

from typing import Any

import numpy as np
from numba import literal_unroll

from hsproj._kernels._jit import jit, kernel
from hsproj._kernels._simd import EIGHT, load_columns, load_eight, store_eight

_HEIGHT, _WIDTH = 8 * EIGHT, 2 * EIGHT
"""What is turned in the nearest cache, where the rows of the target are so far apart that they would drive each other out."""
_FAR = 2048  # bytes: a multiple of them between two rows leaves few places in that cache for both
_FEW = 512


def turned(matrices: Any, out: Any) -> Any:
    """Fill `out` (a, w, h), C-contiguous, with C-contiguous matrices (a, h, w) of the same floats, turned; returns it.

    For w below eight NumPy is quicker.
    """
    turn(matrices, out, np.empty(_HEIGHT * _WIDTH, out.dtype))
    return out


@jit()
def _turn_tile(source, at, width, target, to, height):
    """Eight by eight entries."""
    for column in literal_unroll(load_columns(source, at, width)):
        store_eight(target, to, column)
        to += height


@jit()
def _turn_part(source, at, stride, height, width, target, to, target_stride):
    """Height x width entries, eight of each or more; the last tiles overlap with those before."""
    for i in range(0, height, EIGHT):
        row = min(i, height - EIGHT)
        for j in range(0, width, EIGHT):
            column = min(j, width - EIGHT)
            _turn_tile(
                source, at + row * stride + column, stride, target, to + column * target_stride + row, target_stride
            )


@kernel()
def turn(matrices, out, scratch):
    """See `turned`."""
    count, height, width = matrices.shape
    x, y = matrices.reshape(-1), out.reshape(-1)
    near = height * out.itemsize % _FAR != 0
    for a in range(count):
        at = a * height * width
        if min(height, width) < EIGHT:
            for i in range(height):
                for j in range(width):
                    out[a, j, i] = matrices[a, i, j]
        elif near:
            for j in range(0, width, _FEW):
                columns = min(_FEW, width - j)
                left = min(j, width - EIGHT)
                _turn_part(x, at + left, width, height, max(columns, EIGHT), y, at + left * height, height)
        else:
            # The height is a multiple of that of a part.
            for i in range(0, height, _HEIGHT):
                for j in range(0, width, _WIDTH):
                    left = max(min(j, width - _WIDTH), 0)
                    columns = min(_WIDTH, width)
                    _turn_part(x, at + i * width + left, width, _HEIGHT, columns, scratch, 0, _HEIGHT)
                    for column in range(columns):
                        to = at + (left + column) * height + i
                        for k in range(0, _HEIGHT, EIGHT):
                            store_eight(y, to + k, load_eight(scratch, column * _HEIGHT + k))
