"""Validation without a look at values on a device: what the user passed in -> rows, with pairs for k and temperature.

Numbers, lists and NumPy arrays are on the host, and refused as for NumPy scores. Arrays of the scores' own library are not
looked at: rows whose k or temperature breaks the rules come back as NaN.
"""

import math
from typing import Any, NamedTuple

from hsproj._errors import refuse
from hsproj._generic._arrays import (
    answer_dtype,
    cast,
    constant,
    demand_real,
    move_axis,
    namespace_of,
    one_a_row,
    restored,
)
from hsproj._generic._numbers import Number, pair_of, power_of_two, read_number
from hsproj._generic._pairs import Array, Pair, digits
from hsproj._inputs import INTEGER_RULE, TEMPERATURE_RULE, Layout, demand_choice, find_axis, total_rule


class Rows(NamedTuple):
    """One problem a row. Values of a row have a last axis of 1.

    `scores` (..., n) are float32 or float64; `k` and `temperature` pairs of floats like these, the temperature times a
    power of two that brings it into [1, 4), `scale`: two factors, since one may be out of range. `valid` says where k and
    temperature keep the rules.

    Derivatives flow through what came, `scores`, `k_given` and `temperature_given` (None for numbers); `known` is the same
    problem without them.
    """

    xp: Any
    scores: Array
    k: Pair
    temperature: Pair
    scale: Pair
    valid: Array
    layout: Layout
    k_given: Array | None
    temperature_given: Array | None

    def known(self) -> "Rows":
        """Constants."""
        (k, k_tail), (tau, tau_tail) = self.k, self.temperature
        k, tau = (constant(k), constant(k_tail)), (constant(tau), constant(tau_tail))
        return self._replace(scores=constant(self.scores), k=k, temperature=tau)

    def scaled(self, values: Array) -> Array:
        """Values in the units of scores, as those of temperatures that are in [1, 4)."""
        return values * self.scale[0] * self.scale[1]

    def unscaled(self, values: Array) -> Array:
        """The way back."""
        return values / self.scale[1] / self.scale[0]

    def restore(self, rows: Array) -> Array:
        """Rows as an array of the scores' shape; floats in the dtype of answers."""
        return restored(self.xp, self.layout, rows)

    def per_row(self, values: Array) -> Array:
        """Values of rows as an array of the batch's shape; floats in the dtype of answers."""
        return one_a_row(self.xp, self.layout, values)

    def cast(self, array: Array) -> Array:
        """Floats in the dtype of answers."""
        return cast(self.xp, self.layout, array)


def read_layout(x: Array, axis: int, name: str = "x") -> tuple[Any, Layout, Array]:
    """Its namespace, how its rows lie, and the rows: the last axis of floats of 32 or 64 bits."""
    xp = namespace_of(x, name)
    shape = tuple(x.shape)
    axis = find_axis(axis, shape, name)
    demand_real(xp, x, name)
    batch = shape[:axis] + shape[axis + 1 :]
    layout = Layout(shape, axis, answer_dtype(xp, x), name, batch, math.prod(batch), shape[axis])
    work = layout.dtype if xp.finfo(layout.dtype).bits >= 32 else xp.float32
    return xp, layout, xp.astype(move_axis(xp, x, axis, -1), work, copy=False)


def read_rows(
    x: Array, k: Any, temperature: Any, axis: int, nan_policy: str, name: str = "x", *, whole: bool = False
) -> Rows:
    """Everything that can be wrong about the call itself is refused here; `whole` says that k must be integers."""
    read_nan_policy(nan_policy)
    xp, layout, scores = read_layout(x, axis, name)
    return pose_rows(xp, layout, scores, k, temperature, whole=whole)


def read_nan_policy(nan_policy: str) -> None:
    """Refuse what needs a look at values."""
    demand_choice(nan_policy, "nan_policy", "propagate", "raise")
    if nan_policy == "raise":
        rule = "be 'propagate' for arrays of other libraries than NumPy, whose values are not looked at"
        raise refuse(ValueError, "nan_policy", rule, "'raise'")


def pose_rows(xp: Any, layout: Layout, scores: Array, k: Any, temperature: Any, *, whole: bool = False) -> Rows:
    """Rows with totals and temperatures of their own."""
    # Of any score, if there is one.
    one = xp.sum(xp.zeros_like(scores[..., :1] if layout.n else scores), axis=-1, keepdims=True) + 1
    total = read_number(xp, k, "k", layout, one, [total_rule(layout), *([INTEGER_RULE] if whole else [])])
    tau = read_number(xp, temperature, "temperature", layout, one, [TEMPERATURE_RULE])
    power = power_of_two(xp, Number(constant(tau.value), tau.valid) if tau.on_device else tau)
    limit = 2.0 ** {24: 126, 53: 1022}[digits(xp, one.dtype)]
    first = power.within(xp, 1 / limit, limit)
    second = power.times(1 / first.value).within(xp, 1 / limit, 1.0)
    # What is too small for the dtype is below all differences of scores, what is too large above all: as good as another one.
    scaled = tau.times(first.value).times(second.value).within(xp, 2.0 ** -digits(xp, one.dtype), 4.0)
    valid = one > 0
    for number in (total, tau):
        valid = valid & number.valid if number.on_device else valid
    return Rows(
        xp,
        scores,
        pair_of(xp, total, one),
        pair_of(xp, scaled, one),
        (pair_of(xp, first, one)[0], pair_of(xp, second, one)[0]),
        valid,
        layout,
        *(number.value if number.on_device else None for number in (total, tau)),
    )
