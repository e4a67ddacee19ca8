"""The checks: one function per property, each a sentence about every right implementation.

A check takes a `Case`, draws its problem, calls the target through it, and raises `CheckFailure` with a witness. Tolerances
are `case.tolerance` (8 by default) times eps (1 + |p*|), per entry, wherever nothing else is said.

Each module holds one level or two, in the order in which they run.
"""

from hsproj_verify.checks import feasibility, accuracy, edges, structure, calling, derivatives, kinks  # noqa: F401, I001
from hsproj_verify.checks import losses, fenchel_young, cross_entropy, zero_one, large  # noqa: F401
from hsproj_verify.checks._registry import CHECKS, Check, check

__all__ = ["CHECKS", "Check", "check"]
