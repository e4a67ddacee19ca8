"""A function of one row in JAX, (x, k) -> p, made into one of rows by `jax.vmap`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Row = Callable[[Any, Any], Any]


def over_rows(row: Row) -> Row:
    """The same function for one row, and for rows with one k for all or a k each; k has the dtype of the scores.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from hsproj_verify.peers._mapped import over_rows
    >>> over_rows(lambda x, k: x * k)(jnp.ones((2, 3)), 2).tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """

    def project(x: Any, k: Any) -> Any:
        totals = jnp.broadcast_to(jnp.asarray(k, x.dtype), x.shape[:-1])
        return row(x, totals) if x.ndim == 1 else jax.vmap(row)(x, totals)

    return project
