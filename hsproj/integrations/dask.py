"""Dask: projections of arrays larger than memory, or spread over many machines.

Chunks that hold whole rows are answered one by one, as NumPy arrays are. A row too long for that is read four times, in
pieces, by the passes of `hsproj._pieces`; nothing of it is kept from one to the next. docs/arrays.md, section "Dask".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

import hsproj
from hsproj import _pieces
from hsproj._errors import refuse
from hsproj._inputs import TEMPERATURE_RULE, Array, Layout, demand, find_axis, per_row, plain, real_array, total_rule
from hsproj.integrations._packages import demand_package

demand_package("dask", "dask")

import dask  # noqa: E402
import dask.array as da  # noqa: E402
from dask.delayed import Delayed  # noqa: E402
from dask.utils import parse_bytes  # noqa: E402

from hsproj.integrations._recipes import Chunk, Recipe, chunks_of  # noqa: E402

__all__ = ["Projection", "jvp", "project", "soft_binary_argmax", "solve", "vjp"]

_ENTRIES = ("p", "free", "saturated")


def project(x: da.Array, k: Any, /, *, axis: int = -1) -> da.Array:
    """Euclidean projection onto the hypersimplex; see `soft_binary_argmax`."""
    return soft_binary_argmax(x, k, axis=axis)


def soft_binary_argmax(x: da.Array, k: Any, /, *, temperature: Any = 1.0, axis: int = -1) -> da.Array:
    """Soft-Binary-Argmax@k of a dask array, chunk by chunk; nothing is computed yet.

    Parameters
    ----------
    x : dask array, shape (..., n, ...), real
        Scores, in any chunks. ``-inf`` masks an entry, ``+inf`` forces it.
    k : float, array_like or dask array, broadcastable to the shape of `x` without `axis`
        Total of each row, 0 <= k <= n; need not be an integer.
    temperature : float, array_like or dask array, broadcastable to the shape of `x` without `axis`
        Positive and finite, in the units of `x`.
    axis : int
        The axis along which each row lies.

    Returns
    -------
    dask array, shape and floating dtype of `x`
        NaN in rows with NaN, or with infinities that leave no answer.

    Raises
    ------
    TypeError, ValueError
        As `hsproj.soft_binary_argmax`; for k and temperatures that are dask arrays, when they are computed. Also if a length
        of `x` is not known.

    Notes
    -----
    To the last bit what `hsproj.soft_binary_argmax` gives for the whole array, however it is cut. Rows that are in several
    chunks, but not larger than dask's ``array.chunk-size``, are brought together. Longer ones stay where they are, and are
    read four times: so `x` should be cheap to compute once more, or persisted.

    Examples
    --------
    >>> import dask.array as da
    >>> from hsproj.integrations.dask import soft_binary_argmax
    >>> x = da.from_array([[3.0, 1.0, 1.0, 0.0], [5.0, 1.0, 2.0, 0.0]], chunks=(1, 4))
    >>> soft_binary_argmax(x, [2, 1]).compute()
    array([[1. , 0.5, 0.5, 0. ],
           [1. , 0. , 0. , 0. ]])
    """
    problem = _read(x, k, temperature, axis)
    return problem.restore(_solver(problem).project())


def jvp(x: da.Array, k: Any, v: Any, /, *, temperature: Any = 1.0, axis: int = -1) -> da.Array:
    """Jacobian of `soft_binary_argmax` at x, times v, which broadcasts to the shape of `x`; see `hsproj.jvp`.

    Rows in several chunks are read four times, and their v twice.

    Examples
    --------
    >>> import dask.array as da
    >>> from hsproj.integrations.dask import jvp
    >>> jvp(da.from_array([3.0, 1.0, 1.0, 0.0]), 2, [0.0, 1.0, 0.0, 0.0]).compute()
    array([ 0. ,  0.5, -0.5,  0. ])
    """
    return _product(x, k, v, "v", temperature, axis)


def vjp(x: da.Array, k: Any, g: Any, /, *, temperature: Any = 1.0, axis: int = -1) -> da.Array:
    """Gradient of sum(g * soft_binary_argmax(x, k)) with respect to x. The Jacobian is symmetric, so this is `jvp`.

    Examples
    --------
    >>> import dask.array as da
    >>> from hsproj.integrations.dask import vjp
    >>> vjp(da.from_array([3.0, 1.0, 1.0, 0.0]), 2, [0.0, 1.0, 0.0, 0.0]).compute()
    array([ 0. ,  0.5, -0.5,  0. ])
    """
    return _product(x, k, g, "g", temperature, axis)


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A solution, of which nothing is computed yet; made by `solve`.

    Attributes
    ----------
    p, free, saturated : dask arrays, shape of `x`
        See `hsproj.Projection`.
    threshold, margin, is_differentiable : dask arrays, shape of `x` without `axis`
        See `hsproj.Projection`.
    """

    p: da.Array
    threshold: da.Array
    free: da.Array
    saturated: da.Array
    margin: da.Array
    is_differentiable: da.Array
    _problem: _Problem
    _solver: _Solver

    @property
    def support(self) -> da.Array:
        """{p > 0} of the exact answer: free or saturated."""
        return self.free | self.saturated

    def jvp(self, v: Any, /) -> da.Array:
        """Jacobian times `v`, which broadcasts to the shape of `x`. Where rows are in several chunks two passes more."""
        return self._problem.restore(self._solver.tangent(self._problem.like(v, "v")))

    def vjp(self, g: Any, /) -> da.Array:
        """Cotangent `g` times the Jacobian, which is symmetric: `jvp`."""
        return self._problem.restore(self._solver.tangent(self._problem.like(g, "g")))


