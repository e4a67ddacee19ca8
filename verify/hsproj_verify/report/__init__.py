"""What came out: results of checks in; a verdict out, a table for people, JSON, JUnit XML and a page of HTML.

`results` holds them; `terminal`, `junit` and `page` are one format each, `figures` what the page shows.
"""

from hsproj_verify.report.results import (
    SUFFIXES,
    JudgedWrongError,
    Outcome,
    Report,
    Result,
    failure_text,
    witness_lines,
)

__all__ = ["SUFFIXES", "JudgedWrongError", "Outcome", "Report", "Result", "failure_text", "witness_lines"]
