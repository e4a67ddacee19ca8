"""One-shot forms of the derivatives: `hsproj._oneshot`, in array-API calls."""

from typing import Any

from hsproj._generic._arrays import like_scores
from hsproj._generic._device import read_device_rows
from hsproj._generic._inputs import read_rows
from hsproj._generic._pairs import Array
from hsproj._generic._projection import answer, demand_no_out
from hsproj._generic._solution import demand_free, solve
from hsproj._solution import Selection


def jvp(
    x: Array,
    k: Any,
    v: Any,
    /,
    *,
    temperature: Any = 1.0,
    axis: int = -1,
    nan_policy: str = "propagate",
    selection: Selection = "free",
    out: None = None,
) -> Array:
    """See `hsproj.jvp`."""
    return _product(x, k, v, "v", temperature, axis, nan_policy, selection, out)


def vjp(
    x: Array,
    k: Any,
    g: Any,
    /,
    *,
    temperature: Any = 1.0,
    axis: int = -1,
    nan_policy: str = "propagate",
    selection: Selection = "free",
    out: None = None,
) -> Array:
    """See `hsproj.vjp`."""
    return _product(x, k, g, "g", temperature, axis, nan_policy, selection, out)


def soft_binary_argmax_and_vjp(
    x: Array, k: Any, g: Any, /, *, temperature: Any = 1.0, axis: int = -1, nan_policy: str = "propagate"
) -> tuple[Array, Array]:
    """See `hsproj.soft_binary_argmax_and_vjp`."""
    on_device = read_device_rows(x, k, temperature, axis, nan_policy)
    if on_device:
        return on_device.project_and_multiply(g, "g")
    rows = read_rows(x, k, temperature, axis, nan_policy)
    cotangent = like_scores(rows.xp, g, "g", rows.layout, rows.scores)
    solved = answer(rows)
    return rows.restore(solved.p), rows.restore(solved.tangent(cotangent))


def jacobian(
    x: Array,
    k: Any,
    /,
    *,
    temperature: Any = 1.0,
    axis: int = -1,
    nan_policy: str = "propagate",
    selection: Selection = "free",
) -> Array:
    """See `hsproj.jacobian`."""
    return solve(x, k, temperature=temperature, axis=axis, nan_policy=nan_policy).jacobian(selection=selection)


def _product(
    x: Array,
    k: Any,
    v: Any,
    name: str,
    temperature: Any,
    axis: int,
    nan_policy: str,
    selection: Selection,
    out: None,
) -> Array:
    """The Jacobian times `v`, an argument of this name."""
    demand_no_out(out)
    demand_free(selection)
    on_device = read_device_rows(x, k, temperature, axis, nan_policy)
    if on_device:
        return on_device.multiply(v, name)
    rows = read_rows(x, k, temperature, axis, nan_policy)
    tangent = like_scores(rows.xp, v, name, rows.layout, rows.scores)
    return rows.restore(answer(rows.known()).tangent(tangent))
