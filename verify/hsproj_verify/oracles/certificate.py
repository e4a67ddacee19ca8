"""Proof of how far a given answer is from the exact one: scores, k, temperature and somebody's p in, a `Certificate` out.

A number t is proved to be a threshold by one evaluation without rounding: F(t) = sum_i clip((x_i - t) / tau, 0, 1) = k. Where
t comes from does not matter; here it comes from p, and from exact Newton and median steps where p is far off. With t, each
p*_i is known, and p - p* is bounded entry by entry. The theorem and its proof, rounding by rounding, are in
docs/certificate.md. Time and memory are O(n), all of it in NumPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from hsproj_verify.oracles.exact import NoAnswerError
from hsproj_verify.oracles.sums import exact_sum

_UNIT = Fraction(1, 1 << 53)  # half the distance from 1 to the next float64
_LEAST = Fraction(1, 1 << 1074)  # the least subnormal float64
_CHUNK = 1 << 15  # entries a pass: what fits a cache
_LOOKED_AT = 64  # entries at most whose error is computed as a fraction


@dataclass(frozen=True)
class Certificate:
    """What has been proved of p. Fractions are exact.

    Attributes
    ----------
    lower, upper : float
        ``lower <= max_i |p_i - p*_i| <= upper``. Both are infinite if p has a NaN or an infinity.
    index : int
        Where `lower` is attained; -1 for an empty row.
    nearest : float
        p*_index, rounded to float64.
    theta_low, theta_high : Fraction or None
        The thresholds that serve, None standing for an end at infinity; equal where there is only one.
    free, saturated : int
        How many entries of p* lie strictly between 0 and 1, and how many are 1.
    residual : Fraction or float
        sum(p) - k; NaN if p has a NaN or an infinity.
    """

    lower: float
    upper: float
    index: int
    nearest: float
    theta_low: Fraction | None
    theta_high: Fraction | None
    free: int
    saturated: int
    residual: Fraction | float


def certificate(x: Any, k: float, p: Any, /, *, temperature: float = 1.0) -> Certificate:
    """Bound ``max_i |p_i - p*_i|``, p* being the projection of x / temperature onto {p in [0, 1]^n : sum p = k}.

    Parameters
    ----------
    x : array_like, shape (n,), real
        Scores; -inf masks an entry, +inf forces it to 1.
    k : float
        0 <= k <= n.
    p : array_like, shape (n,), real
        The answer in question: any numbers.
    temperature : float
        Positive and finite.

    Returns
    -------
    Certificate

    Raises
    ------
    NoAnswerError
        If there is no projection: a score is NaN, or infinite scores leave none.
    ValueError, TypeError
        If the call is wrong.

    Notes
    -----
    Nothing is assumed of p. ``upper - lower`` is at most 10 * 2^-53 of the error plus 2^-93 of the larger of 1 and max p;
    where at most 64 entries come near the largest error, both are that error, rounded outwards. It takes about a second for
    10^7 entries.

    Examples
    --------
    >>> from hsproj_verify import certificate
    >>> proof = certificate([3.0, 1.0, 1.0, 0.0], 2, [1.0, 0.5, 0.5, 1e-9])
    >>> proof.lower, proof.upper, proof.index
    (1e-09, 1e-09, 3)
    >>> proof.theta_low, proof.theta_high
    (Fraction(1, 2), Fraction(1, 2))
    """
    scores, answer = _row("x", x), _row("p", p)
    if scores.shape != answer.shape:
        raise ValueError(f"`p` must have the shape of `x`; got {answer.shape} and {scores.shape}.")
    total, tau = _number("k", k), _number("temperature", temperature)
    if not tau > 0:
        raise ValueError(f"`temperature` must be positive; got {temperature}.")
    if np.isnan(scores).any():
        raise NoAnswerError("a score is NaN")
    finite = np.isfinite(scores)
    count, forced = int(np.count_nonzero(finite)), int(np.count_nonzero(scores == math.inf))
    if not forced <= total <= forced + count:
        raise NoAnswerError(f"k={k} with {forced} scores of +inf and {count} finite ones")
    with np.errstate(all="ignore"):
        piece = _Piece.at(_search(scores[finite], total - forced, tau, answer[finite]), scores, tau)
        if piece.sum != total * tau:
            raise AssertionError("the search ended at a number that is no threshold: a bug of the judge")
        return _compare(scores, answer, total, tau, piece)


def _row(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"`{name}` must hold real numbers of at most 64 bits; got dtype {array.dtype}.")
    if array.ndim != 1:
        raise ValueError(f"`{name}` must be one row; got shape {array.shape}.")
    if array.dtype.kind in "iu" and array.size and max(int(array.max()), -int(array.min())) > 2**53:
        raise ValueError(f"`{name}` must hold integers up to 2^53, which float64 has exactly.")
    return array.astype(np.float64, copy=False)


def _number(name: str, value: Any) -> Fraction:
    try:
        return Fraction(float(value))
    except (ValueError, OverflowError):
        raise ValueError(f"`{name}` must be a finite number; got {value!r}.") from None


def _at_most(value: Fraction) -> float:
    """The largest float64 that is at most `value`; -inf below all finite ones."""
    try:
        nearest = float(value)
    except OverflowError:
        return float(np.finfo(np.float64).max) if value > 0 else -math.inf
    return nearest if nearest <= value else math.nextafter(nearest, -math.inf)


def _at_least(value: Fraction) -> float:
    """The least float64 that is at least `value`; inf above all finite ones."""
    return -_at_most(-value)


@dataclass(frozen=True)
class _Piece:
    """F at t, exact: scores in (`above`, `upto`) are free there, those from `upto` on are saturated."""

    t: Fraction
    above: float
    upto: float
    free: int
    saturated: int
    sum: Fraction  # tau F(t)

    @classmethod
    def at(cls, t: Fraction, x: np.ndarray, tau: Fraction) -> _Piece:
        # A float exceeds t iff it exceeds the last float up to t; it reaches t + tau iff it reaches the first from there.
        above, upto = _at_most(t), _at_least(t + tau)
        free = x[(x > above) & (x < upto)]
        saturated = int(np.count_nonzero(x >= upto))
        return cls(t, above, upto, free.size, saturated, exact_sum(free) - free.size * t + saturated * tau)


def _search(x: np.ndarray, k: Fraction, tau: Fraction, p: np.ndarray) -> Fraction:
    """A threshold for finite scores: where the sets of p put it, or a few exact steps from there. Nobody has to trust it."""
    if not x.size:
        return Fraction(0)
    low, high = Fraction(float(x.min())) - tau, Fraction(float(x.max()))  # F(low) = n, F(high) = 0
    if k in (0, x.size):
        return low if k else high
    guess = _threshold_of_sets(x, k, tau, p)
    if not _inside(guess, low, high):
        guess = low + (x.size - k) * tau / int(np.count_nonzero(x == x.min()))  # Newton's step from low
    settled_sum, settled, saturated = Fraction(0), 0, 0  # scores that are free, or saturated, all over (low, high)
    step = 0
    while True:
        # F(low) > k > F(high), and x holds the scores that have a breakpoint in between. Every third step takes the median of
        # breakpoints, which removes a quarter of them at least; without any, F is linear here and Newton's step is exact.
        median = _median_breakpoint(x, low, high, tau) if not _inside(guess, low, high) or step % 3 == 2 else None
        t = guess if median is None else median
        assert t is not None
        piece = _Piece.at(t, x, tau)
        excess = piece.sum + settled_sum - settled * t + (saturated - k) * tau
        if excess == 0:
            return t
        # The slope on the side of the root: a score at a breakpoint is free there.
        if excess > 0:
            low, edge, at_edge = t, piece.upto, piece.upto == t + tau
        else:
            high, edge, at_edge = t, piece.above, piece.above == t
        slope = piece.free + settled + (int(np.count_nonzero(x == edge)) if at_edge else 0)
        guess = t + excess / slope if slope else None
        above = x >= _at_least(high + tau)
        between = (x >= _at_least(high)) & (x <= _at_most(low + tau))
        saturated += int(np.count_nonzero(above))
        settled += int(np.count_nonzero(between))
        settled_sum += exact_sum(x[between])
        x = x[(x > _at_most(low)) & ~(above | between)]
        step += 1


def _inside(t: Fraction | None, low: Fraction, high: Fraction) -> bool:
    return t is not None and low < t < high


def _threshold_of_sets(x: np.ndarray, k: Fraction, tau: Fraction, p: np.ndarray) -> Fraction | None:
    """The threshold if the free and the saturated entries are those of p; None if that says nothing."""
    free, saturated = (p > 0) & (p < 1), p >= 1
    m, s = int(np.count_nonzero(free)), int(np.count_nonzero(saturated))
    if m:
        return (exact_sum(x[free]) - (k - s) * tau) / m
    if s in (0, x.size):
        return None
    return (Fraction(float(x[~saturated].max())) + Fraction(float(x[saturated].min())) - tau) / 2


def _median_breakpoint(x: np.ndarray, low: Fraction, high: Fraction, tau: Fraction) -> Fraction | None:
    """Of the breakpoints x_i or of the breakpoints x_i - tau inside (low, high), whichever are more; None without any."""
    lower, upper = x[x < _at_least(high)], x[x > _at_most(low + tau)]
    more = max(lower, upper, key=len)
    if not more.size:
        return None
    middle = Fraction(float(np.partition(more, more.size // 2)[more.size // 2]))
    return middle if more is lower else middle - tau


def _compare(x: np.ndarray, p: np.ndarray, k: Fraction, tau: Fraction, piece: _Piece) -> Certificate:
    """Compares p with the projection, given the piece of F at a threshold."""
    zero, saturated = x <= piece.above, x >= piece.upto
    free = ~(zero | saturated)

    def exact(i: int) -> Fraction:
        return (Fraction(float(x[i])) - piece.t) / tau if free[i] else Fraction(int(saturated[i]))

    def certified(lower: float, upper: float, index: int, residual: Fraction | float) -> Certificate:
        nearest = float(exact(index)) if index >= 0 else math.nan
        thetas = (piece.t, piece.t) if piece.free else _flat(x[zero], x[saturated], tau)
        return Certificate(lower, upper, index, nearest, *thetas, piece.free, piece.saturated, residual)

    if not np.isfinite(p).all():
        return certified(math.inf, math.inf, int(np.argmin(np.isfinite(p))), math.nan)
    suspects: list[int] = []
    for certain in zero, saturated:
        where = np.flatnonzero(certain)
        if where.size:
            suspects += [int(where[np.argmin(p[where])]), int(where[np.argmax(p[where])])]
    bound = Fraction(0)
    if piece.free:
        where = np.flatnonzero(free)
        near, bound = _largest_free_errors(x[where], p[where], piece.t, tau)
        suspects += where[near].tolist()
    worst, index = max(((abs(Fraction(float(p[i])) - exact(i)), -i) for i in suspects), default=(Fraction(0), 1))
    return certified(_at_most(worst), _at_least(max(worst, bound)), -index, exact_sum(p) - k)


def _flat(zero: np.ndarray, saturated: np.ndarray, tau: Fraction) -> tuple[Fraction | None, Fraction | None]:
    """The ends of the flat piece of F between these scores."""
    zero, saturated = zero[zero > -math.inf], saturated[saturated < math.inf]
    low = Fraction(float(zero.max())) if zero.size else None
    high = Fraction(float(saturated.min())) - tau if saturated.size else None
    return low, high


def _largest_free_errors(x: np.ndarray, p: np.ndarray, t: Fraction, tau: Fraction) -> tuple[np.ndarray, Fraction]:
    """Indices of what may be the largest |p_i - (x_i - t) / tau|, and a bound of it: 0 where the indices are all there are.

    Twice the working precision: r_i = p_i tau - (x_i - t) is a sum of eight floats, in units that bring tau into [1/2, 1).
    """
    scale = -math.frexp(tau)[1]
    tau_float = math.ldexp(tau, scale)
    tau_high = float(_high_half(np.array([tau_float]))[0])
    tau_low = tau_float - tau_high
    largest = Fraction(float(np.finfo(np.float64).max))
    base = float(min(max(t, -largest), largest))
    rest = (t - Fraction(base)) * Fraction(2) ** scale
    rest_high = float(rest)
    rest_low = float(rest - Fraction(rest_high))
    residues = np.empty(x.size)
    largest_p = largest_distance = 0.0
    for start in range(0, x.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        distance, lost = (np.ldexp(part, scale) for part in _two_sum(x[chunk], -base))
        high = _high_half(p[chunk])
        low = p[chunk] - high
        terms = high * tau_high, -distance, high * tau_low, low * tau_high, low * tau_low, -lost, rest_high, rest_low
        residues[chunk] = np.abs(_compensated_sum(*terms))
        largest_p = max(largest_p, float(np.abs(p[chunk]).max()))
        largest_distance = max(largest_distance, float(np.abs(distance).max()))
    sizes = map(Fraction, (largest_p, largest_distance, abs(rest_high), abs(rest_low)))  # tau is less than 1 here
    error = 128 * _UNIT**2 * sum(sizes, Fraction(0)) + abs(rest - Fraction(rest_high) - Fraction(rest_low)) + 8 * _LEAST
    top = Fraction(float(residues.max()))
    near = np.flatnonzero(residues >= _at_most(top * (1 - 4 * _UNIT) - 3 * error))
    bound = (top + error) / (1 - _UNIT) / Fraction(tau_float)
    return near[:_LOOKED_AT], Fraction(0) if near.size <= _LOOKED_AT else bound


def _high_half(values: np.ndarray) -> np.ndarray:
    """The floats of the first 26 bits; what is left has at most 27."""
    return (values.view(np.int64) & (-1 << 27)).view(np.float64)


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """The rounded sum and what its rounding lost, exactly (Knuth)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def _compensated_sum(first: Any, *others: Any) -> Any:
    """Sum2 of Ogita, Rump and Oishi: as if summed in twice the precision, then rounded."""
    total, lost = first, 0.0
    for other in others:
        total, error = _two_sum(total, other)
        lost = lost + error
    return total + lost
