"""Losses of a whole dataset: scores, labels and weights as rows, their projections, and gradients for each score.

Binary: one row, all scores of the dataset. Multiclass: a row for each class, its scores of the whole dataset. The total of a
row is counted, never estimated: the weight of its positives. docs/pipelines.md, section "Weights".
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hsproj._errors import refuse
from hsproj._inputs import Array, real_array
from hsproj._solution import solve
from hsproj.integrations import _weighted

Temperature = float | Sequence[float]


class Rows(NamedTuple):
    """Scores and targets (c, n), float64, the temperature (c, 1) of each row, and the weights (n,) of entries, if any."""

    scores: Array
    targets: Array
    temperature: Array
    weight: Array | None

    @property
    def totals(self) -> Array:
        """(c,): the weight of the positives."""
        totals: Array = self.weighted(self.targets).sum(axis=-1)
        return totals

    @property
    def size(self) -> float:
        """The weight of a whole row."""
        return float(self.scores.shape[-1] if self.weight is None else self.weight.sum())

    def weighted(self, values: Array) -> Array:
        """`values` (c, n), times the weight of each entry."""
        return values if self.weight is None else values * self.weight


class Solved(NamedTuple):
    """p and the free entries (c, n), thresholds (c, 1)."""

    p: Array
    free: Array
    threshold: Array


def read(scores: ArrayLike, labels: ArrayLike, weight: ArrayLike | None, temperature: Temperature) -> Rows:
    """What the libraries hand over, as rows; what can't be meant is refused."""
    x, y = real_array(scores, "scores").astype(np.float64, copy=False), real_array(labels, "labels")
    if x.ndim not in (1, 2) or not x.size:
        raise refuse(ValueError, "scores", "have shape (n,) or (n, classes), n >= 1", f"shape {x.shape}")
    n, classes = len(x), 1 if x.ndim == 1 else x.shape[1]
    if y.shape not in ((n,), x.shape):
        raise refuse(ValueError, "labels", f"have shape {(n,)}, or that of the scores", f"shape {y.shape}")
    if y.ndim < x.ndim:
        if not np.isin(y, np.arange(classes)).all():
            raise refuse(ValueError, "labels", f"be integers from 0 to {classes - 1}", f"others (classes={classes})")
        targets = (y == np.arange(classes)[:, None]).astype(np.float64)
    else:
        targets = y.T.reshape(classes, n).astype(np.float64)
        if not ((targets == 0) | (targets == 1)).all():
            raise refuse(ValueError, "labels", "be 0 or 1", "others")
    tau = real_array(temperature, "temperature", "iuf")
    if tau.shape not in ((), (classes,)) or not ((tau > 0) & (tau < np.inf)).all():
        rule = "be positive and finite, one number or one for each class"
        raise refuse(ValueError, "temperature", rule, repr(temperature), f"classes={classes}")
    w = None if weight is None else real_array(weight, "weight").astype(np.float64)
    if w is not None and not (w.shape == (n,) and ((w >= 0) & (w < np.inf)).all() and w.any()):
        raise refuse(ValueError, "weight", f"hold {n} finite numbers >= 0, one of them > 0", f"shape {w.shape}")
    rows = np.ascontiguousarray(x.T.reshape(classes, n))
    return Rows(rows, targets, np.broadcast_to(tau.astype(np.float64), (classes,))[:, None], w)


def solved(rows: Rows) -> Solved:
    """The projection of each row."""
    if rows.weight is None:
        sol = solve(rows.scores, rows.totals, temperature=rows.temperature[:, 0], nan_policy="raise")
        return Solved(sol.p, sol.free, sol.threshold[:, None])
    if not np.isfinite(rows.scores).all():
        raise refuse(ValueError, "scores", "be finite", "others")
    answers = [
        _weighted.project(x, rows.weight, float(k), float(tau))
        for x, k, tau in zip(rows.scores, rows.totals, rows.temperature[:, 0], strict=True)
    ]
    p = np.stack([p for p, _ in answers])
    return Solved(p, (p > 0) & (p < 1), np.array([[theta] for _, theta in answers]))


def hypersimplex(rows: Rows, answer: Solved) -> tuple[Array, Array]:
    """(c, n) each: what entries of weight 1 contribute to the loss, and the gradient of the weighted sum for each score."""
    wrong = answer.p - rows.targets
    return 0.5 * np.square(wrong), pull(rows, answer, wrong)


def fenchel_young(rows: Rows, answer: Solved) -> tuple[Array, Array]:
    """See `hypersimplex`."""
    tau, wrong = rows.temperature, answer.p - rows.targets
    beyond = np.where(rows.targets > 0, answer.threshold - rows.scores, rows.scores - answer.threshold - tau)
    # theta is infinite where all that counts is positive, or none of it: then p is right.
    beyond = np.where(np.isfinite(answer.threshold), np.maximum(beyond, 0.0), 0.0)
    return 0.5 * tau * np.square(wrong) + beyond, rows.weighted(wrong)


def cross_entropy(rows: Rows, answer: Solved, floor: float) -> tuple[Array, Array]:
    """See `hypersimplex`; of p, with a floor."""
    held = np.maximum(answer.p, floor)
    slopes = np.where(answer.p > floor, -rows.targets / held, 0.0)
    return 0.0 - rows.targets * np.log(held), pull(rows, answer, slopes)


def pull(rows: Rows, answer: Solved, slopes: Array) -> Array:
    """The gradient for each score of a weighted sum over entries of p, given its slopes in p."""
    share = rows.weighted(answer.free * 1.0)
    mean = (share * slopes).sum(axis=-1, keepdims=True) / something(share.sum(axis=-1, keepdims=True))
    gradient: Array = share * (slopes - mean) / rows.temperature
    return gradient


def something(total: Array) -> Array:
    """A weight to divide by: where no score is free there is nothing to divide."""
    return np.where(total > 0, total, 1.0)


def mean(rows: Rows, losses: Array) -> float:
    """The mean over samples and classes."""
    return float(rows.weighted(losses).sum() / (rows.size * len(rows.scores)))
