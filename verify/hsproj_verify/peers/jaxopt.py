"""jaxopt (PyPI, Apache-2.0, for JAX, unmaintained): `projection_box_section`, 30 halvings, compiled, all rows at once."""

import warnings
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp

from hsproj_verify.peers._jax import jax_target

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses what JAX has deprecated
    from jaxopt.projection import projection_box_section


def _row(x: Any, k: Any) -> Any:
    return projection_box_section(x, (jnp.zeros_like(x), jnp.ones_like(x), jnp.ones_like(x), k))


def _project(x: Any, k: Any) -> Any:
    return _row(x, k) if x.ndim == 1 else jax.vmap(_row)(x, jnp.broadcast_to(k, x.shape[:-1]))


target = jax_target(
    "jaxopt", _project, f"jaxopt {version('jaxopt')} (unmaintained) on jax {version('jax')}, compiled beforehand"
)
