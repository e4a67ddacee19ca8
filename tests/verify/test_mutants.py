"""Each mutant is caught at the quick budget by a check that claims to catch its kind; what they derive from passes."""

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


def test_what_mutants_derive_from_passes_all_checks_named() -> None:
    named = {name for mutant in MUTANTS.values() for name in mutant.caught_by}
    assert named <= set(CHECKS)
    check(BASE, only=sorted(named), budget="quick").raise_for_failures()


def test_there_are_fifty_mutants_and_each_tells_its_origin() -> None:
    assert len(MUTANTS) >= 50
    assert all(mutant.origin and mutant.caught_by for mutant in MUTANTS.values())
