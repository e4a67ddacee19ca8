"""Kernels of `kernels.cu` for rows on a CUDA device: which of them for which rows, and its launch. docs/gpu.md explains them.

What a device is, an object with a few methods, is CuPy's business here (`CupyDevice`); tests have one on the CPU. CuPy is
imported once there is an array of it.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

import numpy as np

WARP, PARTIALS, LARGEST_PARTIAL = 32, 4096, 64
LONGEST = 2**31 - 2**20
"""The most columns: places in a row are of 32 bits, and threads step beyond its end."""

OPTIONS = ("--std=c++17", "--device-int128")
"""Of the compiler; sums of float64 rows have 128 bits."""

_HELD_BY_LANES = {4: [(8, 8), (32, 32)], 8: [(8, 8), (32, 16)]}
"""Bytes held of each column: (lanes of a warp, the most columns that each of them holds)."""
_HELD_BY_BLOCKS = {4: [(128, 8), (256, 8), (256, 16), (512, 16)], 8: [(128, 8), (256, 8), (512, 8)]}
"""Bytes held of each column: (threads, how many columns each of them holds)."""
_IN_BLOCK, _NOT_HELD = 0, -1


class Device(Protocol):
    """Where rows are. Arrays are those of its library."""

    processors: int
    block_memory: int
    """The most memory of a block, in bytes."""

    def current(self) -> AbstractContextManager[Any]:
        """While it is open, memory and launches are of this device."""

    def pointer(self, array: Any) -> int:
        """Its address."""

    def contiguous(self, array: Any) -> Any:
        """The same numbers, row after row."""

    def empty(self, array: Any, *, mask: bool = False) -> Any:
        """Room for as many numbers as an array has, row after row, of its dtype or bool."""

    def zeros(self, size: int) -> Any:
        """So many bytes."""

    def kernel(self, plan: Plan) -> Callable[..., None]:
        """A function of what is launched: (blocks, threads, bytes of memory of a block, arguments)."""


class Plan(NamedTuple):
    """A kernel and its launch. Each thread holds `held` numbers in registers; 0: a block holds its row; -1: nobody does."""

    function: str
    scalar: str
    team: str
    held: int
    blocks: int
    threads: int
    memory: int = 0

    @property
    def cooperative(self) -> bool:
        """Whether blocks wait for each other."""
        return self.team == "Grid"

    @property
    def source(self) -> str:
        """What is to be compiled; the kernel is `hsproj_kernel`."""
        return _source(f"{self.function}, {self.scalar}, {self.team}, {self.held}, {self.threads}")


@cache
def _source(kernel: str) -> str:
    return f"{files(__package__).joinpath('kernels.cu').read_text('utf-8')}\nHSPROJ_KERNEL({kernel})\n"


def plan_for(function: str, itemsize: int, m: int, n: int, device: Device) -> Plan:
    """The launch for m rows of n floats of so many bytes."""
    scalar = {4: "float", 8: "double"}[itemsize]
    column = itemsize * (2 if function == "project_and_multiply" else 1)
    registers = min(column, 8)
    for lanes, most in _HELD_BY_LANES[registers]:
        if n <= lanes * most:
            held = 1 << (-(-n // lanes) - 1).bit_length()
            return Plan(function, scalar, f"Warp<{lanes}>", held, -(-m * lanes // 128), 128)
    for threads, held in _HELD_BY_BLOCKS[registers]:
        if n <= threads * held:
            return Plan(function, scalar, "Block", held, m, threads, PARTIALS)
    memory = PARTIALS + n * column
    if memory <= device.block_memory:
        return Plan(function, scalar, "Block", _IN_BLOCK, m, 1024, memory)
    if 2 * m >= device.processors:
        return Plan(function, scalar, "Block", _NOT_HELD, m, 1024, PARTIALS)
    return Plan(function, scalar, "Grid", _NOT_HELD, device.processors, 1024, PARTIALS)


class PerRow(NamedTuple):
    """A float for all rows, or an array (m,) of float64 on the device."""

    each: Any = None
    all: float = 0.0


class Projected(NamedTuple):
    """What was asked for: arrays (m, n), or None."""

    p: Any
    free: Any
    product: Any


def project(
    device: Device, rows: Any, k: PerRow, temperature: PerRow, v: Any = None, *, p: bool = True, free: bool = False
) -> Projected:
    """Projections of rows (m, n) of float32 or float64, masks of free entries, and products of the Jacobian with rows v.

    NaN in rows without an answer, or whose k or temperature breaks the rules; their masks are all False.
    """
    with device.current():
        rows = device.contiguous(rows)
        answer = Projected(
            device.empty(rows) if p else None,
            device.empty(rows, mask=True) if free else None,
            None if v is None else device.empty(rows),
        )
        _launch("project" if v is None else "project_and_multiply", device, rows, k, temperature, rows, v, answer)
        return answer


def tangent(device: Device, v: Any, free: Any, temperature: PerRow) -> Any:
    """Free entries of rows v (m, n) less their mean, divided by the temperature; 0 elsewhere."""
    with device.current():
        answer = Projected(None, device.contiguous(free), device.empty(v))
        _launch("tangent", device, v, PerRow(), temperature, None, v, answer)
        return answer.product


def _launch(
    function: str, device: Device, like: Any, k: PerRow, temperature: PerRow, x: Any, v: Any, answer: Projected
) -> None:
    (m, n), itemsize = like.shape, like.itemsize
    if not m * n:
        return
    v = None if v is None else device.contiguous(v)
    plan = plan_for(function, itemsize, m, n, device)
    scratch = device.zeros(LARGEST_PARTIAL * (1 + 2 * plan.blocks)) if plan.cooperative else None

    def at(array: Any) -> np.uint64:
        return np.uint64(0 if array is None else device.pointer(array))

    arguments = (
        *(at(x), at(k.each), np.float64(k.all), at(temperature.each), np.float64(temperature.all), at(v)),
        *(at(answer.p), at(answer.free), at(answer.product), at(scratch), np.int64(m), np.int32(n)),
    )
    device.kernel(plan)(plan.blocks, plan.threads, plan.memory, arguments)


class CupyDevice:
    """A CUDA device, for arrays of CuPy, on its current stream."""

    def __init__(self, index: int) -> None:
        import cupy

        self._cupy, self._index = cupy, index
        attributes = cupy.cuda.Device(index).attributes
        self.processors = attributes["MultiProcessorCount"]
        self.block_memory = attributes["MaxSharedMemoryPerBlockOptin"]

    def current(self) -> AbstractContextManager[Any]:
        """While it is open, memory and launches are of this device."""
        device: AbstractContextManager[Any] = self._cupy.cuda.Device(self._index)
        return device

    def pointer(self, array: Any) -> int:
        """Its address."""
        return int(array.data.ptr)

    def contiguous(self, array: Any) -> Any:
        """The same numbers, row after row."""
        return self._cupy.ascontiguousarray(array)

    def empty(self, array: Any, *, mask: bool = False) -> Any:
        """Room for as many numbers as an array has, row after row, of its dtype or bool."""
        return self._cupy.empty(array.shape, self._cupy.bool_ if mask else array.dtype)

    def zeros(self, size: int) -> Any:
        """So many bytes."""
        return self._cupy.zeros(size, self._cupy.uint8)

    def kernel(self, plan: Plan) -> Callable[..., None]:
        """Built at its first launch, and kept by CuPy between processes."""
        raw = _raw_kernel(plan.source, plan.cooperative)
        if plan.memory > 48 * 1024:  # what a kernel has without being asked for more
            raw.max_dynamic_shared_size_bytes = self.block_memory

        def launch(blocks: int, threads: int, memory: int, arguments: tuple[Any, ...]) -> None:
            raw((blocks,), (threads,), arguments, shared_mem=memory)

        return launch


class TorchDevice(CupyDevice):
    """A CUDA device, for tensors, which CuPy's launches read and write where they are, on torch's current stream."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        import torch

        self._torch = torch

    @contextmanager
    def current(self) -> Iterator[None]:
        """While it is open, memory and launches are of this device."""
        stream = self._torch.cuda.current_stream(self._index).cuda_stream
        with super().current(), self._cupy.cuda.ExternalStream(stream, self._index):
            yield

    def pointer(self, array: Any) -> int:
        """Its address."""
        return int(array.data_ptr())

    def contiguous(self, array: Any) -> Any:
        """The same numbers, row after row."""
        return array.contiguous()

    def empty(self, array: Any, *, mask: bool = False) -> Any:
        """Room for as many numbers as an array has, row after row, of its dtype or bool."""
        kind = self._torch.bool if mask else array.dtype
        return self._torch.empty(array.shape, dtype=kind, device=array.device)

    def zeros(self, size: int) -> Any:
        """So many bytes, of torch's memory, which captures of graphs keep."""
        return self._torch.zeros(size, dtype=self._torch.uint8, device=f"cuda:{self._index}")


