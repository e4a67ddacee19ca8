"""PyTorch: the operator as a function with derivatives, as a layer, and the HyperSimplex loss.

On the CPU the kernels of NumPy's arrays share the tensors' memory, and p is correctly rounded. On a CUDA device those of
`_cuda` do so, if CuPy is installed; elsewhere it is `_generic`. Derivatives always come from the masks of free entries alone:
the Jacobian is (1/tau) (diag(f) - f f^T / m).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hsproj._cuda import PerRow, device_of_tensor, project, tangent
from hsproj._errors import refuse
from hsproj._generic._inputs import pose_rows, read_layout
from hsproj._generic._numbers import Rule, read_number
from hsproj._generic._projection import answer
from hsproj._inputs import TEMPERATURE_RULE, Layout, demand_choice, total_rule
from hsproj.integrations import _host
from hsproj.integrations._packages import demand_package

demand_package("torch", "torch")

import array_api_compat.torch as xp  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

__all__ = ["HyperSimplexLoss", "SoftBinaryArgmax", "soft_binary_argmax"]

_WITH_KERNELS = ("cpu",)
"""Devices whose memory the kernels can read."""


def soft_binary_argmax(x: Tensor, k: Any, temperature: Any = 1.0, *, dim: int = -1) -> Tensor:
    """Soft-Binary-Argmax@k of a tensor, with derivatives in scores, totals and temperatures.

    Parameters
    ----------
    x : Tensor, shape (..., n, ...), real
        Scores. ``-inf`` masks an entry, ``+inf`` forces it. float16 and bfloat16 are computed in float32, and stay that under
        autocast.
    k : float, array_like or Tensor, broadcastable to the shape of `x` without `dim`
        Total of each row, 0 <= k <= n; need not be an integer.
    temperature : float, array_like or Tensor, broadcastable to the shape of `x` without `dim`
        Positive and finite, in the units of `x`.
    dim : int
        The axis along which each row lies.

    Returns
    -------
    Tensor, shape, device and floating dtype of `x`
        NaN in rows with NaN, with infinities that leave no answer, or with a tensor's k or temperature out of range.

    Raises
    ------
    TypeError, ValueError
        As `hsproj.soft_binary_argmax`, but for the values of tensors, which are not looked at.

    Notes
    -----
    Saved for the backward pass are the mask of free entries, a byte an entry, and for derivatives in the temperature p.
    p is affine in the scores between kinks: second derivatives in them are 0. It works under ``torch.func`` (grad, vmap,
    jacfwd, jacrev) and in one graph under ``torch.compile``.

    Examples
    --------
    >>> import torch
    >>> from hsproj.integrations.torch import soft_binary_argmax
    >>> x = torch.tensor([3.0, 1.0, 1.0, 0.0], requires_grad=True)
    >>> p = soft_binary_argmax(x, 2)
    >>> p.detach()
    tensor([1.0000, 0.5000, 0.5000, 0.0000])
    >>> p[1].backward()
    >>> x.grad
    tensor([ 0.0000,  0.5000, -0.5000,  0.0000])
    """
    if not isinstance(x, Tensor):
        raise refuse(TypeError, "x", "be a tensor", type(x).__name__)
    if torch.is_autocast_enabled(x.device.type) and x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    _, layout, rows = read_layout(x, dim)
    total = _per_row(k, "k", layout, rows, [total_rule(layout)])
    tau = _per_row(temperature, "temperature", layout, rows, [TEMPERATURE_RULE])
    function = _Projection if torch.compiler.is_compiling() else _ProjectionBothModes
    p: Tensor = function.apply(rows, total, tau)[0]
    return p.to(layout.dtype).movedim(-1, layout.axis).contiguous()


class SoftBinaryArgmax(nn.Module):
    """`soft_binary_argmax` as a layer, where a final softmax would be.

    Parameters
    ----------
    k, temperature : float, array_like or Tensor
        See `soft_binary_argmax`. Tensors move with the module, and parameters are learned.
    dim : int
        The axis along which each row lies.

    Examples
    --------
    >>> import torch
    >>> from hsproj.integrations.torch import SoftBinaryArgmax
    >>> SoftBinaryArgmax(k=2, temperature=0.5)(torch.tensor([[0.3, 0.1, 0.2], [5.0, 1.0, 4.0]]))
    tensor([[0.8667, 0.4667, 0.6667],
            [1.0000, 0.0000, 1.0000]])
    """

    def __init__(self, k: Any, temperature: Any = 1.0, *, dim: int = -1) -> None:
        super().__init__()
        _keep(self, k=k, temperature=temperature)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """P of the scores."""
        return soft_binary_argmax(x, self.k, self.temperature, dim=self.dim)

    def extra_repr(self) -> str:
        """What it was made with."""
        return f"k={self.k}, temperature={self.temperature}, dim={self.dim}"


class HyperSimplexLoss(nn.Module):
    """HyperSimplex loss: 1/2 ||soft_binary_argmax(scores, k) - targets||^2 for each row.

    Parameters
    ----------
    k : float, array_like or Tensor, optional
        Total of each row; by default that of its targets.
    temperature : float, array_like or Tensor
        See `soft_binary_argmax`.
    dim : int
        The axis of a row. 0, the batch: each class is projected across the batch, as in the paper, where k_c is the number of
        its positives. -1, the classes: each sample is projected.
    reduction : {"mean", "sum", "none"}
        Over rows.

    Notes
    -----
    `forward` takes scores (batch, ..., classes) and targets of that shape, or integers (batch, ...), a class each.
    float16 and bfloat16 are computed in float32.

    Examples
    --------
    >>> import torch
    >>> from hsproj.integrations.torch import HyperSimplexLoss
    >>> scores = torch.tensor([[2.0, 0.5], [0.0, 1.0], [0.5, 0.5]], requires_grad=True)
    >>> loss = HyperSimplexLoss()(scores, torch.tensor([0, 1, 1]))
    >>> loss.backward()
    >>> loss.item(), scores.grad.abs().max().item()
    (0.125, 0.25)
    """

    def __init__(self, k: Any = None, temperature: Any = 1.0, *, dim: int = 0, reduction: str = "mean") -> None:
        super().__init__()
        demand_choice(reduction, "reduction", "none", "sum", "mean")
        _keep(self, k=k, temperature=temperature)
        self.dim, self.reduction = dim, reduction

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss of scores, in their dtype."""
        dtype = scores.dtype
        if dtype in (torch.float16, torch.bfloat16):
            scores = scores.float()
        if targets.ndim == scores.ndim - 1 and not targets.is_floating_point():
            targets = nn.functional.one_hot(targets, scores.shape[-1])
        if targets.shape != scores.shape:
            rule = f"have the shape {tuple(scores.shape)} of the scores, or be integers of that shape without the last axis"
            raise refuse(ValueError, "targets", rule, f"shape {tuple(targets.shape)}, dtype {targets.dtype}")
        k = targets.sum(self.dim, dtype=_wide(scores)) if self.k is None else self.k
        p = soft_binary_argmax(scores, k, self.temperature, dim=self.dim)
        losses = 0.5 * (p - targets).square().sum(self.dim)
        return {"mean": Tensor.mean, "sum": Tensor.sum, "none": Tensor.clone}[self.reduction](losses).to(dtype)

    def extra_repr(self) -> str:
        """What it was made with."""
        return f"k={self.k}, temperature={self.temperature}, dim={self.dim}, reduction={self.reduction!r}"


