"""One example of a check: draws inputs the target claims to take, calls it, and fails with a witness to paste."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hsproj_verify.errors import Errors
from hsproj_verify.problems import Problem, array_source, as_float, error_in_eps, number_source
from hsproj_verify.target import Target, is_inner

if TYPE_CHECKING:
    from hsproj_verify.draws import Draws


class Entry(NamedTuple):
    """One entry of an answer, at an index: what came, the exact one, rounded, and their difference, rounded."""

    at: int
    came: float
    exact: float
    off: float


@dataclass(frozen=True)
class Witness:
    """A case: Python to paste, what came, and the exact answer.

    Attributes
    ----------
    code, came, exact : str
    entries : tuple of Entry
        Where rows of one length were compared: their entries, of long rows those that are furthest off.
    """

    code: str
    came: str
    exact: str
    entries: tuple[Entry, ...] = ()


class CheckFailure(Exception):  # noqa: N818 - a verdict, not an error of the judge
    """The target broke the property a check is about."""

    def __init__(self, reason: str, witness: Witness) -> None:
        super().__init__(reason)
        self.reason = reason
        self.witness = witness


class Unclaimed(Exception):  # noqa: N818 - nor is this
    """The case is not one that the target claims to take; the text says why."""


class Raised(Exception):  # noqa: N818 - not an error of the judge either
    """The target raised, or returned what is no array of real numbers; the text says what."""


class Numbers(np.ndarray):
    """An answer as float64, to reckon with, which remembers the dtype it came in."""

    came_in: np.dtype = np.dtype(np.float64)  # that of everything computed from it, too


def as_it_came(array: np.ndarray) -> np.ndarray:
    """The array in the dtype it came in, as witnesses show it."""
    return array.view(np.ndarray).astype(array.came_in) if isinstance(array, Numbers) else array


@dataclass(frozen=True)
class Case:
    """One example of a check: draws inputs, calls the target, and knows how to fail with a witness."""

    target: Target
    data: Draws
    tolerance: float
    errors: Errors = field(default_factory=Errors)

    def draw(self, strategy: Any) -> Any:
        """A value from a Hypothesis strategy."""
        return self.data.draw(strategy)

    def problem(self, *families: str, min_size: int = 1, temperature: bool = True) -> Problem:
        """A problem of one of the families (of any, by default) that the target claims to take."""
        from hypothesis import strategies as st

        from hsproj_verify.strategies import FAMILIES, problems

        claims = self.target.claims
        missing = {f: _FAMILY_CLAIMS.get(f, set()) - {*claims} for f in families or FAMILIES}
        claimed = [f for f in missing if not missing[f]]
        if not claimed:
            claim = min(next(iter(missing.values())))
            raise Unclaimed(f"{claim} not claimed: {self.target.why_not(claim)}")
        family = self.draw(st.sampled_from(claimed))
        drawn = problems(
            family,
            temperature=temperature and "temperature" in claims,
            real_k="real-k" in claims,
            min_size=min_size,
            fixed_k=self.target.fixed_k,
        )
        problem = replace(self.posed(self.draw(drawn)), family=family)
        self.demand_claimed(problem)
        return problem

    def total(self, n: int) -> float:
        """A total for n scores that the target claims to take."""
        from hsproj_verify.strategies import totals

        if self.target.fixed_k is not None:
            return self.target.fixed_k
        drawn = totals(n, real="real-k" in self.target.claims)
        return self.draw(drawn if "edge-k" in self.target.claims else drawn.filter(lambda k: is_inner(k, n)))  # type: ignore[no-any-return]

    def posed(self, problem: Problem) -> Problem:
        """The problem as the target takes it: with its constraint, and in float32 where that is all it takes."""
        if problem.dtype == "float64" and "float64" not in self.target.claims:
            problem = problem.with_scores(problem.scores, dtype="float32")
        return replace(problem, constraint=self.target.constraint)

    def demand_claimed(self, problem: Problem) -> None:
        """`Unclaimed` if this is not to be asked: checks derive problems from those that they draw."""
        if reason := self.target.lacks(problem):
            raise Unclaimed(reason)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the target's function returns; `Raised` if it raises anything but the user's own interruption."""
        try:
            with np.errstate():  # whatever the target sets, the judge gets its own settings back
                return function(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a target must not end the judge
            raise Raised(f"{type(error).__name__}: {_text(error, str)}") from error

    def array(
        self, shape: tuple[int, ...], function: Callable[..., Any], *arguments: Any, doing: str = "project"
    ) -> np.ndarray:
        """What the target's function returns, as an array of this shape; `Raised` says what it did instead."""
        try:
            came = self.call(function, *arguments)
        except Raised as raised:
            raise Raised(f"it raised {raised}") from raised
        return in_shape(came, shape, doing)

    def project(self, problem: Problem, x: np.ndarray | None = None, *, then: str = "") -> np.ndarray:
        """The target's answer to one row, as float64; fails if it raises or is no row of numbers.

        `then` is the line of Python that makes `x` of the problem's scores, for witnesses.
        """
        return self.numbers(
            self.answer(problem, problem.x if x is None else x, then=then), problem, problem.n, then=then
        )

    def answer(self, problem: Problem, x: np.ndarray, *, then: str = "") -> Any:
        """The target's answer as it came; fails if it raises."""
        self.demand_claimed(problem)
        try:
            return self.call(self.target, x, problem.total, problem.temperature)
        except Raised as raised:
            raise self.failure(problem, f"it raised {raised}", str(raised), then=then) from raised

    def numbers(
        self, came: Any, problem: Problem, *shape: int, doing: str = "project", then: str = "", **shown: Any
    ) -> np.ndarray:
        """What came, as a float64 array of this shape."""
        try:
            array = in_shape(came, shape, doing)
        except Raised as raised:
            raise self.failure(problem, str(raised), _text(came), then=then, **shown) from None
        numbers = array.astype(np.float64).view(Numbers)
        numbers.came_in = array.dtype
        return numbers

    def pull_back(self, problem: Problem, g: np.ndarray) -> np.ndarray:
        """The target's vjp of one row, as float64."""
        return self._product("vjp", self.target.pull_back, problem, g)

    def push_forward(self, problem: Problem, v: np.ndarray) -> np.ndarray:
        """The target's jvp of one row, as float64."""
        return self._product("jvp", self.target.push_forward, problem, v)

    def _product(self, name: str, function: Callable[..., Any], problem: Problem, v: np.ndarray) -> np.ndarray:
        self.demand_claimed(problem)
        try:
            came = self.call(function, problem.x, problem.total, v.copy(), problem.temperature)
        except Raised as raised:
            raise self.failure(problem, f"its {name} raised {raised}", str(raised), companion=(name, v)) from raised
        return self.numbers(came, problem, problem.n, doing=name, companion=(name, v))

    def lose(self, problem: Problem, targets: np.ndarray, kind: str = "loss", **options: Any) -> float:
        """The target's loss of one row, of this kind."""
        name = self.target.that_loses(kind)
        function = partial(self.target.lose, kind=kind, **options)
        return self._loss(name, function, problem, targets, lambda came: (came, None), options)[0]

    def lose_with_gradient(
        self, problem: Problem, targets: np.ndarray, kind: str = "loss", **options: Any
    ) -> tuple[float, np.ndarray]:
        """The target's loss of one row, of this kind, and its gradient, as float64."""

        def pair(came: Any) -> tuple[Any, Any]:
            loss, gradient = came
            return loss, gradient

        function = partial(self.target.lose_with_gradient, kind=kind, **options)
        return self._loss(f"{kind}_and_grad", function, problem, targets, pair, options)

    def _loss(
        self,
        name: str,
        function: Callable[..., Any],
        problem: Problem,
        y: np.ndarray,
        split: Callable[[Any], Any],
        options: Mapping[str, Any],
    ) -> tuple[float, np.ndarray]:
        shown: dict[str, Any] = {"companion": (name, y), "options": options}
        self.demand_claimed(problem)
        try:
            came = self.call(function, problem.x, y.copy(), problem.total, problem.temperature)
        except Raised as raised:
            raise self.failure(problem, f"its {name} raised {raised}", str(raised), **shown) from raised
        try:
            loss, gradient = split(came)
        except Exception:
            reason = f"{name} returned no pair (loss, gradient)"
            raise self.failure(problem, reason, _text(came), **shown) from None
        number = float(self.numbers(loss, problem, doing=name, **shown))
        empty = np.empty(0)
        return number, empty if gradient is None else self.numbers(gradient, problem, problem.n, doing=name, **shown)

    def reject(self) -> None:
        """Give this example up: it does not have what the check is about."""
        from hypothesis import reject

        reject()

    def lines(
        self,
        problem: Problem,
        *,
        cotangent: np.ndarray | None = None,
        companion: tuple[str, np.ndarray] | None = None,
        options: Mapping[str, Any] | None = None,
        then: str = "",
        others: Sequence[Problem] = (),
        last: Sequence[str] = (),
    ) -> list[str]:
        """Python that makes the calls of a witness: other ones first, then the one that matters, then what is looked at.

        The one that matters is a call of the projection; of the vjp, given a `cotangent`; of another `companion`, given its
        name, the array it takes, and `options` that it takes by name.
        """
        x = f"x = {array_source(problem.x)}"
        lines = ["import numpy as np", self.target.origin]
        lines += [self.call_source(other, array_source(other.x)) for other in others]
        if cotangent is not None:
            companion = ("vjp", cotangent)
        return [*lines, x, then, self.call_source(problem, "x", companion, **(options or {})), *last]

    def call_source(
        self, problem: Problem, x: str, companion: tuple[str, np.ndarray] | None = None, **options: Any
    ) -> str:
        """The call of the target, or of a companion with the array it takes, as Python."""
        name, arrays = ("project", []) if companion is None else (companion[0], [array_source(companion[1])])
        k, temperature = number_source(problem.total), number_source(problem.temperature)
        named: dict[str, Any] = {option: number_source(value) for option, value in options.items()}
        return self.target.call_source(name, x, k, *arrays, temperature=temperature, **named)

    def failure(
        self, problem: Problem, reason: str, came: Any, truth: Sequence[Fraction] | None = None, **shown: Any
    ) -> CheckFailure:
        """What to raise: the reason, the call as Python, what came, and the truth (by default the exact projection).

        `shown` says more about the call: see `lines`.
        """
        return failed(reason, self.lines(problem, **shown), came, problem.solution.p if truth is None else truth)

    def close(
        self,
        p: np.ndarray,
        problem: Problem,
        what: str,
        own: np.ndarray | None = None,
        factor: float = 1.0,
        *,
        truth: Sequence[Fraction] | None = None,
        **shown: Any,
    ) -> None:
        """Fail unless p is within the tolerance (times `factor`) of the exact answer, or of the target's `own` other one.

        `truth` is the exact answer, if it was found in another way than by the oracle.
        """
        if truth is None:
            truth = problem.solution.p if own is None else fractions(own)
        error = error_in_eps(p, truth, problem.eps)
        if own is None:
            family = problem.family or "other"
            self.errors.note(
                error,
                family,
                problem.dtype,
                problem.n,
                lambda: self.failure(problem, what, p, truth, **shown).witness,
            )
        if not error <= factor * self.allowed(problem):
            against = "" if own is None else f" from {array_source(as_it_came(own))}"
            raise self.failure(problem, f"{what}: off by {error:.3g} eps (1 + p){against}", p, **shown)

    def allowed(self, problem: Problem) -> float:
        """The tolerance and, for who makes no claim about offsets, max |x| / tau of it more.

        So far off is a threshold held as one float.
        """
        if "offsets" in self.target.claims:
            return self.tolerance
        far = max((abs(x) for x in problem.scores if math.isfinite(x)), default=0.0) / problem.temperature
        return self.tolerance * (1.0 + far)


# What checks of structure and calling draw from: a target that only fails at 1e300 fails there, and not everywhere.
MODERATE = ("ordinary", "tied", "saturated-and-tied")
_FAMILY_CLAIMS = {
    "huge-offset": {"offsets"},
    "huge-scale": {"offsets", "float64"},
    "tiny-temperature": {"offsets", "float64"},
    "subnormal": {"subnormals", "float64"},
    "float32": {"float32"},
    "float32-offset": {"float32", "offsets"},
}


def failed(reason: str, lines: Sequence[str], came: Any, truth: Sequence[Fraction]) -> CheckFailure:
    """What to raise: the call as lines of Python, what came, and the truth; of long rows, what is furthest off."""
    code = "\n".join(line for line in lines if line)
    came = as_it_came(came) if isinstance(came, np.ndarray) else came
    entries: tuple[Entry, ...] = ()
    if isinstance(came, np.ndarray) and came.ndim == 1 and came.size == len(truth):
        off = [as_float(a - b) for a, b in zip(fractions(came), truth, strict=True)]
        furthest = np.argsort([-abs(d) for d in off], kind="stable").tolist()
        entries = tuple(Entry(i, float(came[i]), as_float(truth[i]), off[i]) for i in sorted(furthest[:_KEPT]))
        if came.size > _SHOWN:
            at = f" at {furthest[:5]}, the worst of {came.size}"
            shown, exact = array_source(came[furthest[:5]]), describe([truth[i] for i in furthest[:5]])
            return CheckFailure(reason, Witness(code, shown + at, exact + at, entries))
    shown = array_source(came) if isinstance(came, np.ndarray) else came if isinstance(came, str) else _text(came)
    return CheckFailure(reason, Witness(code, shown, describe(truth), entries))


_SHOWN = 40  # entries of a row in text
_KEPT = 200  # and in tables and figures


def describe(values: Sequence[Fraction]) -> str:
    """Rationals a person can read: as they are while short, else as the nearest float64."""
    short = [v.denominator < 10**6 and abs(v) < 10**6 for v in values]
    return "[" + ", ".join(str(v) if s else repr(as_float(v)) for v, s in zip(values, short, strict=True)) + "]"


def fractions(array: np.ndarray) -> list[Fraction]:
    """Entries as rationals; NaN and infinities as a number beyond all floats, far from every answer."""
    return [Fraction(float(v)) if np.isfinite(v) else Fraction(2) ** 1100 for v in array]


def total_of(array: np.ndarray) -> float:
    """The sum of the entries, rounded once: infinite beyond all floats, NaN where an entry is not finite."""
    return as_float(sum(fractions(array), Fraction(0))) if np.isfinite(array).all() else math.nan


def as_array(came: Any) -> np.ndarray:
    """What a target returned as an array of real numbers, in its own dtype; `Raised` if it is none."""
    if isinstance(came, np.ma.MaskedArray):
        raise Raised("a masked array, not numbers throughout")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.asarray(came)
            kind = array.dtype.kind
    except Exception as error:
        raise Raised(f"{type(came).__name__}, not numbers: {_text(error, str)}") from None
    if kind not in "biuf":
        raise Raised(f"{type(came).__name__} of dtype {array.dtype}, not real numbers")
    return array


def in_shape(came: Any, shape: tuple[int, ...], doing: str = "project") -> np.ndarray:
    """What a target returned as an array of real numbers of this shape; `Raised` says what it is, and how to mend it.

    Examples
    --------
    >>> from hsproj_verify.case import in_shape
    >>> in_shape(None, (3,))
    Traceback (most recent call last):
    ...
    hsproj_verify.case.Raised: project returned None, not an array of shape (3,): return the answer, wherever it is written
    """
    array: np.ndarray | None
    try:
        array = as_array(came)
    except Raised:
        array = None
    if array is not None and array.shape == shape:
        return array
    advice = f": {said}" if (said := _advice(came, array, shape)) else ""
    wanted = f"an array of shape {shape}" if shape else "a number"
    raise Raised(f"{doing} returned {_described(came)}, not {wanted}{advice}")


def _described(came: Any) -> str:
    if isinstance(came, np.ma.MaskedArray):
        return f"a {came.shape} masked array"
    if isinstance(came, np.ndarray):
        return f"a {came.shape} array of {came.dtype}"
    if isinstance(came, tuple | list):
        shown = [*map(_described, came[:3]), *["..."][: len(came) > 3]]
        return f"a {type(came).__name__} of {len(came)} ({', '.join(shown)})"
    return "None" if came is None else type(came).__name__


def _advice(came: Any, array: np.ndarray | None, shape: tuple[int, ...]) -> str:
    """What to do about an answer of another form, where there is one thing to do."""
    if came is None:
        return "return the answer, wherever it is written"
    if isinstance(came, tuple | list) and came and getattr(came[0], "shape", None) == shape:
        return "return the array alone"
    if isinstance(came, np.ma.MaskedArray):
        return "return an array without a mask"
    if array is None:
        return "return real numbers"
    if array.ndim > len(shape) and array.size == math.prod(shape):
        return "return it without the axis of length 1"
    return ""


def _text(value: Any, to_text: Callable[[Any], str] = repr) -> str:
    """What a value says of itself, which a target may have made unable to."""
    try:
        return to_text(value)
    except Exception as error:
        return f"<{type(value).__name__} whose text raises {type(error).__name__}>"
