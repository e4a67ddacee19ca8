"""The command line and its reports: exit status, JSON, witnesses, expected failures, seeds."""

import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from hsproj_verify import Target, check
from hsproj_verify.cli import main
from hsproj_verify.target import TargetError, load

WRONG = """
import numpy as np

def rescale(x, k):
    p = np.clip(x, 0, 1)
    return p * (k / max(p.sum(), 1e-9))

def zero(x, k, g):
    return np.zeros(len(g))

number = 3
"""


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    return str(path)


def _schema() -> Any:
    return json.loads(resources.files("hsproj_verify").joinpath("report.schema.json").read_text())


def test_passing_target_exits_with_0(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    status = main(
        ["check", "hsproj:soft_binary_argmax", "--vjp", "hsproj:vjp", "--examples", "5", "--report", str(report)]
    )
    assert status == 0
    out = capsys.readouterr().out
    assert re.search(r"hsproj:soft_binary_argmax: PASS \(\d+ passed.*; seed 0\)", out)
    read = json.loads(report.read_text())
    jsonschema.validate(read, _schema())
    assert read["verdict"] == "pass"
    assert all(c["executed"] > 0 for c in read["checks"] if c["outcome"] != "skipped")


def test_project_alone_passes_with_what_it_does_not_claim_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "hsproj:project", "--examples", "5"]) == 0
    assert "skipped (temperature not claimed)" in capsys.readouterr().out


