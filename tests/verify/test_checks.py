"""The judge catches wrong implementations by the check meant for them."""

import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hsproj_verify import Target, check
from hsproj_verify.checks import CHECKS
from hsproj_verify.oracles import exact
from hsproj_verify.target import TargetError
from right import RIGHT
from right._operator import rows
from right.rationals import solve as by_definition

Array = np.ndarray


def by_rationals(x: Array, k: float, tau: float) -> Array:
    return by_definition(x, k, tau).p


def exact_vjp(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    return np.array([float(v) for v in exact.solve(x.tolist(), float(k), temperature).vjp(g.tolist())], x.dtype)


# Wrong implementations


def _altered(change: Callable[[Array, float, float], Array]) -> Callable[..., Array]:
    return rows(change)


def clip_then_rescale(x: Array, k: float, tau: float) -> Array:
    p = np.clip(x / tau, 0, 1)
    return np.clip(p * k / max(p.sum(), 1e-9), 0, 1)


def at_most_k(x: Array, k: float, tau: float) -> Array:
    p = np.clip(x / tau, 0, 1)
    return p if p.sum() <= k else by_rationals(x, k, tau)


def softmax_times_k(x: Array, k: float, tau: float) -> Array:
    e = np.exp(x / tau - (x / tau).max())
    return k * e / e.sum()


def projects_half(x: Array, k: float, tau: float) -> Array:
    return by_rationals(x, k, 2 * tau)


def forgets_the_temperature(x: Array, k: float, tau: float) -> Array:
    return by_rationals(x, k, 1.0)


def truncates_k(x: Array, k: float, tau: float) -> Array:
    return by_rationals(x, float(int(k)), tau)


def thirty_steps(x: Array, k: float, tau: float) -> Array:
    z = x.astype(np.longdouble) - x.max()
    low, high = z.min() - tau, z.max()
    for _ in range(30):
        middle = (low + high) / 2
        enough = np.clip((z - middle) / tau, 0, 1).sum() >= k
        low, high = (middle, high) if enough else (low, middle)
    return np.clip((z - (low + high) / 2) / tau, 0, 1).astype(x.dtype)


def off_by_one_at_ties(x: Array, k: float, tau: float) -> Array:
    """Hard top-k whenever the k-th and the next score are within tau: right only at vertices."""
    p = by_rationals(x, k, tau)
    if len(set(x.tolist())) == len(x):
        return p
    out = np.zeros_like(x)
    out[np.argsort(-x, kind="stable")[: int(k)]] = 1
    return out


def threshold_as_one_float(x: Array, k: float, tau: float) -> Array:
    sol = exact.solve(x.tolist(), k, tau)
    theta = sol.threshold
    return np.clip((x - x.dtype.type(float(theta))) / tau, 0, 1)


def in_float32(x: Array, k: float, tau: float) -> Array:
    return by_rationals(x, k, tau).astype(np.float32).astype(x.dtype)


def divides_by_zero(x: Array, k: float, tau: float) -> Array:
    np.float64(1.0) / np.float64(len(exact.solve(x.tolist(), k, tau).free))
    return by_rationals(x, k, tau)


def sorted_answer(x: Array, k: float, tau: float) -> Array:
    return np.sort(by_rationals(x, k, tau))[::-1]


def in_place(x: Array, k: Any, temperature: float = 1.0) -> Array:
    out = RIGHT["rationals"].project(x, k, temperature=temperature)
    x[...] = out
    return x


def across_the_batch(x: Array, k: Any, temperature: float = 1.0) -> Array:
    project = RIGHT["rationals"].project
    if np.ndim(x) == 1:
        return project(x, k, temperature=temperature)
    return project(x, np.full(np.shape(x)[:-1], np.ravel(k)[0]), temperature=temperature)


def swallows_nan(x: Array, k: Any, temperature: float = 1.0) -> Array:
    x = np.asarray(x)
    return RIGHT["rationals"].project(np.nan_to_num(x) if x.dtype.kind == "f" else x, k, temperature=temperature)


def batch_nan_spreads(x: Array, k: Any, temperature: float = 1.0) -> Array:
    out = RIGHT["rationals"].project(x, k, temperature=temperature)
    return out if np.isfinite(out).all() else np.full_like(out, np.nan)


def truncates_integers(x: Array, k: Any, temperature: float = 1.0) -> Array:
    return RIGHT["rationals"].project(x, k, temperature=temperature).astype(np.asarray(x).dtype)


def accepts_anything(x: Array, k: Any, temperature: float = 1.0) -> Array:
    try:
        return RIGHT["rationals"].project(x, k, temperature=temperature)
    except Exception:
        return np.zeros(np.shape(x))


class Remembers:
    """Caches by shape."""

    def __init__(self) -> None:
        self.seen: dict[Any, Array] = {}

    def __call__(self, x: Array, k: Any, temperature: float = 1.0) -> Array:
        key = np.shape(x), np.ravel(k).tolist()[0], temperature
        if key not in self.seen:
            self.seen[key] = RIGHT["rationals"].project(x, k, temperature=temperature)
        return self.seen[key].copy()


class Restless:
    """Another last bit now and then, as a parallel sum in no fixed order has."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, x: Array, k: Any, temperature: float = 1.0) -> Array:
        p = RIGHT["rationals"].project(x, k, temperature=temperature)
        return np.nextafter(p, p.dtype.type(0.5)) if self.rng.random() < 0.5 else p


def changes_totals(x: Array, k: Any, temperature: float = 1.0) -> Array:
    out = RIGHT["rationals"].project(x, k, temperature=temperature)
    if np.ndim(k):
        k += 1
    return out


def wide_batches(x: Array, k: Any, temperature: float = 1.0) -> Array:
    out = RIGHT["rationals"].project(x, k, temperature=temperature)
    return out.astype(np.float64) if np.ndim(x) > 1 else out


def wants_ints(x: Array, k: Any, temperature: float = 1.0) -> Array:
    if k == int(k) and not isinstance(k, int):
        raise TypeError("k must be an int")
    return RIGHT["rationals"].project(x, k, temperature=temperature)


class Reuses:
    """Hands out its own buffer."""

    def __init__(self) -> None:
        self.buffers: dict[Any, Array] = {}

    def __call__(self, x: Array, k: Any, temperature: float = 1.0) -> Array:
        out = RIGHT["rationals"].project(x, k, temperature=temperature)
        buffer = self.buffers.setdefault((out.shape, out.dtype), out)
        buffer[...] = out
        return buffer


def itself_if_feasible(x: Array, k: Any, temperature: float = 1.0) -> Array:
    out = RIGHT["rationals"].project(x, k, temperature=temperature)
    return x if np.array_equal(out, x) else out


def only_short_rows(x: Array, k: float, tau: float) -> Array:
    return by_rationals(x, k, tau) if x.size <= 12 else np.full_like(x, k / x.size)


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("clips and rescales", _altered(clip_then_rescale), "accurate_on_ordinary_scores"),
    ("total at most k", _altered(at_most_k), "total_is_k"),
    ("softmax times k", _altered(softmax_times_k), "entries_lie_in_the_unit_interval"),
    ("projects x / 2", _altered(projects_half), "one_threshold_explains_every_entry"),
    ("forgets the temperature", _altered(forgets_the_temperature), "scaling_scores_and_temperature_changes_nothing"),
    ("truncates k", _altered(truncates_k), "accurate_at_extreme_totals"),
    ("thirty bisection steps", _altered(thirty_steps), "accurate_on_ordinary_scores"),
    ("hard at ties", _altered(off_by_one_at_ties), "equal_scores_get_equal_p"),
    ("threshold as one float", _altered(threshold_as_one_float), "accurate_with_a_huge_offset"),
    ("computes in float32", _altered(in_float32), "accurate_on_tied_scores"),
    ("forgets to unsort", _altered(sorted_answer), "permuting_scores_permutes_p"),
    ("works in place", in_place, "input_is_untouched"),
    ("first k for all rows", across_the_batch, "rows_are_independent"),
    ("swallows NaN", swallows_nan, "a_bad_row_costs_no_other_row"),
    ("NaN spreads", batch_nan_spreads, "a_bad_row_costs_no_other_row"),
    ("truncates integers", truncates_integers, "integer_scores_are_promoted"),
    ("accepts anything", accepts_anything, "bad_input_is_refused"),
    ("remembers", Remembers(), "permuting_scores_permutes_p"),
    ("restless", Restless(), "the_same_call_gives_the_same_bits"),
    ("returns None", lambda x, k: None, "total_is_k"),
    ("returns a scalar", lambda x, k: 0.5, "total_is_k"),
    ("returns strings", lambda x, k: x.astype(str), "total_is_k"),
    ("raises", lambda x, k: 1 / 0, "total_is_k"),
    ("returns float64 for float32", lambda x, k: rows(by_rationals)(x, k).astype(np.float64), "dtype_is_kept"),
    ("returns NaN", lambda x, k: np.full(x.shape, np.nan), "entries_lie_in_the_unit_interval"),
    ("exits", lambda x, k: sys.exit(0), "total_is_k"),
    ("returns ragged lists", lambda x, k: [1.0, [2.0]], "dtype_is_kept"),
    ("returns complex numbers", lambda x, k: rows(by_rationals)(x, k) + 0j, "total_is_k"),
    ("returns huge integers", lambda x, k: [10**400] * len(x), "total_is_k"),
    ("returns masked arrays", lambda x, k: np.ma.array(rows(by_rationals)(x, k)), "total_is_k"),
    ("the identity against its complement", lambda x, k: x * 1.0, "complement_is_the_projection_of_the_negated_scores"),
    ("infinite", lambda x, k: np.full(x.shape, np.inf), "projecting_twice_changes_nothing"),
    ("wrong on long rows", _altered(only_short_rows), "accurate_on_long_rows"),
    ("changes the totals", changes_totals, "a_batch_is_untouched"),
    ("float64 for float32 batches", wide_batches, "dtype_of_a_batch_is_kept"),
    ("whole totals as ints only", wants_ints, "a_whole_total_may_come_as_a_float"),
    ("reuses its buffer", Reuses(), "earlier_answers_stay_as_they_were"),
    ("hands back its input", itself_if_feasible, "earlier_answers_stay_as_they_were"),
]


@pytest.mark.parametrize(("function", "name"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_projection_is_caught_by_the_check_meant_for_it(function: Callable[..., Any], name: str) -> None:
    report = check(Target("wrong", function, origin="function = ..."), only=[name])
    (result,) = report.results
    assert report.verdict == "fail", report.headline
    assert result.witness is not None
    assert "x = np.array(" in result.witness.code


def _masks_from_output(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    """Blocks of equal output taken as free, saturated ones included: what PAV codes do."""
    p = by_rationals(x, float(k), temperature)
    out = np.zeros_like(g)
    for value in set(p.tolist()):
        block = p == value
        out[block] = (g[block] - g[block].mean()) / temperature
    return out


def _times_tau(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    return exact_vjp(x, k, g, temperature) * temperature


def _into_the_cotangent(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    g[...] = exact_vjp(x, k, g, temperature)
    return g


VJPS: list[tuple[str, Callable[..., Any], str]] = [
    ("tied saturated scores taken as free", _masks_from_output, "vjp_vanishes_at_tied_saturated_scores"),
    ("identity", lambda x, k, g: g, "vjp_sums_to_zero"),
    ("zero", lambda x, k, g: np.zeros_like(g), "vjp_agrees_with_finite_differences"),
    ("not divided by tau", _times_tau, "vjp_matches_the_exact_jacobian"),
    ("centres over all", lambda x, k, g: g - g.mean(), "vjp_matches_the_exact_jacobian"),
    ("raises", lambda x, k, g: 1 / 0, "vjp_sums_to_zero"),
    ("returns NaN", lambda x, k, g: np.full_like(g, np.nan), "vjp_matches_the_exact_jacobian"),
    ("zero on long rows", lambda x, k, g: exact_vjp(x, k, g) * (len(g) < 13), "vjp_is_right_on_long_rows"),
    ("writes into g", _into_the_cotangent, "vjp_leaves_scores_and_cotangent_untouched"),
]


@pytest.mark.parametrize(("vjp", "name"), [w[1:] for w in VJPS], ids=[w[0] for w in VJPS])
def test_wrong_vjp_is_caught_by_the_check_meant_for_it(vjp: Callable[..., Any], name: str) -> None:
    project = RIGHT["rationals"].project if name == "vjp_matches_the_exact_jacobian" else rows(by_rationals)
    report = check(Target("wrong", project, vjp), only=[name])
    assert report.verdict == "fail", report.headline


def test_every_check_is_shown_to_fail_by_some_wrong_implementation() -> None:
    shown = {name for *_, name in WRONG} | {name for *_, name in VJPS}
    # These are failed by several of the above too; the matrix mutant x check is left to a later, larger suite.
    implied = {
        "every_entry_is_the_nearest_float",
        "accurate_on_saturated_ties",
        "accurate_near_kinks",
        "accurate_at_huge_scales",
        "accurate_in_float32",
        "accurate_on_long_rows",
        "agrees_with_cvxpy",
        "order_is_preserved",
        "adding_a_constant_leaves_p_unchanged",
        "complement_is_the_projection_of_the_negated_scores",
        "projecting_twice_changes_nothing",
        "moves_no_further_than_the_scores",
        "masked_scores_drop_out",
        "memory_layout_does_not_matter",
        "ordinary_calls_give_no_warning",
    }
    # The examples that checks bring themselves are tested in test_examples.py.
    assert shown | implied <= set(CHECKS)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("accurate_on_saturated_ties", projects_half),
        ("accurate_near_kinks", projects_half),
        ("accurate_at_huge_scales", clip_then_rescale),
        ("accurate_in_float32", projects_half),
        ("accurate_on_long_rows", thirty_steps),
        ("agrees_with_cvxpy", projects_half),
        ("order_is_preserved", lambda x, k, tau: by_rationals(-x, k, tau)),
        ("adding_a_constant_leaves_p_unchanged", clip_then_rescale),
        ("complement_is_the_projection_of_the_negated_scores", clip_then_rescale),
        ("projecting_twice_changes_nothing", projects_half),
        ("moves_no_further_than_the_scores", lambda x, k, tau: by_rationals(x, k, tau / 4)),
        ("masked_scores_drop_out", lambda x, k, tau: by_rationals(np.nan_to_num(x, neginf=-1.0), k, tau)),
        ("ordinary_calls_give_no_warning", divides_by_zero),
        ("memory_layout_does_not_matter", lambda x, k, tau: by_rationals(np.frombuffer(x.data, x.dtype), k, tau)),
    ],
)
def test_remaining_checks_fail_on_an_implementation_that_breaks_them(name: str, function: Any) -> None:
    report = check(Target("wrong", rows(function)), only=[name])
    assert report.verdict == "fail", report.headline


def test_failure_is_shrunk_to_a_plain_witness_that_pastes() -> None:
    target = Target("wrong", rows(projects_half), origin="from somewhere import function")
    (result,) = check(target, only=["accurate_on_ordinary_scores"]).results
    assert result.witness is not None
    lines = result.witness.code.splitlines()
    assert lines[:2] == ["import numpy as np", "from somewhere import function"]
    scope: dict[str, Any] = {"function": target.project, "np": np}
    exec(lines[2], scope)
    x = scope["x"]
    assert x.size <= 3
    came = eval(lines[3], scope)
    assert repr(came.tolist()) in result.witness.came.replace("np.array(", "")
    call = lines[3].removeprefix("function(x, ").removesuffix(")").split(", temperature=")
    truth = exact.solve(x.tolist(), float(call[0]), float(call[1]) if len(call) > 1 else 1.0).p
    shown = [Fraction(v) for v in result.witness.exact.strip("[]").split(", ")]
    assert [float(s) for s in shown] == [float(t) for t in truth]


def test_a_function_without_temperature_for_its_vjp_is_judged_at_temperature_one() -> None:
    project = RIGHT["rationals"].project
    report = check(
        Target("right", project, lambda x, k, g: exact_vjp(x, k, g)), only=["vjp_matches_the_exact_jacobian"]
    )
    assert report.verdict == "pass", report.headline


def test_a_required_temperature_is_always_given() -> None:
    project = RIGHT["rationals"].project
    report = check(lambda x, k, temperature: project(x, k, temperature=temperature), only=["total_is_k"])
    assert report.verdict == "pass", report.headline


def test_other_arguments_by_name_are_no_claim_to_a_temperature() -> None:
    project = rows(by_rationals)
    target = Target("right", lambda x, k, **options: project(x, k, **options))
    assert "temperature" not in target.claims


def test_witness_of_a_strided_array_makes_it_strided() -> None:
    def wants_contiguous(x: Array, k: Any) -> Array:
        if not x.flags.c_contiguous:
            raise ValueError("not contiguous")
        return rows(by_rationals)(x, k)

    (result,) = check(Target("narrow", wants_contiguous), only=["memory_layout_does_not_matter"]).results
    assert result.witness is not None
    *setup, call = result.witness.code.splitlines()
    scope: dict[str, Any] = {"function": wants_contiguous}
    exec("\n".join(setup), scope)
    with pytest.raises(ValueError, match="not contiguous"):
        eval(call, scope)
    without = Target("narrow", wants_contiguous).without("layouts")
    assert check(without, only=["memory_layout_does_not_matter"]).counts["skipped"] == 1


def test_an_interrupted_run_reports_what_it_found_if_asked_to() -> None:
    calls = 0

    def interrupted(x: Array, k: Any) -> Array:
        nonlocal calls
        calls += 1
        if calls > 300:
            raise KeyboardInterrupt
        return rows(by_rationals)(x, k)

    names = ["entries_lie_in_the_unit_interval", "total_is_k", "order_is_preserved"]
    report = check(interrupted, only=names, keep_on_interrupt=True)
    assert [r.outcome.value for r in report.results] == ["passed", "failed", "skipped"]
    assert report.verdict == "fail"
    calls = 300
    with pytest.raises(KeyboardInterrupt):
        check(interrupted, only=names)


def test_rounding_is_judged_where_it_is_claimed() -> None:
    name = "every_entry_is_the_nearest_float"
    scan = RIGHT["sorted scan"]
    assert check(scan, only=[name]).counts["skipped"] == 1
    report = check(scan.claiming("rounded"), only=[name])
    assert report.verdict == "fail"  # extended precision, rounded once more, is not enough at midpoints
    assert check(Target("right", rows(by_rationals)).claiming("rounded"), only=[name]).verdict == "pass"


def test_a_function_may_say_what_it_claims() -> None:
    def project(x: Array, k: Any) -> Array: ...

    assert "rounded" not in Target("p", project).claims
    project.hsproj_verify_claims = ["rounded"]  # type: ignore[attr-defined]
    assert "rounded" in Target("p", project).claims
    project.hsproj_verify_claims = ["perfect"]  # type: ignore[attr-defined]
    with pytest.raises(TargetError, match="unknown claims"):
        Target("p", project)


@pytest.mark.parametrize("entries", [[1.5e308, 1.5e308, 0.0], [np.inf, -np.inf, 0.0], [np.nan, 0.0, 0.0]])
def test_numbers_whose_sum_is_no_float_are_a_failure_not_an_error(entries: list[float]) -> None:
    def wrong(x: np.ndarray, *rest: Any, temperature: float = 1.0) -> np.ndarray:
        return np.resize(entries, x.shape).astype(x.dtype)

    target = Target("overflows", wrong, vjp=wrong, loss_and_grad=lambda x, *rest: (0.0, wrong(x))).without("batch")
    only = ["total_is_k", "vjp_sums_to_zero", "loss_gradient_sums_to_zero"]
    assert check(target, only=only, examples=10, shrink=False).counts["failed"] == 3