def _keep(module: nn.Module, **values: Any) -> None:
    """Attributes; tensors as buffers, which move with the module."""
    for name, value in values.items():
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            module.register_buffer(name, value)
        else:
            setattr(module, name, value)


def _wide(rows: Tensor) -> torch.dtype:
    """The dtype of totals and temperatures: float64, where the device has it."""
    return torch.float32 if rows.device.type == "mps" else torch.float64


def _per_row(value: Any, name: str, layout: Layout, rows: Tensor, rules: list[Rule]) -> Tensor:
    """`value` for each row, (..., 1); what is on the host is refused if it breaks the rules."""
    number = read_number(xp, value, name, layout, torch.ones((), dtype=rows.dtype, device=rows.device), rules).value
    kind = {"dtype": _wide(rows), "device": rows.device}
    each = number.to(**kind) if isinstance(number, Tensor) else torch.as_tensor(number, **kind)
    return each.expand(*layout.batch, 1)


@torch.library.custom_op("hsproj::solve", mutates_args=())
def _solve(rows: Tensor, k: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Projections of rows (..., n), and the masks of their free entries; k and temperature are (..., 1)."""
    if rows.device.type in _WITH_KERNELS:
        p, free = _host.solve(rows.numpy(), k[..., 0].numpy(), temperature[..., 0].numpy())
        return torch.from_numpy(p), torch.from_numpy(free)
    device = device_of_tensor(rows)
    if device is not None and rows.numel():
        totals, each = (PerRow(number.reshape(-1).contiguous()) for number in (k, temperature))
        found = project(device, rows.reshape(-1, rows.shape[-1]), totals, each, free=True)
        return found.p.reshape(rows.shape), found.free.reshape(rows.shape)
    layout = Layout(rows.shape, rows.ndim - 1, rows.dtype, "x", rows.shape[:-1], k.numel(), rows.shape[-1])
    solved = answer(pose_rows(xp, layout, rows, k[..., 0], temperature[..., 0]))
    return solved.p, solved.theta.free


@torch.library.custom_op("hsproj::tangent", mutates_args=())
def _tangent(v: Tensor, free: Tensor, temperature: Tensor) -> Tensor:
    """The Jacobian times rows v (..., n): free entries of v less their mean, divided by the temperature, (..., 1)."""
    if v.device.type in _WITH_KERNELS:
        return torch.from_numpy(_tangent_on_the_host(v.numpy(), free.numpy(), temperature.numpy()))
    device = device_of_tensor(v)
    if device is not None and v.numel():
        flat, each = (-1, v.shape[-1]), PerRow(temperature.reshape(-1).contiguous())
        return tangent(device, v.reshape(flat), free.reshape(flat), each).reshape(v.shape)
    v = v.masked_fill(~free, 0)
    return ((v - v.sum(-1, keepdim=True) / _count(free)) / temperature).to(v.dtype).masked_fill(~free, 0)


@_solve.register_fake
def _(rows: Tensor, k: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    return rows.new_empty(rows.shape), rows.new_empty(rows.shape, dtype=torch.bool)


@_tangent.register_fake
def _(v: Tensor, free: Tensor, temperature: Tensor) -> Tensor:
    return v.new_empty(v.shape)


def _tangent_on_the_host(v: Any, free: Any, temperature: Any) -> Any:
    from hsproj._derivatives import tangent

    shape = v.shape
    flat = (-1, shape[-1]) if v.size else (temperature.size, shape[-1])
    rows, mask = (np.ascontiguousarray(array).reshape(flat) for array in (v, free))
    each = np.ascontiguousarray(temperature, np.float64).reshape(-1)
    return tangent(rows, mask, each, np.ones(len(rows), np.bool_)).reshape(shape)


def _batched(size: int, dims: tuple[int | None, ...], tensors: tuple[Tensor, ...]) -> list[Tensor]:
    """Arguments of a mapped function, each with the new axis in front."""
    pairs = zip(tensors, dims, strict=True)
    return [t.expand(size, *t.shape) if dim is None else t.movedim(dim, 0) for t, dim in pairs]


class _Tangent(torch.autograd.Function):
    """The Jacobian times rows. It is symmetric, so its derivative is itself."""

    @staticmethod
    def forward(v: Tensor, free: Tensor, temperature: Tensor) -> Tensor:
        return _tangent(v, free, temperature)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, free, temperature = inputs
        ctx.save_for_backward(free, temperature, output if ctx.needs_input_grad[2] else None)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, Tensor | None]:
        free, temperature, product = ctx.saved_tensors
        slope = None if product is None else -(product * g).sum(-1, keepdim=True) / temperature
        return _moved(g, free, temperature), None, slope

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, int]:
        return _moved(*_batched(info.batch_size, dims, tensors)), 0


class _TangentBothModes(_Tangent):
    """With its forward derivative, which torch.compile doesn't take."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _Tangent.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*inputs[1:], output)

    @staticmethod
    def jvp(ctx: Any, v: Tensor, free: None, temperature: Tensor | None) -> Tensor:
        mask, tau, product = ctx.saved_tensors
        change = _moved(v, mask, tau)
        return change if temperature is None else change - (product * temperature / tau).to(change.dtype)


def _moved(v: Tensor, free: Tensor, temperature: Tensor) -> Tensor:
    """The Jacobian with these free entries and temperatures (..., 1) times rows v (..., n)."""
    function = _Tangent if torch.compiler.is_compiling() else _TangentBothModes
    product: Tensor = function.apply(v, free, temperature)
    return product


class _Projection(torch.autograd.Function):
    """Projections and masks of free entries of rows. dp/dx = J, dp/dk = f / m, dp/dtau = -J p."""

    @staticmethod
    def forward(rows: Tensor, k: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
        solved: tuple[Tensor, Tensor] = _solve(rows, k, temperature)
        return solved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        p, free = output
        ctx.mark_non_differentiable(free)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(free, inputs[2], p if ctx.needs_input_grad[2] else None)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, _: None) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        if g is None:
            return None, None, None
        free, temperature, p = ctx.saved_tensors
        product = _moved(g, free, temperature)
        slope = None if p is None else -(p * product).sum(-1, keepdim=True).to(temperature.dtype)
        share = None
        if ctx.needs_input_grad[1]:
            share = (g.masked_fill(~free, 0).sum(-1, keepdim=True) / _count(free)).to(temperature.dtype)
        return product, share, slope

    @staticmethod
    def vmap(
        info: Any, dims: tuple[int | None, ...], *tensors: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        function = _Projection if torch.compiler.is_compiling() else _ProjectionBothModes
        outputs: tuple[Tensor, Tensor] = function.apply(*_batched(info.batch_size, dims, tensors))
        return outputs, (0, 0)


class _ProjectionBothModes(_Projection):
    """With its forward derivative, which torch.compile doesn't take."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        _Projection.setup_context(ctx, inputs, output)
        ctx.save_for_forward(output[1], inputs[2], output[0])

    @staticmethod
    def jvp(ctx: Any, rows: Tensor | None, k: Tensor | None, temperature: Tensor | None) -> tuple[Tensor, None]:
        free, tau, p = ctx.saved_tensors
        change = torch.zeros_like(p) if rows is None else _moved(rows, free, tau)
        if k is not None:
            change = change + torch.where(free, k / _count(free), 0).to(p.dtype)
        if temperature is not None:
            change = change - (_moved(p, free, tau) * temperature).to(p.dtype)
        return change, None


def _count(free: Tensor) -> Tensor:
    """How many are free, or 1."""
    return free.sum(-1, keepdim=True).clamp(min=1)