def test_failing_target_exits_with_1_and_prints_a_witness(
    wrong: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    assert (
        main(["check", f"{wrong}:rescale", "--vjp", f"{wrong}:zero", "--examples", "20", "--report", str(report)]) == 1
    )
    out = capsys.readouterr().out
    assert "checks failed alike: likely cause: equals clip-then-rescale" in out
    assert "# came:" in out
    assert "# exact:" in out
    read = json.loads(report.read_text())
    jsonschema.validate(read, _schema())
    assert (read["verdict"], read["seed"]) == ("fail", 0)
    counts = read["counts"]
    assert sum(counts.values()) == len(read["checks"])
    failed = [c for c in read["checks"] if c["outcome"] == "failed"]
    assert len(failed) == counts["failed"] > 5
    assert all(c["witness"]["code"] and c["reason"] for c in failed)


def test_witness_of_a_file_target_pastes_and_shows_what_it_says(wrong: str) -> None:
    (result,) = check(f"{wrong}:rescale", only=["accurate_on_tied_scores"]).results
    assert result.witness is not None
    script = result.witness.code.replace("function(x", "print(repr(function(x").rstrip() + ".tolist()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in result.witness.came


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "no_such_package:f"], "can't import 'no_such_package'"),
        (["check", "numpy:no_such_function"], "has no 'no_such_function'"),
        (["check", "numpy"], "package.module:function"),
        (["check", "no/such/file.py:f"], "no such file"),
        (["check", "numpy:pi"], "not callable"),
        (["check", "numpy:clip", "--only", "no_such_check"], "unknown checks"),
        (["check", "numpy:clip", "--report", "report.pdf"], "must end in .json or .xml or .html"),
        (["check", "numpy:clip", "--report", "no/such/folder/report.json"], "can't write no/such/folder/report.json"),
        (["check", "numpy:clip", "--tolerance", "inf"], "tolerance positive and finite"),
        (["check", "numpy:clip", "--expected-failures", "no_such.toml"], "no_such.toml"),
        (["check", "numpy:clip", "--examples", "0"], "at least 1"),
        (["check", "numpy:clip", "--vjp", "numpy:pi"], "not callable"),
    ],
)
def test_wrong_call_exits_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_usage_errors_exit_with_2() -> None:
    for arguments in ([], ["check", "numpy:clip", "--without", "wings"], ["judge", "numpy:clip"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    assert main(["check"]) == 2


def test_a_file_that_does_not_import_is_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    assert main(["check", f"{path}:f"]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_expected_failures_pass_and_unexpected_passes_fail(
    wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = tmp_path / "expected.toml"
    expected.write_text('accurate_on_tied_scores = "rescales by design"\n')
    call = ["check", f"{wrong}:rescale", "--expected-failures", str(expected), "--only"]
    assert main([*call, "accurate_on_tied_scores"]) == 0
    assert "rescales by design" in capsys.readouterr().out
    expected.write_text('input_is_untouched = "thought to work in place"\n')
    assert main([*call, "input_is_untouched"]) == 1
    report = check(f"{wrong}:rescale", only=["input_is_untouched"], expected_failures={"input_is_untouched": "why"})
    assert report.counts["unexpected_passes"] == 1


def test_no_executed_check_is_a_failure() -> None:
    report = check(lambda x, k: x, only=["vjp_sums_to_zero"])
    assert report.counts["skipped"] == 1
    assert report.verdict == "fail"


def test_same_seed_finds_the_same_witness_and_claims_can_be_withdrawn(wrong: str) -> None:
    first, second = (check(f"{wrong}:rescale", seed=5, examples=20, shrink=False).to_dict() for _ in range(2))
    assert first == second
    target, only = load(f"{wrong}:rescale").without("batch", "errors"), ["rows_are_independent", "bad_input_is_refused"]
    rows, errors = check(target, only=only).results
    assert rows.reason.startswith("batch not claimed")
    assert errors.reason.startswith("errors not claimed")


def test_raise_for_failures_shows_each_failure(wrong: str) -> None:
    report = check(f"{wrong}:rescale", only=["total_is_k", "accurate_on_tied_scores"])
    with pytest.raises(AssertionError, match=r"(?s)FAIL.*accurate_on_tied_scores.*# exact:"):
        report.raise_for_failures()


def test_a_target_that_exits_or_overflows_the_stack_costs_its_own_checks() -> None:
    def recurse(x: Any, k: Any) -> Any:
        return recurse(x, k)

    report = check(recurse, only=["total_is_k", "dtype_is_kept"], examples=3)
    assert report.counts["failed"] == 2
    assert "RecursionError" in report.results[0].reason


def test_unknown_claims_are_refused() -> None:
    with pytest.raises(TargetError, match="unknown claims"):
        Target("t", np.clip, claims={"wings"})
    with pytest.raises(TargetError, match="callable"):
        check(3)  # type: ignore[arg-type]


def test_the_installed_command_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hsproj_verify.cli", "check", "--help"], capture_output=True, text=True, check=True
    )
    assert "TARGET" in done.stdout


def test_every_witness_runs_as_it_is_printed(wrong: str) -> None:
    report = check(f"{wrong}:rescale", vjp=f"{wrong}:zero", examples=10)
    witnesses = [r.witness for r in report.failures]
    assert any(".vjp" not in w.code and "vjp(x" in w.code for w in witnesses if w)
    for witness in witnesses:
        assert witness is not None
        *setup, call = witness.code.splitlines()
        scope: dict[str, Any] = {}
        exec("\n".join(setup), scope)
        if not witness.came.endswith("Error"):
            eval(call, scope)


def test_a_module_that_exits_is_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "exits.py"
    path.write_text("import sys\nsys.exit(0)\n")
    assert main(["check", f"{path}:project"]) == 2
    assert "SystemExit: 0" in capsys.readouterr().err


def test_a_file_finds_its_neighbours_and_is_run_once(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_target.py").write_text("runs = []\n")
    path = tmp_path / "file.py"
    path.write_text(
        "from neighbour_of_target import runs\nruns.append(1)\n"
        "def project(x, k): ...\ndef vjp(x, k, g): return len(runs)\n"
    )
    target = load(f"{path}:project", f"{path}:vjp")
    assert target.pull_back(np.zeros(1), 1, np.zeros(1)) == 1


def test_the_report_is_written_whatever_becomes_of_standard_output(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    path = tmp_path / "odd.py"
    path.write_text("def project(x, k): raise ValueError('\\udc80 [bold]')\n")
    command = f"{sys.executable} -m hsproj_verify.cli check {path}:project --only total_is_k --report {report}"
    done = subprocess.run(f"{command} > /dev/full", shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "can't print the report" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(report.read_text())["verdict"] == "fail"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "\\udc80 [bold]" in done.stdout


def test_a_vjp_given_to_a_target_keeps_its_note_and_a_check_named_twice_runs_once() -> None:
    target = Target("t", lambda x, k: x, note="a note")
    report = check(target, vjp=lambda x, k, g: g, only=["total_is_k", "total_is_k"])
    assert report.note == "a note"
    assert len(report.results) == 1
