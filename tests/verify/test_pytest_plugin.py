"""The pytest plugin and `parametrize_with_checks`; what importing the plugin costs everybody else."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import hsproj_verify
from hsproj_verify import pytest_plugin
from hsproj_verify.checks import CHECKS
from hsproj_verify.runner import BUDGETS, TIMEOUT
from hsproj_verify.target import COMPANIONS, CONSTRAINTS

pytest_plugins = ["pytester"]

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

TARGETS = """
    import os
    import numpy as np

    def uniform(x, k):
        return np.full(np.shape(x), k / np.shape(x)[-1], dtype=np.asarray(x).dtype)

    def clipped(x):
        return np.clip(x, 0, 1) if sum(np.clip(x, 0, 1)) <= 1 else 0 * x

    def deadly(x, k):
        os._exit(7) if np.asarray(x).dtype == np.float32 else None
        return uniform(x, k)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(uniform_targets=TARGETS)
    return pytester


def _run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "hsproj_verify.pytest_plugin", *arguments)


SOME = "total_is_k or order_is_preserved or accurate_on_tied_scores or vjp_sums_to_zero"


def test_a_target_gives_a_test_for_each_check(project: pytest.Pytester) -> None:
    result = _run(project, "--hsproj-target", "uniform_targets:uniform", "--collect-only", "-q")
    result.stdout.fnmatch_lines([f"uniform_targets:uniform::{name}" for name in CHECKS])
    assert result.ret == 0


def test_checks_pass_skip_and_fail_with_reason_and_witness(project: pytest.Pytester) -> None:
    result = _run(project, "--hsproj-target", "uniform_targets:uniform", "-k", SOME, "-rs")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["accuracy / accurate_on_tied_scores: not the projection*", "*# came:*", "SKIPPED*vjp not claimed*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_other_tests_still_run_and_can_be_left_out(project: pytest.Pytester) -> None:
    project.makepyfile("def test_of_their_own(): pass")
    target = "--hsproj-target", "uniform_targets:uniform", "-k", "total_is_k or their_own"
    _run(project, *target).assert_outcomes(passed=2)
    result = _run(project, *target, "-m", "hsproj", "--strict-markers")
    result.assert_outcomes(passed=1, deselected=len(CHECKS))
    result.stdout.fnmatch_lines([f"collected {len(CHECKS) + 1} items / {len(CHECKS)} deselected / 1 selected"])


def test_expected_failures_are_strict(project: pytest.Pytester) -> None:
    project.path.joinpath("expected.toml").write_text(
        'accurate_on_tied_scores = "uniform"\ntotal_is_k = "thought so"\n'
    )
    expected = "--hsproj-expected-failures", "expected.toml"
    result = _run(project, "--hsproj-target", "uniform_targets:uniform", "-k", SOME, *expected)
    result.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*thought so*"])


def test_a_target_that_ends_its_process_costs_its_check_and_not_the_run(project: pytest.Pytester) -> None:
    names = "dtype_is_kept or total_is_k"
    result = _run(project, "--hsproj-target", "uniform_targets:deadly", "-k", names, "--hsproj-without", "batch")
    assert result.parseoutcomes()["failed"] >= 1
    result.stdout.fnmatch_lines(["*ended its process with exit status 7"])


def test_it_runs_under_xdist(project: pytest.Pytester) -> None:
    result = _run(project, "--hsproj-target", "uniform_targets:uniform", "-k", SOME, "-n", "2")
    result.assert_outcomes(passed=2, failed=1, skipped=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hsproj-tolerance", "0"], "tolerance positive and finite"),
        (["--hsproj-expected-failures", "no_such.toml"], "--hsproj-expected-failures no_such.toml"),
        (["--hsproj-budget", "lavish"], "invalid choice"),
    ],
)
def test_wrong_options_are_usage_errors(project: pytest.Pytester, arguments: list[str], message: str) -> None:
    result = _run(project, "--hsproj-target", "uniform_targets:uniform", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*"])


def test_a_target_that_does_not_import_fails_each_test_and_says_why(project: pytest.Pytester) -> None:
    result = _run(project, "--hsproj-target", "no_such_package:f", "-k", "total_is_k or order_is_preserved")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["can't import 'no_such_package'*"] * 2)
    result.stdout.no_fnmatch_line("*Traceback*")


