"""Checks of calls: batches, dtypes, memory, warnings, repetition, bad input."""

from __future__ import annotations

import math
import random
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Any

import numpy as np

from hsproj_verify.case import (
    MODERATE,
    Case,
    CheckFailure,
    Raised,
    Unclaimed,
    Witness,
    as_array,
    as_it_came,
    failed,
    fractions,
    in_shape,
)
from hsproj_verify.checks._draw import Batch, cotangent, draw_batch, of_dtype, summed
from hsproj_verify.checks._registry import check
from hsproj_verify.probing import PlainCall, plain_calls
from hsproj_verify.problems import Problem, array_source, error_in_eps, number_source


@check("calling")
def first_calls_get_right_answers(case: Case) -> None:
    """The first calls of a process, plain ones, get right answers, as later ones do.

    Made for: Tables and buffers that the first call fills after it has read them; compiled code whose first answer is that
    of the example it was compiled for.
    """
    from hypothesis import strategies as st

    target = case.target
    calls = [*target.first_calls] or [*plain_calls(target)]
    lines = ["import numpy as np", target.origin]
    for kind, problems in case.draw(st.just([(call.kind, [*call.problems]) for call in calls])):
        call = PlainCall(kind, tuple(replace(problem, constraint=target.constraint) for problem in problems))
        came = target.first_calls[call] if call in target.first_calls else call.ask(target)
        if isinstance(came, BaseException) and call.lacks(target):
            continue  # found out
        lines.append(call.source(target))
        truth = [entry for row in call.truth for entry in row]
        if isinstance(came, BaseException):
            raise failed(f"it raised {type(came).__name__}: {came}", lines, str(came), truth)
        try:
            p = in_shape(came, call.shape, "project" if call.kind in ("row", "rows", "own-k") else call.kind)
        except Raised as raised:
            raise failed(str(raised), lines, came, truth) from raised
        error = error_in_eps(p.ravel(), truth, call.problems[0].eps)
        if not error <= case.tolerance:
            which = f"call {len(lines) - 2} of a process"
            raise failed(f"{which}: off by {error:.3g} eps (1 + p)", lines, p.ravel(), truth)


@check("calling", "batch")
def rows_are_independent(case: Case) -> None:
    """Each row of a batch, with its own k, gets the answer it gets alone.

    Made for: Sorting along the wrong axis; the first k taken for all rows. In arXiv 2602.23336 the loss projects
    across the batch.
    """
    batch = draw_batch(case)
    alone = [case.project(problem) for problem in batch.problems]
    came = batch.project(batch.x.copy(), batch.k.copy())
    for r, problem in enumerate(batch.problems):
        if not error_in_eps(came[r], fractions(alone[r]), problem.eps) <= 2 * case.tolerance:
            raise batch.failure(f"row {r} is not what it is alone", came[r], r, f"[{r}]")


@check("calling", "batch", "errors")
def a_bad_row_costs_no_other_row(case: Case) -> None:
    """A NaN row in a batch is refused, or comes back as NaN and leaves the other rows as they were.

    Made for: A maximum over the whole batch, which one NaN turns into NaN; np.nan_to_num.
    """
    batch = draw_batch(case)
    alone = [case.project(problem) for problem in batch.problems]
    batch.x[1, 0] = np.nan
    temperature = batch.problems[0].temperature
    try:
        came = as_array(case.call(case.target, batch.x.copy(), batch.k.copy(), temperature))
    except Raised:
        return
    if came.shape != batch.x.shape or not np.isnan(came[1]).all():
        raise batch.failure("the row with NaN came back with numbers in it", came)
    for r, problem in enumerate(batch.problems):
        if r != 1 and not error_in_eps(came[r], fractions(alone[r]), problem.eps) <= 2 * case.tolerance:
            raise batch.failure(f"row {r} suffered from the NaN in row 1", came[r], r, f"[{r}]")


