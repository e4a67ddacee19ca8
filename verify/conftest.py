"""Adapters to peers that are not installed have no doctests to run."""

from importlib.util import find_spec

HEAVY = {"entmax": "torch", "torchisotonic": "torch", "jaxopt": "jax"}
collect_ignore = [f"hsproj_verify/peers/{peer}.py" for peer, needs in HEAVY.items() if find_spec(needs) is None]
