"""What is judged: somebody's projection, how to call it, and what it claims.

A target is called as project(x, k) or, if it has such a parameter, project(x, k, temperature=tau); its vjp as vjp(x, k, g),
likewise. x has one row or, where it claims batches, rows along the last axis with one k each.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

CLAIMS = {
    "temperature": "takes temperature=",
    "batch": "takes (m, n) scores with one k a row",
    "real-k": "takes totals that are not whole",
    "float32": "takes and returns float32",
    "integers": "takes integer scores",
    "offsets": "takes scores and temperatures of any magnitude",
    "infinities": "takes -inf (masked) and +inf (forced) scores",
    "layouts": "takes strided, reversed, read-only and big-endian arrays",
    "errors": "refuses bad input, with an exception or with NaN",
    "vjp": "has a vector-Jacobian product",
    "rounded": "gives the float nearest to the exact answer, ties to even",
}
"""What a target may or may not claim to do. It is judged in full on what it claims; the rest is skipped, with the reason."""

UNUSUAL = frozenset({"rounded"})
"""Claims that a target makes only if it says so: in `Target.claims`, by `--with`, or its function by an attribute
`hsproj_verify_claims`, a collection of them."""


class TargetError(ValueError):
    """A target that can't be found or called: the call of the judge was wrong, not the target."""


@dataclass(frozen=True)
class Target:
    """An implementation to judge.

    Attributes
    ----------
    name : str
        How reports call it.
    project : callable
        (x, k) -> p, or (x, k, temperature=tau) -> p.
    vjp : callable, optional
        (x, k, g) -> the gradient of sum(g * p) with respect to x.
    claims : collection of str
        From `CLAIMS`; by default all that are not `UNUSUAL`, and those that `project` says it makes. "temperature" is dropped
        if `project` has no such parameter, "vjp" without a vjp.
    origin : str
        Python that brings `project` into scope as `function` and `vjp`, if there is one, as `vjp`: for witnesses.
    note : str
        What readers of a report should know: version, what it was not made for.
    project_and_vjp : callable, optional
        (x, k, g) -> (p, gradient) in one call, where that is quicker than the two: for `hsproj_verify.bench`, and not judged.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.target import Target
    >>> uniform = Target("uniform", lambda x, k: np.full(x.shape, k / x.shape[-1]))
    >>> sorted(set(uniform.claims))[:3]
    ['batch', 'errors', 'float32']
    """

    name: str
    project: Callable[..., Any]
    vjp: Callable[..., Any] | None = None
    claims: Collection[str] = None  # type: ignore[assignment]  # never None afterwards
    origin: str = ""
    note: str = ""
    project_and_vjp: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        said = getattr(self.project, "hsproj_verify_claims", ())
        claims = set({*CLAIMS} - UNUSUAL | {*said} if self.claims is None else self.claims)
        _demand_known(claims)
        if self.vjp is None:
            claims.discard("vjp")
        if not takes(self.project, "temperature"):
            claims.discard("temperature")
        object.__setattr__(self, "claims", frozenset(claims))

    def without(self, *claims: str) -> Target:
        """The same target claiming less."""
        _demand_known(claims)
        return replace(self, claims=frozenset(self.claims) - set(claims))

    def claiming(self, *claims: str) -> Target:
        """The same target claiming more."""
        _demand_known(claims)
        return replace(self, claims=frozenset(self.claims) | set(claims))

    def with_vjp(self, vjp: str | Callable[..., Any]) -> Target:
        """The same target with a vjp: by name, as `load` takes it, or the thing itself."""
        claims = frozenset({*self.claims, "vjp"})
        if not isinstance(vjp, str):
            return replace(self, vjp=_callable("vjp", vjp), claims=claims)
        found, setup, expression = _find(vjp)
        if isinstance(found, Target):
            found, expression = found.vjp, f"{expression}.vjp"
        origin = _lines(self.origin, _assign("vjp", setup, expression))
        return replace(self, vjp=_callable(vjp, found), claims=claims, origin=origin)

    def with_project_and_vjp(self, name: str) -> Target:
        """The same target with a combined call, by name."""
        return replace(self, project_and_vjp=_callable(name, _find(name)[0]))

    def __call__(self, x: np.ndarray, k: Any, temperature: float = 1.0) -> Any:
        """The target's projection, as it came."""
        return self.project(x, k, temperature=temperature) if "temperature" in self.claims else self.project(x, k)

    def pull_back(self, x: np.ndarray, k: Any, g: np.ndarray, temperature: float = 1.0) -> Any:
        """The target's vjp, as it came."""
        assert self.vjp is not None
        return self.vjp(x, k, g, temperature=temperature) if self.pulls_back_temperatures else self.vjp(x, k, g)

    @property
    def pulls_back_temperatures(self) -> bool:
        """Whether the vjp takes temperature=, too."""
        return "temperature" in self.claims and self.vjp is not None and takes(self.vjp, "temperature")


