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


def test_more_than_eighty_bugs_are_known() -> None:
    assert len(KNOWN) > 80


@pytest.mark.parametrize("name", list(RIGHT))
def test_right_implementations_look_like_no_bug(name: str) -> None:
    assert recognised(RIGHT[name]) == []


CAUSES = {
    "computes_in_float32": "computed in float32",
    "threshold_as_one_float": "threshold held as one float",
    "forgets_to_unsort": "the answer is not brought back to the order of the scores: it comes sorted, largest first",
    "small_difference_in_float32": "threshold found to 8e-08 only",
    "along_the_wrong_axis": "sorted along the wrong axis",
    "as_one_long_row": "a batch is projected as one long row",
    "the_first_k_for_all": "the first k is used",
    "the_mean_k_for_all": "the mean of k is used",
    "rows_in_the_order_of_their_totals": "rows come back in the order of their k",
    "float32_for_float64": "computed in float32",
    "straight_through": "vjp is the identity",
    "no_gradient": "vjp is zero",
    "tied_saturated_scores_are_free": "vjp treats all saturated scores, and all at 0, as blocks of free ones",
    "blocks_within_1e_9": "vjp treats tied saturated scores as free",
    "mean_over_the_support": "vjp takes the mean over the support",
    "centred_over_all": "vjp takes the mean over all scores",
    "not_centred": "vjp is not centred",
    "lacks_the_temperature": "vjp lacks the factor 1 / tau",
    "temperature_twice": "vjp has the factor 1 / tau twice",
    "solved_at_temperature_one": "vjp ignores the temperature",
    "softmax_jacobian": "vjp is that of a softmax",
    "descends_the_wrong_way": "vjp has the wrong sign",
    "tangent_lacks_the_temperature": "jvp lacks the factor 1 / tau",
    "tangent_solved_at_temperature_one": "jvp ignores the temperature",
    "tangent_of_the_clip_alone": "jvp is not centred",
    "tangent_over_the_support": "jvp takes the mean over the support",
    "tangent_centred_over_all": "jvp takes the mean over all scores",
    "tangent_of_the_descent": "jvp has the wrong sign",
    "returns_the_primal": "jvp is p itself",
    "projects_the_tangent": "jvp projects the vector",
    "tangent_sorted_as_the_scores": "jvp stays in the order of the sorted scores",
    "the_square_not_its_half": "the loss lacks the factor 1/2",
    "mean_for_sum": "the loss is the mean over scores",
    "mean_squared_error": "the loss is the mean square",
    "root_of_the_square": "the loss is the distance, not half its square",
    "divided_by_the_total": "the loss is divided by k",
    "a_gain_not_a_loss": "the loss has the wrong sign",
    "loss_of_the_scores": "the loss is that of the scores",
    "loss_at_temperature_one": "the loss ignores the temperature",
    "loss_without_the_total": "the loss takes k from the targets",
    "takes_the_targets_to_sum_to_k": "the loss takes ||y||^2 for k",
    "gradient_in_p": "the gradient of the loss is p - y",
    "gradient_in_the_targets": "the gradient of the loss is y - p",
    "gradient_lacks_the_temperature": "the gradient of the loss lacks the factor 1 / tau",
    "gradient_of_the_square": "the gradient of the loss is twice what it is",
    "gradient_of_the_mean": "the gradient of the loss is divided by n",
    "gradient_uphill": "the gradient of the loss has the wrong sign",
    "gradient_with_theta_held": "the gradient of the loss is not centred",
    "gradient_over_the_support": "the gradient of the loss takes the mean over the support",
    "gradient_over_blocks": "the gradient of the loss treats all saturated scores, and all at 0, as blocks of free ones",
    "projects_half_of_x": "projects x/2",
    "clips_only": "equals clip(x, 0, 1)",
    "clips_then_rescales": "equals clip-then-rescale-then-clip",
    "total_at_most_k": "sum <= k instead of = k",
    "shifts_then_clips": "equals one step of alternating projections",
    "softmax_times_k": "equals k softmax",
    "sparsemax_times_k": "equals k times the projection onto the simplex",
    "entropic": "binary entropy instead of squares",
    "hard_top_k": "hard top-k",
    "smallest_scores": "takes the smallest scores",
    "simplex_threshold": "p <= 1 comes too late",
    "k_truncated": "k is truncated",
    "k_rounded": "k is rounded to an int",
    "temperature_ignored": "the temperature is ignored",
    "temperature_multiplied": "multiplies by the temperature",
    "temperature_squared": "divides by the temperature twice",
    "temperature_applied_after": "temperature applied after",
    "temperature_in_the_threshold_only": "the threshold is right, but the last step",
    "tolerance_of_1e_5": "threshold found to 3e-06 only",
    "sums_in_float32": "threshold found to 8e-08 only",
}
"""How the cause of a mutant begins. A wrong cause is worse than none: every other mutant looks like no known bug."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_mutant_looks_like_its_own_bug_or_like_none(name: str) -> None:
    target = MUTANTS[name].target
    fields = {part: "project" if part == "batch" else part for part in PARTS}
    wrong = [part for part, field in fields.items() if getattr(target, field) is not getattr(BASE, field)]
    found = [bug.says for part in wrong for bug in lookalikes(target, part, 8.0)]
    assert len(found) == (name in CAUSES)
    assert all(says.startswith(CAUSES[name]) for says in found)


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
        ("returns_the_primal", "jvp_matches_the_exact_jacobian", "jvp is p itself"),
        ("divided_by_the_total", "loss_is_half_the_squared_distance", "the loss is divided by k"),
        ("gradient_in_the_targets", "loss_gradient_matches_the_exact_one", "the gradient of the loss is y - p"),
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
