"""Hypothesis strategies for problems: families where implementations go wrong, each shrinking towards the plainest case.

`problems(family)` draws one problem, `any_problems` one of any family, `totals` a k, `cotangents` a vector for products with
the Jacobian. Public: use them in property tests of your own. `FAMILIES` says what each family is made for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from hsproj_verify.problems import Problem

LONGEST = 12
_QUARTERS = st.integers(-8, 8).map(lambda i: i / 4)


@st.composite
def _ordinary(draw: st.DrawFn, tau: float, least: int, width: int = 64) -> list[float]:
    bound = 4.0
    return draw(st.lists(st.floats(-bound, bound, width=width), min_size=least, max_size=LONGEST))  # type: ignore[arg-type]


@st.composite
def _tied(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    return draw(st.lists(_QUARTERS, min_size=least, max_size=LONGEST))


@st.composite
def _saturated_and_tied(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """Groups of equal scores further apart than any temperature drawn, and a few others among them."""
    high = draw(st.sampled_from([5.0, 4.3, 64.0]))
    low = draw(st.sampled_from([0.0, 0.1, -64.0]))
    other = st.one_of(st.just(low), st.just(high), st.just(high), st.floats(-1.0, 6.0))
    return draw(st.lists(other, min_size=max(least, 2), max_size=LONGEST))


@st.composite
def _vertex(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """Two groups, on either side of 0, a temperature or more apart."""
    gap = draw(st.sampled_from([1.0, 1.0 + 2.0**-52, 1.5, 40.0]))
    places = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=least, max_size=LONGEST))
    return [tau * (gap / 2 + beyond / 4) * (1 if high else -1) for high, beyond in places]


@st.composite
def _staircase(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """Steps of a temperature, or of a simple part of it: many breakpoints coincide, or lie a rounding apart."""
    step = draw(st.sampled_from([1.0, 0.5, 1 / 3, 2.0]))
    return [tau * step * i for i in draw(st.lists(st.integers(-6, 6), min_size=least, max_size=LONGEST))]


@st.composite
def _near_kink(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """Small integers and halves, off by a little: with temperature 1 breakpoints coincide, or nearly.

    Beside scores a few ulps off there are two groups one temperature apart, so that theta falls among breakpoints that
    lie closer together than floats next to theta do.
    """
    nudges = st.sampled_from([0.0, 0.0, 2.0**-52, -(2.0**-52), 2.0**-50, 1e-9, -1e-9])
    halves = st.tuples(st.integers(-4, 4).map(lambda i: i / 2), nudges)
    groups = st.tuples(st.sampled_from([0.0, -1.0]), st.integers(-3, 3).map(lambda i: i * 2.0**-60))
    groups = st.one_of(groups, st.tuples(st.just(-1.0), st.integers(-3, 3).map(lambda i: i * 2.0**-52)))
    kind = st.one_of(st.just(halves), st.just(groups))
    scores = draw(kind.flatmap(lambda score: st.lists(score, min_size=least, max_size=LONGEST)))
    return [base + nudge for base, nudge in scores]


@st.composite
def _kink(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """Up to four scores at a breakpoint of theta = 0, exactly, and up to three a quarter of a temperature off, or more."""
    at = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=4))
    off = draw(st.lists(st.sampled_from([0.5, 0.25, 0.75, 1.25, -0.5]), min_size=max(least - len(at), 0), max_size=3))
    return [tau * place for place in draw(st.permutations([*at, *off]))]


@st.composite
def _next_to_kink(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """As `_kink`, with the scores that lie at a breakpoint off it by a little that is no rounding."""
    off = st.tuples(st.sampled_from([1.0, -1.0]), st.sampled_from([2.0**-30, 2.0**-8, 2.0**-20, 2.0**-40]))
    scores = draw(_kink(tau, least))
    nudges = [sign * little for sign, little in draw(st.lists(off, min_size=len(scores), max_size=len(scores)))]
    return [x + tau * nudge if x in (0.0, tau) else x for x, nudge in zip(scores, nudges, strict=True)]


@st.composite
def _free(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """Two to eight scores between the breakpoints of theta = 0, and up to four well beyond them."""
    inside = draw(st.lists(st.integers(1, 15).map(lambda i: i / 16), min_size=max(least, 2), max_size=8))
    beyond = draw(st.lists(st.sampled_from([-0.5, 1.5, -8.0, 8.0]), max_size=4))
    return [tau * place for place in draw(st.permutations([*inside, *beyond]))]


@st.composite
def _near_tied(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """A few values, each score off one of them by a little that is no rounding: ties to code with a tolerance."""
    little = draw(st.sampled_from([4e-10, 1e-7, 1e-12]))
    score = st.tuples(st.sampled_from([0.0, 0.5, 3.0]), st.integers(-2, 2))
    return [base + i * little for base, i in draw(st.lists(score, min_size=max(least, 2), max_size=LONGEST))]


@st.composite
def _huge_offset(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """From where four digits are lost to where floats are halves, integers and even integers."""
    offset = draw(st.sampled_from([1e12, -1e12, 1e6, 3e9, 2.0**51, -(2.0**52), 2.0**53]))
    return [offset + x for x in draw(st.one_of(_ordinary(tau, least), _tied(tau, least)))]


@st.composite
def _huge_scale(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    scale = draw(st.sampled_from([1e300, 1e150, 1e-150, 1e-300]))
    return [scale * x for x in draw(_ordinary(tau, least))]


@st.composite
def _tiny_temperature(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """Quarters of a temperature around a few numbers that are far apart, in temperatures."""
    scores = draw(st.lists(st.tuples(st.sampled_from([0.0, 1.0, -3.0]), _QUARTERS), min_size=least, max_size=LONGEST))
    return [base + tau * quarters for base, quarters in scores]


@st.composite
def _subnormal(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """Below 2^-1022, where floats are as far apart as 2^-1074 everywhere."""
    return [2.0**-1074 * i for i in draw(st.lists(st.integers(-(2**52), 2**52), min_size=least, max_size=LONGEST))]


@st.composite
def _float32(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    return draw(_ordinary(tau, least, width=32))


@st.composite
def _float32_offset(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """From where two digits of a float32 are lost to where floats are integers."""
    offset = draw(st.sampled_from([1e3, -1e4, 1e6, 2.0**22, -(2.0**23)]))
    return [float(np.float32(offset + x)) for x in draw(_float32(tau, least))]


@st.composite
def _near_midpoint(draw: st.DrawFn, tau: float, least: int) -> list[float]:
    """With a whole k, entries whose p lies halfway between two floats, or off that by a hair.

    2, 4 or 8 free scores that differ by multiples of 2^-53 do. A pair t, -t, all digits used, adds nothing to their sum but
    takes the place of digits in it; the last score is what breaks the tie.
    """
    m = draw(st.sampled_from([m for m in (2, 4, 8) if m >= least]))
    scores = [0.0] * m
    scores[0] = 2.0**-54 * m * (2 * draw(st.integers(0, 2**19)) + 1)
    if m > 2 and draw(st.booleans()):
        t = (2.0**52 + draw(st.integers(0, 2**52))) * 2.0 ** -draw(st.integers(72, 132))
        scores[1:3] = [t, -t]
    scores[-1] += draw(st.sampled_from([0.0, 1.0, -1.0])) * 2.0 ** -draw(st.integers(60, 300))
    return scores


@st.composite
def totals(draw: st.DrawFn, n: int, *, extreme: bool = False, real: bool = True) -> float:
    """A total in [0, n]: whole numbers, and reals where the target claims them."""
    whole = st.integers(0, n).map(float)
    if extreme and real:
        ends = [0.0, float(n), 1.0, n - 1.0, 1e-9, n - 1e-9, math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0), 1e-300]
        return draw(st.sampled_from([k for k in ends if 0.0 <= k <= n]))
    if extreme:
        return draw(st.sampled_from(sorted({0.0, float(n), min(1.0, n), n - 1.0})))
    return draw(st.one_of(whole, st.floats(0.0, n)) if real else whole)


def _any_total(scores: list[float], tau: float, real: bool) -> st.SearchStrategy[float]:
    return totals(len(scores), real=real)


def _extreme_total(scores: list[float], tau: float, real: bool) -> st.SearchStrategy[float]:
    return totals(len(scores), extreme=True, real=real)


def _positive_ones(scores: list[float], tau: float, real: bool) -> st.SearchStrategy[float]:
    """As many as there are positive scores, which makes a vertex of two groups around 0, or nearly as many."""
    k = sum(x > 0 for x in scores)
    nearly = [k - 1e-9, k + 1e-9] if real else []
    return st.sampled_from([float(k), *(near for near in nearly if 0 <= near <= len(scores))])


def _total_at_zero(scores: list[float], tau: float, real: bool) -> st.SearchStrategy[float]:
    """What makes 0 a threshold."""
    return st.just(sum(min(max(x / tau, 0.0), 1.0) for x in scores))


def _upper_half(scores: list[float], tau: float, real: bool) -> st.SearchStrategy[float]:
    """Whole, and half of the scores or more: with equal ones, p lies between 1/2 and 1."""
    return st.integers((len(scores) + 1) // 2, len(scores)).map(float)


@dataclass(frozen=True)
class _Family:
    scores: Callable[[float, int], st.SearchStrategy[list[float]]]
    temperatures: st.SearchStrategy[float] = st.sampled_from([1.0, 0.5, 1.5, 2.0, 0.1, 3.0])  # noqa: RUF009 - never changed
    totals: Callable[[list[float], float, bool], st.SearchStrategy[float]] = _any_total
    dtype: str = "float64"


_ONE = st.just(1.0)
_POWERS = st.sampled_from([1.0, 0.5, 2.0])
_TINY = st.sampled_from([1e-3, 1e-6, 1e-9, 1e-12, 1e-100, 1e-300])
_SMALLEST = st.sampled_from([2.0**-1022, 2.0**-1023, 2.0**-1024])

_FAMILIES = {
    "ordinary": _Family(_ordinary),
    "tied": _Family(_tied, st.sampled_from([1.0, 0.5, 2.0, 0.75])),
    "saturated-and-tied": _Family(_saturated_and_tied, _POWERS),
    # A temperature of 1 keeps the breakpoints of the next family coincident; the others go with any.
    "near-kink": _Family(_near_kink, _ONE),
    "near-tied": _Family(_near_tied, _POWERS),
    "huge-offset": _Family(_huge_offset),
    "huge-scale": _Family(_huge_scale),
    "extreme-k": _Family(_ordinary, totals=_extreme_total),
    "float32": _Family(_float32, dtype="float32"),
    "near-midpoint": _Family(_near_midpoint, _ONE, totals=_upper_half),
    "vertex": _Family(_vertex, totals=_positive_ones),
    "staircase": _Family(_staircase),
    "kink": _Family(_kink, _POWERS, totals=_total_at_zero),
    "next-to-kink": _Family(_next_to_kink, _POWERS, totals=_total_at_zero),
    "free": _Family(_free, totals=_total_at_zero),
    "tiny-temperature": _Family(_tiny_temperature, _TINY),
    "subnormal": _Family(_subnormal, _SMALLEST),
    "float32-offset": _Family(_float32_offset, dtype="float32"),
}

FAMILIES = tuple(_FAMILIES)
"""Names of the families.

