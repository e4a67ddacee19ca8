"""Results as a page: Markdown with where it comes from, means, regimes, targets beside each other, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hsproj_verify.bench.contenders import BASELINES
from hsproj_verify.bench.outcomes import Outcome
from hsproj_verify.bench.regimes import OPERATIONS
from hsproj_verify.bench.results import Measured, Results

NONE = "-"
Ratio = Callable[[Measured], float]


def page(results: Results, figure: str = "") -> str:
    """The page, with a link to a figure if there is one."""
    parts = [_head(results), _means(results), figure and f"![Time against length of the row]({figure})"]
    for who in results.targets:
        parts += [_worst(results, who), *(_regimes(results, who, operation) for operation in OPERATIONS)]
        parts.append(_reused(results, who))
    parts += [_beside(results), _missing(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def label(name: str) -> str:
    """A target's name for columns and legends.

    Examples
    --------
    >>> from hsproj_verify.bench.table import label
    >>> [label(name) for name in ("hsproj_verify.peers.scipy:target", "pkg:project", "path/to/mine.py:quick")]
    ['scipy', 'pkg:project', 'quick']
    """
    module, _, attribute = name.rpartition(":")
    if attribute == "target":
        return module.removesuffix(".py").replace("/", ".").rpartition(".")[2]
    return attribute if module.endswith(".py") else name


def _head(results: Results) -> str:
    machine, versions = results.machine, results.machine["versions"]
    lines = [
        "# Benchmarks\n",
        *([] if results.complete else ["**Incomplete: the run was interrupted.**\n"]),
        f"Written by `{results.command}` on {results.date}; [what is measured, and how to read it](benchmark.md).\n",
        f"- {machine['processor']}, {machine['cores']} cores, {machine['system']}; threads used: {results.threads}",
        f"- {', '.join(f'{name} {version}' for name, version in versions.items())}",
    ]
    for name, about in results.targets.items():
        said = [about["note"], f"temperature {about['temperature']}"]
        said += ["pullback of a solution"] if about["pullback"] else []
        said += [f"forward+vjp by {about['forward+vjp']}"] if about["vjp"] else ["no vjp"]
        lines.append(f"- {label(name)} (`{name}`): {'; '.join(filter(None, said))}")
    return "\n".join(lines)


def _means(results: Results) -> str:
    ranges: dict[str, Callable[[int], bool]] = {
        "all": lambda n: True,
        "n ≥ 1000": lambda n: n >= 1000,
        "n ≥ 10^6": lambda n: n >= 10**6,
    }
    rows = []
    for who, operation, dtype in _keys(results):
        row = [label(who), operation, dtype]
        for inside in ranges.values():
            cells = [c for c in results.cells if c.regime.dtype == dtype and inside(c.regime.n)]
            counted = sum(not math.isnan(cell.seconds(who, operation)) for cell in cells)
            row.append(f"{counted} of {len(cells)}")
            row += [_mean(cells, _to_sort(who, operation)), _mean(cells, _to_bare(who, operation))]
        rows.append(row)
    columns = [f"{name}: {what}" for name in ranges for what in ("regimes", "/ sort", "/ bare")]
    text = "Geometric means of the time, in units of that of np.sort and of the bare pass, over regimes that gave a figure."
    return _section("Means", text, ["target", "operation", "dtype", *columns], rows)


def _regimes(results: Results, who: str, operation: str) -> str:
    rows = []
    dtypes = list(dict.fromkeys(cell.regime.dtype for cell in results.cells))
    for shape, scores in dict.fromkeys((cell.regime.name, cell.regime.scores) for cell in results.cells):
        row = [shape, scores]
        for dtype in dtypes:
            alike = [c for c in results.cells if _key(c) == (shape, scores, dtype)]
            row += [_spread(alike, _to_sort(who, operation)), _spread(alike, _to_bare(who, operation))]
            row.append(_duration(_geometric(cell.seconds(who, operation) for cell in alike)))
        if any(entry != NONE for entry in row[2:]):
            rows.append(row)
    head = ["shape", "scores", *(f"{dtype} {what}" for dtype in dtypes for what in ("/ sort", "/ bare", "time"))]
    text = "Over the totals k: geometric mean (least to greatest)."
    return _section(f"{label(who)}: {operation}, by regime", text, head, rows)


def _worst(results: Results, who: str, number: int = 10) -> str:
    cells = [cell for cell in results.cells if not math.isnan(cell.to_sort(who, "forward"))]
    cells.sort(key=lambda cell: -cell.to_sort(who, "forward"))
    rows = []
    for cell in cells[:number]:
        regime, ratios = cell.regime, (cell.to_sort(who, "forward"), cell.to_bare(who, "forward"))
        row = [regime.name, str(regime.k), regime.scores, regime.dtype, *map(_ratio, ratios)]
        rows.append([*row, _duration(cell.seconds(who, "forward"))])
    head = ["shape", "k", "scores", "dtype", "/ sort", "/ bare", "time"]
    return _section(f"{label(who)}: worst regimes, forward", "", head, rows)


def _reused(results: Results, who: str) -> str:
    rows = []
    for shape, dtype in dict.fromkeys((cell.regime.name, cell.regime.dtype) for cell in results.cells):
        for operation in OPERATIONS:
            alike = [c for c in results.cells if (c.regime.name, c.regime.dtype) == (shape, dtype)]
            spread = _spread(alike, lambda cell, op=operation: cell.to_bare(who, op, reused=True))  # type: ignore[misc]
            if spread != NONE:
                rows.append([shape, dtype, operation, spread])
    text = "With `out=`, beside a bare pass that writes to the same array every time: over scores and totals."
    return _section(f"{label(who)}: output reused", text, ["shape", "dtype", "operation", "/ bare"], rows)


def _beside(results: Results) -> str:
    first, *others = results.targets
    rows = []
    for shape, dtype in dict.fromkeys((cell.regime.name, cell.regime.dtype) for cell in results.cells):
        alike = [c for c in results.cells if (c.regime.name, c.regime.dtype) == (shape, dtype)]
        for operation in OPERATIONS:

            def to_best(cell: Measured, operation: str = operation) -> float:
                times = [cell.seconds(other, operation) for other in others]
                return cell.seconds(first, operation) / min((t for t in times if not math.isnan(t)), default=math.nan)

            means = [_mean(alike, _to_sort(who, operation)) for who in results.targets]
            if any(mean != NONE for mean in means[1:]):
                rows.append([shape, dtype, operation, _spread(alike, to_best), *means])
    head = [
        "shape",
        "dtype",
        "operation",
        f"{label(first)} / best other",
        *(f"{label(w)} / sort" for w in results.targets),
    ]
    text = "Geometric means over scores and totals; the best other is chosen cell by cell, among those that were right."
    return _section("Beside each other", text, head, rows)


def _missing(results: Results) -> str:
    seen: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for cell, figure in results.figures():
        if figure.outcome is not Outcome.MEASURED:
            r = cell.regime
            where = f"{r.name}, k = {r.k}, {r.scores}, {r.dtype}"
            seen.setdefault((figure.who, figure.operation, figure.outcome.value), []).append((where, figure.reason))
    rows = []
    for (who, operation, outcome), cases in seen.items():
        where, reason = cases[0]
        rows.append([label(who), operation, outcome, str(len(cases)), where, reason])
    text = (
        "Cells that give no figure, or one that doesn't count because the answer is wrong; the JSON file has them all."
    )
    return _section(
        "Not measured, or wrong", text, ["target", "operation", "outcome", "cells", "such as", "reason"], rows
    )


def _keys(results: Results) -> Iterator[tuple[str, str, str]]:
    found = {(f.who, f.operation, c.regime.dtype) for c, f in results.figures() if f.who not in BASELINES}
    dtypes = dict.fromkeys(cell.regime.dtype for cell in results.cells)
    return ((w, o, d) for w in results.targets for o in OPERATIONS for d in dtypes if (w, o, d) in found)


def _key(cell: Measured) -> tuple[str, str, str]:
    return cell.regime.name, cell.regime.scores, cell.regime.dtype


def _to_sort(who: str, operation: str) -> Ratio:
    return lambda cell: cell.to_sort(who, operation)


def _to_bare(who: str, operation: str) -> Ratio:
    return lambda cell: cell.to_bare(who, operation)


def _geometric(values: Iterable[float]) -> float:
    there = [value for value in values if not math.isnan(value)]
    return math.exp(math.fsum(map(math.log, there)) / len(there)) if there else math.nan


def _mean(cells: Iterable[Measured], ratio: Ratio) -> str:
    return _ratio(_geometric(map(ratio, cells)))


def _spread(cells: Iterable[Measured], ratio: Ratio) -> str:
    there = [value for value in map(ratio, cells) if not math.isnan(value)]
    if len(there) < 2:
        return _ratio(_geometric(there))
    return f"{_ratio(_geometric(there))} ({_ratio(min(there))} to {_ratio(max(there))})"


def _ratio(value: float) -> str:
    """Two digits, or what is before the point."""
    if math.isnan(value):
        return NONE
    return f"{value:#.2g}" if value < 9.95 else f"{value:.0f}"


def _duration(value: float) -> str:
    if math.isnan(value):
        return NONE
    unit, size = next((u, s) for u, s in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)) if value >= s or u == "µs")
    return f"{value / size:.3g} {unit}"


def _section(title: str, text: str, head: list[str], rows: list[list[Any]]) -> str:
    """A table under its title, or nothing without rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(entry.replace('|', chr(92) + '|') for entry in line)} |" for line in lines)
    return "\n\n".join(filter(None, [f"## {title}", text, table]))