@check("calling", "batch", "infinities")
def masked_scores_cost_no_other_row(case: Case) -> None:
    """A row with -inf in a batch gets the answer of its other scores, and the other rows theirs.

    Made for: Sums and products over the whole batch: 0 times infinity is NaN, and the maximum of a batch is that of one row.
    """
    batch = draw_batch(case)
    row = 1
    problem = batch.problems[row]
    scores = np.append(problem.x[:-1], -np.inf)
    batch.problems[row] = problem.with_scores(scores, k=min(problem.k, problem.n - 1.0))
    if batch.problems[row].k != problem.k and "own-k" not in case.target.claims:
        return case.reject()
    case.demand_claimed(batch.problems[row])
    batch.x[row], batch.k[row] = scores, batch.problems[row].total
    came = batch.project(batch.x.copy(), batch.k.copy())
    for r, other in enumerate(batch.problems):
        if not error_in_eps(came[r], other.solution.p, other.eps) <= case.allowed(other):
            raise batch.failure(f"row {r} is wrong where a score of row {row} is masked", came[r], r, f"[{r}]")


@check("calling", "batch")
def a_batch_is_untouched(case: Case) -> None:
    """The caller's arrays of scores and totals hold the same bits afterwards.

    Made for: Sorting in place, or k -= forced, on the caller's arrays.
    """
    batch = draw_batch(case)
    x, k = batch.x.copy(), batch.k.copy()
    batch.project(x, k)
    if x.tobytes() != batch.x.tobytes():
        raise batch.failure("the scores of a batch were changed", x, then=["x"])
    if k.tobytes() != batch.k.tobytes():
        raise batch.failure("the totals of a batch were changed", k, then=["k"])


@check("calling", "batch", "float32", "dtype")
def dtype_of_a_batch_is_kept(case: Case) -> None:
    """float32 rows give float32 rows, also where the totals are float64 or integers.

    Made for: float64 totals that promote float32 scores.
    """
    batch = draw_batch(case, "float32")
    came = batch.project(batch.x.copy(), batch.k.copy())
    if came.dtype != batch.x.dtype:
        failure = batch.failure(f"a batch of float32 came back as {came.dtype}", came, of=".dtype")
        raise of_dtype(failure, came.dtype, batch.x.dtype)


@check("calling")
def input_is_untouched(case: Case) -> None:
    """The caller's array holds the same bits afterwards.

    Made for: x -= x.max() to avoid overflow, on the caller's array.
    """
    problem = case.problem("ordinary", "tied", "float32")
    x = problem.x
    case.project(problem, x)
    if x.tobytes() != problem.x.tobytes():
        raise case.failure(problem, f"the input was changed to {array_source(x)}", x, last=["x"])


@check("calling", "dtype")
def dtype_is_kept(case: Case) -> None:
    """float64 in, float64 out; float32 in, float32 out, where that is claimed.

    Made for: np.float64 constants that promote float32 scores; compiled code for one dtype only.
    """
    problem = case.problem("ordinary", "float32")
    came = case.answer(problem, problem.x)
    case.numbers(came, problem, problem.n)
    dtype = as_array(came).dtype
    if dtype != problem.x.dtype:
        failure = case.failure(
            problem, f"{problem.dtype} came back as {dtype} (if that is meant: --without dtype)", as_array(came)
        )
        raise of_dtype(failure, dtype, problem.x.dtype)


@check("calling", "real-k")
def a_whole_total_may_come_as_a_float(case: Case) -> None:
    """K = 2.0 is k = 2.

    Made for: An index computed from k: range(k) and x[k] want an int.
    """
    problem = case.problem(*MODERATE)
    k = float(math.floor(problem.k))
    whole = problem.with_scores(problem.scores, k=k)
    expected = case.project(whole)
    *lines, call = case.lines(whole, others=[whole])
    lines.append(call.replace(f"(x, {whole.total!r}", f"(x, {k!r}"))
    try:
        came = as_array(case.call(case.target, whole.x, k, whole.temperature))
    except Raised as raised:
        raise failed(f"k = {k!r} raised {raised}", lines, str(raised), whole.solution.p) from raised
    same = came.shape == expected.shape and error_in_eps(came, fractions(expected), whole.eps) <= case.tolerance
    if not same:
        raise failed(f"k = {k!r} is not k = {whole.total}", lines, came, whole.solution.p)


@check("calling")
def ordinary_calls_give_no_warning(case: Case) -> None:
    """A right call gives no RuntimeWarning: no division by zero at a vertex, no NaN that is masked afterwards.

    Made for: Division by the number of free entries, which is 0 on a vertex.
    """
    problem = case.problem("tied", "saturated-and-tied", "near-kink", "extreme-k", "huge-offset")
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error", RuntimeWarning)
        case.project(problem)


