"""`project_box` and `solve_box` for arrays of other libraries, in array-API calls and without a branch on values.

p = clip(x - theta w, lower, upper), theta a root of G(t) = sum w clip(x - t w, lower, upper) = total. A binary search among
the sorted breakpoints of G finds the piece on which the root is, and steps of Newton find the root; x - t w and sums are
pairs of floats. docs/arrays.md, section "Bounds and a budget", says what comes of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hsproj._box import BoxProjection, Constraint
from hsproj._dispatch import is_foreign
from hsproj._errors import refuse
from hsproj._generic._arrays import constant, has_derivatives, like_scores, one_a_row, places, restored, within
from hsproj._generic._inputs import read_layout, read_nan_policy
from hsproj._generic._numbers import pair_of, read_number
from hsproj._generic._pairs import Array, Pair, sum_pairs, two_product, two_sum
from hsproj._inputs import Layout, demand_choice, real_array


class Box(NamedTuple):
    """Problems (..., n), one a row. Values of a row have a last axis of 1; `valid` says where the call keeps its rules."""

    xp: Any
    x: Array
    lower: Array
    upper: Array
    weights: Array
    total: Pair
    valid: Array
    at_most: bool
    layout: Layout

    def restore(self, rows: Array) -> Array:
        """Rows as an array of the scores' shape; floats in the dtype of answers."""
        return restored(self.xp, self.layout, rows)

    def per_row(self, values: Array) -> Array:
        """Values of rows as an array of the batch's shape."""
        return one_a_row(self.xp, self.layout, values)


class Root(NamedTuple):
    """What was found out about a Box: theta, a pair; sets (..., n); `slack` where the sum stays below the total."""

    theta: Pair
    p: Array
    free: Array
    at_lower: Array
    at_upper: Array
    slack: Array
    smooth: Array
    answered: Array
    box: Box

    def moved(self, v: Array) -> Array:
        """The Jacobian times rows v."""
        xp, w = self.box.xp, _only(self.box.xp, self.free, self.box.weights)
        v = _only(xp, self.free, v)
        share = xp.sum(w * v, axis=-1, keepdims=True) / self.squares()
        return v - xp.where(self.slack, 0.0, share) * w

    def squares(self) -> Array:
        """Sum of squared weights of free entries, or 1."""
        xp, w = self.box.xp, _only(self.box.xp, self.free, self.box.weights)
        squares = xp.sum(w * w, axis=-1, keepdims=True)
        return xp.where(squares > 0, squares, 1.0)


def _only(xp: Any, mask: Array, values: Array) -> Array:
    """Values where the mask is, else 0."""
    return xp.where(mask, values, 0.0)


def project_box(
    x: Array,
    total: Any,
    /,
    *,
    lower: Any = 0,
    upper: Any = 1,
    weights: Any = None,
    constraint: Constraint = "eq",
    axis: int = -1,
    nan_policy: str = "propagate",
) -> Array:
    """See `hsproj.project_box`."""
    box = read_box(x, total, lower, upper, weights, constraint, axis, nan_policy)
    return box.restore(answer(box).p)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ArrayBoxProjection(BoxProjection):
    """A `BoxProjection` of arrays of another library than NumPy; made by `solve_box`."""

    _root: Root

    def _product(self, value: Any, name: str) -> Array:
        root, box = self._root, self._root.box
        moved = root.moved(like_scores(box.xp, value, name, box.layout, box.x))
        return box.restore(box.xp.where(root.answered, moved, box.xp.nan))

    def __repr__(self) -> str:
        layout = self._layout
        return f"BoxProjection(shape={layout.shape}, axis={layout.axis}, dtype={self.p.dtype}, of {type(self.p).__module__})"


