"""hsproj_verify: judges implementations of the projection onto the hypersimplex against exact rational answers.

Names are loaded on first use, so that pytest can import the plugin in here for next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsproj_verify.oracles.certificate import Certificate, certificate
    from hsproj_verify.pytest_items import parametrize_with_checks
    from hsproj_verify.report import Report
    from hsproj_verify.runner import check
    from hsproj_verify.target import Target

_HOMES = {
    "Certificate": "oracles.certificate",
    "Report": "report",
    "Target": "target",
    "certificate": "oracles.certificate",
    "check": "runner",
    "parametrize_with_checks": "pytest_items",
}

__all__ = ["Certificate", "Report", "Target", "certificate", "check", "parametrize_with_checks"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
