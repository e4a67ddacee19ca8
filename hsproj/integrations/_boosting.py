"""Losses for gradient boosting: scores, labels and weights of a whole dataset in, derivatives for each score out.

docs/pipelines.md derives the curvatures.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from hsproj._errors import refuse
from hsproj._inputs import Array, demand_choice
from hsproj._zero_one import zero_one_loss
from hsproj.integrations import _weighted
from hsproj.integrations._dataset import (
    Rows,
    Solved,
    Temperature,
    fenchel_young,
    hypersimplex,
    mean,
    pull,
    read,
    solved,
    something,
)


def demand_no_groups(grouped: bool) -> None:
    """Refuse queries of a ranking task, which would have to be projected one by one."""
    if grouped:
        raise refuse(ValueError, "group", "not be set: the projection is of the whole dataset", "groups")


@dataclass(frozen=True)
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
        curvature: Array = share * free * (1.0 - share / something(share.sum(axis=-1, keepdims=True)))
        return curvature


@dataclass(frozen=True)
class HypersimplexObjective(Objective):
    """See `hsproj.integrations.lightgbm.HypersimplexObjective`."""

    temperature: Temperature = 1.0
    hessian: Literal["bound", "diagonal"] = "bound"
    power = 2
    choices = ("bound", "diagonal")

    def _gradient(self, rows: Rows, answer: Solved) -> Array:
        return pull(rows, answer, answer.p - rows.targets)


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
        return mean(rows, hypersimplex(rows, solved(rows))[0])


@dataclass(frozen=True)
class FenchelYoungMetric(Metric):
    """See `hsproj.integrations.lightgbm.FenchelYoungMetric`."""

    temperature: Temperature = 1.0
    name = "fenchel_young"

    def value(self, scores: ArrayLike, labels: ArrayLike, weight: ArrayLike | None = None, /) -> float:
        """See `Metric.value`."""
        rows = read(scores, labels, weight, self.temperature)
        return mean(rows, fenchel_young(rows, solved(rows))[0])


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
        return mean(rows, np.abs(np.stack(chosen) - rows.targets))
