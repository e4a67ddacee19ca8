"""The scoreboard: what each peer is asked for, one that breaks costs only itself, and the page names every adapter."""

import json
import signal
import subprocess
import sys
import time
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import hsproj_verify.peers
from hsproj_verify.cli import main
from hsproj_verify.scoreboard.catalogue import PEERS, Peer
from hsproj_verify.scoreboard.judge import Entry, Status, judge
from hsproj_verify.scoreboard.page import Scoreboard, page

MACHINE = {"processor": "p", "cores": 2, "system": "s", "versions": {"python": "3", "numpy": "2"}}
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scoreboard.md"


def _schema() -> Any:
    return json.loads(resources.files("hsproj_verify").joinpath("scoreboard.schema.json").read_text())


def _peer(tmp_path: Path, source: str) -> Peer:
    file = tmp_path / "theirs.py"
    file.write_text(f"import os, sys, time\nimport numpy as np\n{source}")
    return Peer("theirs", f"{file}:project", ("numpy",), "MIT", "`project(x, k)`", "this", "that")


def _board(*entries: Entry) -> Scoreboard:
    return Scoreboard(entries, "hsproj-verify peers", "2026-01-01", MACHINE)


SAYS_NOTHING = Peer("p", "p:project", (), "MIT", "", "", "")


def test_every_adapter_is_in_the_catalogue() -> None:
    folder = Path(hsproj_verify.peers.__file__).parent
    adapters = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")} - {"sorting"}  # ours
    assert {peer.target.partition(":")[0].rpartition(".")[2] for peer in PEERS.values()} == adapters


def test_the_page_has_every_peer_as_judged_or_as_missing() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for peer in PEERS.values():
        assert f"\n## {peer.name}\n" in text or f"\n- {peer.name} ({peer.licence}): " in text
        if f"\n## {peer.name}\n" in text:
            assert f"| [{peer.name}](#{peer.name}) | " in text


def test_the_extras_install_every_peer() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = " ".join([*extras["dependencies"], *extras["optional-dependencies"]["verify"]])
    for extra in ("peers", "peers-heavy", "peer-qpth"):
        wanted += " ".join(extras["optional-dependencies"][extra])
    for peer in PEERS.values():
        for name in peer.distributions:
            assert name in wanted, f"{name}: in no extra"


def test_a_peer_is_asked_for_ten_times_what_it_stops_at() -> None:
    assert SAYS_NOTHING.tolerance == 8
    assert PEERS["osqp"].tolerance == pytest.approx(1e-2 / 2.0**-52)


def test_a_peer_that_is_not_installed_is_named_with_what_to_install() -> None:
    missing = Peer("gone", "gone:project", ("numpy", "no-such-distribution"), "MIT", "", "", "")
    entry = judge(missing)
    assert (entry.status, entry.report) == (Status.NOT_INSTALLED, None)
    assert "- gone (MIT): not installed: `pip install no-such-distribution`" in page(_board(entry))


def test_a_peer_that_cannot_be_imported_costs_itself(tmp_path: Path) -> None:
    entry = judge(_peer(tmp_path, "raise ImportError('built for another NumPy')\n"))
    assert (entry.status, entry.report) == (Status.NO_REPORT, None)
    assert "built for another NumPy" in entry.reason


def test_a_peer_that_prints_and_is_wrong_is_judged_and_shown_with_witnesses(tmp_path: Path) -> None:
    entry = judge(
        _peer(tmp_path, "def project(x, k):\n    print('noise')\n    return np.full(x.shape, k / x.shape[-1])\n"),
        examples=10,
    )
    assert entry.status is Status.JUDGED
    assert entry.report is not None
    assert entry.versions == {"numpy": np.__version__}
    text = page(_board(entry))
    (row,) = (line for line in text.splitlines() if line.startswith("| [theirs](#theirs) |"))
    *_, worst, date = row.strip("| ").split(" | ")
    assert float(worst) > 0.1
    assert date == entry.date
    assert "- Worst error: " in text
    assert " | edges | " in text
    assert " | losses | " not in text  # nobody has one
    assert "`one_threshold_explains_every_entry`" in text
    assert "# exact: " in text
    jsonschema.validate(_board(entry).to_dict(), _schema())


