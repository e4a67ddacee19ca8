"""What `make bench` measures: hsproj with its combined call."""

from typing import Any

import numpy as np

from hsproj import soft_binary_argmax, solve, vjp
from hsproj_verify.target import Target


def project_and_vjp(x: np.ndarray, k: Any, g: np.ndarray, *, temperature: float = 1.0, axis: int = -1) -> Any:
    sol = solve(x, k, temperature=temperature, axis=axis)
    return sol.p, sol.vjp(g)


hsproj = Target(
    "hsproj",
    soft_binary_argmax,
    vjp,
    note="soft_binary_argmax, vjp; both from one solution by solve and Projection.vjp",
    project_and_vjp=project_and_vjp,
)
# A second target belongs here once its kernel is there: "inexact", the same search without the exact stage.
