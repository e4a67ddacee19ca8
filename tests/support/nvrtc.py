"""NVRTC, NVIDIA's compiler for kernels at run time, which needs no device: source and options in, its log out."""

import ctypes
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path


def library() -> ctypes.CDLL | None:
    """Where it is, in a wheel or a CUDA installation; None where it is not."""
    spec = find_spec("nvidia")
    roots = list(spec.submodule_search_locations or []) if spec else []
    found = next((str(path) for root in roots for path in Path(root).rglob("libnvrtc.so.*")), find_library("nvrtc"))
    return ctypes.CDLL(found) if found else None


def log_of(nvrtc: ctypes.CDLL, source: str, options: tuple[str, ...]) -> str | None:
    """What it has to say against a kernel; None if it takes it."""
    program = ctypes.c_void_p()
    texts = [option.encode() for option in options]
    code = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    assert code == 0
    try:
        if nvrtc.nvrtcCompileProgram(program, len(texts), (ctypes.c_char_p * len(texts))(*texts)) == 0:
            return None
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        return log.value.decode()
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
