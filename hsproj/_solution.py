"""A solution and everything about it: threshold, exact masks, margin, derivatives.

The derivatives come from the masks; nothing is solved twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hsproj import _derivatives
from hsproj._derivatives import Edges
from hsproj._dispatch import for_any_array
from hsproj._errors import refuse
from hsproj._inputs import Array, Layout, NanPolicy, demand_choice, like_scores, read_problem
from hsproj._projection import answer_rows, threshold_rows
from hsproj._threshold import threshold

Selection = Literal["free", "closure"]

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


class Kinks(NamedTuple):
    """Entries exactly on a breakpoint where theta is unique: `lower` those with x = theta, `upper` with x = theta + tau."""

    lower: Array
    upper: Array


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Projection:
    """Everything about one solution; made by `solve`.

    `solve` marks its arrays as read-only. Those of one value a row have the shape of `x` without `axis`. A row without
    an answer (see `nan_policy`) has NaN for numbers and False for flags.

    Attributes
    ----------
    p : ndarray, shape and floating dtype of `x`
        The projection.
    threshold : ndarray
        theta, in units of `x`: for finite scores p_i > 0 iff x_i > theta, and p_i = 1 iff x_i >= theta + temperature. Where
        no entry is free, an interval of thetas serves and this is its midpoint: -inf or +inf where that interval is a
        half-line (k = n or k = 0), 0 where it is the whole line. Here it is the nearest float of the
        dtype of `p`, which those comparisons
        may not survive (it is infinite beyond the range of the dtype); the masks are exact.
    free, saturated : ndarray of bool, shape of `x`
        {0 < p < 1} and {p = 1}, of the exact answer, whatever its rounding.
    margin : ndarray
        Distance in the max norm, in units of `x`, from the row to the nearest kink, within 4 ulps; inf if there is none to
        meet. Within it the projection is affine.
    is_differentiable : ndarray of bool
        Whether the row is not at a kink; decided exactly, even where `margin` is too small for a float.
    k, temperature : ndarray
        The row's total and temperature, as float64.
    """

    p: Array
    threshold: Array
    free: Array
    saturated: Array
    margin: Array
    is_differentiable: Array
    k: Array
    temperature: Array
    _layout: Layout
    _edges: Edges
    _answered: Array

    @property
    def support(self) -> Array:
        """{p > 0} of the exact answer: free or saturated."""
        support: Array = self.free | self.saturated
        return support

    @property
    def axis(self) -> int:
        """The axis along which each row lies, counted from the back."""
        return self._layout.axis - len(self._layout.shape)

    @property
    def kinks(self) -> Kinks:
        """The entries where p is not differentiable: named pair of masks `lower` and `upper`, each of the shape of `x`.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([1.0, 0.0], 1).kinks
        Kinks(lower=array([False,  True]), upper=array([ True, False]))
        """
        return Kinks(*map(self._layout.restore, self._edges.kinks(self._smooth, self._layout.n)))

    def jvp(self, v: ArrayLike, /, *, selection: Selection = "free") -> Array:
        """Jacobian times `v`: how p moves when x moves along v. O(n), exact up to rounding.

        Parameters
        ----------
        v : array_like, broadcastable to the shape of `x`, real
            Tangent, taken in the dtype of `x`. Entries that the Jacobian does not move do not matter, even if they are NaN.
        selection : {"free", "closure"}
            Which generalised Jacobian to use at a kink: that of the free entries as they are, or of the free entries and
            the kinks. Both are limits of Jacobians nearby; `generalized_jacobians` yields the others, and
            `directional_derivative` is exact there. Away from kinks they are the same.

        Returns
        -------
        ndarray, shape and floating dtype of `x`

        Raises
        ------
        TypeError, ValueError
            If `v` does not hold real numbers or does not broadcast, or `selection` is neither of the two.

        Notes
        -----
        Each entry is within 4 eps max|v| / temperature of the exact product, the maximum over the entries that move, for
        any n; unless that maximum or the entry is a subnormal number, which has fewer digits.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([3.0, 1.0, 1.0, 0.0], 2).jvp([0.0, 1.0, 0.0, 0.0])
        array([ 0. ,  0.5, -0.5,  0. ])
        >>> kink = hsproj.solve([1.0, 0.0], 1)
        >>> kink.jvp([1.0, 0.0]), kink.jvp([1.0, 0.0], selection="closure")
        (array([0., 0.]), array([ 0.5, -0.5]))
        """
        return self._layout.restore(self._tangent(self._rows(v, "v"), self._moving(selection)))

    def vjp(self, g: ArrayLike, /, *, selection: Selection = "free") -> Array:
        """Cotangent `g` times the Jacobian: the gradient of sum(g * p) with respect to x. O(n).

        The Jacobian is symmetric, so this is `jvp` under the name that reverse mode gives it.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([5.0, 5.0, 0.0, 0.0], 2).vjp([1.0, 2.0, 3.0, 4.0])
        array([0., 0., 0., 0.])
        """
        return self._layout.restore(self._tangent(self._rows(g, "g"), self._moving(selection)))

    def directional_derivative(self, v: ArrayLike, /) -> Array:
        """Lim (p(x + h v) - p(x)) / h as h falls to 0: one-sided at kinks, equal to `jvp` elsewhere.

        Parameters
        ----------
        v : array_like, broadcastable to the shape of `x`, real

        Returns
        -------
        ndarray, shape and floating dtype of `x`

        Notes
        -----
        At a kink it is the projection of v / temperature onto the critical cone (docs/theory.md), O(n log n).

        Examples
        --------
        The kink of [1, 0] with k = 1: the second entry may gain, not lose.

        >>> import hsproj
        >>> sol = hsproj.solve([1.0, 0.0], 1)
        >>> sol.directional_derivative([0.0, 1.0]), sol.directional_derivative([0.0, -1.0])
        (array([-0.5,  0.5]), array([0., 0.]))
        """
        return self._layout.restore(self._slopes(self._rows(v, "v")))

    @property
    def dk(self) -> Array:
        """Derivative of p with respect to k, shape and floating dtype of `x`; `dk_left` is the other side of a kink.

        1/m for the m free entries, 0 elsewhere. It is one-sided, for a growing k, where the two sides differ: at kinks, and
        where no entry is free, for there the next k moves the scores that are next. Where k can't grow, the other side.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([3.0, 1.0, 1.0, 0.0], 2).dk
        array([0. , 0.5, 0.5, 0. ])
        >>> vertex = hsproj.solve([9.0, 5.0, 1.0, 1.0], 2)
        >>> vertex.dk, vertex.dk_left
        (array([0. , 0. , 0.5, 0.5]), array([0., 1., 0., 0.]))
        """
        return self._shares(growing=True)

    @property
    def dk_left(self) -> Array:
        """As `dk`, for a falling k."""
        return self._shares(growing=False)

    @property
    def dtemperature(self) -> Array:
        """Derivative of p with respect to the temperature, shape and floating dtype of `x`.

        -(x - mean) / temperature^2 on the free entries, with the mean over them. At kinks it is one-sided, for a growing
        temperature; `dtemperature_left` is the other side.

        Notes
        -----
        A change of temperature acts like a change of the scores along -p: that is how it is computed. Within
        8 eps / temperature of the exact value.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([3.0, 1.5, 1.0, 0.0], 2).dtemperature
        array([ 0.  , -0.25,  0.25,  0.  ])
        """
        return self._layout.restore(self._slopes(-self._layout.rows(self.p)))

    @property
    def dtemperature_left(self) -> Array:
        """As `dtemperature`, for a falling temperature."""
        return self._layout.restore(0.0 - self._slopes(self._layout.rows(self.p)))

    def jacobian(self, *, selection: Selection = "free") -> Array:
        """The dense Jacobian dp/dx, shape (..., n, n) with the batch first: for reading and tests. See `jvp`.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([0.5, 0.25, 0.0], 1).jacobian() * 3
        array([[ 2., -1., -1.],
               [-1.,  2., -1.],
               [-1., -1.,  2.]])
        """
        layout = self._layout
        rows = self._dense(self._moving(selection))
        return rows.reshape((*layout.batch, layout.n, layout.n))

    def generalized_jacobians(self) -> Iterator[Array]:
        """All limits of Jacobians at smooth points nearby (Bouligand's), each (n, n), one after the other.

        Away from kinks there is one; c kinks have up to 2^c. The first is that of ``selection="free"``, the last that
        of ``selection="closure"``.

        Raises
        ------
        ValueError
            If there is more than one row, or the row has no answer.

        Examples
        --------
        >>> import hsproj
        >>> for jacobian in hsproj.solve([1.0, 0.0], 1).generalized_jacobians():
        ...     print(jacobian.tolist())
        [[0.0, 0.0], [0.0, 0.0]]
        [[0.5, -0.5], [-0.5, 0.5]]
        """
        self._demand_one_row("generalised Jacobians")
        if not self._answered[0]:
            raise refuse(ValueError, "x", "have an answer", "a row of NaN", str(self._layout))
        free = self._layout.mask_rows(self.free)[0]
        lower, upper = self._kink_rows()
        return (self._dense(moving[None])[0] for moving in _derivatives.limiting_sets(free, lower[0], upper[0]))

    def linear_operator(self) -> LinearOperator:
        """The Jacobian of a single row as a `scipy.sparse.linalg.LinearOperator`, shape (n, n), without its matrix.

        Raises
        ------
        ValueError
            If there is more than one row.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([3.0, 1.0, 1.0, 0.0], 2).linear_operator() @ [0.0, 1.0, 0.0, 0.0]
        array([ 0. ,  0.5, -0.5,  0. ])
        """
        from scipy.sparse.linalg import LinearOperator

        self._demand_one_row("a linear operator")
        n = self._layout.n
        return LinearOperator((n, n), matvec=self._column, rmatvec=self._column, dtype=self._layout.dtype)

    def _column(self, v: Array) -> Array:
        return self.jvp(v.reshape(-1))

    def _demand_one_row(self, purpose: str) -> None:
        if self._layout.batch:
            raise refuse(ValueError, "x", f"be a single row (one dimension) for {purpose}", str(self._layout))

    @property
    def _smooth(self) -> Array:
        return self.is_differentiable.reshape(-1)

    def _kink_rows(self) -> tuple[Array, Array]:
        return self._edges.kinks(self._smooth, self._layout.n)

    def _moving(self, selection: Selection) -> Array:
        """Rows of the entries that the chosen Jacobian moves."""
        demand_choice(selection, "selection", "free", "closure")
        free = self._layout.mask_rows(self.free)
        if selection == "free" or self._smooth.all():
            return free
        lower, upper = self._kink_rows()
        moving: Array = free | lower | upper
        return moving

    def _rows(self, value: ArrayLike, name: str) -> Array:
        return self._layout.rows(like_scores(value, name, self._layout))

    def _tangent(self, rows: Array, moving: Array) -> Array:
        return _derivatives.tangent(rows, moving, self.temperature.reshape(-1), self._answered)

    def _dense(self, moving: Array) -> Array:
        return _derivatives.dense(moving, self.temperature.reshape(-1), self._answered, self._layout.dtype)

    def _slopes(self, v: Array) -> Array:
        """Directional derivatives along rows v."""
        free = self._layout.mask_rows(self.free)
        slopes = self._tangent(v, free)
        temperature = self.temperature.reshape(-1)
        for r, lower, upper in zip(*self._edges, strict=True):
            if not self._smooth[r]:
                slopes[r] = _derivatives.one_sided(v[r], free[r], lower, upper, temperature[r])
        return slopes

    def _shares(self, *, growing: bool) -> Array:
        moving = self._layout.mask_rows(self.free).copy()
        for r, lower, upper in zip(*self._edges, strict=True):
            first, second = (lower, upper) if growing else (upper, lower)
            joined = moving[r] | first
            moving[r] = joined if joined.any() else second
        shares = moving / np.maximum(moving.sum(axis=-1, keepdims=True), 1)
        shares[~moving.any(axis=-1)] = np.nan
        return self._layout.restore(shares)

    def __repr__(self) -> str:
        axis = self._layout.axis
        sets = f"free={self.free.sum(axis)}, saturated={self.saturated.sum(axis)}"
        if self._layout.batch:
            rows = self._layout.m
            free = int(self.free.sum())
            sets = (
                f"rows={rows}, answered={int(self._answered.sum())}, free={free}, saturated={int(self.saturated.sum())}"
            )
            smooth = f"differentiable={int(self.is_differentiable.sum())}"
            return f"Projection(shape={self._layout.shape}, axis={self.axis}, dtype={self._layout.dtype}, {sets}, {smooth})"
        numbers = f"k={self.k:.6g}, temperature={self.temperature:.6g}, threshold={self.threshold:.6g}"
        smooth = f"margin={self.margin:.6g}, differentiable={bool(self.is_differentiable)}"
        return f"Projection(n={self._layout.n}, dtype={self._layout.dtype}, {numbers}, {sets}, {smooth})"


@for_any_array
def solve(
    x: ArrayLike,
    k: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
) -> Projection:
    """Project, and keep everything about the solution: threshold, exact masks, margin, derivatives.

    Parameters
    ----------
    x, k, temperature, axis, nan_policy
        See `soft_binary_argmax`.

    Returns
    -------
    Projection

    Raises
    ------
    TypeError, ValueError
        As `soft_binary_argmax`.

    Notes
    -----
    The masks, `is_differentiable` and the vertex case are decided exactly, by comparisons of exact sums: docs/numerics.md.

    Examples
    --------
    >>> import hsproj
    >>> sol = hsproj.solve([3.0, 1.0, 1.0, 0.0], 2)
    >>> sol
    Projection(n=4, dtype=float64, k=2, temperature=1, threshold=0.5, free=2, saturated=1, margin=0.25, differentiable=True)
    >>> sol.free
    array([False,  True,  True, False])
    """
    problem = read_problem(x, k, temperature, axis, nan_policy)
    layout = problem.layout
    answer = answer_rows(problem, bounds=True)
    theta = threshold(problem.rows, problem.k, problem.temperature, answer.bounds)
    free, saturated = answer.masks(problem.rows)
    smooth = theta.answered & np.isnan(theta.lower_kink) & np.isnan(theta.upper_kink)
    arrays: dict[str, Any] = {
        "p": layout.restore(answer.p),
        "threshold": layout.per_row(threshold_rows(problem, theta)),
        "free": layout.restore(free),
        "saturated": layout.restore(saturated),
        "margin": layout.per_row(theta.margin),
        "is_differentiable": layout.per_row(smooth),
        "k": problem.k.reshape(layout.batch),
        "temperature": problem.temperature.reshape(layout.batch),
    }
    for array in arrays.values():
        array.setflags(write=False)
    edges = _derivatives.find_edges(problem.rows, theta)
    return Projection(**arrays, _layout=layout, _edges=edges, _answered=theta.answered)
