"""The certificate against rationals: its bounds enclose the true error, whatever p is, and are tight."""

import math
from fractions import Fraction as Fr

import numpy as np
import pytest
from families import ADVERSARIAL, FAMILIES, draw, draw_adversarial
from hypothesis import given, settings
from hypothesis import strategies as st

from hsproj_verify import Certificate, certificate
from hsproj_verify.oracles import certificate as implementation
from hsproj_verify.oracles import exact
from hsproj_verify.oracles.sums import exact_sum

LARGEST = float(np.finfo(np.float64).max)


def _true_error(p: np.ndarray, solution: exact.Solution) -> Fr:
    return max((abs(Fr(float(a)) - b) for a, b in zip(p, solution.p, strict=True)), default=Fr(0))


def _demand_proof(x: np.ndarray, k: float, tau: float, p: np.ndarray, solution: exact.Solution) -> Certificate:
    """Everything the certificate says, compared with the rational solution; only its tightness is left to the caller."""
    proof = certificate(x, k, p, temperature=tau)
    assert proof.lower <= _true_error(p, solution) <= proof.upper
    assert (proof.theta_low, proof.theta_high) == (solution.theta_low, solution.theta_high)
    assert (proof.free, proof.saturated) == (len(solution.free), len(solution.saturated))
    assert proof.residual == sum(map(Fr, p.tolist())) - Fr(k)
    assert proof.lower <= abs(Fr(float(p[proof.index])) - solution.p[proof.index])
    assert proof.nearest == float(solution.p[proof.index])
    return proof


def _answers(rng: np.random.Generator, x: np.ndarray, k: float, tau: float, nearest: np.ndarray) -> list[np.ndarray]:
    """What somebody might return: right, a bit off, far off, out of range."""
    n = x.size
    one_ulp = nearest.copy()
    i = rng.integers(n)
    one_ulp[i] = np.nextafter(one_ulp[i], rng.choice([-1.0, 2.0]))
    outlier = nearest.copy()
    outlier[i] = rng.choice([-LARGEST, LARGEST, 5e-324, -1e-320, 0.0, 1.0])
    with np.errstate(over="ignore"):
        clipped = np.clip(x / np.float64(tau), 0.0, 1.0).astype(np.float64)
    return [
        nearest,
        one_ulp,
        outlier,
        nearest.astype(np.float32).astype(np.float64),
        nearest + rng.normal(size=n) * 10.0 ** rng.integers(-20, 1),
        np.nextafter(nearest, np.where(rng.random(n) < 0.5, -1.0, 2.0)),
        clipped,
        np.full(n, k / n),
        np.zeros(n),
        rng.random(n),
        rng.choice([0.0, 1.0], n),
        rng.normal(size=n) * 10.0 ** rng.integers(-300, 308, n),
    ]


@pytest.mark.parametrize("looked_at", [64, 1], ids=["exact errors", "bounds in twice the precision"])
@pytest.mark.parametrize("family", [*FAMILIES, *(f for f in ADVERSARIAL if f != "many equal scores")])
def test_bounds_enclose_the_true_error_tightly(family: str, looked_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implementation, "_LOOKED_AT", looked_at)
    rng = np.random.default_rng(7)
    proved = 0
    while proved < 60:
        x, k, tau = draw(rng, family) if family in FAMILIES else draw_adversarial(rng, family)
        try:
            solution = exact.solve(x.tolist(), k, tau)
        except exact.NoAnswerError:
            with pytest.raises(exact.NoAnswerError):
                certificate(x, k, np.zeros(x.size), temperature=tau)
            continue
        for p in _answers(rng, x, k, tau, solution.nearest("float64")):
            proof = _demand_proof(x, k, tau, p, solution)
            # 2u at either end by rounding outwards, 4u among entries near the largest, 2u in it; and u^2 of all in play.
            slack = Fr(10, 2**53) * _true_error(p, solution) + Fr(2) ** -93 * max(1, *map(abs, map(Fr, p.tolist())))
            assert proof.upper == math.inf or Fr(proof.upper) - Fr(proof.lower) <= slack + Fr(2) ** -1073
            proved += 1


any_float = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_bounds_enclose_the_true_error_of_any_floats(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 6))
    pool = data.draw(
        st.lists(any_float, min_size=1, max_size=3)
    )  # so that scores, p and tau have to do with each other
    some = st.sampled_from(pool)
    x = np.array(data.draw(st.lists(st.one_of(any_float, some), min_size=n, max_size=n)))
    p = np.array(data.draw(st.lists(st.one_of(any_float, some, st.floats(0.0, 1.0)), min_size=n, max_size=n)))
    k = data.draw(st.one_of(st.integers(0, n).map(float), st.floats(0.0, n)))
    tau = data.draw(st.one_of(st.floats(5e-324, LARGEST), some.map(abs).filter(bool)))
    _demand_proof(x, k, tau, p, exact.solve(x.tolist(), k, tau))


