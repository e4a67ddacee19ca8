"""Likely causes of failures: a table of known bugs, each an executable model, and the comparison of a target with them.

A shrunk witness is too small to tell bugs apart: most of them answer [0], k = 1/2 alike. So the target is asked some fixed
problems on which all models differ from the truth and from each other. A bug is named where the target gives the model's
answers throughout, and where the model, put in the target's place, fails the failing case as well, unless that takes too
long: models are rational.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from hsproj_verify.case import Case, CheckFailure, Raised, as_array
from hsproj_verify.checks import Check
from hsproj_verify.draws import Replayed
from hsproj_verify.oracles import exact
from hsproj_verify.problems import as_float
from hsproj_verify.target import CLAIMS, COMPANIONS, Target, is_inner

Numbers = Sequence[Fraction | float]
Model = Callable[..., Any]


@dataclass(frozen=True)
class Probe:
    """A call whose answer tells known bugs apart: scores (rows of them, for a batch), totals, and a second vector."""

    x: tuple[Any, ...]
    k: Any
    temperature: float = 1.0
    v: tuple[float, ...] = (1.0, -0.5, 0.25, 2.0, -1.0, 0.75)


_MIXED = (0.25, 1.125, -0.375, 0.75, 0.5, -1.25)
_TIED = (5.0, 0.25, 5.0, -3.0, 0.0, -3.0)
_PROBES = (
    Probe(_MIXED, 2.0),
    Probe((0.5, 0.125, 0.25, 0.125, 0.5, 0.375), 1.0),
    Probe((2.5, 0.75, 1.0, -0.5, 3.0, 0.625), 3.0),
    Probe(_TIED, 3.0),
    Probe((0.25, -1.125, 0.375, 0.75, 0.5, -1.25), 3.0),
    Probe(_MIXED, 3.0, 0.5),
    Probe((2.5, 0.75, 1.0, -0.5, 3.0, 0.625), 3.0, 2.0),
    Probe(_TIED, 2.0, 2.0),
    Probe(_MIXED, 1.25),
    Probe((2.5, 0.75, 1.0, -0.5, 3.0, 0.625), 2.75, 2.0),
)
_OFFSET_PROBES = tuple(Probe(tuple(1e12 + x for x in _MIXED), k) for k in (1.0, 2.0, 3.0, 4.0))
_BATCH_PROBES = (
    # Square, with one k: along whichever axis it is solved, something comes back.
    Probe(((0.25, 1.125, -0.375), (0.75, 0.5, -1.25), (2.0, 0.625, 0.125)), (1.0, 1.0, 1.0)),
    Probe(((0.5, 0.25, 1.5), (-0.75, 0.5, 0.0), (0.0, 0.875, 0.375)), (2.0, 2.0, 2.0)),
    Probe(((0.25, 1.125, -0.375), (0.75, 0.5, -1.25), (2.0, 0.625, 0.125)), (2.0, 1.0, 1.0)),
    Probe(((0.5, 0.25, 1.5), (-0.75, 0.5, 0.0), (0.0, 0.875, 0.375)), (1.0, 2.0, 0.0)),
)


@dataclass(frozen=True)
class KnownBug:
    """A bug that implementations have had.

    Attributes
    ----------
    says : str
        What reports say.
    part : str
        What is wrong: a field of `Target`, or "batch" for the projection of several rows.
    model : callable
        What it answers. Of the projection: (x, k, tau) -> p, one row or, for "batch", rows; of a companion: as it is called,
        then tau.
    """

    says: str
    part: str
    model: Model

    def target(self, claims: frozenset[str]) -> Target:
        """An implementation with this bug and no other."""
        return _implementation(self.part, self.model, claims)


def diagnose(target: Target, check: Check, draws: Sequence[Any], tolerance: float) -> str:
    """The likely cause of a failure; "" if it looks like none that is known.

    Parameters
    ----------
    target : Target
        It is called some ten times.
    check : Check
        What it failed.
    draws : sequence
        The failing case: what the check drew.
    tolerance : float
        In units of eps (1 + p), as for the check.
    """
    parts = ["project", *(_PARTS[claim] for claim in check.claims if claim in _PARTS)]
    found = [
        bug.says
        for part in parts
        for bug in lookalikes(target, part, tolerance)
        if _about_offsets(bug, check)
        and (check.costly or _fails(bug.target(frozenset(target.claims)), check, draws, tolerance))
    ]
    return "; or ".join(dict.fromkeys(found))


_PARTS = {"batch": "batch", "vjp": "vjp", "jvp": "jvp", "loss": "loss", "loss-gradient": "loss_and_grad"}


def _about_offsets(bug: KnownBug, check: Check) -> bool:
    """Whether digits lost to an offset can be why the check failed: not where scores are infinite."""
    return bug.says != _ONE_FLOAT or "infinities" not in check.claims


def _fails(model: Target, check: Check, draws: Sequence[Any], tolerance: float) -> bool:
    try:
        check.run(Case(model, Replayed(draws), tolerance))
    except CheckFailure:
        return True
    except Exception:  # the case was given up, or is not one that the model can be asked
        return False
    return False


def lookalikes(target: Target, part: str, tolerance: float) -> Iterator[KnownBug]:
    """The known bugs of this part that answer as the target does."""
    dtype = "float32" if "float64" in CLAIMS and "float64" not in target.claims else "float64"
    unit = tolerance * float(np.finfo(dtype).eps)

    def matching(bugs: Sequence[KnownBug], answers: Answers) -> Iterator[KnownBug]:
        return (bug for bug in bugs if answers.are_of(bug.target(frozenset(target.claims)), part, unit))

    try:
        answers = Answers.of(target, part, _BATCH_PROBES if part == "batch" else _PROBES, dtype)
        yield from matching([bug for bug in KNOWN if bug.part == part], answers)
        if part != "project":
            return
        yield from matching(_imprecise(answers, _STOPS_EARLY, 1e-2), answers)
        if "offsets" in target.claims and dtype == "float64" and not answers.wrong(unit):
            answers = Answers.of(target, part, _OFFSET_PROBES, dtype)
            yield from matching(_imprecise(answers, _ONE_FLOAT, 1e-3), answers)
    except Raised:
        return


@dataclass(frozen=True)
class Answers:
    """What a target answered to probes, and the truth."""

    probes: Sequence[Probe]
    came: Sequence[np.ndarray]
    truth: Sequence[np.ndarray]

    @classmethod
    def of(cls, target: Target, part: str, probes: Sequence[Probe], dtype: str) -> Answers:
        """To those of the probes that it claims to take; `Raised` if it refuses one."""
        claimed = [probe for probe in probes if _claimed(target, part, probe)]
        right = _implementation("", _exact, frozenset(target.claims))
        came = [_ask(target, part, probe, dtype) for probe in claimed]
        return cls(claimed, came, [_ask(right, part, probe, "float64") for probe in claimed])

    def wrong(self, unit: float) -> int:
        """How many are further than this from the truth."""
        return sum(not _close(came, truth, unit) for came, truth in zip(self.came, self.truth, strict=True))

    def are_of(self, model: Target, part: str, unit: float) -> bool:
        """Whether the model answers the same, and at least twice clearly not the truth."""
        told_apart = 0
        for probe, came, truth in zip(self.probes, self.came, self.truth, strict=True):
            modelled = _ask(model, part, probe, "float64")
            if not _close(came, modelled, unit):
                return False
            told_apart += not _close(modelled, truth, 16 * unit)
        return told_apart >= 2


def _close(a: np.ndarray, b: np.ndarray, unit: float) -> bool:
    return bool(np.all(np.abs(a - b) <= unit * (1 + np.abs(b))))  # NaN is close to nothing


def _claimed(target: Target, part: str, probe: Probe) -> bool:
    whole = all(k == int(k) for k in np.ravel(probe.k))
    inner = all(is_inner(k, np.shape(probe.x)[-1]) for k in np.ravel(probe.k))
    with_temperature = target.takes_temperature(part) if part in COMPANIONS else "temperature" in target.claims
    fixed = getattr(target, "fixed_k", None)
    return (
        (whole or "real-k" in target.claims)
        and (inner or "edge-k" in target.claims)
        and (probe.temperature == 1.0 or with_temperature)
        and (fixed is None or set(np.ravel(probe.k)) == {fixed})
    )


def _ask(target: Target, part: str, probe: Probe, dtype: str) -> np.ndarray:
    """The answer to a probe, flat; `Raised` if there is none."""
    x, v = np.array(probe.x, dtype=dtype), np.array(probe.v, dtype=dtype)
    k: Any = np.array(probe.k) if part == "batch" else int(probe.k) if probe.k == int(probe.k) else probe.k
    tau = probe.temperature
    functions: dict[str, Callable[[], Any]] = {
        "project": lambda: target(x, k, tau),
        "batch": lambda: target(x, k, tau),
        "vjp": lambda: target.pull_back(x, k, v, tau),
        "jvp": lambda: target.push_forward(x, k, v, tau),
        "loss": lambda: target.lose(x, v, k, tau),
        "loss_and_grad": lambda: np.concatenate([np.ravel(a) for a in target.lose_with_gradient(x, v, k, tau)]),
    }
    try:
        with np.errstate(all="ignore"):
            answer = as_array(functions[part]()).astype(np.float64).ravel()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Raised(str(error)) from error
    size = {"loss": 1, "loss_and_grad": x.size + 1}.get(part, x.size)
    if answer.size != size:
        raise Raised("an answer of another size")
    return answer


# Models of the projection of one row


@functools.lru_cache(maxsize=512)  # models ask the same problems again and again
def _solve_once(x: tuple[Fraction | float, ...], k: float | Fraction, tau: float | Fraction) -> exact.Solution:
    return exact.solve(x, k, tau)


def _solve(x: Numbers, k: float | Fraction, tau: float | Fraction) -> exact.Solution:
    return _solve_once(tuple(x), k, tau)


def _exact(x: Numbers, k: float | Fraction, tau: float | Fraction) -> Numbers:
    return _solve(x, k, tau).p


def _clip(value: Any) -> Any:
    return min(max(value, 0), 1)


def _scaled(x: Numbers, tau: float) -> list[Fraction]:
    return [Fraction(v) / Fraction(tau) for v in x]


def _clipped(x: Numbers, k: float, tau: float) -> Numbers:
    return [_clip(z) for z in _scaled(x, tau)]


def _rescaled(x: Numbers, k: float, tau: float) -> Numbers:
    p = _clipped(x, k, tau)
    return [z * Fraction(k) / (sum(p) or 1) for z in p]


def _at_most(x: Numbers, k: float, tau: float) -> Numbers:
    p = _clipped(x, k, tau)
    return p if sum(p) <= k else _exact(x, k, tau)


def _shifted(x: Numbers, k: float, tau: float) -> Numbers:
    z = _scaled(x, tau)
    return [_clip(v + (Fraction(k) - sum(z)) / len(z)) for v in z]


def _softmax(x: Numbers, k: float, tau: float) -> Numbers:
    e = [math.exp((float(v) - float(max(x))) / tau) for v in x]
    return [k * v / math.fsum(e) for v in e]


def _simplex(x: Numbers, k: float, tau: float) -> Numbers:
    z = _scaled(x, tau)
    theta = max((sum(sorted(z)[-j:]) - Fraction(k)) / j for j in range(1, len(z) + 1))
    return [max(v - theta, Fraction(0)) for v in z]


def _entropic(x: Numbers, k: float, tau: float) -> Numbers:
    z = [float(v) / tau for v in x]
    low, high = min(z) - 50, max(z) + 50
    for _ in range(100):
        nu = (low + high) / 2
        low, high = (nu, high) if math.fsum(1 / (1 + math.exp(nu - v)) for v in z) >= k else (low, nu)
    return [1 / (1 + math.exp(low - v)) for v in z]


def _hard(x: Numbers, k: float, tau: float) -> Numbers:
    order = sorted(range(len(x)), key=lambda i: -x[i])
    return [_clip(Fraction(k) - order.index(i)) for i in range(len(x))]


def _applied_after(x: Numbers, k: float, tau: float) -> Numbers:
    return [p / Fraction(tau) for p in _exact(x, k, 1.0)]


def _threshold_only(x: Numbers, k: float, tau: float) -> Numbers:
    return [_clip(Fraction(v) - Fraction(_solve(x, k, tau).threshold)) for v in x]


def _in_float32(x: Numbers, k: float, tau: float) -> Numbers:
    return [float(v) for v in _solve(x, k, tau).nearest("float32")]


_STOPS_EARLY = "threshold found to {:.0e} only: the search for it stops early, or sums in float32"
_ONE_FLOAT = "threshold held as one float: where all scores share an offset, the digits of x - theta are lost"

_OF_ROWS: dict[str, Callable[[Numbers, float, float], Numbers]] = {
    "projects x/2, not x: a factor 1/2 is missing from the objective": lambda x, k, tau: _exact(x, k, 2 * tau),
    "equals clip(x, 0, 1): the total is never asked for": _clipped,
    "equals clip-then-rescale, k clip(x, 0, 1) / sum, which is not the nearest point": _rescaled,
    "equals clip-then-rescale-then-clip, which is not the nearest point": lambda x, k, tau: [
        _clip(v) for v in _rescaled(x, k, tau)
    ],
    "sum <= k instead of = k: scores whose clipped sum is below k are only clipped": _at_most,
    "equals one step of alternating projections: onto the hyperplane, then clipped": _shifted,
    "equals k softmax(x / tau)": _softmax,
    "equals k times the projection onto the simplex (k sparsemax)": lambda x, k, tau: [
        Fraction(k) * p for p in _exact(x, 1.0, tau)
    ],
    "p <= 1 is missing: the projection onto {p >= 0, sum p = k}": _simplex,
    "p <= 1 comes too late: the projection onto {p >= 0, sum p = k}, clipped": lambda x, k, tau: [
        _clip(v) for v in _simplex(x, k, tau)
    ],
    "binary entropy instead of squares: sigmoid((x - nu) / tau)": _entropic,
    "hard top-k: ones for the k largest scores": _hard,
    "takes the smallest scores: the sign of x": lambda x, k, tau: _exact([-v for v in x], k, tau),
    "k is truncated to an int": lambda x, k, tau: _exact(x, int(k), tau),
    "k is rounded to an int": lambda x, k, tau: _exact(x, round(k), tau),
    "k is rounded up to an int": lambda x, k, tau: _exact(x, math.ceil(k), tau),
    "the temperature is ignored": lambda x, k, tau: _exact(x, k, 1.0),
    "multiplies by the temperature instead of dividing by it": lambda x, k, tau: _exact(x, k, 1 / Fraction(tau)),
    "divides by the temperature twice": lambda x, k, tau: _exact(x, k, Fraction(tau) ** 2),
    "temperature applied after: P(x) / tau, not P(x / tau)": _applied_after,
    "the threshold is right, but the last step clips x - theta, not (x - theta) / tau": _threshold_only,
    "the answer is not brought back to the order of the scores: it comes sorted, largest first": lambda x, k, tau: (
        sorted(_exact(x, k, tau), reverse=True)
    ),
    "the answer is not brought back to the order of the scores: it comes sorted, smallest first": lambda x, k, tau: (
        sorted(_exact(x, k, tau))
    ),
    "entries are truncated to integers: the answer is written into an array of them": lambda x, k, tau: [
        int(p) for p in _exact(x, k, tau)
    ],
    "computed in float32, where float64 is asked for (if that is meant: --without float64)": _in_float32,
}


def _along_the_first_axis(x: list[list[float]], k: list[float], tau: float) -> list[Numbers]:
    columns = zip(*x, strict=True)
    p = [_exact(column, min(k[j % len(k)], len(x)), tau) for j, column in enumerate(columns)]
    return [list(row) for row in zip(*p, strict=True)]


def _flattened(x: list[list[float]], k: list[float], tau: float) -> list[Numbers]:
    p, n = _exact([v for row in x for v in row], sum(k), tau), len(x[0])
    return [p[i : i + n] for i in range(0, len(p), n)]


_OF_BATCHES: dict[str, Callable[[list[list[float]], list[float], float], list[Numbers]]] = {
    "sorted along the wrong axis: columns are projected, not rows": _along_the_first_axis,
    "a batch is projected as one long row": _flattened,
    "the first k is used for all rows": lambda x, k, tau: [_exact(row, k[0], tau) for row in x],
    "the mean of k is used for all rows": lambda x, k, tau: [_exact(row, Fraction(sum(k)) / len(k), tau) for row in x],
    "rows come back in the order of their k": lambda x, k, tau: [
        _exact(x[i], k[i], tau) for i in sorted(range(len(x)), key=lambda i: k[i])
    ],
}


# Models of products with the Jacobian


def _centred(v: Numbers, free: Sequence[int], over: Sequence[int], tau: float) -> Numbers:
    mean = sum((Fraction(v[i]) for i in over), Fraction(0)) / max(len(over), 1)
    return [(Fraction(v[i]) - mean) / Fraction(tau) if i in free else Fraction(0) for i in range(len(v))]


def _tangent(x: Numbers, k: float, v: Numbers, tau: float) -> Numbers:
    return _solve(x, k, tau).vjp(v)


def _mean_over_support(x: Numbers, k: float, v: Numbers, tau: float) -> Numbers:
    solution = _solve(x, k, tau)
    support = sorted({*solution.free, *solution.saturated})
    return _centred(v, support, support, tau)


def _tied_are_free(x: Numbers, k: float, v: Numbers, tau: float) -> Numbers:
    solution = _solve(x, k, tau)
    out: list[Fraction | float] = list(solution.vjp(v))
    for i, p in enumerate(solution.p):
        tied = [j for j, y in enumerate(x) if y == x[i]]
        if p in (0, 1) and len(tied) > 1:
            out[i] = _centred(v, tied, tied, tau)[i]
    return out


def _equal_p_are_free(x: Numbers, k: float, v: Numbers, tau: float) -> Numbers:
    solution = _solve(x, k, tau)
    out: list[Fraction | float] = list(solution.vjp(v))
    for i, p in enumerate(solution.p):
        if p in (0, 1):
            out[i] = _centred(v, block := [j for j, q in enumerate(solution.p) if q == p], block, tau)[i]
    return out


def _of_softmax(x: Numbers, k: float, v: Numbers, tau: float) -> Numbers:
    p = _exact(x, k, tau)
    mean = sum((a * Fraction(b) for a, b in zip(p, v, strict=True)), Fraction(0)) / (sum(p) or 1)
    return [a * (Fraction(b) - mean) for a, b in zip(p, v, strict=True)]


_OF_PRODUCTS: dict[str, Callable[[Numbers, float, Numbers, float], Numbers]] = {
    "{} is the identity (straight-through)": lambda x, k, v, tau: v,
    "{} is 1 / tau times the identity (straight-through)": lambda x, k, v, tau: _scaled(v, tau),
    "{} is zero": lambda x, k, v, tau: [0.0] * len(v),
    "{} treats tied saturated scores as free": _tied_are_free,
    "{} treats all saturated scores, and all at 0, as blocks of free ones": _equal_p_are_free,
    "{} takes the mean over the support, saturated scores included": _mean_over_support,
    "{} takes the mean over all scores, not over the free ones": lambda x, k, v, tau: _centred(
        v, _solve(x, k, tau).free, range(len(x)), tau
    ),
    "{} is that of the hyperplane {{sum p = k}} alone: no bounds": lambda x, k, v, tau: _centred(
        v, range(len(x)), range(len(x)), tau
    ),
    "{} is not centred: the threshold is taken as constant": lambda x, k, v, tau: _centred(
        v, _solve(x, k, tau).free, (), tau
    ),
    "{} lacks the factor 1 / tau": lambda x, k, v, tau: [Fraction(tau) * w for w in _tangent(x, k, v, tau)],
    "{} has the factor 1 / tau twice": lambda x, k, v, tau: [w / Fraction(tau) for w in _tangent(x, k, v, tau)],
    "{} ignores the temperature": lambda x, k, v, tau: _tangent(x, k, v, 1.0),
    "{} is that of projecting x/2": lambda x, k, v, tau: _tangent(x, k, v, 2 * tau),
    "{} has the wrong sign": lambda x, k, v, tau: [-w for w in _tangent(x, k, v, tau)],
    "{} is that of a softmax, p (v - p.v)": _of_softmax,
    "{} is p itself, not the derivative": lambda x, k, v, tau: _exact(x, k, tau),
    "{} projects the vector it is to be multiplied with": lambda x, k, v, tau: _exact(v, k, tau),
    "{} stays in the order of the sorted scores, largest first": lambda x, k, v, tau: [
        _tangent(x, k, v, tau)[i] for i in sorted(range(len(x)), key=lambda i: -x[i])
    ],
}


# Models of the loss, and of it with its gradient


def _difference(x: Numbers, y: Numbers, k: float, tau: float) -> list[Fraction]:
    return [Fraction(p) - Fraction(q) for p, q in zip(_exact(x, k, tau), y, strict=True)]


def _loss(x: Numbers, y: Numbers, k: float, tau: float) -> Fraction:
    return sum((d * d for d in _difference(x, y, k, tau)), Fraction(0)) / 2


def _gradient(x: Numbers, y: Numbers, k: float, tau: float) -> Numbers:
    return _tangent(x, k, _difference(x, y, k, tau), tau)


def _of_the_difference(product: Callable[[Numbers, float, Numbers, float], Numbers]) -> Model:
    """The gradient that a wrong product with the Jacobian makes."""
    return lambda x, y, k, tau: product(x, k, _difference(x, y, k, tau), tau)


_WRONG_PRODUCTS = (
    "lacks the factor 1 / tau",
    "has the factor 1 / tau twice",
    "has the wrong sign",
    "is zero",
    "is not centred: the threshold is taken as constant",
    "takes the mean over the support, saturated scores included",
    "takes the mean over all scores, not over the free ones",
    "treats all saturated scores, and all at 0, as blocks of free ones",
    "treats tied saturated scores as free",
)

_OF_LOSSES: dict[str, Callable[[Numbers, Numbers, float, float], Fraction]] = {
    "the loss lacks the factor 1/2": lambda x, y, k, tau: 2 * _loss(x, y, k, tau),
    "the loss is the mean over scores, not their sum": lambda x, y, k, tau: _loss(x, y, k, tau) / len(x),
    "the loss is the mean square over scores": lambda x, y, k, tau: 2 * _loss(x, y, k, tau) / len(x),
    "the loss ignores the temperature": lambda x, y, k, tau: _loss(x, y, k, 1.0),
    "the loss is the distance, not half its square": lambda x, y, k, tau: Fraction(math.sqrt(2 * _loss(x, y, k, tau))),
    "the loss is divided by k": lambda x, y, k, tau: _loss(x, y, k, tau) / Fraction(k or 1),
    "the loss has the wrong sign": lambda x, y, k, tau: -_loss(x, y, k, tau),
    "the loss is that of the scores, not of their projection": lambda x, y, k, tau: (
        sum(((a - Fraction(b)) ** 2 for a, b in zip(_scaled(x, tau), y, strict=True)), Fraction(0)) / 2
    ),
    "the loss takes k from the targets: their sum": lambda x, y, k, tau: _loss(
        x, y, float(min(max(sum(y), 0), len(x))), tau
    ),
    "the loss takes ||y||^2 for k, which it is for k ones": lambda x, y, k, tau: (
        _loss(x, y, k, tau) + (Fraction(k) - sum((Fraction(t) ** 2 for t in y), Fraction(0))) / 2
    ),
}
_OF_GRADIENTS: dict[str, Callable[[Numbers, Numbers, float, float], Numbers]] = {
    "the gradient of the loss is p - y: the Jacobian is missing": _difference,
    "the gradient of the loss is y - p, that in the targets": lambda x, y, k, tau: [
        -d for d in _difference(x, y, k, tau)
    ],
    "the gradient of the loss is twice what it is": lambda x, y, k, tau: [2 * w for w in _gradient(x, y, k, tau)],
    "the gradient of the loss is divided by n, that of a mean": lambda x, y, k, tau: [
        w / len(x) for w in _gradient(x, y, k, tau)
    ],
    **{
        f"the gradient of the loss {says}": _of_the_difference(_OF_PRODUCTS[f"{{}} {says}"]) for says in _WRONG_PRODUCTS
    },
}

KNOWN: tuple[KnownBug, ...] = (
    *(KnownBug(says, "project", model) for says, model in _OF_ROWS.items()),
    *(KnownBug(says, "batch", model) for says, model in _OF_BATCHES.items()),
    *(KnownBug(says.format("vjp"), "vjp", model) for says, model in _OF_PRODUCTS.items()),
    *(KnownBug(says.format("jvp"), "jvp", model) for says, model in _OF_PRODUCTS.items()),
    *(KnownBug(says, "loss", model) for says, model in _OF_LOSSES.items()),
    *(
        KnownBug(says, "loss_and_grad", lambda x, y, k, tau, model=model: (_loss(x, y, k, tau), model(x, y, k, tau)))
        for says, model in _OF_GRADIENTS.items()
    ),
)
"""The table of known bugs; that of a threshold found to some digits only, with the digits measured, comes on top."""


def _imprecise(answers: Answers, says: str, most: float) -> list[KnownBug]:
    """Right but for a threshold that is a little off: how much, is measured on the free entries of the answers."""
    shifts = {}
    for probe, came, truth in zip(answers.probes, answers.came, answers.truth, strict=True):
        free = (came > 0) & (came < 1) & (truth > 0) & (truth < 1)
        shift = float((came - truth)[free].mean()) if free.any() else 0.0
        shifts[probe.x, probe.k, probe.temperature] = shift
    off = max(map(abs, shifts.values()), default=0.0)

    def model(x: Numbers, k: float, tau: float) -> Numbers:
        shift = Fraction(shifts.get((tuple(x), k, tau), off))
        solution = _solve(x, k, tau)
        # Where any theta of an interval serves, past its end.
        low, high = solution.theta_low, solution.theta_high
        if high is None or (low is not None and shift > 0):
            return [_clip((Fraction(v) - Fraction(low or 0)) / Fraction(tau) + abs(shift)) for v in x]
        return [_clip((Fraction(v) - high) / Fraction(tau) - abs(shift)) for v in x]

    return [KnownBug(says.format(off), "project", model)] if 1e-12 < off < most else []


def _implementation(part: str, model: Model, claims: frozenset[str]) -> Target:
    """A target that is exact but for one part."""
    row = model if part == "project" else _exact

    def project(x: Any, k: Any, temperature: float = 1.0) -> np.ndarray:
        x = np.asarray(x)
        totals = np.broadcast_to(np.asarray(k, dtype=float), x.shape[:-1])
        out = np.empty(x.shape, x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.float64)
        if part == "batch" and x.ndim == 2:
            out[...] = [_floats(row) for row in model(x.tolist(), totals.tolist(), temperature)]
        else:
            for i in np.ndindex(totals.shape):
                out[i] = _floats(row(x[i].tolist(), float(totals[i]), temperature))
        return out

    def product(name: str) -> Callable[..., np.ndarray]:
        of_row = model if part == name else _tangent

        def multiply(x: Any, k: Any, v: Any, temperature: float = 1.0) -> np.ndarray:
            return np.array(_floats(of_row(x.tolist(), float(k), v.tolist(), temperature)), dtype=x.dtype)

        return multiply

    def loss(scores: Any, targets: Any, k: Any, temperature: float = 1.0) -> float:
        if part == "loss":
            return as_float(model(scores.tolist(), targets.tolist(), float(k), temperature))
        return float(((project(scores, k, temperature) - targets) ** 2).sum() / 2)

    def loss_and_grad(scores: Any, targets: Any, k: Any, temperature: float = 1.0) -> tuple[float, np.ndarray]:
        arguments = scores.tolist(), targets.tolist(), float(k), temperature
        if part == "loss_and_grad":
            value, gradient = model(*arguments)
            return as_float(value), np.array(_floats(gradient), dtype=scores.dtype)
        return loss(scores, targets, k, temperature), np.array(_floats(_gradient(*arguments)), dtype=scores.dtype)

    companions: dict[str, Any] = {
        "vjp": product("vjp"),
        "jvp": product("jvp"),
        "loss": loss,
        "loss_and_grad": loss_and_grad,
    }
    return replace(Target("model", project, **companions), claims=claims)


def _floats(values: Numbers) -> list[float]:
    return [as_float(Fraction(value)) for value in values]
