"""Each mutant is caught at the quick budget by a check that claims to catch its kind; what they derive from passes."""

import warnings

import numpy as np
import pytest

from hsproj_verify import Target, check
from hsproj_verify.checks import CHECKS
from hsproj_verify.runner import BUDGETS
from mutants import BASE, LARGE_BASE, MUTANTS


def caught(name: str, seed: int) -> bool:
    """Whether one of the checks named by the mutant fails it; the first one is usually enough."""
    mutant = MUTANTS[name]
    return any(
        check(mutant.target, only=[check_name], seed=seed, examples=BUDGETS["quick"], shrink=False).counts["failed"]
        for check_name in mutant.caught_by
    )


@pytest.mark.parametrize("seed", [1])  # all checks, by seed 0: make mutants
@pytest.mark.parametrize("name", list(MUTANTS))
def test_mutant_is_caught_by_a_check_meant_for_its_kind(name: str, seed: int) -> None:
    # Threads that race may for once not collide, on a machine with much else to do: then they have to on the second try.
    races = any("side_by_side" in check_name for check_name in MUTANTS[name].caught_by)
    assert caught(name, seed) or (races and caught(name, seed + 10))


@pytest.mark.parametrize("name", list(MUTANTS))
def test_mutant_is_caught_for_its_answers_not_for_a_mistake_in_its_own_code(name: str) -> None:
    target = MUTANTS[name].target
    warnings.simplefilter("ignore")  # some mutants warn: pytest undoes this
    x, v = np.array([0.5, 0.25, 0.0]), np.array([1.0, 0.0, 0.0])
    target.project(x.copy(), 1, temperature=2.0)
    for product in (target.vjp, target.jvp):
        product(x.copy(), 1, v.copy(), temperature=2.0)
    for loss in (target.loss, target.loss_and_grad):
        loss(x.copy(), v.copy(), 1, temperature=2.0)


@pytest.mark.parametrize("base", [BASE, LARGE_BASE], ids=["for its kind", "on long rows"])
def test_what_mutants_derive_from_passes_all_checks_named(base: Target) -> None:
    named = {name for mutant in MUTANTS.values() for name in mutant.caught_by}
    large = {name for name in named if CHECKS[name].level == "large"}
    report = check(base, only=sorted(large if base is LARGE_BASE else named - large), examples=10)
    report.raise_for_failures()
    assert not report.counts["skipped"]


def test_there_are_two_hundred_mutants_and_each_tells_its_origin() -> None:
    assert len(MUTANTS) >= 200
    assert all(mutant.origin and mutant.caught_by for mutant in MUTANTS.values())


def test_each_check_of_derivatives_kinks_losses_and_large_rows_has_a_mutant_made_for_it() -> None:
    named = {name for mutant in MUTANTS.values() for name in mutant.caught_by}
    levels = {"derivatives", "kinks", "losses", "large"}
    assert {name for name, made in CHECKS.items() if made.level in levels} - named == set()
