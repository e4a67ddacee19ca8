"""The commands of hsproj-verify, one module each: SUMMARY, `add_options(parser)` and `run(options, arguments)`.

`run` returns an `Exit`. Modules are light to import: what a command needs beyond its options it imports when it runs.
"""

import enum


class Exit(enum.IntEnum):
    """Exit statuses of the command line."""

    PASSED = 0
    FAILED = 1
    WRONG_CALL = 2
