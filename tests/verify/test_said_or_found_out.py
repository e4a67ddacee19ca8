"""What a target says of itself, or is found to take: constraints, totals, dtypes, forms of calls."""

from __future__ import annotations

import functools
from fractions import Fraction
from pathlib import Path
from typing import Any

import narrow_targets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsproj_verify import Report, Target, check
from hsproj_verify.oracles import exact
from hsproj_verify.probing import probe
from hsproj_verify.report import Outcome
from hsproj_verify.target import TargetError


def skipped(report: Report) -> dict[str, str]:
    return {result.name: result.reason for result in report.results if result.outcome is Outcome.SKIPPED}


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("rows_only", "function((x)[None], np.array([1]))[0]"),
        ("sparsemax", "function(x)"),
        ("one_total", "function(x, 1)"),
    ],
)
def test_a_witness_calls_it_as_the_judge_does(name: str, call: str) -> None:
    right = narrow_targets.SAID[name].without("temperature", "real-k")
    wrong = Target("wrong", lambda *given: 0 * right.project(*given), claims=right.claims, fixed_k=right.fixed_k)
    (failure,) = check(wrong, examples=20, only=["total_is_k"]).failures
    assert failure.witness is not None
    assert call in failure.witness.code.splitlines()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_function_without_k_is_found_to_have_one_total(workers: int, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import narrow_targets\n"
        "def sparsemax(x, axis=-1):\n    return narrow_targets.sparsemax(x)\n"
        "def twice(x, axis=-1):\n    return narrow_targets.project(x, 2 if x.shape[-1] > 1 else 1)\n"
        "def uniform(x, axis=-1):\n    return 0 * x + 1 / x.shape[-1]\n"
    )
    only = ["total_is_k", "accurate_on_ordinary_scores", "a_whole_total_may_come_as_a_float"]
    right = check(f"{path}:sparsemax", only=only, examples=20, workers=workers)
    assert right.verdict == "pass"
    assert right.note == "found out: it takes no k, and its p adds up to 1"
    assert "k is 1, always" in skipped(right)["a_whole_total_may_come_as_a_float"]
    wrong = check(f"{path}:uniform", only=only, examples=20, workers=workers)
    assert [failure.name for failure in wrong.failures] == ["accurate_on_ordinary_scores"]
    assert check(f"{path}:twice", only=only, examples=20, workers=workers).note.endswith("adds up to 2")


NAMED = """
import narrow_targets
def at_most(x, k, *, temperature=1.0):
    return narrow_targets.at_most(x, k, temperature=temperature)
def at_most_vjp(x, k, g, *, temperature=1.0):
    return narrow_targets.vjp(x, k, g, constraint="le", temperature=temperature)
def two(x):
    return narrow_targets.project(x, 2 if x.shape[-1] > 1 else x.shape[-1])
def two_of_at_most(x, count):
    assert count == 2
    return narrow_targets.at_most(x, count)
def halved(x, k):
    return narrow_targets.at_most(x / 2, k)
"""
SOME = ["total_is_k", "accurate_on_ordinary_scores", "accurate_on_tied_scores", "vjp_matches_the_exact_jacobian"]


