"""Functions of JAX arrays: ``jax:package.module:function``, with `jax.vjp` and `jax.jvp` of them.

Turns on 64-bit floats for the whole process, without which JAX has no float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from hsproj_verify.target import Target
from hsproj_verify.targets._arrays import (
    UNCLAIMED,
    converted,
    converted_options,
    function_of,
    library,
    speaking_numpy,
)


def target(spec: str) -> Target:
    """The function of this name, with its derivatives."""
    jax = library("jax")
    jax.config.update("jax_enable_x64", True)
    function = function_of(spec)
    inwards = jax.numpy.asarray

    def outwards(came: Any) -> Any:
        return np.asarray(came) if isinstance(came, jax.Array) else came

    def of_scores(k: list[Any], options: dict[str, Any]) -> Callable[[Any], Any]:
        return lambda scores: function(scores, *k, **converted_options(options, inwards))

    @functools.wraps(function)
    def vjp(x: np.ndarray, *rest: Any, **options: Any) -> Any:
        *k, g = (converted(value, inwards) for value in rest)
        return outwards(jax.vjp(of_scores(k, options), inwards(x))[1](g)[0])

    @functools.wraps(function)
    def jvp(x: np.ndarray, *rest: Any, **options: Any) -> Any:
        *k, v = (converted(value, inwards) for value in rest)
        return outwards(jax.jvp(of_scores(k, options), (inwards(x),), (v,))[1])

    note = f"jax {jax.__version__}, on {jax.default_backend()}"
    project = speaking_numpy(function, inwards, outwards)
    # That there are derivatives is assumed: the function need not be one that can be differentiated.
    return Target(spec, project, vjp=vjp, jvp=jvp, note=note).assuming("vjp", "jvp").lacking(UNCLAIMED)
