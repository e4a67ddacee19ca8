"""Solvers of quadratic programs, through qpsolvers (PyPI, LGPL-3.0): one target a solver, at the settings it comes with.

    hsproj-verify check hsproj_verify.peers.qpsolvers:osqp

They are made for any convex quadratic program, in float64, a problem a call; they know no derivative.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import qpsolvers
from scipy import sparse

from hsproj_verify.peers._claims import GENERAL, UNSAID
from hsproj_verify.target import Target

_DISTRIBUTIONS = {"highs": "highspy", "proxqp": "proxsuite"}


def _target(solver: str) -> Target:
    distribution = _DISTRIBUTIONS.get(solver, solver)
    return Target(
        name=solver,
        project=_projection(solver, dense=solver in qpsolvers.dense_solvers),
        note=f"{distribution} {version(distribution)} through qpsolvers {version('qpsolvers')}, its own settings",
    ).without(*UNSAID, *GENERAL, "batch")


def _projection(solver: str, dense: bool) -> Callable[..., Any]:
    def project(x: np.ndarray, k: Any) -> Any:
        n = len(x)
        identity, ones = (np.eye(n), np.ones((1, n))) if dense else (sparse.eye(n, format="csc"), _row_of_ones(n))
        total = np.array([k], dtype=np.float64)
        return qpsolvers.solve_qp(identity, -x, A=ones, b=total, lb=np.zeros(n), ub=np.ones(n), solver=solver)

    return project


def _row_of_ones(n: int) -> sparse.csc_matrix:
    return sparse.csc_matrix(np.ones((1, n)))


def __getattr__(name: str) -> Target:
    """The target of a solver, if that is installed."""
    if name not in qpsolvers.available_solvers:
        raise AttributeError(f"no solver {name!r}; installed: {', '.join(qpsolvers.available_solvers)}")
    return _target(name)
