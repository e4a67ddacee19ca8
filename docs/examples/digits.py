"""Handwritten digits with hsproj: project the scores of a trained classifier, then train one on the HyperSimplex loss.

Run as ``python docs/examples/digits.py --figure digits.png``. Needs scikit-learn and matplotlib; takes a few seconds.
"""

import argparse
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import hsproj

mpl.use("Agg")
import matplotlib.pyplot as plt

Array = NDArray[Any]
TEMPERATURES = np.geomspace(0.5, 64.0, 15)
# The weight of 1/2 ||W||^2 beside the loss: the best of 0.005 to 200 in five-fold cross-validation on the training set.
PENALTY = 20.0


def load() -> list[Array]:
    """Training and test features, standardised (pixels that never change become 0), and training and test labels."""
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    scaler = StandardScaler().fit(x_train)
    return [scaler.transform(x_train), scaler.transform(x_test), y_train, y_test]


def supports(scores: Array, labels: Array, k: int) -> tuple[list[float], list[float]]:
    """For each temperature: how many classes a sample's support holds, and how often the true one is among them."""
    sizes, hits = [], []
    for temperature in TEMPERATURES:
        support = hsproj.solve(scores, k, temperature=temperature).support  # each sample is a row of 10 scores
        sizes.append(float(support.sum(axis=1).mean()))
        hits.append(float(support[np.arange(labels.size), labels].mean()))
    return sizes, hits


def train(x: Array, labels: Array) -> tuple[list[Array], list[float]]:
    """Minimise the multiclass HyperSimplex loss of the scores x W: the weights after each iteration, and their losses.

    The loss projects each class across the batch: axis=0, with k_c the number of samples of class c. Three things are
    worth knowing. (1) Adding a constant to the scores of a class changes nothing, so the gradient with respect to a
    bias b_c is exactly 0; the threshold theta_c, which the projection finds, takes the place of -b_c. (2) Multiplying W
    and the temperature by the same number changes nothing either, so the temperature only sets the scale of W relative
    to the penalty, and 1 is as good as any. (3) The loss is not convex. W = 0 is a fair start: all scores are equal
    there, so all entries are free and the gradient is that of least squares.
    """
    targets = np.eye(10)[labels]

    def objective(w: Array) -> tuple[float, Array]:
        weights = w.reshape(-1, 10)
        # k is left out: it defaults to the sums of the targets, which are the class counts.
        loss, by_score = hsproj.hypersimplex_loss_and_grad(x @ weights, targets, axis=0, reduction="sum")
        gradient = x.T @ by_score + PENALTY * weights
        return float(loss) + 0.5 * PENALTY * float(np.sum(weights**2)), gradient.ravel()

    path = [np.zeros(x.shape[1] * 10)]
    minimize(objective, path[0], jac=True, method="L-BFGS-B", callback=lambda w: path.append(w.copy()))
    steps = [w.reshape(-1, 10) for w in path]
    return steps, [float(hsproj.hypersimplex_loss(x @ w, targets, axis=0, reduction="sum")) for w in steps]


def accuracies(steps: list[Array], x_train: Array, x_test: Array, y_train: Array, y_test: Array) -> Array:
    """(steps, 2) shares of training and test samples whose highest score, counted from theta_c, is their class's."""
    shares = []
    for w in steps:
        theta = hsproj.solve(x_train @ w, np.bincount(y_train), axis=0).threshold
        shares.append([np.mean((x @ w - theta).argmax(axis=1) == y) for x, y in ((x_train, y_train), (x_test, y_test))])
    return np.array(shares)


def draw(path: str, scores: Array, labels: Array, losses: list[float], shares: Array) -> None:
    """Three panels: supports against temperature, the training curve, and the sample with the closest call."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.9), layout="constrained")
    colours = ("tab:blue", "tab:orange")

    for k, colour in zip((1, 2), colours, strict=True):
        left.plot(TEMPERATURES, supports(scores, labels, k)[0], ".-", color=colour, label=f"projection, k = {k}")
    left.axhline(10, color="gray", linestyle="--", label="softmax (always 10)")
    left.set(xscale="log", xlabel="temperature", ylabel="classes in the support, mean", ylim=(0, 10.9))
    left.set_xticks([0.5, 1, 2, 4, 8, 16, 32, 64], labels=["0.5", "1", "2", "4", "8", "16", "32", "64"])
    left.minorticks_off()
    left.set_title("Supports of logistic-regression scores")
    left.legend(frameon=False, loc="center left", bbox_to_anchor=(0.0, 0.72))

    middle.plot(losses, color="black", label="loss (left)")
    middle.set(xlabel="L-BFGS-B iteration", ylabel="HyperSimplex loss, sum over classes", ylim=(0, 1.05 * losses[0]))
    middle.set_title("Training on the HyperSimplex loss")
    errors = middle.twinx()
    for i, name in enumerate(("training", "test")):
        errors.plot(100 - 100 * shares[:, i], color=colours[i], label=f"{name} error (right)")
    errors.set(ylabel="error, %", ylim=(0, 12.5))
    lines = middle.get_lines() + errors.get_lines()
    middle.legend(lines, [str(line.get_label()) for line in lines], frameon=False)

    top_two = np.sort(scores, axis=1)[:, -2:]
    sample = int(np.argmin(top_two[:, 1] - top_two[:, 0]))
    row = scores[sample]
    bars = {"softmax": softmax(row)} | {f"projection, k = {k}": hsproj.project(row, k) for k in (1, 2)}
    for i, (name, p) in enumerate(bars.items()):
        right.bar(np.arange(10) + 0.27 * (i - 1), p, 0.27, label=name, color=("gray", *colours)[i])
    right.set_xticks(
        range(10), [f"{digit}\n{round(score, 1) + 0.0:.1f}" for digit, score in enumerate(row)], fontsize=8
    )
    right.set(
        xlabel="digit, and its score", ylabel="p at temperature 1", ylim=(0, 1.32), yticks=[0, 0.25, 0.5, 0.75, 1]
    )
    right.set_title(f"The closest call (true digit: {labels[sample]})")
    right.legend(frameon=False, loc="upper left", fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print both tables; draw the figure if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", metavar="PATH", help="where to save the figure")
    path = parser.parse_args().figure
    x_train, x_test, y_train, y_test = load()

    # C = 1 is also the best of 0.001 to 10 in five-fold cross-validation on the training set.
    logistic = LogisticRegression(C=1.0, max_iter=2000).fit(x_train, y_train)
    scores = logistic.decision_function(x_test)
    print("Logistic-regression scores of the test set, projected (softmax has all 10 classes in its support):")
    print(" k  temperature  classes in the support  true class among them")
    for k in (1, 2):
        sizes, hits = supports(scores, y_test, k)
        for i in range(2, TEMPERATURES.size, 4):
            print(f"{k:2d}  {TEMPERATURES[i]:11.2f}  {sizes[i]:22.2f}  {hits[i]:21.1%}")

    steps, losses = train(x_train, y_train)
    shares = accuracies(steps, x_train, x_test, y_train, y_test)
    print(f"\nLinear classifiers, {y_train.size} training and {y_test.size} test digits:  training    test")
    print(f"logistic regression {logistic.score(x_train, y_train):45.1%}  {logistic.score(x_test, y_test):6.1%}")
    print(f"HyperSimplex loss   {shares[-1, 0]:45.1%}  {shares[-1, 1]:6.1%}")
    if path:
        draw(path, scores, y_test, losses, shares)


if __name__ == "__main__":
    main()
