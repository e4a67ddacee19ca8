"""One check on one target, in this process: by examples that Hypothesis finds and shrinks, or on recorded draws."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hsproj_verify.case import Case, CheckFailure, Unclaimed
from hsproj_verify.checks import Check
from hsproj_verify.diagnosis import diagnose
from hsproj_verify.draws import Recorded, Replayed, ReplayError, decode, encode
from hsproj_verify.errors import Errors
from hsproj_verify.recording import Terms, recording
from hsproj_verify.report import Outcome, Result
from hsproj_verify.target import Target


def run_check(check: Check, target: Target, terms: Terms, record: Callable[[list[Any]], None] | None = None) -> Result:
    """One check on one target, in this process.

    `record` is told of each example: it is given the list that the example's draws will be appended to.
    """
    missing = [claim for claim in check.claims if claim not in target.claims]
    if missing:
        reason = f"{missing[0]} not claimed: {target.why_not(missing[0])}"
        return Result(check.name, check.level, Outcome.SKIPPED, reason, None, 0)
    start, errors = time.perf_counter(), Errors()
    unclaimed: list[str] = []
    failure, executed, draws = _search(check, target, terms, errors, record, unclaimed)
    if failure is not None:
        with _quietly():
            cause = diagnose(target, check, [decode(value) for value in draws], terms.tolerance)
        result = replace(_failed(check, target, terms, failure, executed, draws), cause=cause)
    elif executed == 0 and unclaimed:
        result = Result(check.name, check.level, Outcome.SKIPPED, unclaimed[0], None, 0)
    elif executed == 0:
        result = Result(check.name, check.level, Outcome.FAILED, "no example was executed", None, 0)
    else:
        result = Result(check.name, check.level, Outcome.PASSED, "", None, executed)
    seconds = time.perf_counter() - start
    return replace(result, measured=errors.measured, worst=errors.worst, seconds=seconds)


def replay_check(check: Check, target: Target, terms: Terms, draws: Sequence[Any]) -> Result:
    """One check on one target and recorded draws, which are encoded; `ReplayError` if they are not of this check."""
    import hypothesis

    with _quietly():
        try:
            check.run(Case(target, Replayed([decode(value) for value in draws]), terms.tolerance))
        except CheckFailure as failure:
            return _failed(check, target, terms, failure, 1, draws)
        except Unclaimed as reason:
            return Result(check.name, check.level, Outcome.SKIPPED, str(reason), None, 0)
        except hypothesis.errors.UnsatisfiedAssumption:
            raise ReplayError(f"{check.name} gives this case up: it does not have what the check is about") from None
        except ReplayError:
            raise
        except Exception as error:
            raise ReplayError(f"{check.name} can't use these draws: {type(error).__name__}: {error}") from error
    return Result(check.name, check.level, Outcome.PASSED, "", None, 1)


def _failed(
    check: Check, target: Target, terms: Terms, failure: CheckFailure, executed: int, draws: Sequence[Any]
) -> Result:
    replay = recording(check.name, target.name, target.claims, target.problem, terms, draws, failure.reason)
    return Result(check.name, check.level, Outcome.FAILED, failure.reason, failure.witness, executed, replay=replay)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the target's warnings are its own business
        yield


def _search(
    check: Check,
    target: Target,
    terms: Terms,
    errors: Errors,
    record: Callable[[list[Any]], None] | None,
    unclaimed: list[str],
) -> tuple[CheckFailure | None, int, list[Any]]:
    """The shrunk failure, if any, the number of examples that ran to their verdict, and what the last failing one drew."""
    import hypothesis
    from hypothesis import strategies as st

    # Hypothesis also draws constants that it finds in the modules loaded so far. Loading ours before the first example,
    # not in the course of it, makes the same seed draw the same examples.
    import hsproj_verify.oracles.qp
    import hsproj_verify.strategies  # noqa: F401

    executed = 0
    failing: list[Any] = []

    @hypothesis.seed(terms.seed)
    @hypothesis.settings(
        max_examples=max(1, round(terms.examples * check.weight)),
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if terms.shrink and not check.costly else [])],
    )
    @hypothesis.given(st.data())
    def search(data: st.DataObject) -> None:
        nonlocal executed, failing
        recorded = Recorded(data)
        if record is not None:
            record(recorded.values)
        try:
            check.run(Case(target, recorded, terms.tolerance, errors))
        except CheckFailure:
            failing = recorded.values
            raise
        except Unclaimed as reason:
            unclaimed.append(str(reason))
            hypothesis.reject()
        executed += 1

    failure = None
    with _quietly():
        try:
            search()
        except CheckFailure as found:
            failure = found
        except hypothesis.errors.Flaky as error:
            causes = [e for e in getattr(error, "exceptions", ()) if isinstance(e, CheckFailure)]
            if not causes:
                raise
            reason = f"not reproducible: the same input failed once and then passed ({causes[0].reason})"
            failure = CheckFailure(reason, causes[0].witness)
        except hypothesis.errors.Unsatisfiable:
            pass
    return failure, executed + (failure is not None), [encode(value) for value in failing]
