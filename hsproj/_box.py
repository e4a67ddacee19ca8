"""The projection for users with bounds and a budget: per-entry bounds, positive weights in the sum, sum = or <= total.

p_i = clip(x_i - theta w_i, lower_i, upper_i), theta a root of sum_i w_i p_i = total. docs/theory.md, section "Bounds, weights
and a budget". The kernel answers what floats can decide, `_box_exact` the rest, and the hypersimplex itself goes to the
kernels of `project`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hsproj._box_exact import FREE, LOWER, UPPER, exact_sum, solve_row
from hsproj._dispatch import for_any_array
from hsproj._errors import refuse
from hsproj._inputs import (
    Array,
    Layout,
    NanPolicy,
    Problem,
    demand_choice,
    like_scores,
    per_row,
    read_scores,
    real_array,
    where_false,
)
from hsproj._projection import answer_rows, threshold_rows
from hsproj._threads import for_chunks
from hsproj._threshold import threshold

Constraint = Literal["eq", "le"]
# Where a total lies: on or below the least sum, strictly between the ends, on or above the largest sum, out of reach.
_LEAST, _BETWEEN, _MOST, _BELOW, _ABOVE = range(5)


class _Box(NamedTuple):
    """A call, validated. Bounds and weights are (m, n), or (1, n) where all rows share them."""

    rows: Array
    lower: Array
    upper: Array
    weights: Array
    totals: Array
    at_most: bool
    layout: Layout
    nan_policy: NanPolicy
    is_hypersimplex: bool


class _Answer(NamedTuple):
    """What becomes of canonical rows: p and sets (m, n), theta and flags (m,)."""

    p: Array
    sets: Array
    theta: Array
    smooth: Array
    slack: Array
    answered: Array


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BoxProjection:
    """Everything about one solution; made by `solve_box`.

    Its arrays are read-only. Those of one value a row have the shape of `x` without `axis`. A row without an answer (see
    `nan_policy`) has NaN for numbers and False for flags.

    Attributes
    ----------
    p : ndarray, shape and floating dtype of `x`
        The projection.
    threshold : ndarray, floating dtype of `x`
        theta, the multiplier of the sum: p = clip(x - theta * weights, lower, upper). The nearest float of that dtype; 0
        where "le" leaves room. Where no entry is free, an interval of thetas serves and this is its midpoint: inf or -inf
        where that is a half-line (the total is the least sum or the largest), 0 where it is the whole line.
    free, at_lower, at_upper : ndarray of bool, shape of `x`
        {lower < p < upper}, {p = lower} and {p = upper} of the exact answer, whatever its rounding. An entry whose bounds
        are equal is at both.
    is_differentiable : ndarray of bool
        Whether p is differentiable in `x` here; decided exactly. Where it is not, `jvp` and `vjp` use the free entries as
        they are.
    """

    p: Array
    threshold: Array
    free: Array
    at_lower: Array
    at_upper: Array
    is_differentiable: Array
    _layout: Layout
    _weights: Array
    _sets: Array
    _slack: Array
    _answered: Array

    def jvp(self, v: ArrayLike, /) -> Array:
        """Jacobian times `v`: how p moves when x moves along v. O(n).

        Parameters
        ----------
        v : array_like, broadcastable to the shape of `x`, real
            Tangent, taken in the dtype of `x`. Entries that are not free do not matter, even if they are NaN.

        Returns
        -------
        ndarray, shape and floating dtype of `x`

        Notes
        -----
        v - w (sum w v) / (sum w^2) on the free entries, sums over them, and 0 elsewhere; v itself on them where "le" leaves
        room. Within 4 eps (a + b), a the size of v_i and b that of w_i (sum w v) / (sum w^2).

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve_box([0.5, 0.5, 3.0], 2.0, weights=[1.0, 1.0, 1.0]).jvp([1.0, 0.0, 0.0])
        array([ 0.5, -0.5,  0. ])
        """
        return self._product(v, "v")

    def vjp(self, g: ArrayLike, /) -> Array:
        """Cotangent `g` times the Jacobian, which is symmetric: `jvp` under the name that reverse mode gives it.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve_box([0.5, 0.5, 3.0], 9.0, constraint="le").vjp([1.0, 2.0, 3.0])
        array([1., 2., 0.])
        """
        return self._product(g, "g")

    def _product(self, value: ArrayLike, name: str) -> Array:
        from hsproj._kernels import _box

        layout = self._layout
        v = layout.rows(like_scores(value, name, layout))
        out = np.empty_like(v)
        act = partial(_box.tangents, self._weights)
        with np.errstate(all="ignore"):
            for_chunks(act, v, np.arange(len(v)), self._sets, self._slack, out)
        out[~self._answered] = np.nan
        return layout.restore(out)

    def __repr__(self) -> str:
        layout = self._layout
        sets = ", ".join(f"{name}={int(getattr(self, name).sum())}" for name in ("free", "at_lower", "at_upper"))
        if layout.batch:
            smooth = f"differentiable={int(self.is_differentiable.sum())}"
            shape = f"shape={layout.shape}, axis={layout.axis - len(layout.shape)}, dtype={layout.dtype}"
            return f"BoxProjection({shape}, rows={layout.m}, answered={int(self._answered.sum())}, {sets}, {smooth})"
        smooth = f"differentiable={bool(self.is_differentiable)}"
        return f"BoxProjection(n={layout.n}, dtype={layout.dtype}, threshold={self.threshold:.6g}, {sets}, {smooth})"


@for_any_array
def project_box(
    x: ArrayLike,
    total: ArrayLike,
    /,
    *,
    lower: ArrayLike = 0,
    upper: ArrayLike = 1,
    weights: ArrayLike | None = None,
    constraint: Constraint = "eq",
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
) -> Array:
    """Euclidean projection onto {p : lower <= p <= upper, sum(weights * p) = total}, or <= total.

    Parameters
    ----------
    x : array_like, shape (..., n, ...), real
        Scores. Integers and booleans are promoted to float64; float16 is computed wider and cast back. ``+inf`` puts p at
        `upper` and ``-inf`` at `lower`, which must be finite there. Arrays of other libraries are answered in kind.
    total : float or array_like, broadcastable to the shape of `x` without `axis`
        Finite; for "eq" between sum(weights * lower) and sum(weights * upper), for "le" not below the former. See Notes.
    lower, upper : float or array_like, broadcastable to the shape of `x`
        Bounds, taken in the dtype of `x`: lower <= upper, lower < inf, upper > -inf. NumPy's rule of broadcasting holds
        whatever `axis` is: an array of shape (n,) serves all rows if `axis` is the last one, and for ``axis=0`` of two it
        has to be of shape (n, 1).
    weights : float or array_like, broadcastable to the shape of `x`, optional
        Positive and finite, taken in float64; 1 by default. They are in the sum, and not in the distance.
    constraint : {"eq", "le"}
        Whether the sum has to be `total`, or at most that.
    axis : int
        The axis along which each row lies.
    nan_policy : {"propagate", "raise"}
        What becomes of a row that holds NaN, or whose infinities leave no answer (a bound that is infinite, too, or a total
        that the other entries can't reach): NaN throughout, or ValueError naming the first such row.

    Returns
    -------
    ndarray, shape and floating dtype of `x`
        The projection of each row: lower <= p <= upper, always.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers or is an array of another library than `x`, or `axis` is no integer.
    ValueError
        If bounds, weights or totals break the rules above, shapes do not broadcast, or `x` has no such axis.

    See Also
    --------
    solve_box : the same with threshold, masks and derivatives.
    project : bounds 0 and 1, no weights.

    Notes
    -----
    For float64 and float32 each entry is the float nearest to the exact answer for these bounds, weights and totals as they
    are in floats, ties to even; float16 rounds the float32 answer once more. No entry is -0.0. O(n) passes of floats a row;
    rows that floats can't decide, some of those at a kink and those with numbers other than 0 beyond 2^-80 to 2^80, take
    O(n log n) operations on integers.

    The sums of weights * lower and weights * upper are compared with `total` exactly. Since users round theirs, a total
    beyond such a sum S is refused only if it is by more than (8 eps + n 2^-52) times the sum of weights * abs(bound), with
    eps that of the dtype of `x` (plus n 2^-1074). If less, it counts as S, and all entries are at that bound.

    With lower 0 and upper 1 as Python numbers, no weights and "eq" this is `project`, at its speed.

    References
    ----------
    The problem is known as the continuous quadratic knapsack problem: K. C. Kiwiel, "Breakpoint searching algorithms for the
    continuous quadratic knapsack problem", Mathematical Programming 112, 2008.

    Examples
    --------
    A portfolio: fully invested, at most half of it in a position.

    >>> import hsproj
    >>> hsproj.project_box([0.75, 0.25, 0.125, -0.5], 1, upper=0.5)
    array([0.5   , 0.3125, 0.1875, 0.    ])

    At most a budget of 4, with prices.

    >>> hsproj.project_box([1.0, 0.75, 0.5], 4, weights=[1.0, 2.0, 5.0], constraint="le")
    array([0.96666667, 0.68333333, 0.33333333])
    """
    box = _read(x, total, lower, upper, weights, constraint, axis, nan_policy)
    return _restore(box.layout, _answer(box).p)


@for_any_array
def solve_box(
    x: ArrayLike,
    total: ArrayLike,
    /,
    *,
    lower: ArrayLike = 0,
    upper: ArrayLike = 1,
    weights: ArrayLike | None = None,
    constraint: Constraint = "eq",
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
) -> BoxProjection:
    """As `project_box`, and keep everything about the solution: threshold, exact masks, derivatives.

    Parameters
    ----------
    x, total, lower, upper, weights, constraint, axis, nan_policy
        See `project_box`.

    Returns
    -------
    BoxProjection

    Raises
    ------
    TypeError, ValueError
        As `project_box`.

    Examples
    --------
    >>> import hsproj
    >>> sol = hsproj.solve_box([0.75, 0.25, 0.125, -0.5], 1, upper=0.5)
    >>> sol
    BoxProjection(n=4, dtype=float64, threshold=-0.0625, free=2, at_lower=1, at_upper=1, differentiable=True)
    >>> sol.at_upper
    array([ True, False, False, False])
    """
    box = _read(x, total, lower, upper, weights, constraint, axis, nan_policy)
    layout, answer = box.layout, _answer(box, everything=True)
    known = answer.answered[:, None]
    arrays: dict[str, Any] = {
        "p": _restore(layout, answer.p),
        "threshold": layout.per_row(answer.theta),
        "free": layout.restore(known & (answer.sets == FREE)),
        "at_lower": layout.restore(known & (answer.sets & LOWER > 0)),
        "at_upper": layout.restore(known & (answer.sets & UPPER > 0)),
        "is_differentiable": layout.per_row(answer.smooth & answer.answered),
    }
    for array in arrays.values():
        array.setflags(write=False)
    return BoxProjection(
        **arrays,
        _layout=layout,
        _weights=box.weights,
        _sets=answer.sets,
        _slack=answer.slack,
        _answered=answer.answered,
    )


def _read(
    x: ArrayLike,
    total: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    weights: ArrayLike | None,
    constraint: Constraint,
    axis: int,
    nan_policy: NanPolicy,
) -> _Box:
    """Everything that can be wrong about the call itself is refused here, but for totals out of reach."""
    demand_choice(nan_policy, "nan_policy", "propagate", "raise")
    demand_choice(constraint, "constraint", "eq", "le")
    array, layout = read_scores(x, axis)
    totals = per_row(total, "total", layout, (np.isfinite, "be finite"))
    plain = type(lower) in (int, float) and type(upper) in (int, float) and (lower, upper) == (0, 1)
    if plain and weights is None and constraint == "eq":
        one = np.ones((1, layout.n))
        return _Box(layout.rows(array), np.zeros_like(one), one, one, totals, False, layout, nan_policy, True)
    # Numbers of the dtype of x, so that p can be equal to them.
    low, high = (_spread(b, name, layout, layout.dtype) for b, name in ((lower, "lower"), (upper, "upper")))
    w = _spread(1 if weights is None else weights, "weights", layout, np.dtype(np.float64))
    _demand_entries(w, (w > 0) & (w < np.inf), "weights", "be positive and finite", layout)
    _demand_entries(low, low < np.inf, "lower", "be a number below inf", layout)
    _demand_entries(high, high > -np.inf, "upper", "be a number above -inf", layout)
    ordered = low <= high
    if not ordered.all():
        came = np.broadcast_to(low, ordered.shape), np.broadcast_to(high, ordered.shape)
        i = int(np.argmin(ordered))
        pair = f"lower={came[0].flat[i]:.17g} and upper={came[1].flat[i]:.17g}"
        raise refuse(ValueError, "lower", "be at most `upper`", pair, _place(ordered, i, layout))
    return _Box(layout.rows(array), low, high, w, totals, constraint == "le", layout, nan_policy, False)


def _spread(value: ArrayLike, name: str, layout: Layout, dtype: np.dtype[Any]) -> Array:
    """`value` as canonical rows of numbers of this dtype: (1, n) where it is the same for all rows, else (m, n)."""
    array = real_array(value, name)
    with np.errstate(over="ignore", under="ignore"):  # numbers may leave the range of a narrow dtype
        array = array.astype(dtype) + dtype.type(0)  # no -0.0
    shared = array.ndim == 0 or (
        array.ndim == 1 and array.size in (1, layout.n) and layout.axis == len(layout.shape) - 1
    )
    kind = layout._replace(dtype=dtype)
    if shared:
        one = layout._replace(shape=(layout.n,), axis=0, dtype=dtype, batch=(), m=1)
        return one.rows(np.broadcast_to(array, (layout.n,)))
    return kind.rows(like_scores(array, name, kind))


def _demand_entries(values: Array, good: Array, name: str, rule: str, layout: Layout) -> None:
    if not good.all():
        i = int(np.argmin(good))
        raise refuse(ValueError, name, rule, f"{values.flat[i]:.17g}", _place(good, i, layout))


def _place(good: Array, i: int, layout: Layout) -> str:
    """Where entry i of rows is: in a row of the batch, or in what all rows share."""
    row, entry = divmod(i, layout.n)
    if len(good) == 1 or not layout.batch:
        return f"{layout}, entry {entry}"
    index = tuple(int(j) for j in np.unravel_index(row, layout.batch))
    return f"{layout}, row {index}, entry {entry}"


def _restore(layout: Layout, p: Array) -> Array:
    """Projections in the shape of `x`; of two roundings, the one to float16 could make -0.0."""
    array = layout.restore(p)
    return array + layout.dtype.type(0) if layout.dtype == np.float16 else array


def _answer(box: _Box, *, everything: bool = False) -> _Answer:
    """Project; refuse totals out of reach, and rows without an answer if nan_policy says so."""
    place = _places(box)
    layout = box.layout
    out_of_reach = place >= _BELOW
    if out_of_reach.any():
        row, index = where_false(~out_of_reach, layout)
        low, high = (_ends(bounds, box.weights, layout.m)[row, 0] for bounds in (box.lower, box.upper))
        rule = "be at least sum(weights * lower)" + ("" if box.at_most else " and at most sum(weights * upper)")
        sums = f"{low:.17g}" + ("" if box.at_most else f" and {high:.17g}")
        where = f"{layout}, row {index}" if layout.batch else str(layout)
        raise refuse(ValueError, "total", rule, f"total={float(box.totals[row]):.17g} with {sums}", where)
    if box.is_hypersimplex:
        answer = _hypersimplex(box, everything)
    else:
        answer = _general(box, place)
    if box.nan_policy == "raise" and not answer.answered.all():
        row, index = where_false(answer.answered, layout)
        scores = box.rows[row]
        came = ", ".join(f"{int(np.sum(test))} {name}" for test, name in (
            (np.isnan(scores), "NaN"), (scores == np.inf, "+inf"), (scores == -np.inf, "-inf")))  # fmt: skip
        rule = "hold no NaN, and infinite scores only where the bound is finite and the others can reach the total"
        raise refuse(ValueError, layout.name, rule, came, f"{layout}, row {index}" if layout.batch else str(layout))
    return answer


def _hypersimplex(box: _Box, everything: bool) -> _Answer:
    """By the kernels of `project`."""
    m, n = box.rows.shape
    problem = Problem(box.rows, np.clip(box.totals, 0.0, n), np.ones(m), box.layout, "propagate")
    answer = answer_rows(problem, bounds=everything)
    nothing = np.empty(0)
    if not everything:
        return _Answer(answer.p, nothing, nothing, nothing, nothing, answer.answered)
    theta = threshold(problem.rows, problem.k, problem.temperature, answer.bounds)
    free, saturated = answer.masks(problem.rows)
    smooth = theta.answered & np.isnan(theta.lower_kink) & np.isnan(theta.upper_kink)
    sets = np.where(saturated, UPPER, np.where(free, FREE, LOWER)).astype(np.int8)
    return _Answer(answer.p, sets, threshold_rows(problem, theta), smooth, np.zeros(m, np.bool_), answer.answered)


def _general(box: _Box, place: Array) -> _Answer:
    """By the kernel of this problem, and in integers where that leaves a row open. No total is out of reach."""
    from hsproj._kernels import _box

    m, n = box.rows.shape
    answer = _Answer(
        np.full((m, n), np.nan, box.rows.dtype),
        np.full((m, n), LOWER, np.int8),
        np.full(m, np.nan),
        *np.zeros((3, m), np.bool_),
    )
    finite = np.isfinite(box.rows).all(axis=-1)
    answer.answered[:] = finite
    status = np.full(m, _box.OPEN, np.int8)
    status[~finite | (place != _BETWEEN)] = _box.SKIPPED
    solve = partial(_box.solve_rows, box.lower, box.upper, box.weights, box.at_most)
    results = answer.p, answer.sets, answer.theta, answer.smooth, answer.slack
    for_chunks(solve, box.rows, np.arange(m), box.totals, *results, status)
    for r in np.flatnonzero(status == _box.OPEN).tolist():
        exact = solve_row(*_row(box, r), float(box.totals[r]), box.at_most, float(answer.theta[r]))
        for target, value in zip(results, exact, strict=True):
            target[r] = value
    numbers = ~np.isnan(box.rows).any(axis=-1)
    for r in np.flatnonzero(numbers & (place != _BETWEEN)).tolist():
        _at_an_end(box, r, UPPER if place[r] == _MOST else LOWER, answer)
    _with_infinities(box, np.flatnonzero(numbers & ~finite & (place == _BETWEEN)), answer)
    return answer


def _row(box: _Box, r: int) -> tuple[Array, Array, Array, Array]:
    """Scores, bounds and weights of a row."""
    lower, upper, weights = (a[r if len(a) > 1 else 0] for a in (box.lower, box.upper, box.weights))
    return box.rows[r], lower, upper, weights


def _at_an_end(box: _Box, r: int, side: int, answer: _Answer) -> None:
    """A row with all entries at their lower bounds, or all at their upper bounds: every theta beyond some point serves."""
    x, lower, upper, _ = _row(box, r)
    answer.answered[r] = not (np.isinf(x) & (lower < upper) & ((x > 0) == (side == LOWER))).any()
    if not answer.answered[r]:
        return
    answer.p[r] = lower if side == LOWER else upper
    answer.sets[r] = np.where(lower == upper, LOWER | UPPER, side)
    at_rest = (lower == upper) | np.isinf(x) | (box.at_most & (x <= lower))
    answer.theta[r] = 0.0 if at_rest.all() else (np.inf if side == LOWER else -np.inf)
    answer.smooth[r] = True


def _with_infinities(box: _Box, which: Array, answer: _Answer) -> None:
    """Rows with infinite scores: these are at their bounds, and the others share what is left."""
    if not which.size:
        return
    x = box.rows[which]
    lower, upper, weights = (
        np.array(np.broadcast_to(a, box.rows.shape)[which]) for a in (box.lower, box.upper, box.weights)
    )
    infinite = np.isinf(x)
    bound = np.where(x > 0, upper, lower)
    for array in (x, lower, upper):
        array[infinite] = bound[infinite]
    solvable: Array = np.logical_and.reduce(np.isfinite(bound) | ~infinite, axis=-1)
    some = box._replace(rows=x, lower=lower, upper=upper, weights=weights, totals=box.totals[which])
    some = _take(some, solvable)
    place = _places(some, exactly=True)
    reached = place < _BELOW
    which = which[solvable][reached]
    found = _general(_take(some, reached), place[reached])
    sets = np.array(found.sets)
    given_lower, given_upper = (np.broadcast_to(a, box.rows.shape)[which] for a in (box.lower, box.upper))
    forced = np.isinf(box.rows[which]) & (given_lower != given_upper)
    sets[forced] = np.where(box.rows[which] > 0, UPPER, LOWER)[forced]
    for target, values in zip(answer, found._replace(sets=sets), strict=True):
        target[which] = values


def _take(box: _Box, good: Array) -> _Box:
    """Some rows of a box whose bounds and weights are not shared."""
    fields = ("rows", "lower", "upper", "weights", "totals")
    return box._replace(**{name: getattr(box, name)[good] for name in fields})


def _ends(bounds: Array, weights: Array, m: int) -> Array:
    """(m, 4): see the kernel `ends`. Computed once where all rows share bounds and weights."""
    from hsproj._kernels import _box

    out = np.empty((1 if len(bounds) == len(weights) == 1 else m, 4))
    _box.ends(bounds, weights, out)
    return np.broadcast_to(out, (m, 4))


def _places(box: _Box, *, exactly: bool = False) -> Array:
    """Where the total of each row lies between the sums of its bounds; those of users are rounded, unless `exactly`."""
    m, n = box.rows.shape
    if box.is_hypersimplex and ((box.totals >= 0) & (box.totals <= n)).all():
        return np.full(m, _BETWEEN, np.int8)  # as far as the kernels of `project` care
    low, high = (_ends(bounds, box.weights, m) for bounds in (box.lower, box.upper))
    # Factor of the size of a sum, and what n products may lose to underflow.
    rounding = (0.0, 0.0) if exactly else (8 * float(np.finfo(box.layout.dtype).eps) + n * 2.0**-52, n * 2.0**-1074)
    beyond_low, out_low = _beyond(box, box.lower, low, -1, rounding)
    place = np.where(out_low, _BELOW, np.where(beyond_low, _LEAST, _BETWEEN))
    if not box.at_most:
        beyond_high, out_high = _beyond(box, box.upper, high, 1, rounding)
        place = np.where(out_high, _ABOVE, np.where(beyond_high & (place == _BETWEEN), _MOST, place))
    return place.astype(np.int8)


def _beyond(box: _Box, bounds: Array, ends: Array, side: int, rounding: tuple[float, float]) -> tuple[Array, Array]:
    """Whether totals are at an end of the sum or beyond it, and whether by more than rounding makes of it."""
    high, low, lost, size = ends.T
    with np.errstate(over="ignore", invalid="ignore"):
        gap = side * ((box.totals - high) - low)
        error = 2.0 * lost + 2.0**-51 * (np.abs(box.totals - high) + np.abs(low)) * (low != 0)
        error += 2.0**-52 * np.abs(gap)
        reach = rounding[0] * size + rounding[1]
        sure = (np.abs(gap) > error) | ((gap == 0) & (error == 0)) | np.isinf(high)
        clear = (np.abs(gap - reach) > error + 2.0**-40 * reach) | np.isinf(high)
        beyond, out = (gap >= 0) & ~np.isinf(high), (gap > reach) & ~np.isinf(high)
    exactly: dict[int, tuple[Fraction, Fraction]] = {}
    for r in np.flatnonzero(~(sure & clear)).tolist():
        _, *_, w = _row(box, r)
        b = bounds[r if len(bounds) > 1 else 0]
        shared = len(bounds) == len(box.weights) == 1
        key = 0 if shared else r
        if key not in exactly:
            exactly[key] = exact_sum(w, b), exact_sum(w, np.abs(b))
        end, size_exactly = exactly[key]
        distance = side * (Fraction(float(box.totals[r])) - end)
        beyond[r], out[r] = distance >= 0, distance > Fraction(rounding[0]) * size_exactly + Fraction(rounding[1])
    return beyond, out
