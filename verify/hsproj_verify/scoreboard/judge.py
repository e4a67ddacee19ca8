"""Judging peers: each by `hsproj-verify check` in a process of its own, with a time limit; its JSON report comes back.

What a peer prints, breaks or takes for ever is thereby its own affair.
"""

from __future__ import annotations

import enum
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsproj_verify.scoreboard.catalogue import Peer


class Status(enum.Enum):
    """Whether a peer was judged, and if not, what to do about it."""

    JUDGED = "judged"
    CUT_SHORT = "cut short by the time limit: what it got to is counted"
    NOT_INSTALLED = "not installed"
    NO_REPORT = "the judge's process ended without a report"


@dataclass(frozen=True)
class Entry:
    """What came of one peer.

    Attributes
    ----------
    peer : Peer
    status : Status
    reason : str
        Of a status other than judged.
    report : dict or None
        As `report.schema.json` has it.
    errors : dict or None
        By family, as `hsproj_verify.scoreboard.errors` has them.
    seconds : float
    """

    peer: Peer
    status: Status
    reason: str = ""
    report: dict[str, Any] | None = None
    errors: dict[str, Any] | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON file."""
        return {
            "name": self.peer.name,
            "target": self.peer.target,
            "licence": self.peer.licence,
            "versions": self.peer.versions,
            "status": self.status.name.lower(),
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
            "report": self.report,
            "errors": self.errors,
        }

    @classmethod
    def kept(cls, peer: Peer, found: Mapping[str, Any], seed: int, examples: int) -> Entry | None:
        """An entry of a JSON file, if it is what judging the peer again would give: to the end, and asked the same."""
        report = found["report"]
        asked = report and (found["versions"], report["seed"], report["examples"], report["tolerance"])
        if found["status"] != "judged" or asked != (peer.versions, seed, examples, peer.tolerance):
            return None
        return cls(peer, Status.JUDGED, "", report, found["errors"], found["seconds"])


def judge(peer: Peer, *, seed: int = 0, examples: int = 40, limit: float = 600.0) -> Entry:
    """The entry of one peer.

    Parameters
    ----------
    peer : Peer
    seed, examples : int
        As for `hsproj_verify.check`.
    limit : float
        Seconds. A peer that takes longer is interrupted, and its report says what was not reached.
    """
    if peer.missing:
        return Entry(peer, Status.NOT_INSTALLED, f"pip install {' '.join(peer.missing)}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        asked = ["--tolerance", repr(peer.tolerance), "--seed", str(seed), "--examples", str(examples)]
        if peer.tolerance > 1000.0:  # which in float32, whose eps is 1e-7, lets anything pass
            asked += ["--without", "float32"]
        file = Path(folder, "report.json")
        finished, said = _run("hsproj_verify.cli", "check", peer.target, "--report", str(file), *asked, limit=limit)
        report = _read(file)
        file = Path(folder, "errors.json")
        _run("hsproj_verify.scoreboard.errors", peer.target, str(seed), str(5 * examples), str(file), limit=limit / 2)
        errors = _read(file)
    seconds = time.monotonic() - start
    if report is None:
        return Entry(peer, Status.NO_REPORT, said if finished else f"within {limit:.0f} s", None, errors, seconds)
    return Entry(peer, Status.JUDGED if finished else Status.CUT_SHORT, "", report, errors, seconds)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _run(module: str, *arguments: str, limit: float) -> tuple[bool, str]:
    """Run a module in a group of processes of its own; whether it was done in time, and the last line that it said."""
    command = [sys.executable, "-m", module, *arguments]
    with tempfile.TemporaryFile() as output:
        # Where this process ignores Ctrl-C, as in the background of a shell, a new one would, too.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        finally:
            signal.signal(signal.SIGINT, before)
        finished = True
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            finished = False
            process.send_signal(signal.SIGINT)  # ends with a report of what was found so far
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        finally:
            with suppress(OSError):  # the group is gone, as it should be
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return finished, "".join(output.read().decode(errors="replace").strip().splitlines()[-1:])


GRACE = 20.0
"""Seconds in which an interrupted check has to write its report."""
