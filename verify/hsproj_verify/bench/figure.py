"""Results as a figure: time against the length of the row, both on logarithmic axes, a panel for each dtype."""

from __future__ import annotations

import math
from pathlib import Path

from hsproj_verify.bench.contenders import BARE, BASELINES, SORT
from hsproj_verify.bench.results import Results
from hsproj_verify.bench.table import label


def draw(results: Results, path: str | Path) -> None:
    """Draw the sweep of `results`, forward calls on one row, as the suffix of `path` says. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dtypes = list(dict.fromkeys(cell.regime.dtype for cell in results.sweep))
    figure = Figure(figsize=(5.2 * len(dtypes), 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(dtypes), sharey=True, squeeze=False)[0]
    for axes, dtype in zip(panels, dtypes, strict=True):
        for who in (*results.targets, *BASELINES):
            cells = [cell for cell in results.sweep if cell.regime.dtype == dtype]
            points = [(cell.regime.n, cell.seconds(who, "forward")) for cell in cells]
            points = [point for point in points if not math.isnan(point[1])]
            if points:
                axes.loglog(*zip(*points, strict=True), label=label(who), **_style(who))
        axes.set(xlabel="n, scores in one row", title=dtype)
        axes.grid(True, which="major", color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("seconds a call")
    panels[0].legend(frameon=False, loc="upper left")
    regime = results.sweep[0].regime
    threads = f"{results.threads} thread{'s' * (results.threads > 1)}"
    figure.suptitle(
        f"One row of {regime.scores} scores at temperature {regime.temperature:g}, k = n/10, {threads}", fontsize=11
    )
    figure.savefig(path, dpi=150)


def _style(who: str) -> dict[str, object]:
    """Baselines are grey; targets take the colours as they come."""
    if who == SORT:
        return {"color": "0.35", "linestyle": "--", "linewidth": 1.2}
    if who == BARE:
        return {"color": "0.6", "linestyle": ":", "linewidth": 1.6}
    return {"marker": ".", "linewidth": 1.4}
