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
    "subnormals": "takes scores and temperatures below the normal floats",
    "infinities": "takes -inf (masked) and +inf (forced) scores",
    "layouts": "takes strided, reversed, read-only and big-endian arrays",
    "long": "takes rows of thousands of scores",
    "exact": "keeps bounds, ties and zero derivatives to the last bit, where others keep a tolerance",
    "empty": "takes rows without scores, and batches without rows",
    "axis": "takes axis=, along which to project",
    "threads": "may be called from several threads at once",
    "errors": "refuses bad input, with an exception or with NaN",
    "vjp": "has a vector-Jacobian product",
    "jvp": "has a Jacobian-vector product",
    "loss": "has the HyperSimplex loss of a row",
    "loss-gradient": "has that loss together with its gradient",
    "own-temperature": "takes a temperature for each row of a batch",
    "vjp-batch": "its vjp takes batches, too",
    "rounded": "gives the float nearest to the exact answer, ties to even",
}
"""What a target may or may not claim to do. It is judged in full on what it claims; the rest is skipped, with the reason."""

UNUSUAL = frozenset({"rounded", "own-temperature", "vjp-batch"})
"""Claims that a target makes only if it says so: in `Target.claims`, by `--with`, or its function by an attribute
`hsproj_verify_claims`, a collection of them."""

COMPANIONS = {
    "vjp": "its vector-Jacobian product, called as vjp(x, k, g)",
    "jvp": "its Jacobian-vector product, called as jvp(x, k, v)",
    "loss": "1/2 ||p - targets||^2 of one row, called as loss(scores, targets, k)",
    "loss_and_grad": "(that loss, its gradient in the scores), called as loss_and_grad(scores, targets, k)",
}
"""What a target may bring beside its projection: fields of `Target`, options of the command line, names in witnesses."""

# Which companions make a claim possible: any of them.
_NEEDED = {"vjp": ("vjp",), "jvp": ("jvp",), "loss": ("loss", "loss_and_grad"), "loss-gradient": ("loss_and_grad",)}


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
        if `project` has no such parameter, "vjp" without a vjp, and so on.
    origin : str
        Python that brings `project` into scope as `function`, and the other functions by their names here: for witnesses.
    note : str
        What readers of a report should know: version, what it was not made for.
    project_and_vjp : callable, optional
        (x, k, g) -> (p, gradient) in one call, where that is quicker than the two: for `hsproj_verify.bench`, and not judged.
    jvp : callable, optional
        (x, k, v) -> the derivative of p along v.
    loss : callable, optional
        (scores, targets, k) -> 1/2 ||p - targets||^2 of one row, a float.
    loss_and_grad : callable, optional
        (scores, targets, k) -> that loss and its gradient with respect to the scores, k being a constant.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.target import Target
    >>> uniform = Target("uniform", lambda x, k: np.full(x.shape, k / x.shape[-1]))
    >>> sorted(set(uniform.claims))[:3]
    ['batch', 'empty', 'errors']
    """

    name: str
    project: Callable[..., Any]
    vjp: Callable[..., Any] | None = None
    claims: Collection[str] = None  # type: ignore[assignment]  # never None afterwards
    origin: str = ""
    note: str = ""
    project_and_vjp: Callable[..., Any] | None = None
    jvp: Callable[..., Any] | None = None
    loss: Callable[..., Any] | None = None
    loss_and_grad: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        said = getattr(self.project, "hsproj_verify_claims", ())
        claims = set({*CLAIMS} - UNUSUAL | {*said} if self.claims is None else self.claims)
        _demand_known(claims)
        claims -= {claim for claim, any_of in _NEEDED.items() if all(getattr(self, name) is None for name in any_of)}
        claims -= {name for name in ("temperature", "axis") if not takes(self.project, name)}
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
        return self.bringing(vjp=vjp)

    def bringing(self, **companions: str | Callable[..., Any] | None) -> Target:
        """The same target with more of `COMPANIONS`, which it then claims to have; None stands for none."""
        given = {name: companion for name, companion in companions.items() if companion is not None}
        unknown = sorted(set(given) - set(COMPANIONS))
        if unknown:
            raise TargetError(f"a target brings no {unknown}; known: {sorted(COMPANIONS)}")
        functions: dict[str, Any] = {}
        origin = self.origin
        for name, companion in given.items():
            if not isinstance(companion, str):
                functions[name] = _callable(name, companion)
                continue
            found, setup, expression = _find(companion)
            if isinstance(found, Target):
                found, expression = getattr(found, name), f"{expression}.{name}"
            functions[name] = _callable(companion, found)
            origin = _lines(origin, _assign(name, setup, expression))
        claimed = {claim for claim, any_of in _NEEDED.items() if given.keys() & {*any_of}}
        return replace(self, **functions, origin=origin, claims=frozenset({*self.claims} | claimed))

    def with_project_and_vjp(self, name: str) -> Target:
        """The same target with a combined call, by name."""
        return replace(self, project_and_vjp=_callable(name, _find(name)[0]))

    def __call__(self, x: np.ndarray, k: Any, temperature: Any = 1.0, **options: Any) -> Any:
        """The target's projection, as it came."""
        if "temperature" in self.claims:
            options["temperature"] = temperature
        return self.project(x, k, **options)

    def pull_back(self, x: np.ndarray, k: Any, g: np.ndarray, temperature: float = 1.0) -> Any:
        """The target's vjp, as it came."""
        return self._companion("vjp", x, k, g, temperature=temperature)

    def push_forward(self, x: np.ndarray, k: Any, v: np.ndarray, temperature: float = 1.0) -> Any:
        """The target's jvp, as it came."""
        return self._companion("jvp", x, k, v, temperature=temperature)

    def lose(self, scores: np.ndarray, targets: np.ndarray, k: Any, temperature: float = 1.0) -> Any:
        """The target's loss, as it came."""
        if self.loss is None:
            return self.lose_with_gradient(scores, targets, k, temperature)[0]
        return self._companion("loss", scores, targets, k, temperature=temperature)

    def lose_with_gradient(self, scores: np.ndarray, targets: np.ndarray, k: Any, temperature: float = 1.0) -> Any:
        """The target's loss and gradient, as they came."""
        return self._companion("loss_and_grad", scores, targets, k, temperature=temperature)

    def _companion(self, name: str, *arguments: Any, temperature: float) -> Any:
        function = getattr(self, name)
        assert function is not None
        return function(*arguments, temperature=temperature) if self.takes_temperature(name) else function(*arguments)

    def takes_temperature(self, name: str) -> bool:
        """Whether this one of its functions takes temperature=, and the target claims so."""
        function = getattr(self, name)
        return "temperature" in self.claims and function is not None and takes(function, "temperature")

    @property
    def pulls_back_temperatures(self) -> bool:
        """Whether the vjp takes temperature=, too."""
        return self.takes_temperature("vjp")


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
        if not found.origin:
            brought = [name for name in COMPANIONS if getattr(found, name) is not None]
            origin = _lines(origin, *(_assign(name, setup, f"{expression}.{name}") for name in brought))
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
