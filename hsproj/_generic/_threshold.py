"""Sets and threshold of rows, in array-API calls and without a branch on values. docs/arrays.md, section "How".

In: scores (..., n), pairs k and temperature. Out: which scores are in the support and which are saturated, and theta as a
score (the pivot) and a pair.
"""

from typing import Any, NamedTuple

from hsproj._generic._arrays import places, within
from hsproj._generic._inputs import Rows
from hsproj._generic._pairs import Array, Pair, digits, two_product, two_sum


class Threshold(NamedTuple):
    """Sets (..., n), and values of a row with a last axis of 1.

    theta is the pivot and (head + tail), unscaled, where `count`, the number of free scores, is not 0. `y` are the scores
    less the pivot, scaled, and no further from theta than they need be. `lower_kink` and `upper_kink` say whether the next
    zero and the next saturated score are at their breakpoints.
    """

    free: Array
    saturated: Array
    count: Array
    y: Array
    pivot: Array
    theta: Pair
    lower_kink: Array
    upper_kink: Array
    answered: Array

    @property
    def is_differentiable(self) -> Array:
        """Of rows, with a last axis of 1."""
        return self.answered & ~self.lower_kink & ~self.upper_kink


def find_threshold(rows: Rows) -> Threshold:
    """The sets and theta of each row."""
    xp, n = rows.xp, rows.layout.n
    # A masked score more changes nothing, and there is one where n is 0.
    scores = xp.concat([rows.scores, xp.full_like(rows.k[0], -xp.inf)], axis=-1)
    ordered = xp.sort(scores, axis=-1, descending=True, stable=False)
    pivot, offset = _pivot(rows, scores, ordered)
    levels = _centred(rows, ordered, pivot, offset)
    sums = _Sums.of(rows, levels)
    counts = sums.search()
    inside, above = counts[..., :1], n + 1 - counts[..., 1:]

    count = xp.astype(within(xp, inside - above, 0, n), scores.dtype)
    head, tail = sums.threshold(inside, above, count)
    # At a vertex theta may be moved, unless scores on either side are exactly the temperature apart.
    zero, one = _entry(xp, levels, inside), _entry(xp, levels, above - 1)
    upper, rest = two_sum(zero, rows.temperature[0])
    touching = one - upper == rest + rows.temperature[1]
    kinks = xp.where(count == 0, touching, sums.excess(within(xp, counts + 1, 0, n + 1)) == 0)

    answered = _answered(rows)
    support_from, saturated_from = _entry(xp, ordered, inside - 1), _entry(xp, ordered, above - 1)
    saturated = answered & (above > 0) & (rows.scores >= saturated_from)
    support = answered & (inside > 0) & (rows.scores >= support_from)
    return Threshold(
        support & ~saturated,
        saturated,
        count,
        _centred(rows, rows.scores, pivot, offset),
        pivot,
        (head, tail),
        kinks[..., :1] & answered & xp.isfinite(_entry(xp, ordered, inside)),
        kinks[..., 1:] & answered & (above > 0) & xp.isfinite(saturated_from),
        answered,
    )


class _Sums(NamedTuple):
    """Sums without rounding of scores in descending order, for the support and, along a last axis of 2, for that of 1 - p.

    What is not saturated is the support of 1 - p, the answer to the negated scores and n - k: a `side` of 1 or -1, whose
    places are counted from its `end`. `y` are the numbers of both sides (..., 2, n). Those of the first are cut into `parts`
    (..., levels, n), and `before` (..., levels, n + 1) are the sums of all before each. `whole` is the whole part of k, and
    `share` the rest of k times tau, cut, and what that leaves.
    """

    xp: Any
    y: Array
    parts: Array
    before: Array
    tau: Pair
    tau_parts: Array
    whole: Array
    share: Pair
    side: Array
    end: Array

    @classmethod
    def of(cls, rows: Rows, y: Array) -> "_Sums":
        """The sums of rows in descending order."""
        xp, (k, k_tail), (tau, tau_tail), n = rows.xp, rows.k, rows.temperature, y.shape[-1]
        parts, _ = _cut(xp, y, n)
        y = xp.sum(parts, axis=-2)
        before = xp.concat([xp.zeros_like(parts[..., :1]), xp.cumulative_sum(parts, axis=-1)], axis=-1)
        tail_parts, _ = _cut(xp, tau_tail, n)
        whole = xp.floor(k)
        share, error = two_product(xp, k - whole, tau)
        share, rest = _cut(xp, share, n)
        rest = rest + (error + k_tail * tau + (k - whole) * tau_tail)
        zero = places(xp, xp.zeros_like(k))
        return cls(
            xp,
            xp.stack([y, -y], axis=-2),
            parts,
            before,
            (tau, xp.sum(tail_parts, axis=-2)),
            _cut(xp, tau, n)[0] + tail_parts,
            xp.concat([whole, n - whole], axis=-1),
            (xp.concat([share, -share], axis=-1), xp.concat([rest, -rest], axis=-1)),
            xp.concat([zero + 1, zero - 1], axis=-1),
            xp.concat([zero, zero + n], axis=-1),
        )

    def search(self) -> Array:
        """How many numbers are in the support, of either side: those where the excess is negative.

        It grows from number to number, so this is a binary search: one sum for each binary digit of n.
        """
        xp, n = self.xp, self.y.shape[-1]
        count = xp.zeros_like(self.end)
        for digit in reversed(range(n.bit_length())):
            trial = within(xp, count + 2**digit, 0, n)  # n once more does no harm
            count = xp.where(self.excess(trial) < 0, trial, count)
        return count

    def excess(self, place: Array) -> Array:
        """Sum of clip(y - t, 0, tau), less k tau, with t the number at this place of either side, counted from 1."""
        xp = self.xp
        index = self.end + self.side * place
        parts = xp.take_along_axis(self.parts, xp.where(self.side > 0, index - 1, index)[..., None, :], axis=-1)
        parts = parts * xp.astype(self.side, parts.dtype)[..., None, :]
        upper, rest = two_sum(xp.sum(parts, axis=-2), self.tau[0])
        # Where the difference is about as small as the rest, it is exact.
        saturated = self.y - upper[..., None] >= (rest + self.tau[1])[..., None]
        count = xp.sum(xp.astype(saturated, place.dtype), axis=-1, dtype=place.dtype)
        between = self._before(index) - self._before(self.end + self.side * count)
        return self._less(between, place - count, parts, count)

    def threshold(self, inside: Array, above: Array, count: Array) -> Pair:
        """Theta less the pivot, given how many numbers are in the support, saturated, and free."""
        xp, n = self.xp, self.parts.shape[-1]
        between = self._before(inside) - self._before(above)
        # From the lowest of the free numbers to what is theta but for a rounding, and once more from there.
        parts = xp.take_along_axis(self.parts, within(xp, inside - 1, 0, n - 1)[..., None, :], axis=-1)
        each = xp.clip(count, 1.0, None)
        for _ in range(2):
            step = xp.where(count > 0, self._less(between, inside - above, parts, above)[..., :1] / each, 0.0)
            head = xp.sum(parts, axis=-2)
            parts, _ = _cut(xp, head + step, n)
        return head, step

    def _before(self, place: Array) -> Array:
        """Sums of the numbers before a place, cut."""
        return self.xp.take_along_axis(self.before, place[..., None, :], axis=-1)

    def _less(self, total: Array, count: Array, t: Array, saturated: Array) -> Array:
        """`total` less `count` times t and less tau times what the saturated leave of k."""
        xp, (share, rest) = self.xp, self.share
        count, left = xp.astype(count, rest.dtype), self.whole - xp.astype(saturated, rest.dtype)
        levels = total - count[..., None, :] * t - left[..., None, :] * self.tau_parts - share
        head, tail = levels[..., 0, :], -rest
        for level in range(1, levels.shape[-2]):
            head, error = two_sum(head, levels[..., level, :])
            tail = tail + error
        return head + tail


