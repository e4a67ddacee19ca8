"""What targets are compared with: a bare pass over memory, and answers that are right to many more digits than are asked for.

The bare pass of a projection knows the threshold; the bare pass of a vjp takes every entry for free. Both read each row once
or twice, write it once and decide nothing.
"""

from __future__ import annotations

import numpy as np

from hsproj_verify.bench import passes
from hsproj_verify.bench.regimes import Regime


def clip(regime: Regime, scores: np.ndarray, theta: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """clip(scores - theta, 0, 1) in one pass in memory order, with scores divided by the temperature beforehand."""
    out = np.empty_like(scores) if out is None else out
    if regime.axis == scores.ndim - 1:
        passes.clip_rows(scores.reshape(regime.rows, regime.n), theta, out.reshape(regime.rows, regime.n))
    else:
        passes.clip_columns(scores.reshape(regime.n, regime.rows), theta, out.reshape(regime.n, regime.rows))
    return out


def centre(regime: Regime, g: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """G less its mean: one read for the mean and another for what is written."""
    out = np.empty_like(g) if out is None else out
    if regime.axis == g.ndim - 1:
        passes.centre_rows(g.reshape(regime.rows, regime.n), out.reshape(regime.rows, regime.n))
    else:
        passes.centre_columns(g.reshape(regime.n, regime.rows), out.reshape(regime.n, regime.rows))
    return out


def thresholds(rows: np.ndarray, k: int, temperature: float) -> np.ndarray:
    """Thresholds of rows in float64: two neighbouring breakpoints by bisection, and the linear piece between them.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.bench.baselines import thresholds
    >>> thresholds(np.array([[3.0, 1.0, 1.0, 0.0]]), 2, 1.0)
    array([0.5])
    """
    rows = np.ascontiguousarray(rows, np.float64)
    breakpoints = np.concatenate([rows, rows - temperature], axis=1)
    breakpoints.sort(axis=1)
    return passes.thresholds(rows, breakpoints, float(k), float(temperature))  # type: ignore[no-any-return]


def answers(rows: np.ndarray, k: int, g: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, projection and vjp of rows, in float64."""
    theta = thresholds(rows, k, temperature)
    offsets = rows - theta[:, None]
    p = np.clip(offsets / temperature, 0.0, 1.0)
    free = (offsets > 0.0) & (offsets < temperature)
    mean = np.sum(g, axis=1, where=free, dtype=np.float64) / np.maximum(free.sum(axis=1), 1)
    return theta, p, np.where(free, (g - mean[:, None]) / temperature, 0.0)
