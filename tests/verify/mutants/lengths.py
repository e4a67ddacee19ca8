"""Right at most lengths: only a check that asks for each of them is sure to find these."""

import numpy as np

from mutants._mutant import Array, nearest, row

EACH = "accurate_at_every_length"


@row(EACH)
def one_too_many_for_the_short_kernel(x: Array, k: float, tau: float) -> Array:
    """A kernel for up to 16 scores in registers, entered at n = 17: <= where < is meant."""
    return nearest(x, k, tau) if x.size != 17 else np.append(nearest(x[:16], min(k, 16), tau), x.dtype.type(0))


@row(EACH)
def no_tail_of_seven(x: Array, k: float, tau: float) -> Array:
    """Blocks of eight and a tail of up to six: the last case of a switch is missing. Found at n % 8 == 7 only."""
    if x.size % 8 != 7 or x.size < 8:
        return nearest(x, k, tau)
    whole = x.size // 8 * 8
    return np.concatenate([nearest(x[:whole], min(k, whole), tau), np.zeros(7, x.dtype)])


@row(EACH)
def one_past_a_page(x: Array, k: float, tau: float) -> Array:
    """A buffer of 128 entries, and a loop that stops when it is full: the 129th score is 0."""
    if x.size != 129:
        return nearest(x, k, tau)
    return nearest(np.append(x[:128], x.dtype.type(0)), k, tau)


@row(EACH)
def masks_of_32_bits(x: Array, k: float, tau: float) -> Array:
    """1 << n is 0 at n = 32 in 32 bits, so that no entry of such a row is free; in float32, whose masks these are."""
    p = nearest(x, k, tau)
    return np.round(p) if x.size == 32 and x.dtype == np.float32 else p
