"""Other people's packages: that they are there, or which extra brings them."""

from importlib.util import find_spec


def demand_package(name: str, extra: str) -> None:
    """Refuse to go on without a package, and say how to get it."""
    if find_spec(name) is None:
        raise ImportError(
            f"hsproj.integrations.{extra} needs the package {name}, which is not installed: "
            f'pip install "hsproj[{extra}]" brings it.',
            name=name,
        )
