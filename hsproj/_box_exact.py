"""Rows of `project_box` that floats can't decide, in integers: the same answers as the kernel's.

Everything that comes in is a float, hence a rational with a power of two below the bar, hence so are the sums; theta is a
quotient of two of them. Newton's method in exact arithmetic from a good guess needs two or three passes. Every other step
halves the breakpoints that are left, so it ends after O(log n) passes whatever the guess.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from hsproj._exact import nearest
from hsproj._inputs import Array

FREE, LOWER, UPPER = 0, 1, 2


class Solved(NamedTuple):
    """p in the dtype of the row, sets, theta rounded to it, whether p is differentiable, whether the sum is slack."""

    p: Array
    sets: Array
    theta: np.floating
    smooth: bool
    slack: bool


def exact_sum(weights: Array, bounds: Array) -> Fraction:
    """Sum of w b for finite b, exactly."""
    w, w_unit = _integers(weights)
    b, b_unit = _integers(bounds)
    return Fraction(sum(map(int.__mul__, w, b)), w_unit * b_unit)


def solve_row(
    x: Array, lower: Array, upper: Array, weights: Array, total: float, at_most: bool, guess: float
) -> Solved:
    """Solve one row of finite scores, whose total lies strictly between the ends of the sum; `at_most` needs no upper end."""
    row = _Row(x, lower, upper, weights, total)
    found = row.at(Fraction(0)) if at_most else None
    if found is not None and found.excess <= 0:
        theta, slack = Fraction(0), found.excess < 0
        first, last = row.served(found) if not (slack or found.slope) else (theta, theta)
        smooth = not found.kinks if slack else not found.slope and (last is None or last > 0)
    else:
        theta, found = row.root(Fraction(guess))
        slack = False
        if found.slope:
            smooth = not found.kinks
        else:
            first, last = row.served(found)
            assert first is not None
            assert last is not None
            theta, smooth = (first + last) / 2, first < last
    kind = x.dtype.type
    p = np.array([nearest(value, kind) for value in row.p(theta, found.sets)], x.dtype) + kind(0)
    return Solved(p, np.array(found.sets, np.int8), nearest(theta, kind) + kind(0), smooth, slack)


class _At(NamedTuple):
    """What holds at a theta: sets, sum w p - total, the sum of w^2 over free entries, and whether an entry is at a kink."""

    sets: list[int]
    excess: Fraction
    slope: Fraction
    kinks: bool


class _Row:
    """A row in integers: scores and bounds in units of 1 / unit, weights in units of 1 / w_unit."""

    def __init__(self, x: Array, lower: Array, upper: Array, weights: Array, total: float) -> None:
        n = x.size
        finite = np.isfinite(lower), np.isfinite(upper)
        bounds = (np.where(f, b, 0) for f, b in zip(finite, (lower, upper), strict=True))
        values, self.unit = _integers(np.concatenate([x, *bounds]))
        self.x = values[:n]
        self.lower = [b if f else None for b, f in zip(values[n : 2 * n], finite[0], strict=True)]
        self.upper = [b if f else None for b, f in zip(values[2 * n :], finite[1], strict=True)]
        self.w, self.w_unit = _integers(weights)
        self.total = Fraction(total) * self.unit * self.w_unit

    def at(self, theta: Fraction) -> _At:
        t = theta * self.unit / self.w_unit
        num, den = t.numerator, t.denominator
        total = squares = 0
        kinks = False
        sets = []
        for x, lower, upper, w in zip(self.x, self.lower, self.upper, self.w, strict=True):
            if lower is not None and lower == upper:
                sets.append(LOWER | UPPER)
                total += w * lower * den
                continue
            value = x * den - num * w
            if lower is not None and value <= lower * den:
                kinks |= value == lower * den
                sets.append(LOWER)
                total += w * lower * den
            elif upper is not None and value >= upper * den:
                kinks |= value == upper * den
                sets.append(UPPER)
                total += w * upper * den
            else:
                sets.append(FREE)
                total += w * value
                squares += w * w
        excess = (Fraction(total, den) - self.total) / (self.unit * self.w_unit)
        return _At(sets, excess, Fraction(squares, self.w_unit**2), kinks)

    def root(self, guess: Fraction) -> tuple[Fraction, _At]:
        """A theta with sum w p = total, and what holds there."""
        theta = guess
        for _ in range(4):  # all that most rows need
            found = self.at(theta)
            if found.excess == 0:
                return theta, found
            if not found.slope:
                break
            theta += found.excess / found.slope
        points = self._breakpoints()
        # Beyond the outermost breakpoints the sum is linear.
        for outer, sign in ((points[0] - 1, 1), (points[-1] + 1, -1)) if points else ((guess, 0),):
            found = self.at(outer)
            if found.excess * sign <= 0:
                theta = outer + (found.excess / found.slope if found.slope else 0)
                return theta, self.at(theta)
        left, right = points[0] - 1, points[-1] + 1
        ends = [self.at(left).excess, self.at(right).excess]
        theta, newton = min(max(guess, left), right), True
        while True:
            found = self.at(theta)
            if found.excess == 0:
                return theta, found
            side = int(found.excess < 0)
            left, right = (left, theta) if side else (theta, right)
            ends[side] = found.excess
            following = theta + found.excess / found.slope if found.slope else left
            if newton and left < following < right:
                theta = following
            else:
                points = [point for point in points if left < point < right]
                if points:
                    theta = points[len(points) // 2]
                else:  # one piece is left
                    theta = left + ends[0] * (right - left) / (ends[0] - ends[1])
            newton = not newton

    def served(self, found: _At) -> tuple[Fraction | None, Fraction | None]:
        """The interval of thetas that serve, none of whose entries is free; None for an infinite end."""
        entries = list(zip(found.sets, self.x, self.lower, self.upper, self.w, strict=True))
        lows = [self._theta(x, lower, w) for s, x, lower, _, w in entries if s == LOWER and lower is not None]
        highs = [self._theta(x, upper, w) for s, x, _, upper, w in entries if s == UPPER and upper is not None]
        return max(lows, default=None), min(highs, default=None)

    def p(self, theta: Fraction, sets: list[int]) -> list[Fraction]:
        t = theta * self.unit / self.w_unit
        num, den = t.numerator, t.denominator * self.unit
        entries = zip(sets, self.x, self.lower, self.upper, self.w, strict=True)
        return [
            Fraction(x * t.denominator - num * w, den)
            if s == FREE
            else Fraction((lower if s & LOWER else upper) or 0, self.unit)
            for s, x, lower, upper, w in entries
        ]

    def _theta(self, x: int, bound: int, w: int) -> Fraction:
        return Fraction((x - bound) * self.w_unit, w * self.unit)

    def _breakpoints(self) -> list[Fraction]:
        entries = zip(self.x, self.lower, self.upper, self.w, strict=True)
        bounds = (
            (x, b, w) for x, lower, upper, w in entries if lower is None or lower != upper for b in (lower, upper)
        )
        return sorted({self._theta(x, b, w) for x, b, w in bounds if b is not None})


def _integers(values: Array) -> tuple[list[int], int]:
    """Finite floats as integers, and the common denominator, a power of two."""
    ratios = [value.as_integer_ratio() for value in values.tolist()]
    unit = max((denominator for _, denominator in ratios), default=1)
    return [numerator * (unit // denominator) for numerator, denominator in ratios], unit