def solve(x: da.Array, k: Any, /, *, temperature: Any = 1.0, axis: int = -1) -> Projection:
    """Everything about one solution; see `hsproj.solve`, and `soft_binary_argmax` for the parameters.

    What is computed together, as by ``dask.compute(sol.p, sol.threshold)``, shares the passes.

    Examples
    --------
    >>> import dask.array as da
    >>> from hsproj.integrations.dask import solve
    >>> sol = solve(da.from_array([[3.0, 1.0, 1.0, 0.0], [9.0, 5.0, 0.0, 0.0]]), 2)
    >>> sol.threshold.compute(), sol.is_differentiable.compute()
    (array([0.5, 2. ]), array([ True,  True]))
    """
    problem = _read(x, k, temperature, axis)
    solver = _solver(problem)
    arrays = {name: problem.restore(solver.entries(name)) for name in _ENTRIES}
    numbers = {name: solver.per_row(name) for name in ("threshold", "margin", "is_differentiable")}
    return Projection(**arrays, **numbers, _problem=problem, _solver=solver)


class _Problem(NamedTuple):
    """Rows along the last axis of `scores`, a total and a temperature for each, as numbers or arrays of the batch's shape."""

    scores: da.Array
    k: float | da.Array
    temperature: float | da.Array
    layout: Layout

    def restore(self, rows: da.Array) -> da.Array:
        """Rows as an array of the scores' shape."""
        return da.moveaxis(rows, -1, self.layout.axis)

    def like(self, value: Any, name: str) -> da.Array:
        """`value` broadcast to the shape of the scores, in rows chunked as they are."""
        array = _real(value, name)
        try:
            spread = da.broadcast_to(array, self.layout.shape)
        except ValueError:
            rule = f"broadcast to the shape {self.layout.shape} of the scores"
            raise refuse(ValueError, name, rule, f"shape {array.shape}") from None
        return da.moveaxis(spread, self.layout.axis, -1)