========================= ============================================================================================
ordinary                  scores of moderate size, any k
tied                      quarters: scores repeat, among free entries and others
saturated-and-tied        groups of equal scores whose p is 0 or 1
near-kink                 scores at a breakpoint, or a few roundings off
near-tied                 scores that differ by 1e-7 to 1e-12: ties to code with a tolerance
huge-offset               a common offset of 1e6 to 1e16: what a threshold held as one float loses
huge-scale                1e-300 to 1e300, temperatures as large as the scores
extreme-k                 k = 0, 1, n - 1, n, and next to them
float32                   as ordinary
near-midpoint             p lies halfway between two floats, or off that by a hair
vertex                    p is 0 or 1 throughout, or nearly: the equation for the threshold has a flat piece
staircase                 steps of one temperature, or of a simple part of it
kink                      at most four scores exactly at a breakpoint, the others a quarter of a temperature off or more
next-to-kink              the same with those four off by 2^-8 to 2^-40 of a temperature
free                      two to eight entries are neither 0 nor 1
tiny-temperature          1e-3 to 1e-300, with scores a few temperatures apart and others very far apart
subnormal                 scores and temperatures at and below 2^-1022
float32-offset            as huge-offset, up to 2^23
========================= ============================================================================================
"""


@st.composite
def problems(
    draw: st.DrawFn,
    family: str = "ordinary",
    *,
    temperature: bool = True,
    real_k: bool = True,
    min_size: int = 1,
    fixed_k: float | None = None,
) -> Problem:
    """A problem of one family.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    temperature : bool
        Whether to draw temperatures other than 1.
    real_k : bool
        Whether to draw totals that are not whole.
    min_size : int
        Least number of scores, at most 4.
    fixed_k : float, optional
        The only total to draw.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from hsproj_verify.strategies import problems
    >>> @settings(max_examples=20, database=None)
    ... @given(problems("tied"))
    ... def total_is_k(problem):
    ...     assert sum(problem.solution.p) == problem.k
    >>> total_is_k()
    """
    kind = _FAMILIES[family]
    tau = draw(kind.temperatures) if temperature else 1.0
    scores = draw(kind.scores(tau, min_size))
    if fixed_k is not None:
        while len(scores) < fixed_k:
            scores = [*scores, *scores]
    k = draw(kind.totals(scores, tau, real_k)) if fixed_k is None else fixed_k
    if (
        fixed_k is None and k != math.floor(k) and not real_k
    ):  # a family that sets k: one more free score makes it whole
        scores, k = [*scores, tau * (math.ceil(k) - k)], float(math.ceil(k))
    if family == "huge-scale" and temperature:
        tau = float(np.abs(scores).max()) * draw(st.sampled_from([1.0, 0.25])) or 1.0
    return Problem(tuple(scores), k, tau, kind.dtype)


def any_problems(*, temperature: bool = True, real_k: bool = True, min_size: int = 1) -> st.SearchStrategy[Problem]:
    """A problem of any family; shrinks towards the ordinary ones."""
    return st.sampled_from(FAMILIES).flatmap(
        lambda family: problems(family, temperature=temperature, real_k=real_k, min_size=min_size)
    )


def cotangents(n: int) -> st.SearchStrategy[list[float]]:
    """A vector of n quarters in [-2, 2]."""
    return st.lists(_QUARTERS, min_size=n, max_size=n)
