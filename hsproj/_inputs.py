"""Validation: what the user passed in, canonical rows out, and the way back.

Canonical rows are a C-contiguous (m, n) array of float32 or float64 in native byte order: one projection a row. Nothing
below this module validates, and nothing above it knows about axes.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hsproj._errors import refuse

Array = NDArray[Any]
NanPolicy = Literal["propagate", "raise"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the rows of an array lie: its shape, the axis of a row, and the dtype of answers."""

    shape: tuple[int, ...]
    axis: int
    dtype: np.dtype[Any]

    @property
    def n(self) -> int:
        """Entries a row."""
        return self.shape[self.axis]

    @property
    def m(self) -> int:
        """Number of rows."""
        return math.prod(self.batch)

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the array without the axis of its rows."""
        return self.shape[: self.axis] + self.shape[self.axis + 1 :]

    def __str__(self) -> str:
        return f"x.shape={self.shape}, axis={self.axis - len(self.shape)}"

    def rows(self, array: Array) -> Array:
        """An array of this shape as canonical rows, without a copy where its memory already is that."""
        return self._rows(array, np.float64 if self.dtype == np.float64 else np.float32)

    def mask_rows(self, mask: Array) -> Array:
        """A mask of this shape as (m, n) booleans."""
        return self._rows(mask, np.bool_)

    def _rows(self, array: Array, kind: type[np.generic]) -> Array:
        return np.ascontiguousarray(np.moveaxis(array, self.axis, -1), dtype=kind).reshape(self.m, self.n)

    def restore(self, rows: Array) -> Array:
        """Canonical rows as an array of this shape, in the dtype of answers."""
        kind = np.dtype(np.bool_) if rows.dtype == np.bool_ else self.dtype
        moved = rows.reshape((*self.batch, self.n))
        return np.ascontiguousarray(np.moveaxis(moved, -1, self.axis), dtype=kind)

    def per_row(self, values: Array) -> Array:
        """(m,) values as an array of the batch's shape; floats in the dtype of answers."""
        kind = self.dtype if values.dtype.kind == "f" else values.dtype
        with np.errstate(over="ignore", under="ignore"):  # a threshold may leave the range of a narrow dtype
            return values.reshape(self.batch).astype(kind)


@dataclass(frozen=True, slots=True)
class Problem:
    """What every function works on: canonical rows, float64 totals and temperatures (m,), and the layout."""

    rows: Array
    k: Array
    temperature: Array
    layout: Layout
    nan_policy: NanPolicy


def real_array(value: ArrayLike, name: str, kinds: str = "biuf") -> Array:
    """`value` as a NumPy array with real numbers in it, or a TypeError or ValueError that says why not."""
    if not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
        came = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
        raise refuse(TypeError, name, "be a NumPy array, a number or a nested sequence of numbers", came)
    if isinstance(value, np.ma.MaskedArray):
        raise refuse(TypeError, name, "be an array without a mask (fill masked scores with -inf)", "a masked array")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise refuse(
            ValueError, name, "be a rectangular array of real numbers", f"a ragged sequence: {error}"
        ) from None
    if array.dtype.kind not in kinds or array.dtype.itemsize > 8:
        raise refuse(
            TypeError, name, "hold real numbers (integers or floats of at most 64 bits)", f"dtype {array.dtype}"
        )
    return array


def floating_dtype(array: Array) -> np.dtype[Any]:
    """The dtype of answers: floats keep theirs, in native byte order; integers and booleans become float64."""
    return array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.dtype(np.float64)


def per_row(value: ArrayLike, name: str, layout: Layout) -> Array:
    """`value` broadcast over the batch, as float64 (m,)."""
    array = real_array(value, name, "iuf")
    try:
        spread = np.broadcast_to(array, layout.batch)
    except ValueError:
        rule = f"broadcast to the batch shape {layout.batch}"
        raise refuse(ValueError, name, rule, f"shape {array.shape}", str(layout)) from None
    return np.array(spread, dtype=np.float64).reshape(-1)


def like_scores(value: ArrayLike, name: str, layout: Layout) -> Array:
    """`value` broadcast to the shape of the scores, as canonical rows."""
    array = real_array(value, name)
    try:
        spread = np.broadcast_to(array, layout.shape)
    except ValueError:
        raise refuse(
            ValueError, name, f"broadcast to the shape {layout.shape} of the scores", f"shape {array.shape}"
        ) from None
    return layout.rows(spread)


def find_axis(axis: int, shape: Sequence[int]) -> int:
    """`axis` as an index into `shape`, counted from the front."""
    try:
        index = operator.index(axis)
    except TypeError:
        raise refuse(TypeError, "axis", "be an integer", repr(axis)) from None
    if not -len(shape) <= index < len(shape):
        rule = f"satisfy {-len(shape)} <= axis < {len(shape)}" if shape else "name an axis of `x`, which has none"
        raise refuse(ValueError, "axis", rule, f"axis={index}", f"x.shape={tuple(shape)}")
    return index % len(shape)


def where_false(good: Array, layout: Layout) -> tuple[int, tuple[int, ...]]:
    """The first row that is not good: its number, and its index in the batch."""
    row = int(np.argmin(good))
    return row, tuple(int(i) for i in np.unravel_index(row, layout.batch))


def demand_totals(totals: Array, name: str, rule: str, layout: Layout) -> None:
    """Refuse totals (m,) outside [0, n], as the argument `name`."""
    _demand((totals >= 0) & (totals <= layout.n), name, rule, "k", totals, layout)


def _demand(good: Array, name: str, rule: str, symbol: str, values: Array, layout: Layout) -> None:
    if not good.all():
        row, index = where_false(good, layout)
        at = f", row {index}" if layout.batch else ""
        number = repr(float(values[row])).removesuffix(".0")
        raise refuse(ValueError, name, rule, f"{symbol}={number} with n={layout.n}", f"{layout}{at}")


def read_scores(x: ArrayLike, axis: int, name: str = "x") -> tuple[Array, Layout]:
    """Scores as an array, and how their rows lie."""
    array = real_array(x, name)
    return array, Layout(array.shape, find_axis(axis, array.shape), floating_dtype(array))


def read_problem(
    x: ArrayLike, k: ArrayLike, temperature: ArrayLike, axis: int, nan_policy: NanPolicy, name: str = "x"
) -> Problem:
    """Everything that can be wrong about the call itself is refused here."""
    if nan_policy not in ("propagate", "raise"):
        raise refuse(ValueError, "nan_policy", "be 'propagate' or 'raise'", repr(nan_policy))
    array, layout = read_scores(x, axis, name)
    totals = per_row(k, "k", layout)
    demand_totals(totals, "k", "satisfy 0 <= k <= n", layout)
    tau = per_row(temperature, "temperature", layout)
    _demand((tau > 0) & (tau < np.inf), "temperature", "be positive and finite", "temperature", tau, layout)
    return Problem(layout.rows(array), totals, tau, layout, nan_policy)