def solve_box(
    x: Array,
    total: Any,
    /,
    *,
    lower: Any = 0,
    upper: Any = 1,
    weights: Any = None,
    constraint: Constraint = "eq",
    axis: int = -1,
    nan_policy: str = "propagate",
) -> ArrayBoxProjection:
    """See `hsproj.solve_box`."""
    box = read_box(x, total, lower, upper, weights, constraint, axis, nan_policy)
    root = answer(box)
    nothing = np.empty(0)
    return ArrayBoxProjection(
        p=box.restore(root.p),
        threshold=box.per_row(box.xp.where(root.answered, root.theta[0] + root.theta[1], box.xp.nan)),
        free=box.restore(root.answered & root.free),
        at_lower=box.restore(root.answered & root.at_lower),
        at_upper=box.restore(root.answered & root.at_upper),
        is_differentiable=box.per_row(root.answered & root.smooth),
        _layout=box.layout,
        _weights=nothing,
        _sets=nothing,
        _slack=nothing,
        _answered=nothing,
        _root=root,
    )


def read_box(
    x: Array, total: Any, lower: Any, upper: Any, weights: Any, constraint: str, axis: int, nan_policy: str
) -> Box:
    """Everything that can be wrong about the call itself is refused here."""
    read_nan_policy(nan_policy)
    demand_choice(constraint, "constraint", "eq", "le")
    xp, layout, scores = read_layout(x, axis)
    one = xp.sum(xp.zeros_like(scores[..., :1] if layout.n else scores), axis=-1, keepdims=True) + 1
    number = read_number(xp, total, "total", layout, one, [(lambda v: abs(v) < math.inf, "be finite")])
    weights = 1 if weights is None else weights
    low, high, w = (
        constant(like_scores(xp, value, name, layout, scores))
        for value, name in ((lower, "lower"), (upper, "upper"), (weights, "weights"))
    )
    _refuse_on_the_host(layout, lower, upper, weights)
    kept = (low <= high) & (low < math.inf) & (high > -math.inf) & (w > 0) & (w < math.inf)
    valid = xp.all(kept, axis=-1, keepdims=True) & (number.valid if number.valid is not None else one > 0)
    # No -0, and no weight that breaks the arithmetic.
    w = xp.where(kept, w, 1.0)
    return Box(xp, scores, low + 0.0, high + 0.0, w, pair_of(xp, number, one), valid, constraint == "le", layout)


def _refuse_on_the_host(layout: Layout, lower: Any, upper: Any, weights: Any) -> None:
    """Refuse numbers that break a rule, where they can be looked at."""
    host = {
        name: real_array(value, name).astype(np.float64)
        for name, value in (("lower", lower), ("upper", upper), ("weights", weights))
        if not is_foreign(value)
    }
    rules: tuple[tuple[str, Callable[[Any], Any], str], ...] = (
        ("weights", lambda w: (w > 0) & (w < math.inf), "be positive and finite"),
        ("lower", lambda low: low < math.inf, "be a number below inf"),
        ("upper", lambda high: high > -math.inf, "be a number above -inf"),
    )
    for name, keeps, rule in rules:
        if name in host and not keeps(host[name]).all():
            worst = host[name].flat[int(np.argmin(keeps(host[name])))]
            raise refuse(ValueError, name, rule, f"{worst:.17g}", str(layout))
    if {"lower", "upper"} <= {*host}:
        low, high = np.broadcast_arrays(host["lower"], host["upper"])
        ordered = low <= high
        if not ordered.all():
            i = int(np.argmin(ordered))
            pair = f"lower={low.flat[i]:.17g} and upper={high.flat[i]:.17g}"
            raise refuse(ValueError, "lower", "be at most `upper`", pair, str(layout))


def answer(box: Box) -> Root:
    """The projection, with its derivatives in scores and total where the library has derivatives."""
    known = box._replace(x=constant(box.x), total=(constant(box.total[0]), constant(box.total[1])))
    root = _find(known)
    if not has_derivatives(box.x):
        return root
    xp, w = box.xp, _only(box.xp, root.free, box.weights)
    # What is added is 0, and has all derivatives: p is affine between kinks.
    change = root.moved(xp.where(root.free, box.x, 0.0) - xp.where(root.free, known.x, 0.0))
    spent = xp.where(root.slack, 0.0, box.total[0] - known.total[0])
    return root._replace(p=root.p + change + w * (spent / root.squares()))


