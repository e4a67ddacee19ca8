"""What a mutant is, and decorators that make one of a function with a bug."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hsproj_verify import Target
from right import RIGHT
from right._operator import rows
from right.rationals import solve

Array = np.ndarray

BASE = RIGHT["rationals"]
"""What mutants derive from: exact, and right in every respect."""


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation; `caught_by` names checks that claim to catch what is wrong with it."""

    name: str
    module: str
    origin: str
    caught_by: tuple[str, ...]
    target: Target


def nearest(x: Array, k: float, tau: float) -> Array:
    """The right answer for one row."""
    return solve(x, k, tau).p


def relative(x: Array) -> Array:
    """The scores relative to the largest, in extended precision."""
    return x.astype(np.longdouble) - x.max()


def mutated(part: str, *caught_by: str) -> Callable[[Callable[..., Any]], Mutant]:
    """A decorator: `BASE` with this part of it (a field of `Target`) made by the decorated function."""

    def make(function: Callable[..., Any]) -> Mutant:
        return _mutant(function, caught_by, replace(BASE, **{part: function}))

    return make


def row(*caught_by: str) -> Callable[[Callable[[Array, float, float], Array]], Mutant]:
    """The same for a projection of one row, (x, k, tau) -> p."""

    def make(function: Callable[[Array, float, float], Array]) -> Mutant:
        return _mutant(function, caught_by, replace(BASE, project=rows(function)))

    return make


def call(*caught_by: str) -> Callable[[Callable[..., Any]], Mutant]:
    """The same for a whole projection, (x, k, temperature) -> p, with batches and refusals of its own."""

    def make(function: Callable[..., Any]) -> Mutant:
        def project(x: Any, k: Any, temperature: float = 1.0) -> Any:
            return function(x, k, temperature)

        return _mutant(function, caught_by, replace(BASE, project=project))

    return make


def _mutant(function: Callable[..., Any], caught_by: tuple[str, ...], target: Target) -> Mutant:
    name, module = function.__name__, function.__module__.rpartition(".")[2]
    return Mutant(name, module, inspect.getdoc(function) or "", caught_by, replace(target, name=name))
