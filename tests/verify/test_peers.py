"""Verdicts on implementations nobody here wrote, with witnesses that reproduce."""

import numpy as np
import pytest
from simplexers.capped import capped_simplexer

from hsproj_verify import check
from hsproj_verify.oracles import exact
from hsproj_verify.scoreboard.catalogue import PEERS, Peer
from hsproj_verify.target import Target, load


def test_simplexers_fails_and_its_integer_truncation_is_found() -> None:
    report = check("hsproj_verify.peers.simplexers:target", budget="quick")
    outcomes = {result.name: result for result in report.results}
    assert report.verdict == "fail"
    assert outcomes["integer_scores_are_promoted"].outcome.value == "failed"
    # What it does not claim is skipped, with the reason; what it does right passes.
    assert outcomes["accurate_with_a_huge_offset"].outcome.value == "skipped"
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


def _demand(peer: Peer) -> Target:
    if peer.missing:
        pytest.skip(f"{', '.join(peer.missing)} is not installed: see the extras peers and peers-heavy")
    return load(peer.target)


SORTING = Peer("sorting", "hsproj_verify.peers.sorting:target", ("numpy",), "", "", "", "")


@pytest.mark.filterwarnings("ignore")  # what a peer warns of is its own affair
@pytest.mark.parametrize("peer", [*PEERS.values(), SORTING], ids=lambda peer: peer.name)
def test_an_adapter_gives_the_projection_and_the_vjp_to_what_its_peer_stops_at(peer: Peer) -> None:
    target = _demand(peer)
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 4, 9))
    tolerance = peer.tolerance * np.finfo(np.float64).eps
    for k in (1, 3):
        truths = [exact.solve(row.tolist(), k) for row in x]
        p = np.array([[float(entry) for entry in truth.p] for truth in truths])
        assert np.allclose(target.project(x[0], k), p[0], rtol=0, atol=2 * tolerance)
        if "batch" in target.claims:
            assert np.allclose(target.project(x, np.full(4, k)), p, rtol=0, atol=2 * tolerance)
        if "float32" in target.claims:
            assert np.asarray(target.project(x[0].astype(np.float32), k)).dtype == np.float32
        if "vjp" in target.claims:
            assert target.vjp is not None
            gradient = np.array([[float(v) for v in t.vjp(row.tolist())] for t, row in zip(truths, g, strict=True)])
            assert np.allclose(target.vjp(x[0], k, g[0]), gradient[0], rtol=0, atol=2 * tolerance)
            if target.project_and_vjp is not None:
                both = target.project_and_vjp(x[0], k, g[0])
                assert np.allclose(both, [p[0], gradient[0]], rtol=0, atol=2 * tolerance)
            if target.solve is not None:
                pull_back = target.solve(x[0], k)
                for _ in range(2):
                    assert np.allclose(pull_back(g[0]), gradient[0], rtol=0, atol=2 * tolerance)


def test_a_sorted_scan_in_numpy_passes_what_it_claims_at_a_tolerance() -> None:
    names = ["accurate_on_ordinary_scores", "accurate_on_tied_scores", "rows_are_independent"]
    report = check("hsproj_verify.peers.sorting:target", only=names, examples=50, tolerance=100)
    report.raise_for_failures()
