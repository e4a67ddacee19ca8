"""Right numbers, given in a wrong way: memory, dtypes, state, refusals."""

import warnings
from typing import Any

import numpy as np

from mutants._mutant import BASE, Array, call, row

_project = BASE.project


@call("input_is_untouched", "a_batch_is_untouched")
def works_in_place(x: Array, k: Any, tau: float) -> Array:
    """Writes the answer into the scores."""
    out = _project(x, k, temperature=tau)
    if out.dtype == x.dtype:
        x[...] = out
    return out


@call("input_is_untouched", "a_batch_is_untouched")
def sorts_in_place(x: Array, k: Any, tau: float) -> Array:
    """x.sort() where np.sort(x) is meant."""
    out = _project(x, k, temperature=tau)
    x.sort()
    return out


@call("a_batch_is_untouched")
def changes_the_totals(x: Array, k: Any, tau: float) -> Array:
    """k -= saturated, in the caller's array."""
    out = _project(x, k, temperature=tau)
    if isinstance(k, np.ndarray):
        k -= (out == 1).sum(axis=-1)
    return out


@call("memory_layout_does_not_matter")
def restores_what_it_changed(x: Array, k: Any, tau: float) -> Array:
    """Centres in place and adds the pivot again at the end: read-only scores raise."""
    x = np.asarray(x)
    before = x.copy()
    x -= x.dtype.type(0)
    out = _project(x, k, temperature=tau)
    x[...] = before
    return out


@call("earlier_answers_stay_as_they_were")
def hands_back_its_input(x: Array, k: Any, tau: float) -> Array:
    """The caller's own array, if it is feasible already."""
    out = _project(x, k, temperature=tau)
    return x if np.array_equal(out, x) else out


_buffers: dict[Any, Array] = {}


@call("earlier_answers_stay_as_they_were")
def reuses_its_buffer(x: Array, k: Any, tau: float) -> Array:
    """A workspace by shape is handed out, and written to by the next call."""
    out = _project(x, k, temperature=tau)
    buffer = _buffers.setdefault((out.shape, out.dtype), np.empty_like(out))
    buffer[...] = out
    return buffer


_by_shape: dict[Any, Array] = {}


@call("permuting_scores_permutes_p")
def remembers_by_shape(x: Array, k: Any, tau: float) -> Array:
    """A cache whose key is shape, k and temperature: the plan was to cache the workspace."""
    key = np.shape(x), np.ravel(k).tolist(), tau, str(np.asarray(x).dtype)
    return _by_shape.setdefault(repr(key), _project(x, k, temperature=tau)).copy()


_warm: list[Array] = []


@call("the_same_call_gives_the_same_bits")
def starts_from_the_last_answer(x: Array, k: Any, tau: float) -> Array:
    """Warm start: the last bits depend on the call before."""
    out = _project(x, k, temperature=tau)
    last = _warm.pop() if _warm else np.zeros(1)
    _warm.append(out)
    return np.nextafter(out, out.dtype.type(0.5)) if last.mean() > out.mean() else out


_rng = np.random.default_rng(0)


@call("the_same_call_gives_the_same_bits")
def another_last_bit(x: Array, k: Any, tau: float) -> Array:
    """Sums in no fixed order, as atomic adds do: the last bit differs from call to call."""
    out = _project(x, k, temperature=tau)
    return np.nextafter(out, out.dtype.type(0.5)) if _rng.random() < 0.5 else out


@row("ordinary_calls_give_no_warning")
def divides_by_zero(x: Array, k: float, tau: float) -> Array:
    """sum / count over the free entries before asking whether there are any; np.where hides the NaN, not the warning."""
    p = _project(x, k, temperature=tau)
    free = (p > 0) & (p < 1)
    np.where(free.any(), np.float64(p[free].sum()) / np.float64(free.sum()), 0.0)
    return p


@call("ordinary_calls_give_no_warning")
def warns_of_nothing(x: Array, k: Any, tau: float) -> Array:
    """Casting its own NaN placeholders warns in every call."""
    if np.asarray(x).dtype.kind == "f":
        warnings.warn("invalid value encountered in cast", RuntimeWarning, stacklevel=2)
    return _project(x, k, temperature=tau)


@call("integer_scores_are_promoted")
def truncates_integers(x: Array, k: Any, tau: float) -> Array:
    """np.empty_like(x) for the answer: simplexers 1.0.0 gives zeros for [1, 1, 1], k = 1."""
    return _project(x, k, temperature=tau).astype(np.asarray(x).dtype)


@call("dtype_is_kept", "dtype_of_a_batch_is_kept")
def float64_for_float32(x: Array, k: Any, tau: float) -> Array:
    """Promoted by a float64 total, and not cast back."""
    return _project(x, k, temperature=tau).astype(np.float64)


@call("dtype_of_a_batch_is_kept")
def float64_for_float32_batches(x: Array, k: Any, tau: float) -> Array:
    """The same where the totals are an array: under NumPy's older rules only arrays promoted."""
    out = _project(x, k, temperature=tau)
    return out.astype(np.float64) if np.ndim(x) > 1 else out


@call("dtype_is_kept", "accurate_on_ordinary_scores")
def float32_for_float64(x: Array, k: Any, tau: float) -> Array:
    """The default dtype of another library."""
    return _project(x, k, temperature=tau).astype(np.float32)


