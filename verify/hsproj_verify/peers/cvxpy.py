"""CVXPY (PyPI, Apache-2.0): the definition as one writes it down, solved by the solver that CVXPY chooses."""

from importlib.metadata import version
from typing import Any

import cvxpy as cp
import numpy as np

from hsproj_verify.peers._claims import GENERAL, UNSAID
from hsproj_verify.target import Target


def project(x: np.ndarray, k: Any) -> Any:
    """The minimum of ||p - x||^2 / 2 over the hypersimplex; None where the solver finds none."""
    p = cp.Variable(len(x))
    cp.Problem(cp.Minimize(cp.sum_squares(p - x) / 2), [cp.sum(p) == k, p >= 0, p <= 1]).solve()
    return p.value


target = Target(name="cvxpy", project=project, note=f"cvxpy {version('cvxpy')}, the solver it chooses").without(
    *UNSAID, *GENERAL, "batch"
)
