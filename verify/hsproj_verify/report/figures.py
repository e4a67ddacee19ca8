"""Figures of a report as SVG text to put into a page: errors against length, and a witness entry by entry.

They take the colour of the page's text for what is not data, so that they are readable on light and on dark ground.
Matplotlib draws them: without it importing this module raises ImportError.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from hsproj_verify.case import Entry
from hsproj_verify.errors import Measurement

_TEXT = "#010203"  # stands for the colour of the page's text
_GRID: Any = {"color": "0.5", "alpha": 0.25, "linewidth": 0.6}
_COLOURS = ["#0f8a9d", "#d9730d", "#7b5cd6", "#3f9142", "#c43d5d", "#8a6d1f", "#3778c2", "#b04fae"]
_MARKERS = "os^Dv<>Pp*hXd"
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: smaller, and readable by machines
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.titlecolor": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_LEAST = 0.01  # smaller errors, and none, are drawn here
_MOST = 1e100  # what is beyond is off by everything: axes up to the largest float overflow


def errors_by_length(measured: Sequence[Measurement], tolerance: float, name: str) -> str:
    """The largest errors against n, a line for each family, a panel for each dtype."""
    dtypes = list(dict.fromkeys(one.dtype for one in measured))
    families = list(dict.fromkeys(one.family for one in measured))
    finite = [min(one.error, _MOST) for one in measured if math.isfinite(one.error)]
    highest = 10 ** math.ceil(math.log10(max(3 * tolerance, 3 * max(finite, default=1.0))))
    base = 10 if max(one.longest for one in measured) > 100 else 2
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        width = 2.8 + 3.0 * len(dtypes)
        figure = Figure(figsize=(width, 4.4))
        figure.subplots_adjust(left=0.8 / width, right=1 - 1.9 / width, top=0.92, bottom=0.11, wspace=0.12)
        panels = figure.subplots(1, len(dtypes), sharex=True, sharey=True, squeeze=False)[0]
        for axes, dtype in zip(panels, dtypes, strict=True):
            for i, family in enumerate(families):
                points = [(one.shortest, one.error) for one in measured if (one.family, one.dtype) == (family, dtype)]
                x = [max(n, 0.5) for n, _ in points]
                y = [min(max(error, _LEAST), highest) for _, error in points]
                style = {"color": _COLOURS[i % len(_COLOURS)], "marker": _MARKERS[i % len(_MARKERS)]}
                axes.plot(x, y, label=family, linewidth=1.2, markersize=5, clip_on=False, **style)
            axes.axhline(tolerance, color=_TEXT, linestyle="--", linewidth=1)
            axes.set_xscale("log", base=base)
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(NullLocator())
            axes.set_ylim(_LEAST, highest)
            axes.set(xlabel="n", title=dtype)
            axes.xaxis.set_major_formatter(lambda n, _: f"{n:g}" if n < 10_000 else f"$10^{{{math.log10(n):.0f}}}$")
            axes.grid(True, which="major", **_GRID)
        panels[0].set_ylabel("largest error / eps (1 + p)")
        panels[0].annotate(
            "tolerance",
            (1, tolerance),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            ha="right",
            textcoords="offset points",
            fontsize=8,
        )
        handles: dict[str, Any] = {}
        for axes in panels:
            handles = {**dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True)), **handles}
        figure.legend(handles.values(), handles.keys(), loc="upper right", frameon=False, fontsize=9)
        return _svg(figure, name)


def entry_by_entry(entries: Sequence[Entry], name: str) -> str:
    """What came and the exact answer, and below them their difference, on a logarithmic scale."""
    at = [entry.at for entry in entries]
    off = [(entry.at, min(max(abs(entry.off), 1 / _MOST), _MOST)) for entry in entries if entry.off]
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(7.2, 3.6))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        figure.subplots_adjust(left=0.12, right=0.98, top=0.9, bottom=0.13)
        exact = {"color": _COLOURS[0], "marker": "o", "markersize": 8, "markerfacecolor": "none"}
        above.plot(at, [entry.exact for entry in entries], linestyle="", label="p*, exact", **exact)
        came = {"color": _COLOURS[1], "marker": "x", "linestyle": ""}
        above.plot(at, [min(max(entry.came, -_MOST), _MOST) for entry in entries], label="p, as it came", **came)
        above.update_datalim([(at[0], 0.0), (at[0], 1.0)])
        above.autoscale_view()
        above.set_ylabel("entry")
        above.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, fontsize=9)
        if off:
            low = 10.0 ** (math.floor(math.log10(min(d for _, d in off))) - 1)
            high = 10.0 ** (math.floor(math.log10(max(d for _, d in off))) + 1)
            below.vlines([i for i, _ in off], low, [d for _, d in off], color=_COLOURS[1])
            below.plot(*zip(*off, strict=True), **came)
            below.set(yscale="log", ylim=(low, high))
            below.yaxis.set_major_locator(LogLocator(numticks=4))
            below.yaxis.set_minor_locator(NullLocator())
        else:
            below.set_yticks([])
        below.set(ylabel="|p - p*|", xlabel="index")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in (above, below):
            axes.grid(True, which="major", **_GRID)
        return _svg(figure, name)


def _svg(figure: Figure, name: str) -> str:
    """The figure as an element, with ids of its own."""
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip().replace(_TEXT, "currentColor")
    svg = svg.replace("<svg", '<svg style="max-width: 100%; height: auto"', 1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
