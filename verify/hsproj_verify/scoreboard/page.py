"""The scoreboard as a page: Markdown, or text for a terminal in the same words."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsproj_verify.scoreboard.catalogue import EXACT, NOT_JUDGED, NOT_THE_SAME, PEERS, Peer
from hsproj_verify.scoreboard.judge import Entry, Status, asked

SCHEMA = "hsproj-verify/scoreboard/2"


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


def headline(entry: Entry) -> str:
    """What came of a peer in a line."""
    name = " ".join(filter(None, [entry.peer.name, _version(entry)]))
    if entry.report is None:
        return f"{name}: {entry.status.value}{entry.reason and f': {entry.reason}'}"
    cut = "" if entry.status is Status.JUDGED else f", {entry.status.value}"
    return f"{name}: {_passed(_reached(entry))} checks passed in {entry.seconds:.0f} s{cut}"


def verdict_table(board: Scoreboard) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the first table: passed and judged checks by level, and the largest error that they saw."""
    seen = dict.fromkeys(check["level"] for entry in board.judged for check in entry.report["checks"])  # type: ignore[index]
    levels = [level for level in seen if any(_judged_at(level, entry) for entry in board.judged)]
    rows = []
    for entry in board.judged:
        checks = _reached(entry)
        cells = [_passed(check for check in checks if check["level"] == level) for level in levels]
        worst = _worst(entry)
        error = NOTHING if worst is None else _error(_absolute(worst))
        rows.append([entry.peer.name, _version(entry), _asked(entry.peer), *cells, _passed(checks), error, entry.date])
    return ["peer", "version", "asked", *levels, "all", "worst error", "date"], rows


def _judged_at(level: str, entry: Entry) -> bool:
    return any(check["level"] == level and check["outcome"] != "skipped" for check in _reached(entry))


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
    return next(iter(entry.versions.values()), "")


def _asked(peer: Peer) -> str:
    return "8 eps" if peer.tolerance == EXACT else f"{10 * peer.stops_at:.0e}".replace("e-0", "e-")


def _head(board: Scoreboard) -> str:
    versions = dict(sorted({name: v for entry in board.judged for name, v in entry.versions.items()}.items()))
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
        "Checks passed, of those that apply, with a witness of what did not pass below. *Asked* is the tolerance: 8 eps,\n"
        "or, where a peer stops by its own account at some error, ten times that; in units of (1 + p) (1 + max |x|), since\n"
        "a threshold held as one float is as good as the scores are small. The worst error is the largest\n"
        "|p - p\\*| / (1 + p\\*) in any check. A level with nothing to judge shows a dash."
    )
    columns, rows = verdict_table(board)
    linked = [[f"[{name}](#{name})", *others] for name, *others in rows]
    return f"## Verdicts\n\n{text}\n\n{_table(columns, linked)}" if rows else ""


def _errors(board: Scoreboard) -> str:
    """The second table: digits, rather than verdicts."""
    from hsproj_verify.strategies import FAMILIES

    text = (
        "The same error by family of scores, as far as checks compare p with p\\*: what a user can count on. A dash is a\n"
        "family that a peer does not claim to take, or gave no numbers for. *float32* is every family in that format,\n"
        "*long* are up to some thousand scores, *integers* whole numbers as such; [the other families](api.md) are those of\n"
        "`hsproj_verify.strategies`."
    )
    found = {entry.peer.name: _errors_by_family(entry) for entry in board.judged}
    seen = dict.fromkeys(family for errors in found.values() for family in errors)
    families = [family for family in dict.fromkeys((*FAMILIES, *seen)) if family in seen and family != OTHER]
    rows = [[name, *(_error(errors.get(family)) for family in families)] for name, errors in found.items()]
    return f"## Errors\n\n{text}\n\n{_table(['peer', *families], rows)}" if families else ""


OTHER = "other"
"""The family of problems that a check made up."""
SINGLE = "float32"


def _errors_by_family(entry: Entry) -> dict[str, float]:
    """The largest error of each family in float64, and that of all in float32."""
    assert entry.report is not None
    found: dict[str, float] = {}
    for check in entry.report["checks"]:
        for group in check["measured"]:
            family = SINGLE if group["dtype"] == SINGLE else group["family"]
            found[family] = max(found.get(family, 0.0), _absolute(group))
    return found


def _absolute(measured: Mapping[str, Any]) -> float:
    """An error as it is, where reports have units of eps, and None for no number."""
    eps = np.finfo(np.float32 if measured["dtype"] == SINGLE else np.float64).eps
    return math.inf if measured["error"] is None else measured["error"] * float(eps)


def _worst(entry: Entry) -> Mapping[str, Any] | None:
    """What the report says of the largest error in float64, with the name of its check."""
    assert entry.report is not None
    found = [{**check["worst"], "check": check["name"]} for check in entry.report["checks"] if check["worst"]]
    return max((worst for worst in found if worst["dtype"] != SINGLE), key=_absolute, default=None)


def _error(error: float | None) -> str:
    return NOTHING if error is None else f"{error:.0e}".replace("0e+00", "0")


def _about(entry: Entry) -> str:
    peer, report, worst = entry.peer, entry.report, _worst(entry)
    assert report is not None
    installed = ", ".join(f"{name} {version}" for name, version in entry.versions.items())
    stops = f"Stops at {peer.stops_at:.0e}: {peer.why}." if peer.stops_at else "Computes up to rounding."
    again = shlex.join(["hsproj-verify", *asked(peer, report["seed"], report["examples"])])
    lines = [
        f"## {peer.name}\n",
        f"{installed}; {peer.licence}. Adapter: `{peer.target}`.\n",
        f"- Called as {peer.call}.",
        f"- Claims: {peer.claims}.",
        f"- Not made for, and not judged on: {peer.not_made_for}.",
        f"- {stops}",
        f"- {_passed(_reached(entry))} checks passed in {entry.seconds:.0f} s on {entry.date}. Again: `{again}`",
    ]
    if worst is not None:
        lines.append(
            f"- Worst error: {_error(_absolute(worst))}, n = {worst['n']}, in `{worst['check']}`{_shown(worst)}"
        )
    if peer.remark:
        lines.append(f"- {peer.remark}.")
    if entry.status is not Status.JUDGED:
        lines.append(f"- **{entry.status.value}**.")
    findings: dict[str, list[Mapping[str, Any]]] = {}
    for check in _reached(entry):
        if check["outcome"] not in ("passed", "skipped"):
            findings.setdefault(check["reason"], []).append(check)
    return "\n".join([*lines, *(line for checks in findings.values() for line in _finding(checks))])


def _shown(worst: Mapping[str, Any]) -> str:
    """The call that gave it, if that is a line or so."""
    *_, scores, call = worst["witness"]["code"].splitlines()
    shown = f"{scores}; {call}"
    return f": `{shown}`" if len(shown) <= _LINE else "."


_LINE = 200


def _finding(checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Checks that failed for the same reason, with the witness of the first."""
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
            lines.append(
                f"- {entry.peer.name} ({entry.peer.licence}): {'. '.join(filter(None, [said, entry.peer.remark]))}"
            )
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
