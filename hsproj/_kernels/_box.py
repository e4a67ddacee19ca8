"""Projection onto a box with a weighted sum: rows, bounds, weights and totals in; p, sets, theta and a status a row out.

p_i = clip(x_i - theta w_i, l_i, u_i) with sum_i w_i p_i = total. Sets and roundings are proved here, or the row is left open
for integers. docs/theory.md, section "Bounds, weights and a budget", says why the proof is one.
"""

import math

import numpy as np

from hsproj._kernels._arithmetic import divide, exceeds, two_product, two_sum
from hsproj._kernels._jit import jit, kernel
from hsproj._kernels._simd import fma
from hsproj._kernels._sweeps import _round

# Sets: an entry with lower == upper is in both of the last two. UNKNOWN is none of them.
FREE, LOWER, UPPER, _UNKNOWN = 0, 1, 2, 4
# What became of a row; SKIPPED goes in, for rows that are settled elsewhere.
DONE, OPEN, SKIPPED = 0, 1, 2
# Numbers of a size between these, and sums of their products, lose nothing to underflow or overflow in any step below.
_LEAST, _MOST = 2.0**-80, 2.0**80
# Float steps: every third halves the bracket's floats, so that more would not help. Pair steps: seldom more than two.
_STEPS, _PAIR_STEPS = 200, 12


@kernel()
def solve_rows(lower, upper, weights, at_most, rows, index, totals, out, sets, theta, smooth, slack, status):
    """Solve the rows that `status` does not skip; `index` says which bounds and weights are theirs, unless all share them."""
    narrow = out.itemsize == 4
    for r in range(len(rows)):
        if status[r] == SKIPPED:
            continue
        x = rows[r]
        l = lower[index[r] if len(lower) > 1 else 0]  # noqa: E741
        u = upper[index[r] if len(upper) > 1 else 0]
        w = weights[index[r] if len(weights) > 1 else 0]
        status[r] = OPEN
        theta[r] = 0.0
        sets[r, :] = _UNKNOWN
        if not _is_safe(x, l, u, w, totals[r]):
            guess = _approach(x, l, u, w, totals[r])
            theta[r] = guess if np.isfinite(guess) else 0.0
            continue
        decided, high, low, error, smooth[r], slack[r] = _search(x, l, u, w, totals[r], at_most, sets[r])
        theta[r] = high
        if decided and _project(x, l, u, w, sets[r], high, low, error, out[r]):
            nearest, doubt = _nearest(high, low, error, narrow)
            if not doubt:
                theta[r], status[r] = nearest, DONE


@kernel()
def ends(bounds, weights, out):
    """Fill `out` (m, 4) with (high, low, lost, size): sum w b = high + low give or take lost, and size = sum w |b|."""
    for r in range(len(out)):
        b = bounds[r if len(bounds) > 1 else 0]
        w = weights[r if len(weights) > 1 else 0]
        high, low, lost, size = 0.0, 0.0, 0.0, 0.0
        for i in range(b.size):
            value = np.float64(b[i])
            if np.isinf(value):
                high, low, lost = value, 0.0, 0.0
                break
            high, low, lost = _add(high, low, lost, w[i], value)
            size += w[i] * abs(value)
            if not (_fits(value) and _fits(w[i])):
                lost = np.inf
        if lost == 0.0 or lost < np.inf:
            high, low = (high, low) if np.isinf(high) else two_sum(high, low)
        out[r, 0], out[r, 1], out[r, 2], out[r, 3] = high, low, 2.0 * lost, size


