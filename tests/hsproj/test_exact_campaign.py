"""A slice of the campaign against rationals (`make exact-campaign`): no misrounded entry, no wrong mask."""

import numpy as np
import pytest
from exact_campaign import KINDS, examine, jobs, problem
from families import ADVERSARIAL

from hsproj_verify.oracles import exact


@pytest.mark.parametrize(("family", "dtype"), KINDS)
def test_nothing_is_misrounded_or_decided_wrongly(family: str, dtype: str) -> None:
    count = {"many equal scores": 2, "long rows": 40}.get(family, 250 if family in ADVERSARIAL else 50)
    *_, found, examples = examine((family, dtype, 20261124, count))
    assert not found, examples


def test_the_campaign_covers_every_family_with_at_least_the_problems_asked_for() -> None:
    planned = list(jobs(100_000, 0))
    assert {(family, dtype) for family, dtype, _, _ in planned} == set(KINDS)
    assert sum(count for *_, count in planned) >= 100_000
    assert len({(family, dtype, seed) for family, dtype, seed, _ in planned}) == len(planned)


def test_midpoints_are_met_and_missed_by_a_hair() -> None:
    # What the family is for: exact midpoints, which only ties-to-even decides, and answers next to them.
    rng = np.random.default_rng(0)
    ties = close = 0
    for _ in range(500):
        x, k, tau = problem(rng, "next to rounding midpoints", "float64")
        for p in exact.solve(x.tolist(), k, tau).p:
            near = float(exact.round_to(p, "float64"))
            off = abs(abs(p - type(p)(near)) / type(p)(float(np.spacing(near))) - type(p)(1, 2))
            ties += off == 0
            close += 0 < off < 2.0**-20
    assert ties > 50
    assert close > 50
