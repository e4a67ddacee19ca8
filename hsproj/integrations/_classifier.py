"""A scikit-learn classifier on the losses of the hypersimplex. docs/pipelines.md says what its answers mean."""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from hsproj._errors import refuse
from hsproj._inputs import Array, demand_choice, real_array
from hsproj._projection import project
from hsproj.integrations import _dataset
from hsproj.integrations._dataset import Rows, Temperature
from hsproj.integrations._network import Adam, Shape

Loss = Literal["fenchel_young", "hypersimplex", "cross_entropy_on_p", "softmax"]
_MEMORY = 0.9
"""What is left of the thresholds of earlier batches after one more, in `partial_fit`."""


class HypersimplexClassifier(ClassifierMixin, BaseEstimator):
    """A linear classifier, or a network with one hidden layer, trained on a loss of the hypersimplex.

    The scores of each class are projected across the batch it is trained on: all samples in `fit` with L-BFGS, a batch of
    them with Adam or in `partial_fit`. k_c is the number of samples of class c in the batch, or their weight. With two
    classes the scores are those of the second.

    Parameters
    ----------
    loss : {"fenchel_young", "hypersimplex", "cross_entropy_on_p", "softmax"}
        "softmax" is the usual cross entropy, for comparison: no projection, and no threshold.
    hidden_units : int
        Units of the hidden layer, with tanh; 0 for a linear model.
    temperature : float or sequence of floats
        Positive and finite, one for all classes or one for each (one alone for two classes). A common factor of all
        temperatures is a matter of units: the same as another `alpha`.
    alpha : float
        Weight of 1/2 ||W||^2 beside the mean loss of a sample.
    floor : float
        Of p in "cross_entropy_on_p", see `hsproj.cross_entropy_loss`.
    solver : {"lbfgs", "adam"}
        SciPy's L-BFGS-B on all samples at once, or Adam on batches.
    batch_size : int or None
        Of Adam; None for all samples.
    learning_rate : float
        Of Adam, and of `partial_fit`.
    max_iter : int
        Iterations of L-BFGS, or passes of Adam over the samples.
    tol : float
        L-BFGS stops where no entry of the gradient is larger. Adam makes all its passes.
    random_state : int, RandomState or None
        Where weights of a hidden layer begin, and the order of samples in Adam. A linear model with L-BFGS has no use for it.

    Attributes
    ----------
    classes_ : ndarray
    threshold_ : ndarray of shape (scores,)
        theta_c of the training samples, which stands for an intercept: (score - theta_c) / temperature, clipped, is p.
        Zeros for "softmax".
    weights_ : list of ndarray
        To the hidden layer and its intercepts, if there is one; to the scores; and their intercepts for "softmax".
    n_iter_ : int
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    See Also
    --------
    hsproj.fenchel_young_loss, hsproj.hypersimplex_loss, hsproj.cross_entropy_loss

    Notes
    -----
    A sample of weight w counts as w samples. All losses but "softmax" take the scores of different samples together, so what
    is learned depends on which samples are in a batch, and on their number. Predictions for a sample do not depend on others.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from hsproj.integrations.sklearn import HypersimplexClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> model = HypersimplexClassifier(hidden_units=8, random_state=0).fit(x, y)
    >>> bool(model.score(x, y) > 0.95)
    True
    """

    def __init__(
        self,
        *,
        loss: Loss = "fenchel_young",
        hidden_units: int = 0,
        temperature: Temperature = 1.0,
        alpha: float = 1e-3,
        floor: float = 1e-3,
        solver: Literal["lbfgs", "adam"] = "lbfgs",
        batch_size: int | None = None,
        learning_rate: float = 0.01,
        max_iter: int = 500,
        tol: float = 1e-5,
        random_state: Any = None,
    ) -> None:
        self.loss = loss
        self.hidden_units = hidden_units
        self.temperature = temperature
        self.alpha = alpha
        self.floor = floor
        self.solver = solver
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on samples X (n, features), their classes y (n,), and weights (n,) that are not negative.

        Raises
        ------
        ValueError
            If numbers or shapes are not those, a parameter is out of its range, or there is one class only.
        """
        self._check_parameters()
        x, codes, weight = self._read(X, y, sample_weight, reset=True)
        rng = check_random_state(self.random_state)
        self._begin(x, rng)
        if self.solver == "lbfgs":
            self._descend(x, codes, weight)
        else:
            self._pass_over(x, codes, weight, rng)
        self.threshold_ = self._thresholds(x, codes, weight)
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """One step of Adam on a batch, from where `fit` or the last call has left off.

        The thresholds are averages over batches, the latest ones above all. `classes` are needed if there was no call before.
        A batch has to be large enough to be a row: one sample is its own top k, whatever its score, and teaches nothing.

        Raises
        ------
        ValueError
            As `fit`, if `classes` are missing, or other ones come later.
        """
        first = not hasattr(self, "threshold_")
        if first:
            self._check_parameters()
            if classes is None:
                raise refuse(ValueError, "classes", "be given at the first call of partial_fit", "None")
        x, codes, weight = self._read(X, y, sample_weight, reset=first, classes=classes)
        if first:
            self._begin(x, check_random_state(self.random_state))
            self.threshold_ = self._thresholds(x, codes, weight)
        self._step(x, codes, weight)
        now, before = self._thresholds(x, codes, weight), self.threshold_
        with np.errstate(invalid="ignore"):
            averaged = _MEMORY * before + (1 - _MEMORY) * now
        # A class without a sample, or with all of them, has no threshold in this batch.
        self.threshold_ = np.where(np.isfinite(averaged), averaged, np.where(np.isfinite(now), now, before))
        self.n_iter_ += 1
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """How far scores are above their thresholds, in temperatures: (n, classes). For "softmax" the logits.

        For two classes p - 1/2 of the second, (n,), without the clip.
        """
        margins = self._margins(X)
        return margins[:, 0] - (0.0 if self.loss == "softmax" else 0.5) if margins.shape[1] == 1 else margins

    def predict_proba(self, X: ArrayLike) -> Array:
        """(n, classes), rows that sum to 1: what p would be for a training sample with these scores.

        For two classes that is clip((score - threshold) / temperature, 0, 1). For more, the numbers (score - threshold_c) /
        temperature_c of a sample, of which there is one for each class, are projected to {q >= 0, sum q = 1}. Exact zeros and
        ones are common, so these are memberships, not calibrated frequencies: their logarithm is no measure of anything.
        For "softmax" the softmax.
        """
        margins = self._margins(X)
        if self.loss == "softmax":
            return _softmax(margins)
        if margins.shape[1] == 1:
            margins = np.concatenate(
                [1.0 - margins, margins], axis=1
            )  # the other class has what is left of each sample
        return project(margins, 1.0, axis=1)

    def predict(self, X: ArrayLike) -> Array:
        """The class of each sample (n,): of the highest decision function, or above 0 for two classes."""
        values = self.decision_function(X)
        chosen: Array = self.classes_[(values > 0) * 1 if values.ndim == 1 else values.argmax(axis=1)]
        return chosen

    def _check_parameters(self) -> None:
        demand_choice(self.loss, "loss", "fenchel_young", "hypersimplex", "cross_entropy_on_p", "softmax")
        demand_choice(self.solver, "solver", "lbfgs", "adam")
        for name, least in (("hidden_units", 0), ("max_iter", 1), ("batch_size", 1)):
            number = getattr(self, name)
            whole = isinstance(number, int | np.integer) and number >= least
            if not (whole or (name, number) == ("batch_size", None)):
                raise refuse(ValueError, name, f"be an integer >= {least}", repr(number))
        for name in ("alpha", "tol", "learning_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise refuse(ValueError, name, "be finite and >= 0", repr(getattr(self, name)))
        if not 0 < self.floor < 1:
            raise refuse(ValueError, "floor", "be a number with 0 < floor < 1", repr(self.floor))

    def _read(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        *,
        reset: bool,
        classes: ArrayLike | None = None,
    ) -> tuple[Array, Array, Array | None]:
        """Samples, numbers of their classes, and weights, without the samples whose weight is 0."""
        x, labels = validate_data(self, X, y, dtype=np.float64, reset=reset)
        check_classification_targets(labels)
        if reset:
            self.classes_ = np.unique(labels if classes is None else np.asarray(classes))
            if self.classes_.size < 2:
                raise ValueError(f"`y` must hold two classes or more; got one class: {self.classes_.tolist()}.")
        codes = np.searchsorted(self.classes_, labels)
        if not np.array_equal(self.classes_[np.minimum(codes, self.classes_.size - 1)], labels):
            raise refuse(ValueError, "y", f"hold no classes but {self.classes_.tolist()}", "others")
        if sample_weight is None:
            return x, codes, None
        weight = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        if not weight.any():
            raise refuse(ValueError, "sample_weight", "hold a weight above 0", "none")
        counts = weight > 0
        return x[counts], codes[counts], weight[counts]

    def _begin(self, x: Array, rng: np.random.RandomState) -> None:
        scores = self.classes_.size if self.classes_.size > 2 else 1
        tau = real_array(self.temperature, "temperature", "iuf")
        if tau.shape not in ((), (scores,)) or not ((tau > 0) & (tau < np.inf)).all():
            rule = "be positive and finite, one number or one for each score"
            raise refuse(ValueError, "temperature", rule, repr(self.temperature), f"scores={scores}")
        self._temperature = np.array(np.broadcast_to(tau, (scores,)), np.float64)
        self._shape = Shape(x.shape[1], int(self.hidden_units), scores, self.loss == "softmax")
        self._flat = self._shape.begin(rng)
        self._adam, self.n_iter_ = Adam(self.learning_rate), 0

    @property
    def weights_(self) -> list[Array]:
        """See the class."""
        check_is_fitted(self, "threshold_")
        return [part.copy() for part in self._shape.split(self._flat) if part.size]

    def _rows(self, scores: Array, codes: Array, weight: Array | None) -> Rows:
        classes = np.arange(scores.shape[1])[:, None] if scores.shape[1] > 1 else 1
        targets = np.atleast_2d(codes == classes).astype(np.float64)
        return Rows(np.ascontiguousarray(scores.T), targets, self._temperature[:, None], weight)

    def _objective(self, flat: Array, x: Array, codes: Array, weight: Array | None) -> tuple[float, Array]:
        """The mean loss of a sample and the penalty, and their gradient."""
        shape = self._shape
        scores, inputs = shape.forward(flat, x)
        rows = self._rows(scores, codes, weight)
        losses, slopes = _softmax_loss(rows) if self.loss == "softmax" else self._loss_of_p(rows)
        penalty = self.alpha * shape.penalized() * flat
        value = float(rows.weighted(losses).sum()) / rows.size + 0.5 * float(penalty @ flat)
        return value, shape.backward(flat, x, inputs, slopes.T / rows.size) + penalty

    def _loss_of_p(self, rows: Rows) -> tuple[Array, Array]:
        answer = _dataset.solved(rows)
        if self.loss == "fenchel_young":
            return _dataset.fenchel_young(rows, answer)
        if self.loss == "hypersimplex":
            return _dataset.hypersimplex(rows, answer)
        return _dataset.cross_entropy(rows, answer, self.floor)

    def _descend(self, x: Array, codes: Array, weight: Array | None) -> None:
        from scipy import optimize

        minimize: Any = optimize.minimize
        options = {"maxiter": self.max_iter, "gtol": self.tol, "ftol": 0.0}
        found = minimize(self._objective, self._flat, (x, codes, weight), method="L-BFGS-B", jac=True, options=options)
        if found.nit >= self.max_iter:
            warnings.warn(
                f"L-BFGS has made all `max_iter`={self.max_iter} iterations without reaching `tol`={self.tol}: "
                "raise one of them.",
                ConvergenceWarning,
                stacklevel=3,
            )
        self._flat, self.n_iter_ = found.x, max(int(found.nit), 1)

    def _pass_over(self, x: Array, codes: Array, weight: Array | None, rng: np.random.RandomState) -> None:
        size = self.batch_size or len(x)
        for _ in range(self.max_iter):
            order = rng.permutation(len(x))
            for start in range(0, len(x), size):
                batch = order[start : start + size]
                self._step(x[batch], codes[batch], None if weight is None else weight[batch])
        self.n_iter_ = self.max_iter

    def _step(self, x: Array, codes: Array, weight: Array | None) -> None:
        _, gradient = self._objective(self._flat, x, codes, weight)
        self._flat = self._adam.step(self._flat, gradient)

    def _thresholds(self, x: Array, codes: Array, weight: Array | None) -> Array:
        if self.loss == "softmax":
            return np.zeros(self._shape.scores)
        rows = self._rows(self._shape.forward(self._flat, x)[0], codes, weight)
        return _dataset.solved(rows).threshold[:, 0]

    def _margins(self, X: ArrayLike) -> Array:
        check_is_fitted(self, "threshold_")
        x = validate_data(self, X, dtype=np.float64, reset=False)
        scores = self._shape.forward(self._flat, x)[0]
        return scores if self.loss == "softmax" else (scores - self.threshold_) / self._temperature


def _logits(margins: Array) -> Array:
    """(n, classes): two for one, that of the first class being 0."""
    return np.concatenate([np.zeros_like(margins), margins], axis=1) if margins.shape[1] == 1 else margins


def _softmax(margins: Array) -> Array:
    logits = _logits(margins)
    shares: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _softmax_loss(rows: Rows) -> tuple[Array, Array]:
    """Losses and slopes as `_dataset.hypersimplex` has them; the loss of a sample is in its first row."""
    logits, targets = _logits(rows.scores.T), rows.targets.T
    onehot = np.concatenate([1.0 - targets, targets], axis=1) if targets.shape[1] == 1 else targets
    highest = logits.max(axis=1)
    losses = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)) - (onehot * logits).sum(axis=1)
    slopes = (_softmax(rows.scores.T) - onehot)[:, -rows.scores.shape[0] :]
    return losses[None], rows.weighted(slopes.T)
