"""hsproj: projection onto the hypersimplex {p in [0,1]^n : sum p = k}, its derivatives and losses."""

from hsproj._box import BoxProjection, project_box, solve_box
from hsproj._fenchel_young import fenchel_young_loss, fenchel_young_loss_and_grad
from hsproj._losses import (
    cross_entropy_loss,
    cross_entropy_loss_and_grad,
    hypersimplex_loss,
    hypersimplex_loss_and_grad,
)
from hsproj._oneshot import jacobian, jvp, soft_binary_argmax_and_vjp, vjp
from hsproj._projection import binary_argmax, project, soft_binary_argmax
from hsproj._solution import Projection, solve
from hsproj._zero_one import top_k_zero_one_loss, zero_one_loss

__all__ = [
    "BoxProjection",
    "Projection",
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
__version__ = "0.1.0"
