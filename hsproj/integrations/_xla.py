"""A Python function that XLA calls on the CPU, with NumPy arrays that share the memory of its buffers.

This is XLA's foreign function interface (xla/ffi/api/c_api.h, which jaxlib brings), seen from ctypes. `jax.pure_callback`
would do but for large arrays: it makes arrays of JAX of them, which wait for the threads that wait for it.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p, cast, pointer, sizeof
from typing import Any

import numpy as np

from hsproj._inputs import Array

Host = Callable[[Sequence[Array], Sequence[Array]], None]
"""Reads arrays of the first, and fills those of the second."""

_KINDS = {1: np.bool_, 11: np.float32, 12: np.float64}
_EXECUTE, _METADATA, _INTERNAL = 3, 1, 13


class _Buffer(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("extension", c_void_p),
        ("kind", c_int),
        ("data", c_void_p),
        ("rank", c_int64),
        ("shape", POINTER(c_int64)),
    ]

    def array(self) -> Array:
        """Its memory."""
        shape, kind = tuple(self.shape[: self.rank]), np.dtype(_KINDS[self.kind])
        number = math.prod(shape) * kind.itemsize
        memory = (ctypes.c_char * number).from_address(self.data) if number else b""
        return np.frombuffer(memory, kind).reshape(shape)


class _Buffers(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("extension", c_void_p),
        ("number", c_int64),
        ("kinds", c_void_p),
        ("buffers", POINTER(POINTER(_Buffer))),
    ]

    def arrays(self) -> list[Array]:
        """All of them."""
        return [self.buffers[i].contents.array() for i in range(self.number)]


class _Version(Structure):
    _fields_ = [("size", c_size_t), ("extension", c_void_p), ("major", c_int), ("minor", c_int)]


class _Metadata(Structure):
    _fields_ = [("size", c_size_t), ("version", _Version)]


class _Extension(Structure):
    _fields_ = [("size", c_size_t), ("kind", c_int), ("next", c_void_p), ("metadata", POINTER(_Metadata))]


class _Trouble(Structure):
    _fields_ = [("size", c_size_t), ("extension", c_void_p), ("message", c_char_p), ("code", c_int)]


_Complain = CFUNCTYPE(c_void_p, POINTER(_Trouble))


class _Interface(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("extension", c_void_p),
        ("version", _Version),
        ("internal", c_void_p),
        ("complain", _Complain),
    ]


class _Frame(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("extension", POINTER(_Extension)),
        ("interface", POINTER(_Interface)),
        ("context", c_void_p),
        ("stage", c_int),
        ("given", _Buffers),
        ("wanted", _Buffers),
    ]


_Handler = CFUNCTYPE(c_void_p, POINTER(_Frame))
_alive: list[Any] = []
"""XLA may call a function at any time, so it must live for ever."""


def register(name: str, host: Host) -> None:
    """Have XLA call `host` by this name. What it raises, XLA raises in its own way."""
    import jax

    function = _Handler(_handle(host))
    _alive.append(function)
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [c_void_p, c_char_p, c_void_p]
    jax.ffi.register_ffi_target(name, make(cast(function, c_void_p), b"xla._CUSTOM_CALL_TARGET", None), platform="cpu")


_library = ctypes.CDLL(None) if sys.platform == "linux" else None


@contextmanager
def _subnormal_numbers() -> Iterator[None]:
    """XLA's threads take them for 0, and kernels count on them. With glibc, that is: elsewhere it stays as it is."""
    library, before = _library, (ctypes.c_char * 64)()
    if library is None or not hasattr(library, "fesetenv"):
        yield
        return
    library.fegetenv(before)
    library.fesetenv(c_void_p(-1))  # FE_DFL_ENV
    try:
        yield
    finally:
        library.fesetenv(before)


def _handle(host: Host) -> Callable[[Any], int | None]:
    """A call of XLA's as one of `host`; also when it asks who answers."""

    def handle(called: Any) -> int | None:
        frame = called.contents
        try:
            if frame.extension and frame.extension.contents.kind == _METADATA:
                version, known = frame.extension.contents.metadata.contents.version, frame.interface.contents.version
                if known.major != 0 or frame.size < sizeof(_Frame):
                    raise RuntimeError(
                        f"XLA's foreign function interface has version {known.major}.{known.minor}, not 0.x."
                    )
                version.major, version.minor = known.major, known.minor
            elif frame.stage == _EXECUTE:
                with _subnormal_numbers():
                    host(frame.given.arrays(), frame.wanted.arrays())
        except BaseException as error:  # nothing may leave a function that C calls
            message = f"{type(error).__name__}: {error}".encode()
            trouble = _Trouble(sizeof(_Trouble), None, message, _INTERNAL)
            came: int | None = frame.interface.contents.complain(pointer(trouble))
            return came
        return None

    return handle