def _demand_known(claims: Collection[str]) -> None:
    unknown = sorted(set(claims) - set(CLAIMS))
    if unknown:
        raise TargetError(f"unknown claims {unknown}; known: {sorted(CLAIMS)}")


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function says that it has a parameter of this name, to be passed by name."""
    try:
        parameter = inspect.signature(function).parameters.get(name)
    except (TypeError, ValueError):
        return False
    return parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY


def load(spec: str, vjp: str | None = None) -> Target:
    """A target by name: ``package.module:function`` or ``path/to/file.py:function``.

    The name may also be that of a `Target`, which then brings its own vjp, claims and note.

    Raises
    ------
    TargetError
        If there is no such module, file or function, or it can't be imported.

    Examples
    --------
    >>> from hsproj_verify.target import load
    >>> load("numpy:clip").name
    'numpy:clip'
    """
    found, setup, expression = _find(spec)
    if isinstance(found, Target):
        origin = found.origin or _assign("function", setup, f"{expression}.project")
        if not found.origin and found.vjp is not None:
            origin = _lines(origin, _assign("vjp", setup, f"{expression}.vjp"))
        target = replace(found, name=spec, origin=origin)
    else:
        target = Target(spec, _callable(spec, found), origin=_assign("function", setup, expression))
    return target if vjp is None else target.with_vjp(vjp)


def _callable(spec: str, found: Any) -> Callable[..., Any]:
    if not callable(found):
        raise TargetError(f"{spec} is not callable: it is {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _assign(name: str, setup: str, expression: str) -> str:
    return setup if setup.endswith(f" import {name}") and name == expression else f"{setup}\n{name} = {expression}"


def _lines(*sources: str) -> str:
    """Sources one after the other, without repeated lines."""
    return "\n".join(dict.fromkeys(line for source in sources for line in source.splitlines()))


def _find(spec: str) -> tuple[Any, str, str]:
    """What the name stands for, and how a witness gets at it: lines of Python, then an expression."""
    module_name, colon, attribute = spec.rpartition(":")
    if not colon or not module_name or not attribute:
        raise TargetError(f"a target is package.module:function or path/to/file.py:function; got {spec!r}")
    try:
        if "" not in sys.path:
            sys.path.insert(0, "")  # the caller's own package, as `python -m` would find it
        if module_name.endswith(".py"):
            module = _module_of_file(Path(module_name))
            setup, expression = "from hsproj_verify.target import load", f"load({spec!r})"
        else:
            module = importlib.import_module(module_name)
            setup, expression = f"from {module_name} import {attribute.partition('.')[0]}", attribute
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"can't import {module_name!r} for the target {spec!r}: {type(error).__name__}: {error}"
        ) from error
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise TargetError(f"{module_name!r} has no {attribute!r}")
        found = getattr(found, part)
    if module_name.endswith(".py") and not isinstance(found, Target):
        expression += ".project"
    return found, setup, expression


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
