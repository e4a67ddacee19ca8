"""Runs checks on a target: each under Hypothesis, which finds a failing example and shrinks it; a `Report` comes out."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from hsproj_verify.case import Case, CheckFailure
from hsproj_verify.checks import CHECKS, Check
from hsproj_verify.report import Outcome, Report, Result
from hsproj_verify.target import CLAIMS, Target, TargetError, load

BUDGETS = {"quick": 40, "standard": 200, "deep": 2000}
"""Examples a check, by name of the budget."""


def check(
    target: str | Target | Callable[..., object],
    *,
    vjp: str | Callable[..., object] | None = None,
    seed: int = 0,
    budget: str = "standard",
    examples: int | None = None,
    tolerance: float = 8.0,
    only: Iterable[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    progress: bool = False,
    keep_on_interrupt: bool = False,
) -> Report:
    """Judge an implementation; never raises on a failed check.

    Parameters
    ----------
    target : str, Target or callable
        ``package.module:function``, ``path/to/file.py:function``, or the thing itself.
    vjp : str or callable, optional
        Its vector-Jacobian product, (x, k, g) -> gradient.
    seed : int
        The same seed draws the same examples.
    budget : str
        "quick", "standard" or "deep": one of `BUDGETS`.
    examples : int, optional
        Examples a check, before shrinking, whatever the budget says.
    tolerance : float
        In units of eps (1 + p), p the exact answer.
    only : iterable of str, optional
        Names of the checks to run; all by default.
    expected_failures : mapping, optional
        {check: reason}. Such a check counts as an expected failure if it fails, and as a failure if it passes.
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
    judged = _as_target(target, vjp)
    expected = dict(expected_failures or {})
    names = list(CHECKS) if only is None else list(dict.fromkeys(only))
    unknown = sorted({*names, *expected} - set(CHECKS))
    if unknown:
        raise TargetError(f"unknown checks {unknown}; known: {', '.join(CHECKS)}")
    if budget not in BUDGETS:
        raise TargetError(f"budget must be one of {', '.join(BUDGETS)}; got {budget!r}")
    examples = BUDGETS[budget] if examples is None else examples
    if examples < 1 or not 0 < tolerance < math.inf:
        raise TargetError(
            f"examples must be at least 1 and tolerance positive and finite; got {examples} and {tolerance}"
        )
    results: list[Result] = []
    try:
        for name in _with_progress(names, judged.name) if progress else names:
            result = _run(CHECKS[name], judged, seed, examples, tolerance, expected.get(name))
            results.append(result)  # one by one: an interruption keeps them
    except KeyboardInterrupt:
        if not keep_on_interrupt:
            raise
        running, *waiting = names[len(results) :]
        results.append(_unfinished(running, Outcome.FAILED, "interrupted before it finished"))
        results += [_unfinished(name, Outcome.SKIPPED, "not run: interrupted") for name in waiting]
    return Report(judged.name, judged.note, seed, examples, tolerance, tuple(results))


def _unfinished(name: str, outcome: Outcome, reason: str) -> Result:
    return Result(name, CHECKS[name].level, outcome, reason, None, 0)


def _as_target(target: str | Target | Callable[..., object], vjp: str | Callable[..., object] | None) -> Target:
    if isinstance(target, str):
        judged = load(target)
    elif isinstance(target, Target):
        judged = target
    elif callable(target):
        judged = Target(f"{target.__module__}:{getattr(target, '__qualname__', type(target).__name__)}", target)
    else:
        raise TargetError(f"a target is a name, a callable or a Target; got {type(target).__name__}")
    return judged if vjp is None else judged.with_vjp(vjp)


def _with_progress(names: list[str], title: str) -> Iterable[str]:
    from rich.console import Console
    from rich.progress import track

    return track(names, description=title, console=Console(file=sys.stderr), transient=True)


def _run(check: Check, target: Target, seed: int, examples: int, tolerance: float, expected: str | None) -> Result:
    missing = [claim for claim in check.claims if claim not in target.claims]
    if missing:
        reason = f"{missing[0]} not claimed: the target does not say that it {CLAIMS[missing[0]]}"
        return Result(check.name, check.level, Outcome.SKIPPED, reason, None, 0)
    failure, executed = _search(check, target, seed, max(1, round(examples * check.weight)), tolerance)
    if failure is None and executed == 0:
        return Result(check.name, check.level, Outcome.FAILED, "no example was executed", None, 0)
    if failure is None:
        if expected is None:
            return Result(check.name, check.level, Outcome.PASSED, "", None, executed)
        reason = f"passed, but was expected to fail: {expected}"
        return Result(check.name, check.level, Outcome.UNEXPECTED_PASS, reason, None, executed)
    if expected is None:
        return Result(check.name, check.level, Outcome.FAILED, failure.reason, failure.witness, executed)
    reason = f"{expected} ({failure.reason})"
    return Result(check.name, check.level, Outcome.EXPECTED_FAILURE, reason, failure.witness, executed)


def _search(
    check: Check, target: Target, seed: int, examples: int, tolerance: float
) -> tuple[CheckFailure | None, int]:
    """The shrunk failure, if any, and the number of examples that ran to their verdict."""
    import hypothesis
    from hypothesis import strategies as st

    # Hypothesis also draws constants that it finds in the modules loaded so far. Loading ours before the first example,
    # not in the course of it, makes the same seed draw the same examples.
    import hsproj_verify.oracles.qp
    import hsproj_verify.strategies  # noqa: F401

    executed = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(st.data())
    def search(data: st.DataObject) -> None:
        nonlocal executed
        check.run(Case(target, data, tolerance))
        executed += 1

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the target's warnings are its own business
        try:
            search()
        except CheckFailure as failure:
            return failure, executed + 1
        except hypothesis.errors.Flaky as error:
            causes = [e for e in getattr(error, "exceptions", ()) if isinstance(e, CheckFailure)]
            if not causes:
                raise
            reason = f"not reproducible: the same input failed once and then passed ({causes[0].reason})"
            return CheckFailure(reason, causes[0].witness), executed + 1
        except hypothesis.errors.Unsatisfiable:
            return None, executed
    return None, executed
