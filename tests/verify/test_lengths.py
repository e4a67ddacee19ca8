"""Every length that a target claims to take is asked for, alone and in a batch."""

from typing import Any

import numpy as np
import pytest

from hsproj_verify import Target, check
from hsproj_verify.checks.accuracy import LENGTHS
from hsproj_verify.checks.examples import project

NAME = "accurate_at_every_length"


def asked(target: Target) -> set[tuple[int, int, str]]:
    """Dimensions, lengths and dtypes that the check asks a target for, which answers itself."""
    seen: set[tuple[int, int, str]] = set()

    def watched(x: Any, *k: Any) -> Any:
        seen.add((x.ndim, x.shape[-1], str(x.dtype)))
        return target.project(x, *k)

    watching = Target("t", watched, claims=target.claims, fixed_k=target.fixed_k)
    (result,) = check(watching, only=[NAME], budget="quick").results
    assert result.outcome.value == "passed", result.reason
    return seen


def test_a_target_of_everything_is_asked_for_each_length_in_each_way_and_dtype() -> None:
    seen = asked(Target("t", project))
    ways = {(ndim, dtype) for ndim in (1, 2) for dtype in ("float64", "float32")}
    assert seen >= {(ndim, n, dtype) for ndim, dtype in ways for n in LENGTHS}


def test_a_narrow_target_is_asked_for_what_it_claims() -> None:
    narrow = Target("t", lambda x: project(x, 5), fixed_k=5).without("batch", "float32", "long")
    seen = {case for case in asked(narrow) if case[1] < 65}
    assert {n for _, n, _ in seen if n != 11} == {*range(5, 65)} - {11}  # 11 scores are what a probe asks for
    assert {(ndim, dtype) for ndim, _, dtype in seen} == {(1, "float64")}


@pytest.mark.parametrize("n", [31, 64])
def test_a_length_that_is_wrong_in_batches_only_is_found(n: int) -> None:
    def wrong(x: Any, k: Any) -> Any:
        return project(x, k) * (np.ndim(x) == 1 or x.shape[-1] != n)

    (failure,) = check(wrong, only=[NAME], budget="quick").failures
    assert failure.reason == f"row 0 of a batch is wrong at n = {n}"
