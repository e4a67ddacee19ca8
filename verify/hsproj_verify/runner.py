"""Runs checks on a target: each under Hypothesis, which finds a failing example and shrinks it; a `Report` comes out.

A target given by name is loaded, and called, in processes of its own: see `hsproj_verify.isolation`.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hsproj_verify.checks import CHECKS
from hsproj_verify.draws import ReplayError
from hsproj_verify.examine import replay_check, run_check
from hsproj_verify.isolation import Crew, Job, Loaded, Recipe
from hsproj_verify.probing import probe
from hsproj_verify.recording import Terms
from hsproj_verify.report import Outcome, Report, Result
from hsproj_verify.target import CLAIMS, Target, TargetError

BUDGETS = {"quick": 40, "standard": 200, "deep": 2000}
"""Examples a check, by name of the budget."""

TIMEOUT = 10.0
"""Seconds that one call of the target may take, in a process of its own."""


def check(
    target: str | Target | Callable[..., object],
    *,
    vjp: str | Callable[..., object] | None = None,
    jvp: str | Callable[..., object] | None = None,
    loss: str | Callable[..., object] | None = None,
    loss_and_grad: str | Callable[..., object] | None = None,
    fenchel_young_loss: str | Callable[..., object] | None = None,
    fenchel_young_loss_and_grad: str | Callable[..., object] | None = None,
    cross_entropy_loss: str | Callable[..., object] | None = None,
    cross_entropy_loss_and_grad: str | Callable[..., object] | None = None,
    zero_one_loss: str | Callable[..., object] | None = None,
    top_k_zero_one_loss: str | Callable[..., object] | None = None,
    claiming: Sequence[str] = (),
    without: Sequence[str] = (),
    constraint: str | None = None,
    fixed_k: float | None = None,
    seed: int = 0,
    budget: str = "standard",
    examples: int | None = None,
    tolerance: float = 8.0,
    shrink: bool = True,
    only: Iterable[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    workers: int | None = None,
    progress: bool = False,
    keep_on_interrupt: bool = False,
) -> Report:
    """Judge an implementation; never raises on a failed check.

    Parameters
    ----------
    target : str, Target or callable
        ``package.module:function``, ``path/to/file.py:function``, or the thing itself.
    vjp, jvp, loss, loss_and_grad, ... : str or callable, optional
        What it brings beside: see `Target`.
    claiming, without : sequence of str
        Claims that it makes, or does not make, whatever it says itself.
    constraint : str, optional
        "le" for one that solves sum p <= k, which it is then judged by.
    fixed_k : float, optional
        The only total that it takes; it is called without one if it has no parameter for it.
    seed : int
        The same seed draws the same examples.
    budget : str
        "quick", "standard" or "deep": one of `BUDGETS`.
    examples : int, optional
        Examples a check, before shrinking, whatever the budget says.
    tolerance : float
        In units of eps (1 + p), p the exact answer.
    shrink : bool
        Whether to look for the plainest failing example; without, a failure takes less time and its witness is larger.
    only : iterable of str, optional
        Names of the checks to run; all by default.
    expected_failures : mapping, optional
        {check: reason}. Such a check counts as an expected failure if it fails, and as a failure if it passes.
    timeout : float
        Seconds that one call may take, in a worker. Six times that are granted beyond, to all calls together, for compilers.
    workers : int, optional
        Number of processes that load and call the target; it does not change the report. 0 calls it in this process, where a
        call that hangs, or dies, takes the caller along. By default two, or one on a machine with one processor, for what is
        given by name, and 0 for a callable. One that is to be called by workers must be picklable.
    progress : bool
        Whether to show a progress bar on standard error.
    keep_on_interrupt : bool
        Whether a KeyboardInterrupt ends the run with a report of what was found so far (and the verdict "fail") instead of
        being raised.

    Returns
    -------
    Report

    Raises
    ------
    TargetError
        If the call is wrong: no such target or check.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify import check
    >>> report = check(lambda x, k: np.full(x.shape, k / x.shape[-1]), only=["total_is_k", "accurate_on_tied_scores"])
    >>> report.verdict, report.counts["passed"], report.counts["failed"]
    ('fail', 1, 1)
    """
    problem = _given(constraint=constraint, fixed_k=fixed_k)
    companions = _given(
        vjp=vjp,
        jvp=jvp,
        loss=loss,
        loss_and_grad=loss_and_grad,
        fenchel_young_loss=fenchel_young_loss,
        fenchel_young_loss_and_grad=fenchel_young_loss_and_grad,
        cross_entropy_loss=cross_entropy_loss,
        cross_entropy_loss_and_grad=cross_entropy_loss_and_grad,
        zero_one_loss=zero_one_loss,
        top_k_zero_one_loss=top_k_zero_one_loss,
    )
    recipe = Recipe(target, companions, claiming, without, problem)
    expected = dict(expected_failures or {})
    names = list(CHECKS) if only is None else list(dict.fromkeys(only))
    demand_known([*names, *expected])
    named = {name: companion for name, companion in recipe.companions.items() if isinstance(companion, str)}
    terms = Terms(seed, budgeted(budget) if examples is None else examples, tolerance, named, shrink)
    demand_sensible(terms, timeout, workers)
    running: dict[str, None] = {}
    results: dict[str, Result] = {}
    interrupted = False
    with judging(recipe, terms, timeout, workers) as court, _Progress(progress, recipe.name, len(names)) as bar:
        try:
            for event in court.run([Job(CHECKS[name]) for name in names]):
                if isinstance(event, Job):
                    running[event.check.name] = None
                else:
                    results[event.name] = _settled(event, expected.get(event.name))
                    bar.advance()
        except KeyboardInterrupt:
            if not keep_on_interrupt:
                raise
            interrupted = True
            for name in set(names) - set(results):
                results[name] = _unfinished(name, name in running)
    loaded = court.loaded
    name, note = (loaded.name, loaded.note) if loaded else (recipe.name, "")
    ordered = tuple(results[name] for name in names)
    return Report(name, note, seed, terms.examples, tolerance, ordered, interrupted)


def replay(
    case: Mapping[str, Any],
    target: str | Target | Callable[..., object] | None = None,
    *,
    timeout: float = TIMEOUT,
    workers: int | None = None,
    **companions: str | Callable[..., object] | None,
) -> Result:
    """Run one recorded failure again.

    Parameters
    ----------
    case : mapping
        `Result.replay`, or what `hsproj_verify.recording.read` reads.
    target : str, Target or callable, optional
        Another target than the one that failed; it brings its own companions, or those given here.
    timeout, workers, companions
        As for `check`.

    Returns
    -------
    Result
        "failed", with the witness, or "passed".

    Raises
    ------
    TargetError
        If there is no such target, or it can't be asked this.
    ReplayError
        If the case is not one of its check.
    """
    if case["check"] not in CHECKS:
        raise ReplayError(f"no such check: {case['check']}")
    brought, problem = _given(**companions), case.get("problem", {})
    if target is None:
        target, brought = case["target"], {**case["companions"], **brought}
    recorded = set(case["claims"])
    recipe = Recipe(target, brought, sorted(recorded), sorted(set(CLAIMS) - recorded), problem)
    terms = Terms(case["seed"], 1, case["tolerance"], case["companions"])
    with judging(recipe, terms, timeout, workers) as court:
        *_, result = court.run([Job(CHECKS[case["check"]], case["draws"])])
        assert isinstance(result, Result)
        assert court.loaded is not None
        lacking = recorded & {"temperature", *CHECKS[case["check"]].claims} - set(court.loaded.claims)
    if lacking:
        raise TargetError(f"{recipe.name} can't be asked this: it lacks {', '.join(sorted(lacking))}")
    if result.outcome is Outcome.SKIPPED:
        raise TargetError(f"{recipe.name} can't be asked this: {result.reason}")
    return result


def _given(**companions: Any) -> dict[str, Any]:
    return {name: companion for name, companion in companions.items() if companion is not None}


def demand_known(names: Iterable[str]) -> None:
    """Refuse what is no check."""
    unknown = sorted(set(names) - set(CHECKS))
    if unknown:
        raise TargetError(f"unknown checks {unknown}; known: {', '.join(CHECKS)}")


def demand_sensible(terms: Terms, timeout: float = TIMEOUT, workers: int | None = None) -> None:
    """Refuse numbers that make no sense."""
    if terms.examples < 1 or not 0 < terms.tolerance < math.inf:
        raise TargetError(
            f"examples must be at least 1 and tolerance positive and finite; got {terms.examples} and {terms.tolerance}"
        )
    if not timeout > 0 or (workers is not None and workers < 0):
        raise TargetError(f"timeout must be positive and workers at least 0; got {timeout} and {workers}")


def budgeted(budget: str) -> int:
    """Examples a check, for a budget by name."""
    if budget not in BUDGETS:
        raise TargetError(f"budget must be one of {', '.join(BUDGETS)}; got {budget!r}")
    return BUDGETS[budget]


def _unfinished(name: str, running: bool) -> Result:
    outcome = Outcome.FAILED if running else Outcome.SKIPPED
    reason = "interrupted before it finished" if running else "not run: interrupted"
    return Result(name, CHECKS[name].level, outcome, reason, None, 0)


def _settled(result: Result, expected: str | None) -> Result:
    """The result in the light of what was expected."""
    if expected is None or result.outcome is Outcome.SKIPPED:
        return result
    if result.outcome is Outcome.FAILED:
        return replace(result, outcome=Outcome.EXPECTED_FAILURE, reason=f"{expected} ({result.reason})")
    reason = f"passed, but was expected to fail: {expected}"
    return replace(result, outcome=Outcome.UNEXPECTED_PASS, reason=reason)


def judging(recipe: Recipe, terms: Terms, timeout: float = TIMEOUT, workers: int | None = None) -> Crew | Here:
    """What runs jobs, in a `with` statement: workers, or this process."""
    if workers is None:
        workers = min(2, os.cpu_count() or 1) if recipe.is_named else 0
    if workers == 0:
        return Here(recipe, terms)
    if not recipe.is_named:
        try:
            pickle.dumps(recipe)
        except Exception as error:
            raise TargetError(f"a target for workers must be named or picklable: {error}") from error
    return Crew(recipe, terms, workers, timeout)


class Here:
    """Runs jobs in this process, as a `Crew` does in others."""

    def __init__(self, recipe: Recipe, terms: Terms) -> None:
        self._target = probe(recipe.make())
        self._terms = terms
        self.loaded = Loaded.of(self._target)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, jobs: Sequence[Job]) -> Iterator[Job | Result]:
        """Each job as it is started, and then its result."""
        for job in jobs:
            yield job
            if job.draws is None:
                yield run_check(job.check, self._target, self._terms)
            else:
                yield replay_check(job.check, self._target, self._terms, job.draws)


class _Progress:
    """A progress bar on standard error, or nothing."""

    def __init__(self, shown: bool, title: str, total: int) -> None:
        self._bar: Any = None
        if shown:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(file=sys.stderr), transient=True)
            self._bar.add_task(title, total=total)

    def __enter__(self) -> _Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """One more is done."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
