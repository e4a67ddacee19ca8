"""The benchmark: its regimes and baselines, what it makes of good and bad targets, its reports. No time is asserted."""

import dataclasses
import json
import math
import time
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from hsproj_verify import Target
from hsproj_verify.bench.baselines import answers
from hsproj_verify.bench.contenders import BARE, SORT, Cell
from hsproj_verify.bench.outcomes import Outcome
from hsproj_verify.bench.regimes import DTYPES, FAMILIES, OPERATIONS, SHAPES, Regime, read_shape, regimes, sweep
from hsproj_verify.bench.results import Results
from hsproj_verify.bench.run import bench
from hsproj_verify.bench.table import page
from hsproj_verify.bench.timing import by_turns
from hsproj_verify.cli import main
from hsproj_verify.oracles import exact
from hsproj_verify.peers import sorting
from hsproj_verify.target import TargetError

SMALL = list(regimes(["3x6", "6x3,axis=0", "7", "6x2x2,axis=0", "2x2x6"], ["1", "50%"], ["gaussian", "adversarial"]))


def _outcomes(results: Results, who: str) -> set[Outcome]:
    return {figure.outcome for _, figure in results.figures() if figure.who == who}


def _quick(*targets: Target, **options: Any) -> Results:
    return bench(targets, SMALL, budget=0.0, **options)


# Regimes.


def _newton_steps(x: np.ndarray, k: int, tau: float) -> int:
    """Evaluations of plain Newton, t <- t + (sum clip(x - t, 0, tau) - k tau) / #free, with the saturated counted."""
    t, steps = float(np.mean(x, dtype=float)) - k * tau / x.size, 0
    while steps < 1000:
        free, saturated = (x > t) & (x < t + tau), np.sum(x >= t + tau)
        steps += 1
        if not free.any():
            break
        before, t = t, float((np.sum(x[free], dtype=float) - (k - saturated) * tau) / np.sum(free))
        if math.isclose(t, before, rel_tol=1e-15):
            break
    return steps


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
@pytest.mark.parametrize(("dtype", "times", "least"), [("float64", 2, 15), ("float32", 1.25, 8)])
def test_adversarial_scores_take_newton_several_times_the_steps_of_gaussian_ones(
    dtype: str, times: float, least: int, share: float
) -> None:
    k = max(1, round(share * 1000))
    ordinary, adversarial = (Regime((1000,), 0, k, scores, dtype) for scores in ("gaussian", "adversarial"))
    steps = _newton_steps(adversarial.draw()[0], k, adversarial.temperature)
    assert steps >= max(least, times * _newton_steps(ordinary.draw()[0], k, ordinary.temperature))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scores", FAMILIES)
def test_scores_are_finite_contiguous_and_the_same_every_time(scores: str, dtype: str) -> None:
    for dims, axis in map(read_shape, ("5x40", "40x5,axis=0", "40")):
        regime = Regime(dims, axis, 4, scores, dtype)
        x, g = regime.draw()
        assert (x.shape, g.shape, x.dtype, g.dtype) == (dims, dims, dtype, dtype)
        assert x.flags.c_contiguous
        assert np.isfinite(x).all()
        assert np.array_equal(x, regime.draw()[0])


def test_families_are_what_they_are_called() -> None:
    def rows(scores: str) -> np.ndarray:
        return Regime((20, 200), 1, 10, scores, "float64").draw()[0]

    assert np.unique(rows("ties")).size == 50
    assert np.unique(rows("constant")).size == 1
    assert (np.diff(rows("sorted")) >= 0).all()
    assert (np.sum(rows("outlier") == 1e9, axis=1) == 1).all()


def test_regimes_leave_out_totals_that_come_twice_or_decide_nothing() -> None:
    assert [r.k for r in regimes(["10"], ["1", "1%", "10%", "50%", "10"], ["gaussian"], ["float64"])] == [1, 5]
    assert {r.name for r in regimes()} == set(SHAPES)


def test_the_sweep_goes_from_10_to_the_largest_length() -> None:
    lengths = [regime.n for regime in sweep(1000, ["float32"])]
    assert lengths == [10, 32, 100, 316, 1000]


# Baselines.


