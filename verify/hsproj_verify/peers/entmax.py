"""entmax (PyPI, MIT, for torch): `budget_bisect`, 50 halvings of the threshold; `sparsemax` at k = 1, as its page advises.

Its vjp is that of its autograd function, and so costs a projection, too.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from entmax import budget_bisect, sparsemax

from hsproj_verify.target import Target


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    if np.ndim(k) == 0 and k == 1:
        return sparsemax(x, dim=-1)
    if np.ndim(k):
        k = torch.as_tensor(np.asarray(k), dtype=x.dtype)[..., None]
    return budget_bisect(x, budget=k, dim=-1)


def project(x: np.ndarray, k: Any) -> np.ndarray:
    """The package's own call."""
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
    name="entmax",
    project=project,
    vjp=vjp,
    note=f"entmax {version('entmax')} on torch {version('torch')}",
    project_and_vjp=project_and_vjp,
).without("integers", "infinities", "layouts")
