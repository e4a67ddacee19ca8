"""Validation: what the user passed in, canonical rows out, and the way back.

Canonical rows are a C-contiguous (m, n) array of float32 or float64 in native byte order: one projection a row. Nothing
below this module validates, and nothing above it knows about axes.
"""

import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hsproj._errors import refuse

Array = NDArray[Any]
NanPolicy = Literal["propagate", "raise"]
_WIDE, _MANY = 8, 4096
"""Columns and entries from which on a kernel copies along another axis more quickly than NumPy."""
_INT64 = 2**63
_FLOAT32, _FLOAT64, _BOOL = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.bool_)


class Layout(NamedTuple):
    """Where the rows of an array lie: its shape, the axis of a row, the dtype of answers, and what the user calls it.

    `batch` is the shape without that axis: m rows of n entries.
    """

    shape: tuple[int, ...]
    axis: int
    dtype: np.dtype[Any]
    name: str
    batch: tuple[int, ...]
    m: int
    n: int

    def __str__(self) -> str:
        return f"{self.name}.shape={self.shape}, axis={self.axis - len(self.shape)}"

    def rows(self, array: Array) -> Array:
        """An array of this shape as canonical rows, without a copy where its memory already is that."""
        return self._rows(array, _FLOAT64 if self.dtype == _FLOAT64 else _FLOAT32)

    def mask_rows(self, mask: Array) -> Array:
        """A mask of this shape as (m, n) booleans."""
        return self._rows(mask, _BOOL)

    def _rows(self, array: Array, kind: np.dtype[Any]) -> Array:
        last = array.ndim - 1
        if self.axis == last and array.dtype == kind and array.flags.carray:
            return array.reshape(self.m, self.n)  # the usual array: below, nothing would be done to it
        if self.axis != last:
            if _may_turn(array, kind) and self.m >= _WIDE * math.prod(self.shape[: self.axis]):
                return _turn(plain(array), math.prod(self.shape[: self.axis]), self.n).reshape(self.m, self.n)
            # np.moveaxis, in a fifth of its time
            array = array.transpose(*range(self.axis), *range(self.axis + 1, last + 1), self.axis)
        return plain(_contiguous(array, kind)).reshape(self.m, self.n)

    def restore(self, rows: Array, out: Array | None = None) -> Array:
        """Canonical rows as an array of this shape, in the dtype of answers; `out`, if it is given."""
        if out is not None and np.may_share_memory(rows, out):
            return out  # by `room`
        last = len(self.shape) - 1
        if self.axis == last:
            array = rows.reshape(self.shape)
            if out is None and rows.dtype == self.dtype:
                return array
        elif out is None and self.n >= _WIDE and _may_turn(rows, self.dtype):
            return _turn(rows, math.prod(self.shape[: self.axis]), math.prod(self.shape[self.axis + 1 :])).reshape(
                self.shape
            )
        else:
            array = rows.reshape((*self.batch, self.n)).transpose(*range(self.axis), last, *range(self.axis, last))
        if out is None:
            return _contiguous(array, _BOOL if rows.dtype == _BOOL else self.dtype)
        with np.errstate(over="ignore", under="ignore"):  # as in `_contiguous`
            return _copy(array, out)

    def room(self, out: Array | None, rows: Array) -> Array:
        """Memory for what becomes of canonical rows: that of `out` where that will do and holds none of them, else new."""
        if out is None:
            return np.empty(rows.shape, rows.dtype)
        last = self.axis == len(self.shape) - 1
        if last and out.flags.carray and out.dtype == rows.dtype and not np.may_share_memory(out, rows):
            return out.reshape(rows.shape)
        return np.empty(rows.shape, rows.dtype)

    def per_row(self, values: Array) -> Array:
        """(m,) values as an array of the batch's shape; floats in the dtype of answers."""
        kind = self.dtype if values.dtype.kind == "f" else values.dtype
        with np.errstate(over="ignore", under="ignore"):  # a threshold may leave the range of a narrow dtype
            return values.reshape(self.batch).astype(kind)


def _may_turn(array: Array, kind: np.dtype[Any]) -> bool:
    """Whether `_turn` is for this array and gives this dtype."""
    return array.size >= _MANY and array.dtype == kind and kind in (_FLOAT32, _FLOAT64) and array.flags.c_contiguous


def _turn(array: Array, count: int, height: int) -> Array:
    """The transposes of so many matrices of this height, side by side in memory."""
    from hsproj._kernels._turn import turned

    matrices = array.reshape(count, height, -1)
    return turned(matrices, np.empty((count, matrices.shape[2], height), array.dtype))  # type: ignore[no-any-return]


