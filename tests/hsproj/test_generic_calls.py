"""Arrays of other libraries: answers in kind from every public function, axes, dtypes, devices, and what is refused."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from array_libraries import NAMES, Library, library

import hsproj
from hsproj_verify.oracles import exact
from hsproj_verify.problems import error_in_eps

X = np.array([[3.0, 1.0, 1.0, 0.0], [-np.inf, 0.5, 0.5, 0.25], [np.inf, 0.2, 0.1, 0.0], [0.0, np.nan, 1.0, 2.0]])
K = np.array([2.0, 1.0, 1.5, 1.0])
TAU = np.array([0.5, 1.0, 2.0, 1.0])
G = np.array([[1.0, 2.0, 4.0, 8.0]] * 4)
Y = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])

Call = Callable[..., Any]
CALLS: dict[str, Call] = {
    "project": lambda x, **o: hsproj.project(x(X), x(K), **o),
    "soft_binary_argmax": lambda x, **o: hsproj.soft_binary_argmax(x(X), x(K), temperature=x(TAU), **o),
    "project_box": lambda x, **o: hsproj.project_box(x(X), x(K), lower=-0.5, upper=x(Y + 1), weights=x(TAU), **o),
    "binary_argmax": lambda x, **o: hsproj.binary_argmax(x(X), x(np.floor(K)), **o),
    "jvp": lambda x, **o: hsproj.jvp(x(X), x(K), x(G), temperature=x(TAU), **o),
    "vjp": lambda x, **o: hsproj.vjp(x(X), x(K), x(G), temperature=x(TAU), **o),
    "soft_binary_argmax_and_vjp": lambda x, **o: hsproj.soft_binary_argmax_and_vjp(x(X), x(K), x(G), **o),
    "jacobian": lambda x, **o: hsproj.jacobian(x(X), x(K), temperature=x(TAU), **o),
    "hypersimplex_loss": lambda x, **o: hsproj.hypersimplex_loss(x(X), x(Y), temperature=x(TAU), **o),
    "hypersimplex_loss_and_grad": lambda x, **o: hsproj.hypersimplex_loss_and_grad(x(X), x(Y), x(K), **o),
    "cross_entropy_loss": lambda x, **o: hsproj.cross_entropy_loss(x(X), x(Y), floor=1e-3, **o),
    "cross_entropy_loss_and_grad": lambda x, **o: hsproj.cross_entropy_loss_and_grad(x(X), x(Y), floor=1e-3, **o),
    "fenchel_young_loss": lambda x, **o: hsproj.fenchel_young_loss(x(X), x(Y), temperature=x(TAU), **o),
    "fenchel_young_loss_and_grad": lambda x, **o: hsproj.fenchel_young_loss_and_grad(x(X), x(Y), **o),
    "zero_one_loss": lambda x, **o: hsproj.zero_one_loss(x(X), x(Y), **o),
    "top_k_zero_one_loss": lambda x, **o: hsproj.top_k_zero_one_loss(x(X), x(Y), 2, **o),
}
LOSSES = [name for name in CALLS if "loss" in name]
FIELDS = ("p", "threshold", "free", "saturated", "support", "margin", "is_differentiable", "k", "temperature")


@pytest.fixture(params=NAMES)
def lib(request: pytest.FixtureRequest) -> Iterator[Library]:
    with library(request.param) as found:
        yield found


def tuple_of(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def assert_same(lib: Library, came: Any, expected: Any) -> None:
    """In kind, with the shape and dtype of NumPy's answer, and its numbers to 4 roundings."""
    assert type(came) is type(lib.array(X))
    array, expected = lib.outwards(came), np.asarray(expected)
    assert array.shape == expected.shape
    assert array.dtype == expected.dtype
    if array.dtype == bool:
        assert array.tolist() == expected.tolist()
    else:
        tolerance = 4 * float(np.finfo(array.dtype).eps)
        np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance * 8)  # 8 is the largest number


def test_every_public_function_is_called_here() -> None:
    elsewhere = {"solve", "Projection", "solve_box", "BoxProjection"}
    assert {*CALLS} == {*hsproj.__all__} - elsewhere


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_answers_are_in_kind_and_those_of_numpy(lib: Library, name: str, dtype: str) -> None:
    came = CALLS[name](lambda array: lib.array(array.astype(dtype)))
    expected = CALLS[name](lambda array: array.astype(dtype))
    for one, other in zip(tuple_of(came), tuple_of(expected), strict=True):
        assert_same(lib, one, other)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_losses_are_reduced_as_with_numpy(lib: Library, name: str, reduction: str) -> None:
    came, expected = (CALLS[name](array, reduction=reduction) for array in (lib.array, np.asarray))
    for one, other in zip(tuple_of(came), tuple_of(expected), strict=True):
        assert_same(lib, one, other)


