"""`hsproj-verify explain`: all checks in a list, and one of them in full."""

import subprocess
import sys

import pytest

from hsproj_verify.checks import CHECKS
from hsproj_verify.cli import main


def test_all_checks_are_listed_by_level_with_a_sentence_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.strip() for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert names == list(CHECKS)
    assert [line for line in lines if line and line[0] != " "] == list(dict.fromkeys(c.level for c in CHECKS.values()))
    for check in CHECKS.values():
        assert lines[lines.index(f"  {check.name}") + 1].strip() == check.summary


@pytest.mark.parametrize("name", ["total_is_k", "vjp_vanishes_at_tied_saturated_scores"])
def test_a_check_is_explained_with_an_example_that_passes_and_one_that_fails(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", name]) == 0
    out = capsys.readouterr().out
    check = CHECKS[name]
    assert out.startswith(f"{name} ({check.level})\n\n{check.proves}\n\nMade for: {check.made_for}\n")
    assert "Example that passes: " in out
    assert "Example that fails:\n" in out
    assert all(line in out for line in check.example.source.splitlines())
    assert "# exact: " in out
    for claim in check.claims:
        assert f'"{claim}": ' in out


def test_an_unknown_check_is_a_wrong_call_that_suggests_a_known_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "total_is_kk"]) == 2
    assert capsys.readouterr().err == "hsproj-verify: no such check: total_is_kk; did you mean total_is_k?\n"
    assert main(["explain", "zzz"]) == 2
    assert "hsproj-verify explain lists them" in capsys.readouterr().err


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m hsproj_verify.cli explain | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""
