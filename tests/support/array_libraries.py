"""Libraries of arrays other than NumPy, as tests use them: arrays in, NumPy arrays out, functions that speak NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest


class Library(NamedTuple):
    """`array` makes one of the library's arrays of a NumPy array, `jit` compiles a function of them."""

    name: str
    array: Callable[[np.ndarray], Any]
    jit: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function

    def inwards(self, value: Any) -> Any:
        return self.array(value) if isinstance(value, np.ndarray) else value

    def speaking_numpy(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with arrays converted on their way in and out."""

        @functools.wraps(function)
        def called(*arguments: Any, **options: Any) -> Any:
            came = function(*map(self.inwards, arguments), **{name: self.inwards(v) for name, v in options.items()})
            return tuple(map(self.outwards, came)) if isinstance(came, tuple) else self.outwards(came)

        return called

    @staticmethod
    def outwards(value: Any) -> Any:
        if type(value).__module__.startswith("array_api_strict"):
            value = value.to_device(type(value.device)("CPU_DEVICE"))
        if type(value).__module__.startswith("cupy"):
            value = value.get()
        return np.asarray(value.detach() if hasattr(value, "detach") else value)


NAMES = ("array_api_strict", "torch", "jax", "cupy")


def cupy_with_a_device() -> Any:
    """The module; skips where it is not installed, or has nothing to run on."""
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        devices = 0
    if not devices:
        pytest.skip("there is no CUDA device")
    return cupy


@contextmanager
def library(name: str) -> Iterator[Library]:
    """The library of this name; skips where it is not installed."""
    module = cupy_with_a_device() if name == "cupy" else pytest.importorskip(name, reason=f"{name} is not installed")
    if name == "torch":
        yield Library(name, lambda array: module.from_numpy(np.array(array)))
    elif name == "cupy":
        yield Library(name, module.asarray)
    elif name == "jax":
        with module.enable_x64(True):
            yield Library(name, module.numpy.asarray, module.jit)
    else:
        # It is NumPy underneath, and warns where numbers leave the range of their dtype; other libraries don't.
        with np.errstate(over="ignore", invalid="ignore"):
            yield Library(name, module.asarray)
