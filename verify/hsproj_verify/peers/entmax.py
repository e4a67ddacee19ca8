"""entmax (PyPI, MIT, for torch): `budget_bisect`, 50 halvings of the threshold; `sparsemax` at k = 1, as its page advises.

Its docstring takes budgets over 1: it is not asked for 0, nor for n. Its vjp is that of its autograd function, and so costs a
projection, too.
"""

from importlib.metadata import version
from typing import Any

import torch
from entmax import budget_bisect, sparsemax

from hsproj_verify.peers._claims import in_reverse_mode
from hsproj_verify.targets.torch import target_of


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    if isinstance(k, torch.Tensor):
        return budget_bisect(x, budget=k.to(x.dtype)[..., None], dim=-1)
    return sparsemax(x, dim=-1) if k == 1 else budget_bisect(x, budget=k, dim=-1)


target = in_reverse_mode(target_of("entmax", _project, f"entmax {version('entmax')}"), "edge-k")
