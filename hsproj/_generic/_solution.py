"""`solve` and its `Projection` for arrays of other libraries, and the derivatives in one call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from hsproj._errors import refuse
from hsproj._generic._arrays import like_scores
from hsproj._generic._inputs import read_rows
from hsproj._generic._margin import margin_of, threshold_of
from hsproj._generic._pairs import Array
from hsproj._generic._projection import Answer, answer
from hsproj._inputs import demand_choice
from hsproj._solution import Kinks, Projection, Selection


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ArrayProjection(Projection):
    """A `Projection` of arrays of another library than NumPy; made by `solve`, and traced by compilers.

    The attributes are those of `Projection`, in the library, on the device and in the dtype of the scores. Sets are decided
    once, by sums that are exact but for a part far below an ulp of p: p, masks and derivatives agree with each other always,
    and with the exact sets unless a score is within about 2^-40 (float32) or 2^-70 (float64) temperatures of a breakpoint.
    So is `is_differentiable`, which compares the same sums with 0. `margin` and `threshold` are within some ulps.

    What is decided in rational numbers is not there, and raises TypeError: kinks, one-sided derivatives, generalised
    Jacobians, and the linear operator of SciPy. ``hsproj.solve(np.asarray(x), ...)`` has them.
    """

    _answer: Answer

    @property
    def kinks(self) -> Kinks:
        """Not for these arrays."""
        self._refuse("kinks")

    def jvp(self, v: Any, /, *, selection: Selection = "free") -> Array:
        """See `hsproj.Projection.jvp`; the free set is the only one."""
        return self._product(v, "v", selection)

    def vjp(self, g: Any, /, *, selection: Selection = "free") -> Array:
        """See `hsproj.Projection.vjp`; the free set is the only one."""
        return self._product(g, "g", selection)

    def jacobian(self, *, selection: Selection = "free") -> Array:
        """See `hsproj.Projection.jacobian`; the free set is the only one."""
        from array_api_compat import device

        demand_free(selection)
        rows, theta = self._answer.rows, self._answer.theta
        xp = rows.xp
        f = xp.astype(theta.free, rows.scores.dtype)
        share = f / xp.clip(theta.count, 1.0, None)
        identity = xp.eye(rows.layout.n, dtype=f.dtype, device=device(rows.scores))
        inverse = rows.scaled(1.0 / rows.temperature[0])[..., None]
        dense = (identity * f[..., None, :] - f[..., :, None] * share[..., None, :]) * inverse
        return rows.cast(xp.where(theta.answered[..., None], dense, xp.nan))

    def directional_derivative(self, v: Any, /) -> Array:
        """Not for these arrays."""
        self._refuse("directional derivatives")

    @property
    def dk(self) -> Array:
        """Not for these arrays."""
        self._refuse("derivatives in k")

    @property
    def dk_left(self) -> Array:
        """Not for these arrays."""
        self._refuse("derivatives in k")

    @property
    def dtemperature(self) -> Array:
        """Not for these arrays."""
        self._refuse("derivatives in the temperature")

    @property
    def dtemperature_left(self) -> Array:
        """Not for these arrays."""
        self._refuse("derivatives in the temperature")

    def generalized_jacobians(self) -> Iterator[Array]:
        """Not for these arrays."""
        self._refuse("generalised Jacobians")

    def linear_operator(self) -> NoReturn:
        """Not for these arrays."""
        self._refuse("a linear operator")

    def _product(self, v: Any, name: str, selection: Selection) -> Array:
        demand_free(selection)
        rows = self._answer.rows
        return rows.restore(self._answer.tangent(like_scores(rows.xp, v, name, rows.layout, rows.scores)))

    def __repr__(self) -> str:
        return f"Projection(shape={self._layout.shape}, axis={self.axis}, dtype={self.p.dtype}, of {type(self.p).__module__})"

    def _refuse(self, purpose: str) -> NoReturn:
        raise refuse(TypeError, "x", f"be a NumPy array for {purpose} (convert it: np.asarray(x))", str(self._layout))


def solve(
    x: Array, k: Any, /, *, temperature: Any = 1.0, axis: int = -1, nan_policy: str = "propagate"
) -> ArrayProjection:
    """See `hsproj.solve`."""
    solved = answer(read_rows(x, k, temperature, axis, nan_policy))
    rows, theta = solved.rows, solved.theta
    return ArrayProjection(
        p=rows.restore(solved.p),
        threshold=rows.per_row(threshold_of(rows, theta)),
        free=rows.restore(theta.free),
        saturated=rows.restore(theta.saturated),
        margin=rows.per_row(margin_of(rows, theta)),
        is_differentiable=rows.per_row(theta.is_differentiable),
        k=rows.per_row(rows.k[0]),
        temperature=rows.per_row(rows.unscaled(rows.temperature[0])),
        _layout=rows.layout,
        _edges=None,  # type: ignore[arg-type]  # what needs them is refused
        _answered=theta.answered,
        _answer=solved,
    )


def demand_free(selection: Selection) -> None:
    """Refuse a choice of entries that only `hsproj.solve` of NumPy arrays knows."""
    demand_choice(selection, "selection", "free", "closure")
    if selection != "free":
        raise refuse(ValueError, "selection", "be 'free' for arrays of other libraries than NumPy", repr(selection))
