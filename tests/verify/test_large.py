"""The checks of large rows: what they catch, what passes, and witnesses that make their rows again."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hsproj_verify import Report, Target, check
from hsproj_verify.checks import CHECKS

Array = np.ndarray
LARGE = [name for name, c in CHECKS.items() if c.level == "large"]
TENTHS = "equal_float32_scores_share_the_total"


def _by_sums(total: Callable[[Array], float]) -> Callable[[Array, float], Array]:
    """A projection that bisects for the free set, then adds up with `total` to find theta."""

    def project(x: Array, k: float) -> Array:
        low, high = float(x.min()) - 1, float(x.max())
        for _ in range(60):
            theta = (low + high) / 2
            low, high = (theta, high) if np.clip(x - np.float64(theta), 0, 1).sum() > k else (low, theta)
        free = (x > low) & (x < low + 1)
        rest = k - np.count_nonzero(x >= low + 1)
        if free.any():
            low = (total(x[free]) - rest) / np.count_nonzero(free)
        return np.clip(x - x.dtype.type(low), 0, 1)

    return project


pairwise = _by_sums(lambda x: float(x.sum(dtype=np.float64)))
running = _by_sums(lambda x: float(np.cumsum(x)[-1]))
plain = ("temperature", "infinities", "offsets")


def _judge(project: Callable[..., Array], *names: str, examples: int = 40) -> Report:
    return check(Target("target", project, origin="function = project").without(*plain), only=names, examples=examples)


def test_pairwise_sums_in_float64_pass() -> None:
    names = [name for name in LARGE if not {*CHECKS[name].claims} & {"infinities", "offsets", "vjp"}]
    report = _judge(pairwise, *names)
    report.raise_for_failures()
    assert report.counts["passed"] == len(names) == 6


@pytest.mark.parametrize("name", [TENTHS, "accurate_on_large_float32_rows"])
def test_running_sums_in_float32_are_caught(name: str) -> None:
    assert "proved by the certificate" in _judge(running, name).failures[0].reason


def test_cumulative_sums_over_a_million_sorted_scores_are_caught() -> None:
    def scan(x: Array, k: float) -> Array:
        bends = np.concatenate([x, x - 1])
        order = np.argsort(-bends)
        bends, slopes = bends[order], np.cumsum(np.repeat([1.0, -1.0], x.size)[order])
        values = np.concatenate([[0.0], np.cumsum(slopes[:-1] * -np.diff(bends))])
        i = max(int(np.searchsorted(values, k)) - 1, 0)
        return np.clip(x - (bends[i] - (k - values[i]) / slopes[i]), 0, 1)

    assert "off by" in _judge(scan, "accurate_on_rows_of_a_million").failures[0].reason


def test_a_threshold_held_as_one_float_is_caught_where_scores_share_an_offset() -> None:
    target = Target("target", pairwise, origin="function = project").without("temperature")
    assert check(target, only=["accurate_on_large_rows_with_an_offset"]).verdict == "fail"


def test_sums_over_masked_scores_are_caught() -> None:
    def careless(x: Array, k: float) -> Array:
        return pairwise(x - x.mean(), k)

    target = Target("target", careless, origin="function = project").without("temperature")
    assert check(target, only=["accurate_on_large_masked_rows"]).verdict == "fail"


def test_the_witness_makes_its_row_again() -> None:
    scope: dict[str, Any] = {"project": running}
    failure = _judge(running, "accurate_on_large_float32_rows").failures[0]
    assert failure.witness is not None
    assert len(failure.witness.code) < 200  # not a listing of numbers
    *setup, call = failure.witness.code.splitlines()
    exec("\n".join(setup), scope)
    p = eval(call, scope)
    came = failure.witness.came  # "p[index] = value"
    assert came == f"p[{(i := int(came[2 : came.index(']')]))}] = {float(p[i])!r}"


@pytest.mark.parametrize(
    ("project", "reason"),
    [
        (lambda x, k: x[:-1], "project returned a (99999,) array of float32, not an array of shape (100000,)"),
        (lambda x, k: 1 / 0, "it raised ZeroDivisionError: division by zero"),
        (lambda x, k: np.full(x.shape, np.nan), "off by inf eps (1 + p)"),
        (lambda x, k: np.zeros(x.shape), "off by 1.94e+06 eps (1 + p)"),  # 0.3 / (1.3 * 2^-23)
    ],
)
def test_what_is_no_answer_fails(project: Callable[..., Array], reason: str) -> None:
    assert reason in _judge(project, TENTHS).failures[0].reason


def test_a_target_that_takes_short_rows_only_is_not_judged_on_large_ones() -> None:
    report = check(Target("target", pairwise).without("long"), only=LARGE)
    assert report.counts["skipped"] == len(LARGE)


def test_totals_and_dtypes_are_those_that_the_target_takes() -> None:
    seen = set()

    def onto_the_simplex(x: Array) -> Array:
        seen.add((x.dtype.name, x.ndim))
        return pairwise(x[0], 1.0)[None]

    target = Target("target", onto_the_simplex, fixed_k=1.0).without(*plain, "float64", "vectors")
    report = check(target, only=LARGE, examples=40)
    report.raise_for_failures()
    assert report.counts["passed"] == 6
    assert seen == {("float32", 2)}
