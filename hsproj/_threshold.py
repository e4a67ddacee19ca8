"""The seam: threshold(rows, k, temperature) -> one certified `Threshold` for the batch; picks an implementation.

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


def threshold(rows: Array, k: Array, temperature: Array) -> Threshold:
    """Certified thresholds of canonical rows (m, n), with k and temperature (m,), all validated."""
    from hsproj._kernels import _solve

    records = np.empty((rows.shape[0], _solve.COLUMNS))
    status = np.empty(rows.shape[0], dtype=np.int8)
    _solve.solve_rows(rows, k, temperature, records, status)
    for r in np.flatnonzero((status != _solve.CERTIFIED) & (status != _solve.EMPTY)):
        records[r] = _undecided_row(rows[r].astype(np.float64), k[r], temperature[r])
    if (status == _solve.UNSETTLED).any():
        # Nothing known leads here, so it must not pass unheard: the answer is right, the way to it was not.
        warnings.warn(
            f"the fast stage failed on {int((status == _solve.UNSETTLED).sum())} of {status.size} rows, the first of them "
            f"row {int(np.argmax(status == _solve.UNSETTLED))}; they were solved in integers instead, which is exact but "
            "slow. Please report the row.",
            RuntimeWarning,
            stacklevel=2,
        )
    return Threshold(records)


def _undecided_row(row: Array, k: np.float64, tau: np.float64) -> Array:
    """A row the kernel left open: once more at a scale that suits it, if that changes no bit, else in exact arithmetic."""
    from hsproj._kernels import _solve

    finite = row[np.isfinite(row)]
    exponent = _exact.suitable_exponent(finite, tau)
    with np.errstate(over="ignore", under="ignore"):
        scaled, scaled_tau = np.ldexp(row, exponent), np.ldexp(tau, exponent)
        lossless = np.array_equal(np.ldexp(scaled, -exponent), row) and np.ldexp(scaled_tau, -exponent) == tau
    if exponent and lossless:
        records = np.empty((1, _solve.COLUMNS))
        status = np.empty(1, dtype=np.int8)
        _solve.solve_rows(scaled[None], np.array([k]), np.array([scaled_tau]), records, status)
        if status[0] == _solve.CERTIFIED:
            return _unscale(records[0], exponent)
    return _exact.solve_row(row, float(k), float(tau))


def _unscale(record: Array, exponent: int) -> Array:
    """The record of a row from that of the row times 2^exponent; delta stays as it is, with its scale."""
    from hsproj._kernels import _solve

    scores = [_solve.PIVOT, _solve.SUPPORT_FROM, _solve.SATURATED_FROM, _solve.LOWER_KINK, _solve.UPPER_KINK]
    unscaled = record.copy()
    unscaled[[*scores, _solve.MARGIN]] = np.ldexp(record[[*scores, _solve.MARGIN]], -exponent)
    unscaled[_solve.SCALE] = 2.0**exponent
    return unscaled
