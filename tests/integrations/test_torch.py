"""The operator in PyTorch: its layer and loss, under autograd, torch.func, autocast and torch.compile."""

from typing import Any

import numpy as np
import pytest

import hsproj
from hsproj_verify import check
from hsproj_verify.target import load

torch = pytest.importorskip("torch", reason="torch is not installed")

from hsproj.integrations.torch import HyperSimplexLoss, SoftBinaryArgmax, soft_binary_argmax  # noqa: E402

# Of torch's own, when it first goes forward, and while it compiles.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "FutureWarning")]

X = np.random.default_rng(3).normal(size=(4, 7))
K = np.array([1.2, 2.5, 3.1, 5.9])  # no total is near where a share leaves 0 or 1: see the test of derivatives
TAU = np.array([0.5, 1.0, 2.0, 4.0])


def arguments(*, requires_grad: bool = False) -> list[Any]:
    return [torch.tensor(array, requires_grad=requires_grad) for array in (X, K, TAU)]


def compiled(function: Any) -> Any:
    return torch.compile(function, fullgraph=True, backend="aot_eager")


def test_it_passes_the_judge_with_its_own_autograd() -> None:
    report = check(load("torch:hsproj.integrations.torch:soft_binary_argmax"), examples=8)
    report.raise_for_failures()
    assert report.counts["passed"] >= 85


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("dim", [-1, 0])
def test_on_the_cpu_it_has_the_bits_of_numpy(dtype: str, dim: int) -> None:
    x = (X + 1e3).astype(dtype)
    came = soft_binary_argmax(torch.from_numpy(x), 2, 0.7, dim=dim)
    assert came.is_contiguous()
    np.testing.assert_array_equal(came.numpy(), hsproj.soft_binary_argmax(x, 2, temperature=0.7, axis=dim))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_where_the_kernels_do_not_reach_answers_and_derivatives_are_as_good(
    dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    eps = torch.finfo(dtype).eps
    x = torch.tensor(X, dtype=dtype, requires_grad=True)
    k, tau = (torch.tensor(array, requires_grad=True) for array in (K, TAU))

    def answers() -> list[Any]:
        p = soft_binary_argmax(x, k, tau)
        return [p, *torch.autograd.grad((p * torch.arange(7)).sum(), (x, k, tau))]

    expected = answers()
    monkeypatch.setattr("hsproj.integrations.torch._WITH_KERNELS", ())  # as on a device
    for came, truth in zip(answers(), expected, strict=True):
        assert came.dtype == truth.dtype
        assert truth.any()
        torch.testing.assert_close(came, truth, rtol=0, atol=64 * eps)  # cotangents up to 6, over temperatures from 1/2


def test_bfloat16_is_computed_in_float32() -> None:
    x = torch.from_numpy(X).bfloat16()
    came = soft_binary_argmax(x, K, TAU)
    assert came.dtype == torch.bfloat16
    assert torch.equal(came, soft_binary_argmax(x.float(), K, TAU).bfloat16())


def test_derivatives_in_scores_totals_and_temperatures_are_those_of_differences() -> None:
    inputs = arguments(requires_grad=True)
    assert torch.autograd.gradcheck(soft_binary_argmax, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(soft_binary_argmax, inputs)


def test_jacobians_are_those_of_numpy_in_both_modes() -> None:
    expected = hsproj.jacobian(X[0], 2.5, temperature=2.0)
    assert expected.any()
    for mode in (torch.func.jacrev, torch.func.jacfwd):
        came = mode(lambda x: soft_binary_argmax(x, 2.5, 2.0))(torch.from_numpy(X[0]))
        np.testing.assert_array_equal(came.numpy(), expected)


def test_the_second_derivative_in_the_scores_is_zero() -> None:
    hessian = torch.func.hessian(lambda x: soft_binary_argmax(x, 2.5)[0])(torch.from_numpy(X[0]))
    assert not hessian.any()


def test_masks_are_saved_and_no_matrix() -> None:
    sizes = []

    def seen(tensor: Any) -> Any:
        sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    x = torch.zeros((3, 1000), requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(seen, lambda tensor: tensor):
        soft_binary_argmax(x, 2)
    assert sum(sizes) == 3 * 1000 + 3 * 8  # a byte an entry, and the temperatures


def test_it_is_mapped_over_any_arguments() -> None:
    x, k, tau = arguments()
    expected = soft_binary_argmax(x, k, tau)
    assert torch.equal(torch.func.vmap(soft_binary_argmax)(x, k, tau), expected)
    assert torch.equal(torch.func.vmap(soft_binary_argmax, in_dims=(1, 0, 0))(x.T, k, tau), expected)
    over_totals = torch.func.vmap(lambda total: soft_binary_argmax(x, total))(k)
    assert torch.equal(over_totals, torch.stack([soft_binary_argmax(x, total) for total in k]))


def test_gradients_of_each_sample_are_those_of_a_loop() -> None:
    x = torch.from_numpy(X)

    def loss(row: Any) -> Any:
        return soft_binary_argmax(row, 2.5).square().sum()

    each = torch.stack([torch.func.grad(loss)(row) for row in x])
    assert each.any()
    assert torch.equal(torch.func.vmap(torch.func.grad(loss))(x), each)


def test_it_compiles_to_one_graph_with_the_same_bits_and_derivatives() -> None:
    inputs = arguments(requires_grad=True)
    values = [function(*inputs) for function in (soft_binary_argmax, compiled(soft_binary_argmax))]
    assert torch.equal(*values)
    plain, traced = (torch.autograd.grad(p.square().sum(), inputs) for p in values)
    for expected, came in zip(plain, traced, strict=True):
        assert expected.any()
        assert torch.equal(came, expected)


def test_compiled_once_it_takes_rows_of_other_lengths_and_other_totals() -> None:
    function = compiled(soft_binary_argmax)
    for n, k in ((7, 2), (5, 2), (6, 2.5), (4, 1.5)):
        x = torch.from_numpy(X[:, :n])
        assert torch.equal(function(x, k), soft_binary_argmax(x, k))


def test_its_operators_keep_the_rules_of_torch() -> None:
    rows, k, tau = torch.from_numpy(X), torch.from_numpy(K)[:, None], torch.from_numpy(TAU)[:, None]
    torch.library.opcheck(torch.ops.hsproj.solve.default, (rows, k, tau))
    torch.library.opcheck(torch.ops.hsproj.tangent.default, (rows, rows > 0, tau))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_it_stays_in_float32(dtype: Any) -> None:
    x = torch.from_numpy(X).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        p = soft_binary_argmax(x, 2)
    assert p.dtype == torch.float32
    assert torch.equal(p, soft_binary_argmax(x.float(), 2))
    p[0, 0].backward()
    assert x.grad.dtype == dtype


def test_what_breaks_the_rules_is_refused_or_becomes_nan() -> None:
    x = torch.from_numpy(X)
    with pytest.raises(
        ValueError, match=r"`k` must satisfy 0 <= k <= n; got k=8 with n=7 \(x.shape=\(4, 7\), axis=-1\)"
    ):
        soft_binary_argmax(x, 8)
    with pytest.raises(ValueError, match="`temperature` must be positive and finite"):
        soft_binary_argmax(x, 2, 0.0)
    with pytest.raises(ValueError, match=r"`k` must broadcast to the batch shape \(4,\)"):
        soft_binary_argmax(x, torch.ones(3))
    with pytest.raises(TypeError, match="`x` must be a tensor; got ndarray"):
        soft_binary_argmax(X, 2)
    with pytest.raises(TypeError, match="hold real numbers"):
        soft_binary_argmax(x * 1j, 2)
    p = soft_binary_argmax(x, torch.tensor([1.0, 8.0, -1.0, torch.nan]), torch.tensor([1.0, 1.0, 1.0, 1.0]))
    assert torch.isnan(p).all(dim=1).tolist() == [False, True, True, True]
    assert torch.isnan(soft_binary_argmax(x, 1, torch.tensor([0.0, -1.0, torch.inf, 1.0]))).all(dim=1).tolist() == [
        True
    ] * 3 + [False]


def test_a_row_of_nan_costs_no_other_row() -> None:
    x = torch.from_numpy(X).clone()
    x[1, 3] = torch.nan
    x.requires_grad_()
    p = soft_binary_argmax(x, 2)
    assert torch.isnan(p).all(dim=1).tolist() == [False, True, False, False]
    p[[0, 2, 3]].square().sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
def test_nothing_in_nothing_out(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, requires_grad=True)
    p = soft_binary_argmax(x, 0)
    p.sum().backward()
    assert p.shape == x.grad.shape == shape


def test_the_layer_moves_tensors_and_learns_parameters() -> None:
    layer = SoftBinaryArgmax(torch.tensor([1.0, 2.0]), torch.nn.Parameter(torch.tensor(0.5)), dim=0)
    assert {name for name, _ in layer.named_buffers()} == {"k"}
    assert "dim=0" in repr(layer)
    x = torch.from_numpy(X[:, :2])
    layer(x)[0].sum().backward()
    assert layer.temperature.grad is not None
    assert torch.equal(layer(x), soft_binary_argmax(x, layer.k, layer.temperature, dim=0))
    state = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    fresh = SoftBinaryArgmax(torch.zeros(2), torch.nn.Parameter(torch.tensor(1.0)), dim=0)
    fresh.load_state_dict(state)
    assert torch.equal(fresh(x), layer(x))


@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("as_integers", [True, False])
def test_the_loss_and_its_gradient_are_those_of_numpy(dim: int, reduction: str, as_integers: bool) -> None:
    classes = np.array([0, 3, 3, 6])
    onehot = np.eye(7)[classes]
    scores = torch.tensor(X, requires_grad=True)
    loss = HyperSimplexLoss(temperature=0.7, dim=dim, reduction=reduction)(
        scores, torch.from_numpy(classes if as_integers else onehot)
    )
    loss.sum().backward()
    expected, gradient = hsproj.hypersimplex_loss_and_grad(X, onehot, temperature=0.7, axis=dim, reduction=reduction)
    np.testing.assert_allclose(loss.detach(), expected, rtol=1e-14)
    np.testing.assert_allclose(scores.grad, gradient, rtol=1e-13, atol=1e-16)


def test_the_loss_takes_totals_and_refuses_other_shapes() -> None:
    scores, onehot = torch.from_numpy(X), torch.eye(7)[[0, 3, 3, 6]].double()
    came = HyperSimplexLoss(2, torch.from_numpy(TAU), dim=-1)(scores, onehot)
    assert float(came) == pytest.approx(hsproj.hypersimplex_loss(X, onehot.numpy(), 2, temperature=TAU), rel=1e-14)
    with pytest.raises(ValueError, match="`targets` must have the shape"):
        HyperSimplexLoss()(scores, onehot[:, :3])
    with pytest.raises(ValueError, match="`reduction` must be"):
        HyperSimplexLoss(reduction="median")


def test_the_loss_of_half_precision_is_computed_in_float32() -> None:
    scores = torch.from_numpy(X).half()
    loss = HyperSimplexLoss()(scores, torch.tensor([0, 3, 3, 6]))
    assert loss.dtype == torch.float16
    assert loss == HyperSimplexLoss()(scores.float(), torch.tensor([0, 3, 3, 6])).half()


def test_a_small_network_learns_with_the_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(300, 5, generator=generator)
    classes = (inputs @ torch.randn(5, 3, generator=generator)).argmax(-1)
    # A shift of all scores of a class changes nothing, so of a bias Adam would see rounding errors only, and walk at random.
    network = torch.nn.Linear(5, 3, bias=False)
    with torch.no_grad():
        network.weight.zero_()
    optimiser = torch.optim.Adam(network.parameters(), 0.05)
    criterion = HyperSimplexLoss(temperature=2.0)
    for _ in range(100):
        optimiser.zero_grad()
        criterion(network(inputs), classes).backward()
        optimiser.step()
    assert (network(inputs).argmax(-1) == classes).float().mean() > 0.95
