"""Arrays of other libraries under their transformations: compiled, mapped over a batch, differentiated."""

from typing import Any

import numpy as np
import pytest

import hsproj
from hsproj_verify.oracles import exact

X = np.random.default_rng(2).normal(size=(4, 7)).astype(np.float32)
K = np.array([1.0, 2.5, 0.0, 7.0], np.float32)
TIED = np.array([5.0, 5.0, 0.5, 0.5, -3.0, -3.0])  # with k = 3 saturated and zero ties are at rest, and free ones share
G = np.array([9.0, 7.0, 1.0, 2.0, 4.0, 5.0])
EPS = float(np.finfo(np.float32).eps)


# Of torch's own, when it first goes forward, and while it compiles.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "FutureWarning")]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def jax() -> Any:
    return pytest.importorskip("jax", reason="jax is not installed")


def p_of(x: Any, k: Any, temperature: Any = 2.0) -> Any:
    return hsproj.soft_binary_argmax(x, k, temperature=temperature)


def test_jax_compiles_it_without_a_change_of_a_bit(jax: Any) -> None:
    # XLA may fuse products with sums and fold constants: sums that round nothing survive both.
    x, k = jax.numpy.asarray(X + 1e4), jax.numpy.asarray(K)
    np.testing.assert_array_equal(jax.jit(p_of)(x, k), p_of(x, k))


def test_jax_maps_it_over_rows_with_a_total_and_a_temperature_each(jax: Any) -> None:
    x, k, tau = (
        jax.numpy.asarray(X),
        jax.numpy.asarray(K),
        jax.numpy.asarray(np.array([0.5, 1.0, 2.0, 4.0], np.float32)),
    )
    np.testing.assert_array_equal(jax.vmap(p_of)(x, k, tau), p_of(x, k, tau))


def test_jax_differentiates_it_in_both_modes(jax: Any) -> None:
    with jax.enable_x64(True):
        x = jax.numpy.asarray(X[0], "float64")
        expected = hsproj.jacobian(np.asarray(x), 2.5, temperature=2.0)
        assert expected.any()
        for mode in (jax.jacrev, jax.jacfwd):
            np.testing.assert_allclose(mode(p_of)(x, 2.5), expected, rtol=0, atol=1e-15)
        # p is affine in the scores.
        np.testing.assert_array_equal(jax.hessian(lambda v: p_of(v, 2.5)[0])(x), np.zeros((7, 7)))


def test_jax_differentiates_it_in_total_and_temperature(jax: Any) -> None:
    with jax.enable_x64(True):
        x = np.asarray(X[0], np.float64)
        sol = hsproj.solve(x, 2.5, temperature=2.0)
        dk, dtau = jax.jacrev(p_of, argnums=(1, 2))(
            jax.numpy.asarray(x), jax.numpy.asarray(2.5), jax.numpy.asarray(2.0)
        )
        np.testing.assert_allclose(dk, sol.dk, rtol=0, atol=1e-15)
        np.testing.assert_allclose(dtau, sol.dtemperature, rtol=0, atol=1e-14)


def test_jax_finds_what_is_wrong_about_a_call_while_it_traces(jax: Any) -> None:
    with pytest.raises(ValueError, match="`k` must satisfy 0 <= k <= n; got k=8 with n=7"):
        jax.jit(lambda x: p_of(x, 8))(jax.numpy.asarray(X))


def test_bad_values_become_nan_where_jax_can_not_look_at_them(jax: Any) -> None:
    p = np.asarray(
        jax.jit(p_of)(jax.numpy.asarray(X), jax.numpy.asarray(np.array([1.0, 8.0, -1.0, np.nan], np.float32)))
    )
    assert np.isnan(p).all(axis=1).tolist() == [False, True, True, True]


def test_torch_differentiates_it_in_both_modes(torch: Any) -> None:
    x = torch.from_numpy(X[0].astype(np.float64))
    expected = hsproj.jacobian(X[0].astype(np.float64), 2.5, temperature=2.0)
    assert expected.any()
    for mode in (torch.func.jacrev, torch.func.jacfwd):
        np.testing.assert_allclose(mode(lambda v: p_of(v, 2.5))(x), expected, rtol=0, atol=1e-15)


def test_torch_differentiates_it_in_total_and_temperature(torch: Any) -> None:
    x = X[0].astype(np.float64)
    k, tau = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (2.5, 2.0))
    sol = hsproj.solve(x, 2.5, temperature=2.0)
    g = np.arange(7.0)
    dk, dtau = torch.autograd.grad(p_of(torch.from_numpy(x), k, tau), (k, tau), torch.from_numpy(g))
    assert float(dk) == pytest.approx(g @ sol.dk, abs=1e-14)
    assert float(dtau) == pytest.approx(g @ sol.dtemperature, abs=1e-13)


