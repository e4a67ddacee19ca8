"""What layers for quadratic programs in torch are given: all rows at once, as (rows, n) scores and (rows, 1) totals."""

from collections.abc import Callable
from typing import Any

import torch

Solver = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor | None]


def of_rows(solve: Solver) -> Callable[[torch.Tensor, Any], torch.Tensor | None]:
    """The projection of any number of rows, by `solve(identity, ones, rows, totals)`; None where that finds none.

    Examples
    --------
    >>> import torch
    >>> from hsproj_verify.peers._qp import of_rows
    >>> of_rows(lambda identity, ones, rows, totals: totals * rows @ identity)(torch.ones(2), 3)
    tensor([3., 3.])
    """

    def project(x: torch.Tensor, k: Any) -> torch.Tensor | None:
        n = x.shape[-1]
        rows = x.reshape(-1, n)
        totals = torch.as_tensor(k, dtype=x.dtype).expand(len(rows))[:, None].contiguous()
        p = solve(torch.eye(n, dtype=x.dtype), torch.ones(n, dtype=x.dtype), rows, totals)
        return None if p is None else p.reshape(x.shape)

    return project
