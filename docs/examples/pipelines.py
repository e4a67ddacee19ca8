"""Boosted trees on the losses of the hypersimplex: what the curvatures are, how training goes, and what it buys.

Run as ``python docs/examples/pipelines.py --figure pipelines.png``. Needs LightGBM, scikit-learn and matplotlib; takes some
ten seconds.
"""

import argparse
from typing import Any

import lightgbm
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.model_selection import train_test_split

from hsproj.integrations.lightgbm import (
    FenchelYoungMetric,
    FenchelYoungObjective,
    HypersimplexObjective,
    ZeroOneMetric,
)

mpl.use("Agg")
import matplotlib.pyplot as plt

Array = NDArray[Any]
QUIET = {"num_threads": 1, "verbosity": -1, "deterministic": True, "seed": 0}
OBJECTIVES: dict[str, Any] = {
    "logistic loss": "binary",
    "Fenchel-Young": FenchelYoungObjective(),
    "HyperSimplex": HypersimplexObjective(),
}
DATA = {
    "breast cancer": load_breast_cancer(return_X_y=True),
    "synthetic, 15% positives": make_classification(
        3000, 20, n_informative=6, weights=[0.85], flip_y=0.05, class_sep=0.7, random_state=7
    ),
}
SPLITS = 10


def descents() -> dict[str, list[float]]:
    """The Fenchel-Young loss of the training set after each round of learning rate 1, by curvature."""
    x, y = DATA["synthetic, 15% positives"]
    losses = {}
    for hessian in ("majorizer", "bound", "diagonal"):
        data, record = lightgbm.Dataset(x, y), {}
        objective = FenchelYoungObjective(hessian=hessian)
        lightgbm.train(
            {**QUIET, "objective": objective, "metric": "none", "learning_rate": 1.0, "min_data_in_leaf": 5},
            data,
            40,
            valid_sets=[data],
            valid_names=["training"],
            feval=FenchelYoungMetric(),
            callbacks=[lightgbm.record_evaluation(record)],
        )
        start = FenchelYoungMetric().value(np.zeros(y.size), y)
        losses[hessian] = [start, *record["training"]["fenchel_young"]]
    return losses


def errors(x: Array, y: Array) -> dict[str, list[float]]:
    """Shares of wrong decisions among the samples of the test set, its k best taken, for each objective and split."""
    found: dict[str, list[float]] = {name: [] for name in OBJECTIVES}
    for seed in range(SPLITS):
        x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.4, random_state=seed, stratify=y)
        for name, objective in OBJECTIVES.items():
            params = {**QUIET, "objective": objective, "learning_rate": 0.1, "num_leaves": 15}
            booster = lightgbm.train(params, lightgbm.Dataset(x_train, y_train), 60)
            found[name].append(ZeroOneMetric().value(booster.predict(x_test, raw_score=True), y_test))
    return found


def draw(path: str, losses: dict[str, list[float]], found: dict[str, dict[str, list[float]]]) -> None:
    """Three panels: a curvature, descents, and errors on test sets."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.9), layout="constrained")

    z, at = np.linspace(-3, 4, 400), 2.5
    loss = np.where(z < 0, 0, np.where(z < 1, z**2 / 2, z - 0.5))
    left.plot(z, loss, color="black", label="loss")
    for curvature, colour, name in ((1 / (2 * at - 1), "tab:blue", "majorizer"), (1.0, "tab:orange", "bound")):
        left.plot(z, at - 0.5 + (z - at) + 0.5 * curvature * (z - at) ** 2, color=colour, label=name)
        left.plot(at - 1 / curvature, at - 0.5 - 0.5 / curvature, "v", color=colour)
    left.plot(at, at - 0.5, "o", color="black")
    left.axvspan(0, 1, color="gray", alpha=0.15, lw=0)
    left.text(0.5, 3.25, "free", ha="center", color="gray")
    left.set(xlabel="(score - threshold) / temperature", ylabel="loss / temperature", ylim=(-0.2, 3.5), xlim=(-3, 4))
    left.set_title("The loss of a negative, and parabolas over it")
    left.legend(frameon=False, loc="upper left", bbox_to_anchor=(0.0, 0.95))

    colours = {"majorizer": "tab:blue", "bound": "tab:orange", "diagonal": "tab:red"}
    for name, values in losses.items():
        middle.plot(values, color=colours[name], label=name)
    middle.set(xlabel="round", ylabel="Fenchel-Young loss per sample", yscale="log")
    middle.set_title("LightGBM at learning rate 1")
    middle.legend(frameon=False)

    for i, by_objective in enumerate(found.values()):
        for j, (name, values) in enumerate(by_objective.items()):
            x = i + 0.25 * (j - 1)
            colour = ("gray", "tab:blue", "tab:green")[j]
            right.plot(np.full(len(values), x), 100 * np.array(values), ".", color=colour, alpha=0.5)
            right.plot(
                [x - 0.09, x + 0.09], [100 * np.mean(values)] * 2, color=colour, lw=2, label=name if i == 0 else None
            )
    right.set_xticks(range(len(found)), labels=list(found))
    right.set(ylabel="wrong decisions at k, test set, %", ylim=(0, None), xlim=(-0.5, len(found) - 0.5))
    right.set_title(f"What it buys ({SPLITS} splits, and means)")
    right.legend(frameon=False, loc="upper left")
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print the errors; draw the figure if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", metavar="PATH", help="where to save the figure")
    path = parser.parse_args().figure
    found = {name: errors(*data) for name, data in DATA.items()}
    print(f"Wrong decisions at k on the test set, mean of {SPLITS} splits (standard deviation of the differences):")
    for data, by_objective in found.items():
        for name, values in by_objective.items():
            differences = np.subtract(values, by_objective["logistic loss"])
            print(
                f"{data:25s} {name:14s} {np.mean(values):6.2%}  {differences.mean():+6.2%} ({differences.std(ddof=1):.2%})"
            )
    if path:
        draw(path, descents(), found)


if __name__ == "__main__":
    main()
