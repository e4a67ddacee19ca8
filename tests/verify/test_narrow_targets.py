"""Implementations that take less: what they don't claim is skipped, with the reason, and what they claim is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import narrow_targets
import pytest

from hsproj_verify import Report, Target, check
from hsproj_verify.report import Outcome

# Left out for time: nothing in them depends on how narrow a target is.
SLOW = {"agrees_with_cvxpy"}


def skipped(report: Report) -> dict[str, str]:
    return {result.name: result.reason for result in report.results if result.outcome is Outcome.SKIPPED}


def failed(report: Report) -> list[str]:
    return [f"{result.name}: {result.reason}" for result in report.failures]


@pytest.mark.parametrize(
    ("name", "not_asked"),
    [
        (
            "vectors_only",
            {"rows_are_independent": "batch not claimed: the target does not say that it takes (m, n) scores"},
        ),
        ("rows_only", {}),
        ("one_total", {}),
        ("one_total_each", {"one_total_serves_all_rows": "one-k not claimed"}),
        ("floats_only", {"integers_of_any_kind_are_promoted": "integers not claimed"}),
        ("in_doubles", {"dtype_is_kept": "dtype not claimed", "dtype_of_a_batch_is_kept": "dtype not claimed"}),
        ("whole_totals", {"a_whole_total_may_come_as_a_float": "real-k not claimed"}),
        ("inner_totals", {"without_a_choice_all_are_zero_or_one": "edge-k not claimed"}),
        (
            "single_precision",
            {"accurate_at_huge_scales": "float64 not claimed", "integer_scores_are_promoted": "float64 not claimed"},
        ),
        (
            "sparsemax",
            {"a_whole_total_may_come_as_a_float": "k is 1, always", "no_scores_have_no_p": "k is 1, always"},
        ),
        ("k_is_one", {"every_whole_total_is_met": "k is 1, always"}),
        ("at_most", {"vjp_sums_to_zero": "it solves sum p <= k", "agrees_with_cvxpy": "it solves sum p <= k"}),
    ],
)
def test_a_narrow_target_that_says_so_passes(name: str, not_asked: dict[str, str]) -> None:
    from hsproj_verify.checks import CHECKS

    target = narrow_targets.SAID[name].claiming("empty")
    quick = [
        name for name, check in CHECKS.items() if name not in SLOW and check.level != "large"
    ]  # rationals are slow
    report = check(target, examples=5, only=[*quick, *not_asked])
    assert not failed(report)
    assert report.counts["passed"] >= 25
    reasons = skipped(report)
    for check_name, reason in not_asked.items():
        assert reason in reasons[check_name]


def doubled(p: Callable[..., Any]) -> Callable[..., Any]:
    """Projects 2 x."""
    return lambda x, *k, **options: p(2 * x, *k, **options)


@pytest.mark.parametrize("name", sorted(narrow_targets.SAID))
def test_a_narrow_target_is_judged_on_what_it_claims(name: str) -> None:
    right = narrow_targets.SAID[name]
    wrong = Target(
        "wrong", doubled(right.project), claims=right.claims, fixed_k=right.fixed_k, constraint=right.constraint
    )
    only = ["accurate_on_ordinary_scores", "moves_no_further_than_the_scores"]
    assert {result.name for result in check(wrong, examples=40, only=only).failures} >= {"accurate_on_ordinary_scores"}
