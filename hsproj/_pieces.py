"""One row in pieces, for rows too long to hold: exact sets and theta from three passes over them, and a fourth to answer.

    survey (a sample) -> plan: thresholds to try -> weigh (sums at these) -> enclose: an interval that holds theta
        -> settle (all that it leaves open, and exact sums of the rest) -> conclude: an `Answer` -> its answer for each piece

A pass is a function of one piece, one-dimensional, of float32 or float64; the steps between see only what passes returned.
docs/arrays.md, section "Rows in pieces", says why the answer is that of the whole row, to the last bit.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from hsproj import _exact
from hsproj._exact import Neighbours
from hsproj._inputs import Array
from hsproj._threshold import threshold

SAMPLE = 1 << 20
"""Scores of a row to look at first."""
ROOM = 1 << 20
"""Scores of a row that may stay open, about."""
_TRIALS = 128
"""Most thresholds to try: then about one score in 64 stays open, or fewer, whatever the scores, but for equal ones."""
_CERTAINTY = 8.0
"""A sample's total is further off than half this many roots of its size once in 10^13 rows, by Hoeffding's inequality."""
_BLOCK = 1 << 15
"""Entries to work on at a time, so that they stay in the cache."""
_RELATIVE = 2.0**-30
"""More than the rounding of a sum of clipped scores, relative: none is negative, and no more than 2^20 sums are in a row."""
_HUGE = 2.0**900
"""Larger numbers might overflow where they are cut into levels."""


class Survey(NamedTuple):
    """Of one piece: how many of its scores are finite, +inf and NaN; and scores drawn at random, NaN left out."""

    size: int
    finite: int
    forced: int
    strange: int
    sample: Array


class Outline(NamedTuple):
    """What is known of a row after `survey`: numbers of its scores; and ascending thresholds to try."""

    size: int
    finite: int
    forced: int
    strange: int
    trials: Array


class Settled(NamedTuple):
    """Of one piece: what any theta in an interval settles, and the scores that are open, with how often each occurs.

    `total` is the sum of the scores that are free for sure; `along` that of their cotangents, and `alongs` (levels, open)
    sums of cotangents of each open score, a few floats that add up to it.
    """

    free: int
    saturated: int
    total: Fraction
    beside: Neighbours
    values: Array
    counts: Array
    along: Fraction | float
    alongs: Array


class Answer(NamedTuple):
    """The solution of a row. Without one `record` is NaN; at a vertex, or if nothing is free, `free` is 0.

    `theta` is None where all thresholds of a half-line serve; `mean` is that of the cotangents of free entries, as a pair.
    """

    record: Array
    theta: Fraction | None
    tau: float
    free: int
    mean: tuple[float, float]

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest scores of support and saturated set."""
        from hsproj._kernels import _solve

        return float(self.record[_solve.SUPPORT_FROM]), float(self.record[_solve.SATURATED_FROM])

    @property
    def margin(self) -> float:
        """See `hsproj.Projection.margin`."""
        from hsproj._kernels import _solve

        return float(self.record[_solve.MARGIN])

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return not math.isnan(self.bounds[0])

    @property
    def is_differentiable(self) -> bool:
        """Whether no score is on a breakpoint."""
        from hsproj._kernels import _solve

        return self.answered and bool(np.isnan(self.record[[_solve.LOWER_KINK, _solve.UPPER_KINK]]).all())

    def threshold(self, kind: type[np.floating]) -> np.floating:
        """Theta, rounded."""
        from hsproj._kernels import _solve

        # A half-line's end, or NaN.
        return kind(self.record[_solve.PIVOT]) if self.theta is None else _exact.nearest(self.theta, kind)

    def project(self, piece: Array) -> Array:
        """The entries of p, correctly rounded."""
        from hsproj._kernels import _sweeps

        out, doubtful, tau = np.empty_like(piece), np.empty(1, np.bool_), np.array([self.tau])
        for start in range(0, piece.size, _BLOCK):
            some = slice(start, start + _BLOCK)
            _sweeps.project_rows(piece[None, some], tau, self.record[None], out[None, some], doubtful)
            if doubtful[0] and self.theta is not None:
                out[some] = _exact.round_row(piece[some], self.theta, self.tau, *self.bounds)
        return out

    def masks(self, piece: Array) -> tuple[Array, Array]:
        """(free, saturated)."""
        from hsproj._kernels import _sweeps

        free, saturated = np.empty((2, 1, piece.size), np.bool_)
        _sweeps.mask_rows(piece[None], np.array([self.bounds]), free, saturated)
        return free[0], saturated[0]

    def gather(self, piece: Array, v: Array) -> Fraction | float:
        """The sum of the free entries of v."""
        return _sum(v[self.masks(piece)[0]])

    def with_mean(self, sums: Sequence[Fraction | float]) -> "Answer":
        """With the mean of the free entries, given their sums over pieces."""
        return self._replace(mean=_pair(sum(sums), self.free))

    def tangent(self, piece: Array, v: Array) -> Array:
        """The Jacobian times v, in the dtype of v."""
        if not self.answered:
            return np.full_like(v, np.nan)
        out, free = np.zeros_like(v), self.masks(piece)[0]
        moving = v[free].astype(np.float64)
        with np.errstate(all="ignore"):  # what is out of the range of floats is infinite or NaN, as for NumPy
            # Where a difference could overflow and the quotient may not, all of it is a power of two smaller.
            scale = 1.0 if abs(self.mean[0]) < 2.0**969 or not math.isfinite(self.mean[0]) else 2.0**-64
            high, low = (part * scale for part in self.mean)
            out[free] = ((moving * scale - high) - low) / self.tau / scale
        return out