@pytest.mark.parametrize(
    ("function", "said", "passed"),
    [
        ("at_most", {"constraint": "le", "vjp": "at_most_vjp"}, 4),
        ("at_most", {"vjp": "at_most_vjp"}, 0),
        ("halved", {"constraint": "le"}, 0),
        ("two", {"fixed_k": 2}, 3),
        ("two", {"fixed_k": 1}, 0),
        ("two_of_at_most", {"constraint": "le", "fixed_k": 2.0}, 3),
    ],
)
def test_what_a_function_solves_may_be_said_beside_it(
    function: str, said: dict[str, Any], passed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hsproj_verify.cli import main

    path = tmp_path / "mine.py"
    path.write_text(NAMED)
    said = said | {"vjp": f"{path}:{said['vjp']}"} if "vjp" in said else said
    report = check(f"{path}:{function}", only=SOME, examples=8, workers=1, **said)
    assert report.counts["passed"] == passed, report.failures
    options = [word for name, value in said.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    only = [word for name in SOME for word in ("--only", name)]
    witnesses = ["--witnesses", str(tmp_path / "witnesses")]
    status = main(["check", f"{path}:{function}", *options, *only, *witnesses, "--examples", "20", "--workers", "1"])
    assert status == (1 if report.failures else 0)
    assert (f"{passed} passed" in capsys.readouterr().out) == (passed > 0)
    for failure in report.failures:  # replayed as the same problem
        assert main(["replay", f"{tmp_path}/witnesses/{failure.name}.json"]) == 1


def test_k_by_name_only_and_a_nameless_total_are_refused_with_what_to_do() -> None:
    def by_name(x: Any, *, k: Any) -> Any:
        return narrow_targets.project(x, k)

    with pytest.raises(TargetError, match="takes k by name only; wrap it, as lambda x, k"):
        check(by_name)
    assert check(lambda x, k: by_name(x, k=k), only=["total_is_k"], examples=3).verdict == "pass"
    with pytest.raises(TargetError, match="without any-k: which k does it take, then"):
        check(narrow_targets.project, without=["any-k"])


def test_a_float32_function_without_k_is_found_to_have_one_total() -> None:
    def sparsemax(x: np.ndarray) -> np.ndarray:
        return narrow_targets.single_precision(x, 1)

    report = check(sparsemax, only=SOME, examples=5)
    assert report.counts["passed"] == 3, report.failures
    assert "it takes no k, and its p adds up to 1" in report.note
    assert "float64 scores raise TypeError: float32, please" in report.note


def test_the_loss_of_one_total_may_be_symmetric_at_its_target() -> None:
    def sparsemax(x: np.ndarray) -> np.ndarray:
        return narrow_targets.project(x, 1)

    def loss(scores: np.ndarray, targets: np.ndarray) -> float:
        return float(((sparsemax(scores) - targets) ** 2).sum() / 2)

    only = ["loss_is_zero_where_p_is_the_target", "loss_is_half_the_squared_distance"]
    assert check(sparsemax, loss=loss, only=only, seed=1, budget="quick").counts["passed"] == 2


def test_an_axis_is_judged_of_one_total_too() -> None:
    only = ["axis_says_which_way_rows_run"]
    assert check(_sparsemax_along, only=only, examples=10).verdict == "pass"
    (failure,) = check(_sparsemax_along_the_last, only=only, examples=10).failures
    assert failure.witness is not None
    assert "function(x, axis=" in failure.witness.code


def _sparsemax_along(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.moveaxis(narrow_targets.project(np.moveaxis(x, axis, -1), 1), -1, axis)


def _sparsemax_along_the_last(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return narrow_targets.project(x, 1)


def test_integers_may_be_promoted_to_float32_but_not_cut_off() -> None:
    def in_float32(x: np.ndarray, k: Any) -> np.ndarray:
        return narrow_targets.project(x.astype(np.float32) if x.dtype.kind in "iu" else x, k)

    def cut_off(x: np.ndarray, k: Any) -> np.ndarray:
        return narrow_targets.project(x, k).astype(x.dtype)

    only = ["integer_scores_are_promoted", "integers_of_any_kind_are_promoted", "accurate_on_ordinary_scores"]
    assert check(in_float32, only=only, examples=20).counts["passed"] == 3
    assert check(cut_off, only=only, budget="quick").counts["failed"] == 2


def test_big_endian_arrays_may_be_refused_but_not_misread() -> None:
    only = ["memory_layout_does_not_matter"]
    assert check(narrow_targets.floats_only, only=only, examples=5).verdict == "pass"
    assert check(narrow_targets.floats_only, only=only, examples=5, claiming=["big-endian"]).verdict == "fail"

    def misread(x: np.ndarray, k: Any) -> np.ndarray:
        return narrow_targets.project(x.view(x.dtype.newbyteorder("=")), k)

    assert check(misread, only=only, examples=5).verdict == "fail"


def test_a_partial_is_named_by_what_it_is_a_part_of() -> None:
    two = functools.partial(narrow_targets.project, k=2)
    assert check(two, only=["total_is_k"], examples=2).target == "partial of narrow_targets:project"


def test_a_row_that_comes_back_in_another_shape_is_named() -> None:
    squeezed = Target("t", lambda x, k: narrow_targets.project(x, k)[0]).without("vectors")
    (failure,) = check(squeezed, examples=5, only=["total_is_k"]).failures
    assert "scores of shape (1, 1) came back as (1,)" in failure.reason


def test_a_wrong_total_of_another_kind_is_caught() -> None:
    only = ["total_is_k", "accurate_on_ordinary_scores", "accurate_on_tied_scores"]
    equality = Target("eq", narrow_targets.project, constraint="le")
    assert len(check(equality, examples=40, only=only).failures) == 3
    inequality = Target("le", narrow_targets.at_most)
    assert len(check(inequality, examples=40, only=only).failures) == 3


quarters = st.lists(st.integers(-8, 8).map(lambda i: i / 4), min_size=1, max_size=6)


@settings(max_examples=100, database=None, deadline=None)
@given(quarters, st.data())
def test_the_exact_answer_to_an_inequality_is_the_nearest_point(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(0, 2 * len(scores)).map(lambda i: i / 2))
    tau = data.draw(st.sampled_from([1.0, 0.5]))
    solution = exact.solve(scores, k, tau, constraint="le")
    assert sum(solution.p) <= k
    # Optimal: no feasible point makes a smaller angle with x / tau - p. Vertices and edges of {0 <= q <= 1, sum q <= k}
    # are reached by a greedy choice.
    residual = [Fraction(x) / Fraction(tau) - p for x, p in zip(scores, solution.p, strict=True)]
    left, best = Fraction(k), Fraction(0)
    for r in sorted(residual, reverse=True):
        if r > 0:
            best += r * min(left, Fraction(1))
            left -= min(left, Fraction(1))
    assert sum(r * p for r, p in zip(residual, solution.p, strict=True)) == best


@settings(max_examples=200, database=None, deadline=None)
@given(quarters, st.data())
def test_within_its_margin_an_inequality_has_the_derivative_it_says(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(0, 2 * len(scores)).map(lambda i: i / 2))
    solution = exact.solve(scores, k, constraint="le")
    margin = Fraction(1) if solution.margin is None else solution.margin
    entries = st.integers(-4, 4).map(lambda i: Fraction(i, 4))
    direction = data.draw(st.lists(entries, min_size=len(scores), max_size=len(scores)))
    moved = [Fraction(x) + margin * d * Fraction(99, 100) for x, d in zip(scores, direction, strict=True)]
    change = [a - b for a, b in zip(exact.solve(moved, k, constraint="le").p, solution.p, strict=True)]
    if solution.is_differentiable:  # the Jacobian is symmetric
        assert change == [margin * Fraction(99, 100) * d for d in solution.vjp(direction)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"constraint": "ge"}, "constraint must be one of eq, le"),
        ({"fixed_k": -1}, "fixed_k must satisfy 0 <= fixed_k"),
    ],
)
def test_claims_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        Target("t", np.clip, **options)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("vectors_only", {"batch": "scores of shape (2, n) raise ValueError: one row, please"}),
        ("rows_only", {"vectors": "scores of shape (n,) raise ValueError: rows, please"}),
        ("one_total", {"own-k": "a k for each row raises TypeError"}),
        ("one_total_each", {"one-k": "one k for all rows raises ValueError: a k for each row, please"}),
        ("floats_only", {"integers": "integer scores raise TypeError: floats, please; got int64"}),
        ("whole_totals", {"real-k": "k = 1.5 raises TypeError"}),
        (
            "single_precision",
            {"float64": "float64 scores raise TypeError: float32"},
        ),
        ("k_is_one", {"any-k": "k = 1 is taken, k = 2 raises NotImplementedError: k = 1, please"}),
    ],
)
def test_what_a_target_refuses_plainly_is_found_out(name: str, found: dict[str, str]) -> None:
    target = narrow_targets.FOUND_OUT[name]
    probed = probe(target)
    implied = {"own-k", "real-k"} if "any-k" in found else {"own-k", "one-k"} if "batch" in found else {"own-k"}
    assert {*target.claims} - {*probed.claims} - implied == {*found} - implied
    for claim, reason in found.items():
        assert probed.why_not(claim).startswith(f"found out: {reason}")
        assert reason in probed.note


