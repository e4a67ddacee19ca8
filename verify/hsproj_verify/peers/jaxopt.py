"""jaxopt (PyPI, Apache-2.0, for JAX, unmaintained): `projection_box_section`, 30 halvings, compiled, all rows at once.

With 64-bit floats turned on it answers in float64 whatever it is asked in: for float32 they are turned off, as they are where
float32 is what people work in.
"""

import warnings
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp

from hsproj_verify.peers._claims import in_reverse_mode
from hsproj_verify.peers._mapped import over_rows
from hsproj_verify.targets.jax import target_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses what JAX has deprecated
    from jaxopt.projection import projection_box_section


@over_rows
def _project(x: Any, k: Any) -> Any:
    with jax.enable_x64(x.dtype == jnp.float64):
        return projection_box_section(x, (jnp.zeros_like(x), jnp.ones_like(x), jnp.ones_like(x), k))


_NOTE = f"jaxopt {version('jaxopt')} (unmaintained), compiled beforehand"
target = in_reverse_mode(target_of("jaxopt", _project, _NOTE, compiled=True))
