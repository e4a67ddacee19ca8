"""Known bugs are recognised by what they answer, and nothing else is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hsproj_verify import check
from hsproj_verify.diagnosis import KNOWN, KnownBug, lookalikes
from hsproj_verify.target import CLAIMS, UNUSUAL, Target
from mutants import BASE, MUTANTS
from right import RIGHT

CLAIMED = frozenset(CLAIMS) - UNUSUAL
PARTS = ("project", "batch", "vjp", "jvp", "loss", "loss_and_grad")


def recognised(target: Target, tolerance: float = 8.0) -> list[str]:
    return [bug.says for part in PARTS for bug in lookalikes(target, part, tolerance)]


@pytest.mark.parametrize("bug", KNOWN, ids=[bug.says for bug in KNOWN])
def test_a_known_bug_is_recognised_as_itself_and_no_other(bug: KnownBug) -> None:
    assert [found.says for found in lookalikes(bug.target(CLAIMED), bug.part, 8.0)] == [bug.says]


@pytest.mark.parametrize("name", list(RIGHT))
def test_right_implementations_look_like_no_bug(name: str) -> None:
    assert recognised(RIGHT[name]) == []


@pytest.mark.parametrize(
    "name", ["ties_by_position", "scan_off_by_one", "alternating_projections", "nan_spreads", "through_one_score_only"]
)
def test_bugs_that_are_not_in_the_table_look_like_none_that_is(name: str) -> None:
    assert recognised(MUTANTS[name].target) == []


@pytest.mark.parametrize(
    ("mutant", "check_name", "says"),
    [
        ("clips_then_rescales", "accurate_on_ordinary_scores", "equals clip-then-rescale"),
        ("projects_half_of_x", "one_threshold_explains_every_entry", "projects x/2"),
        ("total_at_most_k", "total_is_k", "sum <= k instead of = k"),
        ("temperature_applied_after", "total_is_k", "temperature applied after"),
        ("tolerance_of_1e_5", "accurate_on_ordinary_scores", "threshold found to "),
        ("threshold_as_one_float", "accurate_with_a_huge_offset", "threshold held as one float"),
        ("along_the_wrong_axis", "rows_are_independent", "sorted along the wrong axis"),
        ("blocks_within_1e_9", "vjp_vanishes_at_tied_saturated_scores", "vjp treats tied saturated scores as free"),
        ("k_truncated", "total_is_k", "k is truncated to an int"),
    ],
)
def test_a_failure_names_its_likely_cause(mutant: str, check_name: str, says: str) -> None:
    (result,) = check(MUTANTS[mutant].target, only=[check_name], budget="quick", shrink=False).results
    assert result.cause.startswith(says)


def test_a_bug_is_no_cause_of_failures_that_it_does_not_explain() -> None:
    halves = MUTANTS["projects_half_of_x"].target

    def halves_in_place(x: Any, k: Any, temperature: float = 1.0) -> Any:
        x[...] = halves.project(x, k, temperature=temperature)
        return x.copy()

    target = replace(BASE, project=halves_in_place)
    only = ["accurate_on_ordinary_scores", "input_is_untouched"]
    accuracy, calling = check(target, only=only, budget="quick").results
    assert accuracy.cause.startswith("projects x/2")
    assert calling.reason.startswith("the input was changed")
    assert calling.cause == ""


def test_targets_that_claim_little_are_asked_little() -> None:
    def whole_totals(x: np.ndarray, k: int) -> np.ndarray:
        assert isinstance(k, int)
        return MUTANTS["projects_half_of_x"].target.project(x, k)  # type: ignore[no-any-return]

    target = Target("narrow", whole_totals).without("real-k", "batch")
    assert recognised(target)[0].startswith("projects x/2")


def test_a_solver_that_is_judged_with_a_tolerance_is_recognised_with_it() -> None:
    def about_half(x: np.ndarray, k: float, temperature: float = 1.0) -> Any:
        return MUTANTS["projects_half_of_x"].target.project(x, k, temperature=temperature) + 1e-9

    target = replace(BASE, project=about_half)
    assert recognised(target) == []
    assert recognised(target, tolerance=1e7)[0].startswith("projects x/2")


@pytest.mark.parametrize("answer", [None, "text", [1.0], float("nan")])
def test_a_target_that_answers_nonsense_looks_like_no_bug(answer: Any) -> None:
    assert recognised(replace(BASE, project=lambda x, k: answer, claims=("real-k",))) == []
