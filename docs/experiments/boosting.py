"""LightGBM on shuttle at temperature 1e-3: the exact derivative and the authors' blocks, with ones for curvature or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import harness
import lightgbm
import numpy as np
import torch
from harness import Array
from plan import Boosted, Boosting, Run

import hsproj
from hsproj.integrations.lightgbm import FenchelYoungObjective, HypersimplexObjective

TEMPERATURE = 1e-3
ROUNDS = 50
PARAMETERS = {"num_leaves": 31, "learning_rate": 0.1, "num_threads": 1, "verbosity": -1, "deterministic": True}
Objective = Callable[[Array, Any], tuple[Array, Array]]


def _ones(derivative: Callable[[Array, Array], Array]) -> Objective:
    """The mean squared error of the projection, its gradient by `derivative`, and ones for its Hessian, as the authors do."""

    def objective(scores: Array, data: lightgbm.Dataset) -> tuple[Array, Array]:
        y = data.get_label()
        return derivative(scores, y), np.ones(len(y))

    return objective


def _exact(scores: Array, y: Array) -> Array:
    solved = hsproj.solve(scores, y.sum(), temperature=TEMPERATURE)
    return solved.vjp(2 * (solved.p - y) / len(y))


def _blocks(scores: Array, y: Array) -> Array:
    x = torch.from_numpy(np.ascontiguousarray(scores)[:, None]).requires_grad_()
    targets = torch.from_numpy(y.astype(np.float64))[:, None]
    p = harness.Blocks.apply(x, targets.sum(0), TEMPERATURE)
    (p - targets).square().mean().backward()
    gradient: Array = x.grad.numpy()[:, 0]
    return gradient


OBJECTIVES: dict[str, Any] = {
    "hypersimplex, exact, ones": _ones(_exact),
    "hypersimplex, blocks, ones": _ones(_blocks),
    "hypersimplex, exact, bound": HypersimplexObjective(TEMPERATURE),
    "fenchel_young, exact, majorizer": FenchelYoungObjective(TEMPERATURE),
    "cross_entropy": "binary",
}


def boost(run: Boosting) -> Boosted:
    """Boost trees as `run` says, and measure them."""
    (x, y), _, (x_test, y_test) = harness.parts(Run("shuttle", "", 0, 0.0, run.seed))
    parameters = PARAMETERS | {"objective": OBJECTIVES[run.method], "seed": run.seed}
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, y), ROUNDS)
    scores, test_scores = (booster.predict(features, raw_score=True) for features in (x, x_test))
    solved = hsproj.solve(scores, y.sum(), temperature=TEMPERATURE)
    cut = 0.0 if run.method == "cross_entropy" else solved.threshold + TEMPERATURE / 2
    errors = [float(np.mean((test_scores > level) != y_test)) for level in (cut, 0.0)]
    return Boosted(*errors, free=float(solved.free.mean()))
