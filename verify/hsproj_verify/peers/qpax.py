"""qpax (PyPI, Apache-2.0, for JAX): `solve_qp_primal`, an interior point method that JAX compiles; all rows at once.

Its gradient is that of a relaxed problem (`target_kappa`, 1e-3 by default), smooth by design, and is not judged here.
"""

from dataclasses import replace
from importlib.metadata import version
from typing import Any

import jax.numpy as jnp
import qpax

from hsproj_verify.peers._claims import GENERAL, in_reverse_mode
from hsproj_verify.peers._mapped import over_rows
from hsproj_verify.targets.jax import target_of


@over_rows
def _project(x: Any, k: Any) -> Any:
    n = x.shape[-1]
    identity, ones = jnp.eye(n, dtype=x.dtype), jnp.ones(n, x.dtype)
    bounds = jnp.concatenate([identity, -identity]), jnp.concatenate([ones, 0 * ones])
    return qpax.solve_qp_primal(identity, -x, ones[None], k[None], *bounds)


_NOTE = f"qpax {version('qpax')}, compiled beforehand; its gradient is a relaxed one, by design"
target = replace(
    in_reverse_mode(target_of("qpax", _project, _NOTE, compiled=True), *GENERAL),
    vjp=None,
    project_and_vjp=None,
    solve=None,
)
