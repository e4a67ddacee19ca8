"""Best subsets of features by a convex program on the hypersimplex, with a proof of how good they are.

Ridge regression on the features with p_i = 1 costs

    c(p) = min_W 1/2 ||Y - X W||^2 + lambda/2 sum_i |W_i|^2 / p_i  =  1/2 tr(Y' A),   A = (I + X diag(p) X' / lambda)^-1 Y,

which is convex in p. So the least c over {p in [0,1]^d, sum p = k} is below that of every subset of k features. The gradient
is -|X_i' A|^2 / (2 lambda). docs/pipelines.md, section "Selecting features".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hsproj._inputs import Array
from hsproj._projection import binary_argmax, project


class Found(NamedTuple):
    """The relaxed subset (d,), the subset of its k largest entries, its cost, a bound of all subsets' costs, iterations."""

    p: Array
    chosen: Array
    cost: float
    bound: float
    iterations: int


def cost(x: Array, y: Array, penalty: float, p: Array) -> tuple[float, Array]:
    """C(p) and its gradient (d,), for x (n, d) and y (n, outputs); the smaller of two linear systems is solved."""
    scaled = x * np.sqrt(p)
    if x.shape[1] <= x.shape[0]:
        inner = scaled.T @ scaled + penalty * np.eye(x.shape[1])
        rest = y - scaled @ np.linalg.solve(inner, scaled.T @ y)
    else:
        rest = np.linalg.solve(np.eye(x.shape[0]) + scaled @ scaled.T / penalty, y)
    return 0.5 * float(np.sum(y * rest)), -np.square(x.T @ rest).sum(axis=1) / (2.0 * penalty)


def find(x: Array, y: Array, k: int, penalty: float, max_iter: int, tol: float) -> Found:
    """Projected gradient, with steps that are halved until the quadratic model is above c, and tried longer afterwards."""
    p = np.full(x.shape[1], k / x.shape[1])
    value, gradient = cost(x, y, penalty, p)
    step = 1.0 / max(float(np.abs(gradient).max()), np.finfo(float).tiny)
    bound, iterations = -np.inf, 0
    while True:
        # c is above its tangents, and a tangent has its least value at a subset.
        bound = max(bound, value + float(gradient @ (binary_argmax(-gradient, k) - p)))
        if value - bound <= tol * value or iterations == max_iter:
            break
        iterations += 1
        while True:
            moved = project(p - step * gradient, k)
            change = moved - p
            next_value, next_gradient = cost(x, y, penalty, moved)
            model = value + float(gradient @ change) + 0.5 / step * float(change @ change)
            if next_value <= model + 1e-12 * value:  # what rounding may cost
                break
            step *= 0.5
        p, value, gradient, step = moved, next_value, next_gradient, 1.5 * step
    chosen = binary_argmax(p, k)
    return Found(p, chosen, cost(x, y, penalty, chosen)[0], bound, iterations)
