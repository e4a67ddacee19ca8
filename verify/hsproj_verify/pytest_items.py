"""Tests of pytest, one a check: those of `--hsproj-target`, and those of `parametrize_with_checks`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hsproj_verify.checks import CHECKS, Check
from hsproj_verify.commands.check import read_expected
from hsproj_verify.examine import run_check
from hsproj_verify.isolation import Crew, Job, Recipe
from hsproj_verify.probing import probe
from hsproj_verify.pytest_plugin import COMPANIONS
from hsproj_verify.recording import Terms
from hsproj_verify.report import JudgedWrongError, Outcome, Result, failure_text
from hsproj_verify.runner import budgeted, demand_known, demand_sensible
from hsproj_verify.target import Target, TargetError


class Judge:
    """Collects a test for each check, and runs them in a process apart from that of pytest."""

    def __init__(self, config: pytest.Config) -> None:
        def option(name: str) -> Any:
            return config.getoption(f"--hsproj-{name.replace('_', '-')}")

        companions = {name: option(name) for name in COMPANIONS if option(name) is not None}
        said = {name: option(name) for name in ("constraint", "fixed_k") if option(name) is not None}
        self.recipe = Recipe(option("target"), companions, option("with"), option("without"), said)
        terms = Terms(option("seed"), budgeted(option("budget")), option("tolerance"), companions)
        try:
            self.expected = read_expected(option("expected_failures"), "--hsproj-expected-failures")
            demand_known(self.expected)
            demand_sensible(terms, option("timeout"))
        except TargetError as error:
            raise pytest.UsageError(str(error)) from error
        self._crew = Crew(self.recipe, terms, 1, option("timeout"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the tests: before others select among them, by -k or -m."""
        checks = _Checks.from_parent(session, name=self.recipe.name, nodeid=self.recipe.name, judge=self)
        report = checks.ihook.pytest_make_collect_report(collector=checks)
        checks.ihook.pytest_collectreport(report=report)  # so that they are counted
        items += report.result

    def pytest_unconfigure(self) -> None:
        """End the process."""
        self._crew.__exit__()

    def result(self, name: str) -> Result:
        """What comes of one check."""
        *_, result = self._crew.run([Job(CHECKS[name])])
        assert isinstance(result, Result)
        return result


class _Checks(pytest.Collector):
    def __init__(self, *, judge: Judge, **options: Any) -> None:
        super().__init__(**options)
        self.judge = judge

    def collect(self) -> Iterator[_CheckItem]:
        for name in CHECKS:
            yield _CheckItem.from_parent(self, name=name)


class _CheckItem(pytest.Item):
    parent: _Checks

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_marker(pytest.mark.hsproj)
        expected = self.parent.judge.expected.get(self.name)
        if expected is not None:
            self.add_marker(pytest.mark.xfail(reason=expected, strict=True))

    def runtest(self) -> None:
        judged(self.parent.judge.result(self.name))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, JudgedWrongError | TargetError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.config.rootpath, None, f"{self.parent.name}: {self.name}"


def judged(result: Result) -> None:
    """Pass, skip or fail the running test as the check did."""
    __tracebackhide__ = True
    if result.outcome is Outcome.SKIPPED:
        pytest.skip(result.reason)
    if result.outcome is Outcome.FAILED:
        raise JudgedWrongError(failure_text(result))


@dataclass(frozen=True)
class CheckOf:
    """A check, to be called with a target."""

    check: Check
    terms: Terms
    probed: Callable[[Target], Target]

    @property
    def name(self) -> str:
        """Name of the check."""
        return self.check.name

    def __call__(self, target: Target) -> None:
        """Judge; an AssertionError with the witness if it fails, a skip if the target does not claim what it is about."""
        __tracebackhide__ = True
        judged(run_check(self.check, self.probed(target), self.terms))


def _once(function: Callable[[Target], Target]) -> Callable[[Target], Target]:
    """What the function returns for the first target; later ones get the same answer if they are the same."""
    known: list[tuple[Target, Target]] = []

    def called(target: Target) -> Target:
        if not known or known[0][0] is not target:
            known[:] = [(target, function(target))]
        return known[0][1]

    return called


def parametrize_with_checks(
    targets: Iterable[str | Target | Callable[..., object]],
    *,
    seed: int = 0,
    budget: str = "quick",
    tolerance: float = 8.0,
    only: Iterable[str] | None = None,
    expected_failures: Mapping[str, str] | Callable[[Target], Mapping[str, str]] | None = None,
) -> pytest.MarkDecorator:
    """A decorator that runs a test function once for every target and check.

    The test takes `target`, a `Target`, and `check`, to be called with it: in this process, so that a debugger can follow.

    Parameters
    ----------
    targets : iterable of str, Target or callable
        As in `check`.
    seed, budget, tolerance, only
        As in `check`.
    expected_failures : mapping or callable, optional
        {check: reason}, or a function from a Target to such a mapping. They become strict expected failures.

    Raises
    ------
    TargetError
        If there is no such target or check.

    Examples
    --------
    >>> import numpy as np
    >>> from hsproj_verify import parametrize_with_checks
    >>> def uniform(x, k):
    ...     return np.full(x.shape, k / x.shape[-1])
    >>> @parametrize_with_checks([uniform], expected_failures={"total_is_k": "it rounds"})
    ... def test_uniform(target, check):
    ...     check(target)
    """
    names = list(CHECKS) if only is None else list(dict.fromkeys(only))
    demand_known(names)
    terms = Terms(seed, budgeted(budget), tolerance)
    demand_sensible(terms)
    parameters = []
    for target in (Recipe(target).make() for target in targets):
        probed = _once(probe)
        expected = expected_failures(target) if callable(expected_failures) else expected_failures or {}
        demand_known(expected)
        for name in names:
            marks = [pytest.mark.xfail(reason=expected[name], strict=True)] if name in expected else []
            parameters.append(
                pytest.param(target, CheckOf(CHECKS[name], terms, probed), id=f"{target.name}-{name}", marks=marks)
            )
    return pytest.mark.parametrize(("target", "check"), parameters)
