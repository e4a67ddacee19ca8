"""The report as one page of HTML that asks for nothing else: tables, figures if there is matplotlib, witnesses to copy.

What a target has written appears on it, escaped; the page forbids itself to load anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from importlib import resources

from hsproj_verify.case import Entry, Witness
from hsproj_verify.errors import Measurement
from hsproj_verify.report.results import Alike, Level, Outcome, Report, Result, counted, witness_lines
from hsproj_verify.report.text import number, printable

_ROWS = 20  # entries of a witness in its table
_FIGURES = 60  # witnesses with a figure of their own: each takes a tenth of a second, and 10 kB


def page(report: Report) -> str:
    """The page."""
    title = f"{report.target}: {report.verdict}"
    parts = [_head(report), *_figure_of_errors(report), _checks(report)]
    if report.failures:
        parts.append("<h2>Failures</h2>")
        parts += map(_alike, report.alike)
        parts += [_failure(result, i) for i, result in enumerate(report.failures)]
    data = json.dumps(report.to_dict(), indent=1).replace("<", "\\u003c")
    return _text("page.html").format(
        title=_html(title), style=_text("page.css"), body="\n".join(parts), data=data, script=_text("page.js")
    )


def _text(name: str) -> str:
    return resources.files("hsproj_verify.report").joinpath(name).read_text(encoding="utf-8").strip()


def _html(text: str) -> str:
    return escape(printable(text))


def _head(report: Report) -> str:
    lines = [
        f'<h1><span class="badge {report.verdict}">{report.verdict}</span> <code>{_html(report.target)}</code></h1>',
        f"<p>{_html(counted(report.counts))}. Seed {report.seed}, {report.examples} examples a check,"
        f" tolerance {report.tolerance:g} eps (1 + p).</p>",
    ]
    if report.lack:
        lines.insert(1, f'<p class="notice" role="alert">{_html(report.lack.capitalize())}.</p>')
    if report.note:
        lines.append(f"<p>{_html(report.note)}</p>")
    return "\n".join(lines)


def _figure_of_errors(report: Report) -> list[str]:
    measured = report.measured
    if not measured:
        return []
    worst = max(measured, key=lambda one: one.error)
    told = (
        "Largest error by length of the row and family of scores. The largest of all is"
        f" {number(worst.error)} eps (1 + p): {worst.family}, {worst.dtype}, n {_lengths(worst)}."
    )
    parts = ["<h2>Errors</h2>", f"<p>{told}</p>"]
    try:
        from hsproj_verify.report.figures import errors_by_length
    except ImportError:
        parts.append('<p class="notice">Figures need matplotlib, which is not installed where this page was made.</p>')
    else:
        drawn = errors_by_length(measured, report.tolerance, "errors")
        kinds = "Errors under 0.01, and none, are drawn at the lower edge; infinite ones at the upper."
        parts.append(_figure(drawn, told, kinds))
    rows = [
        f"<tr><td>{_html(one.family)}</td><td>{one.dtype}</td><td>{_lengths(one)}</td>"
        f"<td>{one.problems}</td><td>{number(one.error)}</td></tr>"
        for one in measured
    ]
    columns = _columns("family", "dtype", "n", "answers", "largest error")
    table = f"<table>{columns}<tbody>{''.join(rows)}</tbody></table>"
    parts.append(f"<details><summary>The same as a table</summary>{table}</details>")
    return parts


def _lengths(one: Measurement) -> str:
    return f"{one.shortest}" if one.shortest == one.longest else f"{one.shortest} to {one.longest}"


def _figure(svg: str, alternative: str, caption: str) -> str:
    labelled = svg.replace("<svg", f'<svg role="img" aria-label="{_html(alternative)}"', 1)
    return f"<figure>{labelled}<figcaption>{_html(caption)}</figcaption></figure>"


def _checks(report: Report) -> str:
    levels = "".join(map(_level, report.levels))
    return f"<h2>Checks</h2><table>{_columns('check', 'outcome', 'worst error', 'examples')}{levels}</table>"


def _columns(*names: str) -> str:
    return "<thead><tr>" + "".join(f'<th scope="col">{name}</th>' for name in names) + "</tr></thead>"


def _level(level: Level) -> str:
    worst = "" if level.worst is None else number(level.worst.error)
    counts = _html(counted(level.counts))
    head = f'<tr class="level"><th scope="rowgroup">{_html(level.name)}</th><td>{counts}</td><td>{worst}</td><td></td></tr>'
    return f"<tbody>{head}{''.join(map(_row, level.results))}</tbody>"


def _row(result: Result) -> str:
    name = f"<code>{_html(result.name)}</code>"
    if result.outcome in (Outcome.FAILED, Outcome.UNEXPECTED_PASS):
        name = f'<a href="#{_html(result.name)}">{name}</a>'
    reason = f"<small>{_html(result.reason[:_LONGEST_REASON])}</small>" if result.reason else ""
    said = f'<span class="badge {result.outcome.value}">{result.outcome.value.replace("_", " ")}</span> {reason}'
    worst = ""
    if result.worst is not None:
        shown = _code(result.worst.witness)
        where = f"{result.worst.family}, n = {result.worst.n}, {result.worst.dtype}"
        worst = (
            f"<details><summary>{number(result.worst.error)}</summary><small>{_html(where)}</small>{shown}</details>"
        )
    return f"<tr><td>{name}</td><td>{said}</td><td>{worst}</td><td>{result.executed}</td></tr>"


_LONGEST_REASON = 300


def _code(witness: Witness) -> str:
    return f'<pre tabindex="0"><code>{_html(chr(10).join(witness_lines(witness)))}</code></pre>'


def _alike(group: Alike) -> str:
    links = ", ".join(f'<a href="#{_html(name)}"><code>{_html(name)}</code></a>' for name in group.names)
    return (
        f'<div class="notice"><p class="reason">{_html(group.headline)}</p>'
        f"<details><summary>Which</summary>{links}</details></div>"
    )


def _failure(result: Result, i: int) -> str:
    parts = [f'<section id="{_html(result.name)}"><h3>{_html(result.level)} / <code>{_html(result.name)}</code></h3>']
    parts.append(f"<p class='reason'>{_html(result.reason)}</p>")
    if result.cause:
        parts.append(f"<p>Likely cause: <strong>{_html(result.cause)}</strong></p>")
    if result.witness is not None:
        parts.append(_code(result.witness))
        if result.witness.entries:
            parts += _entries(result.witness.entries, f"witness-{i}", drawn=i < _FIGURES)
    return "\n".join([*parts, "</section>"])


def _entries(entries: Sequence[Entry], name: str, *, drawn: bool) -> list[str]:
    furthest = sorted(entries, key=lambda entry: -abs(entry.off))[:_ROWS]
    differing = sum(entry.off != 0 for entry in entries)
    told = f"{differing} of the {len(entries)} entries shown differ, most of all entry {furthest[0].at}."
    parts = []
    if drawn and len(entries) > 1 and any(map(math.isfinite, (entry.came for entry in entries))):
        try:
            from hsproj_verify.report.figures import entry_by_entry
        except ImportError:
            pass  # said above
        else:
            parts.append(_figure(entry_by_entry(entries, name), f"p as it came, and p*, by index. {told}", told))
    rows = "".join(
        f"<tr{' class=differs' if entry.off else ''}><td>{entry.at}</td>"
        f"<td>{entry.came!r}</td><td>{entry.exact!r}</td>"
        f"<td>{number(entry.off) if math.isfinite(entry.came) else ''}</td></tr>"
        for entry in sorted(furthest)
    )
    columns = _columns("index", "p, as it came", "p*, rounded", "p - p*")
    which = "Entry by entry" if len(furthest) == len(entries) else f"The {_ROWS} entries that are furthest off"
    parts.append(f"<details><summary>{which}</summary><table>{columns}<tbody>{rows}</tbody></table></details>")
    return parts