def test_a_peer_that_takes_too_long_is_cut_short_with_what_there_is(tmp_path: Path) -> None:
    entry = judge(_peer(tmp_path, "def project(x, k):\n    time.sleep(600)\n"), examples=1, limit=4.0)
    assert entry.status in (Status.CUT_SHORT, Status.NO_REPORT)
    assert entry.seconds < 60
    assert entry.status.value in page(_board(entry))


def test_the_command_writes_the_page_and_the_reports(tmp_path: Path) -> None:
    written, reports = tmp_path / "board.md", tmp_path / "board.json"
    assert main(["peers", "--only", "scipy", "--examples", "1", "--write", str(written), "--json", str(reports)]) == 0
    board = json.loads(reports.read_text())
    jsonschema.validate(board, _schema())
    assert [peer["name"] for peer in board["peers"]] == ["scipy"]
    assert board["command"] in written.read_text()
    assert "## scipy" in written.read_text()


def test_an_interrupted_run_leaves_what_was_judged_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written, reports = tmp_path / "board.md", tmp_path / "board.json"
    arguments = ["peers", "--only", "scipy", "--only", "simplexers", "--examples", "1", "--resume"]
    arguments += ["--write", str(written), "--json", str(reports)]
    judged: list[str] = []

    def until_interrupted(peer: Peer, **options: Any) -> Entry:
        judged.append(peer.name)
        if judged == ["scipy", "simplexers"]:
            raise KeyboardInterrupt
        report = {"seed": 0, "examples": 1, "tolerance": peer.tolerance, "checks": []}
        return Entry(peer, Status.JUDGED, "", report, peer.versions)

    monkeypatch.setattr("hsproj_verify.scoreboard.judge.judge", until_interrupted)
    assert main(arguments) == 1
    assert "interrupted: 1 of 2 peers were not reached" in capsys.readouterr().out
    board = json.loads(reports.read_text())
    assert (board["complete"], [peer["name"] for peer in board["peers"]]) == (False, ["scipy"])
    assert "**Incomplete: the run was interrupted.**" in written.read_text()
    assert "\n- simplexers (BSD-3-Clause): not reached" in written.read_text()
    assert main(arguments) == 0
    assert judged == ["scipy", "simplexers", "simplexers"]
    assert "Incomplete" not in written.read_text()


def test_an_interruption_before_the_first_verdict_is_told_too(tmp_path: Path) -> None:
    written, reports = tmp_path / "board.md", tmp_path / "board.json"
    command = [sys.executable, "-m", "hsproj_verify.cli", "peers", "--only", "simplexers", "--examples", "2000"]
    command += ["--write", str(written), "--json", str(reports)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not _children(process.pid):  # the check of the first peer
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 1
    assert json.loads(reports.read_text())["complete"] is False
    assert "**Incomplete: the run was interrupted.**" in written.read_text()


def _children(process: int) -> str:
    return Path(f"/proc/{process}/task/{process}/children").read_text()


def test_a_peer_that_was_judged_in_an_environment_of_its_own_is_kept() -> None:
    report = {"seed": 0, "examples": 1, "tolerance": 8.0, "checks": []}
    elsewhere = Peer("elsewhere", "p:project", ("no-such-distribution",), "MIT", "", "", "")
    here = Peer("here", "p:project", ("numpy",), "MIT", "", "", "")
    old = {"numpy": "1.0", "no-such-distribution": "1.0"}
    for peer, kept in ((elsewhere, True), (here, False)):
        entry = Entry(peer, Status.JUDGED, "", report, old, 1.0, "2026-01-01")
        again = Entry.kept(peer, entry.to_dict(), 0, 1)
        assert again == (entry if kept else None)
        assert Entry.kept(peer, entry.to_dict(), 0, 2) is None


@pytest.mark.parametrize("arguments", [["--examples", "0"], ["--limit", "0"], ["--write", "board.html"]])
def test_wrong_options_exit_with_2(arguments: list[str]) -> None:
    assert main(["peers", *arguments]) == 2
