"""jaxopt (PyPI, Apache-2.0, for JAX, unmaintained): `projection_box_section`, 30 halvings, compiled, all rows at once.

JAX is let compute in float64 for float64 scores only: with that allowed, jaxopt answers float32 in float64.
"""

import functools
import warnings
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hsproj_verify.target import Target

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses what JAX has deprecated
    from jaxopt.projection import projection_box_section


def _row(x: Any, k: Any) -> Any:
    return projection_box_section(x, (jnp.zeros_like(x), jnp.ones_like(x), jnp.ones_like(x), k))


def _rows(x: Any, k: Any) -> Any:
    return _row(x, k) if x.ndim == 1 else jax.vmap(_row)(x, jnp.broadcast_to(k, x.shape[:-1]))


def _both(x: Any, k: Any, g: Any) -> Any:
    p, pull_back = jax.vjp(functools.partial(_rows, k=k), x)
    return p, pull_back(g)[0]


_project, _project_and_vjp, _vjp = jax.jit(_rows), jax.jit(_both), jax.jit(lambda *arguments: _both(*arguments)[1])


def project(x: np.ndarray, k: Any) -> np.ndarray:
    """The package's own call."""
    with jax.enable_x64(x.dtype == np.float64):
        return np.asarray(_project(x, np.asarray(k, x.dtype)))


def vjp(x: np.ndarray, k: Any, g: np.ndarray) -> np.ndarray:
    """By JAX's reverse mode, through its implicit differentiation."""
    with jax.enable_x64(x.dtype == np.float64):
        return np.asarray(_vjp(x, np.asarray(k, x.dtype), g))


def project_and_vjp(x: np.ndarray, k: Any, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both from one compiled call."""
    with jax.enable_x64(x.dtype == np.float64):
        p, gradient = _project_and_vjp(x, np.asarray(k, x.dtype), g)
        return np.asarray(p), np.asarray(gradient)


target = Target(
    name="jaxopt",
    project=project,
    vjp=vjp,
    note=f"jaxopt {version('jaxopt')} (unmaintained) on jax {version('jax')}, compiled beforehand",
    project_and_vjp=project_and_vjp,
).without("integers", "infinities", "layouts")