@kernel()
def tangents(weights, v, index, sets, slack, out):
    """The Jacobian times v, (m, n): v - w (sum w v) / (sum w^2) over the free entries, v on them if the sum is slack."""
    for r in range(len(v)):
        w = weights[index[r] if len(weights) > 1 else 0]
        # Powers of two keep products from overflowing and change no bit that counts.
        most, heaviest = 0.0, 0.0
        for i in range(w.size):
            if sets[r, i] == FREE:
                most, heaviest = max(most, abs(np.float64(v[r, i]))), max(heaviest, w[i])
        v_scale, w_scale = _scale(most), _scale(heaviest)
        high, low, lost, squares, rest = 0.0, 0.0, 0.0, 0.0, 0.0
        if not slack[r]:
            for i in range(w.size):
                if sets[r, i] == FREE:
                    weight = w[i] * w_scale
                    high, low, lost = _add(high, low, lost, weight, v[r, i] * v_scale)
                    squares, rest, lost = _add(squares, rest, lost, weight, weight)
        mean = (high + low) / (squares + rest) if squares > 0.0 else 0.0
        for i in range(w.size):
            moved = v[r, i] * v_scale - w[i] * w_scale * mean if sets[r, i] == FREE else 0.0
            out[r, i] = moved / v_scale + 0.0


@jit()
def _scale(size):
    """A power of two that brings `size` near 1."""
    return math.ldexp(1.0, -min(max(math.frexp(size)[1], -1000), 1000)) if 0.0 < size < np.inf else 1.0


@jit()
def _fits(value):
    return value == 0.0 or _LEAST <= abs(value) <= _MOST


@jit()
def _is_safe(x, l, u, w, total):  # noqa: E741
    safe = _fits(total)
    for i in range(x.size):
        lower, upper = np.float64(l[i]), np.float64(u[i])
        safe &= (
            _fits(np.float64(x[i])) & _fits(w[i]) & (np.isinf(lower) | _fits(lower)) & (np.isinf(upper) | _fits(upper))
        )
    return safe


@jit()
def _add(high, low, lost, a, b):
    """The pair with a * b added; lost takes up what no longer fits."""
    product, rest = two_product(np.float64(a), np.float64(b))
    high, error = two_sum(high, product)
    low, first = two_sum(low, error)
    low, second = two_sum(low, rest)
    return high, low, lost + (abs(first) + abs(second))


@jit()
def _search(x, l, u, w, total, at_most, sets):  # noqa: E741
    """(decided, high, low, error, smooth, slack): theta = high + low give or take error, with `sets` proved if decided."""
    if at_most:
        above, _, lost, _, _, _, _, doubtful, kinks = _piece(x, l, u, w, total, 0.0, 0.0, 0.0, sets)
        if abs(above) <= 2.0 * lost or above == 0.0:
            return False, 0.0, 0.0, 0.0, False, False
        if above < 0.0:
            return not doubtful, 0.0, 0.0, 0.0, not kinks, True
    theta, rest, error = _approach(x, l, u, w, total), 0.0, 0.0
    is_root = False
    for _ in range(_PAIR_STEPS):
        a, a_rest, a_lost, b, b_rest, b_lost, changed, doubtful, kinks = _piece(
            x, l, u, w, total, theta, rest, error, sets
        )
        if is_root and not changed:
            # Theta is the root of the piece on which these sets hold, and they hold at theta.
            return not doubtful, theta, rest, error, not kinks, False
        if b == 0.0:
            first, first_rest, first_square, last, last_rest, last_square, inexact = _flat(x, l, u, w, sets)
            if a == 0.0 and a_lost == 0.0:
                decided, theta, rest, error = _middle(first, first_rest, last, last_rest, inexact)
                return decided, theta, rest, error, True, False
            # On to the next piece that is not flat: by how much the entry that leaves its bound first would have to move.
            if a > 0.0:
                theta, rest = two_sum(last, last_rest + a / last_square)
            else:
                theta, rest = two_sum(first, first_rest + a / first_square)
            if not np.isfinite(theta):
                break
            error, is_root = 0.0, False
            continue
        theta, rest, error = _quotient(a, a_rest, a_lost, b, b_rest, b_lost)
        is_root = True
    return False, theta, rest, error, False, False


