"""Functions of JAX arrays: ``jax:package.module:function``, with `jax.vjp` and `jax.jvp` of them.

Turns on 64-bit floats for the whole process, without which JAX has no float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from hsproj_verify.target import Target
from hsproj_verify.targets._arrays import UNCLAIMED, function_of, library, speaking_numpy


def target(spec: str) -> Target:
    """The function of this name, with its derivatives."""
    library("jax").config.update("jax_enable_x64", True)
    return target_of(spec, function_of(spec))


def target_of(name: str, function: Callable[..., Any], note: str = "", *, compiled: bool = False) -> Target:
    """A function of JAX arrays, with its derivatives; JAX compiles all of them, or leaves them as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.targets.jax import target_of
    >>> square = target_of("square", lambda x, k: k * x * x)  # no projection
    >>> square.vjp(np.array([1.0, 2.0]), 3, np.array([1.0, 0.0]))
    array([6., 0.])
    """
    jax = library("jax")
    jax.config.update("jax_enable_x64", True)

    def outwards(came: Any) -> Any:
        return np.asarray(came) if isinstance(came, jax.Array) else came

    def called_with_numpy(called: Callable[..., Any]) -> Callable[..., Any]:
        made = speaking_numpy(jax.jit(called) if compiled else called, jax.numpy.asarray, outwards)
        return functools.update_wrapper(made, function)  # its options are those of the function

    def project_and_vjp(x: Any, *rest: Any, **options: Any) -> Any:
        *k, g = rest
        p, pull_back = jax.vjp(lambda scores: function(scores, *k, **options), x)
        return p, pull_back(g)[0]

    def pull_back(x: Any, *k: Any, **options: Any) -> Any:
        return jax.vjp(lambda scores: function(scores, *k, **options), x)[1]

    def solve(*arguments: Any, **options: Any) -> Any:
        pull = called_with_numpy(pull_back)(*arguments, **options)
        call = jax.jit(pull) if compiled else pull
        return lambda g: outwards(call(jax.numpy.asarray(g))[0])

    def vjp(*arguments: Any, **options: Any) -> Any:
        return project_and_vjp(*arguments, **options)[1]

    def jvp(x: Any, *rest: Any, **options: Any) -> Any:
        *k, v = rest
        return jax.jvp(lambda scores: function(scores, *k, **options), (x,), (v,))[1]

    made = Target(
        name,
        called_with_numpy(function),
        vjp=called_with_numpy(vjp),
        jvp=called_with_numpy(jvp),
        note="; ".join(filter(None, (note, f"jax {jax.__version__}, on {jax.default_backend()}"))),
        project_and_vjp=called_with_numpy(project_and_vjp),
        solve=functools.update_wrapper(solve, function),
    )
    # That there are derivatives is assumed: the function need not be one that can be differentiated.
    return made.assuming("vjp", "jvp").lacking(UNCLAIMED)
