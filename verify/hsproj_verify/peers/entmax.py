"""entmax (PyPI, MIT, for torch): `budget_bisect`, 50 halvings of the threshold; `sparsemax` at k = 1, as its page advises.

Its docstring takes budgets over 1. Its vjp is that of its autograd function, and so costs a projection, too.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from entmax import budget_bisect, sparsemax

from hsproj_verify.peers._torch import torch_target


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    if np.ndim(k) == 0 and k == 1:
        return sparsemax(x, dim=-1)
    if np.ndim(k):
        k = torch.as_tensor(np.asarray(k), dtype=x.dtype)[..., None]
    return budget_bisect(x, budget=k, dim=-1)


target = torch_target("entmax", _project, f"entmax {version('entmax')} on torch {version('torch')}")