@jit(fastmath={"reassoc", "contract"})
def _approach(x, l, u, w, total):  # noqa: E741
    """A theta near the root, in plain floats: Newton's method within a bracket."""
    left, right = np.inf, -np.inf
    linear, squares = -total, 0.0
    for i in range(x.size):
        left, right = min(left, (x[i] - u[i]) / w[i]), max(right, (x[i] - l[i]) / w[i])
        linear += w[i] * x[i]
        squares += w[i] * w[i]
    left, right = max(left, -(2.0**600)), min(right, 2.0**600)
    left, right = left - abs(left) * 2.0**-50, right + abs(right) * 2.0**-50
    theta = linear / squares  # with every entry free
    if not left < theta < right:
        theta = _between(left, right)
    for step in range(_STEPS):
        excess, slope = -total, 0.0
        for i in range(x.size):
            value = x[i] - theta * w[i]
            inside = (value > l[i]) & (value < u[i])
            excess += w[i] * min(max(value, np.float64(l[i])), np.float64(u[i]))
            slope += w[i] * w[i] if inside else 0.0
        if excess == 0.0:
            break
        left, right = (theta, right) if excess > 0.0 else (left, theta)
        following = theta + excess / slope if slope > 0.0 else left
        if abs(following - theta) <= abs(theta) * 2.0**-50 and slope > 0.0:
            return following
        if not left < following < right or step % 3 == 2:
            following = _between(left, right)
            if not left < following < right:
                break
        theta = following
    return theta


@jit()
def _between(left, right):
    """A float between two others that leaves about half of the floats between them on either side."""
    if left < 0.0 < right:
        return 0.0
    sign = -1.0 if left < 0.0 else 1.0
    near, far = max(min(abs(left), abs(right)), 2.0**-600), max(abs(left), abs(right))
    return sign * (math.sqrt(near) * math.sqrt(far) if far > 4.0 * near else near + (far - near) / 2.0)


@jit()
def _value(x, weight, theta, rest, error):
    """(s, r, lost) with x - weight (theta + rest) = s + r give or take lost; lost is 0 only if that is exact."""
    product, p_rest = two_product(weight, theta)
    s, s_rest = two_sum(np.float64(x), -product)
    r, first = two_sum(s_rest, -p_rest)
    fine, second = two_product(weight, rest)
    r, third = two_sum(r, -fine)
    s, r = two_sum(s, r)
    return s, r, 2.0 * (abs(first) + abs(second) + abs(third) + weight * error)


@jit()
def _compare(s, r, lost, bound):
    """(sign, doubtful) of s + r - bound, for a finite bound."""
    g, rest = two_sum(s, -bound)
    rest, error = two_sum(rest, r)
    g, rest = two_sum(g, rest)
    lost += abs(error)
    doubtful = lost > 0.0 and abs(g) <= 2.0 * lost
    return (1 if g > 0.0 else (-1 if g < 0.0 else 0)), doubtful


@jit()
def _piece(x, l, u, w, total, theta, rest, error, sets):  # noqa: E741
    """(a, a_rest, a_lost, b, b_rest, b_lost, changed, doubtful, kinks): the sets at theta, and the piece on which they hold.

    There sum w p - total = a - theta b, with b = 0 if no entry is free. Overwrites `sets` and says whether any `changed`.
    """
    a, a_rest, a_lost = -total, 0.0, 0.0
    b, b_rest, b_lost = 0.0, 0.0, 0.0
    changed, doubtful, kinks = False, False, False
    for i in range(x.size):
        lower, upper = np.float64(l[i]), np.float64(u[i])
        if lower == upper:
            found = LOWER | UPPER
        else:
            # Plain floats will do for all but the entries next to a bound.
            across = theta * w[i]
            rough = x[i] - across
            slop = 2.0**-49 * (abs(np.float64(x[i])) + abs(across)) + 4.0 * w[i] * (abs(rest) + error)
            if rough - lower < -slop:
                found = LOWER
            elif rough - upper > slop:
                found = UPPER
            elif rough - lower > slop and rough - upper < -slop:
                found = FREE
            else:
                s, r, lost = _value(x[i], w[i], theta, rest, error)
                over, doubt = _compare(s, r, lost, lower) if lower > -np.inf else (1, False)
                under, doubt_too = _compare(s, r, lost, upper) if upper < np.inf else (-1, False)
                doubtful |= doubt | doubt_too
                kinks |= (over == 0) | (under == 0)
                found = LOWER if over <= 0 else (UPPER if under >= 0 else FREE)
        if found == FREE:
            fixed = np.float64(x[i])
            b, b_rest, b_lost = _add(b, b_rest, b_lost, w[i], w[i])
        else:
            fixed = lower if found & LOWER else upper
        a, a_rest, a_lost = _add(a, a_rest, a_lost, w[i], fixed)
        changed |= sets[i] != found
        sets[i] = found
    a, a_rest = two_sum(a, a_rest)
    b, b_rest = two_sum(b, b_rest)
    return a, a_rest, a_lost, b, b_rest, b_lost, changed, doubtful, kinks