@pytest.mark.parametrize("field", FIELDS)
def test_solutions_have_the_fields_of_numpys(lib: Library, field: str) -> None:
    came, expected = (hsproj.solve(of(X), of(K), temperature=of(TAU)) for of in (lib.array, np.asarray))
    assert isinstance(came, hsproj.Projection)
    assert came.axis == -1
    assert_same(lib, getattr(came, field), getattr(expected, field))


@pytest.mark.parametrize("product", ["jvp", "vjp"])
def test_solutions_have_products(lib: Library, product: str) -> None:
    came, expected = (getattr(hsproj.solve(of(X), of(K)), product)(of(G)) for of in (lib.array, np.asarray))
    assert_same(lib, came, expected)


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_rows_may_lie_along_any_axis(lib: Library, axis: int) -> None:
    x = np.random.default_rng(3).normal(size=(3, 4, 5))
    k = np.ones(np.delete(x.shape, axis))
    for function in (hsproj.project, hsproj.binary_argmax, hsproj.jacobian):
        assert_same(lib, function(lib.array(x), lib.array(k), axis=axis), function(x, k, axis=axis))
    assert_same(lib, hsproj.vjp(lib.array(x), 1, lib.array(x), axis=axis), hsproj.vjp(x, 1, x, axis=axis))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 3)])
