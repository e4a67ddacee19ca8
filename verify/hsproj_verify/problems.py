"""A problem, held exactly: scores, k, temperature and dtype in; arrays, the exact answer and pasteable Python out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from hsproj_verify.oracles import exact


@dataclass(frozen=True)
class Problem:
    """One row to project.

    Attributes
    ----------
    scores : tuple of n floats
        Each is representable in `dtype`.
    k, temperature : float
    dtype : str
        "float32" or "float64" (or an integer dtype): what the target is handed.
    family : str
        Where it was drawn from, for reports; the same problem has no other one.
    constraint : str
        "eq" for sum p = k, "le" for sum p <= k.

    Examples
    --------
    >>> from hsproj_verify.problems import Problem
    >>> problem = Problem((3.0, 1.0, 1.0, 0.0), 2.0)
    >>> problem.solution.free
    (1, 2)
    """

    scores: tuple[float, ...]
    k: float
    temperature: float = 1.0
    dtype: str = "float64"
    constraint: str = "eq"
    family: str = field(default="", compare=False, repr=False)

    @property
    def n(self) -> int:
        """Number of scores."""
        return len(self.scores)

    @property
    def eps(self) -> float:
        """Machine epsilon of answers to this problem."""
        kind = np.dtype(self.dtype)
        return float(np.finfo(kind if kind.kind == "f" else np.float64).eps)

    @property
    def x(self) -> np.ndarray:
        """The scores as a new array."""
        return np.array(self.scores, dtype=self.dtype)

    @cached_property
    def solution(self) -> exact.Solution:
        """The exact answer."""
        return exact.solve(self.scores, self.k, self.temperature, constraint=self.constraint)

    @property
    def total(self) -> int | float:
        """K as callers write it: an int if it is whole."""
        return int(self.k) if float(self.k).is_integer() else self.k

    def with_scores(self, scores: Sequence[float] | np.ndarray, **changes: Any) -> Problem:
        """The same problem with other scores, rounded to its dtype (and other changes by name)."""
        dtype = np.dtype(changes.get("dtype", self.dtype))
        rounded = np.asarray(scores, dtype=dtype if dtype.kind == "f" else np.float64)
        return replace(self, scores=tuple(rounded.tolist()), **changes)


def number_source(value: float) -> str:
    """A Python expression for a number, exact."""
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "np.inf", -math.inf: "-np.inf"}.get(value, "np.nan")
    return repr(value)


def array_source(array: np.ndarray) -> str:
    """A Python expression for an array, exact."""

    def nested(values: Any) -> str:
        return f"[{', '.join(map(nested, values))}]" if isinstance(values, list) else number_source(values)

    return f'np.array({nested(array.tolist())}, dtype="{array.dtype}")'


def error_in_eps(p: np.ndarray, truth: Sequence[Fraction], eps: float) -> float:
    """max_i |p_i - p*_i| / (eps (1 + |p*_i|)); inf if an entry is not finite. What accuracy is measured in here."""
    if not np.isfinite(p).all():
        return math.inf
    worst = max(
        (abs(Fraction(float(a)) - b) / (1 + abs(b)) for a, b in zip(p, truth, strict=True)), default=Fraction(0)
    )
    return as_float(worst / Fraction(eps))


def as_float(value: Fraction) -> float:
    """The nearest float64, infinite beyond them."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
