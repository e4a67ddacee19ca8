"""Programs in other languages, asked by JSON Lines: right ones pass, wrong ones are caught, unruly ones cost one request."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hsproj_verify import Report, check
from hsproj_verify.report import Outcome
from hsproj_verify.target import TargetError, load
from hsproj_verify.targets import program
from hsproj_verify.targets.program import Program, ProgramError, floats, numbers

PROGRAMS = Path(__file__).parents[2] / "docs" / "examples" / "programs"


def needs(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed")
    return path


def compiled(source: str, folder: Path) -> str:
    (folder / "program.c").write_text(source)
    subprocess.run([needs("cc"), "-O2", "-o", folder / "program", folder / "program.c", "-lm"], check=True)
    return f"exec:{folder / 'program'}"


def in_c() -> str:
    return (PROGRAMS / "capped_simplex.c").read_text()


def failed(report: Report) -> set[str]:
    return {result.name for result in report.results if result.outcome is Outcome.FAILED}


def test_a_program_in_c_passes_what_it_claims(tmp_path: Path) -> None:
    report = check(compiled(in_c(), tmp_path), examples=8)
    assert report.verdict == "pass"
    assert report.note == "bisection, in C"
    assert report.counts["passed"] >= 25
    outcomes = {result.name: result.outcome for result in report.results}
    assert outcomes["vjp_matches_the_exact_jacobian"] is Outcome.PASSED
    assert outcomes["accurate_with_a_huge_offset"] is Outcome.SKIPPED


def test_a_bug_in_that_program_is_caught(tmp_path: Path) -> None:
    wrong = in_c().replace("(sum - (k - ones) * tau)", "(sum - k * tau)")
    assert wrong != in_c()
    caught = failed(check(compiled(wrong, tmp_path), examples=20, only=["total_is_k", "accurate_on_ordinary_scores"]))
    assert caught == {"total_is_k", "accurate_on_ordinary_scores"}


def test_a_program_in_javascript_passes_what_it_claims() -> None:
    report = check(f"exec:{needs('node')} {PROGRAMS / 'capped_simplex.mjs'}", examples=8)
    assert report.verdict == "pass"
    assert "node v" in report.note


def test_a_crash_costs_its_own_checks_and_names_the_signal(tmp_path: Path) -> None:
    wrong = in_c().replace("sum += g[i], free++;", "sum += g[i], free++, abort();")
    only = ["total_is_k", "vjp_matches_the_exact_jacobian", "accurate_in_float32"]
    report = check(compiled(wrong, tmp_path), examples=10, only=only)
    assert failed(report) == {"vjp_matches_the_exact_jacobian"}
    assert "SIGABRT" in report.failures[0].reason


# What follows speaks the protocol, or fails to, in Python: one line of it an answer to a request.
def speaking(folder: Path, answer: str, *, before: str = "") -> str:
    script = folder / "script.py"
    script.write_text(
        "import json, os, signal, sys, time\n"
        f"{before}\n"
        "for line in sys.stdin:\n"
        "    request = json.loads(line)\n"
        "    if request['op'] == 'hello':\n"
        "        print(json.dumps({'id': request['id'], 'error': 'what?'}), flush=True)\n"
        "        continue\n"
        f"    {answer}\n"
    )
    return f"{sys.executable} {script}"


REPLY = "print(json.dumps({'id': request['id'], 'result': request['x']}), flush=True)"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"it ended without an answer, with SIGSEGV"),
        ("sys.exit('no memory left')", r"it ended without an answer, with exit status 1: no memory left"),
        ("print('p =', request['x'], flush=True)", r"it wrote what is no JSON: p = \[0.5"),
        ("print('[1]', flush=True)", r"it replied with no JSON object: \[1\]"),
        ("print(json.dumps({'id': 77, 'result': []}), flush=True)", r"it replied to 77, not to request"),
        ("print(json.dumps({'id': request['id']}), flush=True)", r"it replied without a result or an error"),
        (
            "print('{\"id\": 1', end='', flush=True); sys.exit()",
            r"it ended in the middle of a line, with exit status 0",
        ),
        (REPLY.replace("request['x']", "'a lot'"), r"a number is a JSON number"),
        (REPLY.replace("request['x']", "[None]"), r"a result holds numbers; got null"),
        (REPLY.replace("'result': request['x']", "'error': 'too many scores'"), r"^too many scores$"),
    ],
)
def test_what_is_no_answer_is_named_and_costs_one_request(tmp_path: Path, answer: str, message: str) -> None:
    once = f"if request['x'][0] == 0.5:\n        {answer}\n    else:\n        {REPLY}"
    target = load(f"exec:{speaking(tmp_path, once)}")
    with pytest.raises(ProgramError, match=message):
        target(np.array([0.5, 0.25]), 1)
    assert target(np.array([0.0, 0.25]), 1).tolist() == [0.0, 0.25]


def test_a_line_too_many_is_noticed_and_costs_one_request(tmp_path: Path) -> None:
    twice = f"{REPLY}\n    if request['x'][0] == 0.5:\n        {REPLY}"
    asked = Program(speaking(tmp_path, twice))
    asked.ask("project", x=[0.5])
    time.sleep(0.2)  # for the second line to arrive
    with pytest.raises(ProgramError, match="a line that nobody had asked for"):
        asked.ask("project", x=[0.0])
    assert asked.ask("project", x=[0.0]) == [0.0]


@pytest.mark.parametrize("size", [2, 100_000])  # the longer request fills the pipe, and is never read
def test_a_program_that_hangs_is_ended_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(program, "TIMEOUT", 1.0)
    asked = Program(speaking(tmp_path, f"time.sleep(60 if request['x'][0] else 0); {REPLY}"))
    with pytest.raises(ProgramError, match="no answer within 1 s"):
        asked.ask("project", x=[1.0])
    with pytest.raises(ProgramError, match="no answer within 1 s"):
        asked.ask("project", x=[1.0] * size)
    assert asked.ask("project", x=[0.0]) == [0.0]


def test_numbers_arrive_as_they_are() -> None:
    values = np.array([0.1, -0.0, 5e-324, np.finfo(float).max, 1 / 3, np.inf, -np.inf, np.nan])
    asked = Program("cat")
    with pytest.raises(ProgramError) as seen:  # `cat` replies with the request, which has no result
        asked.ask("project", x=numbers(values))
    echoed = str(seen.value).partition('"x": ')[2].rstrip("}")
    import json

    assert floats(json.loads(echoed), np.float64).tobytes() == values.tobytes()
    assert floats(["0x1.999999999999ap-4", "-0x1p+0"], np.float64).tolist() == [0.1, -1.0]
    single = np.array([0.1], dtype=np.float32)
    assert floats(numbers(single), np.float32).tobytes() == single.tobytes()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("[]", "with no JSON object"),
        ("{'wings': 2}", r"unknown keys \['wings'\]"),
        ("{'protocol': 9}", "in protocol 9; this is 1"),
        ("{'operations': ['vjp']}", "with project"),
        ("{'claims': 'all'}", "claims must be a list of strings"),
        ("{'claims': ['wings']}", "unknown claims"),
        ("{'fixed_k': 'one'}", "fixed_k must be a number"),
    ],
)
def test_a_hello_that_makes_no_sense_is_refused(tmp_path: Path, said: str, message: str) -> None:
    script = tmp_path / "hello.py"
    script.write_text(
        f"import json\nrequest = json.loads(input())\nprint(json.dumps({{'id': request['id'], 'result': {said}}}))\n"
    )
    with pytest.raises(TargetError, match=message):
        load(f"exec:{sys.executable} {script}")


@pytest.mark.parametrize(
    ("command", "message"), [("", "got no command"), ("'", "can't read the command"), ("/no/such", "can't run")]
)
def test_a_command_that_cannot_be_run_is_a_wrong_call(command: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        load(f"exec:{command}")