@pytest.mark.parametrize("chunk", [64, 1 << 15])
def test_long_rows_are_put_together_of_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implementation, "_CHUNK", chunk)
    rng = np.random.default_rng(3)
    for x in (
        rng.normal(size=3000),
        np.full(3000, 0.1),
        np.sort(rng.integers(0, 40, 3000) / 8),
        rng.normal(size=3000) + 1e12,
    ):
        solution = exact.solve(x.tolist(), 900.5, 1.0)
        nearest = solution.nearest("float64")
        for p in nearest, nearest.astype(np.float32).astype(np.float64), nearest + 1e-9, rng.random(3000):
            proof = _demand_proof(x, 900.5, 1.0, p, solution)
            assert proof.upper - proof.lower <= 10 * 2.0**-53 * proof.upper + 2.0**-93


def test_one_ulp_in_one_entry_of_a_million_is_seen() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 64, 10**6) / 64.0
    x[:4] = 10.0  # saturated
    p = np.zeros(x.size)
    p[:4] = 1.0
    assert certificate(x, 4, p, temperature=4.0).upper == 0.0
    p[2] -= 2.0**-53
    proof = certificate(x, 4, p, temperature=4.0)
    assert (proof.lower, proof.upper, proof.index, proof.residual) == (2.0**-53, 2.0**-53, 2, -Fr(1, 2**53))


def test_entries_that_are_equal_and_wrong_by_rounding_are_bounded_by_that_rounding() -> None:
    n, k = 10**5, 3 * 10**4
    x = np.full(n, 0.1, np.float32)
    proof = certificate(x, k, np.full(n, 0.3, np.float32))
    true = abs(Fr(float(np.float32(0.3))) - Fr(3, 10))
    assert Fr(proof.lower) <= true <= Fr(proof.upper)
    assert proof.upper - proof.lower < 1e-20


def test_an_answer_that_is_not_finite_is_infinitely_far_off() -> None:
    for bad in math.nan, math.inf, -math.inf:
        proof = certificate([3.0, 1.0, 1.0], 1, [1.0, bad, 0.0])
        assert (proof.lower, proof.upper, proof.index) == (math.inf, math.inf, 1)
        assert math.isnan(proof.residual)


def test_an_empty_row_has_no_error() -> None:
    proof = certificate([], 0, [])
    assert (proof.lower, proof.upper, proof.index, proof.residual) == (0.0, 0.0, -1, 0)


def test_infinite_scores_alone() -> None:
    proof = certificate([math.inf, -math.inf], 1, [1.0, 0.25])
    assert (proof.lower, proof.upper, proof.index) == (0.25, 0.25, 1)
    assert (proof.theta_low, proof.theta_high) == (None, None)


@pytest.mark.parametrize(
    ("error", "rule", "arguments"),
    [
        (ValueError, "`p` must have the shape of `x`; got (1,) and (2,)", ([1.0, 2.0], 1, [1.0])),
        (ValueError, "`x` must be one row; got shape (1, 1)", ([[1.0]], 1, [[1.0]])),
        (TypeError, "`x` must hold real numbers of at most 64 bits; got dtype complex128", ([1j], 1, [1.0])),
        (ValueError, "`p` must hold integers up to 2^53", ([1.0], 1, [2**53 + 1])),
        (ValueError, "`k` must be a finite number; got nan", ([1.0], math.nan, [1.0])),
        (exact.NoAnswerError, "k=2 with 0 scores of +inf and 1 finite ones", ([1.0], 2, [1.0])),
        (exact.NoAnswerError, "a score is NaN", ([math.nan], 0, [1.0])),
    ],
)
def test_wrong_calls_are_refused(error: type[Exception], rule: str, arguments: tuple[object, float, object]) -> None:
    with pytest.raises(error) as caught:
        certificate(arguments[0], arguments[1], arguments[2])
    assert rule in str(caught.value)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperatures_must_be_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="`temperature` must be positive"):
        certificate([1.0], 1, [1.0], temperature=temperature)


@given(st.lists(any_float, max_size=30))
def test_sums_have_no_rounding(values: list[float]) -> None:
    assert exact_sum(np.array(values)) == sum(map(Fr, values))


def test_sums_over_chunks_have_no_rounding() -> None:
    ones = np.full(300_001, 1.0 - 2.0**-53)  # all bits set
    assert exact_sum(ones) == 300_001 * (1 - Fr(1, 2**53))
    assert exact_sum(-ones) == -exact_sum(ones)