@jit()
def _quotient(a, a_rest, a_lost, b, b_rest, b_lost):
    """(q, r, error): (a + a_rest) / (b + b_rest) = q + r give or take error, which is 0 only if that is exact."""
    q = a / b
    product, p_rest = two_product(q, b)
    remainder, first = two_sum((a - product) - p_rest, a_rest)
    product, p_rest = two_product(q, b_rest)
    remainder, second = two_sum(remainder, -product)
    lost = abs(first) + abs(second) + abs(p_rest)
    r = remainder / b
    if abs(r) < 2.0**-700:  # below what error terms can hold
        lost += abs(remainder)
        r = 0.0
    else:
        lost += abs(fma(-r, b, remainder)) + abs(r * b_rest)
    lost += a_lost + abs(q) * b_lost
    q, r = two_sum(q, r)
    return q, r, 4.0 * lost / b


@jit()
def _flat(x, l, u, w, sets):  # noqa: E741
    """The thetas between which no entry is free, each a pair with w^2 of its entry; whether any quotient is inexact."""
    first, first_rest, first_square, last, last_rest, last_square = -np.inf, 0.0, 1.0, np.inf, 0.0, 1.0
    inexact = False
    for i in range(x.size):
        if sets[i] == LOWER | UPPER:
            continue
        high, low = two_sum(np.float64(x[i]), -np.float64(l[i] if sets[i] == LOWER else u[i]))
        q, r, lost = divide(high, low, w[i])
        inexact |= lost > 0.0
        if sets[i] == LOWER and exceeds(q, r, first, first_rest):
            first, first_rest, first_square = q, r, w[i] * w[i]
        if sets[i] == UPPER and exceeds(last, last_rest, q, r):
            last, last_rest, last_square = q, r, w[i] * w[i]
    return first, first_rest, first_square, last, last_rest, last_square, inexact


@jit()
def _middle(first, first_rest, last, last_rest, inexact):
    """(decided, high, low, error) of the middle of two pairs, if they are clearly in order."""
    if not (np.isfinite(first) and np.isfinite(last)):
        return False, 0.0, 0.0, 0.0
    size = abs(first) + abs(last)
    high, low = two_sum(0.5 * first, 0.5 * last)
    low, error = two_sum(low, 0.5 * first_rest)
    low, second = two_sum(low, 0.5 * last_rest)
    high, low = two_sum(high, low)
    # A quotient of pairs is off by less than 2^-100 of itself.
    error = 2.0 * (abs(error) + abs(second)) + (size * 2.0**-96 if inexact else 0.0)
    return last - first > size * 2.0**-40, high, low, error


@jit()
def _nearest(high, low, error, narrow):
    """(value, doubtful): the pair, rounded to float64, or to float32 if `narrow`."""
    value, doubtful = _round(high, low, error, narrow)
    return value + 0.0, doubtful or (narrow and abs(high) >= 2.0**126)


@jit()
def _project(x, l, u, w, sets, theta, rest, error, out):  # noqa: E741
    """Whether every entry could be rounded correctly; fills `out`."""
    narrow = out.itemsize == 4
    done = True
    for i in range(x.size):
        if sets[i] == FREE:
            s, r, lost = _value(x[i], w[i], theta, rest, error)
            value, doubtful = _nearest(s, r, lost, narrow)
            out[i] = value
            done &= not doubtful
        else:
            out[i] = (l[i] if sets[i] & LOWER else u[i]) + np.float64(0.0)
    return done
