"""How kernels are compiled: lazily, cached on disk where a cache can be written, without fast-math unless asked.

`kernel` is for what Python calls, `jit` for what kernels are made of.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

# Numba compares a cached function with the file it is in, and not with the files that it takes other functions and
# constants from. So every kernel is stamped with all of them.
_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
_STAMPS = tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in _SOURCES)


class _CacheFile(IndexDataCacheFile):
    """Numba's, but for several processes that compile at once.

    Numba numbers the files with code, and puts the number in the index before there is a file. So two processes may take the
    same number for float32 and float64, and a third may load what an earlier version left under it.
    """

    def save(self, key: Any, data: Any) -> None:
        digest = hashlib.sha256(repr((self._source_stamp, key)).encode()).hexdigest()
        name = f"{self._index_name.removesuffix('.nbi')}.{digest[:16]}.nbc"
        self._save_data(name, data)
        overloads = {**self._load_index(), key: name}
        self._save_index(overloads)
        # Nothing refers to these but earlier versions, and processes that have lost a race and will compile again.
        for file in Path(self._cache_path).glob(name.replace(digest[:16], "*")):
            if file.name not in overloads.values():
                file.unlink(missing_ok=True)


class _Cache(FunctionCache):
    """Numba's disk cache, out of date as soon as any kernel file has changed; a full disk costs it nothing but the cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = (self._impl.locator.get_source_stamp(), _STAMPS)
        self._cache_file = _CacheFile(self._cache_path, self._impl.filename_base, stamp)

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()


def jit(*, fastmath: set[str] | bool = False, allocates: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` for what kernels are made of. It becomes part of them, and of what is cached with them.

    A kernel that makes no arrays of its own needs no counting of references to those it is given: atomic operations, at
    every call of a function, which would cost short rows more than their arithmetic.
    """
    # Nobody calls them from C either, and an entry for that takes a tenth of the time of compiling.
    return partial(numba.njit, nogil=True, fastmath=fastmath, _nrt=allocates, no_cfunc_wrapper=True)


def kernel(*, fastmath: set[str] | bool = False, allocates: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """`jit` for what is called from Python: with a disk cache, where the package or the home folder is writable."""

    def compile_lazily(function: Callable[..., Any]) -> Any:
        dispatcher = jit(fastmath=fastmath, allocates=allocates)(function)
        try:
            cache = _Cache(function)
        except RuntimeError:  # "cannot cache function ...: no locator available"
            return dispatcher
        dispatcher._cache = cache
        return dispatcher

    return compile_lazily
