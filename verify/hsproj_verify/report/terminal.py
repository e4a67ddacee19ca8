"""The report for a terminal, or for a file of 120 columns."""

from __future__ import annotations

from hsproj_verify.errors import Worst
from hsproj_verify.report.results import Outcome, Report, Result, counted, witness_lines
from hsproj_verify.report.text import number, printable, shortened

_WIDTH = 120
_LONGEST = 2000  # characters of a line: a witness of a long row is whole in the other formats

_STYLES = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "bold red",
    Outcome.SKIPPED: "dim",
    Outcome.EXPECTED_FAILURE: "yellow",
    Outcome.UNEXPECTED_PASS: "bold red",
}


def show(report: Report) -> None:
    """Print failures with witnesses, those that are alike once, then the table, then the worst error and the verdict."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    for text in report.texts(_LONGEST):
        console.print(Text(text), end="\n\n", soft_wrap=True)
    note = printable(report.note) or None
    table = Table(title=Text(printable(report.target)), caption=note and Text(note), title_justify="left")
    table.caption_justify = "left"
    table.add_column("check", no_wrap=True)
    table.add_column("outcome")
    table.add_column("worst error", justify="right", no_wrap=True)
    table.add_column("examples", justify="right")
    for level in report.levels:
        table.add_section()
        worst = "" if level.worst is None else number(level.worst.error)
        table.add_row(level.name, counted(level.counts), worst, "", style="bold")
        for result in level.results:
            worst = "" if result.worst is None else number(result.worst.error)
            said = Text(printable(outcome_text(result)), style=_STYLES[result.outcome])
            table.add_row(f"  {result.name}", said, worst, str(result.executed))
    console.print(table)
    if report.worst is not None:
        console.print(Text("\n".join(_worst_lines(report, report.worst))), end="\n\n", soft_wrap=True)
    console.print(Text(printable(report.headline), style="bold"), soft_wrap=True)


def _worst_lines(report: Report, worst: Worst) -> list[str]:
    check = next(result.name for result in report.results if result.worst is worst)
    lines = [f"worst error: {number(worst.error)} eps (1 + p), in {check}, {where(worst)}"]
    lines += [f"    {line}" for line in witness_lines(worst.witness)]
    return [shortened(printable(line), _LONGEST) for line in lines]


def where(worst: Worst) -> str:
    """The kind of problem that an error was on."""
    return f"family {worst.family}, n = {worst.n}, {worst.dtype}"


def outcome_text(result: Result) -> str:
    """The outcome, with its reason where that is a word."""
    said = result.outcome.value.replace("_", " ")
    if result.outcome is Outcome.SKIPPED:
        said += f" ({result.reason.partition(':')[0]})"
    elif result.outcome is Outcome.EXPECTED_FAILURE:
        said += f" ({result.reason})"
    return said
