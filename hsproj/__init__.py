"""hsproj: projection onto the hypersimplex {p in [0,1]^n : sum p = k}, its derivatives and its loss."""

from hsproj._losses import hypersimplex_loss, hypersimplex_loss_and_grad
from hsproj._oneshot import jacobian, jvp, vjp
from hsproj._projection import binary_argmax, project, soft_binary_argmax
from hsproj._solution import Projection, solve

__all__ = [
    "Projection",
    "binary_argmax",
    "hypersimplex_loss",
    "hypersimplex_loss_and_grad",
    "jacobian",
    "jvp",
    "project",
    "soft_binary_argmax",
    "solve",
    "vjp",
]
__version__ = "0.1.0"
