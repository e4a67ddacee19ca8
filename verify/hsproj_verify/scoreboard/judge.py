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
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
    versions : mapping
        What was installed where it was judged.
    seconds : float
    date : str
    """

    peer: Peer
    status: Status
    reason: str = ""
    report: dict[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    date: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON file."""
        return {
            "name": self.peer.name,
            "target": self.peer.target,
            "licence": self.peer.licence,
            "versions": self.versions,
            "status": self.status.name.lower(),
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
            "date": self.date,
            "report": self.report,
        }

    @classmethod
    def kept(cls, peer: Peer, found: Mapping[str, Any], seed: int, examples: int) -> Entry | None:
        """An entry of a JSON file, if judging the peer would give the same: to the end, asked the same, of the same versions.

        That of a peer that is not installed here stands, whatever its versions: it was judged in an environment of its own.
        """
        report = found["report"]
        terms = report and (report["seed"], report["examples"], report["tolerance"])
        if found["status"] != "judged" or terms != (seed, examples, peer.tolerance):
            return None
        if not peer.missing and found["versions"] != peer.versions:
            return None
        return cls(peer, Status.JUDGED, "", report, found["versions"], found["seconds"], found["date"])


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
        file = Path(folder, "report.json")
        finished, said = _run(*asked(peer, seed, examples), "--report", str(file), limit=limit)
        report = _read(file)
    seconds = time.monotonic() - start
    if report is None:
        return Entry(
            peer, Status.NO_REPORT, said if finished else f"within {limit:.0f} s", None, peer.versions, seconds
        )
    return Entry(peer, Status.JUDGED if finished else Status.CUT_SHORT, "", report, peer.versions, seconds)


def asked(peer: Peer, seed: int, examples: int) -> list[str]:
    """What a peer is asked, as arguments of hsproj-verify."""
    arguments = ["check", peer.target, "--tolerance", repr(peer.tolerance)]
    if peer.tolerance > 1000.0:  # which in float32, whose eps is 1e-7, lets anything pass
        arguments += ["--without", "float32"]
    return [*arguments, "--seed", str(seed), "--examples", str(examples)]


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _run(*arguments: str, limit: float) -> tuple[bool, str]:
    """Run hsproj-verify in a group of processes of its own; whether it was done in time, and the last line that it said."""
    command = [sys.executable, "-m", "hsproj_verify.cli", *arguments]
    with tempfile.TemporaryFile() as output:
        # Where this process ignores Ctrl-C, as in the background of a shell, a new one would, too.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=_ENVIRONMENT | os.environ
            )
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


_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}  # the workers of a check share the processors
GRACE = 20.0
"""Seconds in which an interrupted check has to write its report."""
