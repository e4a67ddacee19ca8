"""Verdicts on implementations nobody here wrote, with witnesses that reproduce."""

from importlib.util import find_spec

import numpy as np
import pytest
from simplexers.capped import capped_simplexer

from hsproj_verify import check
from hsproj_verify.oracles import exact
from hsproj_verify.target import load


def test_simplexers_fails_and_its_integer_truncation_is_found() -> None:
    report = check("hsproj_verify.peers.simplexers:target", examples=50)
    outcomes = {result.name: result for result in report.results}
    assert report.verdict == "fail"
    assert outcomes["integer_scores_are_promoted"].outcome.value == "failed"
    assert outcomes["accurate_with_a_huge_offset"].outcome.value == "failed"
    # What it does not claim is skipped, with the reason; what it does right passes.
    assert outcomes["vjp_sums_to_zero"].outcome.value == "skipped"
    assert outcomes["agrees_with_cvxpy"].outcome.value == "passed"
    assert outcomes["input_is_untouched"].outcome.value == "passed"


def test_simplexers_integer_witness_is_true() -> None:
    (result,) = check("hsproj_verify.peers.simplexers:target", only=["integer_scores_are_promoted"]).results
    assert result.witness is not None
    scope: dict[str, object] = {}
    *lines, call = result.witness.code.splitlines()
    exec("\n".join(lines), scope)
    came = np.ravel(eval(call, scope))
    k = float(call.split(", ")[-1].rstrip(")"))
    truth = exact.solve(np.asarray(scope["x"]).tolist(), k).p
    assert np.abs(came - [float(p) for p in truth]).max() > 0.1
    # The known case, straight from the package: three equal scores and one unit give nothing to anyone.
    assert not capped_simplexer(np.array([1, 1, 1]), 1).any()


def test_simplexers_is_right_on_ordinary_floats_to_the_tolerance_of_its_root_finder() -> None:
    # Brent's method stops at 2e-12, about 1e4 eps.
    names = ["accurate_on_ordinary_scores", "accurate_on_tied_scores", "accurate_on_saturated_ties"]
    report = check("hsproj_verify.peers.simplexers:target", only=names, tolerance=2e4)
    report.raise_for_failures()


# Entries are off by no more than what each stops at.
TOLERANCES = {
    "simplexers": 1e-11,
    "pyproximal": 2e-5,
    "scipy": 1e-14,
    "sorting": 1e-14,
    "entmax": 1e-13,
    "torchisotonic": 1e-14,
    "jaxopt": 1e-5,
}
NEEDS = {"entmax": "entmax", "torchisotonic": "torchisotonic", "jaxopt": "jaxopt"}


@pytest.mark.parametrize("peer", TOLERANCES)
def test_adapters_give_the_projection_and_the_vjp_of_rows_and_of_a_row(peer: str) -> None:
    if peer in NEEDS and not find_spec(NEEDS[peer]):
        pytest.skip(f"{NEEDS[peer]} is not installed: it is in the extra peers-heavy")
    target = load(f"hsproj_verify.peers.{peer}:target")
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 4, 9))
    for k in (1, 3):
        truths = [exact.solve(row.tolist(), k) for row in x]
        p = np.array([[float(entry) for entry in truth.p] for truth in truths])
        assert np.allclose(target.project(x, k), p, rtol=0, atol=TOLERANCES[peer])
        assert np.allclose(target.project(x[0], k), p[0], rtol=0, atol=TOLERANCES[peer])
        assert target.project(x.astype(np.float32), k).dtype == np.float32
        if target.vjp is not None:
            gradient = [[float(v) for v in t.vjp(row.tolist())] for t, row in zip(truths, g, strict=True)]
            assert np.allclose(target.vjp(x, k, g), gradient, rtol=0, atol=1e-14)
        if target.project_and_vjp is not None:
            both = target.project_and_vjp(x, k, g)
            assert np.allclose(both[0], p, rtol=0, atol=TOLERANCES[peer])
            assert np.allclose(both[1], gradient, rtol=0, atol=1e-14)


def test_a_sorted_scan_in_numpy_passes_what_it_claims_at_a_tolerance() -> None:
    names = ["accurate_on_ordinary_scores", "accurate_on_tied_scores", "rows_are_independent"]
    report = check("hsproj_verify.peers.sorting:target", only=names, examples=50, tolerance=100)
    report.raise_for_failures()
