"""The operator in JAX: compiled, mapped, differentiated to any order, and its loss."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

import hsproj
from hsproj_verify import check

jax = pytest.importorskip("jax", reason="jax is not installed")

from hsproj.integrations.jax import hypersimplex_loss, soft_binary_argmax  # noqa: E402

X = np.random.default_rng(3).normal(size=(4, 7))
K = np.array([1.2, 2.5, 3.1, 5.9])
TAU = np.array([0.5, 1.0, 2.0, 4.0])
CLASSES = np.array([0, 3, 3, 6])


@pytest.fixture
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def test_it_passes_checks_of_the_judge_with_its_own_derivatives() -> None:
    # Each new shape is compiled anew, call by call: a few checks take as long as all of them elsewhere.
    only = ["accurate_on_ordinary_scores", "vjp_matches_the_exact_jacobian"]
    # In a process of its own, since the judge turns float64 on.
    report = check("jax:hsproj.integrations.jax:soft_binary_argmax", examples=2, only=only, tolerance=2.0, workers=1)
    report.raise_for_failures()
    assert report.counts["passed"] == len(only)


def test_float32_is_the_default_and_is_kept() -> None:
    with jax.enable_x64(False):  # the default, which judges of other tests change
        p = jax.jit(soft_binary_argmax)(X, K, TAU)
    assert p.dtype == "float32"
    expected = hsproj.soft_binary_argmax(X.astype(np.float32), K, temperature=TAU)
    np.testing.assert_allclose(p, expected, rtol=0, atol=4 * np.finfo(np.float32).eps)


def test_it_is_compiled_mapped_and_differentiated_at_once(x64: None) -> None:
    def loss(x: object, k: object, tau: object) -> object:
        return (soft_binary_argmax(x, k, tau) ** 2).sum()

    came = jax.jit(jax.vmap(jax.grad(loss)))(X, K, TAU)
    p = hsproj.soft_binary_argmax(X, K, temperature=TAU)
    assert came.any()
    np.testing.assert_allclose(came, hsproj.vjp(X, K, 2 * p, temperature=TAU), rtol=0, atol=1e-14)


def test_first_and_second_derivatives_are_those_of_differences(x64: None) -> None:
    from jax.test_util import check_grads

    check_grads(jax.jit(soft_binary_argmax), (X[0], K[0], TAU[2]), order=2, eps=1e-4)


def test_the_loss_and_its_gradient_are_those_of_numpy(x64: None) -> None:
    def loss_along(axis: int) -> object:
        return jax.jit(
            jax.value_and_grad(lambda scores: hypersimplex_loss(scores, CLASSES, temperature=0.7, axis=axis))
        )

    for axis in (0, -1):
        loss, gradient = loss_along(axis)(jax.numpy.asarray(X))
        expected = hsproj.hypersimplex_loss_and_grad(X, np.eye(7)[CLASSES], temperature=0.7, axis=axis)
        np.testing.assert_allclose(loss, expected[0], rtol=1e-14)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-13, atol=1e-16)


def test_bad_calls_are_refused_while_they_are_traced() -> None:
    with pytest.raises(ValueError, match="`k` must satisfy 0 <= k <= n; got k=8 with n=7"):
        jax.jit(lambda x: soft_binary_argmax(x, 8))(X)
    with pytest.raises(ValueError, match="`targets` must have the shape"):
        hypersimplex_loss(X, np.eye(7))
    assert np.isnan(soft_binary_argmax(X, jax.numpy.asarray([1.0, 8.0, -1.0, np.nan]))).all(axis=1).tolist() == [
        False,
        True,
        True,
        True,
    ]


def _compiled(x: np.ndarray, k: object, tau: object = 1.0) -> np.ndarray:
    return np.asarray(jax.jit(lambda t: soft_binary_argmax(t, k, tau))(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_on_the_cpu_it_has_the_bits_of_numpy(dtype: str, x64: None) -> None:
    rng = np.random.default_rng(0)
    for shape in ((3, 7), (2, 3, 40), (5, 1000), (1, 300_000)):
        x = (rng.normal(size=shape) + 1e4).astype(dtype)
        k, tau = rng.uniform(0.5, shape[-1] - 1, shape[:-1]), rng.uniform(0.1, 3.0, shape[:-1])
        x[..., 0] += rng.choice([0.0, np.inf, -np.inf, np.nan])
        expected = hsproj.soft_binary_argmax(x, k, temperature=tau)
        if dtype == "float64":  # else totals are pairs of float32
            np.testing.assert_array_equal(_compiled(x, k, tau), expected)
            np.testing.assert_array_equal(soft_binary_argmax(jax.numpy.asarray(x), k, tau), expected)
        np.testing.assert_array_equal(_compiled(x, 0.75, 0.5), hsproj.soft_binary_argmax(x, 0.75, temperature=0.5))


def test_mapped_looped_and_from_several_threads_it_is_the_same() -> None:
    from concurrent.futures import ThreadPoolExecutor

    x = np.random.default_rng(0).normal(size=(64, 300)).astype(np.float32)
    expected = hsproj.project(x, 5)
    mapped = jax.jit(jax.vmap(lambda row: soft_binary_argmax(row, 5)))
    looped = jax.jit(lambda rows: jax.lax.map(lambda row: soft_binary_argmax(row, 5), rows))
    with ThreadPoolExecutor(4) as pool:
        for p in pool.map(lambda i: (mapped, looped)[i % 2](x), range(8)):
            np.testing.assert_array_equal(p, expected)


def test_elsewhere_it_is_the_generic_path_with_the_same_sets(x64: None) -> None:
    from hsproj.integrations.jax import _by_array_calls, _by_kernels

    for kind in ("float32", "float64"):
        x = np.random.default_rng(0).normal(size=(20, 30)).astype(kind)
        one = jax.numpy.ones((20, 1), kind)
        numbers = one * 3, one * 1e-9, one * 0.7, one * 1e-9
        ours, theirs = _by_kernels(jax.numpy.asarray(x), *numbers), _by_array_calls(jax.numpy.asarray(x), *numbers)
        np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=4 * np.finfo(kind).eps)
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_what_goes_wrong_in_a_kernel_is_raised_by_xla() -> None:
    from hsproj.integrations import _xla

    def fails(given: object, wanted: object) -> None:
        raise ArithmeticError("of the test")

    _xla.register("hsproj_test_failure", fails)
    call = jax.ffi.ffi_call("hsproj_test_failure", jax.ShapeDtypeStruct((3,), np.float32))
    with pytest.raises(Exception, match="ArithmeticError: of the test"):
        jax.jit(call)(np.zeros(3, np.float32)).block_until_ready()


def test_subnormal_scores_are_not_taken_for_0() -> None:
    if sys.platform != "linux":
        pytest.skip("XLA's threads flush them to 0, and only glibc has a call to change that")
    x = np.array([1e-40, 0.0], np.float32)
    expected = hsproj.soft_binary_argmax(x, 1, temperature=2e-38)
    assert expected[0] > 0.5
    np.testing.assert_array_equal(_compiled(x, 1, 2e-38), expected)


def test_a_row_without_an_answer_has_no_gradient() -> None:
    x = jax.numpy.array([[np.nan, 1.0, 0.0], [0.5, 0.25, 0.0]])
    gradient = jax.grad(lambda t: (soft_binary_argmax(t, 1) ** 2).sum())(x)
    assert np.isnan(gradient).all(axis=1).tolist() == [True, False]


def test_loss_of_integers_is_a_float_and_bad_targets_give_nan() -> None:
    scores = jax.numpy.array([[2, 0], [0, 1], [1, 1]])
    loss = hypersimplex_loss(scores, np.array([0, 1, 1]))
    assert jax.numpy.issubdtype(loss.dtype, jax.numpy.floating)
    np.testing.assert_allclose(
        loss, hsproj.hypersimplex_loss(np.asarray(scores), np.eye(2)[[0, 1, 1]], axis=0), rtol=1e-6
    )
    for targets in ([0, 2, 1], [0, -1, 1]):
        assert np.isnan(hypersimplex_loss(scores, np.array(targets)))
    shares = np.array([[1.0, 0.0], [1.5, 0.0], [0.0, 1.0]])
    assert np.isnan(hypersimplex_loss(scores, shares, 1, axis=-1, reduction="none")).tolist() == [False, True, False]


def test_temperatures_below_float32_are_as_good_as_its_smallest(x64: None) -> None:
    x = jax.numpy.asarray([0.5, 0.25, 0.75], "float32")
    for tau in (1e-300, np.asarray(1e-300), jax.numpy.asarray(1e-300)):
        np.testing.assert_array_equal(soft_binary_argmax(x, 2, tau), [1.0, 0.0, 1.0])
    for tau in (0.0, -1.0, np.inf, np.nan):
        assert np.isnan(soft_binary_argmax(x, 2, jax.numpy.asarray(tau))).all()
