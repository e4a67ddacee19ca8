"""torchisotonic (PyPI, MIT, for torch), composed as in `hsproj_verify.peers._isotonic`: all rows at once, with autograd."""

from importlib.metadata import version
from typing import Any

import torch
import torchisotonic

from hsproj_verify.peers._claims import in_reverse_mode
from hsproj_verify.targets.torch import target_of


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    z, order = torch.sort(x, dim=-1, descending=True)
    totals = torch.as_tensor(k)[..., None]
    ones = (torch.arange(x.shape[-1]) < totals).to(x.dtype)
    p = z - torchisotonic.isotonic(z - ones, increasing=False, dim=-1)
    return torch.empty_like(p).scatter(-1, order, p)


_NOTE = f"torchisotonic {version('torchisotonic')}, on sorted scores"
target = in_reverse_mode(target_of("torchisotonic", _project, _NOTE), "real-k", "exact")
