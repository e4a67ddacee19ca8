"""Comparisons, tables and figures of what `experiment.py` has trained. Needs neither PyTorch nor the data."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from plan import (
    BATCHES,
    BOOSTERS,
    LOSSES,
    MIDDLE,
    NOISES,
    RATES,
    SEEDS,
    STARTS,
    TEMPERATURES,
    Boosted,
    Boosting,
    Outcome,
    Run,
)
from scipy import stats

mpl.use("Agg")
import matplotlib.pyplot as plt

Vector = NDArray[np.float64]
Results = Mapping[Run, Outcome]
NAMES = {
    "hypersimplex": "HyperSimplex",
    "fenchel_young": "Fenchel-Young",
    "cross_entropy": "cross entropy",
    "hinge": "hinge",
    "squares": "squares",
}
COLOURS = dict(zip(LOSSES, ("black", "tab:blue", "tab:orange", "tab:green", "tab:red"), strict=True))
TRAINED = {"digits": 1024, "mnist5k": 3072, "shuttle": 12288}
TESTED = {"digits": 517, "mnist5k": 1000, "shuttle": 28617}
CHANCE = {"digits": 183 / 1797, "shuttle": 45586 / 49097}
"""The share of the most common class: what always guessing it gets right."""
LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """Test accuracies of two ways to train on the same splits: differences in percentage points, first less second."""

    data: str
    batch: int
    other: str
    mean: float
    low: float  # of a 95 % confidence interval
    high: float
    effect: float  # Cohen's d of paired samples: mean / standard deviation of the differences
    t: float
    p: float  # of the paired t-test, as in the paper, which takes splits for independent
    corrected_p: float  # with Nadeau and Bengio's variance, (1/J + n_test/n_train) s^2: splits share their samples


def compare(data: str, batch: int, other: str, ours: Vector, theirs: Vector) -> Comparison:
    """Paired t-test, effect size and interval; where all differences are equal there is no spread, and p is 1 or 0."""
    hits = np.rint((ours - theirs) * TESTED[data])  # whole, so that equal ones are equal
    point, count = 100 / TESTED[data], len(hits)
    mean, spread = point * float(hits.mean()), point * float(hits.std(ddof=1))
    error = spread / np.sqrt(count)
    half = stats.t.ppf(0.975, count - 1) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = spread * np.sqrt(1 / count + TESTED[data] / TRAINED[data])
        effect, t, corrected = (
            float(np.nan_to_num(np.divide(mean, by), posinf=np.inf, neginf=-np.inf)) for by in (spread, error, shared)
        )
    ps = [float(2 * stats.t.sf(abs(value), count - 1)) for value in (t, corrected)]
    return Comparison(data, batch, other, mean, mean - half, mean + half, effect, t, *ps)


def chosen(results: Results, run: Run, of: Callable[[Outcome], float]) -> Vector:
    """`of` the outcome of each seed, at the learning rate with the best validation accuracy for it (the first of equals)."""
    values = []
    for seed in SEEDS:
        outcomes = [results[replace(run, rate=rate, seed=seed)] for rate in RATES]
        values.append(of(max(outcomes, key=lambda outcome: outcome.validation)))
    return np.array(values)


def as_in_the_paper(results: Results, run: Run) -> Vector:
    """One learning rate for all, k = n/2, classes by the highest score, and the epoch that is best on the test set."""
    run = replace(run, total="half" if run.loss == "hypersimplex" else "counted")
    return np.array([results[replace(run, rate=RATES[0], seed=seed)].best_without_threshold for seed in SEEDS])


def by_validation(results: Results, run: Run) -> Vector:
    """Test accuracy after the last epoch, at the chosen learning rate."""
    return chosen(results, run, lambda outcome: outcome.test)


PROTOCOLS = {"validation": by_validation, "paper": as_in_the_paper}
COMPARED = {"validation": LOSSES, "paper": tuple(loss for loss in LOSSES if loss != "fenchel_young")}


def cell(values: Vector, digits: int = 2) -> str:
    """Mean and standard deviation, of shares in percent."""
    return f"{100 * values.mean():.{digits}f} ± {100 * values.std(ddof=1):.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def size(batch: int) -> str:
    """Of a batch."""
    return str(batch) if batch else "all"


def main_cells(results: Results, data: str, batch: int, protocol: str) -> dict[str, Vector]:
    """Accuracies for each loss."""
    return {loss: PROTOCOLS[protocol](results, Run(data, loss, batch, 0.0, 0)) for loss in COMPARED[protocol]}


def comparisons(results: Results, protocol: str) -> list[Comparison]:
    """HyperSimplex against each other loss, dataset and batch."""
    found = []
    for data, batches in BATCHES.items():
        for batch in batches:
            cells = main_cells(results, data, batch, protocol)
            found += [compare(data, batch, loss, cells["hypersimplex"], cells[loss]) for loss in COMPARED[protocol][1:]]
    return found


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: those under 0.05 are significant together, with 5 % risk of any error."""
    order = np.argsort(ps, kind="stable")
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.asarray(ps)[order] * np.arange(len(ps), 0, -1)))
    return [float(p) for p in adjusted]


