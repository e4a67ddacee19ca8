"""Right implementations of different construction pass: the judge raises no false alarm."""

import pytest

from hsproj_verify import check
from right import RIGHT


@pytest.mark.parametrize("name", list(RIGHT))
def test_right_implementations_of_different_construction_pass(name: str) -> None:
    # The quick budget, and 50 seeds: make right.
    report = check(RIGHT[name], seed=1, examples=3 if name == "rationals" else 8)
    report.raise_for_failures()
    assert report.counts["passed"] >= 38
