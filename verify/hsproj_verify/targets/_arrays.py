"""Functions of a library's own arrays, as the checks call them: with NumPy arrays in and out."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from hsproj_verify.targets import python
from hsproj_verify.targets._error import TargetError

# Claims that a library leaves no room for, with the reason.
UNCLAIMED = {
    "layouts": "its arrays are made by the judge, and have one layout",
    "numbers": "numbers of NumPy are not those of the library",
}


def library(name: str) -> Any:
    """The library; `TargetError` if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TargetError(f"a target {name}:... needs {name}, which can't be imported: {error}") from error


def function_of(spec: str) -> Callable[..., Any]:
    """The library's function of this name."""
    found = python.find(spec)
    if not callable(found):
        raise TargetError(f"{spec} is not callable: it is {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def speaking_numpy(
    function: Callable[..., Any], inwards: Callable[[np.ndarray], Any], outwards: Callable[[Any], Any]
) -> Callable[..., Any]:
    """The function with arrays converted on their way in, and what it returns, or each of a tuple, on its way out."""

    def converted(value: Any) -> Any:
        return inwards(value) if isinstance(value, np.ndarray) else value

    @functools.wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:
        came = function(*map(converted, arguments), **{name: converted(value) for name, value in options.items()})
        return tuple(map(outwards, came)) if isinstance(came, tuple) else outwards(came)

    return called


def plain(array: np.ndarray) -> np.ndarray:
    """The array itself if it is contiguous, writeable and of native byte order, else such a copy."""
    required = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
    # One entry counts as contiguous whichever way it runs; torch takes no array that runs backwards.
    return required.copy() if min(required.strides, default=0) < 0 else required