PARAMETRIZED = """
    from hsproj_verify import Target, parametrize_with_checks
    from uniform_targets import uniform

    NAMES = ["total_is_k", "accurate_on_tied_scores", "vjp_sums_to_zero"]

    @parametrize_with_checks(["uniform_targets:uniform", Target("mine", uniform)], only=NAMES)
    def test_each(target, check):
        assert target.name in ("uniform_targets:uniform", "mine")
        check(target)

    @parametrize_with_checks([uniform], only=NAMES, expected_failures={NAMES[1]: "uniform"})
    def test_expected(target, check):
        check(target)

    @parametrize_with_checks([uniform], only=NAMES[:1], expected_failures=lambda target: {NAMES[0]: target.name})
    def test_unexpected(target, check):
        check(target)
"""


def test_parametrize_with_checks_runs_each_check_on_each_target(project: pytest.Pytester) -> None:
    project.makepyfile(test_mine=PARAMETRIZED)
    result = _run(project, "test_mine.py", "-v")
    result.assert_outcomes(passed=3, failed=3, skipped=3, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_each?uniform_targets:uniform-total_is_k? PASSED*",
            "*test_each?mine-accurate_on_tied_scores? FAILED*",
            "*test_expected*accurate_on_tied_scores? XFAIL*",
            "*JudgedWrongError: accuracy / accurate_on_tied_scores: not the projection*",
            "*XPASS(strict)*uniform_targets:uniform*",
        ]
    )


def test_what_it_solves_may_be_said(project: pytest.Pytester) -> None:
    said = ["--hsproj-constraint", "le", "--hsproj-fixed-k", "1"]
    names = "a_whole_total_may_come_as_a_float or accurate_on_ordinary_scores"
    result = _run(project, "--hsproj-target", "uniform_targets:clipped", *said, "-k", names, "-rs")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*not the projection*", "*function(x)", "SKIPPED*k is 1, always*"])


def test_narrow_targets_are_found_out_where_tests_are_parametrized(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_narrow="""
        import numpy as np
        from hsproj_verify import parametrize_with_checks
        CALLS = []
        def one_row(x, k):
            CALLS.append(np.shape(x))
            if np.ndim(x) != 1:
                raise ValueError("one row, please")
            return np.full(x.shape, k / x.size, x.dtype)
        @parametrize_with_checks([one_row], only=["total_is_k", "rows_are_independent", "a_batch_is_untouched"])
        def test_it(target, check):
            assert CALLS or check.name == "total_is_k"  # not at collection
            check(target)
            assert CALLS.count((2, 3)) <= 4  # probed once
        """
    )
    result = _run(project, "-rs", "test_narrow.py")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*batch not claimed: found out: scores of shape (2, n) raise ValueError*"])


def test_options_are_those_of_the_command_line() -> None:
    assert list(pytest_plugin.COMPANIONS) == list(COMPANIONS)
    assert list(pytest_plugin.BUDGETS) == list(BUDGETS)
    assert list(pytest_plugin.CONSTRAINTS) == list(CONSTRAINTS)
    assert TIMEOUT == 10.0


def _imported(*arguments: str) -> str:
    # What the plugin brings along, beside pytest itself.
    code = "import pytest; import hsproj_verify.pytest_plugin"
    environment = {**os.environ, "PYTHONPATH": str(Path(hsproj_verify.__file__).parents[1])}
    command = [sys.executable, *arguments, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stderr


def test_importing_the_plugin_takes_under_ten_milliseconds() -> None:
    def milliseconds() -> float:
        (line,) = (line for line in _imported("-X", "importtime").splitlines() if line.endswith("hsproj_verify"))
        (last,) = (
            line for line in _imported("-X", "importtime").splitlines() if line.endswith("hsproj_verify.pytest_plugin")
        )
        return sum(int(each.split("|")[1]) for each in (line, last)) / 1000

    assert min(milliseconds() for _ in range(5)) < 10  # the best of five: the others measure the machine


def test_importing_the_plugin_brings_nothing_heavy_along() -> None:
    modules = {line.split("|")[2].strip() for line in _imported("-X", "importtime").splitlines() if "|" in line}
    assert {name for name in modules if name.startswith("hsproj_verify")} == {
        "hsproj_verify",
        "hsproj_verify.pytest_plugin",
    }
    assert not modules & {"numpy", "hypothesis", "rich", "scipy", "cvxpy", "hsproj"}


def test_the_plugin_is_an_entry_point_of_its_own_name() -> None:
    name = "hsproj_verify.pytest_plugin"
    assert tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]["pytest11"] == {name: name}


@pytest.mark.skipif("HSPROJ_TEST_INSTALLED" not in os.environ, reason="not a test of an installed wheel")
def test_an_installed_wheel_has_the_entry_point() -> None:
    assert "hsproj_verify.pytest_plugin" in {point.name for point in entry_points(group="pytest11")}