def main_table(results: Results, protocol: str) -> str:
    """Test errors of each dataset, batch and loss."""
    rows = []
    for data, batches in BATCHES.items():
        for batch in batches:
            cells = main_cells(results, data, batch, protocol)
            least = min((1 - values).mean() for values in cells.values())
            texts = [(cell(1 - values), (1 - values).mean() == least) for values in cells.values()]
            rows.append([data, size(batch), *(f"**{text}**" if best else text for text, best in texts)])
    return table(["data", "batch", *(NAMES[loss] for loss in COMPARED[protocol])], rows)


def verdicts(results: Results) -> str:
    """How often HyperSimplex is better or worse, and how surely."""
    rows = []
    for protocol, title in (("validation", "rates by validation"), ("paper", "as in the paper")):
        found = comparisons(results, protocol)
        adjusted = dict(zip(found, holm([one.p for one in found]), strict=True))
        for other in (*COMPARED[protocol][1:], "all"):
            some = [one for one in found if other in (one.other, "all")]
            tests = ([one.p for one in some], [adjusted[one] for one in some], [one.corrected_p for one in some])
            counts = [
                " : ".join(
                    str(sum(p < LEVEL and sign * one.mean > 0 for p, one in zip(ps, some, strict=True)))
                    for sign in (1, -1)
                )
                for ps in tests
            ]
            ahead = " : ".join(str(sum(sign * one.mean > 0 for one in some)) for sign in (1, -1))
            rows.append([title, NAMES.get(other, "**all**"), str(len(some)), ahead, *counts])
    return table(
        ["protocol", "against", "comparisons", "better : worse", "p < 0.05", "p < 0.05, Holm", "p < 0.05, corrected"],
        rows,
    )


def ablations(results: Results) -> str:
    """Test errors of HyperSimplex in other ways, and their differences to the usual one."""
    kinds: dict[str, dict[str, object]] = {"as above: k counted, τ = 1.5, exact": {}}
    kinds |= {"k = n/2": {"total": "half"}, "derivative of the blocks": {"derivative": "blocks"}}
    kinds |= {f"τ = {value:g}": {"temperature": value} for value in TEMPERATURES}
    rows = []
    for data in BATCHES:
        base = Run(data, "hypersimplex", MIDDLE, 0.0, 0)
        usual = by_validation(results, base)
        for title, changes in kinds.items():
            run = replace(base, **changes)
            accuracy = by_validation(results, run)
            plain = chosen(results, run, lambda outcome: outcome.test_without_threshold)
            one = compare(data, MIDDLE, title, accuracy, usual)
            difference = f"{-one.mean:+.2f} [{-one.high:+.2f}, {-one.low:+.2f}]" if changes else ""
            rows.append([data, title, cell(1 - accuracy), difference, cell(1 - plain)])
    return table(
        ["data", "HyperSimplex with", "test error, %", "difference and 95 % interval", "without thresholds"], rows
    )