def test_empty_arrays_are_answered(lib: Library, shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    sol, expected = hsproj.solve(lib.array(x), 0), hsproj.solve(x, 0)
    for field in FIELDS:
        assert_same(lib, getattr(sol, field), getattr(expected, field))
    for name in ("binary_argmax", "project", "jacobian"):
        assert_same(lib, getattr(hsproj, name)(lib.array(x), 0), getattr(hsproj, name)(x, 0))
    assert_same(lib, hsproj.vjp(lib.array(x), 0, lib.array(x)), x)
    loss, expected_loss = (hsproj.fenchel_young_loss(of(x), of(x), reduction="none") for of in (lib.array, np.asarray))
    assert_same(lib, loss, expected_loss)


def test_totals_and_temperatures_may_be_numbers_lists_or_numpy_arrays(lib: Library) -> None:
    expected = hsproj.soft_binary_argmax(X, K, temperature=TAU)
    for k, tau in ((K, TAU), (K.tolist(), TAU.tolist()), (lib.array(K), TAU)):
        assert_same(lib, hsproj.soft_binary_argmax(lib.array(X), k, temperature=tau), expected)
    assert_same(lib, hsproj.project(lib.array(X), np.int64(1)), hsproj.project(X, 1))


def test_float32_scores_take_float64_totals_and_temperatures_at_full_precision(lib: Library) -> None:
    # Of 1000 scores 999 are saturated; rounded to float32, k would be off by 2e-5.
    x = np.full(1000, 5.0, np.float32)
    x[0] = 0.0
    truth = exact.solve(x.tolist(), 999.3, 0.1).p
    for k, tau in (
        (999.3, 0.1),
        (np.float64(999.3), np.float64(0.1)),
        (lib.array(np.array(999.3)), lib.array(np.array(0.1))),
    ):
        p = lib.outwards(hsproj.soft_binary_argmax(lib.array(x), k, temperature=tau))
        assert error_in_eps(p, truth, float(np.finfo(np.float32).eps)) <= 2.0


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_integers_become_floats(lib: Library, dtype: str) -> None:
    x = np.array([3, 1, 1, 0]).astype(dtype)
    assert_same(lib, hsproj.project(lib.array(x), 2), hsproj.project(x, 2))


def test_inputs_are_not_modified(lib: Library) -> None:
    arrays = [lib.array(array) for array in (X, K, TAU, G)]
    x, k, tau, g = arrays
    hsproj.solve(x, k, temperature=tau).vjp(g)
    hsproj.binary_argmax(x, 1)
    for array, before in zip(arrays, (X, K, TAU, G), strict=True):
        np.testing.assert_array_equal(lib.outwards(array), before)


@pytest.mark.parametrize("rows", [{"k": [-1.0, 5.0, np.nan]}, {"tau": [0.0, np.inf, np.nan]}])
def test_rows_whose_total_or_temperature_breaks_the_rules_come_back_as_nan(
    lib: Library, rows: dict[str, list[float]]
) -> None:
    x = np.ones((4, 4))
    k, tau = np.array([*rows.get("k", [1.0] * 3), 1.0]), np.array([*rows.get("tau", [1.0] * 3), 1.0])
    p = lib.outwards(hsproj.soft_binary_argmax(lib.array(x), lib.array(k), temperature=lib.array(tau)))
    assert np.isnan(p[:3]).all()
    assert p[3].tolist() == [0.25] * 4


def test_totals_that_must_be_whole_and_are_not_give_nan(lib: Library) -> None:
    p = lib.outwards(hsproj.binary_argmax(lib.array(np.ones((2, 4))), lib.array(np.array([1.5, 2.0]))))
    assert np.isnan(p[0]).all()
    assert p[1].tolist() == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("hypersimplex_loss", np.inf),
        ("fenchel_young_loss", 1.5),
        ("zero_one_loss", 0.5),
        ("cross_entropy_loss", np.nan),
    ],
)
def test_rows_whose_targets_break_the_rules_have_no_loss(lib: Library, name: str, bad: float) -> None:
    x, y = np.zeros((2, 3)), np.array([[bad, 0.0, 0.0], [1.0, 0.0, 0.0]])
    options = {"floor": 0.1} if name == "cross_entropy_loss" else {}
    losses = lib.outwards(getattr(hsproj, name)(lib.array(x), lib.array(y), reduction="none", **options))
    assert np.isnan(losses).tolist() == [True, False]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda x: hsproj.project(x, 5),
            ValueError,
            r"`k` must satisfy 0 <= k <= n; got k=5 with n=4 \(x\.shape=\(4, 4\)",
        ),
        (lambda x: hsproj.project(x, float("nan")), ValueError, "`k` must satisfy 0 <= k <= n; got k=nan"),
        (lambda x: hsproj.project(x, np.array([1, 2, 3, 5])), ValueError, r"got k=5 with n=4.*row \(3,\)"),
        (
            lambda x: hsproj.project(x, [1, 2]),
            ValueError,
            r"`k` must broadcast to the batch shape \(4,\); got shape \(2,\)",
        ),
        (
            lambda x: hsproj.project(x, x),
            ValueError,
            r"`k` must broadcast to the batch shape \(4,\); got shape \(4, 4\)",
        ),
        (lambda x: hsproj.project(x, x[0, :] > 0), TypeError, "`k` must hold real numbers"),
        (lambda x: hsproj.project(x, "1"), TypeError, "`k` must hold real numbers"),
        (lambda x: hsproj.project(x, 1, axis=2), ValueError, "`axis` must satisfy -2 <= axis < 2; got axis=2"),
        (lambda x: hsproj.project(x, 1, axis=0.5), TypeError, "`axis` must be an integer"),  # type: ignore[arg-type]
        (lambda x: hsproj.project(x[0, 0], 0), ValueError, "`axis` must name an axis of `x`, which has none"),
        (lambda x: hsproj.binary_argmax(x, 1.5), ValueError, r"`k` must be an integer; got k=1\.5"),
        (
            lambda x: hsproj.soft_binary_argmax(x, 1, temperature=0.0),
            ValueError,
            "`temperature` must be positive and finite; got temperature=0",
        ),
        (lambda x: hsproj.project(x, 1, nan_policy="raise"), ValueError, "`nan_policy` must be 'propagate' for arrays"),
        (lambda x: hsproj.project(x, 1, nan_policy="omit"), ValueError, "`nan_policy` must be 'propagate' or 'raise'"),  # type: ignore[arg-type]
        (lambda x: hsproj.project(x, 1, out=np.ones(4)), TypeError, "`out` must be None for arrays"),
        (lambda x: hsproj.vjp(x, 1, x[:, :3]), ValueError, r"`g` must broadcast to the shape \(4, 4\) of the scores"),
        (lambda x: hsproj.vjp(x, 1, "g"), TypeError, "`g` must hold real numbers"),
        (lambda x: hsproj.vjp(x, 1, x, selection="closure"), ValueError, "`selection` must be 'free' for arrays"),
        (
            lambda x: hsproj.hypersimplex_loss(x, x, reduction="all"),
            ValueError,
            "`reduction` must be 'none', 'sum' or 'mean'",
        ),  # type: ignore[arg-type]
        (
            lambda x: hsproj.cross_entropy_loss(x, x, floor=2.0),
            ValueError,
            "`floor` must be a number with 0 < floor < 1",
        ),
        (lambda x: hsproj.project([1.0, 2.0], x[0, :1]), TypeError, "`k` must be a NumPy array, a number"),
    ],
)
def test_what_is_wrong_about_a_call_is_refused(lib: Library, call: Call, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(lib.array(np.ones((4, 4))))


@pytest.mark.parametrize(
    "use",
    [
        lambda sol: sol.kinks,
        lambda sol: sol.dk,
        lambda sol: sol.dk_left,
        lambda sol: sol.dtemperature,
        lambda sol: sol.dtemperature_left,
        lambda sol: sol.directional_derivative(np.ones(3)),
        lambda sol: sol.generalized_jacobians(),
        lambda sol: sol.linear_operator(),
    ],
)
def test_what_needs_rational_numbers_or_scipy_asks_for_a_numpy_array(lib: Library, use: Call) -> None:
    with pytest.raises(TypeError, match=r"`x` must be a NumPy array for .* \(convert it: np\.asarray\(x\)\)"):
        use(hsproj.solve(lib.array(np.array([1.0, 0.5, 0.0])), 1))


def test_complex_scores_are_refused(lib: Library) -> None:
    with pytest.raises(TypeError, match=r"`x` must hold real numbers.*complex"):
        hsproj.project(lib.array(np.ones(3, np.complex64)), 1)


def test_arrays_of_two_libraries_are_refused() -> None:
    strict = pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(
        TypeError, match=r"`k` must be numbers, or an array of the same library as `x`; got torch\.Tensor"
    ):
        hsproj.project(strict.ones(3), torch.ones(()))
    with pytest.raises(
        TypeError, match=r"`g` must be numbers, or an array of the same library as `x`; got torch\.Tensor"
    ):
        hsproj.vjp(strict.ones(3), 1, torch.ones(3))


@pytest.mark.parametrize("device", ["device1", "no_float64", "no_x64"])
@pytest.mark.parametrize("name", CALLS)
def test_answers_stay_on_the_device_and_need_no_float64(device: str, name: str) -> None:
    # An array on one of these devices meets no array of another, and no_float64 has none of that dtype.
    strict = pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    place = strict.Device(device)
    with library("array_api_strict") as lib:
        came = CALLS[name](lambda array: strict.asarray(array.astype(np.float32), device=place))
        expected = CALLS[name](lambda array: array.astype(np.float32))
        for one, other in zip(tuple_of(came), tuple_of(expected), strict=True):
            assert one.device == place
            assert_same(lib, one, other)


@pytest.mark.parametrize("device", ["no_float64", "no_x64"])
def test_without_float64_integers_become_float32_and_numpys_float64_totals_keep_their_digits(device: str) -> None:
    strict = pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    place = strict.Device(device)
    with library("array_api_strict"):
        p = hsproj.project(strict.asarray(np.array([3, 1, 1, 0], np.int32), device=place), 2)
    assert p.dtype == strict.float32
    x = np.full((2, 1000), 5.0, np.float32)
    x[:, 0] = 0.0
    k = np.array([999.3, 998.7])
    with library("array_api_strict") as lib:
        p = lib.outwards(hsproj.project(strict.asarray(x, device=place), k))
    for row, total in zip(p, k, strict=True):
        assert error_in_eps(row, exact.solve(x[0].tolist(), total).p, float(np.finfo(np.float32).eps)) <= 2.0


def test_without_64_bits_jax_answers_in_float32() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    with jax.enable_x64(False):
        p = hsproj.project(jax.numpy.asarray([3, 1, 1, 0]), 2)
        assert p.dtype == "float32"
        assert p.tolist() == [1.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("name", "dtype"), [("torch", "float16"), ("torch", "bfloat16"), ("jax", "float16"), ("jax", "bfloat16")]
)
def test_half_precision_is_computed_in_float32_and_rounded_once_more(name: str, dtype: str) -> None:
    with library(name) as lib:
        wide = lib.array(np.random.default_rng(5).normal(1e3, 4.0, (50, 20)).astype(np.float32))
        if name == "torch":
            half = wide.to(getattr(__import__("torch"), dtype))
            wide = half.float()
        else:
            half = wide.astype(dtype)
            wide = half.astype("float32")
        p = hsproj.soft_binary_argmax(half, 6, temperature=8.0)
        expected = hsproj.soft_binary_argmax(wide, 6, temperature=8.0)
        assert p.dtype == half.dtype
        same = p == (expected.to(p.dtype) if name == "torch" else expected.astype(p.dtype))
        assert bool(same.all())
        for row, scores in zip(lib.outwards(expected), lib.outwards(wide), strict=True):
            assert error_in_eps(row, exact.solve(scores.tolist(), 6, 8.0).p, float(np.finfo(np.float32).eps)) <= 2.0


def test_numba_is_not_loaded_for_arrays_of_other_libraries() -> None:
    pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    code = (
        "import sys, hsproj, array_api_strict as xp; hsproj.solve(xp.ones(3), 1).vjp(xp.ones(3));"
        "print('numba' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
