"""What project, soft_binary_argmax, binary_argmax and solve return, by definition, invariants, edges and dtypes."""

import math

import numpy as np
import pytest

import hsproj
from hsproj._kernels import _short, _turn
from hsproj_verify.oracles import exact

RNG = np.random.default_rng(5)
ARRAYS = (-0.5, 0.25, 2.0, 2.0, 7.0, -3.0)


def test_is_the_clip_of_the_scores_at_the_threshold() -> None:
    sol = hsproj.solve(ARRAYS, 2.5, temperature=1.5)
    np.testing.assert_allclose(sol.p, np.clip((np.array(ARRAYS) - sol.threshold) / 1.5, 0, 1), atol=4 * 2.0**-52)
    assert math.fsum(sol.p) == pytest.approx(2.5, abs=6 * 2.0**-52)


def test_project_is_the_temperature_one_case() -> None:
    np.testing.assert_array_equal(hsproj.project(ARRAYS, 2), hsproj.soft_binary_argmax(ARRAYS, 2, temperature=1.0))


def test_tends_to_the_hard_limit_as_the_temperature_falls() -> None:
    x = RNG.permutation(20).astype(float)
    np.testing.assert_array_equal(hsproj.soft_binary_argmax(x, 7, temperature=1e-9), hsproj.binary_argmax(x, 7))


def test_tends_to_the_uniform_point_as_the_temperature_grows() -> None:
    np.testing.assert_allclose(hsproj.soft_binary_argmax(ARRAYS, 2, temperature=1e12), 2 / 6, atol=1e-11)


def test_k_next_to_an_integer_is_not_rounded_to_it() -> None:
    k = math.nextafter(2.0, 3.0)
    sol = hsproj.solve([10.0, 9.0, 1.0, 0.0], k)
    # Two entries are 1; what is left of k, one ulp, goes to the third.
    assert sol.p.tolist() == [1.0, 1.0, k - 2.0, 0.0]
    assert sol.free.tolist() == [False, False, True, False]


def test_equal_scores_get_equal_bits() -> None:
    x = np.repeat(RNG.normal(size=30), 5)
    p = hsproj.project(x, 40.0)
    assert (p.reshape(30, 5) == p.reshape(30, 5)[:, :1]).all()


def test_order_is_kept_to_the_last_bit() -> None:
    # The second and third scores differ by one ulp, and both answers lie next to the same midpoint of two floats.
    x = np.array([-1.0, float.fromhex("0x1.fffffffffffffp-54"), float.fromhex("0x1.0000000000001p-53"),
                  float.fromhex("-0x1.6e4df2183f2e5p-3"), float.fromhex("-0x1.b6dba8d078a62p-57")])  # fmt: skip
    p = hsproj.soft_binary_argmax(x, 2, temperature=float.fromhex("0x1.74d4d9810f6d3p+2"))
    assert x[1] < x[2]
    assert p[1] <= p[2]


def test_no_entry_is_negative_zero() -> None:
    p = hsproj.project(np.concatenate([RNG.normal(size=200), [-0.0, 0.0]]), 20)
    assert not np.signbit(p).any()
    assert not np.signbit(hsproj.project([-0.0, -0.0], 0)).any()


def test_total_is_k_to_n_rounding_errors_at_ten_million_entries() -> None:
    n, k = 10**7, 10**6
    p = hsproj.project(RNG.normal(size=n), k)
    # Each of the k-odd nonzero entries is at most 1 and rounded once, by at most eps / 2 of itself.
    assert abs(math.fsum(p) - k) <= k * 2.0**-52


def test_vertex_far_wider_than_a_tiny_temperature_overflows_nothing() -> None:
    for wide, tau in ((1e200, 1e-300), (1e308, 1e-200), (1.7e308, 5e-324)):
        sol = hsproj.solve([-wide, wide], 1, temperature=tau)
        assert sol.p.tolist() == [0.0, 1.0]
        assert sol.threshold == -tau / 2  # the midpoint of [-wide, wide - tau]
        assert sol.margin == wide


def test_vertex_reports_the_midpoint_of_its_thetas() -> None:
    sol = hsproj.solve([5.0, 5.0, 0.0, 0.0], 2)
    # Every theta in [0, 5 - 1] serves.
    assert sol.threshold == 2.0
    assert sol.margin == 2.0
    assert not sol.free.any()


