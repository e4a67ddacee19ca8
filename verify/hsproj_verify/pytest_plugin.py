"""The pytest plugin: `pytest --hsproj-target package.module:function` collects one test a check.

Every run of pytest imports this module where the package is installed: nothing heavy is imported before it is asked for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

COMPANIONS = (
    "vjp",
    "jvp",
    "loss",
    "loss_and_grad",
    "fenchel_young_loss",
    "fenchel_young_loss_and_grad",
    "cross_entropy_loss",
    "cross_entropy_loss_and_grad",
    "zero_one_loss",
    "top_k_zero_one_loss",
)
CONSTRAINTS = ("eq", "le")
BUDGETS = ("quick", "standard", "deep")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, as those of `hsproj-verify check`."""
    group = parser.getgroup("hsproj", "judge a projection onto the hypersimplex")
    add = group.addoption
    add(
        "--hsproj-target",
        metavar="TARGET",
        help="package.module:function or path/to/file.py:function; one test a check",
    )
    for name in COMPANIONS:
        add(f"--hsproj-{name.replace('_', '-')}", metavar="TARGET", help=f"its {name}")
    add("--hsproj-budget", choices=BUDGETS, default="quick", help="examples a check (default: %(default)s)")
    add("--hsproj-seed", type=int, default=0, help="draws the same examples again (default: %(default)s)")
    add("--hsproj-tolerance", type=float, default=8.0, help="in units of eps (1 + p) (default: %(default)s)")
    add("--hsproj-timeout", type=float, default=10.0, help="seconds for one call (default: %(default)g)")
    add("--hsproj-with", metavar="CLAIM", action="append", default=[], help="also judge this")
    add("--hsproj-without", metavar="CLAIM", action="append", default=[], help="don't judge this")
    add("--hsproj-constraint", choices=CONSTRAINTS, help="le: it solves sum p <= k")
    add("--hsproj-fixed-k", metavar="K", type=float, help="the only total that it takes")
    add("--hsproj-expected-failures", metavar="FILE.toml", type=Path, help='lines of: check = "reason"')


def pytest_configure(config: pytest.Config) -> None:
    """Load what collects the tests, if there is a target."""
    config.addinivalue_line("markers", "hsproj: a check of --hsproj-target; -m hsproj runs nothing else")
    if config.getoption("--hsproj-target") is not None:
        from hsproj_verify.pytest_items import Judge

        config.pluginmanager.register(Judge(config), "hsproj_verify.judge")