@check("calling", "layouts", weight=0.5)
def memory_layout_does_not_matter(case: Case) -> None:
    """Strided, reversed, read-only, unaligned and big-endian arrays give what a plain array gives.

    Big-endian ones may be refused instead, unless they are claimed.

    Made for: C and CUDA extensions that read the buffer as if it were contiguous and native.
    """
    problem = case.problem("ordinary", "tied")
    plain = case.project(problem)
    for kind, then in _LAYOUTS.items():
        scope: dict[str, Any] = {"np": np, "x": problem.x}
        exec(then, scope)  # a text of this module, so that a witness shows what was done
        try:
            came = case.call(case.target, scope["x"], problem.total, problem.temperature)
        except Raised as raised:
            if kind == "big-endian" and "big-endian" not in case.target.claims:
                continue  # an exception is a fair answer to foreign bytes
            raise case.failure(problem, f"as a {kind} array it raised {raised}", str(raised), then=then) from raised
        case.close(case.numbers(came, problem, problem.n, then=then), problem, f"as a {kind} array", plain, then=then)


_LAYOUTS = {
    "strided": "x = np.repeat(x, 2)[::2]",
    "reversed": "x = x[::-1].copy()[::-1]",
    "read-only": "x.setflags(write=False)",
    "unaligned": "x = np.frombuffer(b'?' + x.tobytes(), x.dtype, offset=1)",
    "big-endian": "x = x.astype(x.dtype.newbyteorder('>'))",
}
_LAYOUTS_OF_BATCHES = {
    "transposed": "x = np.asfortranarray(x)",
    "strided": "x = np.repeat(x, 2, axis=0)[::2]",
    "reversed": "x = x[::-1].copy()[::-1]",
    "cut": "x = np.pad(x, 1)[1:-1, 1:-1]",
    "read-only": "x.setflags(write=False)",
}


@check("calling", "batch", "layouts", weight=0.5)
def memory_layout_of_a_batch_does_not_matter(case: Case) -> None:
    """Batches in column order, of every other row, in reversed order, cut out of a larger array, or read-only: all the same.

    Made for: x.ravel() or a pointer and a row length where rows are not next to each other; a batch that comes transposed
    is the usual case with the loss of arXiv 2602.23336, which projects across the batch.
    """
    batch = draw_batch(case)
    for kind, then in _LAYOUTS_OF_BATCHES.items():
        scope: dict[str, Any] = {"np": np, "x": batch.x.copy()}
        exec(then, scope)  # as above
        came = batch.project(scope["x"], batch.k.copy(), then)
        for r, problem in enumerate(batch.problems):
            if not error_in_eps(came[r], problem.solution.p, problem.eps) <= case.allowed(problem):
                raise batch.failure(f"row {r} of a {kind} batch is wrong", came[r], r, f"[{r}]", before=then)


@check("calling", "numbers")
def numbers_may_be_those_of_numpy(case: Case) -> None:
    """Totals and temperatures as np.int64 and np.float64, and whole temperatures as int, are what they are as numbers.

    Made for: isinstance(k, int), which np.int64 is not, and isinstance(temperature, float), which 2 is not: totals that are
    counted by NumPy, as y.sum(), are no ints.
    """
    from hypothesis import strategies as st

    claims = {*case.target.claims}
    problem = case.problem(*MODERATE)
    forms: list[tuple[Any, Any]] = []
    if "temperature" in claims:
        tau = case.draw(st.sampled_from([2.0, 3.0]))
        problem = problem.with_scores(problem.scores, temperature=tau)
        forms += [(problem.total, np.float64(tau)), (problem.total, int(tau))]
    if "any-k" in claims:
        kinds: list[Any] = [
            *([np.int64] if isinstance(problem.total, int) else []),
            *([np.float64] if "real-k" in claims else []),
        ]
        forms += [(kind(problem.total), problem.temperature) for kind in kinds]
    if not forms:
        raise Unclaimed("it takes neither totals nor temperatures")
    for total, temperature in forms:
        shown = f"k = {total!r} and temperature = {temperature!r}"
        *lines, _ = case.lines(problem)
        lines.append(case.target.call_source("project", "x", repr(total), temperature=repr(temperature)))
        try:
            came = case.array((problem.n,), case.target, problem.x, total, temperature)
        except Raised as raised:
            raise failed(f"with {shown} {raised}", lines, str(raised), problem.solution.p) from raised
        if not error_in_eps(came, problem.solution.p, problem.eps) <= case.allowed(problem):
            raise failed(f"not the projection, with {shown}", lines, came, problem.solution.p)