def _find(box: Box) -> Root:
    xp, w, n = box.xp, box.weights, box.layout.n
    # Infinite scores are at their bounds, which are all there is for them.
    infinite = xp.isinf(box.x)
    bound = xp.where(box.x > 0, box.upper, box.lower)
    unknown = xp.isnan(box.x) | (infinite & xp.isinf(bound))
    bound = xp.where(xp.isfinite(bound), bound, 0.0)
    x = xp.where(infinite, bound, xp.where(unknown, 0.0, box.x))
    lower, upper = xp.where(infinite, bound, box.lower), xp.where(infinite, bound, box.upper)
    fixed = lower == upper
    inner = box._replace(x=x, lower=lower, upper=upper)

    # Where an entry leaves its upper bound, and reaches the lower one.
    leaves, reaches = (x - upper) / w, (x - lower) / w
    points = xp.sort(xp.concat([leaves, reaches], axis=-1), axis=-1, stable=False)
    nothing = xp.zeros_like(box.total[0])
    infinity = xp.full_like(nothing, math.inf)
    points = xp.concat([-infinity, points, infinity], axis=-1)
    count = places(xp, nothing)
    for digit in reversed(range((2 * n).bit_length())):
        trial = within(xp, count + 2**digit, 0, 2 * n)
        excess, _ = _excess(inner, (xp.take_along_axis(points, trial, axis=-1), nothing))
        count = xp.where(excess[0] + excess[1] >= 0, trial, count)
    left, right = (xp.take_along_axis(points, count + i, axis=-1) for i in (0, 1))

    # The root of the line between, twice, since a step is one float; and with the sets there, should a breakpoint have been
    # rounded to the wrong side.
    start = xp.where(xp.isfinite(left), left, xp.where(xp.isfinite(right), right, 0.0))
    theta = start, nothing
    sets = leaves >= right, reaches <= left
    for turn in range(4):
        (head, tail), squares = _excess(inner, theta, sets)
        step = xp.where(squares > 0, (head + tail) / xp.where(squares > 0, squares, 1.0), 0.0)
        theta = two_sum(theta[0], theta[1] + step)
        sets = _sides(inner, *_shifted(inner, theta)) if turn else sets

    slack = tight = nothing > 1
    if box.at_most:
        (head, tail), _ = _excess(inner, (nothing, nothing))
        slack, tight = head + tail <= 0, head + tail == 0
        theta = xp.where(slack, 0.0, theta[0]), xp.where(slack, 0.0, theta[1])
    head, tail = _shifted(inner, theta)
    up, down = (side & ~fixed for side in _sides(inner, head, tail))
    free = ~up & ~down & ~fixed
    p = xp.where(up | fixed, upper, xp.where(down, lower, within(xp, head + tail, lower, upper)))

    # Without a free entry theta may be moved, up to where the next one would become free.
    high = xp.min(xp.concat([xp.where(up, leaves, math.inf), infinity], axis=-1), axis=-1, keepdims=True)
    low = xp.max(xp.concat([xp.where(down, reaches, -math.inf), -infinity], axis=-1), axis=-1, keepdims=True)
    none = ~xp.any(free, axis=-1, keepdims=True) & ~slack
    # Between two infinities it is 0, and it is infinite next to one.
    whole = xp.isinf(low) & xp.isinf(high)
    middle = xp.where(whole, 0.0, low) / 2 + xp.where(whole, 0.0, high) / 2
    if box.at_most:  # theta >= 0
        middle = xp.where(middle < 0, 0.0, middle)
    edge = xp.any(~fixed & (_equal(head, tail, upper) | _equal(head, tail, lower)), axis=-1, keepdims=True)
    in_reach, at_least = _reach(inner)
    smooth = xp.where(none, high > low, ~edge)
    if box.at_most:
        # A budget that is just spent is about to bind: then no entry may be free, and theta may leave 0. At the least sum no
        # entry can move.
        stays = ~xp.any(free, axis=-1, keepdims=True) & (high > within(xp, low, 0.0, math.inf))
        smooth = xp.where(tight, stays, smooth) | at_least
    theta = xp.where(none, middle, theta[0]), xp.where(none, 0.0, theta[1])

    answered = box.valid & ~xp.any(unknown, axis=-1, keepdims=True) & in_reach
    return Root(
        theta,
        xp.where(answered, p, xp.nan),
        free,
        down | (fixed & ((box.x < 0) | ~infinite | (box.lower == box.upper))),
        up | (fixed & ((box.x > 0) | ~infinite | (box.lower == box.upper))),
        slack,
        smooth,
        answered,
        box,
    )


