"""The other losses of a row, from a way to solve it: extended precision where the judge has rationals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray


def losses(
    solve: Callable[[Array, float, float], Any], centred: Callable[[Array, Array, float], Array]
) -> dict[str, Any]:
    """Companions of a target, by name."""

    def fenchel_young_loss_and_grad(scores: Array, targets: Array, temperature: float = 1.0) -> tuple[float, Array]:
        k, y = float(targets.sum(dtype=np.float64)), targets.astype(np.longdouble)
        p = solve(scores, k, float(temperature)).p.astype(np.longdouble)
        # The definition, with the scores relative to one next to the threshold: their sum of p - y is 0.
        z = scores.astype(np.longdouble)
        z -= np.sort(z)[::-1][min(int(k), z.size - 1)]
        loss = (z * (p - y)).sum() + temperature * ((y - p) * (y + p)).sum() / 2
        return float(loss), (p - y).astype(scores.dtype)

    def fenchel_young_loss(scores: Array, targets: Array, temperature: float = 1.0) -> float:
        return fenchel_young_loss_and_grad(scores, targets, temperature)[0]

    def cross_entropy_loss_and_grad(
        scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9
    ) -> tuple[float, Array]:
        p, free = solve(scores, float(k), float(temperature))
        held = np.maximum(p.astype(np.longdouble), floor)
        slopes = np.where(p > floor, -targets / held, 0)
        return -float((targets * np.log(held)).sum()), centred(slopes, free, temperature).astype(scores.dtype)

    def cross_entropy_loss(
        scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-9
    ) -> float:
        return cross_entropy_loss_and_grad(scores, targets, k, temperature, floor)[0]

    return {
        "fenchel_young_loss": fenchel_young_loss,
        "fenchel_young_loss_and_grad": fenchel_young_loss_and_grad,
        "cross_entropy_loss": cross_entropy_loss,
        "cross_entropy_loss_and_grad": cross_entropy_loss_and_grad,
        "zero_one_loss": zero_one_loss,
        "top_k_zero_one_loss": top_k_zero_one_loss,
    }


def zero_one_loss(scores: Array, targets: Array, k: int) -> float:
    """Ties are broken against the model: ones for the highest, among equals for the negatives first."""
    ones = np.lexsort((targets, -scores))[:k]
    return float(np.mean(np.isin(np.arange(scores.size), ones) != targets))


def top_k_zero_one_loss(scores: Array, targets: Array, k: int) -> float:
    """Likewise."""
    return 1 - float(targets[np.lexsort((targets, -scores))[:k]].sum() / targets.sum())
