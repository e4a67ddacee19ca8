"""Functions of torch tensors: ``torch:package.module:function``. Autograd gives the vjp and, twice, the jvp.

The function gets tensors on the CPU that share memory with the checks' arrays, so that what it writes into them is seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from hsproj_verify.target import Target
from hsproj_verify.targets._arrays import UNCLAIMED, function_of, library, plain, speaking_numpy


def target(spec: str) -> Target:
    """The function of this name, with the derivatives that autograd finds."""
    library("torch")
    return target_of(spec, function_of(spec))


def target_of(name: str, function: Callable[..., Any], note: str = "") -> Target:
    """A function of tensors, with the derivatives that autograd finds.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.targets.torch import target_of
    >>> square = target_of("square", lambda x, k: k * x * x)  # no projection
    >>> square.vjp(np.array([1.0, 2.0]), 3, np.array([1.0, 0.0]))
    array([6., 0.])
    """
    torch = library("torch")

    def inwards(array: np.ndarray) -> Any:
        return torch.from_numpy(plain(array))

    def outwards(came: Any) -> Any:
        return came.detach().cpu().numpy() if isinstance(came, torch.Tensor) else came

    def called_with_numpy(called: Callable[..., Any]) -> Callable[..., Any]:
        # Its options are those of the function.
        said = function.forward if isinstance(function, torch.nn.Module) else function
        return functools.update_wrapper(speaking_numpy(called, inwards, outwards), said)

    def project_and_vjp(x: Any, *rest: Any, **options: Any) -> Any:
        *k, g = rest
        p = function(x.requires_grad_(), *k, **options)
        return p, torch.autograd.grad(p, x, g)[0]

    def solve(x: Any, *k: Any, **options: Any) -> Any:
        p = function(x.requires_grad_(), *k, **options)
        return lambda g: outwards(torch.autograd.grad(p, x, inwards(g), retain_graph=True)[0])

    def vjp(*arguments: Any, **options: Any) -> Any:
        return project_and_vjp(*arguments, **options)[1]

    def jvp(x: Any, *rest: Any, **options: Any) -> Any:
        *k, v = rest
        # The derivative of the vjp in its cotangent, which needs no forward mode of the function. Strict: what autograd
        # can't follow raises, instead of having the derivative 0.
        return torch.autograd.functional.jvp(lambda scores: function(scores, *k, **options), x, v, strict=True)[1]

    made = Target(
        name,
        called_with_numpy(function),
        vjp=called_with_numpy(vjp),
        jvp=called_with_numpy(jvp),
        note="; ".join(filter(None, (note, f"torch {torch.__version__}, on the CPU"))),
        project_and_vjp=called_with_numpy(project_and_vjp),
        solve=called_with_numpy(solve),
    )
    # That there are derivatives is assumed: the function need not be one that can be differentiated.
    return made.assuming("vjp", "jvp").lacking(UNCLAIMED)