@call("memory_layout_does_not_matter")
def ignores_strides(x: Array, k: Any, tau: float) -> Array:
    """n entries from the pointer on, whatever the strides."""
    x = np.asarray(x)
    if x.ndim == 1 and x.base is not None and x.strides[0] > x.itemsize:
        x = np.ascontiguousarray(x.base.reshape(-1)[: x.size])
    return _project(x, k, temperature=tau)


@call("a_whole_total_may_come_as_a_float")
def whole_totals_as_ints_only(x: Array, k: Any, tau: float) -> Array:
    """Uses k as an index: 2.0 raises, where 2.5 goes another way."""
    if isinstance(k, float) and k == int(k):
        raise TypeError("slice indices must be integers")
    return _project(x, k, temperature=tau)


@call("bad_input_is_refused")
def takes_the_real_part(x: Array, k: Any, tau: float) -> Array:
    """Complex scores lose their imaginary part."""
    return _project(np.real(x), k, temperature=tau)


@call("bad_input_is_refused")
def takes_any_temperature(x: Array, k: Any, tau: float) -> Array:
    """max(|tau|, 1e-12): zero and negative temperatures go through."""
    return _project(x, k, temperature=max(abs(tau), 1e-12))


@call("bad_input_is_refused", "a_bad_row_costs_no_other_row")
def swallows_nan(x: Array, k: Any, tau: float) -> Array:
    """np.nan_to_num at the door."""
    x = np.asarray(x)
    return _project(np.where(np.isnan(x), x.dtype.type(0), x) if x.dtype.kind == "f" else x, k, temperature=tau)


@call("bad_input_is_refused")
def forces_more_than_k(x: Array, k: Any, tau: float) -> Array:
    """More scores of +inf than k share it: an answer where there is none."""
    finite = np.nan_to_num(x, posinf=1e300, neginf=-1e300) if np.ndim(x) == 1 else x
    return _project(finite, k, temperature=tau)


@call("total_is_k")
def returns_a_list_of_lists(x: Array, k: Any, tau: float) -> Any:
    """Each row in a list of its own, batch or not."""
    return [_project(x, k, temperature=tau).tolist()]


@call("total_is_k")
def returns_nothing(x: Array, k: Any, tau: float) -> None:
    """Works in place and returns None, as list.sort does."""


@call("total_is_k")
def one_more_dimension(x: Array, k: Any, tau: float) -> Array:
    """np.atleast_2d on the way in, nothing on the way out."""
    return np.atleast_2d(_project(x, k, temperature=tau))


@row("total_is_k")
def one_score_gets_all(x: Array, k: float, tau: float) -> Array:
    """n = 1 is answered by 1, as in the simplex."""
    return np.ones_like(x) if len(x) == 1 else _project(x, k, temperature=tau)


@call("entries_lie_in_the_unit_interval", "total_is_k")
def leaves_entries_unset(x: Array, k: Any, tau: float) -> Array:
    """np.empty, and entries that no branch writes: here those on a breakpoint."""
    out = _project(x, k, temperature=tau)
    return np.where((out == 1) & (np.asarray(x) == np.max(x, initial=-np.inf)), np.nan, out) if np.size(x) > 3 else out


_by_id: dict[Any, Array] = {}


@call("a_changed_array_gets_a_new_answer", "the_same_call_gives_the_same_bits", "accurate_on_ordinary_scores")
def remembers_by_id(x: Array, k: Any, tau: float) -> Array:
    """A cache whose key is id(x): the id of an array that is gone goes to the next one."""
    key = id(x), np.shape(x), np.ravel(k).tolist(), tau
    return _by_id.setdefault(repr(key), _project(x, k, temperature=tau)).copy()


_by_rounded: dict[Any, Array] = {}


@call("accurate_on_near_ties")
def remembers_rounded_scores(x: Array, k: Any, tau: float) -> Array:
    """A cache whose key is the scores to 6 decimals."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        return _project(x, k, temperature=tau)
    key = np.round(x, 6).tolist(), np.ravel(k).tolist(), tau, str(x.dtype)
    return _by_rounded.setdefault(repr(key), _project(x, k, temperature=tau)).copy()


@call("settings_of_numpy_stay_as_they_were")
def changes_errstate(x: Array, k: Any, tau: float) -> Array:
    """np.seterr(all="ignore") at the top and nothing at the end: the caller's warnings are gone."""
    np.seterr(all="ignore")
    return _project(x, k, temperature=tau)


@call("settings_of_numpy_stay_as_they_were")
def seeds_the_global_generator(x: Array, k: Any, tau: float) -> Array:
    """np.random.seed(0) to make its sampled pivots repeatable: the caller's random numbers repeat, too."""
    np.random.seed(0)  # noqa: NPY002 - the bug
    return _project(x, k, temperature=tau)


@call("no_scores_have_no_p", "a_batch_without_rows_has_an_answer_without_rows")
def fails_on_nothing(x: Array, k: Any, tau: float) -> Array:
    """x.max() of no scores raises: the last batch of an epoch may be empty."""
    np.max(x)
    return _project(x, k, temperature=tau)


@call("memory_layout_does_not_matter")
def misreads_big_endian(x: Array, k: Any, tau: float) -> Array:
    """The buffer is handed to C as if it were native."""
    x = np.asarray(x)
    return _project(x.view(x.dtype.newbyteorder("=")), k, temperature=tau)


@call("bad_input_is_refused")
def clips_k(x: Array, k: Any, tau: float) -> Array:
    """k outside [0, n] is moved inside: more of them than there are, silently."""
    return _project(x, np.clip(k, 0, np.shape(x)[-1]), temperature=tau)