SIZES = ((1, 5), (2, 1), (65, 3), (129, 2), (257, 2), (1025, 2))
_LONG_SIZES = ((3, 300), (33, 65))


@check("calling", "batch", weight=1 / 40, costly=True)
def accurate_in_batches_of_any_size(case: Case) -> None:
    """Batches of one row, and of more rows than a block has, get right answers in all rows.

    Made for: Blocks of 32 or 256 rows whose remainder is left out; x.squeeze(), which makes a row of a batch of one; totals
    in eight bits.
    """
    from hypothesis import strategies as st

    rng = np.random.default_rng(case.draw(st.integers(0, 2**32)))
    claims, fixed = {*case.target.claims}, case.target.fixed_k
    dtype = "float64" if "float64" in claims else "float32"
    for m, n in (*SIZES, *(_LONG_SIZES if "long" in claims else ())):
        if n < (fixed or 0):
            continue
        scores = (rng.integers(-24, 25, (m, n)) / 16).astype(dtype)
        totals = rng.integers(1, n, m) if n > 1 else np.ones(m, np.int64)
        totals[-1] = max(n - 1, 1)
        if fixed is not None or "own-k" not in claims:
            totals[:] = totals[0] if fixed is None else fixed
        if n == 1 and "edge-k" not in claims:
            continue
        problems = [
            case.posed(Problem(tuple(x.tolist()), float(k), dtype=dtype, family="batches"))
            for x, k in zip(scores, totals, strict=True)
        ]
        batch = Batch(case, problems, scores, np.array([p.total for p in problems]))
        came = batch.project(scores.copy(), batch.k.copy())
        for r, problem in enumerate(problems):
            if not error_in_eps(came[r], problem.solution.p, problem.eps) <= case.allowed(problem) * summed(problem):
                raise batch.failure(f"row {r} of {m} is wrong", came[r], r, f"[{r}]")


@check("calling")
def the_same_call_gives_the_same_bits(case: Case) -> None:
    """Repeating a call, at once and with another one in between, changes nothing.

    Made for: Parallel sums in no fixed order; random pivots that decide the last bit.
    """
    problem, other = case.problem(*MODERATE), case.problem("ordinary")
    first, second = case.project(problem), case.project(problem)
    case.project(other)
    third = case.project(problem)
    for again in (second, third):
        if not np.array_equal(first, again, equal_nan=True):
            raise case.failure(
                problem, f"the first call gave {array_source(as_it_came(first))}", again, others=[problem, other]
            )


@check("calling")
def earlier_answers_stay_as_they_were(case: Case) -> None:
    """An answer belongs to the caller: a later call does not write into it, nor is it the caller's own input.

    Made for: A work array handed out as the answer; the input handed back where it is feasible already.
    """
    problem = case.problem(*MODERATE)
    other = problem.with_scores(problem.x[::-1])
    x = problem.x
    came = case.answer(problem, x)
    before = case.numbers(came, problem, problem.n)
    case.project(other)
    after = case.numbers(came, problem, problem.n)
    if not np.array_equal(before, after, equal_nan=True):
        *lines, call = case.lines(problem)
        lines += [f"p = {call}", case.call_source(other, array_source(other.x)), "p"]
        raise failed("a later call changed an earlier answer", lines, after, fractions(before))
    if np.shares_memory(as_array(came), x):
        raise case.failure(problem, "the answer is a view of the input: changing one changes the other", before)


