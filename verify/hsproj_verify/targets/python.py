"""Python functions by name: ``package.module:function`` or ``path/to/file.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from hsproj_verify.targets._error import TargetError


def find(spec: str) -> Any:
    """What the name stands for; `TargetError` if there is no such module, file or attribute, or it can't be imported."""
    module_name, colon, attribute = spec.rpartition(":")
    if not colon or not module_name or not attribute:
        raise TargetError(f"a target is package.module:function or path/to/file.py:function; got {spec!r}")
    try:
        if "" not in sys.path:
            sys.path.insert(0, "")  # the caller's own package, as `python -m` would find it
        if is_file(spec):
            found = _module_of_file(Path(module_name))
        else:
            found = importlib.import_module(module_name)
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"can't import {module_name!r} for the target {spec!r}: {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise TargetError(f"{module_name!r} has no {attribute!r}")
        found = getattr(found, part)
    return found


def is_file(spec: str) -> bool:
    """Whether the name is that of something in a file."""
    return spec.rpartition(":")[0].endswith(".py")


def source(spec: str) -> tuple[str, str]:
    """How Python gets at what has this name, which is no file's: a line to run first, and an expression."""
    module_name, _, attribute = spec.rpartition(":")
    return f"from {module_name} import {attribute.partition('.')[0]}", attribute


def _module_of_file(path: Path) -> Any:
    if not path.is_file():
        raise TargetError(f"no such file: {path}")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # its neighbours, as `python path` would find them
    name = f"hsproj_verify_target_{path.stem}"  # must not shadow an installed module of the same name
    stamp = (path.resolve(), path.stat().st_mtime_ns)
    if getattr(sys.modules.get(name), "_hsproj_verify_stamp", None) == stamp:
        return sys.modules[name]  # a function and its vjp share what the file holds
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    module._hsproj_verify_stamp = stamp  # type: ignore[attr-defined]
    return module