def survey(piece: Array, share: float, seed: int) -> Survey:
    """The first pass. Draws about this share of the scores; all of them for a share of 1."""
    finite = forced = strange = 0
    for start in range(0, piece.size, _BLOCK):
        x = piece[start : start + _BLOCK]
        known = int(np.count_nonzero(np.isfinite(x)))
        finite += known
        if known < x.size:
            forced += int(np.count_nonzero(x == np.inf))
            strange += int(np.count_nonzero(np.isnan(x)))
    some = piece
    if share < 1.0 and piece.size:
        some = piece[np.random.default_rng(seed).integers(piece.size, size=math.ceil(share * piece.size))]
    return Survey(piece.size, finite, forced, strange, some[~np.isnan(some)].astype(np.float64))


def plan(surveys: Sequence[Survey], k: float, tau: float) -> Outline:
    """Thresholds to try: breakpoints of the sample, between two that theta is nearly certain to lie between.

    So many that only about `ROOM` breakpoints of the row lie between two of them.
    """
    size, finite = sum(s.size for s in surveys), sum(s.finite for s in surveys)
    forced, strange = sum(s.forced for s in surveys), sum(s.strange for s in surveys)
    sample = np.sort(np.concatenate([s.sample for s in surveys]))
    drawn, outline = sample.size, Outline(size, finite, forced, strange, np.empty(0))
    up = int(np.count_nonzero(sample == np.inf))
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return outline
    with np.errstate(over="ignore", invalid="ignore"):
        centred = sample - sample[sample.size // 2]
        breakpoints = np.sort(np.concatenate([centred, centred - tau]))
        sums = np.concatenate([[0.0], np.cumsum(centred)])
        zeros = np.searchsorted(centred, breakpoints, "right")
        full = np.searchsorted(centred, breakpoints + tau, "left")
        shares = (sums[full] - sums[zeros] - (full - zeros) * breakpoints) / tau + (sample.size - full + up)
    doubt = 1.0 + (0.5 * _CERTAINTY * math.sqrt(drawn) if drawn < size else 0.0)
    wanted = k * drawn / size
    first = int(np.searchsorted(-shares, -(wanted + doubt), "right")) - 1
    last = int(np.searchsorted(-shares, -(wanted - doubt), "left"))
    first, last = max(first, 0), min(last, breakpoints.size - 1)
    number = math.ceil((last - first) * (size / drawn) / ROOM)
    chosen = np.linspace(first, last, min(max(number, 1), _TRIALS) + 1).astype(np.int64)
    trials = np.unique(breakpoints[chosen] + sample[sample.size // 2])
    return outline._replace(trials=trials[np.isfinite(trials)])


def weigh(piece: Array, outline: Outline, tau: float) -> Array:
    """The second pass: the sum of clip(x - t, 0, tau) for each threshold t to try."""
    from hsproj._kernels._long import evaluate

    trials = outline.trials
    sums = np.zeros(trials.size)
    for start in range(0, piece.size, _BLOCK):
        x = piece[start : start + _BLOCK]
        if x.size < 64:  # kernels read whole vectors
            x = np.concatenate([x, np.full(64, -np.inf, x.dtype)])
        for i, trial in enumerate(trials.tolist()):
            sums[i] += evaluate(x, trial, tau, 1.0)[0]
    return sums


def enclose(sums: Sequence[Array], outline: Outline, k: float, tau: float) -> tuple[float, float]:
    """An open interval that holds theta: the trials next to it whose sums say for certain on which side of it they are."""
    low, high = -math.inf, math.inf
    for trial, sum_ in zip(outline.trials.tolist(), np.sum(sums, axis=0).tolist(), strict=True):
        residual, doubt = sum_ - k * tau, _RELATIVE * k * tau
        if residual > doubt:
            low = trial
        elif residual < -doubt:
            high = min(high, trial)
    return low, high


def settle(piece: Array, interval: tuple[float, float], tau: float, v: Array | None = None) -> Settled:
    """The third pass. With cotangents `v`, they are added up too."""
    low, high = interval
    kind = piece.dtype.type
    zero_to, support_from = _floor(low, kind), _ceil(high, kind)
    free_to, saturated_from = _floor(_plus(low, tau), kind), _ceil(_plus(high, tau), kind)
    free = saturated = 0
    total = Fraction(0)
    along: Fraction | float = Fraction(0)
    beside, left, lefts = Neighbours(), [], []
    for start in range(0, piece.size, _BLOCK):
        x = piece[start : start + _BLOCK]
        supported = x > zero_to
        beside = beside.widened(zeros=x[~supported])
        x = x[supported]
        full = x >= saturated_from
        beside = beside.widened(saturated=x[full])
        saturated += int(np.count_nonzero(full))
        sure = (x >= support_from) & (x <= free_to)
        among = x[sure]
        beside = beside.widened(free=among)
        free += among.size
        total += Fraction(_sum(among))
        open_ = ~(full | sure)
        left.append(x[open_])
        if v is not None:
            g = v[start : start + _BLOCK][supported]
            along += _sum(g[sure])
            lefts.append(g[open_])
    values, inverse, counts = np.unique(np.concatenate([*left, piece[:0]]), return_inverse=True, return_counts=True)
    alongs = np.empty((0, values.size))
    if v is not None:
        alongs = _sums_of(np.concatenate([*lefts, v[:0]]), inverse, values.size)
    return Settled(free, saturated, total, beside, values.astype(np.float64), counts, along, alongs)


def conclude(parts: Sequence[Settled], outline: Outline, interval: tuple[float, float], k: float, tau: float) -> Answer:
    """Theta and the sets, in rational numbers: halves the open breakpoints until none is left.

    The residual is a sum of scores and of multiples of theta, k and tau, so each of its signs is exact.
    """
    rest = Fraction(k) - outline.forced
    if outline.strange or not 0 <= rest <= outline.finite:
        return Answer(_exact.blank_record(), None, tau, 0, (0.0, 0.0))
    if rest in (0, outline.finite):
        # All finite scores are 0, or all are 1: as in a row of one, or of none.
        one = np.array([[0.0 if outline.finite else -np.inf]])
        flat = threshold(one, np.array([1.0 if rest else 0.0]), np.ones(1)).records[0]
        return Answer(flat, None, tau, 0, (0.0, 0.0))
    order = np.argsort(np.concatenate([part.values for part in parts]), kind="stable")
    values, counts = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("values", "counts"))
    rows = _Open(values, counts, Fraction(tau))
    free, saturated = sum(part.free for part in parts), sum(part.saturated for part in parts)
    total = sum((part.total for part in parts), Fraction(0)) - Fraction(tau) * (Fraction(k) - saturated)
    zeros, full = rows.search(interval, free, total)
    count = free + rows.number(zeros, full)
    beside = Neighbours().widened(values[:zeros], values[zeros:full], values[full:])
    for part in parts:
        beside = beside.joined(part.beside)
    numerator = total + rows.sum(zeros, full) + Fraction(tau) * rows.number(full, values.size)
    theta = numerator / count if count else beside.middle(tau)
    along: Fraction | float = sum((part.along for part in parts), Fraction(0))
    for alongs in zip(*(part.alongs for part in parts), strict=True):
        along += _sum(np.concatenate(alongs)[order][zeros:full])
    return Answer(_exact.record(theta, tau, count, beside), theta, tau, count, _pair(along, count))


class _Open(NamedTuple):
    """Ascending scores that are not settled, and how often each occurs."""

    values: Array
    counts: Array
    tau: Fraction

    def number(self, first: int, last: int) -> int:
        """How many there are, of these values."""
        return int(self.counts[first:last].sum())

    def sum(self, first: int, last: int) -> Fraction:
        """What they add up to."""
        return _weighted_sum(self.values[first:last], self.counts[first:last])

    def places(self, theta: Fraction | float, *, below: bool) -> tuple[int, int]:
        """How many values are zero, and how many are not saturated, for a threshold just above or just `below` theta."""
        up = _plus(theta, self.tau)
        if below:
            ends = np.searchsorted(self.values, [_ceil(theta, np.float64), _ceil(up, np.float64)], "left")
        else:
            ends = np.searchsorted(self.values, [_floor(theta, np.float64), _floor(up, np.float64)], "right")
        return int(ends[0]), int(ends[1])

    def search(self, interval: tuple[float, float], free: int, total: Fraction) -> tuple[int, int]:
        """How many values are zero, and how many are not saturated, at theta.

        `free` and `total` are the number and the sum of settled free scores, less tau times what saturated ones leave of k.
        Only values whose place is open are added up again, and a step halves their number.
        """
        (zeros, full), (zeros_to, full_to) = self.places(interval[0], below=False), self.places(interval[1], below=True)
        supported, above = self.sum(zeros_to, self.values.size), self.sum(full_to, self.values.size)
        while zeros < zeros_to or full < full_to:
            if zeros_to - zeros >= full_to - full:
                theta = Fraction(float(self.values[(zeros + zeros_to) // 2]))
            else:
                theta = Fraction(float(self.values[(full + full_to) // 2])) - self.tau
            i, j = self.places(theta, below=True)
            i, j = max(i, zeros), max(j, full)
            more, more_above = self.sum(i, zeros_to), self.sum(j, full_to)
            count = free + self.number(i, j) if j >= i else free - self.number(j, i)
            between = (supported + more) - (above + more_above)
            residual = total + between + self.tau * self.number(j, self.values.size) - count * theta
            if residual > 0:
                zeros, full = self.places(theta, below=False)
            elif residual < 0:
                zeros_to, full_to, supported, above = i, j, supported + more, above + more_above
            else:
                # Scores on a breakpoint are 0, or 1.
                zeros, full = self.places(theta, below=False)[0], j
                break
        return zeros, full


def _floor(value: Fraction | float, kind: type[np.floating]) -> np.floating:
    """The largest float of this kind that is not above."""
    return -_ceil(-value, kind)


def _ceil(value: Fraction | float, kind: type[np.floating]) -> np.floating:
    """The smallest float of this kind that is not below."""
    if not isinstance(value, Fraction):
        if not math.isfinite(value):
            return kind(value)
        value = Fraction(value)
    near = _exact.nearest(value, kind)
    if near == np.inf or (near > -np.inf and Fraction(float(near)) >= value):
        return near
    with np.errstate(over="ignore"):  # inf is next to the largest
        return kind(np.nextafter(near, kind(np.inf)))


def _plus(theta: Fraction | float, tau: Fraction | float) -> Fraction | float:
    """Theta + tau, exactly; an infinite theta stays."""
    return Fraction(theta) + Fraction(tau) if isinstance(theta, Fraction) or math.isfinite(theta) else theta


def _pair(total: Fraction | float, count: int) -> tuple[float, float]:
    """The mean of `count` numbers with this sum, in two floats."""
    if not isinstance(total, Fraction):
        return float(total), 0.0  # infinite or NaN, as it is
    mean = total / max(count, 1)
    return float(mean), float(mean - Fraction(float(mean)))


def _sum(v: Array) -> Fraction | float:
    """The sum of an array, exactly; infinite or NaN if a number is."""
    total: Fraction | float = Fraction(0)
    for start in range(0, v.size, _BLOCK):
        block = v[start : start + _BLOCK].astype(np.float64)
        if not np.isfinite(block).all():
            with np.errstate(invalid="ignore"):
                total += float(block.sum())
        elif np.abs(block).max() >= _HUGE:
            total += sum(map(Fraction, block.tolist()))
        else:
            total += sum(Fraction(float(level.sum())) for level in _levels(block))
    return total


def _weighted_sum(values: Array, counts: Array) -> Fraction:
    """The sum of values, each so many times, exactly: one for each binary digit of the counts."""
    digits = int(counts.max(initial=0)).bit_length()
    return sum((2**digit * Fraction(_sum(values[(counts >> digit) % 2 == 1])) for digit in range(digits)), Fraction(0))


def _sums_of(v: Array, group: Array, number: int) -> Array:
    """(3, number): sums of v by group, in three floats."""
    v = v.astype(np.float64)
    sums = np.zeros((3, number))
    if np.isfinite(v).all() and np.abs(v).max(initial=0.0) < _HUGE:
        for i, level in zip(range(2), _levels(v), strict=False):
            sums[i] = np.bincount(group, level, number)
            v = v - level
    sums[2] = np.bincount(group, v, number)
    return sums


def _levels(v: Array) -> Iterator[Array]:
    """Arrays that add up to v, entry by entry, so that whatever entries of one are added up, no bit is lost.

    They are multiples of a power of two, and all of them together are less than 2^52 of it.
    """
    digits = v.size.bit_length()
    while v.any():
        exponent = int(np.frexp(np.abs(v).max())[1]) + digits
        grid = math.ldexp(1.5, max(exponent, -1022))
        level = (grid + v) - grid
        yield level
        v = v - level
