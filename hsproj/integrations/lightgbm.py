"""Objectives and metrics for LightGBM: the HyperSimplex and the Fenchel-Young loss of a whole dataset.

Each object serves both interfaces: `lightgbm.train`, which calls it with scores and a Dataset, and the scikit-learn one,
which calls it with labels, scores and weights. docs/pipelines.md derives them.
"""

from typing import Any

from hsproj._inputs import Array
from hsproj.integrations import _boosting
from hsproj.integrations._packages import demand_package

demand_package("lightgbm", "lightgbm")

__all__ = [
    "FenchelYoungMetric",
    "FenchelYoungObjective",
    "HypersimplexMetric",
    "HypersimplexObjective",
    "ZeroOneMetric",
]


def _read(first: Any, second: Any, weight: Any, group: Any) -> tuple[Any, Any, Any]:
    """(scores, labels, weight) of either interface."""
    if hasattr(second, "get_label"):
        scores, labels, weight, group = first, second.get_label(), second.get_weight(), second.get_group()
    else:
        labels, scores = first, second
    _boosting.demand_no_groups(group is not None)
    return scores, labels, weight


class _Objective(_boosting.Objective):
    # LightGBM counts the arguments to find out what to hand over.
    def __call__(self, first: Any, second: Any, weight: Any = None, group: Any = None) -> tuple[Array, Array]:
        return self.derivatives(*_read(first, second, weight, group))


class _Metric(_boosting.Metric):
    def __call__(self, first: Any, second: Any, weight: Any = None, group: Any = None) -> tuple[str, float, bool]:
        """(name, value, whether more is better)."""
        return self.name, self.value(*_read(first, second, weight, group)), False


class HypersimplexObjective(_Objective, _boosting.HypersimplexObjective):
    """The HyperSimplex loss as LightGBM's `objective`: 1/2 sum of (p - y)^2, p the projection of all scores of the dataset.

    k is the number of positives of the dataset, or their weight. With several classes each is projected across the dataset,
    with its own k.

    Parameters
    ----------
    temperature : float or sequence of floats
        Positive and finite, in units of the scores; one for each class, or one for all.
    hessian : {"bound", "diagonal"}
        The curvature that LightGBM is given for a score of weight w. "bound": w / temperature^2, which no Hessian of the loss
        exceeds. "diagonal": that of the Hessian, w / temperature^2 (1 - w / W) for free scores, W their weight, and 0 for the
        others, whose gradient is 0 as well and which then do not resist steps of those that share their leaf.

    Notes
    -----
    The loss does not change if all scores move by the same amount, so a constant to start from does not matter. The
    temperature is the unit of the scores: twice the temperature makes scores twice as large, and the same trees, as long as
    nothing else sets a scale (`init_score`, `lambda_l2`, `min_sum_hessian_in_leaf`). The loss is not convex, and has no
    gradient where p is a vertex: scores that `init_score` puts far apart, compared with the temperature, stay as they are.
    LightGBM counts the samples of a leaf by their curvature, so with "diagonal" `min_data_in_leaf` is one of free samples.

    Raises
    ------
    ValueError
        If `hessian` is neither of the two; when it is called, if labels are not 0 or 1 (or numbers of classes), if a score is
        NaN, or if the dataset has groups.

    Examples
    --------
    >>> import lightgbm, numpy as np
    >>> from hsproj.integrations.lightgbm import HypersimplexObjective, ZeroOneMetric
    >>> x = np.arange(200.0)[:, None]
    >>> objective = HypersimplexObjective(temperature=2.0)
    >>> params = {"objective": objective, "min_data_in_bin": 1, "num_threads": 1, "verbosity": -1}
    >>> booster = lightgbm.train(params, lightgbm.Dataset(x, x[:, 0] >= 150), num_boost_round=20)
    >>> ZeroOneMetric().value(booster.predict(x), x[:, 0] >= 150)
    0.0
    """


class FenchelYoungObjective(_Objective, _boosting.FenchelYoungObjective):
    """The Fenchel-Young loss of the hypersimplex as LightGBM's `objective`: convex, with the gradient p - y.

    p is the projection of all scores of the dataset, k the number of its positives, or their weight. With several classes
    each is projected across the dataset, with its own k.

    Parameters
    ----------
    temperature : float or sequence of floats
        Positive and finite, in units of the scores; one for each class, or one for all.
    hessian : {"majorizer", "bound", "diagonal"}
        The curvature that LightGBM is given for a score x of weight w. "majorizer": ``w / max(temperature, 2 |x - c|)``, c =
        threshold + temperature / 2 the middle of the free scores. "bound": w / temperature for all scores. "diagonal":
        that of the Hessian, w / temperature (1 - w / W) for free scores, W their weight, and 0 for the others, wrong ones
        included, whose steps are then as long as those of the free samples in their leaf say: it promises nothing.

    Notes
    -----
    With "majorizer" or "bound" no iteration increases the loss, at any learning rate up to 2, as long as all samples and a
    whole tree take part (no bagging, no GOSS, no DART), beyond the rounding of LightGBM's 32 bits. "majorizer" has the
    longer steps. The temperature is the unit of the scores, as for `HypersimplexObjective`.

    Raises
    ------
    ValueError
        As `HypersimplexObjective`, but for `hessian`, which has three choices here.

    Examples
    --------
    >>> import lightgbm, numpy as np
    >>> from hsproj.integrations.lightgbm import FenchelYoungObjective, ZeroOneMetric
    >>> x = np.arange(200.0)[:, None]
    >>> params = {"objective": FenchelYoungObjective(), "min_data_in_bin": 1, "num_threads": 1, "verbosity": -1}
    >>> booster = lightgbm.train(params, lightgbm.Dataset(x, x[:, 0] >= 150), num_boost_round=20)
    >>> ZeroOneMetric().value(booster.predict(x), x[:, 0] >= 150)
    0.0
    """


class HypersimplexMetric(_Metric, _boosting.HypersimplexMetric):
    """The HyperSimplex loss for each sample and class, as LightGBM's `feval` or `eval_metric`."""


class FenchelYoungMetric(_Metric, _boosting.FenchelYoungMetric):
    """The Fenchel-Young loss for each sample and class, as LightGBM's `feval` or `eval_metric`."""


class ZeroOneMetric(_Metric, _boosting.ZeroOneMetric):
    """`hsproj.zero_one_loss` at k = the number of positives of the dataset, as LightGBM's `feval` or `eval_metric`.

    With several classes, its mean over them. Ties count as broken at random.
    """