def test_torch_differentiates_it_twice_in_the_temperature_and_once_more_in_the_scores(torch: Any) -> None:
    x, tau = torch.from_numpy(X[0].astype(np.float64)), torch.tensor(2.0, dtype=torch.float64)
    # dp/dtau goes as 1 / tau^2, and dp/dx as 1 / tau.
    second = torch.func.jacfwd(torch.func.jacrev(lambda t: p_of(x, 2.5, t)))(tau)
    expected = -hsproj.solve(x.numpy(), 2.5, temperature=2.0).dtemperature
    assert expected.any()
    np.testing.assert_allclose(second, expected, rtol=0, atol=1e-14)
    mixed = torch.func.jacrev(torch.func.jacfwd(lambda v, t: p_of(v, 2.5, t)), argnums=1)(x, tau)
    np.testing.assert_allclose(mixed, -hsproj.jacobian(x.numpy(), 2.5, temperature=2.0) / 2, rtol=0, atol=1e-14)


def test_torch_finds_no_second_derivative_in_the_scores(torch: Any) -> None:
    x = torch.from_numpy(X[0].astype(np.float64)).requires_grad_()
    (first,) = torch.autograd.grad(p_of(x, 2.5) @ torch.arange(7.0, dtype=torch.float64), x, create_graph=True)
    assert first.any()
    assert not first.requires_grad  # p is affine in the scores


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_gradients_are_zero_at_tied_saturated_and_zero_scores(name: str) -> None:
    library = pytest.importorskip(name, reason=f"{name} is not installed")
    if name == "torch":
        x = library.from_numpy(TIED).requires_grad_()
        (gradient,) = library.autograd.grad(hsproj.project(x, 3), x, library.from_numpy(G))
        explicit = hsproj.vjp(x.detach(), 3, library.from_numpy(G))
    else:
        with library.enable_x64(True):
            gradient = library.grad(lambda v: hsproj.project(v, 3) @ G)(library.numpy.asarray(TIED))
            explicit = hsproj.vjp(library.numpy.asarray(TIED), 3, G)
    assert gradient.tolist() == explicit.tolist() == [0.0, 0.0, -0.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("name", ["hypersimplex_loss", "fenchel_young_loss", "cross_entropy_loss"])
def test_torch_finds_the_gradients_of_losses(torch: Any, name: str) -> None:
    scores, targets = X.astype(np.float64), np.eye(4, 7)
    options = {"temperature": 2.0, **({"floor": 1e-3} if name == "cross_entropy_loss" else {})}
    x = torch.from_numpy(scores).requires_grad_()
    getattr(hsproj, name)(x, torch.from_numpy(targets), **options).backward()
    expected = getattr(hsproj, f"{name}_and_grad")(scores, targets, **options)[1]
    np.testing.assert_allclose(x.grad, expected, rtol=1e-14, atol=1e-15)


def test_torch_maps_it_over_rows(torch: Any) -> None:
    x, k = torch.from_numpy(X), torch.from_numpy(K)
    assert torch.equal(torch.func.vmap(p_of)(x, k), p_of(x, k))


@pytest.mark.filterwarnings(
    "ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning"
)  # array-api-compat's
@pytest.mark.parametrize("k", [2, "array"])
def test_torch_compiles_it_in_one_graph(torch: Any, k: Any) -> None:
    compiled = torch.compile(p_of, fullgraph=True, backend="aot_eager")
    for n in (7, 5, 6):  # the second length makes it a symbol
        x, total = torch.from_numpy(X[:, :n]), torch.from_numpy(np.minimum(K, n)) if k == "array" else k
        assert torch.equal(compiled(x, total), p_of(x, total))


@pytest.mark.filterwarnings(
    "ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning"
)  # array-api-compat's
def test_torch_compiles_it_to_machine_code_that_is_as_accurate(torch: Any) -> None:
    scores = X[:, :3] + np.float32(1e4)
    try:
        p = torch.compile(p_of, fullgraph=True)(torch.from_numpy(scores), 1.5)
    except torch._inductor.exc.InductorError as error:
        pytest.skip(f"torch finds no compiler here: {error}")
    for row, came in zip(scores, p, strict=True):
        truth = exact.solve(row.tolist(), 1.5, 2.0).p
        assert all(abs(float(a) - float(b)) <= 2 * EPS * (1 + float(b)) for a, b in zip(came, truth, strict=True))
