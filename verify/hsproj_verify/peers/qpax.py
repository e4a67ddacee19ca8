"""qpax (PyPI, Apache-2.0, for JAX): `solve_qp_primal`, an interior point method that JAX compiles; all rows at once.

Its gradient is that of a relaxed problem (`target_kappa`, 1e-3 by default), smooth by design, and is not judged here.
"""

from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import qpax

from hsproj_verify.peers._claims import GENERAL
from hsproj_verify.peers._jax import jax_target


def _row(x: Any, k: Any) -> Any:
    n = x.shape[-1]
    identity, ones = jnp.eye(n, dtype=x.dtype), jnp.ones(n, x.dtype)
    bounds = jnp.concatenate([identity, -identity]), jnp.concatenate([ones, jnp.zeros(n, x.dtype)])
    return qpax.solve_qp_primal(identity, -x, ones[None], jnp.reshape(k, (1,)), *bounds)


def _project(x: Any, k: Any) -> Any:
    return _row(x, k) if x.ndim == 1 else jax.vmap(_row)(x, jnp.broadcast_to(k, x.shape[:-1]))


target = jax_target(
    "qpax",
    _project,
    f"qpax {version('qpax')} on jax {version('jax')}, compiled beforehand; its gradient is a relaxed one, by design",
).without(*GENERAL, "vjp")
