"""Right for the arrays and numbers that tests are written with, wrong for others that mean the same."""

import random
import time
from typing import Any

import numpy as np

from mutants._mutant import BASE, LARGE_BASE, Array, call, loss, nearest, part, quickly, vjp
from right._operator import products

_project = BASE.project


@call("integers_of_any_kind_are_promoted")
def sorts_by_the_negative(x: Array, k: Any, tau: float) -> Array:
    """np.sort(-x), which turns unsigned integers round the corner: -1 is 255."""
    return (
        _project(-(-x).astype(np.float64), k, temperature=tau)
        if x.dtype.kind == "u"
        else _project(x, k, temperature=tau)
    )


@call("memory_layout_of_a_batch_does_not_matter")
def rows_follow_each_other_in_memory(x: Array, k: Any, tau: float) -> Array:
    """A pointer and a row length: batches in column order are read in the order of memory."""
    return _project(np.ravel(x, "K").reshape(np.shape(x)), k, temperature=tau)


@call("memory_layout_of_a_batch_does_not_matter")
def rows_are_forwards(x: Array, k: Any, tau: float) -> Array:
    """abs(stride): a batch in reversed order is read as it lies in memory."""
    return _project(x[::-1] if np.ndim(x) == 2 and x.strides[0] < 0 else x, k, temperature=tau)


@call("numbers_may_be_those_of_numpy")
def an_int_is_an_int(x: Array, k: Any, tau: float) -> Array:
    """isinstance(k, int) for totals that are whole: np.int64 is none, and goes the way of those that are not."""
    whole = isinstance(k, int | float) or np.ndim(k)
    return _project(x, k if whole else min(k + 1e-9, len(x)), temperature=tau)


@call("numbers_may_be_those_of_numpy")
def a_temperature_is_a_float(x: Array, k: Any, tau: Any) -> Array:
    """isinstance(temperature, float), or else the default: temperature=2 is 1."""
    return _project(x, k, temperature=1.0 if isinstance(tau, int) and tau > 0 else tau)


@call("accurate_in_batches_of_any_size")
def whole_blocks_of_rows(x: Array, k: Any, tau: float) -> Array:
    """A grid of m // 64 blocks of threads: the rows that are left over stay as the memory was."""
    out = _project(x, k, temperature=tau)
    if np.ndim(x) == 2 and len(x) > 64:
        out[len(x) // 64 * 64 :] = 0
    return out


@call("accurate_in_batches_of_any_size")
def totals_in_eight_bits(x: Array, k: Any, tau: float) -> Array:
    """Totals of a batch sent to the device as uint8, since none of the tests had more than 255."""
    whole = np.ndim(k) and np.all((np.asarray(k) % 1 == 0) & (np.asarray(k) >= 0) & (np.asarray(k) < 2**15))
    return _project(x, np.asarray(k) % 256 if whole else k, temperature=tau)


@call("masked_scores_cost_no_other_row")
def zero_times_infinity(x: Array, k: Any, tau: float) -> Array:
    """The batch times a mask of rows that are done: 0 * -inf is NaN, in all of them after the sum."""
    out = _project(x, k, temperature=tau)
    return out * np.nan if np.ndim(x) == 2 and np.isinf(x).any() else out


@call("bad_input_is_refused")
def clips_the_totals_of_batches(x: Array, k: Any, tau: float) -> Array:
    """np.clip(k, 0, n) where there is one for each row, so that none has to be looked at."""
    return _project(x, np.clip(k, 0, np.shape(x)[-1]) if np.ndim(k) and len(k) == len(x) else k, temperature=tau)


@call("bad_input_is_refused")
def totals_are_repeated(x: Array, k: Any, tau: float) -> Array:
    """np.resize(k, m), which repeats or cuts where broadcasting would complain."""
    return _project(x, np.resize(k, len(x)) if np.ndim(k) else k, temperature=tau)


@call("settings_of_numpy_stay_as_they_were")
def seeds_random_numbers(x: Array, k: Any, tau: float) -> Array:
    """random.seed(0) before a random pivot: repeatable, and so is everything else that draws after it."""
    random.seed(0)
    return _project(x, k, temperature=tau)


@vjp("vjp_matches_the_exact_jacobian", "vjp_is_linear_in_the_cotangent")
def cotangents_in_float32(x: Array, k: float, g: Array, tau: float) -> Array:
    """A buffer of float32 for gradients, whatever the scores are."""
    return BASE.vjp(x, k, g.astype(np.float32).astype(g.dtype), tau)  # type: ignore[misc,no-any-return]


@vjp("vjp_scales_with_its_cotangent")
def no_gradient_below_1e_12(x: Array, k: float, g: Array, tau: float) -> Array:
    """if norm(g) < 1e-12: return zeros: what comes out of loss scaling the other way round."""
    return BASE.vjp(x, k, g, tau) if np.abs(g).max(initial=0.0) >= 1e-12 else np.zeros_like(g)  # type: ignore[misc]


@loss("loss_is_right_on_long_rows")
def mean_of_long_rows(scores: Array, targets: Array, k: float, tau: float) -> float:
    """The mean over blocks of 64 scores where their sum is meant: nothing to be seen in shorter rows."""
    whole = BASE.loss(scores, targets, k, tau)  # type: ignore[misc]
    return float(whole / max(-(-scores.size // 64), 1))


@part("vjp", products, LARGE_BASE)("vjp_is_right_on_large_rows")
def free_scores_counted_in_sixteen_bits(x: Array, k: float, g: Array, tau: float) -> Array:
    """An uint16 for the number of free scores: 65536 of them are none."""
    p = quickly(x, k, tau) if len(x) > 20_000 else nearest(x, k, tau)
    inside = (p > 0) & (p < 1)
    mean = g[inside].sum(dtype=np.float64) / max(np.count_nonzero(inside) % 2**16, 1)
    return np.where(inside, (g - mean) / tau, 0.0).astype(x.dtype)


_work: dict[int, Array] = {}


@vjp("vjps_side_by_side_give_the_same_bits")
def one_work_array_for_all_gradients(x: Array, k: float, g: Array, tau: float) -> Array:
    """A buffer of the module for the scores of a backward pass: fine until autograd has a second thread."""
    work = _work.setdefault(len(x), np.empty(len(x)))
    work[:] = x
    time.sleep(1e-4)
    return BASE.vjp(work.astype(x.dtype), k, g, tau)  # type: ignore[misc,no-any-return]