@pytest.mark.parametrize(("k", "theta", "p"), [(0, math.inf, 0.0), (3, -math.inf, 1.0)])
def test_all_or_nothing_has_a_threshold_at_infinity_and_no_kink_to_meet(k: int, theta: float, p: float) -> None:
    sol = hsproj.solve([1.0, 2.0, 3.0], k)
    assert sol.p.tolist() == [p] * 3
    assert (sol.threshold, sol.margin, bool(sol.is_differentiable)) == (theta, math.inf, True)


def test_single_entry_is_k_whatever_its_score() -> None:
    for x in (0.0, -1e300, 5e-324):
        sol = hsproj.solve([x], 0.3)
        assert sol.p.tolist() == [0.3]
        assert sol.margin == math.inf


def test_masked_scores_get_zero_and_forced_ones_get_one() -> None:
    p = hsproj.project([-np.inf, 1.0, np.inf, 1.0, -np.inf], 2)
    assert p.tolist() == [0.0, 0.5, 1.0, 0.5, 0.0]


def test_k_may_fill_every_score_that_is_not_masked() -> None:
    assert hsproj.project([-np.inf, 1.0, 2.0], 2).tolist() == [0.0, 1.0, 1.0]
    assert hsproj.project([np.inf, 1.0, 2.0], 1).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("x", [[-np.inf, -np.inf], [np.inf, np.inf, 0.0], [np.nan, 1.0], [-np.inf, np.nan]])
def test_row_without_an_answer_is_nan_throughout(x: list[float]) -> None:
    sol = hsproj.solve(x, 1)
    assert np.isnan([*sol.p, sol.threshold, sol.margin, *sol.jvp(np.ones(len(x)))]).all()
    assert not sol.is_differentiable
    assert not sol.support.any()
    assert np.isnan(sol.jacobian()).all()
    assert np.isnan(sol.directional_derivative(np.ones(len(x)))).all()


def test_nan_row_leaves_the_other_999_bit_identical() -> None:
    x = RNG.normal(size=(1000, 17))
    k = RNG.integers(0, 18, 1000).astype(float)
    expected = hsproj.soft_binary_argmax(x, k, temperature=0.7)
    x[137, 3] = np.nan
    came = hsproj.soft_binary_argmax(x, k, temperature=0.7)
    assert np.isnan(came[137]).all()
    np.testing.assert_array_equal(np.delete(came, 137, 0), np.delete(expected, 137, 0))


def test_rows_of_a_batch_are_bit_identical_to_rows_alone() -> None:
    x = RNG.normal(size=(3, 4, 11))
    k, tau = RNG.uniform(0, 11, (3, 4)), RNG.uniform(0.1, 2, (3, 4))
    batch = hsproj.soft_binary_argmax(x, k, temperature=tau)
    for i in np.ndindex(3, 4):
        np.testing.assert_array_equal(batch[i], hsproj.soft_binary_argmax(x[i], k[i], temperature=tau[i]))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_any_axis_is_the_last_axis_of_the_moved_array(axis: int) -> None:
    x = RNG.normal(size=(4, 5, 6))
    batch = np.moveaxis(x, axis, -1).shape[:-1]
    k, tau = RNG.uniform(0, 4, batch), RNG.uniform(0.5, 2, batch)
    v = RNG.normal(size=x.shape)
    sol = hsproj.solve(x, k, temperature=tau, axis=axis)
    moved = hsproj.solve(np.moveaxis(x, axis, -1), k, temperature=tau)
    for name in ("p", "free", "saturated", "support"):
        np.testing.assert_array_equal(np.moveaxis(getattr(sol, name), axis, -1), getattr(moved, name))
    for name in ("threshold", "margin", "is_differentiable"):
        np.testing.assert_array_equal(getattr(sol, name), getattr(moved, name))
    np.testing.assert_array_equal(np.moveaxis(sol.vjp(v), axis, -1), moved.vjp(np.moveaxis(v, axis, -1)))
    np.testing.assert_array_equal(sol.jacobian(), moved.jacobian())