def _shifted(box: Box, t: Pair) -> Pair:
    """X - t w, and the rest that rounding leaves of it."""
    xp = box.xp
    product, error = _product(xp, t[0], box.weights)
    head, rest = two_sum(box.x, -product)
    return head, rest - error - t[1] * box.weights


def _sides(box: Box, head: Array, tail: Array) -> tuple[Array, Array]:
    """Whether numbers that are pairs are at the upper or at the lower bound, or beyond it."""
    return (head - box.upper) + tail >= 0, (head - box.lower) + tail <= 0


def _equal(head: Array, tail: Array, bound: Array) -> Array:
    return (head - bound) + tail == 0


def _excess(box: Box, t: Pair, sets: tuple[Array, Array] | None = None) -> tuple[Pair, Array]:
    """G(t) less the total, and the sum of squared weights of what is between its bounds; by `sets`, if given."""
    xp, w = box.xp, box.weights
    finite = xp.isfinite(t[0])
    head, tail = _shifted(box, (xp.where(finite, t[0], 0.0), t[1]))
    up, down = _sides(box, head, tail) if sets is None else sets
    up, down = (finite & up) | (t[0] == -math.inf), (finite & down) | (t[0] == math.inf)
    value = xp.where(up, box.upper, xp.where(down, box.lower, head))
    product, error = _product(xp, value, w)
    between = ~up & ~down
    error = error + xp.where(between, tail * w, 0.0)
    # Where a bound is infinite its product is, and has no rest.
    error = xp.where(xp.isfinite(product), error, 0.0)
    (total, total_tail), n = box.total, box.layout.n
    endless = xp.any(xp.isinf(product), axis=-1, keepdims=True)
    heads = xp.concat([xp.where(xp.isinf(product), 0.0, product), -total], axis=-1)
    tails = xp.concat([error, -total_tail], axis=-1)
    head, tail = (part[..., None] for part in sum_pairs(xp, heads, tails))
    ends = xp.sum(xp.where(xp.isinf(product), xp.sign(product), 0.0), axis=-1, keepdims=True)
    head = xp.where(endless, xp.where(ends > 0, xp.full_like(ends, math.inf), -math.inf), head) if n else head
    squares = xp.sum(xp.where(between, w * w, 0.0), axis=-1, keepdims=True)
    return (head, xp.where(endless, 0.0, tail)), squares


def _reach(box: Box) -> tuple[Array, Array]:
    """Whether the total lies between the sums of the bounds, up to their rounding; whether at the lower one or below."""
    xp, w, n = box.xp, box.weights, box.layout.n
    rounding = 8 * float(xp.finfo(box.layout.dtype).eps) + n * 2.0**-52
    reach = at_least = xp.isfinite(box.total[0])
    for bound, side in ((box.lower, -1), (box.upper, 1)):
        infinite = xp.any(xp.isinf(bound), axis=-1, keepdims=True)
        bound = xp.where(xp.isinf(bound), 0.0, bound)
        product, error = _product(xp, bound, w)
        heads = xp.concat([box.total[0], -product], axis=-1)
        gap, rest = sum_pairs(xp, heads, xp.concat([box.total[1], -error], axis=-1))
        beyond = side * (gap + rest)[..., None]
        if side < 0:
            at_least = ~infinite & (beyond >= 0)
        if side < 0 or not box.at_most:
            reach = reach & (infinite | (beyond <= rounding * xp.sum(xp.abs(product), axis=-1, keepdims=True)))
    return reach, at_least


def _product(xp: Any, a: Array, w: Array) -> Pair:
    """A w, w > 0: the float, and its rounding error; infinite where a is."""
    sign = xp.where(a < 0, -1.0, xp.ones_like(a))
    size = xp.abs(a)
    product, error = two_product(xp, xp.where(xp.isinf(size), 0.0, size), w)
    return xp.where(xp.isinf(size), a, sign * product), sign * error