@check("calling", "errors", weight=0.25)
def bad_input_is_refused(case: Case) -> None:
    """Bad k (outside [0, n], NaN, too many), scores that are no real numbers, temperatures <= 0: an exception, or NaN.

    Made for: k outside [0, n], NaN and complex scores are silently accepted by many, and something comes back.
    """
    problem = case.problem("ordinary", temperature=False)
    n, x = problem.n, problem.x
    bad: dict[str, tuple[Any, Any, float]] = {
        "a NaN score": (np.append(x, np.nan), 1, 1.0),
        "complex scores": (x + 1j, 1, 1.0),
        "strings": (x.astype(str), 1, 1.0),
    }
    claims = {*case.target.claims}
    if "any-k" in claims:
        bad |= {"k = -1": (x, -1, 1.0), "k = nan": (x, math.nan, 1.0)}
        if "infinities" in claims:
            bad["more forced scores than k"] = (np.array([np.inf, np.inf, 0.0], x.dtype), 1, 1.0)
    if {"any-k", "equality"} <= claims:
        bad |= {"k = n + 1": (x, n + 1, 1.0), "k = inf": (x, math.inf, 1.0)}
        if "real-k" in claims:
            bad["k = n + 1/4"] = (x, n + 0.25, 1.0)
        if {"batch", "own-k"} <= claims:
            bad |= {
                "k = n + 1 in one row of a batch": (np.stack([x, x]), np.array([0.0, n + 1.0]), 1.0),
                "three totals for two rows": (np.stack([x, x]), np.ones(3), 1.0),
            }
        if "infinities" in claims:
            bad["more unmasked scores asked for than there are"] = (np.array([-np.inf, 0.0], x.dtype), 2, 1.0)
    if "temperature" in claims:
        bad |= {"temperature = 0": (x, 1, 0.0), "temperature = -1": (x, 1, -1.0), "temperature = nan": (x, 1, math.nan)}
    for what, (scores, k, temperature) in bad.items():
        shown = _accepted(case, scores, k, temperature)
        if not shown:
            continue
        k_source = array_source(k) if isinstance(k, np.ndarray) else number_source(k)
        call = case.target.call_source("project", "x", k_source, temperature=number_source(temperature))
        code = ["import numpy as np", case.target.origin, f"x = {array_source(scores)}", call]
        witness = Witness("\n".join(line for line in code if line), shown, "none: an exception, or NaN")
        raise CheckFailure(f"accepted: {what}", witness)


def _accepted(case: Case, scores: Any, k: Any, temperature: float) -> str:
    """What came, as text; "" if it was an exception, or NaN, in one of the rows at least."""
    came: Any = None
    try:
        came = case.call(case.target, scores, k, temperature)
        return "" if np.isnan(as_array(came)).all(axis=-1).any() else array_source(as_array(came))
    except Raised as raised:
        return "" if "of dtype complex" not in str(raised) or np.isnan(came).all() else repr(came)


@check("calling", "batch", "one-k")
def one_total_serves_all_rows(case: Case) -> None:
    """A batch with one k, a number, gets what the same batch gets with that k for each row.

    Made for: One k that is taken for the total of all rows together, or of the first one; np.atleast_1d(k)[0].
    """
    batch = draw_batch(case)
    first = batch.problems[0]
    for r, problem in enumerate(batch.problems):
        batch.problems[r] = problem.with_scores(problem.scores, k=first.k)
    batch = replace(batch, k=np.asarray(first.total))
    came = _batch_answer(case, batch, first.total)
    for r, problem in enumerate(batch.problems):
        if not error_in_eps(came[r], problem.solution.p, problem.eps) <= case.tolerance:
            raise batch.failure(f"row {r} is not the projection with k = {first.total}", came[r], r, f"[{r}]")


def _batch_answer(case: Case, batch: Batch, k: Any, temperature: Any = None, **options: Any) -> np.ndarray:
    """The target's answer to the batch called with this k, which may be a number."""
    temperature = batch.problems[0].temperature if temperature is None else temperature
    return batch.answer(partial(case.target, **options), batch.x.copy(), k, temperature)


@check("calling", "batch", "own-k", "temperature", "own-temperature")
def a_row_may_have_its_own_temperature(case: Case) -> None:
    """With an array of temperatures, one a row, each row gets the answer it gets alone with its own.

    Made for: Temperatures that broadcast along the scores of a row, which raises no error where m = n. In arXiv 2602.23336
    each class has its own temperature.
    """
    from hypothesis import strategies as st

    batch = draw_batch(case)
    for r, problem in enumerate(batch.problems):
        tau = case.draw(st.sampled_from([1.0, 0.5, 2.0, 0.1]))
        batch.problems[r] = problem.with_scores(problem.scores, temperature=tau)
    temperatures = np.array([problem.temperature for problem in batch.problems])
    came = _batch_answer(case, batch, batch.k.copy(), temperatures)
    for r, problem in enumerate(batch.problems):
        if not error_in_eps(came[r], problem.solution.p, problem.eps) <= case.tolerance:
            raise case.failure(problem, f"row {r} of a batch with the temperatures {temperatures.tolist()}", came[r])


