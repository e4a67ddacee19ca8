"""The operator: what users call, from arrays to arrays.

p = argmin over {p in [0,1]^n, sum p = k} of ||p - x/tau||^2 / 2, that is p_i = clip((x_i - theta) / tau, 0, 1).
docs/theory.md derives it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hsproj import _exact
from hsproj._batch import project_batch, quick_kernels
from hsproj._dispatch import for_any_array
from hsproj._errors import refuse
from hsproj._inputs import Array, NanPolicy, Problem, demand_out, read_problem, where_false
from hsproj._threads import for_chunks
from hsproj._threshold import Threshold, hear, is_ordinary, threshold


@for_any_array
def project(
    x: ArrayLike, k: ArrayLike, /, *, axis: int = -1, nan_policy: NanPolicy = "propagate", out: Array | None = None
) -> Array:
    """Euclidean projection onto the hypersimplex {p in [0,1]^n : sum p = k}.

    Parameters
    ----------
    x : array_like, shape (..., n, ...), real
        Scores. Integers and booleans are promoted to float64; float16 is computed wider and cast back. ``-inf`` masks an
        entry (p = 0), ``+inf`` forces it (p = 1).
    k : float or array_like, broadcastable to the shape of `x` without `axis`
        Total of each row, 0 <= k <= n; need not be an integer.
    axis : int
        The axis along which each row lies.
    nan_policy : {"propagate", "raise"}
        What becomes of a row that holds NaN, or whose infinities leave no answer (more than k of ``+inf``, or fewer than
        k scores that are not ``-inf``): NaN throughout, or ValueError naming the first such row.
    out : ndarray, shape and floating dtype of `x`, optional
        Where to put the answer. It need not be contiguous, and may be `x` or overlap with it, though that takes memory for
        another answer.

    Returns
    -------
    ndarray, shape and floating dtype of `x`
        The projection of each row; `out`, if it is given. Other rows of the batch are untouched by a bad one.

    Raises
    ------
    TypeError
        If `x` or `k` do not hold real numbers, `axis` is no integer, or `out` is no array of the dtype of the answer.
    ValueError
        If k is outside [0, n] or NaN, shapes do not broadcast, `x` has no such axis, or `out` is read-only or has another
        shape.

    See Also
    --------
    soft_binary_argmax : the same with a temperature.
    solve : the same with threshold, masks, margin and derivatives.

    Notes
    -----
    O(n) expected time and O(n) memory a row. For float64 and float32 each entry is the float nearest to the exact answer,
    ties to even, whatever the offset and scale of the scores; float16 rounds the float32 answer once more. So p is ordered
    as x, equal scores get equal p, and no entry is -0.0. docs/numerics.md proves it.

    References
    ----------
    .. [1] Gomez, Wang, Tang, "Differentiable Zero-One Loss via Hypersimplex Projections", PAKDD 2026, arXiv 2602.23336.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.project([3.0, 1.0, 1.0, 0.0], 2)
    array([1. , 0.5, 0.5, 0. ])
    >>> hsproj.project([[0.2, 0.5, 0.1], [9.0, 9.0, 9.0]], [1, 1.5])
    array([[0.26666667, 0.56666667, 0.16666667],
           [0.5       , 0.5       , 0.5       ]])
    """
    return soft_binary_argmax(x, k, axis=axis, nan_policy=nan_policy, out=out)


@for_any_array
def soft_binary_argmax(
    x: ArrayLike,
    k: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
    out: Array | None = None,
) -> Array:
    """Soft-Binary-Argmax@k: the projection of x / temperature onto the hypersimplex.

    Parameters
    ----------
    x, k, axis, nan_policy, out
        See `project`.
    temperature : float or array_like, broadcastable to the shape of `x` without `axis`
        Positive and finite, in the units of `x`. Towards 0 the answer tends to `binary_argmax`, except that scores tied at
        the k-th place go on sharing.

    Returns
    -------
    ndarray, shape and floating dtype of `x`

    Raises
    ------
    TypeError, ValueError
        As `project`, and if a temperature is not positive and finite.

    Notes
    -----
    x / temperature is never formed, so a small temperature overflows nothing. The promises of `project` hold.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.soft_binary_argmax([3.0, 1.0, 1.0, 0.0], 2, temperature=4.0)
    array([0.9375, 0.4375, 0.4375, 0.1875])
    >>> hsproj.soft_binary_argmax([3.0, 1.0, 1.0, 0.0], 1, temperature=0.5)
    array([1., 0., 0., 0.])
    """
    problem = read_problem(x, k, temperature, axis, nan_policy)
    demand_out(out, problem.layout)
    return problem.layout.restore(answer_rows(problem, out=out).p, out)


# What hsproj_verify holds them to beyond its tolerance.
for _function in (project, soft_binary_argmax):
    _function.__dict__["hsproj_verify_claims"] = ("rounded",)


@for_any_array
def binary_argmax(x: ArrayLike, k: ArrayLike, /, *, axis: int = -1, nan_policy: NanPolicy = "propagate") -> Array:
    """The hard limit: exactly k ones, at the k largest scores of each row, ties to the lowest index.

    Parameters
    ----------
    x, axis, nan_policy
        See `project`. A row with fewer than k scores that are not ``-inf`` has no answer.
    k : int or array_like of integers, broadcastable to the shape of `x` without `axis`
        Number of ones in each row, 0 <= k <= n. Floats that are integers are welcome.

    Returns
    -------
    ndarray of zeros and ones, shape and floating dtype of `x`

    Raises
    ------
    TypeError, ValueError
        As `project`, and if a k is not an integer.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.binary_argmax([1.0, 7.0, 7.0, 7.0], 2)
    array([0., 1., 1., 0.])
    """
    from hsproj._kernels import _sweeps

    problem = read_problem(x, k, 1.0, axis, nan_policy, whole=True)
    rows, totals = problem.rows, problem.k.astype(np.int64)
    out = np.empty_like(rows)
    _sweeps.top_rows(rows, totals, kth_largest(rows, totals), out)
    check_chosen(np.logical_and.reduce(np.isfinite(out), axis=-1), problem)
    return problem.layout.restore(out)


def kth_largest(rows: Array, k: Array) -> Array:
    """The k[r]-th largest score of each row; inf for k = 0, NaN where the row holds NaN."""
    n = rows.shape[-1]
    if not rows.size:
        return np.full(k.size, np.inf)
    # NaN sorts last. NumPy's selection is O(n) in the worst case, too.
    ordered = np.partition(rows, np.unique(np.append(n - k[k > 0], n - 1)), axis=-1)
    kth = np.take_along_axis(ordered, np.minimum(n - k, n - 1)[:, None], axis=-1)[:, 0]
    return np.where(np.isnan(ordered[:, -1]), np.nan, np.where(k > 0, kth, np.inf))


def _check_answers(answered: Array, problem: Problem, rule: str) -> None:
    """Under nan_policy="raise", refuse the first row without an answer."""
    if problem.nan_policy == "raise" and not answered.all():
        row, index = where_false(answered, problem.layout)
        scores = problem.rows[row]
        up, masked = int(np.sum(scores == np.inf)), int(np.sum(scores == -np.inf))
        came = f"{int(np.sum(np.isnan(scores)))} NaN, {up} +inf and {masked} -inf with k={problem.k[row]:g}"
        where = f"{problem.layout}, row {index}" if problem.layout.batch else str(problem.layout)
        raise refuse(ValueError, problem.layout.name, rule, came, where)


class Answer(NamedTuple):
    """What kernels give for canonical rows: projections (m, n), and the lowest scores of support and saturated set (m, 2)."""

    p: Array
    bounds: Array
    status: Array
    """0 where there is an answer."""

    @property
    def answered(self) -> Array:
        """(m,) truth values."""
        return np.equal(self.status, 0)

    def masks(self, rows: Array) -> tuple[Array, Array]:
        """(free, saturated), (m, n) each."""
        from hsproj._kernels import _sweeps

        free, saturated = np.empty((2, *rows.shape), np.bool_)
        for_chunks(_sweeps.mask_rows, rows, self.bounds, free, saturated)
        return free, saturated


def answer_rows(problem: Problem, *, p: bool = True, bounds: bool = False, out: Array | None = None) -> Answer:
    """Projections, in `out` if it has room for them, bounds of the sets, or both.

    Refuses rows without an answer if the problem's nan_policy says so.
    """
    rows, k, temperature = problem.rows, problem.k, problem.temperature
    m = len(rows)
    projections = problem.layout.room(out, rows) if p else np.empty((m, 0), rows.dtype)
    edges, status = np.empty((m, 2 if bounds else 0)), np.empty(m, np.int8)
    answer = Answer(projections, edges, status)
    if project_batch(rows, k, temperature, projections, edges, status):
        quick, left = quick_kernels(), np.flatnonzero(status)
        few = problem._replace(rows=rows[left], k=k[left], temperature=temperature[left])
        guess = np.empty((left.size, 2))
        quick.project_rows(few.rows, few.k, few.temperature, np.empty((left.size, 0), rows.dtype), guess, status[left])
        theta = threshold(few.rows, few.k, few.temperature, guess)
        hear(
            is_ordinary(few.rows, few.k, few.temperature, theta) & (status[left] == quick.UNPROVED),
            "quick",
            few.rows,
        )
        status[left[theta.answered]] = quick.DONE
        if p:
            answer.p[left] = project_certified(few, theta)
        if bounds:
            answer.bounds[left] = theta.bounds
        check_answered(answer.answered, problem)
    return answer


def check_chosen(answered: Array, problem: Problem) -> None:
    """Under nan_policy="raise", refuse the first row from which no k scores can be chosen."""
    _check_answers(answered, problem, "hold no NaN and at least k scores that are not -inf in each row")


def check_answered(answered: Array, problem: Problem) -> None:
    """Under nan_policy="raise", refuse the first row without an answer to a projection."""
    rule = "hold no NaN, at most k scores of +inf and at least k that are not -inf in each row"
    _check_answers(answered, problem, rule)


def project_certified(problem: Problem, theta: Threshold) -> Array:
    """The projection of canonical rows, given their certified thresholds."""
    from hsproj._kernels import _sweeps

    out = np.empty_like(problem.rows)
    doubtful = np.empty(len(out), np.bool_)
    _sweeps.project_rows(problem.rows, problem.temperature, theta.records, out, doubtful)
    _settle(problem, theta, out, doubtful, _exact.project_row)
    return out


def threshold_rows(problem: Problem, theta: Threshold) -> Array:
    """The thresholds of canonical rows, as floats of the rows' dtype."""
    from hsproj._kernels import _sweeps

    out = np.empty(len(problem.rows), problem.rows.dtype)
    doubtful = np.empty(len(out), np.bool_)
    _sweeps.threshold_rows(theta.records, out.itemsize == 4, out, doubtful)
    _settle(problem, theta, out, doubtful, _exact.threshold_row)
    return out


def _settle(problem: Problem, theta: Threshold, out: Array, doubtful: Array, exactly: Callable[..., Any]) -> None:
    """Replace what floats could not round by what rationals say."""
    for r in np.flatnonzero(doubtful):
        sets = theta.support_from[r], theta.saturated_from[r]
        out[r] = exactly(problem.rows[r], problem.k[r], problem.temperature[r], *sets)
