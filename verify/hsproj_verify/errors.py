"""Errors of the answers that checks look at: one at a time in; the largest by family, dtype and length out, and the worst."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsproj_verify.case import Witness


@dataclass(frozen=True)
class Measurement:
    """The largest error among problems of one family and dtype, with some range of lengths.

    Attributes
    ----------
    family, dtype : str
    shortest, longest : int
        The range of n: from one power of two to below the next.
    problems : int
        How many were measured.
    error : float
        In units of eps (1 + p), p the exact answer; infinite if an entry was no number.
    """

    family: str
    dtype: str
    shortest: int
    longest: int
    problems: int
    error: float


@dataclass(frozen=True)
class Worst:
    """The largest error of all, and where it was.

    Attributes
    ----------
    error : float
        In units of eps (1 + p).
    family, dtype : str
    n : int
    witness : Witness
    """

    error: float
    family: str
    dtype: str
    n: int
    witness: Witness


class Errors:
    """The errors seen so far.

    Examples
    --------
    >>> from hsproj_verify.case import Witness
    >>> from hsproj_verify.errors import Errors
    >>> errors = Errors()
    >>> for n, error in [(3, 0.5), (2, 0.75), (5, 0.25)]:
    ...     errors.note(error, "tied", "float64", n, lambda: Witness("f(x)", "[1.0]", "[1]"))
    >>> [(m.shortest, m.longest, m.problems, m.error) for m in errors.measured]
    [(2, 3, 2, 0.75), (4, 7, 1, 0.25)]
    >>> errors.worst.n
    2
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, int], Measurement] = {}
        self._worst: tuple[float, str, str, int, Callable[[], Witness]] | None = None

    def note(self, error: float, family: str, dtype: str, n: int, witness: Callable[[], Witness]) -> None:
        """One more answer; its witness is made only if it turns out to be the worst."""
        low = 1 << n.bit_length() >> 1
        one = Measurement(family, dtype, low, max(2 * low - 1, 0), 1, error)
        key = (family, dtype, low)
        self._groups[key] = _together(self._groups[key], one) if key in self._groups else one
        if self._worst is None or error > self._worst[0]:
            self._worst = (error, family, dtype, n, witness)

    @property
    def measured(self) -> tuple[Measurement, ...]:
        """What was seen, by family, dtype and length."""
        return tuple(self._groups[key] for key in sorted(self._groups))

    @property
    def worst(self) -> Worst | None:
        """The worst of it; None if nothing was measured."""
        if self._worst is None:
            return None
        error, family, dtype, n, witness = self._worst
        return Worst(error, family, dtype, n, witness())


def _together(a: Measurement, b: Measurement) -> Measurement:
    return replace(a, problems=a.problems + b.problems, error=max(a.error, b.error))


def merged(several: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Groups of several checks as one: the largest error of each family, dtype and range of lengths."""
    groups: dict[tuple[str, str, int], Measurement] = {}
    for one in several:
        key = (one.family, one.dtype, one.shortest)
        groups[key] = _together(groups[key], one) if key in groups else one
    return tuple(groups[key] for key in sorted(groups))
