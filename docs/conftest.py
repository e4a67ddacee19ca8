"""Run every ``>>>`` example of the pages, and compare what it prints."""

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()], patterns=["*.md"], excludes=["_build/**", "_generated/**"]
).pytest()
