"""Each mutant is caught at the quick budget by a check that claims to catch its kind; what they derive from passes."""

import warnings

import numpy as np
import pytest

from hsproj_verify import check
from hsproj_verify.checks import CHECKS
from hsproj_verify.runner import BUDGETS
from mutants import BASE, MUTANTS


def caught(name: str, seed: int) -> bool:
    """Whether one of the checks named by the mutant fails it; the first one is usually enough."""
    mutant = MUTANTS[name]
    return any(
        check(mutant.target, only=[check_name], seed=seed, examples=BUDGETS["quick"], shrink=False).counts["failed"]
        for check_name in mutant.caught_by
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", list(MUTANTS))
def test_mutant_is_caught_by_a_check_meant_for_its_kind(name: str, seed: int) -> None:
    assert caught(name, seed)


@pytest.mark.parametrize("name", list(MUTANTS))
def test_mutant_is_caught_for_its_answers_not_for_a_mistake_in_its_own_code(name: str) -> None:
    target = MUTANTS[name].target
    warnings.simplefilter("ignore")  # some mutants warn: pytest undoes this
    target.project(np.array([0.5, 0.25, 0.0]), 1, temperature=2.0)
    target.vjp(np.array([0.5, 0.25, 0.0]), 1, np.array([1.0, 0.0, 0.0]), temperature=2.0)


def test_what_mutants_derive_from_passes_all_checks_named() -> None:
    named = {name for mutant in MUTANTS.values() for name in mutant.caught_by}
    assert named <= set(CHECKS)
    check(BASE, only=sorted(named), budget="quick").raise_for_failures()


def test_there_are_a_hundred_mutants_and_each_tells_its_origin() -> None:
    assert len(MUTANTS) >= 100
    assert all(mutant.origin and mutant.caught_by for mutant in MUTANTS.values())
