"""Every check has an implementation that fails it, and one that passes: what `explain` shows is true."""

import pytest

from hsproj_verify import check
from hsproj_verify.checks import CHECKS
from hsproj_verify.checks.examples import FAILING, RIGHT


def test_the_right_example_passes_every_check() -> None:
    report = check(RIGHT, examples=5)
    report.raise_for_failures()
    assert report.counts["passed"] == len(CHECKS)


RAISING = {
    "one_total_serves_all_rows",
    "no_scores_have_no_p",
    "numbers_may_be_those_of_numpy",
    "ordinary_calls_give_no_warning",
    "a_batch_without_rows_has_an_answer_without_rows",
    "a_whole_total_may_come_as_a_float",
}
"""Checks whose failing example raises: others could be failed by any mistake in an example."""


@pytest.mark.parametrize("name", CHECKS)
def test_the_failing_example_of_a_check_fails_it(name: str) -> None:
    (result,) = check(FAILING[name].target, only=[name], examples=40, shrink=False).results
    assert result.outcome.value == "failed"
    assert result.witness is not None
    assert name in RAISING or "raised" not in result.reason, result.reason


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_says_what_it_proves_and_what_it_was_made_for(name: str) -> None:
    entry = CHECKS[name]
    assert entry.summary.endswith((".", ":"))
    assert entry.made_for.endswith(".")
    assert entry.example.source.startswith(("def ", "class "))
