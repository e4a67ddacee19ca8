"""How kernels are compiled: lazily, cached on disk where a cache can be written, without fast-math unless asked."""

from collections.abc import Callable
from typing import Any

import numba


def jit(*, fastmath: set[str] | bool = False, inline: str = "never") -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with a disk cache; without one where neither the package nor the home folder is writable."""

    def compile_lazily(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(function, cache=True, nogil=True, fastmath=fastmath, inline=inline)
        except RuntimeError:  # "cannot cache function ...: no locator available"
            return numba.njit(function, nogil=True, fastmath=fastmath, inline=inline)

    return compile_lazily
