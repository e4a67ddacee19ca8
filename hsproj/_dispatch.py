"""Which implementation answers: kernels for NumPy arrays, lists and numbers, `_generic` for arrays of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])
_NUMPY = (np.ndarray, np.generic, list, tuple, int, float)


def is_foreign(x: object) -> bool:
    """Whether it is an array of another library than NumPy."""
    return not isinstance(x, _NUMPY) and (hasattr(x, "__array_namespace__") or hasattr(x, "__dlpack__"))


def for_any_array(function: Function) -> Function:
    """The function, but for arrays of other libraries that of the same name in `hsproj._generic`."""
    name = function.__name__

    @wraps(function)
    def dispatched(x: Any, /, *arguments: Any, **options: Any) -> Any:
        if type(x) is not np.ndarray and is_foreign(x):
            from hsproj import _generic

            return getattr(_generic, name)(x, *arguments, **options)
        return function(x, *arguments, **options)

    return dispatched  # type: ignore[return-value]