def _cut(xp: Any, y: Array, n: int) -> Pair:
    """(..., m) numbers of at most 24 in size as (..., levels, m), n of a level adding up exactly, and what is left.

    With d binary digits of a float and n < 2^b, the first level holds multiples of 2^-(d - b - 5), of which n make less than
    2^d. What is left is half a multiple at most, so the next level has d - b more places, less one for differences. Left in
    the end is less than 2^-(d + 5).
    """
    d, b = digits(xp, y.dtype), n.bit_length()
    place, levels = d - b - 5, []
    while True:
        levels.append(xp.round(y * 2.0**place) * 2.0**-place)
        y = y - levels[-1]
        if place >= d + 4:
            return xp.stack(levels, axis=-2), y
        place += max(d - b - 1, 2)


def _entry(xp: Any, ordered: Array, index: Array) -> Array:
    """The number at an index of each row, or next to it where there is none."""
    return xp.take_along_axis(ordered, within(xp, index, 0, ordered.shape[-1] - 1), axis=-1)


def _pivot(rows: Rows, scores: Array, ordered: Array) -> Pair:
    """What to subtract, a score or 0, and an anchor less that, scaled: theta is in [anchor - tau, anchor].

    The anchor is the ceil(k)-th largest score: if theta were higher, too few were positive; lower by tau, too many saturated.
    Scores within 2 tau of it are told apart by differences without rounding: they are within a factor 2 of it, or it is
    less than 4 tau, and nothing is subtracted.
    """
    xp, (k, k_tail) = rows.xp, rows.k
    finite = xp.isfinite(scores)
    highest = xp.max(xp.where(finite, scores, -xp.inf), axis=-1, keepdims=True)
    place = xp.ceil(k) + xp.astype((xp.ceil(k) == k) & (k_tail > 0), k.dtype)
    place = xp.clip(xp.where(rows.valid, place, 1.0), 1.0, None)
    anchor = _entry(xp, ordered, places(xp, place - 1))
    anchor = xp.where(xp.isfinite(anchor), anchor, xp.where(xp.isfinite(highest), highest, 0.0))
    scaled = rows.scaled(anchor)
    near = xp.abs(scaled) <= 4 * rows.temperature[0]
    return xp.where(near, 0.0, anchor), xp.where(near, scaled, 0.0)


def _centred(rows: Rows, scores: Array, pivot: Array, offset: Array) -> Array:
    """Scores less the pivot, scaled; those that are certainly 0 or 1 no further from theta than they need be."""
    xp, reach = rows.xp, 2 * rows.temperature[0]
    y = rows.scaled(scores - pivot)
    return xp.minimum(xp.maximum(y, offset - reach), offset + reach)


def _answered(rows: Rows) -> Array:
    """Rows that have an answer: no NaN, at most k scores of +inf and at least k that are not -inf."""
    xp, (k, k_tail), scores = rows.xp, rows.k, rows.scores
    high, low = (xp.sum(xp.astype(scores == end, k.dtype), axis=-1, keepdims=True) for end in (xp.inf, -xp.inf))
    known = ~xp.any(xp.isnan(scores), axis=-1, keepdims=True)
    return rows.valid & known & (high - k <= k_tail) & (k - (rows.layout.n - low) <= -k_tail)
