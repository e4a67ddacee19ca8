"""What project_box and solve_box return and refuse: by the exact oracle, invariants, edges, dtypes, errors."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import array_api_strict
import numpy as np
import pytest
from boxes import FAMILIES, boxes
from hypothesis import given, settings
from hypothesis import strategies as st

import hsproj
import hsproj._box
from hsproj_verify.oracles import box, exact

RNG = np.random.default_rng(11)
X = (-0.5, 0.25, 2.0, 2.0, 7.0, -3.0)
few = settings(max_examples=50, deadline=None)


def test_is_the_clip_of_the_scores_at_the_threshold() -> None:
    w, low, high = RNG.uniform(0.5, 2, (3, 6)) * [[1], [-1], [1]]
    sol = hsproj.solve_box(X, 1.5, lower=low, upper=high, weights=w)
    np.testing.assert_allclose(sol.p, np.clip(np.array(X) - sol.threshold * w, low, high), atol=8 * 2.0**-52)
    assert math.fsum(w * sol.p) == pytest.approx(1.5, abs=16 * 2.0**-52)


def test_every_field_of_a_case_by_hand() -> None:
    # theta = 3/8: 2 (1 - 2 theta) + (1/2 - theta) = 5/8. The last entry is fixed.
    sol = hsproj.solve_box([1, 0.5, -1, 9], 0.625, lower=[0, 0, 0, 0], upper=[2, 2, 2, 0], weights=[2, 1, 1, 1])
    assert sol.p.tolist() == [0.25, 0.125, 0, 0]
    assert (sol.threshold, bool(sol.is_differentiable)) == (0.375, True)
    assert sol.free.tolist() == [True, True, False, False]
    assert sol.at_lower.tolist() == [False, False, True, True]
    assert sol.at_upper.tolist() == [False, False, False, True]
    np.testing.assert_allclose(sol.vjp([1, 0, 7, np.nan]), [0.2, -0.4, 0, 0], rtol=4 * 2.0**-52)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@few
def test_sets_and_roundings_are_those_of_the_exact_answer(family: str, dtype: str, data: st.DataObject) -> None:
    problem = data.draw(boxes(family, dtype))
    sol = hsproj.solve_box(problem.x, problem.total, **problem.options)
    try:
        truth = problem.exact()
    except exact.NoAnswerError:
        assert np.isnan([*sol.p, sol.threshold]).all()
        return
    wide = "float32" if dtype == "float16" else dtype  # whose answer is rounded once more
    with np.errstate(over="ignore", under="ignore"):
        p = np.array([exact.round_to(value, wide) for value in truth.p]).astype(dtype)
        theta = truth.threshold
        expected = np.float64(theta) if isinstance(theta, float) else exact.round_to(theta, wide)
        assert sol.threshold == expected.astype(dtype)
    np.testing.assert_array_equal(sol.p, p)
    assert not np.signbit(sol.p[sol.p == 0]).any()
    for name in ("free", "at_lower", "at_upper"):
        assert tuple(np.flatnonzero(getattr(sol, name))) == getattr(truth, name)
    assert bool(sol.is_differentiable) == truth.is_differentiable
    np.testing.assert_array_equal(hsproj.project_box(problem.x, problem.total, **problem.options), sol.p)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("family", ["ordinary", "tied", "offset", "unbounded", "scales"])
@given(data=st.data())
@few
def test_products_with_the_jacobian_are_within_their_bound(family: str, dtype: str, data: st.DataObject) -> None:
    problem = data.draw(boxes(family, dtype))
    sol = hsproj.solve_box(problem.x, problem.total, **problem.options)
    v = np.array(data.draw(st.lists(st.floats(-4, 4), min_size=problem.x.size, max_size=problem.x.size)), dtype)
    eps, tiny = (Fraction(float(getattr(np.finfo(dtype), name))) for name in ("eps", "smallest_subnormal"))
    for came, expected, entry in zip(sol.jvp(v).tolist(), problem.exact().jvp(v.tolist()), v.tolist(), strict=True):
        size = abs(Fraction(entry)) + abs(Fraction(entry) - expected)
        assert abs(Fraction(came) - expected) <= 4 * eps * size + 4 * tiny


@pytest.mark.parametrize("constraint", ["eq", "le"])
def test_jvp_is_the_difference_quotient_where_p_is_differentiable(constraint: Any) -> None:
    x, v = RNG.normal(size=(2, 200, 9))
    options: dict[str, Any] = {
        "lower": -RNG.uniform(0, 1, 9),
        "upper": RNG.uniform(0, 1, (200, 9)),
        "weights": RNG.uniform(0.5, 2, 9),
        "constraint": constraint,
    }
    h = 2.0**-20
    sol, near, far = (hsproj.solve_box(x + s * h * v, 0.5, **options) for s in (0, 2, -2))
    same = ((near.free == sol.free) & (far.free == sol.free)).all(axis=1)  # no kink on the way
    assert same.sum() > 190
    assert sol.is_differentiable.all()
    p, q = (hsproj.project_box(x + s * h * v, 0.5, **options) for s in (1, -1))
    np.testing.assert_allclose(sol.jvp(v)[same], ((p - q) / (2 * h))[same], atol=1e-9)


def test_jacobian_is_symmetric() -> None:
    sol = hsproj.solve_box(X, 3, weights=[1, 2, 1, 0.5, 3, 1], upper=2)
    jacobian = np.array([sol.jvp(e) for e in np.eye(6)])
    np.testing.assert_allclose(jacobian, jacobian.T, atol=2.0**-52)
    np.testing.assert_array_equal(sol.jvp(X), sol.vjp(X))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_default_bounds_give_the_bits_of_project_on_either_path(dtype: str) -> None:
    for x in (RNG.normal(size=(50, 9)), RNG.integers(-4, 5, (50, 9)) / 4, 1e4 + RNG.normal(size=(50, 9))):
        rows, k = x.astype(dtype), RNG.integers(0, 19, 50) / 2
        expected = hsproj.solve(rows, k)
        short, general = (hsproj.solve_box(rows, k, upper=upper) for upper in (1, np.ones(9)))
        for sol in (short, general):
            np.testing.assert_array_equal(sol.p, hsproj.project(rows, k))
            np.testing.assert_array_equal(sol.threshold, expected.threshold)
            np.testing.assert_array_equal(sol.is_differentiable, expected.is_differentiable)
            for ours, theirs in (("free", "free"), ("at_upper", "saturated")):
                np.testing.assert_array_equal(getattr(sol, ours), getattr(expected, theirs))
            np.testing.assert_array_equal(sol.at_lower, ~expected.support)


def test_default_bounds_go_to_the_kernels_of_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hsproj._box, "_general", None)
    assert hsproj.project_box([3.0, 1.0, 1.0, 0.0], 2, lower=0.0, upper=1.0).tolist() == [1.0, 0.5, 0.5, 0.0]


def test_budget_that_is_not_spent_leaves_the_clip_of_the_scores() -> None:
    sol = hsproj.solve_box(X, 99, upper=3, weights=[1, 2, 3, 4, 5, 6], constraint="le")
    assert sol.p.tolist() == np.clip(X, 0, 3).tolist()
    assert sol.threshold == 0
    assert sol.jvp(X).tolist() == [0, 0.25, 2, 2, 0, 0]


def test_budget_that_is_spent_is_an_equation() -> None:
    same = [hsproj.solve_box(X, 2.5, upper=3, constraint=c) for c in ("eq", "le")]
    np.testing.assert_array_equal(same[0].p, same[1].p)
    np.testing.assert_array_equal(same[0].jvp(X), same[1].jvp(X))


def test_weights_are_in_the_sum_alone() -> None:
    # All entries are free: p = x - w (w.x - total) / w.w.
    x, w = np.array([1.0, 2.0]), np.array([1.0, 3.0])
    p = hsproj.project_box(x, 2, lower=-np.inf, upper=np.inf, weights=w)
    np.testing.assert_allclose(p, x - w * (7 - 2) / 10, rtol=2.0**-52)


def test_total_that_is_the_rounded_sum_of_bounds_puts_all_there() -> None:
    # Ten times the float 0.3 is less than 3.
    for total in (3.0, np.nextafter(3.0, 4.0)):
        sol = hsproj.solve_box(np.arange(10.0), total, upper=0.3)
        assert sol.p.tolist() == [0.3] * 10
        assert (sol.threshold, bool(sol.is_differentiable)) == (-math.inf, True)
    with pytest.raises(ValueError, match=r"got total=3.00000000001"):
        hsproj.project_box(np.arange(10.0), 3.00000000001, upper=0.3)
    total = sum([-0.1] * 3)  # -0.30000000000000004
    assert hsproj.project_box(np.arange(3.0), total, lower=-0.1, constraint="le").tolist() == [-0.1] * 3


def test_total_just_inside_leaves_an_entry_free_by_as_much() -> None:
    total = math.nextafter(2.0, 1.0)
    sol = hsproj.solve_box([5.0, 4.0], total, upper=np.ones(2))
    assert sol.p.tolist() == [1.0, total - 1.0]
    assert sol.free.tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_bounds_are_kept_exactly_in_the_dtype_of_the_scores(dtype: str) -> None:
    x = RNG.normal(size=(300, 12)).astype(dtype)
    low, high = -RNG.uniform(0, 0.3, (300, 12)).astype(dtype), np.full(12, 0.3, dtype)
    for constraint in ("eq", "le"):
        p = hsproj.project_box(x, 0.7, lower=low, upper=0.3, weights=RNG.uniform(1, 3, 12), constraint=constraint)
        assert ((low <= p) & (p <= high)).all()


def test_infinite_scores_are_at_their_bounds_and_the_others_share_the_rest() -> None:
    sol = hsproj.solve_box([np.inf, 1.0, 1.0, -np.inf], 1.5, lower=-0.5, upper=[1, 2, 2, 2])
    assert sol.p.tolist() == [1, 0.5, 0.5, -0.5]
    assert sol.at_upper.tolist() == [True, False, False, False]
    assert sol.at_lower.tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("x", "total"), [([np.nan, 1], 1), ([np.inf, 1], 0.5), ([-np.inf, -np.inf], 1), ([np.inf, np.inf], 1)]
)
def test_row_without_an_answer_is_nan_throughout(x: list[float], total: float) -> None:
    sol = hsproj.solve_box(x, total, upper=np.ones(2))
    assert np.isnan([*sol.p, sol.threshold, *sol.jvp([1, 1])]).all()
    assert not any(flags.any() for flags in (sol.is_differentiable, sol.free, sol.at_lower, sol.at_upper))
    for upper in (1, np.ones(2)):
        with pytest.raises(ValueError, match=r"`x` must hold no NaN, and infinite.*row \(1,\)"):
            hsproj.project_box([[0, 0], x], total, upper=upper, nan_policy="raise")


def test_infinite_score_without_a_bound_has_no_answer() -> None:
    p = hsproj.project_box([[np.inf, 1], [0.5, 1]], 1, upper=np.inf)
    assert np.isnan(p[0]).all()
    assert p[1].tolist() == [0.25, 0.75]


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_any_axis_is_the_last_axis_of_the_moved_array(axis: int) -> None:
    x, v = RNG.normal(size=(2, 4, 5, 6))
    low, w = -RNG.uniform(0, 1, x.shape), RNG.uniform(0.5, 2, x.shape)
    totals = RNG.uniform(-0.2, 0.2, np.moveaxis(x, axis, -1).shape[:-1])
    sol = hsproj.solve_box(x, totals, lower=low, weights=w, axis=axis)
    moved_low, moved_w, moved_v = (np.moveaxis(a, axis, -1) for a in (low, w, v))
    moved = hsproj.solve_box(np.moveaxis(x, axis, -1), totals, lower=moved_low, weights=moved_w)
    for name in ("p", "free", "at_lower", "at_upper"):
        np.testing.assert_array_equal(np.moveaxis(getattr(sol, name), axis, -1), getattr(moved, name))
    for name in ("threshold", "is_differentiable"):
        np.testing.assert_array_equal(getattr(sol, name), getattr(moved, name))
    np.testing.assert_array_equal(np.moveaxis(sol.jvp(v), axis, -1), moved.jvp(moved_v))


def test_bounds_and_weights_broadcast_to_the_shape_of_x() -> None:
    x, w, high = RNG.normal(size=(7, 5)), RNG.uniform(0.5, 2, 5), RNG.uniform(1, 2, (7, 1))
    p = hsproj.project_box(x, 1.5, upper=high, weights=w)
    for i in range(7):
        np.testing.assert_array_equal(
            p[i], hsproj.project_box(x[i], 1.5, upper=float(high[i, 0]) + np.zeros(5), weights=w)
        )
    # With axis=0 an array of one dimension still goes along the last axis: one weight for each row.
    q = hsproj.project_box(x.T, 1.5, upper=high[:, 0], weights=w[:, None], axis=0)
    np.testing.assert_array_equal(q.T, p)


def test_large_batch_on_several_threads_has_the_bits_of_its_rows() -> None:
    x, w = RNG.normal(size=(2000, 60)), RNG.uniform(0.5, 2, (2000, 60))
    sol = hsproj.solve_box(x, 5, upper=0.5, weights=w)
    for i in (0, 777, 1999):
        row = hsproj.solve_box(x[i], 5, upper=0.5, weights=w[i])
        np.testing.assert_array_equal(sol.p[i], row.p)
        np.testing.assert_array_equal(sol.jvp(x)[i], row.jvp(x[i]))


def test_total_of_a_long_row_is_met_to_its_roundings() -> None:
    n = 10**5
    x, w = 1e6 + RNG.normal(size=n), RNG.uniform(0.5, 2, n)
    p = hsproj.project_box(x, 1000.0, upper=0.125, weights=w)
    assert abs(math.fsum(w * p) - 1000.0) <= 1000.0 * 2.0**-52  # each term is rounded twice, by half of that


def test_ordinary_rows_are_decided_by_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hsproj._box, "solve_row", None)
    x = RNG.normal(size=(3000, 8)) + RNG.choice([0, 1e12], (3000, 1))
    for constraint in ("eq", "le"):
        for kind in ("float64", "float32"):
            hsproj.project_box(x.astype(kind), 1.1, upper=0.7, weights=RNG.uniform(0.5, 2, 8), constraint=constraint)
    high = RNG.uniform(0.1, 1, (3000, 8))
    hsproj.project_box(x, high.sum(axis=-1), upper=high)  # at an end, or a rounding away from it


def test_numbers_of_any_size_are_solved_in_integers() -> None:
    x, w, high = [1e300, -1e-300, 5e-324], [1e-200, 1e200, 1.0], [np.inf, 1e308, 1e-310]
    p = hsproj.project_box(x, 1e100, upper=high, weights=w)
    truth = box.solve_box(x, 1e100, [0, 0, 0], high, w)
    assert p.tolist() == [float(value) for value in truth.p]


def test_long_row_that_floats_leave_open_ends() -> None:
    x = RNG.integers(-40, 41, 3000) * 1e-30  # the least of them is out of range
    p = hsproj.project_box(x, 5.0, upper=RNG.integers(1, 4, 3000) / 64)
    assert math.fsum(p) == pytest.approx(5.0, abs=1e-12)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_arrays_without_entries_come_back(shape: tuple[int, ...]) -> None:
    sol = hsproj.solve_box(np.empty(shape), 0, upper=2.0)
    assert sol.p.shape == sol.jvp(np.empty(shape)).shape == shape
    assert sol.is_differentiable.all()


def test_single_entry_spends_the_total() -> None:
    assert hsproj.project_box([-7.0], 0.3, upper=2, weights=2).tolist() == [0.15]


def test_inputs_of_all_kinds_are_read_and_left_alone() -> None:
    x, low, w = RNG.normal(size=(4, 6)), -np.ones((4, 6)), RNG.uniform(0.5, 2, (4, 6))
    expected = hsproj.project_box(x, 1.0, lower=low, weights=w)
    kept = [a.copy() for a in (x, low, w)]
    for change in (
        lambda a: a.astype(">f8"),
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        np.asfortranarray,
        lambda a: a.tolist(),
    ):
        changed = [change(a) for a in (x, low, w)]
        np.testing.assert_array_equal(
            hsproj.project_box(changed[0], 1.0, lower=changed[1], weights=changed[2]), expected
        )
    for a in (x, low, w):
        a.setflags(write=False)
    np.testing.assert_array_equal(hsproj.project_box(x, 1.0, lower=low, weights=w), expected)
    for a, copy in zip((x, low, w), kept, strict=True):
        np.testing.assert_array_equal(a, copy)


def test_integers_become_float64() -> None:
    assert hsproj.project_box([3, 1, 1, 0], 4, upper=2).dtype == np.float64


def test_representation_counts_the_sets() -> None:
    # Of the two rows one is at a kink, theta = 0.
    assert repr(hsproj.solve_box([[3.0, 1.0], [1.0, 0.0]], 1, upper=2)) == (
        "BoxProjection(shape=(2, 2), axis=-1, dtype=float64, rows=2, answered=2, "
        "free=2, at_lower=2, at_upper=0, differentiable=1)"
    )


B = np.zeros((2, 3))
ERRORS: list[tuple[type[Exception], str, Callable[[], Any]]] = [
    (
        ValueError,
        r"`lower` must be at most `upper`; got lower=2 and upper=1 \(x.shape=\(2, 3\), axis=-1, entry 0\)",
        lambda: hsproj.project_box(B, 1, lower=2),
    ),
    (
        ValueError,
        r"`lower` must be at most `upper`.*row \(1,\), entry 2\)",
        lambda: hsproj.project_box(B, 1, upper=[[1, 1, 1], [1, 1, -1]]),
    ),
    (ValueError, r"`lower` must be a number below inf; got nan", lambda: hsproj.project_box(B, 1, lower=np.nan)),
    (ValueError, r"`lower` must be a number below inf; got inf", lambda: hsproj.project_box(B, 1, lower=np.inf)),
    (ValueError, r"`upper` must be a number above -inf; got -inf", lambda: hsproj.project_box(B, 1, upper=-np.inf)),
    (
        ValueError,
        r"`weights` must be positive and finite; got 0 .*entry 1\)",
        lambda: hsproj.project_box(B, 1, weights=[1, 0, 1]),
    ),
    (ValueError, r"`weights` must be positive.* got inf", lambda: hsproj.project_box(B, 1, weights=np.inf)),
    (ValueError, r"`weights` must be positive.* got nan", lambda: hsproj.project_box(B, 1, weights=np.nan)),
    (ValueError, r"`weights` must broadcast", lambda: hsproj.project_box(B, 1, weights=[1, 2])),
    (TypeError, r"`weights` must hold real numbers", lambda: hsproj.project_box(B, 1, weights=["a", "b", "c"])),
    (
        ValueError,
        r"`total` must be at least .*lower\) and at most sum\(weights \* upper\); got total=7 with 0 and 6 .*row \(1,\)",
        lambda: hsproj.project_box(B, [1, 7], upper=2),
    ),
    (ValueError, r"got total=4 with 0 and 3 ", lambda: hsproj.project_box(B, 4)),
    (
        ValueError,
        r"`total` must be at least sum\(weights \* lower\); got total=-1 with 0 ",
        lambda: hsproj.project_box(B, -1, constraint="le"),
    ),
    (ValueError, r"`total` must be finite; got total=inf", lambda: hsproj.project_box(B, np.inf, upper=np.inf)),
    (ValueError, r"`total` must broadcast", lambda: hsproj.project_box(B, [1, 1, 1])),
    (ValueError, r"`constraint` must be 'eq' or 'le'; got 'ge'", lambda: hsproj.project_box(B, 1, constraint="ge")),  # type: ignore[arg-type]
    (ValueError, r"`nan_policy` must be", lambda: hsproj.project_box(B, 1, nan_policy="omit")),  # type: ignore[arg-type]
    (ValueError, r"`axis` must satisfy", lambda: hsproj.project_box(B, 1, axis=2)),
    (ValueError, r"`v` must broadcast", lambda: hsproj.solve_box(B, 1).jvp([1, 2])),
    (TypeError, r"`upper` must be a NumPy array", lambda: hsproj.solve_box(B, 1, upper=array_api_strict.ones(3))),
]


@pytest.mark.parametrize(("kind", "message", "call"), ERRORS, ids=[message[:40] for _, message, _ in ERRORS])
def test_what_is_wrong_about_a_call_is_said(kind: type[Exception], message: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=message):
        call()
