"""The scoreboard as a page: Markdown, or text for a terminal in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsproj_verify.scoreboard.catalogue import EXACT, NOT_JUDGED, NOT_THE_SAME, PEERS, Peer
from hsproj_verify.scoreboard.errors import FAMILIES
from hsproj_verify.scoreboard.judge import Entry, Status

SCHEMA = "hsproj-verify/scoreboard/1"
LEVELS = ("feasibility", "optimality", "accuracy", "structure", "calling", "derivatives")
"""Columns, of which those that no peer was judged on are left out; levels unknown here follow."""


@dataclass(frozen=True)
class Scoreboard:
    """A run of `hsproj-verify peers`."""

    entries: Sequence[Entry]
    command: str
    date: str
    machine: Mapping[str, Any]
    complete: bool = True

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON file; `scoreboard.schema.json` describes it."""
        return {
            "schema": SCHEMA,
            "complete": self.complete,
            "date": self.date,
            "command": self.command,
            "machine": self.machine,
            "peers": [entry.to_dict() for entry in self.entries],
        }

    @property
    def judged(self) -> list[Entry]:
        """Those with a report."""
        return [entry for entry in self.entries if entry.report is not None]


def page(board: Scoreboard) -> str:
    """The page."""
    parts = [
        _head(board),
        _verdicts(board),
        _errors(board),
        "\n\n".join(_about(entry) for entry in board.judged),
        _missing(board),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict_table(board: Scoreboard) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the first table: passed and judged checks by level."""
    seen = dict.fromkeys(check["level"] for entry in board.judged for check in entry.report["checks"])  # type: ignore[index]
    levels = [level for level in (*LEVELS, *(seen.keys() - {*LEVELS})) if level in seen]
    rows = []
    for entry in board.judged:
        checks = _reached(entry)
        cells = [_passed(check for check in checks if check["level"] == level) for level in levels]
        rows.append([entry.peer.name, _version(entry), _asked(entry.peer), *cells, _passed(checks)])
    return ["peer", "version", "asked", *levels, "all"], rows


def _reached(entry: Entry) -> list[Mapping[str, Any]]:
    """Its checks but those that ran out of time."""
    assert entry.report is not None
    checks = entry.report["checks"]
    if entry.status is Status.CUT_SHORT:
        return [check for check in checks if check["executed"] or check["witness"]]
    return checks  # type: ignore[no-any-return]


def _passed(checks: Iterable[Mapping[str, Any]]) -> str:
    judged = [check["outcome"] == "passed" for check in checks if check["outcome"] != "skipped"]
    return f"{sum(judged)} of {len(judged)}" if judged else NOTHING


NOTHING = "-"


def _version(entry: Entry) -> str:
    return next(iter(entry.peer.versions.values()), "")


def _asked(peer: Peer) -> str:
    return "8 eps" if peer.tolerance == EXACT else f"{10 * peer.stops_at:.0e}".replace("e-0", "e-")


def _head(board: Scoreboard) -> str:
    versions = dict(sorted({name: v for entry in board.judged for name, v in entry.peer.versions.items()}.items()))
    machine = board.machine
    lines = [
        "# Scoreboard\n",
        *([] if board.complete else ["**Incomplete: the run was interrupted.**\n"]),
        "Public implementations of the projection, judged by `hsproj_verify` as anybody's is. A peer is judged on what it",
        "claims, and called as its users call it; what it was not made for is skipped, not failed. None of these projects",
        "has had a hand in this page, and a number here says nothing of a project's worth for what it *was* made for.\n",
        f"Written by `{board.command}` on {board.date}.\n",
        f"- {machine['processor']}, {machine['cores']} cores, {machine['system']}",
        f"- python {machine['versions']['python']}, numpy {machine['versions']['numpy']}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items() if name not in ("numpy", "python")),
    ]
    return "\n".join(lines)


def _verdicts(board: Scoreboard) -> str:
    text = (
        "Extreme magnitudes, infinite scores, empty rows, several threads and the refusal of bad input are spoken of in\n"
        "nobody's documentation, and nobody is judged on them.\n\n"
        "Checks passed, of those that apply. *Asked* is the tolerance: 8 eps (1 + p), or, where a peer stops by its own\n"
        "account at some error, ten times that (1 + p). A level with nothing to judge shows a dash."
    )
    columns, rows = verdict_table(board)
    linked = [[f"[{name}](#{name})", *others] for name, *others in rows]
    return f"## Verdicts\n\n{text}\n\n{_table(columns, linked)}" if rows else ""


def _errors(board: Scoreboard) -> str:
    """The second table: digits, rather than verdicts."""
    text = (
        "The largest error seen, max |p - p*| / (1 + p*), at temperature 1: what a user can count on. Offsets and\n"
        "scales, which nobody promises to take and nobody is judged on, are here, too, since users may meet them. *None*\n"
        "counts calls with no answer: an exception, None, NaN."
    )
    families = [name for name in FAMILIES if any(name in (entry.errors or ()) for entry in board.judged)]
    held = "\n".join(f"- {name}: {FAMILIES[name]}" for name in families)
    rows = [[entry.peer.name, *(_error((entry.errors or {}).get(name)) for name in families)] for entry in board.judged]
    return f"## Errors\n\n{text}\n\n{_table(['peer', *families], rows)}\n\n{held}" if families else ""


def _error(worst: Mapping[str, Any] | None) -> str:
    if worst is None:
        return NOTHING
    none = f"{worst['unanswered']} of {worst['calls']} none" if worst["unanswered"] else ""
    some = f"{worst['error']:.0e}" if worst["problem"] is not None else ""
    return ", ".join(filter(None, [some.replace("0e+00", "0"), none]))


def _about(entry: Entry) -> str:
    peer, report = entry.peer, entry.report
    assert report is not None
    installed = ", ".join(f"{name} {version}" for name, version in peer.versions.items())
    stops = f"Stops at {peer.stops_at:g}: {peer.why}." if peer.stops_at else "Computes up to rounding."
    if not peer.stops_at and peer.why:
        stops = f"{peer.why}."
    lines = [
        f"## {peer.name}\n",
        f"{installed}; {peer.licence}. Adapter: `{peer.target}`.\n",
        f"- Called as {peer.call}.",
        f"- Claims: {peer.claims}.",
        f"- Not made for, and not judged on: {peer.not_made_for}.",
        f"- {stops}",
        f"- {_passed(_reached(entry))} checks passed in {entry.seconds:.0f} s, "
        f"with {report['examples']} examples each and seed {report['seed']}.",
    ]
    if peer.remark:
        lines.append(f"- {peer.remark}.")
    if entry.status is not Status.JUDGED:
        lines.append(f"- **{entry.status.value}**.")
    findings: dict[str, list[Mapping[str, Any]]] = {}
    for check in _reached(entry):
        if check["outcome"] not in ("passed", "skipped"):
            witness = check["witness"]
            findings.setdefault(witness["code"] if witness else check["reason"], []).append(check)
    return "\n".join([*lines, *(line for checks in findings.values() for line in _finding(checks))])


def _finding(checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What a witness fails, or checks that failed for the same reason without one."""
    names = ", ".join(f"`{check['name']}`" for check in checks)
    yield f"\n{names}: {_plain(checks[0]['reason'])}{_cause(checks[0])}"
    witness = checks[0]["witness"]
    if witness is not None:
        yield "\n```py"  # which the tests of this site do not run: the peer may not be there
        yield _short(witness["code"])
        yield f"# came:  {_short(witness['came'])}"
        yield f"# exact: {_short(witness['exact'])}"
        yield "```"


def _cause(check: Mapping[str, Any]) -> str:
    return f" (likely cause: {_plain(check['cause'])})" if check.get("cause") else ""


def _plain(text: str) -> str:
    return (
        _short(" ".join(text.split())).replace("<", "&lt;").replace("*", r"\*").replace("_", r"\_").replace("|", r"\|")
    )


def _short(text: str, most: int = 600) -> str:
    return text if len(text) <= most else f"{text[:most]} ... ({len(text) - most} characters more in the JSON file)"


def _missing(board: Scoreboard) -> str:
    lines = ["## Not judged\n"]
    for entry in board.entries:
        if entry.report is None:
            said = f"{entry.status.value}{': ' if entry.reason else ''}{entry.reason and f'`{entry.reason}`'}"
            lines.append(f"- {entry.peer.name} ({entry.peer.licence}): {said}")
    reached = {entry.peer.name for entry in board.entries}
    waiting = [peer for peer in PEERS.values() if peer.name not in reached]
    lines += [
        f"- {peer.name} ({peer.licence}): {'. '.join(filter(None, ['not reached', peer.remark]))}" for peer in waiting
    ]
    lines += [f"- {name}: {why}" for name, why in NOT_JUDGED.items()]
    lines += ["\nNot the same operator:\n", *(f"- {name}: {why}" for name, why in NOT_THE_SAME.items())]
    return "\n".join(lines)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
