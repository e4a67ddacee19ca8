"""The seam: threshold(rows, k, temperature, guess) -> one certified `Threshold` for the batch; picks an implementation.

Finds theta with sum_i clip((x_i - theta) / tau, 0, 1) = k. docs/theory.md, section "Threshold".
"""

import warnings
from dataclasses import dataclass

import numpy as np

from hsproj import _exact
from hsproj._inputs import Array


@dataclass(frozen=True, slots=True)
class Threshold:
    """The thresholds of m rows, in a form that loses nothing: theta = pivot + delta / scale.

    `pivot` is a score and `delta` a pair of floats no larger than tau * scale, so an offset common to the scores costs no
    digits. Sets are held as scores too, hence exact: row r has support {x >= support_from} and saturated set
    {x >= saturated_from}. Rows without an answer are NaN throughout.
    """

    records: Array

    def _column(self, name: str) -> Array:
        from hsproj._kernels import _solve

        column: Array = self.records[:, getattr(_solve, name)]
        return column

    @property
    def pivot(self) -> Array:
        """A score, or a float near theta."""
        return self._column("PIVOT")

    @property
    def answered(self) -> Array:
        """Whether the row has an answer."""
        return ~np.isnan(self.support_from)

    @property
    def support_from(self) -> Array:
        """The lowest score with p > 0."""
        return self._column("SUPPORT_FROM")

    @property
    def saturated_from(self) -> Array:
        """The lowest score with p = 1."""
        return self._column("SATURATED_FROM")

    @property
    def bounds(self) -> Array:
        """(m, 2): the lowest scores of support and saturated set."""
        return np.column_stack([self.support_from, self.saturated_from])

    @property
    def margin(self) -> Array:
        """Distance of the row to the next kink, max norm, in units of x."""
        return self._column("MARGIN")

    @property
    def lower_kink(self) -> Array:
        """The score that lies exactly at theta, NaN if none does."""
        return self._column("LOWER_KINK")

    @property
    def upper_kink(self) -> Array:
        """The score that lies exactly at theta + tau, NaN if none does."""
        return self._column("UPPER_KINK")


def threshold(rows: Array, k: Array, temperature: Array, guess: Array | None = None) -> Threshold:
    """Certified thresholds of canonical rows (m, n), with k and temperature (m,), all validated.

    `guess` (m, 2) bounds their sets, as `Threshold.bounds`, where these are known or likely: to prove them takes one pass.
    """
    from hsproj._kernels import _solve

    records = np.empty((rows.shape[0], _solve.COLUMNS))
    status = np.full(rows.shape[0], _solve.UNDECIDED, np.int8)
    if guess is not None:
        _solve.prove_rows(rows, k, temperature, guess, records, status)
    left = np.flatnonzero(status != _solve.CERTIFIED)
    if left.size:
        some = (rows, k, temperature) if left.size == status.size else (rows[left], k[left], temperature[left])
        records[left] = _search(*some)
    return Threshold(records)


def _search(rows: Array, k: Array, temperature: Array) -> Array:
    """The records of rows of which nothing is known: by the kernels, at another scale, or in integers."""
    from hsproj._kernels import _solve

    records = np.empty((rows.shape[0], _solve.COLUMNS))
    status = np.empty(rows.shape[0], dtype=np.int8)
    _solve.solve_rows(rows, k, temperature, records, status)
    _rescale(rows, k, temperature, records, status)
    for r in np.flatnonzero((status != _solve.CERTIFIED) & (status != _solve.EMPTY)):
        records[r] = _exact.solve_row(rows[r].astype(np.float64), float(k[r]), float(temperature[r]))
    hear(status == _solve.UNSETTLED, "certifying", rows)
    return records


def is_ordinary(rows: Array, k: Array, temperature: Array, theta: Threshold) -> Array:
    """Whether the quick kernels should have proved the sets of these rows: docs/numerics.md, section "What is declined"."""
    from hsproj._kernels._solve import LARGEST, SMALLEST

    support, saturated = (rows >= bound[:, None] for bound in (theta.support_from, theta.saturated_from))
    free = support.sum(axis=-1) - saturated.sum(axis=-1)
    rounding = 8.0 * 2.0**-52 * rows.shape[-1] * (k / np.maximum(free, 1) + 2.0)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = np.abs(theta.pivot) + temperature  # not far from |theta| + tau: the pivot is a free score
        size = np.abs(rows).sum(axis=-1, dtype=np.float64)
        inside = (free > 1) & (size <= LARGEST) & (np.minimum(k, temperature) >= SMALLEST) & (temperature <= LARGEST)
        apart = np.minimum(temperature, theta.margin) > scale * np.maximum(2.0**-36, rounding)
    ordinary: Array = inside & apart
    return ordinary


def hear(faulty: Array, stage: str, rows: Array) -> None:
    """Warn of rows that a stage should have settled: nothing known leads there, so it must not pass unheard."""
    if faulty.any():
        warnings.warn(
            f"the {stage} stage failed on {int(faulty.sum())} of {faulty.size} rows; their answers are right, the way "
            f"to them was slow. Please report the first of them: {rows[np.argmax(faulty)].tolist()}.",
            RuntimeWarning,
            stacklevel=3,
        )


def _rescale(rows: Array, k: Array, temperature: Array, records: Array, status: Array) -> None:
    """Solve the rows outside the safe range at a scale that suits them, where that changes no bit."""
    from hsproj._kernels import _solve

    outside = np.flatnonzero(status == _solve.OUTSIDE)
    if not outside.size:
        return
    scores, tau = rows[outside].astype(np.float64), temperature[outside]
    exponents = _exact.suitable_exponents(scores, tau)
    with np.errstate(over="ignore", under="ignore"):
        scaled, scaled_tau = np.ldexp(scores, exponents[:, None]), np.ldexp(tau, exponents)
        lossless = (np.ldexp(scaled, -exponents[:, None]) == scores).all(axis=-1) & (exponents != 0)
        lossless &= np.ldexp(scaled_tau, -exponents) == tau
    again = np.empty((outside.size, _solve.COLUMNS))
    verdict = np.empty(outside.size, dtype=np.int8)
    _solve.solve_rows(scaled, k[outside], scaled_tau, again, verdict)
    solved = lossless & (verdict == _solve.CERTIFIED)
    # Back to the scale of the rows: scores exactly, and delta as it is, with its scale.
    units = [
        _solve.PIVOT,
        _solve.SUPPORT_FROM,
        _solve.SATURATED_FROM,
        _solve.LOWER_KINK,
        _solve.UPPER_KINK,
        _solve.MARGIN,
    ]
    with np.errstate(over="ignore", under="ignore"):
        again[:, units] = np.ldexp(again[:, units], -exponents[:, None])
    again[:, _solve.SCALE] = np.ldexp(1.0, exponents)
    records[outside[solved]] = again[solved]
    status[outside[solved]] = _solve.CERTIFIED