class _Solver(Protocol):
    """Answers of rows that lie along the last axis; `v` are rows, too."""

    def project(self) -> da.Array:
        """Of the shape of the rows."""

    def entries(self, name: str) -> da.Array:
        """p, free or saturated."""

    def per_row(self, name: str) -> da.Array:
        """Threshold, margin or is_differentiable."""

    def tangent(self, v: da.Array, *, once: bool = False) -> da.Array:
        """The Jacobian times v; `once`, if nothing else will be asked for."""


def _product(x: da.Array, k: Any, v: Any, name: str, temperature: Any, axis: int) -> da.Array:
    problem = _read(x, k, temperature, axis)
    return problem.restore(_solver(problem).tangent(problem.like(v, name), once=True))


def _read(x: da.Array, k: Any, temperature: Any, axis: int) -> _Problem:
    """Everything that can be said of the call without computing anything is refused here."""
    if not isinstance(x, da.Array):
        raise refuse(TypeError, "x", "be a dask array", type(x).__name__)
    x, axis = _real(x, "x"), find_axis(axis, x.shape)
    if any(math.isnan(length) for length in x.shape):
        raise refuse(ValueError, "x", "have known lengths, which x.compute_chunk_sizes() finds", f"x.shape={x.shape}")
    batch = x.shape[:axis] + x.shape[axis + 1 :]
    dtype = x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.dtype(np.float64)
    layout = Layout(x.shape, axis, dtype, "x", batch, math.prod(batch), x.shape[axis])
    rows = da.moveaxis(x, axis, -1)
    if not _is_long(rows) and rows.numblocks[-1] > 1:
        rows = rows.rechunk({i: -1 if i == rows.ndim - 1 else "auto" for i in range(rows.ndim)})
    total = _each(k, "k", layout, rows, total_rule(layout))
    return _Problem(rows, total, _each(temperature, "temperature", layout, rows, TEMPERATURE_RULE), layout)


def _real(value: Any, name: str) -> da.Array:
    if not isinstance(value, da.Array):
        return da.asarray(real_array(value, name))
    real_array(np.empty(0, value.dtype), name)
    return value


def _each(
    value: Any, name: str, layout: Layout, rows: da.Array, rule: tuple[Callable[[Any], Any], str]
) -> float | da.Array:
    """A number, or one for each row, that keeps the rule."""
    if not isinstance(value, da.Array):
        if np.ndim(value) == 0:
            return float(per_row(value, name, layout._replace(m=1, batch=()), rule)[0])
        return da.from_array(per_row(value, name, layout, rule).reshape(layout.batch), chunks=rows.chunks[:-1])
    array = _real(value, name)
    try:
        spread = da.broadcast_to(array, layout.batch)
    except ValueError:
        message = f"broadcast to the batch shape {layout.batch}"
        raise refuse(ValueError, name, message, f"shape {array.shape}", str(layout)) from None
    # Which row of the whole array a block's is, is not known there.
    held = partial(_held, name=name, layout=layout._replace(m=-1), rule=rule)
    return spread.rechunk(rows.chunks[:-1]).map_blocks(held, meta=_empty(np.float64, spread.ndim))


def _held(values: Array, name: str, layout: Layout, rule: tuple[Callable[[Any], Any], str]) -> Array:
    """A block of totals or temperatures, if it keeps the rule."""
    keeps, said = rule
    demand(keeps, name, said, values, layout)
    return values.astype(np.float64)


def _is_long(rows: da.Array) -> bool:
    """Whether rows are too long to bring their chunks together."""
    size = int(rows.shape[-1] * rows.dtype.itemsize)
    return bool(rows.numblocks[-1] > 1) and size > int(parse_bytes(dask.config.get("array.chunk-size")))


def _solver(problem: _Problem) -> _Solver:
    return _Pieces.of(problem) if _is_long(problem.scores) else _Whole(problem)


