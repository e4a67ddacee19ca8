"""torchisotonic (PyPI, MIT, for torch), composed as in `hsproj_verify.peers.scipy`: sort, fit, unsort; all rows at once."""

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torchisotonic

from hsproj_verify.target import Target


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    z, order = torch.sort(x, dim=-1, descending=True)
    totals = torch.as_tensor(np.asarray(k))[..., None]
    ones = (torch.arange(x.shape[-1]) < totals).to(x.dtype)
    p = z - torchisotonic.isotonic(z - ones, increasing=False, dim=-1)
    return torch.empty_like(p).scatter(-1, order, p)


def project(x: np.ndarray, k: Any) -> np.ndarray:
    """The composition, without gradients."""
    answer: np.ndarray = _project(torch.from_numpy(x), k).numpy()
    return answer


def project_and_vjp(x: np.ndarray, k: Any, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Forward, then backward."""
    scores = torch.from_numpy(x).requires_grad_()
    p = _project(scores, k)
    (gradient,) = torch.autograd.grad(p, scores, torch.from_numpy(g))
    return p.detach().numpy(), gradient.numpy()


def vjp(x: np.ndarray, k: Any, g: np.ndarray) -> np.ndarray:
    """Backward, which needs the forward call."""
    return project_and_vjp(x, k, g)[1]


target = Target(
    name="torchisotonic",
    project=project,
    vjp=vjp,
    note=f"torchisotonic {version('torchisotonic')} on torch {version('torch')}, on sorted scores",
    project_and_vjp=project_and_vjp,
).without("real-k", "integers", "infinities", "layouts")