@pytest.mark.parametrize("scores", FAMILIES)
def test_the_reference_is_right(scores: str) -> None:
    for regime in regimes(["2x30", "30"], ["1", "10%", "50%"], [scores]):
        cell = Cell.of(regime)
        for x, p, g, gradient in zip(
            regime.to_rows(cell.x), cell.p, regime.to_rows(cell.g), cell.gradient, strict=True
        ):
            truth = exact.solve(x.tolist(), regime.k, regime.temperature)
            assert np.allclose(p, [float(entry) for entry in truth.p], rtol=0, atol=1e-9)
            assert np.allclose(gradient, [float(entry) for entry in truth.vjp(g.tolist())], rtol=1e-6, atol=1e-6)


def test_the_reference_sets_nothing_free_at_a_vertex() -> None:
    # The greatest score is 1.7 above two tied ones, more than the temperature: p is a vertex, and the vjp is 0.
    # Interpolated from the breakpoint before, -0.128..., the threshold would end below them.
    x = np.array([[0.09401229776087457, 0.09401229776087457, 1.801634869866125, -0.12853466294403426]])
    g = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert not answers(x, 1, g, 1.5)[2].any()


@pytest.mark.parametrize("regime", SMALL, ids=str)
def test_the_bare_pass_gives_the_projection_since_it_knows_the_threshold(regime: Regime) -> None:
    cell = Cell.of(regime)
    for contender in cell.baselines(reused=True):
        if (contender.who, contender.operation) == (BARE, "forward"):
            assert np.allclose(regime.to_rows(contender.call()), cell.p, rtol=0, atol=1e-5)
        elif (contender.who, contender.operation) == (BARE, "vjp"):
            g = regime.to_rows(cell.g)
            assert np.allclose(regime.to_rows(contender.call()), g - g.mean(axis=1, keepdims=True), rtol=0, atol=1e-5)


def test_contenders_take_turns_each_in_another_order() -> None:
    called: list[str] = []

    def call(name: str) -> Any:
        return lambda: (called.append(name), time.sleep(1e-3))

    names = ["first", "second", "third"]
    timings = by_turns([call(name) for name in names], budget=0.0)
    assert len({timing.samples for timing in timings}) == 1
    turns = [called[i : i + 3] for i in range(3, len(called), 3)]  # after the calls that say how long each takes
    assert all(sorted(turn) == names for turn in turns)
    assert len(set(map(tuple, turns))) > 1


# Targets.


def _solve(x: np.ndarray, k: float) -> Any:
    return lambda g: sorting.vjp(x, k, g)


def test_a_right_target_is_measured_in_every_operation_and_regime() -> None:
    results = _quick(dataclasses.replace(sorting.target, solve=_solve))
    assert _outcomes(results, "sorting") == {Outcome.MEASURED}
    for cell in results.cells:
        for operation in OPERATIONS:
            assert cell.to_sort("sorting", operation) > 0
            assert cell.to_bare("sorting", operation) > 0
        assert cell.to_sort(SORT, "forward") == 1


def test_a_wrong_answer_is_marked_and_has_no_ratio() -> None:
    def half(x: np.ndarray, k: float) -> np.ndarray:
        return np.full_like(x, k / x.shape[-1])

    results = _quick(Target("wrong", half), operations=["forward"])
    assert _outcomes(results, "wrong") == {Outcome.INACCURATE}
    assert all(math.isnan(cell.to_sort("wrong", "forward")) for cell in results.cells)
    assert "wrong by" in page(results)


def test_an_error_costs_the_cell_and_no_other_target() -> None:
    def picky(x: np.ndarray, k: float) -> Any:
        if x.ndim > 1:
            raise ValueError("only | a vector")
        return sorting.project(x, k)

    results = _quick(Target("picky", picky), sorting.target)
    assert _outcomes(results, "picky") == {Outcome.FAILED, Outcome.MEASURED}
    assert _outcomes(results, "sorting") == {Outcome.MEASURED}
    assert r"ValueError: only \| a vector" in page(results)


def test_an_error_while_timing_is_recorded() -> None:
    calls = []

    def tired(x: np.ndarray, k: float) -> Any:
        calls.append(x.size)
        if calls.count(18) > 3:
            raise SystemExit("enough")
        return sorting.project(x, k)

    results = bench([Target("tired", tired)], SMALL[:2], budget=0.0)
    assert _outcomes(results, "tired") == {Outcome.FAILED}