@check("calling", "batch", "axis")
def axis_says_which_way_rows_run(case: Case) -> None:
    """axis=0 of the transposed batch, axis=-1, axis=1 and axis=-2 give what the rows give.

    Made for: Sorting along one axis and summing along another, which a square batch does not show.
    """
    from hypothesis import strategies as st

    batch = draw_batch(case)
    axis = case.draw(st.sampled_from([0, -2, 1, -1]))
    across = axis in (0, -2)
    x = batch.x.T.copy() if across else batch.x.copy()
    temperature = batch.problems[0].temperature
    call = case.target.call_source("project", "x", "k", temperature=repr(temperature), ndim=2, axis=str(axis))
    k = array_source(batch.k) if "own-k" in case.target.claims else repr(batch.k[0].item())
    lines = ["import numpy as np", case.target.origin, f"x = {array_source(x)}", f"k = {k}", call]
    truth = batch.problems[0].solution.p
    try:
        came = case.array(x.shape, partial(case.target, axis=axis), x, batch.k.copy(), temperature)
    except Raised as raised:
        raise failed(f"with axis={axis} {raised}", lines, str(raised), truth) from raised
    for r, (problem, row) in enumerate(zip(batch.problems, came.T if across else came, strict=True)):
        if not error_in_eps(row, problem.solution.p, problem.eps) <= case.tolerance:
            raise failed(f"row {r} is not the projection along axis {axis}", lines, row, problem.solution.p)


@check("calling")
def answers_do_not_depend_on_earlier_calls(case: Case) -> None:
    """After a call with other scores of the same shape, k and temperature, each problem gets its own answer, bit for bit.

    Made for: Answers cached by shape, and searches that start from the threshold of the call before.
    """
    problem = case.problem(*MODERATE, min_size=2)
    other = problem.with_scores(problem.x[::-1] / 4 + 0.25)
    case.project(problem)
    after_itself = case.project(other)
    case.project(other.with_scores(other.x + 1024.0))
    after_another = case.project(other)
    case.close(after_another, other, "after a call of the same shape", others=[problem])
    if not np.array_equal(after_itself, after_another):
        raise case.failure(
            other,
            f"another call before it gave {array_source(as_it_came(after_itself))}",
            after_another,
            others=[problem],
        )


@check("calling")
def a_changed_array_gets_a_new_answer(case: Case) -> None:
    """The same array with other numbers in it is another problem.

    Made for: Answers cached by the identity or the address of the array.
    """
    problem = case.problem("ordinary", "tied", min_size=2)
    other = problem.with_scores(problem.x / 4 + np.arange(problem.n) / 2)
    x = problem.x
    case.project(problem, x)
    x[...] = other.x
    case.close(case.project(other, x), other, "an array that has changed since the last call", others=[problem])


@check("calling", "threads", weight=0.5)
def calls_side_by_side_give_the_same_bits(case: Case) -> None:
    """Calls from four threads at once, all of the same four problems, each give the bits that the call gives alone.

    Made for: Work arrays shared by all calls, in C extensions that release the lock and in compiled code with one buffer;
    caches whose entries are there before they are filled.
    """
    problems = _alike(case.problem(*MODERATE, "free", min_size=4))
    arguments = [(problem.x, problem.total, problem.temperature) for problem in problems]
    alone = [case.project(problem) for problem in problems]
    for i, answers in enumerate(_side_by_side(case, case.target, arguments)):
        if isinstance(answers, Raised):
            reason = f"beside calls from other threads it raised {answers}"
            raise case.failure(problems[i], reason, str(answers)) from answers
        for j, answer in answers:
            problem, p = problems[j], case.numbers(answer, problems[j], problems[j].n)
            if not np.array_equal(p, alone[j], equal_nan=True):
                others = [other for other in problems if other is not problem]
                raise case.failure(problem, f"alone it gave {array_source(as_it_came(alone[j]))}", p, others=others)


