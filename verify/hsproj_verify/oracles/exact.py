"""The answer as rational numbers: scores, k and temperature in, theta, p*, masks, kinks and derivatives out.

Floats are rationals, so p* is a rational vector and every question about it has an exact answer. The method is the
definition: F(t) = sum_i clip((x_i - t) / tau, 0, 1) falls from n to 0, bends only at the breakpoints x_i and x_i - tau, and
theta solves F(theta) = k. Bisect the sorted breakpoints, then interpolate between two of them: O(n log n) operations on
integers, which is what rationals with a common denominator are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

Number = float | int | Fraction


def middle(low: Fraction | None, high: Fraction | None) -> float | Fraction:
    """The middle of an interval, None for an end at infinity: -inf or inf for a half-line, 0 for the whole line."""
    if low is not None and high is not None:
        return (low + high) / 2
    if low is None and high is None:
        return Fraction(0)
    return math.inf if high is None else -math.inf


@dataclass(frozen=True)
class Solution:
    """p* of one problem and everything that follows from it, exact.

    `constraint` is "eq" for sum p = k, "le" for sum p <= k.

    `theta_low` and `theta_high` bound the thetas that serve, None standing for an end at infinity; they are equal where
    theta is unique. Indices of the sets are ascending.
    """

    scores: tuple[Fraction | float, ...]
    k: Fraction
    temperature: Fraction
    theta_low: Fraction | None
    theta_high: Fraction | None
    p: tuple[Fraction, ...]
    constraint: str = "eq"

    def _where(self, condition: Sequence[bool]) -> tuple[int, ...]:
        return tuple(i for i, holds in enumerate(condition) if holds)

    @cached_property
    def free(self) -> tuple[int, ...]:
        """Indices with 0 < p* < 1."""
        return self._where([0 < p < 1 for p in self.p])

    @cached_property
    def saturated(self) -> tuple[int, ...]:
        """Indices with p* = 1."""
        return self._where([p == 1 for p in self.p])

    @property
    def threshold(self) -> float | Fraction:
        """The theta to report: the midpoint of the interval, -inf or inf for a half-line, 0 for the whole line."""
        return middle(self.theta_low, self.theta_high)

    @property
    def _unique_theta(self) -> Fraction | None:
        return self.theta_low if self.theta_low == self.theta_high else None

    @cached_property
    def lower_kinks(self) -> tuple[int, ...]:
        """Indices with x = theta, where theta is unique: p* is about to leave 0."""
        theta = self._unique_theta
        return () if theta is None else self._where([x == theta for x in self.scores])

    @cached_property
    def upper_kinks(self) -> tuple[int, ...]:
        """Indices with x = theta + tau, where theta is unique: p* is about to leave 1."""
        theta = self._unique_theta
        return () if theta is None else self._where([x == theta + self.temperature for x in self.scores])

    @property
    def is_differentiable(self) -> bool:
        """Whether p* is differentiable in the scores here."""
        return not self.lower_kinks and not self.upper_kinks and not self._is_about_to_bind

    @property
    def _is_slack(self) -> bool:
        """Whether the sum is less than k, so that theta is 0 nearby, too."""
        return sum(self.p) < self.k

    @property
    def _is_about_to_bind(self) -> bool:
        """Whether sum p <= k is met with equality by theta = 0, which free entries are about to raise."""
        return self.constraint == "le" and self._unique_theta == 0 and not self._is_slack and bool(self.free)

    @cached_property
    def margin(self) -> Fraction | None:
        """Distance in the max norm from the scores to the nearest kink; None if there is none to meet.

        A kink is a hyperplane a.x = b, at the distance slack / (sum of |a|): a = e_i - 1_F / m while some entries F are
        free, a = e_i - e_j on a vertex.
        """
        if self._unique_theta is None:
            if self.constraint == "le":
                # A saturated score that falls below tau is a kink, too: theta does not follow it below 0.
                zeros = [x for x, p in zip(self.scores, self.p, strict=True) if p == 0 and isinstance(x, Fraction)]
                high = self.theta_high
                return None if high is None else min([high, *((high - x) / 2 for x in zeros)])
            if self.theta_low is None or self.theta_high is None:
                return None
            return (self.theta_high - self.theta_low) / 2
        if not self.is_differentiable:
            return Fraction(0)
        theta, m = self._unique_theta, len(self.free)
        distances = []
        if self._is_slack:  # scores move alone, until one meets a breakpoint, or the sum meets k
            finite = [x for x in self.scores if isinstance(x, Fraction)]
            distances = [min(abs(x), abs(x - self.temperature)) for x in finite]
            return min([*distances, *([(self.k - sum(self.p)) * self.temperature / m] if m else [])], default=None)
        if self.constraint == "le":
            distances.append(theta)  # which moves no faster than the scores do
        for i, x in enumerate(self.scores):
            norm = Fraction(2 * (m - 1), m) if i in set(self.free) else Fraction(2)
            if isinstance(x, Fraction) and norm:
                distances.append(min(abs(x - theta), abs(x - theta - self.temperature)) / norm)
        return min(distances, default=None)

    def vjp(self, cotangent: Sequence[Number], free: Collection[int] | None = None) -> tuple[Fraction, ...]:
        """The exact Jacobian times `cotangent`, of the free set as it is or of another one; the Jacobian is symmetric."""
        g = {i: Fraction(cotangent[i]) for i in (self.free if free is None else free)}
        mean = Fraction(0) if self._is_slack else sum(g.values(), Fraction(0)) / max(len(g), 1)
        return tuple((g[i] - mean) / self.temperature if i in g else Fraction(0) for i in range(len(self.p)))

    def limiting_sets(self, *, nearby_totals: bool = False) -> list[tuple[int, ...]]:
        """The free sets of smooth points arbitrarily near: with `vjp`, they give the generalised (Bouligand) Jacobians.

        Next to a free entry, any of the kinks may be free nearby: that entry balances what they move. Where no entry is free,
        kinks of both kinds have to balance each other, or none is free; unless `nearby_totals` says that k may change, too.
        """
        lower, upper = set(self.lower_kinks), set(self.upper_kinks)
        kinks = sorted(lower | upper)
        subsets = (set(c) for size in range(len(kinks) + 1) for c in itertools.combinations(kinks, size))
        any_serves = nearby_totals or self.free
        balanced = (a for a in subsets if any_serves or not a or (a & lower and a & upper))
        return [tuple(sorted({*self.free} | a)) for a in balanced]

    def loss(self, targets: Sequence[Number]) -> Fraction:
        """The exact HyperSimplex loss, 1/2 ||p* - targets||^2."""
        return sum(((p - Fraction(y)) ** 2 for p, y in zip(self.p, targets, strict=True)), Fraction(0)) / 2

    def loss_gradient(self, targets: Sequence[Number], free: Collection[int] | None = None) -> tuple[Fraction, ...]:
        """Its exact gradient in the scores, J (p* - targets), k being a constant; `free` as for `vjp`."""
        return self.vjp([p - Fraction(y) for p, y in zip(self.p, targets, strict=True)], free)

    def fenchel_young_loss(self, targets: Sequence[Number]) -> Fraction:
        """The exact Fenchel-Young loss, max_p (s.p - tau/2 ||p||^2) + tau/2 ||y||^2 - s.y, of finite scores and sum y = k.

        Its gradient in the scores is p* - y.
        """
        y = [Fraction(target) for target in targets]
        linear = sum((Fraction(s) * (p - t) for s, p, t in zip(self.scores, self.p, y, strict=True)), Fraction(0))
        squares = sum((t * t - p * p for p, t in zip(self.p, y, strict=True)), Fraction(0))
        return linear + self.temperature * squares / 2

    def cross_entropy_loss(self, targets: Sequence[Number], floor: float) -> float:
        """The cross entropy of p*, -sum of y log(max(p*, floor)), to some roundings: logarithms are not rational."""
        return -math.fsum(float(y) * math.log(max(float(p), floor)) for p, y in zip(self.p, targets, strict=True) if y)

    def cross_entropy_gradient(
        self, targets: Sequence[Number], floor: float, free: Collection[int] | None = None
    ) -> tuple[Fraction, ...]:
        """Its exact gradient in the scores, k being a constant; `free` as for `vjp`."""
        slopes = [-Fraction(y) / p if p > floor else Fraction(0) for p, y in zip(self.p, targets, strict=True)]
        return self.vjp(slopes, free)

    def jacobian(self) -> tuple[tuple[Fraction, ...], ...]:
        """The exact Jacobian, row by row."""
        n = len(self.p)
        return tuple(self.vjp([int(i == j) for j in range(n)]) for i in range(n))

    def nearest(self, dtype: str | np.dtype[np.floating]) -> np.ndarray:
        """p* correctly rounded to `dtype`."""
        return np.array([round_to(p, dtype) for p in self.p], dtype=dtype)


class NoAnswerError(ValueError):
    """The problem has no solution: NaN, or infinities that leave none."""


def solve(scores: Sequence[Number], k: Number, temperature: Number = 1, *, constraint: str = "eq") -> Solution:
    """Solve one problem exactly.

    Parameters
    ----------
    scores : sequence of n floats, ints or Fractions
        -inf masks an entry, +inf forces it to 1.
    k, temperature : float, int or Fraction
        0 <= k <= n, temperature > 0.
    constraint : str
        "eq" for sum p = k. "le" for sum p <= k: theta is 0, or what it is for sum p = k if that is more.

    Raises
    ------
    NoAnswerError
        If there is no projection.

    Examples
    --------
    >>> from hsproj_verify.oracles import exact
    >>> exact.solve([3.0, 1.0, 1.0, 0.0], 2).p
    (Fraction(1, 1), Fraction(1, 2), Fraction(1, 2), Fraction(0, 1))
    """
    if any(math.isnan(x) for x in scores):
        raise NoAnswerError("a score is NaN")
    forced = sum(x == math.inf for x in scores)
    total, tau = Fraction(k), Fraction(temperature)
    finite = [Fraction(x) for x in scores if not math.isinf(x)]
    if not (forced <= total <= forced + len(finite) and tau > 0):
        raise NoAnswerError(
            f"k={k} with {forced} scores of +inf, {len(finite)} finite ones and temperature {temperature}"
        )
    low, high = _theta_interval(finite, total - forced, tau)
    if constraint == "le":
        if high is not None and high < 0:
            low = high = Fraction(0)
        elif low is not None:
            low = max(low, Fraction(0))
        elif high is not None and finite:
            low = Fraction(0)
    held = tuple(x if math.isinf(x) else Fraction(x) for x in scores)
    # With an infinite end every finite score lies on the same side: any finite theta that serves will do.
    theta = low if low is not None else high

    def entry(x: Fraction | float) -> Fraction:
        if isinstance(x, float):
            return Fraction(int(x > 0))
        assert theta is not None
        return min(max((x - theta) / tau, Fraction(0)), Fraction(1))

    p = tuple(map(entry, held))
    return Solution(held, total, tau, low, high, p, constraint)


def _theta_interval(x: list[Fraction], k: Fraction, tau: Fraction) -> tuple[Fraction | None, Fraction | None]:
    """All theta with F(theta) = k, as an interval; None for an infinite end."""
    if not x:
        return None, None
    unit = math.lcm(tau.denominator, k.denominator, *(score.denominator for score in x))
    scores = [int(score * unit) for score in x]
    width = int(tau * unit)
    target = int(k * unit) * width

    def excess(t: int) -> int:
        """(F(t) - k) in units of 1 / (unit * width)."""
        return sum(min(max(score - t, 0), width) for score in scores) * unit - target

    breakpoints = sorted({*scores, *(score - width for score in scores)})
    # F(breakpoints[0]) = n >= k and F(breakpoints[-1]) = 0 <= k. Find the last breakpoint at or above k.
    first, last = 0, len(breakpoints) - 1
    while first < last:
        middle = (first + last + 1) // 2
        if excess(breakpoints[middle]) >= 0:
            first = middle
        else:
            last = middle - 1
    here = breakpoints[first]
    above = excess(here)
    if above > 0:
        there = breakpoints[first + 1]
        theta = here + Fraction(above * (there - here), above - excess(there))
        return theta / unit, theta / unit
    # F(here) = k: theta is `here`, and whatever flat piece of F ends there.
    flat = first > 0 and excess(breakpoints[first - 1]) == 0
    low = breakpoints[first - 1] if flat else here
    low_end = None if low == breakpoints[0] else Fraction(low, unit)
    high_end = None if here == breakpoints[-1] else Fraction(here, unit)
    return low_end, high_end


def round_to(value: Fraction, dtype: str | np.dtype[np.floating]) -> np.floating:
    """`value` rounded to nearest, ties to even, in `dtype`; infinite from half a step beyond its largest number on.

    Python rounds a Fraction to float64 correctly. Rounding that once more could be wrong next to a midpoint of the
    narrower dtype, so the neighbours are compared exactly.
    """
    kind = np.dtype(dtype).type
    largest = np.finfo(dtype).max
    half_a_step = (Fraction(float(largest)) - Fraction(float(np.nextafter(largest, kind(0))))) / 2
    if abs(value) >= Fraction(float(largest)) + half_a_step:
        return kind(math.inf if value > 0 else -math.inf)
    if kind is np.float64:
        return kind(float(value))
    guess = np.clip(float(value), -largest, largest).astype(kind)
    with np.errstate(over="ignore"):
        neighbours = {guess, np.nextafter(guess, kind(-np.inf)), np.nextafter(guess, kind(np.inf))}
    finite = [c for c in neighbours if np.isfinite(c)]

    def is_odd(c: np.floating) -> bool:
        return bool(c.view(f"u{c.itemsize}") & 1)

    return min(finite, key=lambda c: (abs(Fraction(float(c)) - value), is_odd(c)))
