"""Claims that adapters leave out together."""

from dataclasses import replace

from hsproj_verify.target import Target

UNSAID = "offsets", "subnormals", "infinities", "empty", "threads", "errors"
"""What no peer's documentation speaks of: extreme magnitudes, infinite scores, empty rows, threads, refusing bad input."""

GENERAL = "exact", "long", "float32", "integers", "layouts", "numbers"
"""What solvers of general quadratic programs don't claim either: they work in float64, to a tolerance, on matrices."""


def in_reverse_mode(target: Target, *unclaimed: str) -> Target:
    """What functions of torch and JAX are made for: floating scores, and a vjp; without these claims, too.

    Examples
    --------
    >>> from hsproj_verify.peers._claims import GENERAL, in_reverse_mode
    >>> from hsproj_verify.peers.sorting import target
    >>> sorted(set(target.claims) - set(in_reverse_mode(target, *GENERAL).claims))
    ['exact', 'float32', 'layouts', 'long', 'numbers']
    """
    return replace(target, jvp=None).without(*UNSAID, "integers", "numbers", *unclaimed)