def _contiguous(array: Array, kind: np.dtype[Any]) -> Array:
    """`array`, C-contiguous and of this dtype: itself if it is that."""
    if array.dtype == kind and array.flags.c_contiguous:
        return array
    target = np.empty(array.shape, kind)
    if array.dtype == kind:
        return _copy(array, target)
    with np.errstate(over="ignore", under="ignore"):  # numbers may leave the range of a narrow dtype
        return _copy(array, target)


class _Memory:
    """Memory of an array, said to be writeable."""

    def __init__(self, array: Array) -> None:
        self.array = array  # keeps the memory
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def plain(array: Array) -> Array:
    """`array`, for kernels, none of which writes to the rows it is given.

    Numba compiles a kernel once more for arrays that are read-only, which takes seconds, and for those that are not aligned.
    """
    if not array.flags.aligned:
        return array.copy()
    return array if array.flags.writeable else np.asarray(_Memory(array))


def _copy(source: Array, target: Array) -> Array:
    """`target`, with the numbers of `source` in its own dtype.

    A few columns at a time: NumPy goes along the rows of the target, and where those of the source are a power of two apart
    its cache lines would be gone before the next of their entries is due. That takes 0.5 ns an entry instead of 2 or 3.
    """
    n = target.shape[-1]
    step = max(16, 4096 * n // max(target.size, 1))
    for i in range(0, n, step):
        target[..., i : i + step] = source[..., i : i + step]
    return target


class Problem(NamedTuple):
    """What every function works on: canonical rows, float64 totals and temperatures (m,), and the layout."""

    rows: Array
    k: Array
    temperature: Array
    layout: Layout
    nan_policy: NanPolicy


def real_array(value: ArrayLike, name: str, kinds: str = "biuf") -> Array:
    """`value` as a NumPy array with real numbers in it, or a TypeError or ValueError that says why not."""
    array = value if type(value) is np.ndarray else _as_array(value, name)
    if array.dtype.kind not in kinds or array.dtype.itemsize > 8:
        raise refuse(
            TypeError, name, "hold real numbers (integers or floats of at most 64 bits)", f"dtype {array.dtype}"
        )
    return array


def _as_array(value: ArrayLike, name: str) -> Array:
    """What NumPy makes of a sequence, a number, or a kind of array of its own."""
    if not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
        came = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
        raise refuse(TypeError, name, "be a NumPy array, a number or a nested sequence of numbers", came)
    if isinstance(value, np.ma.MaskedArray):
        raise refuse(TypeError, name, "be an array without a mask (fill masked scores with -inf)", "a masked array")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise refuse(
            ValueError, name, "be a rectangular array of real numbers", f"a ragged sequence: {error}"
        ) from None


def floating_dtype(array: Array) -> np.dtype[Any]:
    """The dtype of answers: floats keep theirs, in native byte order; integers and booleans become float64."""
    kind = array.dtype
    if kind.kind != "f":
        return _FLOAT64
    return kind if kind.isnative else kind.newbyteorder("=")


def per_row(value: ArrayLike, name: str, layout: Layout, *rules: tuple[Callable[[Any], Any], str]) -> Array:
    """`value` broadcast over the batch, as float64 (m,), if every number in it keeps the rules: (which do, what it says)."""
    number: Any = value
    if not (type(value) is float or (type(value) is int and -_INT64 <= value < _INT64)):
        value = real_array(value, name, "iuf")
        number = value.item() if value.ndim == 0 else None
    if number is not None:  # the usual call, without broadcasting
        for keeps, _ in rules:
            if not keeps(number):
                break
        else:
            values = np.empty(layout.m)
            values.fill(number)
            return values
    array = np.asarray(value)
    try:
        spread = np.broadcast_to(array, layout.batch)
    except ValueError:
        rule = f"broadcast to the batch shape {layout.batch}"
        raise refuse(ValueError, name, rule, f"shape {array.shape}", str(layout)) from None
    for keeps, rule in rules:
        # A number that no row uses is looked at, too.
        demand(keeps, name, rule, array if spread.size == 0 else spread, layout)
    return np.array(spread, dtype=np.float64).reshape(-1)


def like_scores(value: ArrayLike, name: str, layout: Layout) -> Array:
    """`value` broadcast to the shape of the scores."""
    array = real_array(value, name)
    if array.shape == layout.shape:
        return array
    try:
        return np.broadcast_to(array, layout.shape)
    except ValueError:
        rule = f"broadcast to the shape {layout.shape} of the scores"
        raise refuse(ValueError, name, rule, f"shape {array.shape}") from None


def demand_out(out: Array | None, layout: Layout) -> None:
    """Refuse what the answer can't be written to."""
    if out is None:
        return
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise refuse(TypeError, "out", "be a NumPy array without a mask", type(out).__name__)
    if out.dtype != layout.dtype:
        raise refuse(TypeError, "out", f"have the dtype {layout.dtype} of the answer", f"dtype {out.dtype}")
    if out.shape != layout.shape:
        raise refuse(ValueError, "out", f"have the shape {layout.shape} of the answer", f"shape {out.shape}")
    if not out.flags.writeable:
        raise refuse(ValueError, "out", "be writeable", "a read-only array")


def find_axis(axis: int, shape: Sequence[int], name: str = "x") -> int:
    """`axis` as an index into `shape`, counted from the front."""
    try:
        index = operator.index(axis)
    except TypeError:
        raise refuse(TypeError, "axis", "be an integer", repr(axis)) from None
    if not -len(shape) <= index < len(shape):
        rule = f"satisfy {-len(shape)} <= axis < {len(shape)}" if shape else f"name an axis of `{name}`, which has none"
        raise refuse(ValueError, "axis", rule, f"axis={index}", f"{name}.shape={tuple(shape)}")
    return index % len(shape)


def where_false(good: Array, layout: Layout) -> tuple[int, tuple[int, ...]]:
    """The first row that is not good: its number, and its index in the batch."""
    row = int(np.argmin(good))
    return row, tuple(int(i) for i in np.unravel_index(row, layout.batch))


def demand(keeps: Callable[[Any], Any], name: str, rule: str, values: Array, layout: Layout, symbol: str = "") -> None:
    """Refuse values, one a row, that don't keep the rule, naming the first row."""
    good = keeps(values)
    if not good.all():
        row = int(np.argmin(good))
        index = tuple(int(i) for i in np.unravel_index(row, values.shape))
        at = f", row {index}" if layout.batch and values.size == layout.m else ""
        number = repr(float(values.reshape(-1)[row])).removesuffix(".0")
        came = f"{symbol or name}={number}"
        raise refuse(
            ValueError, name, rule, f"{came} with n={layout.n}" if "n" in rule.split() else came, f"{layout}{at}"
        )


def total_rule(layout: Layout) -> tuple[Callable[[Any], Any], str]:
    """What every total has to keep."""
    return lambda k: (k >= 0) & (k <= layout.n), "satisfy 0 <= k <= n"


# What every temperature has to keep, and a total that must be an integer.
TEMPERATURE_RULE = (lambda t: (t > 0) & (t < math.inf), "be positive and finite")
INTEGER_RULE = (lambda k: k % 1 == 0, "be an integer")


def read_scores(x: ArrayLike, axis: int, name: str = "x") -> tuple[Array, Layout]:
    """Scores as an array, and how their rows lie."""
    array = real_array(x, name)
    shape = array.shape
    return array, _layout(shape, find_axis(axis, shape, name), floating_dtype(array), name)


@lru_cache(maxsize=64)
def _layout(shape: tuple[int, ...], axis: int, kind: np.dtype[Any], name: str) -> Layout:
    batch = shape[:axis] + shape[axis + 1 :]
    return Layout(shape, axis, kind, name, batch, math.prod(batch), shape[axis])


def read_problem(
    x: ArrayLike,
    k: ArrayLike,
    temperature: ArrayLike,
    axis: int,
    nan_policy: NanPolicy,
    name: str = "x",
    *,
    whole: bool = False,
) -> Problem:
    """Everything that can be wrong about the call itself is refused here; `whole` says that k must be integers."""
    demand_choice(nan_policy, "nan_policy", "propagate", "raise")
    array, layout = read_scores(x, axis, name)
    totals = per_row(k, "k", layout, total_rule(layout), *([INTEGER_RULE] if whole else []))
    tau = per_row(temperature, "temperature", layout, TEMPERATURE_RULE)
    return Problem(layout.rows(array), totals, tau, layout, nan_policy)


def demand_choice(value: object, name: str, *choices: str) -> None:
    """Refuse a value that is none of the choices."""
    if not (isinstance(value, str) and value in choices):
        listed = f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}"
        raise refuse(ValueError, name, f"be {listed}", repr(value))
