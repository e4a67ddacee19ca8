"""A scikit-learn selector of features: the best k together. docs/pipelines.md, section "Selecting features"."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from hsproj._errors import refuse
from hsproj._inputs import Array
from hsproj.integrations import _subset


class TopKSelector(SelectorMixin, BaseEstimator):
    """Select the k features that together explain y best, and say how far from the best they can be at most.

    Among all subsets of k features, the one with the least ridge regression error is sought: by the convex program in which
    a feature may be in the subset in part, p in {p in [0,1]^d, sum p = k}. The k largest entries of p are selected.

    Parameters
    ----------
    k : int or None
        How many features, from 1 to all of them; None for half of them, rounded up.
    alpha : float
        Weight of 1/2 ||W||^2 beside the mean squared error, halved, of standardised features. Above 0: the larger, the easier
        the problem, and the closer p to zeros and ones.
    max_iter : int
        Steps of projected gradient.
    tol : float
        It stops where the cost of p is within this share of the least one.

    Attributes
    ----------
    p_ : ndarray of shape (features,)
        How much of each feature is in the relaxed subset; between 0 and 1, with the sum k.
    gap_ : float
        At least 0: no subset of k features has a cost below ``1 - gap_`` times that of the selected one.
    n_iter_ : int
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    See Also
    --------
    sklearn.feature_selection.SelectKBest : looks at each feature alone.

    Notes
    -----
    y of floats are numbers, for one output or several. Else y (n,) are classes, and count as an indicator for each. Each step
    solves a linear system as large as the smaller of samples and features. `gap_` is right up to rounding. The program is
    from Pilanci, Wainwright, El Ghaoui, "Sparse learning via Boolean relaxations", Mathematical Programming 151, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj.integrations.sklearn import TopKSelector
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(100, 6))
    >>> selector = TopKSelector(k=2).fit(x, x[:, 1] - x[:, 4])
    >>> selector.get_support(indices=True)
    array([1, 4])
    >>> bool(selector.gap_ < 0.01)
    True
    """

    def __init__(self, k: int | None = None, *, alpha: float = 0.1, max_iter: int = 200, tol: float = 1e-3) -> None:
        self.k = k
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Select features of samples X (n, features) for y (n,) or (n, outputs).

        Raises
        ------
        ValueError
            If numbers or shapes are not those, or a parameter is out of its range.
        """
        x, y = validate_data(self, X, y, dtype=np.float64, multi_output=True)
        n, d = x.shape
        k = (d + 1) // 2 if self.k is None else self.k
        if not (isinstance(k, int | np.integer) and 1 <= k <= d):
            raise refuse(ValueError, "k", f"be None or an integer from 1 to {d}", repr(self.k), f"X.shape={x.shape}")
        if not 0 < self.alpha < math.inf:
            raise refuse(ValueError, "alpha", "be finite and > 0", repr(self.alpha))
        if not 0 <= self.tol < math.inf:
            raise refuse(ValueError, "tol", "be finite and >= 0", repr(self.tol))
        if not (isinstance(self.max_iter, int | np.integer) and self.max_iter >= 1):
            raise refuse(ValueError, "max_iter", "be an integer >= 1", repr(self.max_iter))
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        found = _subset.find(x, _centred(y), int(k), n * self.alpha, self.max_iter, self.tol)
        self.p_, self.n_iter_, self._chosen = found.p, max(found.iterations, 1), found.chosen > 0
        self.gap_ = max(0.0, 1.0 - found.bound / found.cost) if found.cost > 0 else 0.0
        return self

    def _get_support_mask(self) -> Array:
        check_is_fitted(self, "p_")
        return self._chosen


def _centred(y: ArrayLike) -> Array:
    """(n, outputs): numbers, or an indicator for each class, less their means."""
    labels = np.asarray(y)
    if labels.ndim == 1 and labels.dtype.kind != "f":
        labels = labels.reshape(-1, 1) == np.unique(labels)
    columns = labels.reshape(len(labels), -1).astype(np.float64)
    centred: Array = columns - columns.mean(axis=0)
    return centred
