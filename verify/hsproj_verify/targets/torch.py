"""Functions of torch tensors: ``torch:package.module:function``. Autograd gives the vjp and, twice, the jvp.

The function gets tensors on the CPU that share memory with the checks' arrays, so that what it writes into them is seen.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hsproj_verify.target import Target
from hsproj_verify.targets._arrays import (
    UNCLAIMED,
    converted,
    converted_options,
    function_of,
    library,
    plain,
    speaking_numpy,
)


def target(spec: str) -> Target:
    """The function of this name, with the derivatives that autograd finds."""
    torch = library("torch")
    function = function_of(spec)

    def inwards(array: np.ndarray) -> Any:
        return torch.from_numpy(plain(array))

    def outwards(came: Any) -> Any:
        return came.detach().cpu().numpy() if isinstance(came, torch.Tensor) else came

    @functools.wraps(function)
    def vjp(x: np.ndarray, *rest: Any, **options: Any) -> Any:
        *k, g = (converted(value, inwards) for value in rest)
        scores = inwards(x).requires_grad_()
        p = function(scores, *k, **converted_options(options, inwards))
        return outwards(torch.autograd.grad(p, scores, g)[0])

    @functools.wraps(function)
    def jvp(x: np.ndarray, *rest: Any, **options: Any) -> Any:
        *k, v = (converted(value, inwards) for value in rest)

        def of_scores(scores: Any) -> Any:
            return function(scores, *k, **converted_options(options, inwards))

        # The derivative of the vjp in its cotangent, which needs no forward mode of the function. Strict: what autograd
        # can't follow raises, instead of having the derivative 0.
        return outwards(torch.autograd.functional.jvp(of_scores, inwards(x), v, strict=True)[1])

    note = f"torch {torch.__version__}, on the CPU"
    project = speaking_numpy(function, inwards, outwards)
    # That there are derivatives is assumed: the function need not be one that can be differentiated.
    return Target(spec, project, vjp=vjp, jvp=jvp, note=note).assuming("vjp", "jvp").lacking(UNCLAIMED)
