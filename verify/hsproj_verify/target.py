"""What is judged: somebody's projection, how to call it, and what it claims.

A target is called as project(x, k) or, if it has such a parameter, project(x, k, temperature=tau); its vjp as vjp(x, k, g),
likewise. x has one row or, where it claims batches, rows along the last axis with one k each. One that takes rows only
gets a single row as a batch of one. If there is only one k, and no parameter for it, k is left out of all calls.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hsproj_verify.problems import Problem
from hsproj_verify.targets import LIBRARIES, kind_of, python
from hsproj_verify.targets._error import TargetError

if TYPE_CHECKING:
    from hsproj_verify.probing import PlainCall

__all__ = ["CLAIMS", "COMPANIONS", "UNUSUAL", "Target", "TargetError", "load", "takes"]

CLAIMS = {
    "temperature": "takes temperature=",
    "vectors": "takes (n,) scores",
    "batch": "takes (m, n) scores",
    "own-k": "takes a k for each row of a batch",
    "one-k": "takes one k for all rows of a batch",
    "any-k": "takes k",
    "real-k": "takes totals that are not whole",
    "edge-k": "takes k = 0 and k = n, and totals within 1e-6 of them",
    "equality": "solves sum p = k",
    "float64": "takes float64",
    "float32": "takes float32",
    "dtype": "answers in the floating dtype of the scores",
    "integers": "takes integer scores",
    "offsets": "takes scores and temperatures of any magnitude",
    "subnormals": "takes scores and temperatures below the normal floats",
    "infinities": "takes -inf (masked) and +inf (forced) scores",
    "layouts": "takes strided, reversed, read-only and unaligned arrays, and big-endian ones unless it refuses these",
    "numbers": "takes totals and temperatures that are numbers of NumPy",
    "long": "takes rows of thousands of scores",
    "large": "takes rows of a hundred thousand scores and more",
    "exact": "keeps bounds, ties and zero derivatives to the last bit, where others keep a tolerance",
    "empty": "takes rows without scores, and batches without rows",
    "axis": "takes axis=, along which to project",
    "threads": "may be called from several threads at once",
    "errors": "refuses bad input, with an exception or with NaN",
    "vjp": "has a vector-Jacobian product",
    "jvp": "has a Jacobian-vector product",
    "loss": "has the HyperSimplex loss of a row",
    "loss-gradient": "has that loss together with its gradient",
    "fenchel-young": "has the Fenchel-Young loss of a row",
    "fenchel-young-gradient": "has that loss together with its gradient",
    "cross-entropy": "has the cross entropy of a row of p, with a floor under it",
    "cross-entropy-gradient": "has that cross entropy together with its gradient",
    "zero-one": "has the share of wrong decisions in a row",
    "top-k-zero-one": "has the share of a row's positives that its k highest scores miss",
    "own-temperature": "takes a temperature for each row of a batch",
    "vjp-batch": "takes batches in its vjp, too",
    "big-endian": "takes big-endian arrays",
    "rounded": "gives the float nearest to the exact answer, ties to even",
}
"""What a target may or may not claim to do. It is judged in full on what it claims; the rest is skipped, with the reason."""

UNUSUAL = frozenset({"rounded", "own-temperature", "vjp-batch", "big-endian"})
"""Claims that a target makes only if it says so: in `Target.claims`, by `--with`, or its function by an attribute
`hsproj_verify_claims`, a collection of them."""

COMPANIONS = {
    "vjp": "its vector-Jacobian product, called as vjp(x, k, g)",
    "jvp": "its Jacobian-vector product, called as jvp(x, k, v)",
    "loss": "1/2 ||p - targets||^2 of one row, called as loss(scores, targets, k)",
    "loss_and_grad": "(that loss, its gradient in the scores), called as loss_and_grad(scores, targets, k)",
    "fenchel_young_loss": "the Fenchel-Young loss of one row, called as fenchel_young_loss(scores, targets)",
    "fenchel_young_loss_and_grad": "(that loss, its gradient in the scores), called likewise",
    "cross_entropy_loss": "-sum(targets log max(p, floor)) of one row, called as cross_entropy_loss(scores, targets, k), "
    "with floor= if it takes that",
    "cross_entropy_loss_and_grad": "(that loss, its gradient in the scores), called likewise",
    "zero_one_loss": "the share of wrong decisions in one row, called as zero_one_loss(scores, targets, k)",
    "top_k_zero_one_loss": "the share of one row's positives that its k highest scores miss, called likewise",
}
"""What a target may bring beside its projection: fields of `Target`, options of the command line, names in witnesses."""

# Which companions make a claim possible: any of them.
_NEEDED = {
    "vjp": ("vjp",),
    "jvp": ("jvp",),
    "loss": ("loss", "loss_and_grad"),
    "loss-gradient": ("loss_and_grad",),
    "fenchel-young": ("fenchel_young_loss", "fenchel_young_loss_and_grad"),
    "fenchel-young-gradient": ("fenchel_young_loss_and_grad",),
    "cross-entropy": ("cross_entropy_loss", "cross_entropy_loss_and_grad"),
    "cross-entropy-gradient": ("cross_entropy_loss_and_grad",),
    "zero-one": ("zero_one_loss",),
    "top-k-zero-one": ("top_k_zero_one_loss",),
}

PROBED = frozenset({"vectors", "batch", "any-k", "own-k", "one-k", "real-k", "float64", "float32", "integers"})
"""Claims that are assumed of a target that says nothing, until it refuses a plain case: see `hsproj_verify.probing`."""

CONSTRAINTS = {"eq": "sum p = k", "le": "sum p <= k"}


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
    fixed_k : float, optional
        The only total there is. If `project` has no parameter for it, all are called without: `project(x)`, `vjp(x, g)`,
        `loss(scores, targets)`.
    constraint : str
        "eq" for sum p = k; "le" for sum p <= k, which it is then judged by.
    assumed : collection of str, optional
        Claims that a probe may withdraw: `PROBED` by default, and none if `claims` are given.
    unclaimed : mapping
        Reasons why claims are not made, {claim: reason}, as far as there are any to be told.
    origin : str
        Python that brings `project` into scope as `function`, and the other functions by their names here: for witnesses.
    note : str
        What readers of a report should know: version, what it was not made for.
    project_and_vjp : callable, optional
        (x, k, g) -> (p, gradient) in one call, where that is quicker than the two: for `hsproj_verify.bench`, and not judged.
    solve : callable, optional
        (x, k) -> a solution with a method `vjp`, g -> gradient, or that function itself: for `hsproj_verify.bench`, likewise.
    jvp : callable, optional
        (x, k, v) -> the derivative of p along v.
    loss : callable, optional
        (scores, targets, k) -> 1/2 ||p - targets||^2 of one row, a float.
    loss_and_grad : callable, optional
        (scores, targets, k) -> that loss and its gradient with respect to the scores, k being a constant.
    fenchel_young_loss, fenchel_young_loss_and_grad : callable, optional
        Likewise for max_p (s.p - tau/2 ||p||^2) + tau/2 ||y||^2 - s.y; (scores, targets), whose total is k.
    cross_entropy_loss, cross_entropy_loss_and_grad : callable, optional
        (scores, targets, k) or (scores, targets, k, floor=floor) -> -sum(y log max(p, floor)).
    zero_one_loss, top_k_zero_one_loss : callable, optional
        (scores, targets, k) -> of one row, with its k highest scores taken for ones: the share of wrong decisions, and the
        share of missed positives. Ties may be broken in any way, or at random on average.
    first_calls : mapping
        What came of the calls that a probe made, for a check to judge.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify.target import Target
    >>> uniform = Target("uniform", lambda x, k: np.full(x.shape, k / x.shape[-1]))
    >>> sorted(set(uniform.claims))[:3]
    ['any-k', 'batch', 'dtype']
    """

    name: str
    project: Callable[..., Any]
    vjp: Callable[..., Any] | None = None
    claims: Collection[str] = None  # type: ignore[assignment]  # never None afterwards
    origin: str = ""
    note: str = ""
    project_and_vjp: Callable[..., Any] | None = None
    solve: Callable[..., Any] | None = None
    jvp: Callable[..., Any] | None = None
    loss: Callable[..., Any] | None = None
    loss_and_grad: Callable[..., Any] | None = None
    fenchel_young_loss: Callable[..., Any] | None = None
    fenchel_young_loss_and_grad: Callable[..., Any] | None = None
    cross_entropy_loss: Callable[..., Any] | None = None
    cross_entropy_loss_and_grad: Callable[..., Any] | None = None
    zero_one_loss: Callable[..., Any] | None = None
    top_k_zero_one_loss: Callable[..., Any] | None = None
    fixed_k: float | None = None
    constraint: str = "eq"
    assumed: Collection[str] = None  # type: ignore[assignment]  # never None afterwards
    unclaimed: Mapping[str, str] = field(default_factory=dict)
    first_calls: Mapping[PlainCall, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        said = getattr(self.project, "hsproj_verify_claims", ())
        if self.assumed is None:
            object.__setattr__(self, "assumed", PROBED - {*said} if self.claims is None else frozenset())
        claims = set({*CLAIMS} - UNUSUAL | {*said} if self.claims is None else self.claims)
        _demand_known(claims)
        if self.constraint not in CONSTRAINTS:
            raise TargetError(f"constraint must be one of {', '.join(CONSTRAINTS)}; got {self.constraint!r}")
        if takes_by_name_only(self.project, "k"):
            raise TargetError(f"{self.name} takes k by name only; wrap it, as lambda x, k: f(x, k=k)")
        if self.fixed_k is not None:
            if not 0 <= self.fixed_k < math.inf:
                raise TargetError(f"fixed_k must satisfy 0 <= fixed_k; got {self.fixed_k!r}")
            claims -= {"any-k", "own-k", "real-k"}
        if self.constraint != "eq":
            claims.discard("equality")
        if "batch" not in claims:
            claims -= {"own-k", "one-k"}
        claims -= {claim for claim, any_of in _NEEDED.items() if all(getattr(self, name) is None for name in any_of)}
        claims -= {name for name in ("temperature", "axis") if not takes(self.project, name)}
        object.__setattr__(self, "claims", frozenset(claims))

    def without(self, *claims: str) -> Target:
        """The same target claiming less."""
        _demand_known(claims)
        return replace(self, claims=frozenset(self.claims) - set(claims))

    def claiming(self, *claims: str) -> Target:
        """The same target claiming more, whatever a probe would say."""
        _demand_known(claims)
        return replace(self, claims=frozenset(self.claims) | set(claims), assumed=frozenset(self.assumed) - set(claims))

    def assuming(self, *claims: str) -> Target:
        """The same target with claims that a probe may withdraw."""
        return replace(self, assumed=frozenset(self.assumed) | set(claims))

    def lacking(self, reasons: Mapping[str, str]) -> Target:
        """The same target without these claims, {claim: reason}."""
        return replace(self.without(*reasons), unclaimed={**self.unclaimed, **reasons})

    def why_not(self, claim: str) -> str:
        """Why it does not make a claim."""
        reasons: dict[str, str] = {}
        if self.fixed_k is not None:
            reasons = dict.fromkeys(("any-k", "own-k", "real-k"), f"k is {self.fixed_k:g}, always")
        if self.constraint != "eq":
            reasons["equality"] = f"it solves {CONSTRAINTS[self.constraint]}"
        reasons |= self.unclaimed
        return reasons.get(claim, f"the target does not say that it {CLAIMS[claim]}")

    def lacks(self, problem: Problem) -> str:
        """Why the target is not to be asked this, by its claims; empty if it is."""
        if self.fixed_k is not None and problem.k != self.fixed_k:
            return f"k is {self.fixed_k:g}, always"
        is_real = math.isfinite(problem.k) and problem.k != math.floor(problem.k)
        if is_real and self.fixed_k is None and "real-k" not in self.claims:
            return f"real-k not claimed: {self.why_not('real-k')}"
        if "edge-k" not in self.claims and not is_inner(problem.k, problem.n):
            return f"edge-k not claimed: {self.why_not('edge-k')}"
        if np.dtype(problem.dtype).kind in "iu" and "integers" not in self.claims:
            return f"integers not claimed: {self.why_not('integers')}"
        dtype = "float32" if problem.dtype == "float32" else "float64"
        if dtype not in self.claims:
            return f"{dtype} not claimed: {self.why_not(dtype)}"
        if problem.temperature != 1.0 and "temperature" not in self.claims:
            return f"temperature not claimed: {self.why_not('temperature')}"
        return ""

    def solving(self, *, constraint: str | None = None, fixed_k: float | None = None) -> Target:
        """The same target with another constraint, or with the only total that it takes; None leaves it as it is."""
        constraint = self.constraint if constraint is None else constraint
        claims = frozenset(self.claims) | ({"equality"} if constraint == "eq" else set())
        fixed_k = self.fixed_k if fixed_k is None else fixed_k
        return replace(self, constraint=constraint, fixed_k=fixed_k, claims=claims)

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
                part = "project" if kind_of(companion) in LIBRARIES else name
                found, expression = getattr(found, part), f"{expression}.{part}"
            functions[name] = _callable(companion, found)
            origin = _lines(origin, _assign(name, setup, expression))
        claimed = {claim for claim, any_of in _NEEDED.items() if given.keys() & {*any_of}}
        return replace(self, **functions, origin=origin).claiming(*claimed)

    def with_project_and_vjp(self, name: str) -> Target:
        """The same target with a combined call, by name."""
        return replace(self, project_and_vjp=_callable(name, _find(name)[0]))

    def with_solve(self, name: str) -> Target:
        """The same target with a call that solves a problem for its vjp, by name."""
        return replace(self, solve=_callable(name, _find(name)[0]))

    def __call__(self, x: np.ndarray, k: Any, temperature: Any = 1.0, **options: Any) -> Any:
        """The target's projection, as it came."""
        return self._call("project", x, k, temperature=temperature, **options)

    def pull_back(self, x: np.ndarray, k: Any, g: np.ndarray, temperature: Any = 1.0) -> Any:
        """The target's vjp, as it came."""
        return self._call("vjp", x, k, g, temperature=temperature)

    def push_forward(self, x: np.ndarray, k: Any, v: np.ndarray, temperature: Any = 1.0) -> Any:
        """The target's jvp, as it came."""
        return self._call("jvp", x, k, v, temperature=temperature)

    def lose(
        self,
        scores: np.ndarray,
        targets: np.ndarray,
        k: Any,
        temperature: float = 1.0,
        *,
        kind: str = "loss",
        **options: Any,
    ) -> Any:
        """The target's loss of this kind, as it came."""
        if self.that_loses(kind) == kind:
            return self._call(kind, scores, k, targets, temperature=temperature, **options)
        return self.lose_with_gradient(scores, targets, k, temperature, kind=kind, **options)[0]

    def lose_with_gradient(
        self,
        scores: np.ndarray,
        targets: np.ndarray,
        k: Any,
        temperature: float = 1.0,
        *,
        kind: str = "loss",
        **options: Any,
    ) -> Any:
        """The target's loss of this kind and its gradient, as they came."""
        return self._call(f"{kind}_and_grad", scores, k, targets, temperature=temperature, **options)

    def that_loses(self, kind: str) -> str:
        """Which of its functions gives the loss of this kind: that of its name, or the one with the gradient."""
        return kind if getattr(self, kind) is not None else f"{kind}_and_grad"

    def _call(self, name: str, x: np.ndarray, k: Any, *arrays: Any, temperature: Any, **options: Any) -> Any:
        function = getattr(self, name)
        assert function is not None
        if self.takes_temperature(name):
            options["temperature"] = temperature
        if not self._wants_rows(name, np.ndim(x)):
            if np.ndim(k) and "own-k" not in self.claims:
                k = np.asarray(k)[0].item()  # checks draw rows with the same total then
            elif np.ndim(x) > 1 and not np.ndim(k) and "one-k" not in self.claims and "own-k" in self.claims:
                k = np.full(np.shape(x)[:-1], k)
            return function(*self._ordered(name, x, k, *arrays), **options)
        x, k = x[None], np.array([k]) if "own-k" in self.claims else k
        came = function(*self._ordered(name, x, k, *(array[None] for array in arrays)), **options)
        if np.shape(came) != x.shape:
            raise ValueError(f"scores of shape {x.shape} came back as {np.shape(came)}")
        return came[0]

    def call_source(
        self, name: str, x: str, k: str, *arrays: str, temperature: str, ndim: int = 1, **options: str
    ) -> str:
        """A call of one of its functions, given and returned as Python."""
        rows = self._wants_rows(name, ndim)
        if rows:
            x, arrays = f"({x})[None]", tuple(f"{array}[None]" for array in arrays)
            k = f"np.array([{k}])" if "own-k" in self.claims else k
        if self.takes_temperature(name):
            options["temperature"] = temperature
        named = [f"{option}={value}" for option, value in options.items()]
        called = "function" if name == "project" else name
        return f"{called}({', '.join([*self._ordered(name, x, k, *arrays), *named])})" + "[0]" * rows

    def _wants_rows(self, name: str, ndim: int) -> bool:
        """Whether a single row is handed to it as a batch of one. A loss is that of one row, always."""
        return ndim == 1 and "vectors" not in self.claims and name in ("project", "vjp", "jvp")

    def _ordered(self, name: str, x: Any, k: Any, *arrays: Any) -> list[Any]:
        # The targets of a Fenchel-Young loss say what k is.
        unasked = name.startswith("fenchel_young") or (self.fixed_k is not None and not takes_total(self.project))
        totals = [] if unasked else [k]
        return [x, *arrays, *totals] if "loss" in name else [x, *totals, *arrays]

    def takes_temperature(self, name: str) -> bool:
        """Whether this one of its functions takes temperature=, and the target claims so."""
        function = getattr(self, name)
        return "temperature" in self.claims and function is not None and takes(function, "temperature")

    @property
    def problem(self) -> dict[str, Any]:
        """What it solves, as `solving` takes it."""
        return {"constraint": self.constraint} | ({} if self.fixed_k is None else {"fixed_k": self.fixed_k})

    @property
    def pulls_back_temperatures(self) -> bool:
        """Whether the vjp takes temperature=, too."""
        return self.takes_temperature("vjp")


def is_inner(k: float, n: int) -> bool:
    """Whether a total leaves a choice, by more than rounding."""
    return 1e-6 < k < n - 1e-6


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


def takes_by_name_only(function: Callable[..., Any], name: str) -> bool:
    """Whether a function can't do without this parameter, and takes it by name only."""
    try:
        parameter = inspect.signature(function).parameters.get(name)
    except (TypeError, ValueError):
        return False
    return parameter is not None and parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty


def takes_scores_only(function: Callable[..., Any]) -> bool:
    """Whether a function says that it takes scores and options, and no total: `sparsemax(x)`, `sparsemax(x, axis=-1)`."""
    return _beyond_scores(function) == []


def takes_total(function: Callable[..., Any]) -> bool:
    """Whether a projection says that it takes more than scores and options: `project(x, k)`, whatever the name."""
    return bool(_beyond_scores(function))


def _beyond_scores(function: Callable[..., Any]) -> list[str] | None:
    """Parameters by place, beyond the first, that are no options; None if it does not say."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    given = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not given or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [name for name in given[1:] if name not in _OPTIONS]


_OPTIONS = {"axis", "dim", "temperature"}


def load(spec: str, vjp: str | None = None) -> Target:
    """A target by name: ``package.module:function`` or ``path/to/file.py:function``.

    The name may also be that of a `Target`, which then brings its own vjp, claims and note. With one of the prefixes
    ``torch:``, ``jax:`` and ``cupy:`` the function is one of that library's arrays; ``exec:`` stands before a command. See
    `hsproj_verify.targets`.

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
    by_load = "from hsproj_verify.target import load", f"load({spec!r})"
    if kind := kind_of(spec):
        module = importlib.import_module(f"hsproj_verify.targets.{'program' if kind == 'exec' else kind}")
        return module.target(spec.partition(":")[2]), *by_load
    found = python.find(spec)
    if not python.is_file(spec):
        return found, *python.source(spec)
    setup, expression = by_load
    return found, setup, expression if isinstance(found, Target) else f"{expression}.project"
