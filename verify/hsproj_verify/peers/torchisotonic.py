"""torchisotonic (PyPI, MIT, for torch), composed as in `hsproj_verify.peers._isotonic`: all rows at once, with autograd."""

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torchisotonic

from hsproj_verify.peers._torch import torch_target


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    z, order = torch.sort(x, dim=-1, descending=True)
    totals = torch.as_tensor(np.asarray(k))[..., None]
    ones = (torch.arange(x.shape[-1]) < totals).to(x.dtype)
    p = z - torchisotonic.isotonic(z - ones, increasing=False, dim=-1)
    return torch.empty_like(p).scatter(-1, order, p)


target = torch_target(
    "torchisotonic", _project, f"torchisotonic {version('torchisotonic')} on torch {version('torch')}, on sorted scores"
).without("real-k", "exact")
