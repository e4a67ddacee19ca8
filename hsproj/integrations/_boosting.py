"""Losses for gradient boosting: scores, labels and weights of a whole dataset in, derivatives for each score out.

Binary: one row, all scores of the dataset. Multiclass: a row for each class, its scores of the whole dataset. The total of a
row is counted, never estimated: the weight of its positives. docs/pipelines.md derives the curvatures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hsproj._errors import refuse
from hsproj._inputs import Array, demand_choice, real_array
from hsproj._solution import solve
from hsproj._zero_one import zero_one_loss
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
        totals: Array = self.targets.sum(axis=-1) if self.weight is None else self.targets @ self.weight
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


def demand_no_groups(grouped: bool) -> None:
    """Refuse queries of a ranking task, which would have to be projected one by one."""
    if grouped:
        raise refuse(ValueError, "group", "not be set: the projection is of the whole dataset", "groups")


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


class Objective:
    """What the objectives have in common; `power` is that of 1 / temperature in the curvature of a free score."""

    temperature: Temperature
    hessian: str
    power: ClassVar[int]
    choices: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        demand_choice(self.hessian, "hessian", *self.choices)

    def derivatives(
        self, scores: ArrayLike, labels: ArrayLike, weight: ArrayLike | None = None, /
    ) -> tuple[Array, Array]:
        """Gradient and curvature of the loss, summed over rows, for each score.

        Parameters
        ----------
        scores : array_like, shape (n,) or (n, classes), real
            Raw scores of the whole dataset.
        labels : array_like, shape (n,) or (n, classes)
            0 or 1; for scores (n, classes) the number of the class, or 0 or 1 for each of them (multilabel).
        weight : array_like, shape (n,), optional
            Finite and not negative. A sample of weight w counts as w samples, in the total as in the loss.

        Returns
        -------
        gradient, curvature : ndarray of float64, shape of `scores`

        Raises
        ------
        TypeError, ValueError
            If shapes or numbers are not those, a score is NaN, or there is no sample with a weight above 0.
        """
        rows = read(scores, labels, weight, self.temperature)
        answer = solved(rows)
        gradient, curvature = self._gradient(rows, answer), self._curvature(rows, answer)
        shape = np.shape(scores)
        return gradient.T.reshape(shape), curvature.T.reshape(shape)

    def _gradient(self, rows: Rows, answer: Solved) -> Array:
        raise NotImplementedError

    def _curvature(self, rows: Rows, answer: Solved) -> Array:
        free = rows.temperature**-self.power
        if self.hessian == "bound":
            return rows.weighted(np.broadcast_to(free, rows.scores.shape).copy())
        share = rows.weighted(answer.free * 1.0)
        curvature: Array = share * free * (1.0 - share / _at_least_something(share.sum(axis=-1, keepdims=True)))
        return curvature


@dataclass(frozen=True)
class HypersimplexObjective(Objective):
    """See `hsproj.integrations.lightgbm.HypersimplexObjective`."""

    temperature: Temperature = 1.0
    hessian: Literal["bound", "diagonal"] = "bound"
    power = 2
    choices = ("bound", "diagonal")

    def _gradient(self, rows: Rows, answer: Solved) -> Array:
        share, wrong = rows.weighted(answer.free * 1.0), answer.p - rows.targets
        total = _at_least_something(share.sum(axis=-1, keepdims=True))
        mean = (share * wrong).sum(axis=-1, keepdims=True) / total
        gradient: Array = share * (wrong - mean) / rows.temperature
        return gradient


@dataclass(frozen=True)
class FenchelYoungObjective(Objective):
    """See `hsproj.integrations.lightgbm.FenchelYoungObjective`."""

    temperature: Temperature = 1.0
    hessian: Literal["majorizer", "bound", "diagonal"] = "majorizer"
    power = 1
    choices = ("majorizer", "bound", "diagonal")

    def _gradient(self, rows: Rows, answer: Solved) -> Array:
        return rows.weighted(answer.p - rows.targets)

    def _curvature(self, rows: Rows, answer: Solved) -> Array:
        if self.hessian != "majorizer":
            return super()._curvature(rows, answer)
        # 1 / max(tau, 2 |x - c|), c = theta + tau / 2, in place: temporaries of 10^7 entries take longer than the arithmetic.
        inverse = rows.scores - answer.threshold
        inverse *= 2.0
        inverse -= rows.temperature
        np.abs(inverse, out=inverse)
        np.maximum(inverse, rows.temperature, out=inverse)
        return rows.weighted(np.divide(1.0, inverse, out=inverse))


def _at_least_something(total: Array) -> Array:
    """A weight to divide by: where no score is free there is nothing to divide."""
    return np.where(total > 0, total, 1.0)


class Metric:
    """What the metrics have in common: a mean over samples and classes. Less is better."""

    name: ClassVar[str]

    def value(self, scores: ArrayLike, labels: ArrayLike, weight: ArrayLike | None = None, /) -> float:
        """The metric of a dataset, k counted there; see `Objective.derivatives` for the arguments."""
        raise NotImplementedError


@dataclass(frozen=True)
class HypersimplexMetric(Metric):
    """See `hsproj.integrations.lightgbm.HypersimplexMetric`."""

    temperature: Temperature = 1.0
    name = "hypersimplex"

    def value(self, scores: ArrayLike, labels: ArrayLike, weight: ArrayLike | None = None, /) -> float:
        """See `Metric.value`."""
        rows = read(scores, labels, weight, self.temperature)
        return _mean(rows, 0.5 * np.square(solved(rows).p - rows.targets))


@dataclass(frozen=True)
class FenchelYoungMetric(Metric):
    """See `hsproj.integrations.lightgbm.FenchelYoungMetric`."""

    temperature: Temperature = 1.0
    name = "fenchel_young"

    def value(self, scores: ArrayLike, labels: ArrayLike, weight: ArrayLike | None = None, /) -> float:
        """See `Metric.value`."""
        rows = read(scores, labels, weight, self.temperature)
        p, _, theta = solved(rows)
        tau = rows.temperature
        beyond = np.where(rows.targets > 0, theta - rows.scores, rows.scores - theta - tau)
        # theta is infinite where all that counts is positive, or none of it: then p is right.
        beyond = np.where(np.isfinite(theta), np.maximum(beyond, 0.0), 0.0)
        return _mean(rows, 0.5 * tau * np.square(p - rows.targets) + beyond)


@dataclass(frozen=True)
class ZeroOneMetric(Metric):
    """See `hsproj.integrations.lightgbm.ZeroOneMetric`."""

    name = "zero_one"

    def value(self, scores: ArrayLike, labels: ArrayLike, weight: ArrayLike | None = None, /) -> float:
        """See `Metric.value`."""
        rows = read(scores, labels, weight, 1.0)
        if rows.weight is None:
            return float(zero_one_loss(rows.scores, rows.targets, nan_policy="raise"))
        chosen = [_weighted.choose(x, rows.weight, float(k)) for x, k in zip(rows.scores, rows.totals, strict=True)]
        return _mean(rows, np.abs(np.stack(chosen) - rows.targets))


def _mean(rows: Rows, losses: Array) -> float:
    return float(rows.weighted(losses).sum() / (rows.size * len(rows.scores)))
