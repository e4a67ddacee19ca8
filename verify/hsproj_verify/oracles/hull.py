"""Whether a vector lies outside the convex hull of a few others: proved in rationals, found in floats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np


def is_outside(y: Sequence[Fraction], points: Sequence[Sequence[Fraction]], tolerance: Fraction = Fraction(0)) -> bool:
    """Whether every point of the convex hull of `points` differs from `y` by more than `tolerance` in some entry.

    True is proved: by a direction d with d.(y - point) > tolerance * sum |d| for all points, evaluated exactly. The direction
    is that from the hull's nearest point, which non-negative least squares finds in floats. False says that this direction
    proves nothing: y is inside, or within about `tolerance` times the square root of its length.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from hsproj_verify.oracles.hull import is_outside
    >>> corners = [[Fraction(0), Fraction(0)], [Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]
    >>> is_outside([Fraction(1, 2), Fraction(1, 2)], corners), is_outside([Fraction(1, 2), Fraction(2, 3)], corners)
    (False, True)
    """
    from scipy.optimize import nnls

    differences = [[b - a for a, b in zip(point, y, strict=True)] for point in points]
    scale = max((abs(entry) for row in differences for entry in row), default=Fraction(0))
    if scale == 0:
        return False
    matrix = np.array([[float(entry / scale) for entry in row] for row in differences]).T
    # Weights that sum to 1: as one more equation, which non-negative least squares meets as well as it can.
    weights, _ = nnls(np.vstack([matrix, np.ones(len(points))]), np.append(np.zeros(len(y)), 1.0))
    direction = [Fraction(float(entry)) for entry in matrix @ weights]
    slack = tolerance * sum(map(abs, direction), Fraction(0))
    return all(
        sum((d * entry for d, entry in zip(direction, row, strict=True)), Fraction(0)) > slack for row in differences
    )
