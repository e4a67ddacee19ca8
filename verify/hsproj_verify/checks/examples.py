"""What passes and what fails: `RIGHT`, the definition in rationals, and for each check a small implementation that fails it.

The wrong ones are written down as somebody might have: a function of one row where that is all there is to it, else the call
as the judge makes it. Their names say what is wrong.
"""

# ruff: noqa: D101, D102, D103
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from hsproj_verify.oracles import exact
from hsproj_verify.oracles.certificate import certificate
from hsproj_verify.target import COMPANIONS, Target

Array = np.ndarray
Row = Callable[[Array, float, float], Array]


@dataclass(frozen=True)
class Example:
    """An implementation that fails a check, and the Python it is made of."""

    make: Callable[[], Target]
    source: str

    @property
    def target(self) -> Target:
        """The implementation, as a new process would have it."""
        return self.make()


FAILING: dict[str, Example] = {}
"""By name of the check."""


def row_by_rationals(x: Array, k: float, temperature: float) -> Array:
    """The definition, solved exactly and rounded once."""
    if x.size > LONGEST:
        return row_by_certificate(x, k, temperature)
    return exact.solve(x.tolist(), k, temperature).nearest(x.dtype)


LONGEST = 10_000  # what rationals do in a fraction of a second


def row_by_certificate(x: Array, k: float, temperature: float) -> Array:
    """Of longer rows: the exact threshold, which the certificate of any p proves, then some roundings."""
    theta = threshold(x, k, temperature)
    nearest = float(theta)
    distance = x.astype(np.float64) - nearest - float(theta - Fraction(nearest))
    return np.clip(distance / temperature, 0, 1).astype(x.dtype)


def threshold(x: Array, k: float, temperature: float) -> Fraction:
    """An exact threshold."""
    proof = certificate(x, k, np.zeros_like(x), temperature=temperature)
    ends = [theta for theta in (proof.theta_low, proof.theta_high) if theta is not None]
    return sum(ends, Fraction(0)) / max(len(ends), 1)


def _rows(function: Row) -> Callable[..., Array]:
    """A function of one row as one of batches along any axis, with a k and a temperature each, that refuses bad input."""

    def project(x: Any, k: Any, temperature: Any = 1.0, axis: int = -1) -> Array:
        x = np.moveaxis(np.asarray(x), axis, -1)
        if x.dtype.kind not in "iuf":
            raise TypeError(f"scores must be real numbers; got {x.dtype}")
        totals = np.broadcast_to(np.asarray(k, dtype=float), x.shape[:-1])
        temperatures = np.broadcast_to(np.asarray(temperature, dtype=float), x.shape[:-1])
        if not np.all((totals >= 0) & (totals <= x.shape[-1])) or not np.all(temperatures > 0):
            raise ValueError("k must be in [0, n], temperatures positive")
        p = np.empty(x.shape, x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.float64)
        for i in np.ndindex(x.shape[:-1]):
            row = x[i].astype(p.dtype)
            p[i] = np.nan if np.isnan(row).any() else function(row, float(totals[i]), float(temperatures[i]))
        return np.moveaxis(p, -1, axis)

    return project


project = _rows(row_by_rationals)


def _product(x: Any, k: Any, g: Any, temperature: Any = 1.0) -> Array:
    """The exact Jacobian times g, a row each: it is symmetric, so this is both products."""
    x, g = np.asarray(x), np.asarray(g)
    totals, temperatures = np.broadcast_to(k, x.shape[:-1]), np.broadcast_to(temperature, x.shape[:-1])
    out = np.empty(x.shape, x.dtype)
    for i in np.ndindex(x.shape[:-1]):
        solution = exact.solve(x[i].tolist(), float(totals[i]), float(temperatures[i]))
        out[i] = [float(v) for v in solution.vjp(g[i].tolist())]
    return out


def vjp(x: Any, k: Any, g: Any, temperature: Any = 1.0) -> Array:
    """The exact vector-Jacobian product."""
    return _product(x, k, g, temperature)


def jvp(x: Any, k: Any, v: Any, temperature: Any = 1.0) -> Array:
    """The exact Jacobian-vector product."""
    return _product(x, k, v, temperature)


def loss_and_grad(scores: Array, targets: Array, k: float, temperature: float = 1.0) -> tuple[float, Array]:
    """The exact loss and gradient."""
    solution, y = exact.solve(scores.tolist(), k, temperature), targets.tolist()
    return float(solution.loss(y)), np.array([float(v) for v in solution.loss_gradient(y)], dtype=scores.dtype)


