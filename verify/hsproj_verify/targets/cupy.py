"""Functions of CuPy arrays: ``cupy:package.module:function``, on the current device. Derivatives are named like it."""

from __future__ import annotations

from typing import Any

from hsproj_verify.target import Target
from hsproj_verify.targets._arrays import UNCLAIMED, function_of, library, speaking_numpy


def target(spec: str) -> Target:
    """The function of this name."""
    cupy = library("cupy")

    def outwards(came: Any) -> Any:
        return cupy.asnumpy(came) if isinstance(came, cupy.ndarray) else came

    project = speaking_numpy(function_of(spec), cupy.asarray, outwards)
    return Target(spec, project, note=f"cupy {cupy.__version__}").lacking(UNCLAIMED)