def test_a_wrong_shape_is_an_error() -> None:
    results = _quick(Target("short", lambda x, k: sorting.project(x, k)[..., :-1]), operations=["forward"])
    assert _outcomes(results, "short") == {Outcome.FAILED}


def test_what_takes_too_long_is_skipped_with_the_reason() -> None:
    def slow(x: np.ndarray, k: float) -> np.ndarray:
        time.sleep(x.shape[0] / 1000)
        return sorting.project(x, k)

    regime = Regime((64, 5), 1, 1, "gaussian", "float64")
    ((_, figure),) = (
        (c, f) for c, f in bench([Target("slow", slow)], [regime], limit=0.05).figures() if f.who == "slow"
    )
    assert figure.outcome is Outcome.SKIPPED
    assert figure.reason.startswith("over the limit: about 0.0")


def test_what_turns_out_to_take_too_long_keeps_its_only_sample() -> None:
    def slow(x: np.ndarray, k: float) -> np.ndarray:
        time.sleep(0.02 * (x.shape[0] == 64))  # nothing to see in smaller ones
        return sorting.project(x, k)

    regime = Regime((64, 5), 1, 1, "gaussian", "float64")
    ((_, figure),) = (
        (c, f) for c, f in bench([Target("slow", slow)], [regime], limit=0.05).figures() if f.who == "slow"
    )
    assert figure.outcome is Outcome.MEASURED
    assert figure.timing is not None
    assert figure.timing.samples == 1


def test_a_first_call_that_compiles_is_not_taken_for_a_slow_target() -> None:
    first = [True]

    def compiling(x: np.ndarray, k: float) -> np.ndarray:
        if x.shape[0] == 64 and first:  # nothing to compile for smaller ones
            time.sleep(0.2 * first.pop())
        return sorting.project(x, k)

    regime = Regime((64, 5), 1, 1, "gaussian", "float64")
    results = bench([Target("compiling", compiling)], [regime], operations=["forward"], limit=0.1, budget=0.0)
    ((_, figure),) = ((c, f) for c, f in results.figures() if f.who == "compiling")
    assert figure.timing is not None
    assert figure.timing.samples > 1
    assert figure.timing.median < 0.1


def test_targets_get_the_temperature_and_the_axis_if_they_take_them_and_else_what_makes_up_for_it() -> None:
    calls: list[tuple[tuple[int, ...], dict[str, Any]]] = []

    def knows(x: np.ndarray, k: float, *, temperature: float, axis: int = -1) -> np.ndarray:
        calls.append((x.shape, {"temperature": temperature, "axis": axis}))
        return np.moveaxis(sorting.project(np.moveaxis(x, axis, -1) / temperature, k), -1, axis)

    def plain(x: np.ndarray, k: float) -> np.ndarray:
        calls.append((x.shape, {}))
        return sorting.project(x, k)

    regime = Regime((6, 3), 0, 2, "gaussian", "float64")
    for function in (knows, plain):
        results = bench([Target("t", function)], [regime], operations=["forward"], budget=0.0)
        assert _outcomes(results, "t") == {Outcome.MEASURED}
    assert ((6, 3), {"temperature": 1.5, "axis": 0}) in calls
    assert ((3, 6), {}) in calls
    assert results.targets["t"]["temperature"] == "divided out beforehand"


def test_a_target_that_takes_out_is_also_measured_with_an_array_used_again() -> None:
    def project(x: np.ndarray, k: float, out: np.ndarray | None = None) -> np.ndarray:
        return np.positive(sorting.project(x, k), out=out)

    results = _quick(Target("t", project))
    assert all(cell.to_bare("t", "forward", reused=True) > 0 for cell in results.cells)
    assert "output reused" in page(results)


def test_a_combined_call_is_used_and_checked() -> None:
    def both(x: np.ndarray, k: float, g: np.ndarray) -> Any:
        return sorting.project(x, k), g

    results = _quick(dataclasses.replace(sorting.target, project_and_vjp=both), operations=["forward+vjp"])
    assert _outcomes(results, "sorting") == {Outcome.INACCURATE}
    assert results.targets["sorting"]["forward+vjp"] == "one call"


