"""proxsuite (PyPI, BSD-2-Clause): the QP layer for torch around ProxQP, an augmented Lagrangian method; differentiable."""

from importlib.metadata import version

import torch
from proxsuite.torch.qplayer import QPFunction

from hsproj_verify.peers._claims import GENERAL, in_reverse_mode
from hsproj_verify.peers._qp import of_rows
from hsproj_verify.targets.torch import target_of


@of_rows
def _project(identity: torch.Tensor, ones: torch.Tensor, rows: torch.Tensor, totals: torch.Tensor) -> torch.Tensor:
    p: torch.Tensor = QPFunction()(identity, -rows, ones[None], totals, identity, 0 * ones, ones)[0]
    return p


_NOTE = f"proxsuite {version('proxsuite')}, its QP layer"
target = in_reverse_mode(target_of("proxsuite", _project, _NOTE), *GENERAL)
