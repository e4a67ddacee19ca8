"""What needs a library that is not installed has no doctests to run."""

from importlib.util import find_spec

NEEDS = {
    "targets/torch": ["torch"],
    "targets/jax": ["jax"],
    "peers/_qp": ["torch"],
    "peers/_mapped": ["jax"],
    "peers/entmax": ["torch", "entmax"],
    "peers/torchisotonic": ["torch", "torchisotonic"],
    "peers/jaxopt": ["jax", "jaxopt"],
    "peers/qpax": ["jax", "qpax"],
    "peers/qpth": ["torch", "qpth"],
    "peers/proxsuite": ["torch", "proxsuite"],
    "peers/cvxpylayers": ["torch", "cvxpylayers"],
    "peers/qpsolvers": ["qpsolvers"],
}
collect_ignore = [f"hsproj_verify/{module}.py" for module, needs in NEEDS.items() if not all(map(find_spec, needs))]
