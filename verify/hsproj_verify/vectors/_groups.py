"""The problems of the vectors, by group: cases picked by hand, each with its reason, then cases that are drawn.

A case keeps its id as long as its inputs stay as they are: append to what is picked, and to the end of what is drawn. Draws
use `random.Random.random` alone, which gives the same numbers in every version of Python, and no function of a C library.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TypeVar

import numpy as np

from hsproj_verify.problems import Problem

T = TypeVar("T")
INF, NAN = math.inf, math.nan
EPS = 2.0**-52
TINY = 2.0**-1074
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Case:
    """A problem, and why it is a vector; a cotangent, or None for one that is drawn."""

    comment: str
    problem: Problem
    cotangent: tuple[float, ...] | None = None


class Draw:
    """Numbers from a seed."""

    def __init__(self, seed: str) -> None:
        self._next = random.Random(seed).random

    def real(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self._next()

    def whole(self, low: int, high: int) -> int:
        """Uniform in {low, ..., high}."""
        return low + int(self._next() * (high - low + 1))

    def choice(self, of: Sequence[T]) -> T:
        """One of these."""
        return of[self.whole(0, len(of) - 1)]

    def bell(self) -> float:
        """Roughly gaussian: the sum of four uniform numbers, with variance 1."""
        return sum(self.real(-0.8660254, 0.8660254) for _ in range(4))

    def shuffled(self, of: Sequence[T]) -> list[T]:
        """In another order."""
        left = list(of)
        return [left.pop(self.whole(0, len(left) - 1)) for _ in range(len(left))]


Source = Callable[[Draw], Iterator[Case]]


@dataclass(frozen=True)
class Recipe:
    """How a group is made: its reason, the number of its cases, and where they come from."""

    about: str
    count: int
    source: Source

    def cases(self, name: str) -> list[Case]:
        """The first `count` different cases."""
        seen: set[str] = set()

        def different() -> Iterator[Case]:
            for case in self.source(Draw(name)):
                inputs = repr((case.problem, case.cotangent))
                if inputs not in seen:
                    seen.add(inputs)
                    yield case

        return list(islice(different(), self.count))


RECIPES: dict[str, Recipe] = {}
"""All groups by name, in the order in which they are listed."""


def _group(name: str, count: int, about: str) -> Callable[[Source], Source]:
    def register(source: Source) -> Source:
        RECIPES[name] = Recipe(about, count, source)
        return source

    return register


def _case(
    comment: str,
    x: Sequence[float],
    k: float,
    temperature: float = 1.0,
    dtype: str = "float64",
    cotangent: Sequence[float] | None = None,
) -> Case:
    scores = tuple(map(float, x))
    return Case(
        comment,
        Problem(scores, float(k), float(temperature), dtype),
        None if cotangent is None else tuple(map(float, cotangent)),
    )


def _narrow(value: float) -> float:
    """The nearest float32."""
    return float(np.float32(value))


@_group("ordinary", 45, "Moderate scores with all their digits, whole totals, temperature 1.")
def _ordinary(draw: Draw) -> Iterator[Case]:
    yield _case("The example of every page: two tied scores share what the first leaves.", [3, 1, 1, 0], 2)
    yield _case("One score takes all: p is a vertex.", [5, 0, 0], 1)
    yield _case("Sparsemax, k = 1.", [0.5, 0.25, -0.75], 1)
    yield _case("A feasible point is its own projection.", [0.5, 0.25, 0.25, 1.0], 2)
    yield _case("Everything must rise: scores far below 0.", [-3.5, -3.0, -4.25], 2)
    yield _case("Everything must fall: scores far above 1.", [7.5, 8.0, 7.25], 1)
    yield _case("Clip-then-rescale is right about the sum and wrong about p.", [0.9, 0.6, 0.3, -0.4], 2)
    yield _case("Sum <= k is slack here, sum = k is not: an inequality solver returns clip(x).", [0.25, 0.125, 0.0], 2)
    yield _case("Softmax-like answers are positive everywhere; this one has zeros.", [2.0, 1.5, 0.5, -1.0], 2)
    while True:
        n = draw.whole(2, 12)
        x = [draw.real(-2, 2) for _ in range(n)]
        yield _case(f"Drawn: {n} scores in [-2, 2] with all 53 bits.", x, draw.whole(1, n - 1))


@_group("edges", 26, "Rows of no, one or two scores, and totals that leave no choice.")
def _edges(draw: Draw) -> Iterator[Case]:
    yield _case("No scores, nothing to share out.", [], 0)
    for x in (0.0, -0.0, 3.5, -1e300):
        for k in (0, 1):
            yield _case("A row of one: p = k whatever the score.", [x], k)
    yield _case("A row of one with part of a unit: p = k, and the derivative is 0 since rank m - 1 = 0.", [7.25], 0.375)
    yield _case("A row of one, temperature or not.", [7.25], 0.375, 3.0)
    yield _case("Two equal scores.", [2.0, 2.0], 1)
    yield _case("Two scores less than one temperature apart.", [0.25, -0.25], 1)
    yield _case("Two scores exactly one temperature apart: the vertex with a single theta.", [1, 0], 1)
    yield _case("Two scores more than one temperature apart.", [3, 0], 1)
    yield _case("Negative zero is zero: these are ties.", [0.0, -0.0, 0.0], 1)
    yield _case("k = n: all ones, no division by the number of free entries.", [1.5, -2.0, 0.25], 3)
    yield _case("k = 0: all zeros, no division by the number of free entries.", [1.5, -2.0, 0.25], 0)
    yield _case("k = n where all scores are equal.", [4, 4, 4, 4], 4)
    yield _case("k = 0 where all scores are equal.", [4, 4, 4, 4], 0)
    while True:
        yield _case("Drawn: two scores.", [draw.real(-1, 1), draw.real(-1, 1)], draw.choice([0.5, 1.0, 1.5]))


@_group("ties", 45, "Scores that repeat: equal scores get equal p, and share the derivative.")
def _ties(draw: Draw) -> Iterator[Case]:
    yield _case("Thirds: integer code truncates them to 0 (simplexers 1.0.0 on integers).", [1, 1, 1], 1)
    yield _case("Two thirds.", [1, 1, 1], 2)
    yield _case("Ten equal scores, seven units: 7/10 is no float.", [0.1] * 10, 7)
    yield _case("Ties at the threshold share, ties above it are full.", [2, 2, 1, 1, 1, 0, 0], 3)
    yield _case("A tie split by a rank would give one of them 1 and the other 0.", [1, 1], 1)
    yield _case("Three ties, 2 units: any sort order must do.", [0.3, 0.3, 0.3, -5], 2)
    yield _case("Ties of tenths, not equal after 0.1 + 0.2.", [0.1 + 0.2, 0.3, 0.3], 1)
    while True:
        n = draw.whole(3, 12)
        unit = draw.choice([0.25, 0.1, 1 / 3])
        x = [draw.whole(-6, 6) * unit for _ in range(n)]
        yield _case(f"Drawn: {n} multiples of {unit:.3g}.", x, draw.whole(1, n - 1), draw.choice([1.0, 1.0, 0.5, 2.0]))


@_group("saturated-ties", 45, "Groups of equal scores that are all 0 or all 1: nothing moves there, ties or not.")
def _saturated_ties(draw: Draw) -> Iterator[Case]:
    yield _case(
        "J = 0. PAV codes take tied saturated scores for a block and return +-0.5.",
        [5, 5, 0, 0],
        2,
        cotangent=[1, 0, 1, 0],
    )
    yield _case(
        "Gradient 0. entmax 1.3 gives 0.667 / -0.333: its bisection stops just past the interval of thetas.",
        [4.3, 4.3, 4.3, 0.1],
        3,
        cotangent=[1, 0, 0, 0],
    )
    yield _case("Saturated ties above, free ties below: only those below move.", [9, 9, 9, 1, 1, 0], 4)
    yield _case("Saturated ties above, zero ties below, one free score between.", [9, 9, 1, -9, -9], 2.5)
    yield _case("All saturated but one zero.", [64.0] * 5 + [-64.0], 5)
    yield _case("All zero but one saturated.", [64.0] + [-64.0] * 5, 1)
    while True:
        high, low = draw.choice([5.0, 4.3, 64.0]), draw.choice([0.0, 0.1, -64.0])
        tops, bottoms, others = draw.whole(2, 5), draw.whole(0, 4), draw.whole(0, 3)
        middle = [
            draw.choice([low + 2.0, low + 2.0, low + 2.25, draw.real(low + 1.5, low + 2.5)]) for _ in range(others)
        ]
        x = draw.shuffled([high] * tops + [low] * bottoms + middle)
        k = tops + (draw.whole(0, others) if others else 0)
        yield _case(f"Drawn: {tops} ties above, {bottoms} below, {others} others.", x, k, draw.choice([1.0, 0.5, 2.0]))


@_group("vertices", 45, "p is 0 or 1 throughout: an interval of thetas serves, and the derivative is 0.")
def _vertices(draw: Draw) -> Iterator[Case]:
    yield _case("A gap of exactly one temperature has one theta, and is a kink.", [2, 1], 1)
    yield _case("A gap one step wider than the temperature: an interval of thetas, one step long.", [1 + EPS, 0], 1)
    yield _case(
        "A gap one step narrower than the temperature: both free, p = 1 - 2^-54 rounds to 1.", [1 - EPS / 2, 0], 1
    )
    yield _case("Newton stalls on the flat piece where no entry is free.", [10, 9, 8, 1, 0], 3)
    yield _case("k = n: thetas reach to minus infinity.", [3, 1, 4, 1, 5], 5)
    yield _case("k = 0: thetas reach to plus infinity.", [3, 1, 4, 1, 5], 0)
    yield _case("The interval is 1e16 wide: its midpoint needs no digits.", [1e16, 1e16, -1e16], 2)
    yield _case("An interval from -1e300 to 1e300: its midpoint must not overflow.", [1.7e308, -1.7e308], 1)
    yield _case("Theta at the upper end of its interval, where floats reach no further.", [2.0**53, 2.0**53 - 1, 0], 2)
    while True:
        top, bottom = draw.whole(1, 6), draw.whole(1, 6)
        tau = draw.choice([1.0, 1.0, 0.5, 2.0, 0.1])
        gap = tau * draw.choice([1 + EPS, 1.25, 3.0, 100.0])
        base = draw.choice([0.0, 0.0, -1.0, draw.real(-3, 3)])
        above = [base + gap] + [base + gap + draw.choice([0.0, 0.5, draw.real(0, 2)]) for _ in range(top - 1)]
        below = [base] + [base - draw.choice([0.0, 0.5, draw.real(0, 2)]) for _ in range(bottom - 1)]
        yield _case(f"Drawn: {top} ones, {bottom} zeros.", draw.shuffled(above + below), top, tau)


@_group(
    "kinks",
    45,
    "Scores exactly at theta or theta + temperature: p is as certain as ever, the derivative is set-valued.",
)
def _kinks(draw: Draw) -> Iterator[Case]:
    yield _case("A lower kink: the third score is about to leave 0.", [1.0, 1.0, 0.5], 1)
    yield _case("An upper kink: the first score is about to leave 1.", [1.5, 1.0, 1.0], 2)
    yield _case("Kinks of both kinds and no free score.", [1, 0], 1)
    yield _case("Kinks of both kinds around a free score.", [1.0, 0.5, 0.0], 1.5)
    yield _case("Tied kinks: four scores at theta.", [1, 1, 0.5, 0.5, 0.5, 0.5], 1)
    yield _case("Tied kinks of both kinds.", [1, 1, 1, 0, 0, 0], 3)
    yield _case("Every score at a kink, none in between.", [2, 2, 1, 1], 2)
    yield _case("A kink at temperature 2.", [2.0, 0.0, 1.0], 1.5, 2.0)
    yield _case("A kink at an odd temperature.", [0.75, 0.0, 0.375], 1.5, 0.75)
    yield _case("A kink where k is not whole.", [1.0, 0.5, 0.25], 0.75)
    while True:
        n, tau = draw.whole(2, 10), draw.choice([1.0, 1.0, 0.5, 2.0])
        x = [draw.whole(-4, 4) * tau / 4 for _ in range(n)]
        theta = draw.choice([score - side for score in x for side in (0.0, tau)])
        k = sum(min(max((score - theta) / tau, 0.0), 1.0) for score in x)  # exact: quarters
        yield _case(f"Drawn: {n} quarters of the temperature, theta on one of their breakpoints.", x, k, tau)


@_group("near-kinks", 50, "Scores at a breakpoint but for a hair: which entries are free hangs on the last bits.")
def _near_kinks(draw: Draw) -> Iterator[Case]:
    for off in (EPS, -EPS / 2, 2.0**-60, -(2.0**-60), 1e-30, -1e-30):
        yield _case("A score next to theta, which is 0 but for the hair.", [0.5, 0.5, off], 1)
    yield _case("Next to theta + temperature.", [1 + EPS, 0.5, 0.5, 0], 2)
    yield _case("Next to theta + temperature, from below.", [1 - EPS / 2, 0.5, 0.5, 0], 2)
    yield _case("PAV codes that merge blocks closer than 1e-9 move both of these.", [1 + 5e-10, 1.0, 0.0, 0.0], 2, 1e-9)
    yield _case("Near-ties within 1e-9 are not ties: the first is saturated.", [1 + 1e-10, 1, 1, 0], 2, 1e-10)
    yield _case("Near-ties within 1e-9, far from each other in temperatures.", [3e-10, 2e-10, 1e-10, 0], 2, 1e-12)
    yield _case("Two groups a temperature apart, one of them off by 2^-60.", [0, 2.0**-60, -1, -1, -(2.0**-60)], 2)
    yield _case("theta between two floats next to each other.", [1, 1 + EPS, 2, 2 + 2 * EPS], 1)
    nudges = [0.0, 0.0, EPS, -EPS / 2, 2.0**-50, 2.0**-60, -(2.0**-60), 3 * 2.0**-60, 1e-9, -1e-9, 1e-17]
    while True:
        n = draw.whole(2, 10)
        groups = draw.choice([[0.0, -1.0], [0.0, -1.0, -0.5], [0.0, 0.5, 1.0, 1.5, 2.0]])
        x = [draw.choice(groups) + draw.choice(nudges) for _ in range(n)]
        yield _case(
            f"Drawn: {n} scores off a few breakpoints by a hair.", x, draw.choice([float(draw.whole(1, n - 1)), n / 2])
        )


@_group("offsets", 40, "All scores share an offset: theta as one float loses the digits that p is made of.")
def _offsets(draw: Draw) -> Iterator[Case]:
    yield _case("1e12: every public implementation misses by 4e-5 or more.", [1e12 + 0.5, 1e12 + 0.25, 1e12], 1)
    yield _case("-1e12.", [-1e12 + 0.5, -1e12 + 0.25, -1e12], 1)
    yield _case(
        "1e8: Clarabel, OSQP and SCS miss by 0.4 to 0.9 unless scores are centred.", [1e8 + 0.3, 1e8, 1e8 - 0.4], 1
    )
    yield _case("Thirds at 2^52, where floats are whole: theta is no float.", [2.0**52] * 3, 1)
    yield _case("At 2^53 floats are even.", [2.0**53, 2.0**53 + 2, 2.0**53], 1, 4.0)
    yield _case("Around 1e16 theta + temperature = theta in floats.", [1e16, 1e16, 1e16 - 2], 1)
    yield _case(
        "One huge score beside moderate ones: an offset by the mean destroys them.", [1e17, 0.5, 0.25, 0.125], 2
    )
    yield _case("One hugely negative score beside moderate ones.", [-1e17, 0.5, 0.25, 0.125], 1)
    while True:
        n = draw.whole(2, 10)
        offset = draw.choice([1e12, -1e12, 1e6, 3e9, 2.0**51, -(2.0**52), 2.0**53, 1e15])
        x = [offset + draw.choice([draw.real(-2, 2), draw.whole(-8, 8) / 4]) for _ in range(n)]
        yield _case(f"Drawn: {n} scores around {offset:g}.", x, draw.whole(1, n - 1), draw.choice([1.0, 1.0, 0.5, 3.0]))


@_group("scales", 40, "Scores from 1e-300 to 1.8e308: sums and squares of them overflow or vanish.")
def _scales(draw: Draw) -> Iterator[Case]:
    yield _case("The sum of two scores overflows.", [LARGEST, LARGEST, 0], 1)
    yield _case("The difference of two scores overflows.", [LARGEST, -LARGEST, 0], 2)
    yield _case("All the largest float: thirds.", [LARGEST] * 3, 1)
    yield _case("1e300, with a temperature like it.", [1e300, 6e299, 2e299, -1e300], 2, 1e300)
    yield _case("Squares of the scores vanish.", [1e-200, 2e-200, -1e-200], 1, 1e-200)
    yield _case("Small scores at temperature 1 are almost ties: all share.", [1e-300, 2e-300, -1e-300], 1)
    yield _case("Everything at 2^1000.", [2.0**1000, 2.0**999, 2.0**998], 1, 2.0**1000)
    yield _case("x / temperature overflows, x and temperature do not.", [1e200, 9e199, 0], 1, 1e-200)
    while True:
        n = draw.whole(2, 10)
        scale = draw.choice([1e300, 1e307, 1e150, 1e-150, 1e-300])
        x = [scale * draw.real(-4, 4) for _ in range(n)]
        tau = draw.choice([1.0, scale, 2 * scale, scale / 4])
        yield _case(f"Drawn: {n} scores times {scale:g}.", x, draw.whole(1, n - 1), tau)


@_group("mixed-magnitudes", 35, "Large and small scores in one row: sums that cancel.")
def _mixed_magnitudes(draw: Draw) -> Iterator[Case]:
    yield _case("Alternating +-1e300: a search that halves its interval takes 1000 steps.", [1e300, -1e300] * 4, 4)
    yield _case("Alternating +-1e300 and one score that decides.", [1e300, -1e300, 1e300, -1e300, 0.5], 2.5)
    yield _case("A crowd of huge scores holds the search where nothing is free.", [1e300] * 6 + [0.25, 0.0], 6.5)
    yield _case("2^53 + 1 is no float: sums that pass it lose a unit.", [2.0**53, 1.0, -(2.0**53), 1.0], 2, 2.0**54)
    yield _case("A pair that cancels takes the digits of the others.", [2.0**60, -(2.0**60), 0.5, 0.25, 0.125], 2)
    yield _case(
        "All within one temperature, sums cancel to the small score.", [2.0**60, -(2.0**60), 1.0, 0.0], 2, 2.0**62
    )
    yield _case("Scores of all magnitudes.", [1e-300, 1e-200, 1e-100, 1, 1e100, 1e200, 1e300], 3)
    yield _case("Scores of all magnitudes, below 0.", [-1e-300, -1e-200, -1e-100, -1, -1e100, -1e200, -1e300], 3)
    while True:
        n = draw.whole(3, 10)
        powers = draw.choice([[0, 0, 0, 53, 60], [0, 0, 300, -300], [-20, 0, 20, 40], [0, 1, 2, 100]])
        x = [draw.choice([1.0, -1.0, draw.real(-2, 2)]) * 2.0 ** draw.choice(powers) for _ in range(n)]
        tau = draw.choice([1.0, 1.0, 4.0, 2.0 ** max(powers)])
        yield _case(f"Drawn: {n} scores times powers of two from {powers}.", x, draw.whole(1, n - 1), tau)


@_group("temperature", 35, "Temperatures other than 1: divided by, in the right place, once.")
def _temperature(draw: Draw) -> Iterator[Case]:
    yield _case("Projecting x / 2 (eq. 5 of the paper lacks a factor) gives 3/4 and 1/4.", [1.0, 0.0], 1, 1.0)
    yield _case("Temperature 2: this is where 3/4 and 1/4 belong.", [1.0, 0.0], 1, 2.0)
    yield _case("Temperature 1/2: a vertex.", [1.0, 0.0], 1, 0.5)
    yield _case("Projecting first and dividing after breaks the total.", [0.75, 0.5, 0.25], 1, 4.0)
    yield _case("1 / 0.1 is not 10: x times the inverse is off by a rounding.", [0.3, 0.25, 0.2, 0.15], 2, 0.1)
    yield _case("A temperature of 3: thirds of every score.", [1.0, 0.0, -1.0], 1, 3.0)
    yield _case("Hot: p is nearly uniform.", [5.0, -5.0, 1.0, 0.0], 2, 1e6)
    yield _case("Cool: a vertex, but for two scores that are close.", [2.0, 1.005, 1.0, 0.0], 2, 0.01)
    while True:
        n, tau = draw.whole(2, 10), draw.choice([0.5, 2.0, 1.5, 0.1, 3.0, 0.01, 100.0, draw.real(0.05, 4)])
        x = [draw.real(-2, 2) * max(tau, 0.5) for _ in range(n)]
        yield _case(f"Drawn: {n} scores at temperature {tau:.3g}.", x, draw.whole(1, n - 1), tau)


@_group("tiny-temperature", 35, "Temperatures from 1e-3 down to the least float, and up to the largest.")
def _tiny_temperature(draw: Draw) -> Iterator[Case]:
    yield _case("A temperature below the spacing of the scores: theta + temperature = theta.", [1, 1, 1], 1, 1e-20)
    yield _case("The temperature is the least float.", [0.5, 0.5, 0.25], 1, TINY)
    yield _case("1 / temperature overflows.", [0.5, 0.5, 0.25], 1, 1e-310)
    yield _case(
        "Scores a few least floats apart, at a temperature of a few.", [3 * TINY, 2 * TINY, TINY, 0], 2, 4 * TINY
    )
    yield _case("The largest temperature: p is uniform but for 1e-308.", [1.0, 0.0, -1.0], 1, LARGEST)
    yield _case("The largest temperature and scores as large.", [LARGEST, 0, -LARGEST], 1, LARGEST)
    yield _case("Scores one step apart, at the temperature of a step.", [1 + 2 * EPS, 1 + EPS, 1], 1.5, EPS)
    while True:
        n, tau = draw.whole(2, 8), draw.choice([1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-30, 1e-100, 1e-300, 1e-308, 1e300])
        x = [draw.choice([1.0, 0.5, 0.0]) + tau * draw.choice([0.0, draw.real(-1, 1)]) for _ in range(n)]
        yield _case(f"Drawn: {n} scores in crowds, temperature {tau:g}.", x, draw.whole(1, n - 1), tau)


@_group("subnormal", 35, "Scores, temperatures or answers below the least normal float.")
def _subnormal(draw: Draw) -> Iterator[Case]:
    yield _case("p = 2^-1074: the least float there is.", [0.0, 0.0], TINY * 2)
    yield _case(
        "p = 2^-1075 is half of the least float and rounds to 0, yet its support is not empty.", [0.0, 0.0], TINY
    )
    yield _case("p = 3 * 2^-1076 rounds to the least float.", [0.0, 0.0, 0.0, 0.0], 3 * TINY)
    yield _case("A subnormal total on one score.", [2.0, 0.0], 1e-310)
    yield _case("A subnormal entry beside one that is 1.", [2.0, 1.0, 1.0 - 2.0**-53], 1 + 2.0**-52)
    yield _case("A positive entry of 1e-310: flushing to 0 changes the support.", [1e-310, 0.0, -1.0, 1e-310], 1e-310)
    yield _case("Subnormal scores decide nothing at temperature 1.", [TINY, 0.0, -TINY], 1)
    yield _case("Subnormal scores decide everything at a subnormal temperature.", [TINY, 0.0, -TINY], 1, 2 * TINY)
    yield _case("A tiny score at theta: p is as tiny.", [1.0, 1e-320, 0.0], 1)
    while True:
        n = draw.whole(2, 8)
        x = [draw.choice([0.0, 0.0, 0.5]) + draw.whole(-6, 6) * TINY for _ in range(n)]
        tau = draw.choice([1.0, 3 * TINY, 8 * TINY, 1e-310])
        k = draw.choice([float(draw.whole(1, n - 1)), draw.whole(1, 99) * TINY, n / 2])
        yield _case(f"Drawn: {n} scores that differ by least floats.", x, k, tau)


@_group("extreme-k", 45, "Totals of 0, 1, n - 1 and n, and next to them.")
def _extreme_k(draw: Draw) -> Iterator[Case]:
    x = [0.75, 0.5, 0.5, -0.25]
    ends = {
        "k = 0": 0.0,
        "k = 1": 1.0,
        "k = n - 1": 3.0,
        "k = n": 4.0,
        "k one step below 1": 1 - EPS / 2,
        "k one step above 1": 1 + EPS,
        "k one step below n": 4 - 2 * EPS,
        "k = 1e-9": 1e-9,
        "k = n - 1e-9": 4 - 1e-9,
        "k = 1e-16": 1e-16,
        "k = 1e-300": 1e-300,
    }
    for name, k in ends.items():
        yield _case(f"{name}: ordinary scores.", x, k)
    for name, k in ends.items():
        yield _case(f"{name}: equal scores.", [0.5] * 4, k)
    while True:
        n = draw.whole(2, 10)
        scores = [draw.choice([draw.real(-2, 2), draw.whole(-4, 4) / 4]) for _ in range(n)]
        k = draw.choice([0.0, float(n), 1.0, n - 1.0, 1e-9, n - 1e-9, 1 - EPS / 2, 1 + EPS, 1e-160])
        yield _case(f"Drawn: {n} scores, k = {k:.17g}.", scores, k)


@_group("real-k", 45, "Totals that are not whole.")
def _real_k(draw: Draw) -> Iterator[Case]:
    yield _case("k = 1/2 on one of two ties.", [1.0, 1.0, -5.0], 0.5)
    yield _case("A total truncated to int gives 1 here.", [2.0, 1.0, 0.5], 1.75)
    yield _case("int(0.29 * 100) is 28: k = 28.999999999999996 is no whole number.", [0.5] * 30, 0.29 * 100)
    yield _case("A total rounded to int gives 2 here.", [2.0, 1.0, 0.5], 1.5)
    yield _case("Less than one unit on a clear winner: p = k there.", [9.0, 0.0, 0.0], 0.75)
    yield _case(
        "One full score and a part of the next: an entry is free although the gaps are wide.", [9.0, 5.0, 0.0], 1.25
    )
    yield _case("k = 0.1 is no tenth.", [0.0, 0.0, 0.0], 0.1)
    while True:
        n = draw.whole(1, 12)
        x = [draw.choice([draw.real(-2, 2), draw.whole(-6, 6) / 4]) for _ in range(n)]
        k = draw.choice([draw.real(0, n), draw.whole(1, 4 * n) / 4, draw.whole(1, 10 * n) / 10])
        yield _case(f"Drawn: {n} scores, k = {k:.4g}.", x, k, draw.choice([1.0, 1.0, 0.5, 3.0]))


@_group("masks", 45, "Scores of -inf are masked (p = 0), scores of +inf forced (p = 1); the others share the rest.")
def _masks(draw: Draw) -> Iterator[Case]:
    yield _case("inf - inf is NaN: a masked score must not reach a subtraction.", [-INF, 0.5, 0.25], 1)
    yield _case("A forced score takes its unit first.", [INF, 0.5, 0.25], 2)
    yield _case("Masked and forced.", [INF, 1.0, 1.0, -INF], 2)
    yield _case("Everything forced.", [INF, INF], 2)
    yield _case("Everything masked, nothing asked for.", [-INF, -INF], 0)
    yield _case("Forced and masked only: no theta to find.", [INF, -INF], 1)
    yield _case("The unmasked ones are all asked for.", [-INF, 0.5, -3.0], 2)
    yield _case("The forced ones are all asked for.", [INF, 0.5, -3.0], 1)
    yield _case("The largest float is no infinity.", [-INF, LARGEST, LARGEST, -LARGEST], 1)
    yield _case("0 * inf is NaN: the derivative at masked scores is 0.", [-INF, 0.25, 0.0], 1, cotangent=[7, 1, -1])
    yield _case("A mask in float32.", [-INF, 0.25, 0.0], 1, dtype="float32")
    while True:
        n = draw.whole(3, 10)
        x = [draw.choice([-INF, INF, draw.real(-2, 2), draw.real(-2, 2), draw.whole(-4, 4) / 4]) for _ in range(n)]
        forced, masked = x.count(INF), x.count(-INF)
        k = draw.choice([float(draw.whole(forced, n - masked)), draw.real(forced, n - masked)])
        yield _case(f"Drawn: {forced} forced, {masked} masked, {n - forced - masked} others.", x, k)


@_group(
    "rounding-midpoints",
    45,
    "Entries halfway between two floats, or off that by a hair: correct rounding hangs on it.",
)
def _rounding_midpoints(draw: Draw) -> Iterator[Case]:
    yield _case("p = 1/2 + 2^-54, a midpoint: to even, 1/2.", [2.0**-53, 0.0], 1)
    yield _case("p = 1/2 + 3 * 2^-54, a midpoint: to even, up.", [3 * 2.0**-53, 0.0], 1)
    yield _case("A midpoint but for 2^-200, from above.", [2.0**-53 + 2.0**-105, -(2.0**-200)], 1)
    yield _case("A midpoint but for 2^-300, by the last of four scores.", [2.0**-52, 0.0, 0.0, -(2.0**-300)], 2)
    yield _case("1 - 2^-54, next to 1: the midpoint below 1 rounds to 1, and is not saturated.", [1 - EPS / 2, 0.0], 1)
    yield _case("float32: p = 1/2 + 2^-25, a midpoint.", [2.0**-24, 0.0], 1, dtype="float32")
    yield _case(
        "float32: rounding to float64 first lands on the wrong side.",
        [2.0**-24, -(2.0**-80)],
        1,
        dtype="float32",
    )
    while True:
        m = draw.choice([2, 4, 8])
        dtype = draw.choice(["float64", "float64", "float32"])
        digits, deep = (54, 300) if dtype == "float64" else (25, 120)
        x = [0.0] * m
        x[0] = 2.0**-digits * m * draw.whole(1, 2**20)
        if m > 2 and draw.whole(0, 1):
            t = (2.0 ** (digits - 2) + draw.whole(0, 2 ** (digits - 2) - 1)) * 2.0 ** -draw.whole(
                digits + 18, digits + 50
            )
            x[1:3] = [t, -t]
        hair = draw.choice([0, 1, -1]) * 2.0 ** -draw.whole(60, deep)
        if x[-1] + hair == hair:  # else it would be rounded away
            x[-1] = hair
        yield _case(f"Drawn: {m} free scores, a pair that cancels, and a hair.", x, draw.whole(1, m - 1), dtype=dtype)


@_group(
    "staircase", 40, "Scores that come into play one after the other: off-by-one in a scan, and many steps for Newton."
)
def _staircase(draw: Draw) -> Iterator[Case]:
    for k in range(1, 8):
        yield _case(
            "Eight even steps: a scan that stops one early or late is off by a step.", [i / 4 for i in range(8)], k
        )
    yield _case("Steps that halve: Newton drops one score a step.", [2.0**-i for i in range(12)], 1)
    yield _case("Steps that halve, from below.", [-(2.0**-i) for i in range(12)], 4)
    yield _case("Steps that double.", [2.0**i for i in range(12)], 3, 64.0)
    yield _case("Already sorted, descending.", [2.5, 2.0, 1.75, 1.5, 0.25, 0.0], 3)
    yield _case("Already sorted, ascending: the answer belongs in this order.", [0.0, 0.25, 1.5, 1.75, 2.0, 2.5], 3)
    yield _case("The same, shuffled: unsorting by the wrong permutation shows.", [1.5, 0.0, 2.5, 0.25, 2.0, 1.75], 3)
    while True:
        n, tau = draw.whole(4, 16), draw.choice([1.0, 0.5, 2.0])
        step, start = tau * draw.choice([1.0, 0.5, 0.25, 0.3, 1 / 3]), draw.choice([0.0, -1.0, draw.real(-2, 2)])
        x = draw.shuffled([start + i * step for i in range(n)])
        yield _case(f"Drawn: {n} steps of {step:.3g}, shuffled.", x, draw.whole(1, n - 1), tau)


@_group("float32", 55, "Inputs representable in float32, answers to be given in it.")
def _float32(draw: Draw) -> Iterator[Case]:
    narrow = "float32"
    yield _case("Ten tenths.", [_narrow(0.1)] * 10, 3, dtype=narrow)
    yield _case("Offset 1e6: theta in float32 loses all but two bits.", [1e6 + 0.25, 1e6, 1e6 - 0.5], 1, dtype=narrow)
    yield _case("2^24, where float32 are even from here on.", [2.0**24, 2.0**24 + 2, 2.0**24], 1, 4.0, narrow)
    yield _case("Near-ties, one step of float32 apart.", [1 + 2.0**-23, 1, 1, 0], 2, dtype=narrow)
    yield _case("The largest float32.", [float(np.finfo(np.float32).max)] * 2 + [0], 1, dtype=narrow)
    yield _case("float32 saturated ties.", [5, 5, 0, 0], 2, dtype=narrow, cotangent=[1, 0, 1, 0])
    yield _case("p below the least normal float32.", [0, 0], 2.0**-140, dtype=narrow)
    yield _case("p below the least float32, and positive.", [0, 0], 2.0**-149, dtype=narrow)
    yield _case("Subnormal scores and temperature.", [2.0**-148, 2.0**-149, 0], 1, 2.0**-147, narrow)
    yield _case("A gap one step wider than the temperature.", [1 + 2.0**-23, 0], 1, dtype=narrow)
    yield _case("A gap one step narrower than the temperature.", [1 - 2.0**-24, 0], 1, dtype=narrow)
    while True:
        n = draw.whole(2, 12)
        kind = draw.choice(["moderate", "moderate", "wide", "tied", "offset", "near a kink"])
        x = {
            "moderate": [draw.real(-2, 2) for _ in range(n)],
            "wide": [draw.real(-100, 100) for _ in range(n)],
            "tied": [draw.whole(-6, 6) / 4 for _ in range(n)],
            "offset": [draw.choice([1e4, -1e6]) + draw.real(-2, 2) for _ in range(n)],
            "near a kink": [
                draw.choice([0.0, -1.0]) + draw.choice([0.0, 2.0**-23, -(2.0**-24), 1e-9]) for _ in range(n)
            ],
        }[kind]
        k = draw.choice([float(draw.whole(1, n - 1)), float(draw.whole(1, n - 1)), _narrow(draw.real(0, n))])
        tau = draw.choice([1.0, 1.0, 0.5, _narrow(0.1)])
        yield _case(f"Drawn: {n} float32 scores, {kind}.", list(map(_narrow, x)), k, tau, narrow)


@_group(
    "derivative", 45, "Cotangents that show what a vjp does: constant, huge, offset, at saturated scores, at kinks."
)
def _derivative(draw: Draw) -> Iterator[Case]:
    x = [0.5, 0.375, 0.25, 3.0, -3.0]
    cotangents: dict[str, list[float]] = {
        "constant: the vjp is exactly 0": [1.0] * 5,
        "one at a free score": [1, 0, 0, 0, 0],
        "one at a saturated score: nothing": [0, 0, 0, 1, 0],
        "one at a zero score: nothing": [0, 0, 0, 0, 1],
        "an offset of 1e8: the mean must be taken off before digits are lost": [1e8 + 1, 1e8, 1e8 - 1, 0, 0],
        "an offset of 2^52": [2.0**52 + 1, 2.0**52, 2.0**52, 0, 0],
        "huge where nothing is free: the mean is over free scores alone": [1, 2, 4, 1e300, -1e300],
        "tiny": [TINY, 0, -TINY, 0, 0],
        "thirds": [1, 0, 1, 0, 0],
    }
    for what, g in cotangents.items():
        yield _case(f"The cotangent is {what}.", x, 2, cotangent=g)
    for tau in (0.25, 3.0, 0.1):
        yield _case(
            "The vjp is divided by the temperature, once.", [0.5 * tau, 0.25 * tau, 0], 1, tau, cotangent=[1, 0, -1]
        )
    yield _case("One free score: rank m - 1 = 0, so the vjp is 0.", [4, 0.5, -4], 1.5, cotangent=[1, 2, 3])
    yield _case("Ties among free scores are no kink.", [1, 1, 1, -4], 2, cotangent=[1, 0, 0, 5])
    yield _case("At a vertex the vjp is 0.", [4, 3, -4, -5], 2, cotangent=[1, 2, 3, 4])
    yield _case(
        "A lower kink: 0 for the free set as it is, or shared among three.", [1.0, 1.0, 0.5], 1, cotangent=[1, 1, 0]
    )
    yield _case("All free.", [0.25, 0.0, -0.25, 0.125], 2, cotangent=[4, 3, 2, 1])
    while True:
        n, tau = draw.whole(3, 10), draw.choice([1.0, 1.0, 0.5, 3.0])
        scores = [draw.choice([draw.real(-2, 2), 5.0, 5.0, -5.0, 0.25]) for _ in range(n)]
        kind = draw.choice(["whole", "real", "offset"])
        g = [
            {"whole": draw.whole(-4, 4), "real": draw.real(-3, 3), "offset": 1e6 + draw.real(-1, 1)}[kind]
            for _ in range(n)
        ]
        yield _case(f"Drawn: {n} scores, cotangent {kind}.", scores, draw.whole(1, n - 1), tau, cotangent=g)


@_group("long", 30, "Rows of 64 to 256 scores: blocks and their tails, and sums that lose digits.")
def _long(draw: Draw) -> Iterator[Case]:
    yield _case(
        "256 equal scores and k = 1: pyproximal 0.13 misses the total at its default tolerance.", [0.1234] * 256, 1
    )
    yield _case("128 float32 scores of .1: sums in float32 drift.", [_narrow(0.1)] * 128, 38, dtype="float32")
    yield _case("A staircase of 100.", [i / 8 for i in range(100)], 37)
    yield _case("One winner in 128.", [0.0] * 127 + [2.0], 1)
    yield _case("One score that is free in 65, one past a block of 64.", [3.0] * 32 + [0.5] + [-3.0] * 32, 32.5)
    while True:
        n = draw.choice([64, 64, 65, 72, 96, 100, 127, 128, 128, 200, 256])
        kind = draw.choice(["bell", "bell", "wide", "tied", "saturated", "offset"])
        dtype = draw.choice(["float64", "float64", "float32"])
        grid = 2.0**20 if dtype == "float64" else 2.0**10  # a grid keeps the fractions short

        def score(kind: str = kind) -> float:
            if kind == "tied":
                return draw.whole(-12, 12) / 4
            if kind == "saturated":
                return draw.choice([5.0, -5.0, 0.25, 0.5, draw.bell()])
            return draw.bell() * (30 if kind == "wide" else 1) + (1e3 if kind == "offset" else 0)

        x = [math.floor(score() * grid) / grid for _ in range(n)]
        k = draw.choice([float(draw.whole(1, n - 1)), float(n // 10), draw.whole(1, 4 * n) / 4])
        yield _case(f"Drawn: {n} scores, {kind}, {dtype}.", x, k, dtype=dtype)


@_group("invalid", 50, "Problems without an answer: to be refused, by an exception or by NaN.")
def _invalid(draw: Draw) -> Iterator[Case]:
    x = [0.5, 0.25, 0.0]
    totals = {
        "k = -1": -1.0,
        "k = n + 1": 4.0,
        "k a step below 0": -TINY,
        "k = -1e-9": -1e-9,
        "k a step above n": math.nextafter(3.0, 4.0),
        "k = n + 1/2": 3.5,
        "k is NaN": NAN,
        "k is infinite": INF,
        "k is -infinite": -INF,
        "k = 1e300": 1e300,
    }
    for what, k in totals.items():
        yield _case(f"{what}: outside [0, n].", x, k)
    for at in range(3):
        yield _case("A NaN score, which sorting may hide at an end.", [*x[:at], NAN, *x[at:]], 1)
    yield _case("A NaN score where k = 0: clipping alone would say 0.", [NAN, 1.0], 0)
    yield _case("A NaN score where k = n: clipping alone would say 1.", [NAN, 1.0], 2)
    yield _case("Only NaN.", [NAN], 1)
    yield _case("A NaN score among clear winners.", [9.0, 8.0, NAN, -9.0], 2)
    yield _case("A NaN score beside infinities.", [INF, NAN, -INF], 1)
    temperatures = {
        "0": 0.0,
        "-0": -0.0,
        "-1": -1.0,
        "NaN": NAN,
        "-infinity": -INF,
        "the negative of the least float": -TINY,
    }
    for what, tau in temperatures.items():
        yield _case(f"The temperature is {what}.", x, 1, tau)
    yield _case("More unmasked scores asked for than there are.", [-INF, 0.0], 2)
    yield _case("Everything masked, one asked for.", [-INF, -INF], 1)
    yield _case("More forced scores than k.", [INF, INF, 0.0], 1)
    yield _case("A forced score and k = 0.", [INF, 0.0], 0)
    yield _case("A forced score and k = 1/2.", [INF, 0.0], 0.5)
    yield _case("Unmasked scores short of k by a fraction.", [-INF, 0.0, 0.0], 2.25)
    yield _case("No scores, one asked for.", [], 1)
    yield _case("float32: k outside [0, n].", x, 5, dtype="float32")
    yield _case("float32: a NaN score.", [NAN, 0.5], 1, dtype="float32")
    while True:
        n = draw.whole(1, 8)
        scores = [draw.real(-2, 2) for _ in range(n)]
        what = draw.choice(["k below 0", "k above n", "NaN"])
        if what == "NaN":
            scores[draw.whole(0, n - 1)] = NAN
        k = {
            "k below 0": -float(draw.whole(1, 9)),
            "k above n": float(n + draw.whole(1, 9)),
            "NaN": float(draw.whole(0, n)),
        }[what]
        yield _case(f"Drawn: {n} scores, {what}.", scores, k)


def why_invalid(problem: Problem) -> str:
    """Why a problem has no answer; the empty string if it has one."""
    x, k, tau = problem.scores, problem.k, problem.temperature
    if any(map(math.isnan, x)):
        return "a score is NaN"
    if not 0 <= k <= len(x):
        return "k lies outside [0, n]"
    if not 0 < tau < INF:
        return "the temperature is not positive and finite"
    if x.count(INF) > k:
        return "more scores are forced than k"
    if Fraction(k) > len(x) - x.count(-INF):
        return "k asks for masked scores"
    return ""
