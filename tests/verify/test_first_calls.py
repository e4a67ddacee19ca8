"""The first calls of a process, which a probe makes before the first check, are judged as all others are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsproj_verify import Target, check
from hsproj_verify.checks.examples import project, vjp
from hsproj_verify.runner import replay

NAME = "first_calls_get_right_answers"
FILE = """
from hsproj_verify.checks.examples import project as right
calls = 0

def project(x, k):
    global calls
    calls += 1
    return right(x, k) * (calls != {number})
"""


def wrong_once(number: int, function: Callable[..., Any] = project) -> Callable[..., Any]:
    """The function, which answers zeros at one of its calls."""
    calls = 0

    def counted(x: Any, k: Any, *vectors: Any) -> Any:
        nonlocal calls
        calls += 1
        return function(x, k, *vectors) * (calls != number)

    return counted


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_wrong_answer_at_one_call_only_is_caught_in_a_process_of_its_own_and_again_in_its_replay(
    number: int, tmp_path: Path
) -> None:
    path = tmp_path / "once.py"
    path.write_text(FILE.format(number=number))
    (failure,) = check(f"{path}:project", only=[NAME, "total_is_k"], examples=20).failures
    assert failure.name == NAME
    assert failure.reason.startswith(f"call {number} of a process: off by")
    assert failure.replay is not None
    assert replay(failure.replay).reason == failure.reason
    path.write_text(FILE.format(number=0))
    assert replay(failure.replay).outcome.value == "passed"


@pytest.mark.parametrize("number", range(1, 8))
def test_a_wrong_answer_at_one_call_only_is_caught_in_this_process(number: int) -> None:
    report = check(wrong_once(number), only=[NAME, "total_is_k"], examples=20)
    assert [failure.name for failure in report.failures] == [NAME]
    assert check(wrong_once(0), only=[NAME], examples=20).verdict == "pass"


def test_a_wrong_first_vjp_is_caught_where_a_probe_asks_for_it() -> None:
    target = Target("t", project, vjp=wrong_once(1, vjp)).assuming("vjp")
    (failure,) = check(target, only=[NAME, "vjp_sums_to_zero"], examples=20).failures
    assert failure.name == NAME
    assert failure.witness is not None
    assert "vjp(np.array(" in failure.witness.code.splitlines()[-1]


def test_a_function_without_k_is_judged_on_the_call_that_finds_its_total() -> None:
    calls = 0

    def sparsemax(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return project(x, 1)[..., :: -1 if calls == 1 else 1]

    (failure,) = check(sparsemax, only=[NAME, "accurate_on_ordinary_scores"], examples=20).failures
    assert failure.name == NAME


def test_an_exception_at_the_first_call_only_is_a_failure_and_no_lack() -> None:
    calls = 0

    def late(x: Any, k: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("not yet")
        return project(x, k)

    report = check(late, only=[NAME, "total_is_k"], examples=20)
    assert [failure.reason for failure in report.failures] == ["it raised RuntimeError: not yet"]
    assert report.note == ""


def test_what_is_found_out_is_no_failure_of_the_first_calls() -> None:
    def one_row(x: Any, k: Any) -> Any:
        if np.ndim(x) > 1:
            raise ValueError("one row, please")
        return project(x, k)

    assert check(one_row, only=[NAME], examples=20).verdict == "pass"


def test_a_first_answer_of_another_form_is_named() -> None:
    (failure,) = check(lambda x, k: (project(x, k), 0), only=[NAME], examples=20).failures
    assert failure.reason.startswith("project returned a tuple of 2 (a (3,) array of float64, int), not an array")
