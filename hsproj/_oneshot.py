"""One-shot forms of the derivatives: solve, then one product.

`solve` once and use its methods where more than one of them is wanted.
"""

from numpy.typing import ArrayLike

from hsproj._inputs import Array, NanPolicy
from hsproj._solution import Selection, solve


def jvp(
    x: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
    selection: Selection = "free",
) -> Array:
    """Jacobian of `soft_binary_argmax` at x, times v, in one call; see `Projection.jvp`.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.jvp([3.0, 1.0, 1.0, 0.0], 2, [0.0, 1.0, 0.0, 0.0], temperature=0.5)
    array([ 0.,  1., -1.,  0.])
    """
    return solve(x, k, temperature=temperature, axis=axis, nan_policy=nan_policy).jvp(v, selection=selection)


def vjp(
    x: ArrayLike,
    k: ArrayLike,
    g: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
    selection: Selection = "free",
) -> Array:
    """Gradient of sum(g * soft_binary_argmax(x, k)) with respect to x, in one call; see `Projection.vjp`.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.vjp([3.0, 1.0, 1.0, 0.0], 2, [0.0, 1.0, 0.0, 0.0])
    array([ 0. ,  0.5, -0.5,  0. ])
    """
    return solve(x, k, temperature=temperature, axis=axis, nan_policy=nan_policy).vjp(g, selection=selection)


def jacobian(
    x: ArrayLike,
    k: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
    selection: Selection = "free",
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
    return solve(x, k, temperature=temperature, axis=axis, nan_policy=nan_policy).jacobian(selection=selection)
