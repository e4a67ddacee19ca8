"""One-shot forms of the derivatives: the free set, then one product.

`solve` once and use its methods where more than one of them is wanted.
"""

from numpy.typing import ArrayLike

from hsproj._derivatives import tangent
from hsproj._dispatch import for_any_array
from hsproj._inputs import Array, NanPolicy, demand_out, like_scores, read_problem
from hsproj._projection import answer_rows
from hsproj._solution import Selection, solve


@for_any_array
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
    out: Array | None = None,
) -> Array:
    """Jacobian of `soft_binary_argmax` at x, times v, in one call; see `Projection.jvp`.

    `out` is as for `project`.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.jvp([3.0, 1.0, 1.0, 0.0], 2, [0.0, 1.0, 0.0, 0.0], temperature=0.5)
    array([ 0.,  1., -1.,  0.])
    """
    return _product(x, k, v, "v", temperature, axis, nan_policy, selection, out)


@for_any_array
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
    out: Array | None = None,
) -> Array:
    """Gradient of sum(g * soft_binary_argmax(x, k)) with respect to x, in one call; see `Projection.vjp`.

    `out` is as for `project`.

    Examples
    --------
    >>> import hsproj
    >>> hsproj.vjp([3.0, 1.0, 1.0, 0.0], 2, [0.0, 1.0, 0.0, 0.0])
    array([ 0. ,  0.5, -0.5,  0. ])
    """
    return _product(x, k, g, "g", temperature, axis, nan_policy, selection, out)


@for_any_array
def soft_binary_argmax_and_vjp(
    x: ArrayLike,
    k: ArrayLike,
    g: ArrayLike,
    /,
    *,
    temperature: ArrayLike = 1.0,
    axis: int = -1,
    nan_policy: NanPolicy = "propagate",
) -> tuple[Array, Array]:
    """`soft_binary_argmax` and `vjp` in one call: (p, gradient of sum(g * p) with respect to x).

    Each is the same, to the last bit, as from its own function; the sets are found once.

    Examples
    --------
    >>> import hsproj
    >>> p, gradient = hsproj.soft_binary_argmax_and_vjp([3.0, 1.0, 1.0, 0.0], 2, [0.0, 1.0, 0.0, 0.0])
    >>> p, gradient
    (array([1. , 0.5, 0.5, 0. ]), array([ 0. ,  0.5, -0.5,  0. ]))
    """
    problem = read_problem(x, k, temperature, axis, nan_policy)
    layout = problem.layout
    rows = layout.rows(like_scores(g, "g", layout))
    answer = answer_rows(problem, bounds=True)
    gradient = tangent(rows, problem.rows, problem.temperature, answer.answered, answer.bounds)
    return layout.restore(answer.p), layout.restore(gradient)


@for_any_array
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


def _product(
    x: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    name: str,
    temperature: ArrayLike,
    axis: int,
    nan_policy: NanPolicy,
    selection: Selection,
    out: Array | None,
) -> Array:
    """The Jacobian times `v`, an argument of this name."""
    problem = read_problem(x, k, temperature, axis, nan_policy)
    layout = problem.layout
    demand_out(out, layout)
    rows = layout.rows(like_scores(v, name, layout))
    if selection != "free":
        sol = solve(x, k, temperature=temperature, axis=axis, nan_policy=nan_policy)
        return layout.restore(layout.rows(sol.jvp(v, selection=selection)), out)
    answer = answer_rows(problem, p=False, bounds=True)
    return layout.restore(tangent(rows, problem.rows, problem.temperature, answer.answered, answer.bounds), out)
