"""A solution and everything about it: threshold, exact masks, margin, derivatives.

The derivatives come from the masks; nothing is solved twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from hsproj import _derivatives
from hsproj._errors import refuse
from hsproj._inputs import Array, Layout, NanPolicy, like_scores, read_problem
from hsproj._projection import answer_rows, mask_rows, project_rows

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Projection:
    """Everything about one solution; made by `solve`.

    Arrays are read-only. Those of one value a row have the shape of `x` without `axis`. A row without an answer (see
    `nan_policy`) has NaN for numbers and False for flags.

    Attributes
    ----------
    p : ndarray, shape and floating dtype of `x`
        The projection.
    threshold : ndarray
        theta, in units of `x`: for finite scores p_i > 0 iff x_i > theta, and p_i = 1 iff x_i >= theta + temperature. Where
        no entry is free, an interval of thetas serves and this is its midpoint: -inf or +inf where that interval is a
        half-line (k = n or k = 0), 0 where it is the whole line. Here it is rounded to a float, which those comparisons
        may not survive; the masks are exact.
    free, saturated : ndarray of bool, shape of `x`
        {0 < p < 1} and {p = 1}, of the exact answer, whatever its rounding.
    margin : ndarray
        Distance in the max norm, in units of `x`, from the row to the nearest kink; inf if there is none to meet. Within
        it the projection is affine.
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
    _kinks: tuple[Array, Array] | None
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

    def jvp(self, v: ArrayLike, /) -> Array:
        """Jacobian times `v`: how p moves when x moves along v. O(n), exact up to rounding.

        Parameters
        ----------
        v : array_like, broadcastable to the shape of `x`, real
            Tangent. Entries outside the free set do not matter, even if they are NaN.

        Returns
        -------
        ndarray, shape and floating dtype of `x`

        Notes
        -----
        At a kink this is the Jacobian of the free set as it is, one of the generalised Jacobians;
        `directional_derivative` is exact there too.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([3.0, 1.0, 1.0, 0.0], 2).jvp([0.0, 1.0, 0.0, 0.0])
        array([ 0. ,  0.5, -0.5,  0. ])
        """
        return self._layout.restore(self._tangent(like_scores(v, "v", self._layout)))

    def vjp(self, g: ArrayLike, /) -> Array:
        """Cotangent `g` times the Jacobian: the gradient of sum(g * p) with respect to x. O(n).

        The Jacobian is symmetric, so this is `jvp` under the name that reverse mode gives it.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([5.0, 5.0, 0.0, 0.0], 2).vjp([1.0, 2.0, 3.0, 4.0])
        array([0., 0., 0., 0.])
        """
        return self._layout.restore(self._tangent(like_scores(g, "g", self._layout)))

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
        rows = like_scores(v, "v", self._layout)
        slopes = self._tangent(rows)
        if self._kinks is not None:
            free = self._layout.mask_rows(self.free)
            lower, upper = self._kinks
            temperature = self.temperature.reshape(-1)
            for r in np.flatnonzero((lower | upper).any(axis=-1)):
                slopes[r] = _derivatives.one_sided(rows[r], free[r], lower[r], upper[r], temperature[r])
        return self._layout.restore(slopes)

    def jacobian(self) -> Array:
        """The dense Jacobian dp/dx, shape (..., n, n) with the batch first: for reading and tests.

        Examples
        --------
        >>> import hsproj
        >>> hsproj.solve([0.5, 0.25, 0.0], 1).jacobian() * 3
        array([[ 2., -1., -1.],
               [-1.,  2., -1.],
               [-1., -1.,  2.]])
        """
        layout = self._layout
        rows = _derivatives.dense(layout.mask_rows(self.free), self.temperature.reshape(-1), self._answered)
        return rows.reshape((*layout.batch, layout.n, layout.n)).astype(layout.dtype)

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

        if self._layout.batch:
            raise refuse(ValueError, "x", "be a single row (one dimension) for a linear operator", str(self._layout))
        n = self._layout.n
        return LinearOperator((n, n), matvec=self._column, rmatvec=self._column, dtype=self._layout.dtype)

    def _column(self, v: Array) -> Array:
        return self.jvp(v.reshape(-1))

    def _tangent(self, rows: Array) -> Array:
        free = self._layout.mask_rows(self.free)
        return _derivatives.tangent(rows, free, self.temperature.reshape(-1), self._answered)

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
    layout, rows = problem.layout, problem.rows
    theta = answer_rows(problem)
    free, saturated = mask_rows(problem, theta)
    lower, upper = rows == theta.lower_kink[:, None], rows == theta.upper_kink[:, None]
    kinks = (lower, upper) if lower.any() or upper.any() else None
    smooth = theta.answered & np.isnan(theta.lower_kink) & np.isnan(theta.upper_kink)
    arrays: dict[str, Any] = {
        "p": layout.restore(project_rows(problem, theta)),
        "threshold": layout.per_row(theta.value),
        "free": layout.restore(free),
        "saturated": layout.restore(saturated),
        "margin": layout.per_row(theta.margin),
        "is_differentiable": layout.per_row(smooth),
        "k": problem.k.reshape(layout.batch),
        "temperature": problem.temperature.reshape(layout.batch),
    }
    for array in arrays.values():
        array.setflags(write=False)
    return Projection(**arrays, _layout=layout, _kinks=kinks, _answered=theta.answered)


def jvp(
    x: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
) -> Array:
    """Jacobian of `soft_binary_argmax` at x, times v, in one call; see `Projection.jvp`.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.jvp([3.0, 1.0, 1.0, 0.0], 2, [0.0, 1.0, 0.0, 0.0], temperature=0.5)
    array([ 0.,  1., -1.,  0.])
    """
    return solve(x, k, temperature=temperature, axis=axis, nan_policy=nan_policy).jvp(v)


def vjp(
    x: ArrayLike,
    k: ArrayLike,
    g: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
) -> Array:
    """Gradient of sum(g * soft_binary_argmax(x, k)) with respect to x, in one call; see `Projection.vjp`.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.vjp([3.0, 1.0, 1.0, 0.0], 2, [0.0, 1.0, 0.0, 0.0])
    array([ 0. ,  0.5, -0.5,  0. ])
    """
    return solve(x, k, temperature=temperature, axis=axis, nan_policy=nan_policy).vjp(g)


def jacobian(
    x: ArrayLike,
    k: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
) -> Array:
    """Dense Jacobian of `soft_binary_argmax` at x, shape (..., n, n), in one call; see `Projection.jacobian`.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.jacobian([3.0, 1.0, 1.0, 0.0], 2)
    array([[ 0. ,  0. ,  0. ,  0. ],
           [ 0. ,  0.5, -0.5,  0. ],
           [ 0. , -0.5,  0.5,  0. ],
           [ 0. ,  0. ,  0. ,  0. ]])
    """
    return solve(x, k, temperature=temperature, axis=axis, nan_policy=nan_policy).jacobian()