def loss(scores: Array, targets: Array, k: float, temperature: float = 1.0) -> float:
    """The exact loss."""
    return loss_and_grad(scores, targets, k, temperature)[0]


def fenchel_young_loss_and_grad(scores: Array, targets: Array, temperature: float = 1.0) -> tuple[float, Array]:
    """The exact Fenchel-Young loss and gradient."""
    y = targets.tolist()
    solution = exact.solve(scores.tolist(), sum(map(Fraction, y)), temperature)
    gradient = [float(p - Fraction(t)) for p, t in zip(solution.p, y, strict=True)]
    return float(solution.fenchel_young_loss(y)), np.array(gradient, dtype=scores.dtype)


def fenchel_young_loss(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    """The exact Fenchel-Young loss."""
    return fenchel_young_loss_and_grad(scores, targets, temperature)[0]


def cross_entropy_loss_and_grad(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-12
) -> tuple[float, Array]:
    """The cross entropy of the exact p, and its exact gradient."""
    solution, y = exact.solve(scores.tolist(), k, temperature), targets.tolist()
    gradient = [float(v) for v in solution.cross_entropy_gradient(y, floor)]
    return solution.cross_entropy_loss(y, floor), np.array(gradient, dtype=scores.dtype)


def cross_entropy_loss(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-12
) -> float:
    """The cross entropy of the exact p."""
    return cross_entropy_loss_and_grad(scores, targets, k, temperature, floor)[0]


def zero_one_loss(scores: Array, targets: Array, k: int) -> float:
    """The share of wrong decisions, ties broken by position."""
    ones = np.argsort(-scores, kind="stable")[:k]
    return float(np.mean(np.isin(np.arange(scores.size), ones) != targets))


def top_k_zero_one_loss(scores: Array, targets: Array, k: int) -> float:
    """The share of missed positives, likewise."""
    ones = np.argsort(-scores, kind="stable")[:k]
    return 1 - float(targets[ones].sum() / targets.sum())


_COMPANIONS = {name: globals()[name] for name in COMPANIONS}
_ORIGIN = "\n".join(
    f"from hsproj_verify.checks.examples import {name}" for name in ("project as function", *_COMPANIONS)
)
RIGHT = Target("right", project, origin=_ORIGIN, **_COMPANIONS).claiming("rounded", "own-temperature", "vjp-batch")
"""An implementation that passes every check."""


def _fails(*names: str, instead_of: str = "project", by_row: bool = False) -> Callable[[Any], Any]:
    """Register a wrong implementation of one of the functions under the checks that it fails."""

    def register(wrong: Any) -> Any:
        source = inspect.getsource(wrong)
        source = source[re.search("^(def|class) ", source, re.MULTILINE).start() :]  # type: ignore[union-attr]
        origin = _ORIGIN if instead_of == "project" else _ORIGIN + f"\n# {instead_of}: the one above"

        def make() -> Target:
            called: Any = _rows(wrong) if by_row else wrong() if inspect.isclass(wrong) else wrong
            changes: dict[str, Any] = {instead_of: called}
            return replace(RIGHT, name=wrong.__name__, origin=origin, **changes)

        for name in names:
            FAILING[name] = Example(make, source)
        return wrong

    return register


# Feasibility, optimality


@_fails("entries_lie_in_the_unit_interval", by_row=True)
def softmax_times_k(x: Array, k: float, temperature: float) -> Array:
    e = np.exp((x - x.max()) / temperature)
    return k * e / e.sum()


@_fails("accurate_on_near_ties", by_row=True)
def rounds_to_nine_digits(x: Array, k: float, temperature: float) -> Array:
    return row_by_rationals(np.round(x, 9), k, temperature)


@_fails("zeros_have_no_sign", by_row=True)
def masked_by_multiplication(x: Array, k: float, temperature: float) -> Array:
    p = row_by_rationals(x, k, temperature)
    return np.where(p == 0, -p, p)


@_fails("every_whole_total_is_met", by_row=True)
def loses_a_positive(x: Array, k: float, temperature: float) -> Array:
    share = np.float32(k / len(x))
    return row_by_rationals(x, float(int(len(x) * float(share))), temperature)


@_fails("scores_next_to_the_hypersimplex_are_projected", by_row=True)
def nothing_to_do(x: Array, k: float, temperature: float) -> Array:
    p = np.clip(x / temperature, 0, 1).astype(x.dtype)
    return p if abs(p.sum() - k) < 1e-3 else row_by_rationals(x, k, temperature)


@_fails("loss_is_right_on_long_rows", instead_of="loss")
def squares_in_float32(scores: Array, targets: Array, k: float, temperature: float = 1.0) -> float:
    difference = (project(scores, k, temperature) - targets).astype(np.float32)
    return float(np.cumsum(difference**2)[-1] / 2)


@_fails("settings_of_numpy_stay_as_they_were")
def silences_numpy(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    np.seterr(all="ignore")
    return project(x, k, temperature=temperature)


@_fails("total_is_k", by_row=True)
def total_at_most_k(x: Array, k: float, temperature: float) -> Array:
    p = np.clip(x / temperature, 0, 1)
    return p if p.sum() <= k else row_by_rationals(x, k, temperature)


@_fails(
    "one_threshold_explains_every_entry",
    "accurate_at_huge_scales",
    "adding_a_constant_leaves_p_unchanged",
    "equal_scores_share_the_total",
    by_row=True,
)
def clip_then_rescale(x: Array, k: float, temperature: float) -> Array:
    p = np.clip(x / temperature, 0, 1)
    return np.clip(p * k / max(p.sum(), 1e-9), 0, 1)


# Accuracy


@_fails(
    "accurate_on_ordinary_scores",
    "accurate_near_kinks",
    "accurate_on_staircases",
    "accurate_in_float32",
    "agrees_with_cvxpy",
    "projecting_twice_changes_nothing",
    by_row=True,
)
def equation_5_as_printed(x: Array, k: float, temperature: float) -> Array:
    return row_by_rationals(x / 2, k, temperature)


@_fails("accurate_on_tied_scores", "equal_scores_get_equal_p", "accurate_on_large_tied_rows", by_row=True)
def hard_at_ties(x: Array, k: float, temperature: float) -> Array:
    if len(set(x.tolist())) == len(x):
        return row_by_rationals(x, k, temperature)
    p = np.zeros_like(x)
    p[np.argsort(-x, kind="stable")[: int(k)]] = 1
    return p


@_fails("accurate_on_saturated_ties", "accurate_on_vertices", "accurate_on_large_vertices", by_row=True)
def stops_past_the_interval(x: Array, k: float, temperature: float) -> Array:
    solution = exact.solve(x.tolist(), k, temperature)
    if solution.theta_high is None or solution.theta_low == solution.theta_high:
        return row_by_rationals(x, k, temperature)
    return np.clip((x - float(solution.theta_high) - 1e-7) / temperature, 0, 1)


@_fails("accurate_at_extreme_totals", "totals_next_to_whole_numbers_are_not_whole", by_row=True)
def truncates_k(x: Array, k: float, temperature: float) -> Array:
    return row_by_rationals(x, int(k), temperature)


@_fails(
    "accurate_with_a_huge_offset",
    "accurate_at_tiny_temperatures",
    "accurate_in_float32_with_an_offset",
    "accurate_on_large_rows_with_an_offset",
    by_row=True,
)
def threshold_as_one_float(x: Array, k: float, temperature: float) -> Array:
    theta = x.dtype.type(threshold(x, k, temperature))
    return np.clip((x - theta) / temperature, 0, 1)


@_fails("accurate_at_subnormal_scales", by_row=True)
def multiplies_by_the_reciprocal(x: Array, k: float, temperature: float) -> Array:
    z = (x - x.max()) * (1 / np.float64(temperature))
    return row_by_rationals(z.astype(x.dtype), k, 1.0) if np.isfinite(z).all() else np.full_like(x, k / x.size)


@_fails("every_entry_is_the_nearest_float", by_row=True)
def rounds_twice(x: Array, k: float, temperature: float) -> Array:
    return np.nextafter(row_by_rationals(x, k, temperature), x.dtype.type(0.5))


@_fails("accurate_on_long_rows", by_row=True)
def ranks_in_eight_bits(x: Array, k: float, temperature: float) -> Array:
    p = np.zeros_like(x)
    p[:255] = row_by_rationals(x[:255], min(k, 255, x.size), temperature)
    return p


@_fails("accurate_at_every_length", by_row=True)
def reads_past_a_tail_of_seven(x: Array, k: float, temperature: float) -> Array:
    blocks = np.append(x, x[-1:]) if x.size % 8 == 7 else x
    return row_by_rationals(blocks, k, temperature)[: x.size]


@_fails("integer_scores_are_promoted")
def into_the_dtype_of_the_scores(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return project(x, k, temperature).astype(np.asarray(x).dtype)


# Edges


@_fails("without_a_choice_all_are_zero_or_one", "no_scores_have_no_p", by_row=True)
def at_least_one(x: Array, k: float, temperature: float) -> Array:
    x.max()
    return row_by_rationals(x, max(k, 1.0), temperature)


@_fails("one_score_gets_the_whole_total", by_row=True)
def one_score_is_certain(x: Array, k: float, temperature: float) -> Array:
    return np.ones_like(x) if x.size == 1 else row_by_rationals(x, k, temperature)


@_fails("negative_zero_is_zero", by_row=True)
def sorts_by_bits(x: Array, k: float, temperature: float) -> Array:
    return row_by_rationals(x - 2.0**-40 * np.signbit(x) * (x == 0), k, temperature)


@_fails("total_one_is_sparsemax", by_row=True)
def softmax_at_one(x: Array, k: float, temperature: float) -> Array:
    return softmax_times_k(x, k, temperature) if k == 1 else row_by_rationals(x, k, temperature)


@_fails("all_but_one_is_sparsemax_of_what_is_left_out", by_row=True)
def top_k_at_the_end(x: Array, k: float, temperature: float) -> Array:
    return 1.0 * (x > x.min()) if k == x.size - 1 else row_by_rationals(x, k, temperature)


@_fails("a_batch_without_rows_has_an_answer_without_rows")
def stacks_its_rows(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return np.stack(list(project(x, k, temperature))) if np.ndim(x) == 2 else project(x, k, temperature)


# Structure


@_fails("order_is_preserved", by_row=True)
def smallest_first(x: Array, k: float, temperature: float) -> Array:
    return row_by_rationals(-x, k, temperature)


@_fails("permuting_scores_permutes_p", by_row=True)
def stays_sorted(x: Array, k: float, temperature: float) -> Array:
    return np.sort(row_by_rationals(x, k, temperature))[::-1]


@_fails("complement_is_the_projection_of_the_negated_scores", by_row=True)
def without_upper_bound(x: Array, k: float, temperature: float) -> Array:
    z = np.sort(x / temperature)[::-1]
    theta = (np.cumsum(z) - k) / np.arange(1, x.size + 1)
    theta = theta[np.flatnonzero(z > theta)[-1]] if k > 0 else z[0]
    return np.minimum(np.maximum(x / temperature - theta, 0), 1)


@_fails("moves_no_further_than_the_scores", by_row=True)
def four_times_as_steep(x: Array, k: float, temperature: float) -> Array:
    return row_by_rationals(x, k, temperature / 4)


@_fails("scaling_scores_and_temperature_changes_nothing", by_row=True)
def forgets_the_temperature(x: Array, k: float, temperature: float) -> Array:
    return row_by_rationals(x, k, 1.0)


@_fails("masked_scores_drop_out", by_row=True)
def masks_are_small_numbers(x: Array, k: float, temperature: float) -> Array:
    return row_by_rationals(np.nan_to_num(x, neginf=-1.0, posinf=10.0), k, temperature)


# Calling


@_fails("one_total_serves_all_rows")
def one_total_for_all_rows_together(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return project(x, k if np.ndim(x) == 1 or np.ndim(k) else k / len(x), temperature)


@_fails("a_row_may_have_its_own_temperature")
def one_temperature_for_all_rows(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return project(x, k, np.ravel(temperature)[0])


@_fails("axis_says_which_way_rows_run")
def along_the_last_axis_always(x: Array, k: Any, temperature: Any = 1.0, axis: int = -1) -> Array:
    return project(x, k if axis in (-1, 1) else min(np.ravel(k)[0], x.shape[-1]), temperature)


@_fails("answers_do_not_depend_on_earlier_calls")
class CachesByShape:
    def __init__(self) -> None:
        self.answers: dict[Any, Array] = {}

    def __call__(self, x: Array, k: Any, temperature: Any = 1.0) -> Array:
        key = np.shape(x), str(k), temperature
        if key not in self.answers:
            self.answers[key] = project(x, k, temperature)
        return self.answers[key].copy()


@_fails("a_changed_array_gets_a_new_answer")
class CachesByIdentity:
    def __init__(self) -> None:
        self.last: tuple[Any, Array] = (None, np.zeros(0))

    def __call__(self, x: Array, k: Any, temperature: Any = 1.0) -> Array:
        if self.last[0] is not x:
            self.last = x, project(x, k, temperature)
        return self.last[1].copy()


@_fails("calls_side_by_side_give_the_same_bits")
class SharesAWorkArray:
    def __init__(self) -> None:
        self.work = np.zeros(0)

    def __call__(self, x: Array, k: Any, temperature: Any = 1.0) -> Array:
        self.work = np.array(x, float)
        time.sleep(1e-5)  # here a C extension works, without the lock
        return project(self.work, k, temperature)


@_fails("rows_are_independent")
def first_k_for_all_rows(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return project(x, np.ravel(k)[0], temperature)


@_fails("a_bad_row_costs_no_other_row")
def nan_spreads(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    p = project(x, k, temperature)
    return np.full_like(p, np.nan) if np.isnan(p).any() else p


@_fails("a_batch_is_untouched")
def counts_down(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    p = project(x, k, temperature)
    if np.ndim(k):
        k -= 1
    return p


@_fails("dtype_of_a_batch_is_kept", "dtype_is_kept")
def always_float64(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return project(x, k, temperature).astype(np.float64)


@_fails("input_is_untouched")
def centres_in_place(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    x -= x.max()
    return project(x, k, temperature)


@_fails("first_calls_get_right_answers")
class FillsItsTableTooLate:
    def __init__(self) -> None:
        self.table = 0.0

    def __call__(self, x: Array, k: Any, temperature: Any = 1.0) -> Array:
        p = self.table * project(x, k, temperature)
        self.table = 1.0
        return p


@_fails("a_whole_total_may_come_as_a_float")
def counts_to_k(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    if k == int(k):
        range(k)
    return project(x, k, temperature)


@_fails("ordinary_calls_give_no_warning")
def divides_by_the_number_of_free_entries(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    p = project(x, k, temperature)
    np.float64(k) / np.count_nonzero((p > 0) & (p < 1))
    return p


@_fails("memory_layout_does_not_matter")
def takes_every_byte_order_for_its_own(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return project(x.view(x.dtype.newbyteorder("=")), k, temperature)


@_fails("integers_of_any_kind_are_promoted")
def sorts_by_the_negative(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return project(-(-x).astype(float), k, temperature) if x.dtype.kind == "u" else project(x, k, temperature)


@_fails("memory_layout_of_a_batch_does_not_matter")
def in_the_order_of_memory(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    return project(x.ravel("K").reshape(x.shape), k, temperature)


@_fails("numbers_may_be_those_of_numpy")
def wants_an_int(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    if np.ndim(x) == 1 and not isinstance(k, int | float):
        raise TypeError("k must be a number")
    return project(x, k, temperature)


@_fails("accurate_in_batches_of_any_size")
def blocks_of_64_rows(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    p = project(x, k, temperature)
    if x.ndim == 2 and len(x) > 64:
        p[len(x) // 64 * 64 :] = 0
    return p


@_fails("masked_scores_cost_no_other_row")
def divides_the_batch_by_its_largest(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    if x.ndim < 2:
        return project(x, k, temperature)
    scale = np.abs(x).max(initial=1.0)
    return project(x / scale * scale, k, temperature)


@_fails("the_same_call_gives_the_same_bits")
class SumsInAnyOrder:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, x: Array, k: Any, temperature: Any = 1.0) -> Array:
        p = project(x, k, temperature)
        return np.nextafter(p, p.dtype.type(0.5)) if self.rng.random() < 0.5 else p


@_fails("earlier_answers_stay_as_they_were")
class HandsOutItsBuffer:
    def __init__(self) -> None:
        self.buffers: dict[Any, Array] = {}

    def __call__(self, x: Array, k: Any, temperature: Any = 1.0) -> Array:
        p = project(x, k, temperature)
        buffer = self.buffers.setdefault((p.shape, p.dtype), p)
        buffer[...] = p
        return buffer


@_fails("bad_input_is_refused")
def takes_anything(x: Array, k: Any, temperature: Any = 1.0) -> Array:
    try:
        return project(x, k, temperature)
    except (TypeError, ValueError):
        return np.zeros(np.shape(x))


# Derivatives


@_fails("vjp_matches_the_exact_jacobian", instead_of="vjp")
def not_divided_by_the_temperature(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    return vjp(x, k, g, temperature) * temperature


@_fails("vjp_vanishes_at_tied_saturated_scores", instead_of="vjp")
def blocks_of_equal_output(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    p, out = project(x, k, temperature), np.zeros_like(g)
    for value in set(p.tolist()):
        block = p == value
        out[block] = (g[block] - g[block].mean()) / temperature
    return out


@_fails("vjp_sums_to_zero", instead_of="vjp")
def straight_through(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    return g / temperature


@_fails("vjp_agrees_with_finite_differences", instead_of="vjp")
def of_another_k(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    return vjp(x, x.size - k, g, temperature)


@_fails("vjp_is_right_on_long_rows", "jacobian_has_two_eigenvalues", instead_of="vjp")
def centres_over_all(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    return (g - g.mean()) / temperature


@_fails("vjp_scales_with_its_cotangent", instead_of="vjp")
def by_the_norm_of_the_cotangent(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    length = np.sqrt((g * g).sum())
    return vjp(x, k, g / length, temperature) * length if length else np.zeros_like(g)


@_fails("vjp_is_right_on_large_rows", instead_of="vjp")
def counts_in_sixteen_bits(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    free = np.abs(project(x, k, temperature) - 0.5) < 0.5
    count = np.count_nonzero(free) % 2**16
    return np.where(free, (g - g[free].sum() / max(count, 1)) / temperature, 0).astype(x.dtype)


@_fails("vjps_side_by_side_give_the_same_bits", instead_of="vjp")
class WithOneWorkArray:
    def __init__(self) -> None:
        self.work: dict[Any, Array] = {}

    def __call__(self, x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
        work = self.work.setdefault(x.size, np.empty(x.size, x.dtype))
        work[:] = x
        time.sleep(1e-4)
        return vjp(work, k, g, temperature)


@_fails("vjp_leaves_scores_and_cotangent_untouched", instead_of="vjp")
def centres_the_cotangent(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    out = vjp(x, k, g, temperature)
    g -= g.mean()
    return out


@_fails("dtype_of_the_vjp_is_kept", instead_of="vjp")
def gradient_in_float64(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    return vjp(x, k, g, temperature).astype(np.float64)


@_fails("the_same_vjp_gives_the_same_bits", instead_of="vjp")
class KeepsTheFirstMask:
    def __init__(self) -> None:
        self.free: Any = None

    def __call__(self, x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
        before, self.free = self.free, exact.solve(x.tolist(), k, temperature).free
        if before is None or max(before, default=0) >= x.size:
            return vjp(x, k, g, temperature)
        return np.array([float(v) for v in exact.solve(x.tolist(), k, temperature).vjp(g.tolist(), before)])


@_fails("rows_of_a_vjp_are_independent", instead_of="vjp")
def means_over_the_batch(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    return vjp(x, k, g, temperature) + (g.mean() if g.ndim > 1 else 0.0)


@_fails("jacobian_is_symmetric", instead_of="vjp")
def sorted_back_wrongly(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    order = np.argsort(-x, kind="stable")
    return vjp(x[order], k, g[order], temperature)[order]


@_fails("jacobian_vanishes_on_constants", instead_of="vjp")
def threshold_held_constant(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    p = project(x, k, temperature)
    return g * ((p > 0) & (p < 1)) / temperature


@_fails("jvp_matches_the_exact_jacobian", instead_of="jvp")
def tangent_not_divided(x: Array, k: Any, v: Array, temperature: float = 1.0) -> Array:
    return jvp(x, k, v, temperature) * temperature


@_fails("jvp_and_vjp_are_adjoint", instead_of="jvp")
def tangent_of_the_clip(x: Array, k: Any, v: Array, temperature: float = 1.0) -> Array:
    return threshold_held_constant(x, k, v, temperature)


# Kinks


@_fails("vjp_at_kinks_is_a_generalised_jacobian", instead_of="vjp")
def ones_that_stay_are_free(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    solution = exact.solve(x.tolist(), k, temperature)
    free = {*solution.free, *solution.upper_kinks, *solution.saturated}
    return np.array([float(v) for v in solution.vjp(g.tolist(), free)], dtype=x.dtype)


@_fails("jvp_at_kinks_is_a_generalised_derivative", instead_of="jvp")
def average_of_two_sides_twice(x: Array, k: Any, v: Array, temperature: float = 1.0) -> Array:
    solution = exact.solve(x.tolist(), k, temperature)
    sides = [solution.vjp(v.tolist(), free) for free in (solution.limiting_sets()[0], solution.limiting_sets()[-1])]
    return np.array([float(a + b) for a, b in zip(*sides, strict=True)], dtype=x.dtype)


@_fails("vjp_is_linear_in_the_cotangent", instead_of="vjp")
def directional_derivative(x: Array, k: Any, g: Array, temperature: float = 1.0) -> Array:
    step = 2.0**-20
    moved = exact.solve([s + step * t for s, t in zip(x.tolist(), g.tolist(), strict=True)], k, temperature).p
    here = exact.solve(x.tolist(), k, temperature).p
    return np.array([float(a - b) / step for a, b in zip(moved, here, strict=True)], dtype=x.dtype)


# Losses


@_fails("loss_is_half_the_squared_distance", instead_of="loss")
def without_the_factor_one_half(scores: Array, targets: Array, k: float, temperature: float = 1.0) -> float:
    return 2 * loss(scores, targets, k, temperature)


@_fails("loss_is_right_with_a_huge_offset", "loss_is_zero_where_p_is_the_target", instead_of="loss")
def expanded_with_the_scores(scores: Array, targets: Array, k: float, temperature: float = 1.0) -> float:
    p, z = project(scores, k, temperature), scores / temperature
    return 0.5 * float(
        ((p - z) ** 2).sum() - ((targets - z) ** 2).sum() + 2 * ((p - targets) * z).sum() + 2 * targets.sum()
    )


@_fails(
    "loss_gradient_matches_the_exact_one", "loss_gradient_agrees_with_finite_differences", instead_of="loss_and_grad"
)
def gradient_as_of_a_cross_entropy(
    scores: Array, targets: Array, k: float, temperature: float = 1.0
) -> tuple[float, Array]:
    p = project(scores, k, temperature)
    return loss(scores, targets, k, temperature), p - targets


@_fails(
    "loss_gradient_vanishes_at_tied_saturated_scores",
    "loss_gradient_at_kinks_is_a_generalised_one",
    instead_of="loss_and_grad",
)
def loss_over_blocks_of_equal_output(
    scores: Array, targets: Array, k: float, temperature: float = 1.0
) -> tuple[float, Array]:
    p = project(scores, k, temperature)
    return loss(scores, targets, k, temperature), blocks_of_equal_output(scores, k, p - targets, temperature)


@_fails("loss_gradient_sums_to_zero", instead_of="loss_and_grad")
def loss_with_the_threshold_held_constant(
    scores: Array, targets: Array, k: float, temperature: float = 1.0
) -> tuple[float, Array]:
    p = project(scores, k, temperature)
    return loss(scores, targets, k, temperature), threshold_held_constant(scores, k, p - targets, temperature)


@_fails("loss_leaves_scores_and_targets_untouched", instead_of="loss")
def subtracts_in_place(scores: Array, targets: Array, k: float, temperature: float = 1.0) -> float:
    targets -= project(scores, k, temperature)
    return 0.5 * float((targets**2).sum())


@_fails("fenchel_young_loss_is_the_definition", instead_of="fenchel_young_loss")
def without_the_temperature_of_the_regulariser(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    p = project(scores, targets.sum(), temperature)
    return float(scores @ (p - targets) + (targets @ targets - p @ p) / 2)


@_fails("fenchel_young_loss_is_right_with_a_huge_offset", instead_of="fenchel_young_loss")
def definition_in_floats(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    p = project(scores, targets.sum(), temperature)
    return float((scores @ p - temperature / 2 * p @ p) - (scores @ targets - temperature / 2 * targets @ targets))


@_fails(
    "fenchel_young_loss_is_zero_at_the_target_alone",
    "fenchel_young_loss_is_convex",
    instead_of="fenchel_young_loss",
)
def distance_of_p(scores: Array, targets: Array, temperature: float = 1.0) -> float:
    return temperature / 2 * float(((project(scores, targets.sum(), temperature) - targets) ** 2).sum())


@_fails(
    "fenchel_young_gradient_is_p_minus_the_target",
    "fenchel_young_gradient_survives_a_wrong_vertex",
    instead_of="fenchel_young_loss_and_grad",
)
def gradient_through_p(scores: Array, targets: Array, temperature: float = 1.0) -> tuple[float, Array]:
    k = targets.sum()
    loss = fenchel_young_loss(scores, targets, temperature)
    return loss, vjp(scores, k, project(scores, k, temperature) - targets, temperature)


@_fails("fenchel_young_gradient_predicts_its_own_loss", instead_of="fenchel_young_loss_and_grad")
def loss_in_other_units_than_its_gradient(
    scores: Array, targets: Array, temperature: float = 1.0
) -> tuple[float, Array]:
    loss, gradient = fenchel_young_loss_and_grad(scores, targets, temperature)
    return 4 * loss, gradient


@_fails("cross_entropy_is_that_of_p", instead_of="cross_entropy_loss")
def cross_entropy_of_a_softmax(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-12
) -> float:
    z = scores / temperature - (scores / temperature).max()
    return -float((targets * (z - np.log(np.exp(z).sum()))).sum())


@_fails("cross_entropy_below_the_floor_is_that_of_the_floor", instead_of="cross_entropy_loss")
def another_floor_than_it_was_told(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-12
) -> float:
    return -float((targets * np.log(np.maximum(project(scores, k, temperature), 1e-12))).sum())


@_fails("cross_entropy_gradient_matches_the_exact_one", instead_of="cross_entropy_loss_and_grad")
def cross_entropy_gradient_as_of_a_softmax(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-12
) -> tuple[float, Array]:
    return cross_entropy_loss(scores, targets, k, temperature, floor), project(scores, k, temperature) - targets


@_fails("cross_entropy_gradient_is_zero_below_the_floor", instead_of="cross_entropy_loss_and_grad")
def clamps_the_denominator_only(
    scores: Array, targets: Array, k: float, temperature: float = 1.0, floor: float = 1e-12
) -> tuple[float, Array]:
    slopes = -targets / np.maximum(project(scores, k, temperature), floor)
    return cross_entropy_loss(scores, targets, k, temperature, floor), vjp(scores, k, slopes, temperature)


@_fails("zero_one_loss_counts_wrong_decisions", instead_of="zero_one_loss")
def decides_at_zero(scores: Array, targets: Array, k: int) -> float:
    return float(np.mean((scores > 0) != targets))


@_fails("top_k_zero_one_loss_counts_missed_positives", instead_of="top_k_zero_one_loss")
def share_of_the_k_that_are_wrong(scores: Array, targets: Array, k: int) -> float:
    return 1 - float(targets[np.argsort(-scores, kind="stable")[:k]].sum() / max(k, 1))


# Large rows


@_fails("accurate_on_rows_of_a_million", by_row=True)
def cumulative_sums(x: Array, k: float, temperature: float) -> Array:
    bends = np.concatenate([x, x - temperature])
    order = np.argsort(-bends)
    bends, slopes = bends[order], np.cumsum(np.repeat([1.0, -1.0], x.size)[order]) / temperature
    totals = np.concatenate([[0.0], np.cumsum(slopes[:-1] * -np.diff(bends))])
    i = max(int(np.searchsorted(totals, k)) - 1, 0)
    return np.clip((x - (bends[i] - (k - totals[i]) / slopes[i])) / temperature, 0, 1)


@_fails("accurate_on_large_sorted_rows", by_row=True)
def takes_rows_as_sorted(x: Array, k: float, temperature: float) -> Array:
    p = np.zeros_like(x)
    p[: int(k)] = 1
    return p


@_fails("accurate_on_large_masked_rows", by_row=True)
def takes_all_entries_for_free(x: Array, k: float, temperature: float) -> Array:
    return np.clip((x - x.mean()) / temperature + k / x.size, 0, 1)


@_fails("accurate_on_large_float32_rows", "equal_float32_scores_share_the_total", by_row=True)
def adds_up_in_float32(x: Array, k: float, temperature: float) -> Array:
    p = row_by_rationals(x, k, temperature)
    free = (p > 0) & (p < 1)
    total = np.cumsum(x[free], dtype=np.float32)[-1]
    theta = (total - (k - np.count_nonzero(p == 1)) * temperature) / np.count_nonzero(free)
    return np.clip((x - x.dtype.type(theta)) / temperature, 0, 1)
