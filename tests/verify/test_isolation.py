"""A target that hangs, exits or dies costs its own checks; workers change nothing in a report."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from hsproj_verify import check
from hsproj_verify.report import Report
from hsproj_verify.target import TargetError

ONE_BAD_KIND = """
    import os, signal, sys, time
    import numpy as np

    def right(x, k):
        x = np.asarray(x)
        low, high = x.min() - 1.0, x.max()
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if np.clip(x - middle, 0, 1).sum() >= k else (low, middle)
        return np.clip(x - (low + high) / 2, 0, 1)

    def bad(x, k):
        if x.dtype.kind == "i":
            ACTION
        return right(x, k)
"""

BESIDE = "entries_lie_in_the_unit_interval", "the_same_call_gives_the_same_bits"
HIT = "integer_scores_are_promoted"


def _target(folder: Path, action: str) -> str:
    path = folder / "bad.py"
    path.write_text(textwrap.dedent(ONE_BAD_KIND).replace("ACTION", action))
    return f"{path}:bad"


def _outcomes(report: Report) -> dict[str, str]:
    return {result.name: result.outcome.value for result in report.results}


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "died with SIGSEGV"),
        ("os.abort()", "died with SIGABRT"),
        ("os._exit(3)", "ended its process with exit status 3"),
        ("(time.sleep(60), os._exit(0)) if os.fork() == 0 else os._exit(4)", "ended its process with exit status 4"),
        ("(os.setsid(), time.sleep(5), os._exit(0)) if os.fork() == 0 else os._exit(5)", "exit status 5"),
        ("time.sleep(1e6)", "no answer within 0.5 s"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
        ("os.closerange(3, 64); time.sleep(1e6)", "went silent"),
        ("sys.exit(0)", "it raised SystemExit: 0"),
        ("raise ValueError('no')", "it raised ValueError: no"),
        ("return None", "project returned None, not an array of shape (1,)"),
        ("return [float('nan')] * len(x)", "off by inf"),
        ("return x[:0]", "project returned a (0,) array of int64, not an array of shape (1,)"),
    ],
)
def test_a_bad_target_costs_its_own_check(tmp_path: Path, action: str, reason: str) -> None:
    # Claimed, so that one that raises is not taken for one that refuses integers.
    report = check(_target(tmp_path, action), only=[*BESIDE, HIT], claiming=["integers"], budget="quick", timeout=0.5)
    assert _outcomes(report) == {BESIDE[0]: "passed", BESIDE[1]: "passed", HIT: "failed"}
    (failure,) = report.failures
    assert reason in failure.reason
    assert failure.replay is not None
    assert failure.witness is not None
    assert 'dtype="int64")' in failure.witness.code


def test_the_witness_of_a_deadly_call_pastes_and_kills(tmp_path: Path) -> None:
    report = check(_target(tmp_path, "os._exit(41)"), only=[HIT], budget="quick")
    assert report.failures[0].witness is not None
    done = subprocess.run([sys.executable, "-c", report.failures[0].witness.code], check=False)
    assert done.returncode == 41


def test_calls_that_compile_for_longer_than_the_timeout_are_waited_for_if_there_are_few(tmp_path: Path) -> None:
    target = _target(tmp_path, "time.sleep(0.6 * (right.__dict__.setdefault('slow', 0) < 2)); right.slow += 1")
    assert check(target, only=[HIT], budget="quick", timeout=0.3).verdict == "pass"
    target = _target(tmp_path, "time.sleep(0.6)")
    assert "no answer within 0.3 s" in check(target, only=[HIT], budget="quick", timeout=0.3).failures[0].reason


def test_a_target_that_hangs_in_a_thread_of_its_own_is_noticed(tmp_path: Path) -> None:
    wait = "import threading; t = threading.Thread(target=time.sleep, args=(1e6,), daemon=True); t.start(); t.join()"
    report = check(_target(tmp_path, wait), only=[HIT], budget="quick", timeout=0.2)
    assert "no answer within" in report.failures[0].reason


def test_a_file_whose_import_kills_the_process_is_a_wrong_call(tmp_path: Path) -> None:
    path = tmp_path / "deadly.py"
    path.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(TargetError, match=r"can't load the target .*deadly.py:f'.*: died with SIGSEGV"):
        check(f"{path}:f", only=[HIT])


def test_the_number_of_workers_changes_nothing_in_a_report(tmp_path: Path) -> None:
    names = [*BESIDE, HIT, "total_is_k", "order_is_preserved", "bad_input_is_refused", "accurate_in_float32"]
    one, three = (
        check(_target(tmp_path, "return x * 1.0"), only=names, seed=3, budget="quick", workers=n).to_dict()
        for n in (1, 3)
    )
    for report in (one, three):
        for result in report["checks"]:
            result.pop("seconds", None)
    assert one == three
    assert one["counts"]["failed"] > 0


def test_what_a_target_prints_and_reads_stays_out_of_the_way(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = _target(tmp_path, "print('chatter'); os.write(1, b'noise'); assert sys.stdin.read() == ''")
    assert "AssertionError" not in check(target, only=[HIT], budget="quick").results[0].reason
    out, err = capfd.readouterr()
    assert "chatter" in err
    assert "noise" in err
    assert out == ""


def test_a_function_that_can_be_pickled_may_be_called_by_workers_and_others_not() -> None:
    report = check(json.dumps, only=["total_is_k"], workers=1, budget="quick")
    assert "TypeError" in report.results[0].reason
    with pytest.raises(TargetError, match="named or picklable"):
        check(lambda x, k: x, only=["total_is_k"], workers=1)


@pytest.mark.parametrize("bad", [{"timeout": 0.0}, {"workers": -1}, {"budget": "lavish"}])
def test_wrong_options_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(TargetError, match="must be"):
        check("numpy:clip", **bad)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_an_end_from_outside_leaves_no_process_and_an_interruption_a_report(
    tmp_path: Path, end: signal.Signals
) -> None:
    action = f"open({str(tmp_path)!r} + f'/{{os.getpid()}}.pid', 'w').close(); time.sleep(1e6)"
    report = tmp_path / "report.json"
    names = [*BESIDE, HIT, "total_is_k"]
    command = [sys.executable, "-m", "hsproj_verify.cli", "check", _target(tmp_path, action), "--budget", "quick"]
    # Claimed, so that it is a check that hangs, and not the probe for what is refused.
    command += ["--with", "integers", "--report", str(report), *(part for name in names for part in ("--only", name))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (pids := [int(path.stem) for path in tmp_path.glob("*.pid")]) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(end)
    _, err = process.communicate(timeout=60)
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, pids))
    if end is signal.SIGINT:
        assert process.returncode == 1
        assert "Traceback" not in err
        results = {c["name"]: c for c in json.loads(report.read_text())["checks"]}
        assert results[HIT]["reason"] == "interrupted before it finished"
        assert "passed" in {
            result["outcome"] for result in results.values()
        }  # one worker went from that to the one that hangs
