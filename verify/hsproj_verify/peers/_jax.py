"""A function of JAX arrays, (x, k) -> p, as a target: NumPy in, NumPy out, compiled, and `jax.vjp` for the vjp.

JAX is let compute in float64 for float64 scores only: with that allowed, some answer float32 in float64.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from hsproj_verify.peers._claims import UNSAID
from hsproj_verify.target import Target


def jax_target(name: str, function: Callable[[Any, Any], Any], note: str) -> Target:
    """The target, claiming everything but NumPy's own: integer scores, strides, byte orders.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.peers._jax import jax_target
    >>> target = jax_target("square", lambda x, k: k * x * x, "no projection")
    >>> target.vjp(np.array([1.0, 2.0]), 3, np.array([1.0, 0.0]))
    array([6., 0.])
    """

    def both(x: Any, k: Any, g: Any) -> Any:
        p, pull_back = jax.vjp(lambda scores: function(scores, k), x)
        return p, pull_back(g)[0]

    def compiled(source: Callable[..., Any]) -> Callable[..., Any]:
        call = jax.jit(source)

        def run(x: np.ndarray, k: Any, *others: np.ndarray) -> Any:
            with jax.enable_x64(x.dtype == np.float64):
                return jax.tree.map(np.asarray, call(x, np.asarray(k, x.dtype), *others))

        return run

    vjp = compiled(lambda x, k, g: both(x, k, g)[1])
    target = Target(name, compiled(function), vjp, note=note, project_and_vjp=compiled(both))
    return target.without(*UNSAID, "integers", "layouts")
