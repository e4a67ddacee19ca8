"""What is trained: one `Run` for each network, and the `Outcome` that is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

SEEDS = range(5)
STARTS = range(10)
"""Seeds of the made-up problem, where a loss that is not convex may end elsewhere from another start."""
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
LOSSES = ("hypersimplex", "fenchel_young", "cross_entropy", "hinge", "squares")
BATCHES = {
    "digits": (128, 256, 512, 0),
    "mnist5k": (128, 256, 512, 1024, 2048, 0),
    "shuttle": (128, 256, 512, 1024, 2048, 4096, 0),
}
MIDDLE = 512
"""The batch of everything but the main comparison."""
TEMPERATURES = (0.15, 0.5, 5.0, 15.0)
NOISES = (0.2, 0.4)


@dataclass(frozen=True)
class Run:
    """What a run is made of; equal runs have equal results, bit for bit, on one machine and one set of libraries."""

    data: str
    loss: str
    batch: int  # samples; 0 is all of them
    rate: float
    seed: int
    temperature: float = 1.5
    total: str = "counted"  # or "half": k = batch / 2, as in the authors' code
    derivative: str = "exact"  # or "blocks": as in the authors' code
    noise: float = 0.0  # share of training and validation labels that are replaced by another class
    permuted: bool = False  # labels of all samples in random order: there is nothing to learn


@dataclass(frozen=True)
class Outcome:
    """What came of it: accuracies, and how far probabilities are from frequencies."""

    train: float
    validation: float
    test: float
    test_without_threshold: float  # the class of the highest score, as the paper predicts
    best_without_threshold: float  # the highest of that after any epoch, as the paper reports: chosen on the test set
    calibration_error: float
    brier: float
    rescaled_calibration_error: float  # of softmax(s * margins), s fitted to the validation set


def plan() -> Iterator[Run]:
    """All runs, without repetition."""
    for data, batches in BATCHES.items():
        for loss, batch, rate, seed in product(LOSSES, batches, RATES, SEEDS):
            yield Run(data, loss, batch, rate, seed)
        for rate, seed in product(RATES, SEEDS):
            for temperature in TEMPERATURES:
                yield Run(data, "hypersimplex", MIDDLE, rate, seed, temperature=temperature)
            yield Run(data, "hypersimplex", MIDDLE, rate, seed, derivative="blocks")
        for batch, rate, seed in product(batches, RATES, SEEDS):
            if batch == MIDDLE or rate == RATES[0]:
                yield Run(data, "hypersimplex", batch, rate, seed, total="half")
    for data, noise, loss, rate, seed in product(("digits", "mnist5k"), NOISES, LOSSES, RATES, SEEDS):
        yield Run(data, loss, MIDDLE, rate, seed, noise=noise)
    for data, loss, seed in product(("digits", "shuttle"), LOSSES, SEEDS):
        yield Run(data, loss, MIDDLE, RATES[0], seed, permuted=True)
    for loss, rate, seed in product(LOSSES, RATES, STARTS):
        yield Run("outliers", loss, MIDDLE, rate, seed)


BOOSTERS = (
    "cross_entropy",
    "hypersimplex, exact, ones",
    "hypersimplex, blocks, ones",
    "hypersimplex, exact, bound",
    "fenchel_young, exact, majorizer",
)
"""Loss, derivative, and the curvature LightGBM is given."""


@dataclass(frozen=True)
class Boosting:
    """Trees on shuttle."""

    method: str
    seed: int


@dataclass(frozen=True)
class Boosted:
    """What came of it: shares of wrong predictions, and of training scores that are still free."""

    error: float
    error_without_threshold: float  # of scores above 0
    free: float