@cache
def _raw_kernel(source: str, cooperative: bool) -> Any:
    import cupy

    return cupy.RawKernel(source, "hsproj_kernel", OPTIONS, enable_cooperative_groups=cooperative)


def device_of(array: Any) -> Device | None:
    """The device of an array of CuPy for CUDA; None for others."""
    if type(array).__module__.partition(".")[0] != "cupy" or _why_not():
        return None
    return _cupy_device(array.device.id)


def device_of_tensor(tensor: Any) -> Device | None:
    """The device of a tensor of torch whose rows along the last axis CuPy can launch kernels for; None for others."""
    if not tensor.is_cuda or tensor.shape[-1] > LONGEST or importlib.util.find_spec("cupy") is None:
        return None
    why_not = _why_not()
    if why_not:
        # Once: this is the default rule of warnings, for one place.
        warnings.warn(f"CuPy is installed, but of no use ({why_not}): hsproj does without its kernels", stacklevel=2)
        return None
    return _torch_device(tensor.device.index)


_cupy_device, _torch_device = cache(CupyDevice), cache(TorchDevice)


@cache
def _why_not() -> str | None:
    """What keeps CuPy from building and launching kernels for CUDA; None if nothing does."""
    try:
        import cupy

        cupy.cuda.nvrtc.getVersion()
        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # of other libraries, about drivers and files: none is ours to list
        return f"{type(error).__name__}: {error}"
    return "it is for AMD's devices, whose warps have another size" if cupy.cuda.runtime.is_hip else None