class _Whole(NamedTuple):
    """Answers of rows that are whole in their chunks: those of `hsproj` for each chunk."""

    problem: _Problem

    def project(self) -> da.Array:
        return self._blocks(hsproj.soft_binary_argmax, self.problem.layout.dtype)

    def entries(self, name: str) -> da.Array:
        kind = self.problem.layout.dtype if name == "p" else np.bool_
        return self._solutions().map_blocks(attrgetter(name), meta=_empty(kind, self.problem.scores.ndim))

    def per_row(self, name: str) -> da.Array:
        kind = np.bool_ if name == "is_differentiable" else self.problem.layout.dtype
        scores = self.problem.scores
        chunks = (*scores.chunks[:-1], (1,) * scores.numblocks[-1])
        numbers = self._solutions().map_blocks(_numbers_of, name, chunks=chunks, meta=_empty(kind, scores.ndim))
        return numbers[..., 0]

    def tangent(self, v: da.Array, *, once: bool = False) -> da.Array:
        scores, kind = self.problem.scores, self.problem.layout.dtype
        v = v.rechunk(scores.chunks)
        if once:
            return self._blocks(hsproj.jvp, kind, v)
        return da.map_blocks(_moved, self._solutions(), v, meta=_empty(kind, scores.ndim))

    def _solutions(self) -> da.Array:
        """An array whose blocks are those of `hsproj.solve`, which are no arrays."""
        return self._blocks(hsproj.solve, np.dtype(object))

    def _blocks(self, function: Callable[..., Any], kind: Any, *others: da.Array) -> da.Array:
        scores, numbers = self.problem.scores, (self.problem.k, self.problem.temperature)
        spread = [number[..., None] if isinstance(number, da.Array) else number for number in numbers]
        return da.map_blocks(partial(_on_rows, function), scores, *spread, *others, meta=_empty(kind, scores.ndim))


def _on_rows(function: Callable[..., Any], x: Array, k: Any, temperature: Any, *others: Array) -> Any:
    """A function of `hsproj` called with a block."""
    k, temperature = (number if np.ndim(number) == 0 else number[..., 0] for number in (k, temperature))
    return function(x, k, *others, temperature=temperature)


def _numbers_of(solution: hsproj.Projection, name: str) -> Array:
    return np.asarray(getattr(solution, name))[..., None]


def _moved(solution: hsproj.Projection, v: Array) -> Array:
    return solution.jvp(v)


def _empty(kind: Any, ndim: int) -> Array:
    return np.empty((0,) * ndim, kind)


class _Part(NamedTuple):
    """The rows of one chunk of the batch: their pieces, and the answers of each row, as a task to come."""

    pieces: list[Chunk]
    answers: Delayed


class _Pieces(NamedTuple):
    """Answers of rows that are cut into pieces."""

    problem: _Problem
    parts: dict[tuple[int, ...], _Part]

    @classmethod
    def of(cls, problem: _Problem) -> _Pieces:
        return cls(problem, {place: _passes(problem, place, row) for place, row in _by_batch(problem.scores).items()})

    def project(self) -> da.Array:
        kind = self.problem.layout.dtype
        parts = {place: _last_pass(_pieces.Answer.project, part, kind) for place, part in self.parts.items()}
        return _assembled(parts, self.problem.scores.ndim - 1)

    def entries(self, name: str) -> da.Array:
        dtype, which, task = self.problem.layout.dtype, _ENTRIES.index(name), dask.delayed(_entries, pure=True, nout=3)
        kind = dtype if name == "p" else np.dtype(np.bool_)

        def piece_of(piece: Chunk, answers: Delayed) -> da.Array:
            return da.from_delayed(task(dtype, *_sources(piece, None), answers)[which], piece.shape, kind)

        parts = {
            place: da.concatenate([piece_of(piece, part.answers) for piece in part.pieces], axis=-1)
            for place, part in self.parts.items()
        }
        return _assembled(parts, self.problem.scores.ndim - 1)

    def per_row(self, name: str) -> da.Array:
        kind = np.dtype(np.bool_) if name == "is_differentiable" else self.problem.layout.dtype
        task, parts = dask.delayed(_numbers, pure=True), {}
        for place, part in self.parts.items():
            shape = part.pieces[0].shape[:-1]
            parts[place] = da.from_delayed(task(part.answers, name, shape, kind), shape, kind)
        return _assembled(parts, self.problem.scores.ndim - 1)

    def tangent(self, v: da.Array, *, once: bool = False) -> da.Array:
        parts = {}
        for place, v_pieces in _by_batch(v.rechunk(self.problem.scores.chunks)).items():
            part = self.parts[place]
            if once:
                part = _passes(self.problem, place, part.pieces, v_pieces)
            else:
                sums = _pass(_gather, part.pieces, part.answers, v=v_pieces)
                part = part._replace(answers=_step(_with_mean, sums, part.answers))
            parts[place] = _last_pass(_pieces.Answer.tangent, part, self.problem.layout.dtype, v_pieces)
        return _assembled(parts, self.problem.scores.ndim - 1)


