"""A function of torch tensors, (x, k) -> p, as a target: NumPy in, NumPy out, and its autograd for the vjp."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hsproj_verify.peers._claims import UNSAID
from hsproj_verify.target import Target


def torch_target(name: str, function: Callable[[torch.Tensor, Any], torch.Tensor], note: str) -> Target:
    """The target, claiming everything but NumPy's own: integer scores, strides, byte orders.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.peers._torch import torch_target
    >>> target = torch_target("square", lambda x, k: k * x * x, "no projection")
    >>> target.vjp(np.array([1.0, 2.0]), 3, np.array([1.0, 0.0]))
    array([6., 0.])
    """

    def project(x: np.ndarray, k: Any) -> np.ndarray:
        answer: np.ndarray = function(torch.from_numpy(x), k).numpy()
        return answer

    def project_and_vjp(x: np.ndarray, k: Any, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = torch.from_numpy(x).requires_grad_()
        p = function(scores, k)
        (gradient,) = torch.autograd.grad(p, scores, torch.from_numpy(g))
        return p.detach().numpy(), gradient.numpy()

    def vjp(x: np.ndarray, k: Any, g: np.ndarray) -> np.ndarray:
        return project_and_vjp(x, k, g)[1]

    target = Target(name, project, vjp, note=note, project_and_vjp=project_and_vjp)
    return target.without(*UNSAID, "integers", "layouts")
