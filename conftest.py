"""What needs a library that is not installed has no doctests to run."""

from importlib.util import find_spec

NEEDS = {
    "jax": "jax",
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "sklearn": "sklearn",
    "torch": "torch",
    "_classifier": "sklearn",
    "_selector": "sklearn",
}
collect_ignore = [f"hsproj/integrations/{module}.py" for module, package in NEEDS.items() if find_spec(package) is None]
