"""The public functions for arrays of other libraries than NumPy: array-API calls only, no branch on values.

docs/arrays.md says what is promised, and why it holds.
"""

from hsproj._generic._box import project_box, solve_box
from hsproj._generic._losses import (
    cross_entropy_loss,
    cross_entropy_loss_and_grad,
    fenchel_young_loss,
    fenchel_young_loss_and_grad,
    hypersimplex_loss,
    hypersimplex_loss_and_grad,
    top_k_zero_one_loss,
    zero_one_loss,
)
from hsproj._generic._oneshot import jacobian, jvp, soft_binary_argmax_and_vjp, vjp
from hsproj._generic._projection import binary_argmax, project, soft_binary_argmax
from hsproj._generic._solution import solve

__all__ = [
    "binary_argmax",
    "cross_entropy_loss",
    "cross_entropy_loss_and_grad",
    "fenchel_young_loss",
    "fenchel_young_loss_and_grad",
    "hypersimplex_loss",
    "hypersimplex_loss_and_grad",
    "jacobian",
    "jvp",
    "project",
    "project_box",
    "soft_binary_argmax",
    "soft_binary_argmax_and_vjp",
    "solve",
    "solve_box",
    "top_k_zero_one_loss",
    "vjp",
    "zero_one_loss",
]
