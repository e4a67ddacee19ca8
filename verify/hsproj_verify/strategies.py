"""Hypothesis strategies for problems: families where implementations go wrong, each shrinking towards the plainest case.

`problems(family)` draws one problem; `FAMILIES` names them. Public: use them in property tests of your own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from hsproj_verify.problems import Problem

LONGEST = 12


def _sizes(smallest: int = 1) -> st.SearchStrategy[int]:
    return st.integers(smallest, LONGEST)


@st.composite
def _ordinary(draw: st.DrawFn, width: int = 64) -> list[float]:
    bound = 4.0
    return draw(st.lists(st.floats(-bound, bound, width=width), min_size=1, max_size=LONGEST))  # type: ignore[arg-type]


@st.composite
def _tied(draw: st.DrawFn) -> list[float]:
    quarters = st.integers(-8, 8).map(lambda i: i / 4)
    return draw(st.lists(quarters, min_size=1, max_size=LONGEST))


@st.composite
def _saturated_and_tied(draw: st.DrawFn) -> list[float]:
    """Groups of equal scores further apart than any temperature drawn, and a few others among them."""
    high = draw(st.sampled_from([5.0, 4.3, 64.0]))
    low = draw(st.sampled_from([0.0, 0.1, -64.0]))
    other = st.one_of(st.just(low), st.just(high), st.just(high), st.floats(-1.0, 6.0))
    return draw(st.lists(other, min_size=2, max_size=LONGEST))


@st.composite
def _near_kink(draw: st.DrawFn) -> list[float]:
    """Small integers and halves, off by a little: with temperature 1 breakpoints coincide, or nearly.

    Beside scores a few ulps off there are two groups one temperature apart, so that theta falls among breakpoints that
    lie closer together than floats next to theta do.
    """
    nudges = st.sampled_from([0.0, 0.0, 2.0**-52, -(2.0**-52), 2.0**-50, 1e-9, -1e-9])
    halves = st.tuples(st.integers(-4, 4).map(lambda i: i / 2), nudges)
    groups = st.tuples(st.sampled_from([0.0, -1.0]), st.integers(-3, 3).map(lambda i: i * 2.0**-60))
    groups = st.one_of(groups, st.tuples(st.just(-1.0), st.integers(-3, 3).map(lambda i: i * 2.0**-52)))
    kind = st.one_of(st.just(halves), st.just(groups))
    scores = draw(kind.flatmap(lambda score: st.lists(score, min_size=1, max_size=LONGEST)))
    return [base + nudge for base, nudge in scores]


@st.composite
def _huge_offset(draw: st.DrawFn) -> list[float]:
    """From where four digits are lost to where floats are halves, integers and even integers."""
    offset = draw(st.sampled_from([1e12, -1e12, 1e6, 3e9, 2.0**51, -(2.0**52), 2.0**53]))
    return [offset + x for x in draw(st.one_of(_ordinary(), _tied()))]


@st.composite
def _huge_scale(draw: st.DrawFn) -> list[float]:
    scale = draw(st.sampled_from([1e300, 1e150, 1e-150, 1e-300]))
    return [scale * x for x in draw(_ordinary())]


@st.composite
def _near_midpoint(draw: st.DrawFn) -> list[float]:
    """With a whole k, entries whose p lies halfway between two floats, or off that by a hair.

    2, 4 or 8 free scores that differ by multiples of 2^-53 do. A pair t, -t, all digits used, adds nothing to their sum but
    takes the place of digits in it; the last score is what breaks the tie.
    """
    m = draw(st.sampled_from([2, 4, 8]))
    scores = [0.0] * m
    scores[0] = 2.0**-54 * m * draw(st.integers(1, 2**20))
    if m > 2 and draw(st.booleans()):
        t = (2.0**52 + draw(st.integers(0, 2**52))) * 2.0 ** -draw(st.integers(72, 132))
        scores[1:3] = [t, -t]
    scores[-1] += draw(st.sampled_from([0.0, 1.0, -1.0])) * 2.0 ** -draw(st.integers(60, 300))
    return scores


_SCORES: dict[str, Callable[[], st.SearchStrategy[list[float]]]] = {
    "ordinary": _ordinary,
    "tied": _tied,
    "saturated-and-tied": _saturated_and_tied,
    "near-kink": _near_kink,
    "huge-offset": _huge_offset,
    "huge-scale": _huge_scale,
    "extreme-k": _ordinary,
    "float32": lambda: _ordinary(width=32),
    "near-midpoint": _near_midpoint,
}

FAMILIES = tuple(_SCORES)
"""Names of the families."""

_TEMPERATURES = {
    # A temperature of 1 keeps the breakpoints of these families coincident; the others go with any.
    "near-kink": st.just(1.0),
    "near-midpoint": st.just(1.0),
    "tied": st.sampled_from([1.0, 0.5, 2.0, 0.75]),
    "saturated-and-tied": st.sampled_from([1.0, 0.5, 2.0]),
}


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


@st.composite
def problems(
    draw: st.DrawFn, family: str = "ordinary", *, temperature: bool = True, real_k: bool = True, min_size: int = 1
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
        Least number of scores.

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
    dtype = "float32" if family == "float32" else "float64"
    scores = draw(_SCORES[family]().filter(lambda x: len(x) >= min_size))
    k = draw(totals(len(scores), extreme=family == "extreme-k", real=real_k))
    tau = draw(_TEMPERATURES.get(family, st.sampled_from([1.0, 0.5, 1.5, 2.0, 0.1, 3.0]))) if temperature else 1.0
    if family == "huge-scale" and temperature:
        tau = float(np.abs(scores).max()) * draw(st.sampled_from([1.0, 0.25])) or 1.0
    return Problem(tuple(scores), k, tau, dtype)


def any_problems(*, temperature: bool = True, real_k: bool = True, min_size: int = 1) -> st.SearchStrategy[Problem]:
    """A problem of any family; shrinks towards the ordinary ones."""
    return st.sampled_from(FAMILIES).flatmap(
        lambda family: problems(family, temperature=temperature, real_k=real_k, min_size=min_size)
    )
