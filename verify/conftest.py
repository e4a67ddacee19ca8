"""Adapters to peers that are not installed have no doctests to run."""

from importlib.util import find_spec

NEEDS = {
    "_torch": ["torch"],
    "_jax": ["jax"],
    "entmax": ["torch", "entmax"],
    "torchisotonic": ["torch", "torchisotonic"],
    "jaxopt": ["jax", "jaxopt"],
    "qpax": ["jax", "qpax"],
    "qpth": ["torch", "qpth"],
    "proxsuite": ["torch", "proxsuite"],
    "cvxpylayers": ["torch", "cvxpylayers"],
    "qpsolvers": ["qpsolvers"],
}
collect_ignore = [f"hsproj_verify/peers/{peer}.py" for peer, needs in NEEDS.items() if not all(map(find_spec, needs))]
