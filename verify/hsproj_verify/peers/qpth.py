"""qpth (PyPI, Apache-2.0, for torch): `QPFunction`, a batched interior point method in torch, differentiable.

Where k = 0 or k = n there is no interior, and it says that the problem may be infeasible or difficult: it is not asked then.
It declares numpy < 2 and so needs an environment of its own, though it runs with NumPy 2 where pip is told not to look.
"""

from importlib.metadata import version

import torch
from qpth.qp import QPFunction

from hsproj_verify.peers._claims import GENERAL, in_reverse_mode
from hsproj_verify.peers._qp import of_rows
from hsproj_verify.targets.torch import target_of


@of_rows
def _project(identity: torch.Tensor, ones: torch.Tensor, rows: torch.Tensor, totals: torch.Tensor) -> torch.Tensor:
    bounds = torch.cat([identity, -identity]), torch.cat([ones, 0 * ones])
    p: torch.Tensor = QPFunction(verbose=-1)(identity, -rows, *bounds, ones[None], totals)
    return p


target = in_reverse_mode(target_of("qpth", _project, f"qpth {version('qpth')}"), *GENERAL, "edge-k")
