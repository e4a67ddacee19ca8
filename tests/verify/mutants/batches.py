"""Right for one row, wrong for several."""

from typing import Any

import numpy as np

from mutants._mutant import BASE, Array, call, part

_project = BASE.project


@call("rows_are_independent")
def along_the_wrong_axis(x: Array, k: Any, tau: float) -> Array:
    """Sorts along the first axis: the loss of arXiv 2602.23336 projects across the batch, other code does not mean to."""
    if np.ndim(x) != 2:
        return _project(x, k, temperature=tau)
    m, n = np.shape(x)
    totals = np.resize(np.clip(np.ravel(k), 0, m), n)
    return _project(np.transpose(x), totals, temperature=tau).T.copy()


@call("rows_are_independent")
def as_one_long_row(x: Array, k: Any, tau: float) -> Array:
    """Flattens the batch: its total is right, its rows are not."""
    if np.ndim(x) < 2:
        return _project(x, k, temperature=tau)
    total = np.sum(np.broadcast_to(k, np.shape(x)[:-1]))
    return _project(np.ravel(x), total, temperature=tau).reshape(np.shape(x))


@call("rows_are_independent")
def the_first_k_for_all(x: Array, k: Any, tau: float) -> Array:
    """k[0] for every row: torch.topk takes one k."""
    return _project(x, np.full(np.shape(x)[:-1], np.ravel(k)[0]) if np.ndim(x) > 1 else k, temperature=tau)


@call("one_total_serves_all_rows")
def one_total_for_the_batch(x: Array, k: Any, tau: float) -> Array:
    """One k is the total of all rows together, as np.sum(p) == k would have it."""
    return _project(x, k / len(x) if np.ndim(x) == 2 and not np.ndim(k) else k, temperature=tau)


@call("rows_are_independent")
def the_mean_k_for_all(x: Array, k: Any, tau: float) -> Array:
    """One expected number of positives for all classes."""
    return _project(x, np.full(np.shape(x)[:-1], np.mean(k)) if np.ndim(x) > 1 else k, temperature=tau)


@call("rows_are_independent")
def one_bracket_for_all(x: Array, k: Any, tau: float) -> Array:
    """The pivot of the first row for all rows, in float32: rows far from it lose digits."""
    if np.ndim(x) < 2 or np.asarray(x).dtype != np.float64 or not np.isfinite(x).all():
        return _project(x, k, temperature=tau)
    pivot = np.max(x[0], initial=0.0)
    return _project((x - pivot).astype(np.float32).astype(np.float64), k, temperature=tau)


@call("rows_are_independent")
def rows_in_the_order_of_their_totals(x: Array, k: Any, tau: float) -> Array:
    """Rows are grouped by k, to be solved together, and come back in that order."""
    out = _project(x, k, temperature=tau)
    return out[np.argsort(k, kind="stable")] if np.ndim(x) == 2 and np.ndim(k) == 1 else out


@call("a_bad_row_costs_no_other_row")
def nan_spreads(x: Array, k: Any, tau: float) -> Array:
    """A sum over the whole batch: NaN in one row is NaN in all."""
    out = _project(x, k, temperature=tau)
    return np.full_like(out, np.nan) if np.isnan(out).any() else out


@call("a_bad_row_costs_no_other_row")
def nan_rows_are_zero(x: Array, k: Any, tau: float) -> Array:
    """NaN > theta is false, so a row with NaN comes back as numbers, and nobody is told."""
    out = _project(x, k, temperature=tau)
    return np.nan_to_num(out) if np.ndim(x) > 1 else out


def _each(tau: Any, m: int) -> Array:
    return np.broadcast_to(np.asarray(tau, dtype=float), (m,))


@call("a_row_may_have_its_own_temperature")
def temperatures_along_the_scores(x: Array, k: Any, tau: Any) -> Array:
    """x / tau without tau[:, None]: NumPy broadcasts it along the scores, and says nothing where m = n."""
    if not np.ndim(tau):
        return _project(x, k, temperature=tau)
    return _project(x / np.resize(tau, np.shape(x)[-1]), k)


@call("a_row_may_have_its_own_temperature")
def the_first_temperature_for_all(x: Array, k: Any, tau: Any) -> Array:
    """float(tau[0]): the kernel takes one."""
    return _project(x, k, temperature=float(np.ravel(tau)[0]))


@call("a_row_may_have_its_own_temperature")
def temperatures_in_the_order_of_the_totals(x: Array, k: Any, tau: Any) -> Array:
    """Rows are sorted by k, to be solved together, and their temperatures are not."""
    if not np.ndim(tau):
        return _project(x, k, temperature=tau)
    order = np.argsort(k, kind="stable")
    return _project(x[order], k[order], temperature=tau)[np.argsort(order)]


@part("project")("axis_says_which_way_rows_run")
def axis_ignored(x: Array, k: Any, temperature: Any = 1.0, axis: int = -1) -> Array:
    """axis= is in the signature, for likeness with softmax, and nowhere else."""
    return _project(x, np.resize(k, np.shape(x)[:-1]), temperature=temperature)


@part("project")("axis_says_which_way_rows_run")
def axis_counted_from_the_front(x: Array, k: Any, temperature: Any = 1.0, axis: int = -1) -> Array:
    """if axis == 0: transpose. -2 is taken for the last one."""
    if axis != -2:
        return _project(x, k, temperature=temperature, axis=axis)
    return _project(x, np.resize(k, np.shape(x)[:-1]), temperature=temperature)


@part("project")("axis_says_which_way_rows_run")
def sorts_along_one_axis_and_sums_along_another(x: Array, k: Any, temperature: Any = 1.0, axis: int = -1) -> Array:
    """axis= reaches the sort, and the total is met along the last axis: each row gets the mean of what is missing."""
    p = _project(x, k, temperature=temperature, axis=axis)
    if axis in (-1, np.ndim(x) - 1) or not p.size:
        return p
    return p + (p.mean(axis=-1, keepdims=True) - p.mean())


@part("project")("axis_says_which_way_rows_run")
def not_moved_back(x: Array, k: Any, temperature: Any = 1.0, axis: int = -1) -> Array:
    """np.moveaxis on the way in, and reshape on the way out, which has the shape, and another order."""
    moved = np.moveaxis(np.asarray(x), axis, -1)
    return _project(moved, k, temperature=temperature).reshape(np.shape(x))
