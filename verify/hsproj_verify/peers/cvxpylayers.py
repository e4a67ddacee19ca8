"""cvxpylayers (PyPI, Apache-2.0, here for torch): the problem as CVXPY writes it, solved and differentiated by diffcp.

A layer is made for a length and used again, as its page advises.
"""

import functools
from importlib.metadata import version
from typing import Any

import cvxpy as cp
import torch
from cvxpylayers.torch import CvxpyLayer

from hsproj_verify.peers._claims import GENERAL, in_reverse_mode
from hsproj_verify.targets.torch import target_of


@functools.lru_cache(maxsize=64)
def _layer(n: int) -> CvxpyLayer:
    p, x, k = cp.Variable(n), cp.Parameter(n), cp.Parameter()
    problem = cp.Problem(cp.Minimize(cp.sum_squares(p - x) / 2), [cp.sum(p) == k, p >= 0, p <= 1])
    return CvxpyLayer(problem, parameters=[x, k], variables=[p])


def _project(x: torch.Tensor, k: Any) -> torch.Tensor:
    answer: torch.Tensor = _layer(x.shape[-1])(x, torch.as_tensor(k, dtype=x.dtype))[0]
    return answer


_NOTE = f"cvxpylayers {version('cvxpylayers')} with diffcp {version('diffcp')}"
target = in_reverse_mode(target_of("cvxpylayers", _project, _NOTE), *GENERAL)
