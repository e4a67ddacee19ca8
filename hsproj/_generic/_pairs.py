"""Arithmetic that rounds nothing away, in array-API calls: floats in, *pairs* (a float and what its rounding left) out.

Compilers may fuse a product with a sum, and XLA folds (x + c) - c for constants c. Nothing here depends on either: numbers
are cut by `round`, and products that a sum must see rounded go through `maximum`, which nothing fuses with.
"""

from typing import Any

Array = Any
Pair = tuple[Array, Array]


def two_sum(a: Array, b: Array) -> Pair:
    """A + b: the float, and its rounding error."""
    total = a + b
    b_seen = total - a
    return total, (a - (total - b_seen)) + (b - b_seen)


def two_product(xp: Any, a: Array, b: Array) -> Pair:
    """A b for a, b >= 0: the float, and its rounding error (Dekker's)."""
    product = _rounded(xp, a * b)
    (a_head, a_tail), (b_head, b_tail) = _halves(xp, a), _halves(xp, b)
    error = ((a_head * b_head - product) + a_head * b_tail + a_tail * b_head) + a_tail * b_tail
    return product, error


def sum_pairs(xp: Any, head: Array, tail: Array) -> Pair:
    """Sum along the last axis of the pairs (head, tail), each step the exact sum of two heads."""
    if head.shape[-1] == 0:
        return xp.sum(head, axis=-1), xp.sum(tail, axis=-1)
    while (n := head.shape[-1]) > 1:
        half = n // 2
        total, error = two_sum(head[..., :half], head[..., half : 2 * half])
        rest = tail[..., :half] + tail[..., half : 2 * half] + error
        odd = slice(2 * half, n)
        head = xp.concat([total, head[..., odd]], axis=-1) if n % 2 else total
        tail = xp.concat([rest, tail[..., odd]], axis=-1) if n % 2 else rest
    return head[..., 0], tail[..., 0]


def mean(xp: Any, values: Array, count: Array) -> Array:
    """Sum along the last axis, kept, over `count`, within an ulp of the largest value; no finite sum overflows."""
    n = max(values.shape[-1], 1)
    down = 2.0 ** -n.bit_length()
    head, tail = sum_pairs(xp, values * down, xp.zeros_like(values))
    return (head + tail)[..., None] / (count * down)


def _rounded(xp: Any, product: Array) -> Array:
    return xp.maximum(product, xp.zeros_like(product))


def _halves(xp: Any, a: Array) -> Pair:
    bits = -(-digits(xp, a.dtype) // 2)
    spread = _rounded(xp, a * (2.0**bits + 1.0))
    head = spread - (spread - a)
    return head, a - head


def digits(xp: Any, dtype: Any) -> int:
    """Binary digits of a float of this dtype: 24 or 53."""
    return 24 if xp.finfo(dtype).bits == 32 else 53