def _by_batch(rows: da.Array) -> dict[tuple[int, ...], list[Chunk]]:
    """The pieces of rows, by the place of their chunk in the batch."""
    found: dict[tuple[int, ...], list[Chunk]] = {}
    for place, chunk in chunks_of(rows).items():
        found.setdefault(place[:-1], []).append(chunk)
    return found


def _assembled(parts: dict[tuple[int, ...], da.Array], ndim: int, *place: int) -> da.Array:
    """One array of those at places with so many axes."""
    if len(place) == ndim:
        return parts[place]
    number = 1 + max(other[len(place)] for other in parts)
    return da.concatenate([_assembled(parts, ndim, *place, i) for i in range(number)], axis=len(place))


def _passes(problem: _Problem, place: tuple[int, ...], pieces: list[Chunk], v: list[Chunk] | None = None) -> _Part:
    """The passes over the rows of one chunk of the batch, with their cotangents."""
    k, tau = (
        number.blocks[place] if isinstance(number, da.Array) else number for number in (problem.k, problem.temperature)
    )
    share = min(_pieces.SAMPLE / max(problem.layout.n, 1), 1.0)
    outline = _step(_pieces.plan, _pass(_pieces.survey, pieces, share, numbered=True), k, tau)
    interval = _step(_pieces.enclose, _pass(_pieces.weigh, pieces, outline, tau), outline, k, tau)
    settled = _pass(_pieces.settle, pieces, interval, tau, v=v)
    return _Part(pieces, _step(_pieces.conclude, settled, outline, interval, k, tau))


def _pass(
    function: Callable[..., Any],
    pieces: list[Chunk],
    *each: Any,
    v: list[Chunk] | None = None,
    numbered: bool = False,
) -> list[Delayed]:
    """Tasks, one for each piece: what `function` makes of it for each row; `each` are arguments for all, or one a row."""
    # Each thing to come is an argument of its own: dask would merge those in a list, and lose sight of what is persisted.
    task, vs = dask.delayed(_on_piece, pure=True), v or repeat(None, len(pieces))
    more: list[tuple[Any, ...]] = [(*each, i) if numbered else each for i in range(len(pieces))]
    return [
        task(function, *_sources(piece, g), *arguments) for piece, arguments, g in zip(pieces, more, vs, strict=True)
    ]


def _sources(piece: Chunk, v: Chunk | None) -> tuple[Any, ...]:
    """Arguments of a task that reads these: recipes, and what they start from."""
    return (piece.recipe, None, *piece.inputs) if v is None else (piece.recipe, v.recipe, *piece.inputs, *v.inputs)


def _read_rows(recipe: Recipe, v: Recipe | None, values: tuple[Any, ...]) -> tuple[Array, list[Array], tuple[Any, ...]]:
    """A block, its rows and those of its cotangents, if there are any, and the values that they didn't start from."""
    block, values = recipe.read(values)
    rows = _rows(block)
    if v is None:
        return block, [rows], values
    others, values = v.read(values)
    return block, [rows, _rows(others, rows.dtype)], values


