"""Objectives and metrics for XGBoost: the HyperSimplex and the Fenchel-Young loss of a whole dataset.

Each object serves both interfaces: `xgboost.train`, which calls it with scores and a DMatrix, and the scikit-learn one, which
calls it with labels, scores and weights. docs/pipelines.md derives them.
"""

from typing import Any

import numpy as np

from hsproj._inputs import Array
from hsproj.integrations import _boosting
from hsproj.integrations._packages import demand_package

demand_package("xgboost", "xgboost")

__all__ = [
    "FenchelYoungMetric",
    "FenchelYoungObjective",
    "HypersimplexMetric",
    "HypersimplexObjective",
    "ZeroOneMetric",
]


def _read(first: Any, second: Any, weight: Any) -> tuple[Any, Any, Any]:
    """(scores, labels, weight) of either interface."""
    if not hasattr(second, "get_label"):
        return second, first, weight
    _boosting.demand_no_groups(second.get_uint_info("group_ptr").size > 1)
    labels, weight = second.get_label(), second.get_weight()
    if labels.size == np.size(first):  # several labels a sample come flat from versions before 3
        labels = labels.reshape(np.shape(first))
    return first, labels, weight if weight.size else None


class _Objective(_boosting.Objective):
    # XGBoost hands over weights to the argument of this name.
    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        gradient, curvature = self.derivatives(*_read(first, second, sample_weight))
        return np.ascontiguousarray(gradient, np.float32), np.ascontiguousarray(curvature, np.float32)


class _Metric(_boosting.Metric):
    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> Any:
        """(name, value) for a DMatrix, the value alone for labels and scores: XGBoost asks `__name__` then."""
        value = self.value(*_read(first, second, sample_weight))
        return (self.name, value) if hasattr(second, "get_label") else value

    @property
    def __name__(self) -> str:
        return self.name


class HypersimplexObjective(_Objective, _boosting.HypersimplexObjective):
    """The HyperSimplex loss as XGBoost's `obj` or `objective`.

    As `hsproj.integrations.lightgbm.HypersimplexObjective`, which says what the parameters are.

    Parameters
    ----------
    temperature : float or sequence of floats
    hessian : {"bound", "diagonal"}

    Notes
    -----
    `XGBClassifier.predict` takes scores above 0 for positives, which means nothing here: take
    ``predict(x, output_margin=True)`` and project. `min_child_weight` is in units of the curvature, 1 / temperature^2.

    Raises
    ------
    ValueError
        As the one for LightGBM.

    Examples
    --------
    >>> import numpy as np, xgboost
    >>> from hsproj.integrations.xgboost import HypersimplexObjective, ZeroOneMetric
    >>> x = np.arange(200.0)[:, None]
    >>> data = xgboost.DMatrix(x, x[:, 0] >= 150)
    >>> objective = HypersimplexObjective(temperature=2.0)
    >>> booster = xgboost.train({"nthread": 1}, data, num_boost_round=20, obj=objective)
    >>> ZeroOneMetric().value(booster.predict(data, output_margin=True), x[:, 0] >= 150)
    0.0
    """


class FenchelYoungObjective(_Objective, _boosting.FenchelYoungObjective):
    """The Fenchel-Young loss of the hypersimplex as XGBoost's `obj` or `objective`: convex, with the gradient p - y.

    As `hsproj.integrations.lightgbm.FenchelYoungObjective`, which says what the parameters are and what is promised.

    Parameters
    ----------
    temperature : float or sequence of floats
    hessian : {"majorizer", "bound", "diagonal"}

    Notes
    -----
    `XGBClassifier.predict` takes scores above 0 for positives, which means nothing here: take
    ``predict(x, output_margin=True)`` and project. `min_child_weight` is in units of the curvature, at most 1 / temperature.

    Raises
    ------
    ValueError
        As the one for LightGBM.

    Examples
    --------
    >>> import numpy as np, xgboost
    >>> from hsproj.integrations.xgboost import FenchelYoungObjective, ZeroOneMetric
    >>> x = np.arange(200.0)[:, None]
    >>> data = xgboost.DMatrix(x, x[:, 0] >= 150)
    >>> booster = xgboost.train({"nthread": 1}, data, num_boost_round=20, obj=FenchelYoungObjective())
    >>> ZeroOneMetric().value(booster.predict(data, output_margin=True), x[:, 0] >= 150)
    0.0
    """


class HypersimplexMetric(_Metric, _boosting.HypersimplexMetric):
    """The HyperSimplex loss for each sample and class, as XGBoost's `custom_metric` or `eval_metric`."""


class FenchelYoungMetric(_Metric, _boosting.FenchelYoungMetric):
    """The Fenchel-Young loss for each sample and class, as XGBoost's `custom_metric` or `eval_metric`."""


class ZeroOneMetric(_Metric, _boosting.ZeroOneMetric):
    """`hsproj.zero_one_loss` at k = the number of positives of the dataset, as XGBoost's `custom_metric` or `eval_metric`.

    With several classes, its mean over them. Ties count as broken at random.
    """
