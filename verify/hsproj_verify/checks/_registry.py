"""What a check is, and the register of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsproj_verify.case import Case

if TYPE_CHECKING:
    from hsproj_verify.checks.examples import Example


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
    costly : bool
        Whether an example takes a second. If so, one that fails is not made smaller, nor put to models of known bugs.
    """

    name: str
    level: str
    claims: tuple[str, ...]
    weight: float
    costly: bool
    run: Callable[[Case], None]

    @property
    def summary(self) -> str:
        """First sentence of the check's docstring."""
        return self.proves.partition("\n")[0]

    @property
    def proves(self) -> str:
        """What a pass says."""
        return self._said[0].strip()

    @property
    def made_for(self) -> str:
        """The bug, seen in public code where there is one, that the check is there to find."""
        return " ".join(self._said[2].split())

    @property
    def _said(self) -> tuple[str, str, str]:
        return (inspect.getdoc(self.run) or "").partition("\nMade for: ")

    @property
    def example(self) -> Example:
        """A small implementation that fails this check; `hsproj_verify.checks.examples.RIGHT` is one that passes."""
        from hsproj_verify.checks.examples import FAILING

        return FAILING[self.name]


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order in which they run."""


def check(
    level: str, *claims: str, weight: float = 1.0, costly: bool = False
) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Register a function as the check of its name.

    Its docstring says what a pass proves and then, after "Made for:", what it is there to find.
    """

    def register(function: Callable[[Case], None]) -> Callable[[Case], None]:
        CHECKS[function.__name__] = Check(function.__name__, level, claims, weight, costly, function)
        return function

    return register