def test_what_is_claimed_is_judged_even_if_it_is_refused() -> None:
    target = narrow_targets.FOUND_OUT["vectors_only"]
    only = ["rows_are_independent"]
    assert check(target, examples=3, only=only).counts["skipped"] == 1
    assert check(target.claiming("batch"), examples=3, only=only).counts["failed"] == 1


def test_a_target_that_answers_nothing_is_judged_on_everything() -> None:
    def broken(x: Any, k: Any) -> Any:
        raise RuntimeError("no")

    target = Target("broken", broken, vjp=broken)
    assert probe(target).claims == target.claims


def test_a_target_that_dies_when_it_is_probed_is_judged_all_the_same(tmp_path: Any) -> None:
    (tmp_path / "dies.py").write_text(
        "import os\ndef project(x, k):\n    if x.ndim > 1:\n        os._exit(3)\n    return x * 0 + k / x.size\n"
    )
    report = check(f"{tmp_path}/dies.py:project", examples=3, only=["total_is_k", "a_batch_is_untouched"])
    assert [result.outcome for result in report.results] == [Outcome.PASSED, Outcome.FAILED]
    assert "exit status 3" in report.failures[0].reason


def test_random_numbers_may_be_drawn() -> None:
    only = ["settings_of_numpy_stay_as_they_were", "total_is_k"]
    assert check(narrow_targets.random_pivots, only=only, budget="quick").counts["passed"] == 2