@check("calling", "threads", "vjp", weight=0.5)
def vjps_side_by_side_give_the_same_bits(case: Case) -> None:
    """Vjps from four threads at once, all of the same four problems, each give the bits that the vjp gives alone.

    Made for: Masks and work arrays of the thread that projected: autograd engines run backward passes in threads of
    their own.
    """
    problems = _alike(case.problem("free", min_size=4, temperature=case.target.pulls_back_temperatures))
    g = [cotangent(case, problem.n, problem.dtype) for problem in problems]
    arguments = [
        (problem.x, problem.total, cotangent, problem.temperature)
        for problem, cotangent in zip(problems, g, strict=True)
    ]
    alone = [case.pull_back(problem, cotangent) for problem, cotangent in zip(problems, g, strict=True)]
    for i, answers in enumerate(_side_by_side(case, case.target.pull_back, arguments)):
        if isinstance(answers, Raised):
            reason = f"beside calls from other threads its vjp raised {answers}"
            raise case.failure(problems[i], reason, str(answers), cotangent=g[i]) from answers
        for j, answer in answers:
            came = case.numbers(answer, problems[j], problems[j].n, doing="vjp", cotangent=g[j])
            if not np.array_equal(came, alone[j], equal_nan=True):
                reason = f"alone it gave {array_source(as_it_came(alone[j]))}"
                raise case.failure(problems[j], reason, came, fractions(alone[j]), cotangent=g[j])


def _alike(first: Problem) -> list[Problem]:
    """Four problems that one work array fits."""
    other = first.with_scores(first.x / 4 + np.arange(first.n) / 2)
    return [first, other, first.with_scores(first.x[::-1]), first.with_scores(other.x[::-1])]


def _side_by_side(
    case: Case, function: Any, arguments: Sequence[tuple[Any, ...]]
) -> list[list[tuple[int, Any]] | Raised]:
    """What each of as many threads got that call the function with all of the arguments, a few times, each in its order."""
    together = Barrier(len(arguments), timeout=60)

    def repeat(first: int) -> list[tuple[int, Any]]:
        turns = [(first + turn) % len(arguments) for turn in range(12)]
        own = [[v.copy() if isinstance(v, np.ndarray) else v for v in given] for given in arguments]
        together.wait()
        return [(i, case.call(function, *own[i])) for i in turns]

    def outcome(thread: Future[list[tuple[int, Any]]]) -> list[tuple[int, Any]] | Raised:
        try:
            return thread.result()
        except Raised as raised:
            return raised

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that calls in Python interleave, too
    try:
        with ThreadPoolExecutor(len(arguments)) as pool:
            return [*map(outcome, [pool.submit(repeat, i) for i in range(len(arguments))])]
    finally:
        sys.setswitchinterval(interval)


@check("calling", weight=0.25)
def settings_of_numpy_stay_as_they_were(case: Case) -> None:
    """A call leaves NumPy's error handling and print options, and filters of warnings, as they were, and reseeds nothing.

    It may draw random numbers.

    Made for: np.seterr(all="ignore") or warnings.simplefilter("ignore") at the top of a module's function; np.random.seed(0)
    or random.seed(0) for repeatable pivots.
    """
    from hypothesis import strategies as st

    problem, seed = case.problem(*MODERATE), case.draw(st.integers(1, 2**32 - 1))

    def settings() -> dict[str, Any]:
        return {
            "np.geterr()": np.geterr(),
            "np.get_printoptions()": np.get_printoptions(),
            "warnings.filters": [*warnings.filters],
        }

    def generators() -> dict[str, Any]:
        numbers: Any = np.random.get_state()  # noqa: NPY002 - what is watched
        return {"np.random.get_state()": numbers[1].tolist(), "random.getstate()": random.getstate()}

    def watched(x: np.ndarray, k: Any, temperature: float) -> list[str]:
        own = np.random.get_state(), random.getstate()  # noqa: NPY002
        changed, left = [], []
        try:
            for start in (seed, seed - 1):
                np.random.seed(start)  # noqa: NPY002
                random.seed(start)
                with np.errstate(all="warn"), warnings.catch_warnings(record=True):
                    warnings.simplefilter("always")
                    before = settings()
                    case.target(x, k, temperature)
                    changed = [name for name, value in settings().items() if value != before[name]]
                left.append(generators())
        finally:
            np.random.set_state(own[0])  # noqa: NPY002
            random.setstate(own[1])
        # The same numbers to come, wherever they began: it has seeded them.
        return changed + [name for name, value in left[0].items() if value == left[1][name]]

    try:
        changed = case.call(watched, problem.x, problem.total, problem.temperature)
    except Raised as raised:
        raise case.failure(problem, f"it raised {raised}", str(raised)) from raised
    if changed:
        raise case.failure(problem, f"the call changed {', '.join(changed)}", f"other {', '.join(changed)}")
