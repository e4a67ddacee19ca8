"""What runs in a cell: a target, an operation and the arrays in; a call without arguments out.

The main figures are of calls as users make them, with new arrays for the answers. A target whose function takes `out` is
also measured with an array that is used again, beside a bare pass that does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from hsproj_verify.bench import baselines
from hsproj_verify.bench.outcomes import Figure, Outcome
from hsproj_verify.bench.regimes import Regime
from hsproj_verify.target import Target, takes

SORT, BARE = "np.sort", "bare pass"
BASELINES = (SORT, BARE)


@dataclass(frozen=True)
class Contender:
    """A call to time; `error` is how far its answer is from the truth, or None for a baseline."""

    who: str
    operation: str
    reused: bool
    call: Callable[[], Any]
    error: Callable[[Any], float] | None = None

    def figure(self, outcome: Outcome, reason: str = "") -> Figure:
        """What became of it."""
        return Figure(self.who, self.operation, self.reused, outcome, reason)


@dataclass(frozen=True)
class Cell:
    """The arrays of a regime and the right answers."""

    regime: Regime
    x: np.ndarray
    g: np.ndarray
    scaled: np.ndarray  # x / temperature, for targets that know no temperature
    theta: np.ndarray  # in the units of `scaled`
    p: np.ndarray  # as rows, like gradient
    gradient: np.ndarray

    @classmethod
    def of(cls, regime: Regime) -> Cell:
        """Draw the arrays and solve."""
        x, g = regime.draw()
        tau = regime.temperature
        theta, p, gradient = baselines.answers(regime.to_rows(x), regime.k, regime.to_rows(g), tau)
        return cls(regime, x, g, (x / tau).astype(x.dtype), (theta / tau).astype(x.dtype), p, gradient)

    def baselines(self, *, reused: bool) -> Iterator[Contender]:
        """np.sort and the bare passes."""
        regime, p, gradient = self.regime, np.empty_like(self.x), np.empty_like(self.g)
        yield Contender(SORT, "forward", False, partial(np.sort, self.x, axis=regime.axis))
        clip = partial(baselines.clip, regime, self.scaled, self.theta)
        centre = partial(baselines.centre, regime, self.g)
        yield Contender(BARE, "forward", False, clip)
        yield Contender(BARE, "vjp", False, centre)
        yield Contender(BARE, "pullback", False, centre)
        yield Contender(BARE, "forward+vjp", False, lambda: (clip(), centre()))
        if reused:
            yield Contender(BARE, "forward", True, partial(clip, p))
            yield Contender(BARE, "vjp", True, partial(centre, gradient))

    def contenders(self, target: Target) -> Iterator[Contender]:
        """What there is to time of a target."""
        project = self._call(target, target.project)
        yield Contender(target.name, "forward", False, project, self._error_of_p)
        if takes(target.project, "out"):
            reused = self._call(target, target.project, reused=True)
            yield Contender(target.name, "forward", True, reused, self._error_of_p)
        if target.solve is not None:
            error = partial(self._error_of_gradient, _knows_temperature(target, target.solve))
            yield Contender(target.name, "pullback", False, self._pullback(target, target.solve), error)
        if target.vjp is None:
            return
        vjp = self._call(target, target.vjp, self.g)
        error = partial(self._error_of_gradient, target.pulls_back_temperatures)
        yield Contender(target.name, "vjp", False, vjp, error)
        if takes(target.vjp, "out"):
            reused = self._call(target, target.vjp, self.g, reused=True)
            yield Contender(target.name, "vjp", True, reused, error)
        both: Callable[[], Any] = lambda: (project(), vjp())  # noqa: E731
        if target.project_and_vjp is not None:
            both = self._call(target, target.project_and_vjp, self.g)
            error = partial(self._error_of_gradient, _knows_temperature(target, target.project_and_vjp))
        yield Contender(
            target.name, "forward+vjp", False, both, lambda pair: max(self._error_of_p(pair[0]), error(pair[1]))
        )

    def _problem(self, target: Target, function: Callable[..., Any]) -> tuple[np.ndarray, dict[str, Any], bool]:
        """Scores and options that the function takes, and whether it is to be given rows."""
        x, options = self.scaled, dict[str, Any]()
        if _knows_temperature(target, function):
            x, options["temperature"] = self.x, self.regime.temperature
        along_others = self.regime.axis != x.ndim - 1
        to_rows = along_others and not takes(function, "axis")
        if along_others and not to_rows:
            options["axis"] = self.regime.axis
        return x, options, to_rows

    def _call(
        self, target: Target, function: Callable[..., Any], *g: np.ndarray, reused: bool = False
    ) -> Callable[[], Any]:
        k, regime = self.regime.k, self.regime
        x, options, to_rows = self._problem(target, function)
        if reused:
            options["out"] = np.empty_like(regime.to_rows(x) if to_rows else x)
        if to_rows:
            return lambda: _back(regime, function(regime.to_rows(x), k, *map(regime.to_rows, g), **options))
        return lambda: function(x, k, *g, **options)

    def _pullback(self, target: Target, solve: Callable[..., Any]) -> Callable[[], Any]:
        """What takes g, of a problem that is solved at the first call, which isn't counted."""
        k, regime = self.regime.k, self.regime
        x, options, to_rows = self._problem(target, solve)

        @cache
        def pull() -> Callable[[np.ndarray], Any]:
            solution = solve(regime.to_rows(x) if to_rows else x, k, **options)
            function: Callable[[np.ndarray], Any] = getattr(solution, "vjp", solution)
            return function

        return (lambda: _back(regime, pull()(regime.to_rows(self.g)))) if to_rows else (lambda: pull()(self.g))

    def _error_of_p(self, p: Any) -> float:
        """Largest absolute error of an entry."""
        return _largest(self._rows(p) - self.p)

    def _error_of_gradient(self, knows_temperature: bool, gradient: Any) -> float:
        """Euclidean norm of the error relative to that of the gradient: one entry more or less is no error among many."""
        off = self._rows(gradient) / (1.0 if knows_temperature else self.regime.temperature) - self.gradient
        size = float(np.linalg.norm(self.gradient)) or float(np.linalg.norm(self.g)) / self.regime.temperature
        return float(np.linalg.norm(off)) / size

    def _rows(self, answer: Any) -> np.ndarray:
        array = np.asarray(answer)
        if array.shape != self.regime.dims:
            raise ValueError(f"the answer has shape {array.shape} where the scores have {self.regime.dims}")
        return self.regime.to_rows(array).astype(np.float64)


def _knows_temperature(target: Target, function: Callable[..., Any]) -> bool:
    return "temperature" in target.claims and takes(function, "temperature")


def _back(regime: Regime, answer: Any) -> Any:
    return tuple(_back(regime, part) for part in answer) if isinstance(answer, tuple) else regime.from_rows(answer)


def _largest(off: np.ndarray) -> float:
    return float(np.abs(off).max()) if np.isfinite(off).all() else np.inf
