"""Text that targets have had a say in, made fit to be shown."""

from __future__ import annotations

import re

# All but tab and newline: what XML 1.0 can't hold, what a terminal would obey, and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    r"""The text with control characters, and what else has no place in a report, as escapes.

    Examples
    --------
    >>> from hsproj_verify.report.text import printable
    >>> print(printable("\x1b[31mred"))
    \x1b[31mred
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def shortened(line: str, longest: int | None) -> str:
    """The line, or its beginning and how much of it is missing."""
    if longest is None or len(line) <= longest:
        return line
    return f"{line[:longest]} ... ({len(line) - longest} more characters)"


def number(error: float) -> str:
    """An error in three digits."""
    return f"{error:.3g}"
