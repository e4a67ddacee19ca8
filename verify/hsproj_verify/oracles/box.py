"""The projection with bounds, weights and a budget as rational numbers: p*, theta, sets, kinks and derivatives, exact.

The method is the definition. F(t) = sum_i w_i clip(x_i - t w_i, l_i, u_i) never rises and bends only at the breakpoints
(x_i - l_i) / w_i and (x_i - u_i) / w_i. Bisect these, sorted, for F(theta) = total, and interpolate between two of them;
beyond the outermost ones F is a straight line through two of its points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hsproj_verify.oracles.exact import NoAnswerError, Number, middle


@dataclass(frozen=True)
class BoxSolution:
    """p* of one problem and what follows from it, exact.

    `theta_low` and `theta_high` bound the thetas that serve, None standing for an end at infinity; they are equal where
    theta is unique. Indices of the sets are ascending; an entry whose bounds are equal is in `at_lower` and in `at_upper`.
    `is_slack` says that the sum is less than the total.
    """

    p: tuple[Fraction, ...]
    theta_low: Fraction | None
    theta_high: Fraction | None
    free: tuple[int, ...]
    at_lower: tuple[int, ...]
    at_upper: tuple[int, ...]
    weights: tuple[Fraction, ...]
    is_slack: bool
    is_differentiable: bool

    @property
    def threshold(self) -> float | Fraction:
        """The theta to report: the midpoint of the interval, -inf or inf for a half-line, 0 for the whole line."""
        return middle(self.theta_low, self.theta_high)

    def jvp(self, v: Sequence[Number]) -> tuple[Fraction, ...]:
        """The exact Jacobian times `v`, of the free set as it is; the Jacobian is symmetric."""
        moving = {i: Fraction(v[i]) for i in self.free}
        theta = Fraction(0)
        if moving and not self.is_slack:
            weighted = sum((self.weights[i] * entry for i, entry in moving.items()), Fraction(0))
            theta = weighted / sum(self.weights[i] ** 2 for i in moving)
        return tuple(moving[i] - theta * w if i in moving else Fraction(0) for i, w in enumerate(self.weights))


def solve_box(
    x: Sequence[Number],
    total: Number,
    lower: Sequence[Number],
    upper: Sequence[Number],
    weights: Sequence[Number],
    constraint: str = "eq",
) -> BoxSolution:
    """Solve one problem exactly: the p nearest to x with lower <= p <= upper and sum of weights * p = total, or <= total.

    Parameters
    ----------
    x : sequence of n floats, ints or Fractions
        Where one is infinite, p is the bound on that side.
    total : float, int or Fraction
    lower, upper : sequences of n, -inf and inf allowed
    weights : sequence of n, positive
    constraint : str
        "eq" or "le". With "le", theta is 0 if that serves.

    Raises
    ------
    NoAnswerError
        If there is no projection.

    Examples
    --------
    >>> from hsproj_verify.oracles import box
    >>> box.solve_box([3, 1, 0], 2, [0, 0, 0], [1, 1, 1], [1, 2, 1]).p
    (Fraction(1, 1), Fraction(1, 2), Fraction(0, 1))
    """
    entries = [_Entry(s, low, up, Fraction(w)) for s, low, up, w in zip(x, lower, upper, weights, strict=True)]
    if any(math.isnan(e.x) or math.isinf(e.bound_of_infinity) for e in entries):
        raise NoAnswerError("a score is NaN, or infinite without a bound")
    budget = Fraction(total)
    if constraint == "le" and (excess := _sum(entries, Fraction(0)) - budget) <= 0:
        return _describe_at_zero(entries, excess)
    low, high = _thetas(entries, budget)
    theta = low if low is not None else high
    p = tuple(e.clipped(Fraction(0) if theta is None else theta) for e in entries)
    unique = low is not None and low == high
    kinked = unique and any(e.is_kink(theta) for e in entries if theta is not None)
    return _describe(entries, p, low, high, False, not kinked)


@dataclass(frozen=True)
class _Entry:
    x: Number
    lower: Number
    upper: Number
    weight: Fraction

    @property
    def bound_of_infinity(self) -> Number:
        """Where p is if x is infinite, else 0."""
        return (self.upper if self.x > 0 else self.lower) if math.isinf(self.x) else 0

    @property
    def is_fixed(self) -> bool:
        return self.lower == self.upper or math.isinf(self.x)

    def clipped(self, theta: Fraction) -> Fraction:
        if math.isinf(self.x):
            return Fraction(self.bound_of_infinity)
        value = Fraction(self.x) - theta * self.weight
        if value <= self.lower:
            return Fraction(self.lower)
        return Fraction(self.upper) if value >= self.upper else value

    def breakpoints(self) -> list[Fraction]:
        if self.is_fixed:
            return []
        return [(Fraction(self.x) - Fraction(b)) / self.weight for b in (self.lower, self.upper) if not math.isinf(b)]

    def is_kink(self, theta: Fraction) -> bool:
        return theta in self.breakpoints()


def _sum(entries: list[_Entry], theta: Fraction) -> Fraction:
    return sum((e.weight * e.clipped(theta) for e in entries), Fraction(0))


def _thetas(entries: list[_Entry], total: Fraction) -> tuple[Fraction | None, Fraction | None]:
    """All theta with F(theta) = total, as an interval; None for an infinite end."""
    if all(e.is_fixed for e in entries):
        if _sum(entries, Fraction(0)) != total:
            raise NoAnswerError(f"total={total} is out of reach")
        return None, None
    breakpoints = sorted({point for e in entries for point in e.breakpoints()}) or [Fraction(0)]
    # One more on either side: F is a straight line through the outer two from there on.
    points = [breakpoints[0] - 1, *breakpoints, breakpoints[-1] + 1]
    values = {end: _sum(entries, points[end]) for end in (0, -1)}
    if values[0] <= total:
        return (
            (None, points[1]) if _is_flat(entries, points[:2], total) else (_through(entries, points[:2], total),) * 2
        )
    if values[-1] >= total:
        return (
            (points[-2], None)
            if _is_flat(entries, points[-2:], total)
            else (_through(entries, points[-2:], total),) * 2
        )
    first, last = 0, len(points) - 1
    while last - first > 1:  # F(first) > total >= F(last)
        middle = (first + last) // 2
        if _sum(entries, points[middle]) > total:
            first = middle
        else:
            last = middle
    root = _through(entries, points[first : last + 1], total)
    end = last
    while root == points[last] and _sum(entries, points[end + 1]) == total:  # the flat piece of a vertex
        end += 1
    return root, points[end] if root == points[last] else root


def _is_flat(entries: list[_Entry], pair: list[Fraction], total: Fraction) -> bool:
    """Whether F is `total` at both points."""
    return all(_sum(entries, point) == total for point in pair)


def _through(entries: list[_Entry], pair: list[Fraction], total: Fraction) -> Fraction:
    """Where the straight line through two points of F meets the total."""
    one, other = pair
    high, low = _sum(entries, one), _sum(entries, other)
    if high == low:
        raise NoAnswerError(f"total={total} is out of reach")
    return one + (high - total) * (other - one) / (high - low)


def _describe_at_zero(entries: list[_Entry], excess: Fraction) -> BoxSolution:
    """The solution for sum <= total where theta = 0 serves."""
    p = tuple(e.clipped(Fraction(0)) for e in entries)
    if excess < 0:
        smooth = not any(e.is_kink(Fraction(0)) for e in entries)
    else:
        # On the boundary: any free entry moves alone on one side only. Without one, p rests if larger thetas serve, too.
        smooth = all(e.is_fixed or value in (e.lower, e.upper) for e, value in zip(entries, p, strict=True))
        smooth = smooth and not any(not e.is_fixed and e.x == e.upper for e in entries)
    return _describe(entries, p, Fraction(0), Fraction(0), excess < 0, smooth)


def _describe(
    entries: list[_Entry],
    p: tuple[Fraction, ...],
    low: Fraction | None,
    high: Fraction | None,
    is_slack: bool,
    is_differentiable: bool,
) -> BoxSolution:
    together = list(enumerate(zip(entries, p, strict=True)))
    return BoxSolution(
        p,
        low,
        high,
        tuple(i for i, (e, value) in together if e.lower < value < e.upper),
        tuple(i for i, (e, value) in together if value == e.lower),
        tuple(i for i, (e, value) in together if value == e.upper),
        tuple(e.weight for e in entries),
        is_slack,
        is_differentiable,
    )
