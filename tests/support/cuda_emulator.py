"""kernels.cu on the CPU: a C++ compiler builds each kernel with `cuda_on_cpu.h`, and rows are arrays of NumPy or torch."""

import ctypes
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from hsproj._cuda import Plan

COMPILER = shutil.which("g++") or shutil.which("clang++")
_HEADER = Path(__file__).with_name("cuda_on_cpu.h")
_LAUNCH = """
extern "C" int launch(int blocks, int threads, size_t memory, bool together, bool flush, HSPROJ_PARAMETERS({scalar})) {{
    return cuda_on_cpu::launch(blocks, threads, memory, together, flush, [=] {{ hsproj_kernel(HSPROJ_ARGUMENTS); }});
}}
"""
_ARGUMENTS = [
    *(ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_bool, ctypes.c_bool),
    *(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_double, ctypes.c_uint64, ctypes.c_double, ctypes.c_uint64),
    *(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int64, ctypes.c_int32),
]


class EmulatedDevice:
    """A device of so many processors on the CPU; `flush`: it takes subnormal numbers for 0. `launched` are plans that ran."""

    def __init__(self, processors: int = 3, block_memory: int = 96 * 1024, *, flush: bool = False) -> None:
        self.processors, self.block_memory, self.flush = processors, block_memory, flush
        self.launched: list[Plan] = []
        self._folder = tempfile.TemporaryDirectory()
        self._built: dict[str, Any] = {}
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> "EmulatedDevice":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def current(self) -> AbstractContextManager[None]:
        return nullcontext()

    def pointer(self, array: Any) -> int:
        return array.ctypes.data if isinstance(array, np.ndarray) else array.data_ptr()

    def contiguous(self, array: Any) -> Any:
        """Of native bytes, since no device has others."""
        if isinstance(array, np.ndarray):
            return np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return array.contiguous()

    def empty(self, array: Any, *, mask: bool = False) -> Any:
        """What a kernel leaves out shows as 77, or True."""
        if isinstance(array, np.ndarray):
            return np.full(array.shape, 77, np.bool_ if mask else array.dtype)
        import torch

        return torch.full(array.shape, 77, dtype=torch.bool if mask else array.dtype)

    def zeros(self, size: int) -> Any:
        return np.zeros(size, np.uint8)

    def kernel(self, plan: Plan) -> Callable[..., None]:
        def run(blocks: int, threads: int, memory: int, arguments: tuple[Any, ...]) -> None:
            self.launched.append(plan)
            self.launch(plan.source, plan.cooperative, blocks, threads, memory, arguments)

        return run

    def launch(
        self, source: str, cooperative: bool, blocks: int, threads: int, memory: int, arguments: tuple[Any, ...]
    ) -> None:
        with self._one_at_a_time:
            function = self._build(source)
            parted = function(
                blocks, threads, memory, cooperative, self.flush, *(number.item() for number in arguments)
            )
        if parted:
            raise RuntimeError("threads of a kernel wait for others that don't come")

    def _build(self, kernel: str) -> Any:
        scalar = kernel.rpartition("HSPROJ_KERNEL(")[2].split(",")[1].strip()
        source = f'#include "{_HEADER.name}"\n{kernel}{_LAUNCH.format(scalar=scalar)}'
        if source not in self._built:
            folder, name = Path(self._folder.name), f"kernel{len(self._built)}"
            # Without contraction of a * b + c: the bits of guesses don't matter, and those of answers must not need it.
            options = ["-std=c++17", "-O1", "-shared", "-fPIC", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-w"]
            if not self._built:  # the standard library once
                shutil.copy(_HEADER, folder)
                subprocess.run([COMPILER, *options, "-x", "c++-header", _HEADER.name], cwd=folder, check=True)
            (folder / f"{name}.cpp").write_text(source)
            subprocess.run([COMPILER, *options, f"{name}.cpp", "-o", f"{name}.so"], cwd=folder, check=True)
            function = ctypes.CDLL(str(folder / f"{name}.so")).launch
            function.argtypes, function.restype = _ARGUMENTS, ctypes.c_int
            self._built[source] = function
        return self._built[source]
