"""qpth (PyPI, Apache-2.0, for torch): `QPFunction`, a batched interior point method in torch, differentiable.

It declares numpy < 2 and so needs an environment of its own, though it runs with NumPy 2 where pip is told not to look.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from qpth.qp import QPFunction

from hsproj_verify.peers._claims import GENERAL
from hsproj_verify.peers._torch import torch_target


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    n = x.shape[-1]
    identity, ones, zeros = torch.eye(n, dtype=x.dtype), torch.ones(n, dtype=x.dtype), torch.zeros(n, dtype=x.dtype)
    rows = x.reshape(-1, n)
    totals = torch.as_tensor(np.broadcast_to(k, (len(rows),)).copy(), dtype=x.dtype)[:, None]
    bounds = torch.cat([identity, -identity]), torch.cat([ones, zeros])
    return QPFunction(verbose=-1)(identity, -rows, *bounds, ones[None], totals).reshape(x.shape)


target = torch_target("qpth", _project, f"qpth {version('qpth')} on torch {version('torch')}").without(*GENERAL)
