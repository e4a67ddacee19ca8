"""Verdicts on implementations nobody here wrote, with witnesses that reproduce."""

import numpy as np
from simplexers.capped import capped_simplexer

from hsproj_verify import check
from hsproj_verify.oracles import exact


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
