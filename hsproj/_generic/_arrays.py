"""What is known of an array without a look at its values: its library, kind of dtype and shape."""

from typing import Any

import numpy as np

from hsproj._dispatch import is_foreign
from hsproj._errors import refuse
from hsproj._generic._pairs import Array
from hsproj._inputs import Layout, real_array


def namespace_of(array: Array, name: str) -> Any:
    """Its array namespace, as array-api-compat has it."""
    library = _library(array)
    if library == "torch":  # what follows warns while torch compiles it
        import array_api_compat.torch

        return array_api_compat.torch
    from array_api_compat import array_namespace

    try:
        return array_namespace(array)
    except TypeError:
        rule = "be an array, a number or a nested sequence of numbers"
        raise refuse(TypeError, name, rule, f"{library}.{type(array).__name__}") from None


def demand_real(
    xp: Any, array: Array, name: str, kinds: tuple[str, ...] = ("bool", "integral", "real floating")
) -> None:
    """Refuse dtypes of other kinds."""
    if not xp.isdtype(array.dtype, kinds):
        rule = "hold real numbers (integers or floats of at most 64 bits)"
        raise refuse(TypeError, name, rule, f"dtype {str(array.dtype).removeprefix('torch.')}")


def places(xp: Any, numbers: Array) -> Array:
    """Whole numbers, of the dtype that indices have where they are."""
    from array_api_compat import device

    kinds = xp.__array_namespace_info__().default_dtypes(device=device(numbers))
    return xp.astype(numbers, kinds["indexing"])


def within(xp: Any, numbers: Array, low: float, high: float) -> Array:
    """Numbers, or the bound that they are beyond: a clip that torch.compile can follow where a length is a symbol."""
    numbers = xp.where(numbers < low, low, numbers)
    return xp.where(numbers > high, high, numbers)


def broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an array of this shape broadcasts to the target."""
    fits = (size in (1, to) for size, to in zip(reversed(shape), reversed(target), strict=False))
    return len(shape) <= len(target) and all(fits)


def answer_dtype(xp: Any, x: Array) -> Any:
    """The dtype of answers: floats keep theirs; for others float64, or float32 where the device has no float64."""
    if xp.isdtype(x.dtype, "real floating"):
        return x.dtype
    from array_api_compat import device

    there = xp.__array_namespace_info__().dtypes(device=device(x), kind="real floating")
    return there.get("float64", xp.float32)


def like_scores(xp: Any, value: Any, name: str, layout: Layout, scores: Array) -> Array:
    """`value`, broadcast to the shape of the scores, as rows of the dtype of these."""
    if not is_foreign(value):
        from array_api_compat import device

        kind = np.float32 if xp.finfo(scores.dtype).bits == 32 else np.float64
        value = xp.asarray(real_array(value, name).astype(kind), device=device(scores))
    elif namespace_of(value, name) is not xp:
        came = f"{_library(value)}.{type(value).__name__}"
        raise refuse(TypeError, name, f"be numbers, or an array of the same library as `{layout.name}`", came)
    demand_real(xp, value, name)
    if not broadcasts(tuple(value.shape), layout.shape):
        rule = f"broadcast to the shape {layout.shape} of the scores"
        raise refuse(ValueError, name, rule, f"shape {tuple(value.shape)}")
    spread = xp.broadcast_to(value, layout.shape)
    return xp.astype(move_axis(xp, spread, layout.axis, -1), scores.dtype, copy=False)


def move_axis(xp: Any, array: Array, source: int, target: int) -> Array:
    """The array with one of its axes elsewhere; moveaxis, which torch.vmap has no rule for."""
    if array.ndim == 1 or source == target:
        return array
    order = [*range(array.ndim)]
    order.insert(target % array.ndim, order.pop(source % array.ndim))
    return xp.permute_dims(array, tuple(order))


def restored(xp: Any, layout: Layout, rows: Array) -> Array:
    """Rows (..., n) as an array of the shape that the layout is of; floats in the dtype of answers."""
    return cast(xp, layout, move_axis(xp, rows, -1, layout.axis))


def one_a_row(xp: Any, layout: Layout, values: Array) -> Array:
    """Values of rows, with a last axis of 1, as an array of the batch's shape; floats in the dtype of answers."""
    return cast(xp, layout, xp.broadcast_to(values, (*layout.batch, 1))[..., 0])


def cast(xp: Any, layout: Layout, array: Array) -> Array:
    """Floats in the dtype of answers."""
    return array if array.dtype == xp.bool else xp.astype(array, layout.dtype, copy=False)


def has_derivatives(array: Array) -> bool:
    """Whether its library differentiates."""
    return _library(array) in ("torch", "jax", "jaxlib")


def constant(array: Array) -> Array:
    """The array without its derivatives, where its library has any."""
    if not has_derivatives(array):
        return array
    if _library(array) == "torch":
        return array.detach()
    import jax

    return jax.lax.stop_gradient(array)


def _library(array: Array) -> str:
    return type(array).__module__.partition(".")[0]
