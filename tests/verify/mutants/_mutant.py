"""What a mutant is, and the decorators that make one of a function with a bug: which of them says what the function is.

============== =============================================== =======================================================
decorator      the function                                    what it gets
============== =============================================== =======================================================
row            (x, k, tau) -> p                                one row
long_row       (x, k, tau) -> p                                one row of more than 20 000 scores
call           (x, k, tau) -> p                                the call as it comes: batches, bad input, any memory
vjp, jvp       (x, k, v, tau) -> product with the Jacobian     one row
loss           (x, y, k, tau) -> loss                          one row, y being the targets
loss_and_grad  (x, y, k, tau) -> (loss, gradient)              one row
part(name)     as `hsproj_verify.Target` says                  the call as it comes, of that field of `Target`
============== =============================================== =======================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hsproj_verify import Target
from right import RIGHT
from right._operator import from_threshold, products, rows
from right.rationals import solve
from right.sorted_scan import threshold

Array = np.ndarray
Function = Callable[..., Any]

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


def free(x: Array, k: float, tau: float) -> Array:
    """Where its entries are neither 0 nor 1."""
    return solve(x, k, tau).free


def quickly(x: Array, k: float, tau: float) -> Array:
    """The right answer for a long row, by a sorted scan in extended precision."""
    p, finite = (x > 0).astype(x.dtype), np.isfinite(x)
    p[finite] = _scan(x[finite], k - np.count_nonzero(x == np.inf), tau).p
    return p


_scan = from_threshold(threshold)


def relative(x: Array) -> Array:
    """The scores relative to the largest, in extended precision."""
    return x.astype(np.longdouble) - x.max()


def part(name: str, lift: Callable[[Function], Function] = lambda function: function, base: Target = BASE) -> Function:
    """A decorator of functions with a bug, which takes the names of checks: `base` with this field made of the function."""

    def caught_by(*checks: str) -> Callable[[Function], Mutant]:
        def make(function: Function) -> Mutant:
            target = replace(base, name=function.__name__, **{name: lift(function)})
            module = function.__module__.rpartition(".")[2]
            return Mutant(target.name, module, inspect.getdoc(function) or "", checks, target)

        return make

    return caught_by


def called(function: Function) -> Function:
    """A function whose last argument is tau as one that is called with temperature=."""

    def call(*arguments: Any, temperature: Any = 1.0) -> Any:
        return function(*arguments, temperature)

    return call


def _long_rows(function: Function) -> Function:
    return rows(lambda x, k, tau: function(x, k, tau) if len(x) > 20_000 else nearest(x, k, tau))


LARGE_BASE = replace(BASE, project=_long_rows(quickly)).claiming("large")
"""What mutants that are wrong about long rows derive from."""

row = part("project", rows)
long_row = part("project", _long_rows, LARGE_BASE)
call = part("project", called)
vjp = part("vjp", products)
jvp = part("jvp", products)
loss = part("loss", called)
loss_and_grad = part("loss_and_grad", called)
