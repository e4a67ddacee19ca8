"""proxsuite (PyPI, BSD-2-Clause): the QP layer for torch around ProxQP, an augmented Lagrangian method; differentiable."""

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from proxsuite.torch.qplayer import QPFunction

from hsproj_verify.peers._claims import GENERAL
from hsproj_verify.peers._torch import torch_target


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    n = x.shape[-1]
    identity, ones, zeros = torch.eye(n, dtype=x.dtype), torch.ones(n, dtype=x.dtype), torch.zeros(n, dtype=x.dtype)
    rows = x.reshape(-1, n)
    totals = torch.as_tensor(np.broadcast_to(k, (len(rows),)).copy(), dtype=x.dtype)[:, None]
    p, _, _ = QPFunction()(identity, -rows, ones[None], totals, identity, zeros, ones)
    return p.reshape(x.shape)


target = torch_target(
    "proxsuite", _project, f"proxsuite {version('proxsuite')}, its QP layer on torch {version('torch')}"
).without(*GENERAL)
