"""The projection as a quadratic program, by CVXPY and Clarabel: a cross-check with the digits it has, not ground truth.

Scores are centred first: interior point methods lose their digits to an offset. The answer comes with its own residuals,
so that nobody reads more digits in it than there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class QPSolution:
    """The solver's answer.

    Attributes
    ----------
    p : ndarray of n floats
    status : str
        Clarabel's own word, "optimal" when it is content.
    infeasibility : float
        How far p leaves [0, 1], or its sum k, whichever is more.
    suboptimality : float
        Largest difference of p_i and clip((x_i - theta) / tau, 0, 1), with theta the solver's dual variable: how far its p
        and its theta are from belonging together.
    """

    p: np.ndarray
    status: str
    infeasibility: float
    suboptimality: float

    @property
    def digits(self) -> float:
        """What to trust: no absolute error below this should be read into the answer."""
        return max(self.infeasibility, self.suboptimality)


def solve(x: np.ndarray, k: float, temperature: float = 1.0) -> QPSolution:
    """Minimise ||p - x / temperature||^2 / 2 over {0 <= p <= 1, sum p = k}.

    Parameters
    ----------
    x : array_like, shape (n,), finite
    k : float
        0 <= k <= n.
    temperature : float
        Positive.

    Examples
    --------
    >>> from hsproj_verify.oracles import qp
    >>> answer = qp.solve([3.0, 1.0, 1.0, 0.0], 2)
    >>> answer.p.round(6) + 0.0, answer.digits < 1e-6
    (array([1. , 0.5, 0.5, 0. ]), True)
    """
    import cvxpy

    cp: Any = cvxpy  # its stubs know little of it

    scores = np.asarray(x, dtype=np.float64)
    # With the centre at the (floor(k) + 1)-th largest score, F(centre) <= k < F(centre - tau): theta lies less than tau below
    # it, and a score more than 2 tau away is 0 or 1 wherever exactly it is. So centring costs nothing, nor does clipping.
    centre = np.sort(scores)[::-1][min(int(k), len(scores) - 1)]
    with np.errstate(over="ignore"):
        z = np.clip((scores - centre) / temperature, -2.0, 2.0)
    p = cp.Variable(len(z))
    total = cp.sum(p) == k
    problem = cp.Problem(cp.Minimize(cp.sum_squares(p - z) / 2), [total, p >= 0, p <= 1])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    value = np.asarray(p.value, dtype=np.float64)
    theta = float(np.asarray(total.dual_value).reshape(-1)[0])
    infeasibility = max(abs(float(value.sum()) - k), float(np.max(-value)), float(np.max(value - 1.0)))
    suboptimality = float(np.abs(value - np.clip(z - theta, 0.0, 1.0)).max())
    return QPSolution(value, str(problem.status), infeasibility, suboptimality)


def solve_box(
    x: np.ndarray,
    total: float,
    lower: np.ndarray,
    upper: np.ndarray,
    weights: np.ndarray,
    constraint: str = "eq",
) -> QPSolution:
    """Minimise ||p - x||^2 / 2 over {lower <= p <= upper, sum of weights * p = total}, or <= total.

    Parameters
    ----------
    x, lower, upper, weights : array_like, shape (n,)
        Of size 1 or so: nothing is centred or scaled here. Bounds may be infinite.
    total : float
    constraint : str
        "eq" or "le".

    Examples
    --------
    >>> from hsproj_verify.oracles import qp
    >>> qp.solve_box([3.0, 1.0, 0.0], 2.0, [0.0] * 3, [1.0] * 3, [1.0, 2.0, 1.0]).p.round(6) + 0.0
    array([1. , 0.5, 0. ])
    """
    import cvxpy

    cp: Any = cvxpy

    z, low, high, w = (np.asarray(a, dtype=np.float64) for a in (x, lower, upper, weights))
    p = cp.Variable(len(z))
    budget = w @ p == total if constraint == "eq" else w @ p <= total
    bounded = np.isfinite(low), np.isfinite(high)
    bounds = [p[bounded[0]] >= low[bounded[0]], p[bounded[1]] <= high[bounded[1]]]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(p - z) / 2), [budget, *bounds])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    value = np.asarray(p.value, dtype=np.float64)
    theta = float(np.asarray(budget.dual_value).reshape(-1)[0])
    missed = float(w @ value) - total
    infeasibility = max(
        abs(missed) if constraint == "eq" else missed, float(np.max(low - value)), float(np.max(value - high)), 0.0
    )
    suboptimality = float(np.abs(value - np.clip(z - theta * w, low, high)).max())
    return QPSolution(value, str(problem.status), infeasibility, suboptimality)