@pytest.mark.parametrize("shape", [(300, 7), (7, 300), (128, 64), (3, 100, 40), (40, 5, 50), (2, 3, 40, 50), (1, 9000)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_along_any_axis_come_back_where_they_were(shape: tuple[int, ...], dtype: type) -> None:
    # Masked scores get 0 and forced ones 1, so the answer is known.
    x = np.full(shape, -np.inf, dtype)
    x[RNG.random(shape) < 0.3] = np.inf
    for axis in range(len(shape)):
        p = hsproj.project(x, np.sum(x > 0, axis=axis), axis=axis)
        np.testing.assert_array_equal(p, x > 0)


def test_k_and_temperature_broadcast_over_the_batch() -> None:
    x = RNG.normal(size=(2, 3, 5))
    p = hsproj.soft_binary_argmax(x, [1, 2, 3], temperature=[[0.5], [2.0]])
    for i in np.ndindex(2, 3):
        alone = hsproj.soft_binary_argmax(x[i], i[1] + 1, temperature=[0.5, 2.0][i[0]])
        np.testing.assert_array_equal(p[i], alone)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_dtypes_are_kept(dtype: type) -> None:
    x = np.array(ARRAYS, dtype)
    sol = hsproj.solve(x, 2.5)
    arrays = [sol.p, sol.threshold, sol.margin, sol.jvp(x), sol.jacobian(), hsproj.binary_argmax(x, 2)]
    assert {a.dtype for a in arrays} == {np.dtype(dtype)}
    truth = exact.solve(x.tolist(), 2.5).nearest(dtype)
    np.testing.assert_allclose(sol.p.astype(float), truth.astype(float), rtol=0, atol=float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.bool_])
def test_integers_and_booleans_become_float64(dtype: type) -> None:
    x = np.array([1, 1, 1], dtype)
    p = hsproj.project(x, 1)
    assert p.dtype == np.float64
    assert p.tolist() == [1 / 3] * 3


def test_unsigned_scores_do_not_wrap_around() -> None:
    assert hsproj.project(np.array([0, 255], np.uint8), 1).tolist() == [0.0, 1.0]


def _layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    frozen = x.copy()
    frozen.setflags(write=False)
    wide = np.zeros((x.shape[0], 2 * x.shape[1]), x.dtype)
    wide[:, ::2] = x
    return {
        "read-only": frozen,
        "strided": wide[:, ::2],
        "reversed": x[::-1, ::-1].copy()[::-1, ::-1],
        "Fortran-ordered": np.asfortranarray(x),
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
        "unaligned": np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["read-only", "strided", "reversed", "Fortran-ordered", "big-endian", "unaligned"])
def test_memory_layout_changes_no_bit_and_the_input_is_untouched(layout: str, dtype: type) -> None:
    plain = RNG.normal(size=(6, 9)).astype(dtype)
    x = _layouts(plain)[layout]
    before = x.tobytes()
    expected = hsproj.solve(plain, 3.5)
    sol = hsproj.solve(x, 3.5)
    np.testing.assert_array_equal(sol.p, expected.p)
    np.testing.assert_array_equal(sol.vjp(x), expected.vjp(plain))
    assert sol.p.dtype == dtype
    assert x.tobytes() == before


@pytest.mark.parametrize("layout", ["read-only", "unaligned"])
def test_kernels_are_not_compiled_once_more_for_arrays_that_differ_in_their_flags(layout: str) -> None:
    plain = RNG.normal(size=(6, 9))
    hsproj.vjp(plain, 3.5, plain)
    compiled = len(_short.compare_rows.signatures)
    x = _layouts(plain)[layout]
    hsproj.vjp(x, 3.5, x)
    assert len(_short.compare_rows.signatures) == compiled


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 4), (0, 0)])
def test_zero_size_input_gives_zero_size_answers(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    sol = hsproj.solve(x, 0)
    assert sol.p.shape == sol.free.shape == sol.jvp(x).shape == sol.directional_derivative(x).shape == shape
    assert sol.threshold.shape == sol.is_differentiable.shape == shape[:-1]
    assert sol.jacobian().shape == (*shape, shape[-1])
    assert hsproj.binary_argmax(x, 0).shape == shape
    assert repr(sol).startswith("Projection(")


def test_answers_do_not_alias_the_input() -> None:
    x, k = np.array([0.5, 0.5]), np.array(1.0)
    sol = hsproj.solve(x, k)
    assert not any(np.shares_memory(x, a) or np.shares_memory(k, a) for a in (sol.p, sol.k, sol.temperature))
    assert hsproj.project(x, 1).flags.writeable


def test_changing_the_scores_afterwards_does_not_change_the_solution() -> None:
    x = np.array([1.0, 0.0])
    sol = hsproj.solve(x, 1)
    x[:] = 7.0
    assert sol.directional_derivative([0.0, 1.0]).tolist() == [-0.5, 0.5]


def test_solution_is_frozen() -> None:
    sol = hsproj.solve([1.0, 0.5], 1)
    with pytest.raises(AttributeError):
        sol.p = np.zeros(2)  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        sol.p[0] = 0.0


def test_repr_can_be_read_for_one_row_and_for_many() -> None:
    assert repr(hsproj.solve([3.0, 1.0, 1.0, 0.0], 2)) == (
        "Projection(n=4, dtype=float64, k=2, temperature=1, threshold=0.5, free=2, saturated=1, "
        "margin=0.25, differentiable=True)"
    )
    many = repr(hsproj.solve(np.array([[3.0, 1.0, 1.0, 0.0], [np.nan] * 4]), 2))
    assert many == (
        "Projection(shape=(2, 4), axis=-1, dtype=float64, rows=2, answered=1, free=2, saturated=1, differentiable=1)"
    )


def test_hard_limit_takes_exactly_k_with_ties_to_the_lowest_index() -> None:
    x = RNG.integers(0, 4, (200, 15)).astype(float)
    k = RNG.integers(0, 16, 200)
    hard = hsproj.binary_argmax(x, k)
    # The definition, by a stable sort.
    order = np.argsort(-x, axis=-1, kind="stable")
    ranks = np.argsort(order, axis=-1)
    np.testing.assert_array_equal(hard, ranks < k[:, None])


def test_hard_limit_never_takes_a_masked_score_and_knows_nan() -> None:
    assert hsproj.binary_argmax([-np.inf, 1.0, np.inf], 2).tolist() == [0.0, 1.0, 1.0]
    rows = hsproj.binary_argmax([[-np.inf, -np.inf, 1.0], [np.nan, 1.0, 2.0], [3.0, 2.0, 1.0]], 2)
    assert np.isnan(rows[:2]).all()
    assert rows[2].tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "shape", [(9, 8, 70), (9, 70, 8), (7, 4096), (4096, 7), (256, 17), (512, 30), (3, 100, 5, 9), (65, 1023)], ids=str
)
def test_long_arrays_are_projected_along_any_axis_as_if_it_were_the_last(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(5)
    x, g = rng.normal(size=(2, *shape)).astype(dtype)
    for axis in range(len(shape)):
        rows, tangents = (np.ascontiguousarray(np.moveaxis(array, axis, -1)) for array in (x, g))
        before = x.copy()
        p, gradient = hsproj.soft_binary_argmax_and_vjp(x, 2, g, axis=axis)
        assert p.flags.c_contiguous
        np.testing.assert_array_equal(np.moveaxis(p, axis, -1), hsproj.soft_binary_argmax(rows, 2))
        np.testing.assert_array_equal(np.moveaxis(gradient, axis, -1), hsproj.vjp(rows, 2, tangents))
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_turned_matrices_are_transposes_and_nothing_else_is_written(dtype: str) -> None:
    rng = np.random.default_rng(6)
    shapes = [(2, h, w) for h in (1, 7, 8, 9, 17, 64, 256, 512) for w in (1, 3, 7, 8, 9, 15, 16, 17, 33, 513)]
    for count, height, width in shapes:
        matrices = rng.normal(size=(count, height, width)).astype(dtype)
        memory = np.full(matrices.size + 64, 7.0, dtype)
        out = memory[32:-32].reshape(count, width, height)
        np.testing.assert_array_equal(_turn.turned(matrices, out), matrices.transpose(0, 2, 1))
        assert (memory[:32] == 7.0).all()
        assert (memory[-32:] == 7.0).all()