def test_a_pullback_is_that_of_a_problem_solved_once() -> None:
    solved = []

    class Solution:
        def __init__(self, x: np.ndarray, k: float) -> None:
            solved.append(x.shape)
            self.vjp = _solve(x, k)

    def timed(solve: Any) -> Results:
        return bench([dataclasses.replace(sorting.target, solve=solve)], SMALL[:1], operations=["pullback"], budget=0.0)

    results = timed(Solution)
    assert _outcomes(results, "sorting") == {Outcome.MEASURED}
    ((_, figure),) = ((c, f) for c, f in results.figures() if f.who == "sorting")
    assert figure.timing is not None
    assert figure.timing.samples > solved.count(SMALL[0].dims) == 1  # others are parts of it, for an estimate
    assert results.targets["sorting"]["pullback"]
    assert _outcomes(timed(lambda x, k: lambda g: g), "sorting") == {Outcome.INACCURATE}
    assert _outcomes(timed(lambda x, k: 1 / 0), "sorting") == {Outcome.FAILED}


# Reports.


def _schema() -> Any:
    return json.loads(resources.files("hsproj_verify").joinpath("bench.schema.json").read_text())


def test_an_interruption_leaves_a_report_that_says_so() -> None:
    def interrupting(x: np.ndarray, k: float) -> np.ndarray:
        if x.ndim == 1:
            raise KeyboardInterrupt
        return sorting.project(x, k)

    results = _quick(Target("t", interrupting), keep_on_interrupt=True)
    assert not results.complete
    assert 0 < len(results.cells) < len(SMALL)
    assert "Incomplete" in page(results)
    jsonschema.validate(results.to_dict(), _schema())
    with pytest.raises(KeyboardInterrupt):
        _quick(Target("t", interrupting))


def test_the_command_writes_the_files_it_is_asked_for(tmp_path: Path) -> None:
    files = {name: tmp_path / f"results.{name}" for name in ("json", "md", "svg")}
    call = "bench hsproj_verify.peers.sorting:target hsproj:soft_binary_argmax --shape 4x9 --k 2 --scores gaussian"
    call += (
        f" --dtype float32 --limit 50 --largest 10 --json {files['json']} --table {files['md']} --figure {files['svg']}"
    )
    assert main(call.split()) == 0
    read = json.loads(files["json"].read_text())
    jsonschema.validate(read, _schema())
    assert list(read["targets"]) == ["hsproj_verify.peers.sorting:target", "hsproj:soft_binary_argmax"]
    assert [(cell["shape"], cell["k"], cell["dtype"]) for cell in read["cells"]] == [("4x9", 2, "float32")]
    assert {"numpy", "hsproj", "python"} <= read["machine"]["versions"].keys()
    text = files["md"].read_text()
    assert read["command"] in text
    assert "## Beside each other" in text
    assert "<svg" in files["svg"].read_text()


def test_the_page_goes_to_standard_output_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["bench", "--shape", "8", "--k", "1", "--scores", "ties", "--dtype", "float64", "--operation", "vjp"]
    assert main(call) == 0
    out = capsys.readouterr().out
    assert "| hsproj:soft_binary_argmax | vjp | float64 | 1 of 1 |" in out


def test_a_target_that_is_never_right_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "numpy:linspace", "--shape", "8", "--k", "1", "--scores", "ties"]) == 1
    assert "0 of 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["numpy:no_such_function"], "has no"),
        (["--vjp", "numpy:pi"], "not callable"),
        (["--project-and-vjp", "numpy:pi"], "not callable"),
        (["--shape", "4*9"], "a shape reads like"),
        (["--shape", "4x9,axis=2"], "a shape reads like"),
        (["--shape", "4x9x3,axis=1"], "a shape reads like"),
        (["--k", "101%"], "a total reads like"),
        (["--threads", "0"], "--threads must be at least 1"),
        (["--table", "results.html"], "must end in .md"),
        (["--figure", "no/such/folder/results.png"], "can't write no/such/folder/results.png"),
    ],
)
def test_wrong_call_exits_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(TargetError, match="operations"):
        _quick(sorting.target, operations=["backward"])
