"""What a check is, and the register of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hsproj_verify.case import Case


@dataclass(frozen=True)
class Check:
    """A named property.

    Attributes
    ----------
    name, level : str
    claims : tuple of str
        What a target must claim for the check to apply; see `hsproj_verify.target.CLAIMS`.
    weight : float
        Share of the examples of an ordinary check: less than 1 for costly ones.
    """

    name: str
    level: str
    claims: tuple[str, ...]
    weight: float
    run: Callable[[Case], None]

    @property
    def summary(self) -> str:
        """First sentence of the check's docstring."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order in which they run."""


def check(level: str, *claims: str, weight: float = 1.0) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Register a function as the check of its name."""

    def register(function: Callable[[Case], None]) -> Callable[[Case], None]:
        CHECKS[function.__name__] = Check(function.__name__, level, claims, weight, function)
        return function

    return register