def _step(function: Callable[..., Any], found: list[Delayed], *each: Any) -> Delayed:
    """A task: what `function` makes of that which a pass found in the pieces of each row."""
    return dask.delayed(_on_found, pure=True)(function, len(found), *found, *each)


def _last_pass(
    function: Callable[..., Any], part: _Part, kind: np.dtype[Any], v: list[Chunk] | None = None
) -> da.Array:
    """What `function` makes of the answer and a piece of each row."""
    task = dask.delayed(_answer_piece, pure=True)
    arrays = [
        da.from_delayed(task(function, kind, *_sources(piece, g), part.answers), piece.shape, kind)
        for piece, g in zip(part.pieces, v or repeat(None, len(part.pieces)), strict=True)
    ]
    return da.concatenate(arrays, axis=-1)


def _on_piece(function: Callable[..., Any], recipe: Recipe, v: Recipe | None, *values: Any) -> list[Any]:
    _, rows, each = _read_rows(recipe, v, values)
    columns = [_column(value, len(rows[0])) for value in each]
    return [function(*arguments) for arguments in zip(rows[0], *columns, *rows[1:], strict=True)]


def _on_found(function: Callable[..., Any], number: int, *values: Any) -> list[Any]:
    found, each = values[:number], values[number:]
    columns = [_column(value, len(found[0])) for value in each]
    return [function(*arguments) for arguments in zip(zip(*found, strict=True), *columns, strict=True)]


def _answer_piece(
    function: Callable[..., Any], kind: np.dtype[Any], recipe: Recipe, v: Recipe | None, *values: Any
) -> Array:
    block, rows, (answers,) = _read_rows(recipe, v, values)
    out = np.empty(block.shape, kind).reshape(rows[0].shape)
    with np.errstate(over="ignore", under="ignore"):  # products may leave the range of a narrow dtype
        for r, arguments in enumerate(zip(answers, *rows, strict=True)):
            out[r] = function(*arguments)
    return out.reshape(block.shape)


def _rows(block: Array, kind: np.dtype[Any] | None = None) -> Array:
    """A block as (m, n) rows of float32 or float64, for kernels."""
    block = real_array(block, "x")
    wide = block.dtype.kind != "f" or block.dtype.itemsize == 8
    rows = np.ascontiguousarray(block, kind or (np.float64 if wide else np.float32))
    return plain(rows.reshape(math.prod(block.shape[:-1]), block.shape[-1]))


def _column(values: Any, m: int) -> list[Any]:
    """One for each of m rows."""
    return values if isinstance(values, list) else np.broadcast_to(np.ravel(values), m).tolist()


def _entries(kind: np.dtype[Any], recipe: Recipe, v: None, *values: Any) -> tuple[Array, ...]:
    """A piece of p, and its masks of free and of saturated entries."""
    block, (rows,), (answers,) = _read_rows(recipe, v, values)
    p, masks = np.empty(rows.shape, kind), np.empty((2, *rows.shape), np.bool_)
    for r, (answer, row) in enumerate(zip(answers, rows, strict=True)):
        p[r], masks[:, r] = answer.project(row), answer.masks(row)
    return p.reshape(block.shape), masks[0].reshape(block.shape), masks[1].reshape(block.shape)


def _gather(piece: Array, answer: _pieces.Answer, v: Array) -> Any:
    return answer.gather(piece, v)


def _with_mean(sums: list[Any], answer: _pieces.Answer) -> _pieces.Answer:
    return answer.with_mean(sums)


def _numbers(answers: list[_pieces.Answer], name: str, shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
    wide = np.float64 if kind.itemsize == 8 else np.float32
    numbers = [a.threshold(wide) if name == "threshold" else getattr(a, name) for a in answers]
    with np.errstate(over="ignore", under="ignore"):  # a threshold may leave the range of a narrow dtype
        return np.array(numbers).astype(kind).reshape(shape)