def choices(results: Results) -> str:
    """Test errors by what the paper, its code and this page choose, at one rate for all."""
    trained = {"k counted": ("hypersimplex", "counted"), "k = n/2": ("hypersimplex", "half")}
    trained["cross entropy"] = ("cross_entropy", "counted")
    rows = []
    for data, batches in BATCHES.items():
        for batch in batches:
            cells = []
            for loss, total in trained.values():
                each = [results[Run(data, loss, batch, RATES[0], seed, total=total)] for seed in SEEDS]
                cells.append(cell(np.array([1 - outcome.test for outcome in each])))
                cells.append(cell(np.array([1 - outcome.best_without_threshold for outcome in each])))
            rows.append([data, size(batch), *cells])
    ways = dict.fromkeys(trained, ("thresholds, last epoch", "none, best epoch"))
    ways["cross entropy"] = ("last epoch", "best epoch")
    return table(["data", "batch", *(f"{name}, {way}" for name in trained for way in ways[name])], rows)


def noise(results: Results) -> str:
    """Test errors where training labels are wrong."""
    rows = []
    for data in ("digits", "mnist5k"):
        for share in (0.0, *NOISES):
            cells = {loss: by_validation(results, Run(data, loss, MIDDLE, 0.0, 0, noise=share)) for loss in LOSSES}
            rows.append([data, f"{share:.0%}", *(cell(1 - values) for values in cells.values())])
    return table(["data", "wrong labels", *NAMES.values()], rows)


def calibration(results: Results) -> str:
    """How far probabilities are from frequencies."""
    rows = []
    measures: dict[str, Callable[[Outcome], float]] = {
        "calibration error, %": lambda outcome: outcome.calibration_error,
        "after scaling, %": lambda outcome: outcome.rescaled_calibration_error,
        "Brier score, %": lambda outcome: outcome.brier,
    }
    for data in BATCHES:
        for title, of in measures.items():
            cells = [chosen(results, Run(data, loss, MIDDLE, 0.0, 0), of) for loss in LOSSES]
            rows.append([data, title, *(cell(values) for values in cells)])
    return table(["data", "", *NAMES.values()], rows)


def controls(results: Results) -> str:
    """Permuted labels, and the made-up problem whose ordering is known."""
    rows = []
    for data, chance in CHANCE.items():
        runs = {loss: [Run(data, loss, MIDDLE, RATES[0], seed, permuted=True) for seed in SEEDS] for loss in LOSSES}
        accuracies = {loss: np.array([results[run].test for run in each]) for loss, each in runs.items()}
        errors = [cell(1 - values) for values in accuracies.values()]
        rows.append([f"{data}, labels permuted", *errors, f"{100 * (1 - chance):.2f}"])
        hits = [round(TESTED[data] * float(values.sum())) for values in accuracies.values()]
        tests = [stats.binomtest(hit, TESTED[data] * len(SEEDS), chance, "greater") for hit in hits]
        rows.append(["p of as many right by chance", *(f"{test.pvalue:.2g}" for test in tests), ""])
    outliers = [np.array([1 - outcome.test for outcome in starts(results, loss)]) for loss in LOSSES]
    rows.append(["outliers, best of ten starts", *(f"{100 * errors.min():.2f}" for errors in outliers), "15.0"])
    rows.append(["outliers, starts that end below 20 %", *(str(int((errors < 0.2).sum())) for errors in outliers), ""])
    return table(["test error, %", *NAMES.values(), "known"], rows)


def starts(results: Results, loss: str) -> list[Outcome]:
    """On the made-up problem: outcomes of all starts, at a rate with which they come to rest."""
    return [results[Run("outliers", loss, MIDDLE, 1e-2, seed)] for seed in STARTS]


def boosters(boosted: Mapping[Boosting, Boosted]) -> str:
    """Trees on shuttle."""
    rows = []
    for method in BOOSTERS:
        each = [boosted[Boosting(method, seed)] for seed in SEEDS]
        shares = (
            np.array(values)
            for values in zip(*((b.error, b.error_without_threshold, b.free) for b in each), strict=True)
        )
        rows.append([method, *(cell(share, 3) for share in shares)])
    return table(
        ["loss, derivative, curvature", "test error, %", "of scores above 0, %", "free after 50 rounds, %"], rows
    )


