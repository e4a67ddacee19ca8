"""hsproj_verify: judges implementations of the projection onto the hypersimplex against exact rational answers."""

from hsproj_verify.report import Report
from hsproj_verify.runner import check
from hsproj_verify.target import Target

__all__ = ["Report", "Target", "check"]