def _tidy(axes: plt.Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _errors_figure(results: Results, path: Path) -> None:
    figure, grid = plt.subplots(2, len(BATCHES), figsize=(12, 6.4), layout="constrained", sharex="col")
    for row, (protocol, title) in enumerate((("validation", "rates by validation"), ("paper", "as in the paper"))):
        for axes, (data, batches) in zip(grid[row], BATCHES.items(), strict=True):
            sizes = np.array([batch or TRAINED[data] for batch in batches])
            highest, lowest = 0.0, np.inf
            for i, loss in enumerate(COMPARED[protocol]):
                cells = [100 * (1 - main_cells(results, data, batch, protocol)[loss]) for batch in batches]
                means = np.array([values.mean() for values in cells])
                ranges = np.abs([[values.min(), values.max()] for values in cells] - means[:, None]).T
                at = sizes * 1.02 ** (i - 2)  # next to each other
                style = {"marker": "o", "markersize": 3, "linewidth": 1, "color": COLOURS[loss], "label": NAMES[loss]}
                axes.errorbar(at, means, ranges, **style)
                highest, lowest = max(highest, means.max()), min(lowest, means.min())
            axes.set(xscale="log", title=f"{data}, {title}")
            if highest > 20 * lowest:
                axes.set(yscale="log", ylim=(0.5 * lowest, 100))
                axes.yaxis.set_major_formatter("{x:g}")
            else:
                axes.set_ylim(0)
            axes.set_xticks(sizes, labels=[size(batch) for batch in batches])
            axes.minorticks_off()
            _tidy(axes)
    for axes in grid[:, 0]:
        axes.set_ylabel("test error, %")
    for axes in grid[1]:
        axes.set_xlabel("batch")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=len(LOSSES))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _differences_figure(results: Results, path: Path) -> None:
    found = comparisons(results, "validation")
    figure, grid = plt.subplots(1, len(BATCHES), figsize=(12, 6.4), layout="constrained")
    for axes, (data, batches) in zip(grid, BATCHES.items(), strict=True):
        for i, batch in enumerate(batches):
            for j, loss in enumerate(LOSSES[1:]):
                one = next(c for c in found if (c.data, c.batch, c.other) == (data, batch, loss))
                reach = [[one.mean - one.low], [one.high - one.mean]]
                axes.errorbar(
                    [one.mean],
                    [-i - 0.17 * j],
                    xerr=reach,
                    fmt="o",
                    markersize=4,
                    color=COLOURS[loss],
                    label=NAMES[loss],
                )
        axes.axvline(0, color="gray", linewidth=0.8)
        axes.set_yticks([-i - 0.25 for i in range(len(batches))], labels=[size(batch) for batch in batches])
        axes.set(title=data, xlabel="accuracy of HyperSimplex less that of …, points")
        _tidy(axes)
    grid[0].set_ylabel("batch")
    handles, labels = (found[: len(LOSSES) - 1] for found in grid[0].get_legend_handles_labels())
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=len(LOSSES) - 1)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def write(folder: Path, results: Results, boosted: Mapping[Boosting, Boosted]) -> None:
    """All tables (in Markdown, and comparisons as CSV) and figures of the page."""
    texts = {
        "errors": main_table(results, "validation"),
        "errors-as-in-the-paper": main_table(results, "paper"),
        "verdicts": verdicts(results),
        "ablations": ablations(results),
        "choices": choices(results),
        "noise": noise(results),
        "calibration": calibration(results),
        "controls": controls(results),
        "boosting": boosters(boosted),
    }
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text)
    columns = [*Comparison.__annotations__, "holm_p"]
    with (folder / "comparisons.csv").open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["protocol", *columns])
        for protocol in PROTOCOLS:
            found = comparisons(results, protocol)
            for one, adjusted in zip(found, holm([each.p for each in found]), strict=True):
                numbers = [getattr(one, name) for name in Comparison.__annotations__]
                lines.writerow(
                    [protocol, *(f"{n:.4g}" if isinstance(n, float) else n for n in numbers), f"{adjusted:.4g}"]
                )
    mpl.rcParams["svg.hashsalt"] = "hsproj"
    _errors_figure(results, folder / "errors.svg")
    _differences_figure(results, folder / "differences.svg")
