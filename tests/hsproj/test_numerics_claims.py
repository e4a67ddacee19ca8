"""Numbers that docs/numerics.md promises and no other test looks at."""

from fractions import Fraction

import numba
import numpy as np
import pytest
from exact_campaign import problem

import hsproj
from hsproj._kernels import _long, _project, _round, _short, _tangent
from hsproj._kernels._simd import ceil_matching, load_sixteen, store
from hsproj_verify.oracles import exact


def quick(x: np.ndarray, k: object, tau: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Projections, bounds and status of rows."""
    m = len(x)
    p, bounds, status = np.empty_like(x), np.empty((m, 2)), np.empty(m, np.int8)
    k, tau = (np.broadcast_to(value, m).astype(float) for value in (k, tau))
    _project.project_rows(x, k, tau, p, bounds, status)
    return p, bounds, status


def bits_below_the_grid(n: int) -> tuple[np.ndarray, Fraction]:
    """Scores that a block can't add up with the others, and that are rounded alike from block to block; and their sum."""
    low, bits = 2.0**-39 * (1 - 2.0**-5), 2.0**-73 - 2.0**-81
    x = np.full(n, low)
    x[100 :: _long.BLOCK] = low + bits
    return x, n * Fraction(low) + n // _long.BLOCK * Fraction(bits)


@pytest.mark.parametrize("n", [2**20, 2**21])
def test_bits_below_the_grid_add_up_within_their_bound_in_the_longest_rows(n: int) -> None:
    x, exactly = bits_below_the_grid(n)
    buffer, settled = np.empty(_long.room(n)), np.zeros(_long.SETTLED)
    assert _long.reduce(x, -0.5 - 1e-6, -0.5 + 1e-6, 1.0, 0.0, np.nan, np.nan, buffer, settled) == 0
    off = abs(sum(map(Fraction, settled[_long.SUM :].tolist())) - exactly)
    assert off <= n * (Fraction(2) ** -86 + n * Fraction(2) ** -107)


def test_an_entry_next_to_a_midpoint_is_rounded_right_in_a_row_of_a_million_scores() -> None:
    n = 2**20
    x, sum_ = bits_below_the_grid(n)
    others = sum_ - Fraction(x[5])
    # All entries are free and k = n / 2, so p_5 = 1/2 + x_5 - mean(x): put it 0.35 * 2^-83 below 1/2 + 2^-54.
    wanted = Fraction(1, 2**54) - Fraction(35, 100) / 2**83
    x[5] = float((wanted + others / n) / (1 - Fraction(1, n)))
    exactly = Fraction(1, 2) + Fraction(x[5]) - (others + Fraction(x[5])) / n
    p, _, status = quick(x[None], n / 2, 1.0)
    assert status[0] != _project.DONE or p[0, 5] == float(exactly)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_with_one_free_entry_are_settled(dtype: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2000, 32)).astype(dtype)
    _, _, status = quick(x, rng.uniform(0.01, 31.99, 2000), 1e-3)
    assert (status == _project.DONE).all()


def test_no_vertex_is_taken_for_proved_at_the_end_of_the_interval() -> None:
    # The exact theta is 2^-61, and both scores are free; FROM is next to it, on the wrong side.
    x = np.append([1.0, 2.0**-60], np.full(30, -8.0))
    low, high = 2.0**-60 + 2.0**-80, 0.25
    state, settled = np.zeros(_long.STATE), np.zeros(_long.SETTLED)
    buffer, answer = np.empty(_long.room(x.size)), np.empty(_long.ANSWER)
    state[_long.FROM], state[_long.TO], state[_long.THETA] = low, high, low
    count = _long.reduce(x, low, high, 1.0, 0.0, np.nan, np.nan, buffer, settled)
    assert _long.conclude(buffer, count, settled, 0.0, 1.0, 1.0, x.size, state, answer) != _long.SOLVED


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family", ["gaussian", "near a kink", "1e-30 from a breakpoint", "subnormal gaps", "tiny k"])
@pytest.mark.parametrize("padding", [0, 30])
def test_free_entries_of_a_settled_row_are_above_2_to_the_minus_52(family: str, dtype: str, padding: int) -> None:
    rng = np.random.default_rng(6)
    for _ in range(300):
        x, k, tau = problem(rng, family, dtype)
        x = np.append(x, np.full(padding, -np.inf, dtype))
        p, bounds, status = quick(x[None], k, tau)
        if status[0] == _project.DONE:
            free = (x >= bounds[0, 0]) & (x < bounds[0, 1])
            assert (p[0][free] > 2.0**-52).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_free_scores_less_the_pivot_are_floats_and_below_5_tau(dtype: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(2000):
        tau = float(rng.uniform(0.5, 2))
        low = float(rng.choice([1, -1]) * tau * rng.choice([0.1, 3.9, 4.1, 1e3, 1e7, 1e9]) * rng.uniform(0.9, 1.1))
        pivot = _long.pivot_for(np.zeros(1, dtype), low, tau)
        high = low + (tau if pivot == 0 else 2 * tau)
        scores = rng.uniform(low, high, 20).astype(dtype).astype(float)
        for v in scores[(scores > low) & (scores < high)].tolist():
            assert Fraction(v - pivot) == Fraction(v) - Fraction(pivot)
            assert abs(v - pivot) <= 5 * tau
            g = _long.grid(tau)
            if dtype == "float32" and pivot != 0.0 and pivot == np.float32(pivot):
                assert (g + (v - pivot)) - g == v - pivot


@pytest.mark.parametrize("tau", [1.0, 1.5, 2.0**13 / 2560 * (1 + 2.0**-40), 2.0**-450, 2.0**900, 0.1])
def test_a_block_of_numbers_on_the_grid_adds_up_exactly_in_any_order(tau: float) -> None:
    rng = np.random.default_rng(8)
    g = _long.grid(tau)
    for d in (np.full(_long.BLOCK, 5.0 * tau), rng.uniform(-5 * tau, 5 * tau, _long.BLOCK)):
        h = (g + d) - g
        left = d - h
        exactly = sum(map(Fraction, h.tolist()))
        assert all(Fraction(a) + Fraction(b) == Fraction(c) for a, b, c in zip(h, left, d, strict=True))
        assert abs(left).max() <= 2.0**-38.67 * tau
        for lanes in (1, 2, 8, 16):
            assert Fraction(float(np.add.reduce(h.reshape(-1, lanes).sum(axis=0)))) == exactly


@pytest.mark.parametrize("tau", [1.0, 1.5, 2.0**-40, 2.0**60, 0.1])
def test_float32_scores_are_on_the_grid_from_where_they_are_not_put_there(tau: float) -> None:
    rng = np.random.default_rng(9)
    g = _long.grid(tau)
    for least in (g * 2.0**-28, 5.0 * tau * 0.99):
        v = rng.uniform(least, 5.0 * tau, 10_000).astype(np.float32)
        v = np.append(v, np.float32(g * 2.0**-28)).astype(np.float64)
        assert ((g + v) - g == v).all()


def test_what_a_score_less_c_loses_is_known_for_every_free_score() -> None:
    rng = np.random.default_rng(10)
    for _ in range(500):
        tau = float(2.0 ** rng.uniform(-3, 3))
        theta = float(rng.choice([1, -1]) * tau * rng.choice([0.0, 1e-9, 0.3, 1.0, 2.0, 1e6]) * rng.uniform(0.5, 1.0))
        rest = theta * float(rng.uniform(-1, 1)) * 2.0**-53
        c, delta = _round.on_grid(theta, rest, 8.0 * (abs(theta) + 2.0 * tau))
        room = Fraction(abs(theta)) + 2 * Fraction(tau)
        assert abs(Fraction(c) + Fraction(delta) - Fraction(theta) - Fraction(rest)) <= room / 2**102
        scores = rng.uniform(theta, theta + tau, 30)
        near_0 = scores * 2.0 ** -rng.integers(0, 70, 30)
        for u in [*scores.tolist(), *near_0[(near_0 >= theta) & (near_0 <= theta + tau)].tolist()]:
            d = u - c
            assert Fraction(d) + Fraction(u - (d + c)) == Fraction(u) - Fraction(c)


@numba.njit
def _solve_at(rows, k, tau, theta, scratch, known):  # type: ignore[no-untyped-def]
    lanes = _short.LANES
    _short.gather(rows, 0, lanes, scratch)
    known[_short._K * lanes : (_short._K + 1) * lanes] = k
    known[_short._TAU * lanes : (_short._TAU + 1) * lanes] = tau
    return _short._solve_at(scratch, rows.shape[1], known, load_sixteen(theta, 0))[0]


@pytest.mark.parametrize(
    ("dtype", "compared"), [("float64", "float64"), ("float32", "float64"), ("float32", "float32")]
)
@pytest.mark.parametrize("off", [0.0, 1e-12, 1e-5, 0.1])
@pytest.mark.parametrize("n", [25, 60, 128])
def test_sets_that_are_proved_are_right_and_sums_within_their_bound(
    n: int, off: float, dtype: str, compared: str
) -> None:
    # From a theta as far off, in temperatures.
    rng = np.random.default_rng(n)
    lanes = _short.LANES
    proofs = 0
    for offset in (0.0, -0.7, 3.0, 1e7):
        for tau in (1.5, 0.01):
            x = offset + rng.choice([1.0, 2.0**-30]) * rng.normal(size=(lanes, n)).round(int(rng.integers(1, 17)))
            x = x.astype(dtype)
            k = rng.uniform(0.01, n - 0.01, lanes).round(int(rng.integers(0, 3))).clip(0.25, n - 0.25)
            truth = [exact.solve(x[r].tolist(), k[r], tau) for r in range(lanes)]
            middle = [answer.threshold for answer in truth]
            theta = np.array([float(t) for t in middle]) + rng.uniform(-off, off, lanes) * tau
            known = np.zeros(8 * lanes)
            proved = _solve_at(x, k, np.full(lanes, tau), theta.astype(compared), np.empty(lanes * n, dtype), known)
            table = known.reshape(8, lanes)
            for r in range(lanes):
                scores = x[r].astype(float)
                support = table[_short._SUPPORT, r] <= scores
                saturated = table[_short._SATURATED, r] <= scores
                free = np.flatnonzero(support & ~saturated)
                if (proved >> r) & 1:
                    proofs += 1
                    assert tuple(free) == truth[r].free, (offset, tau, r)
                    assert tuple(np.flatnonzero(saturated)) == truth[r].saturated
                    assert table[_short._COUNT, r] == len(free)
                    if len(free):
                        numerator = sum(map(Fraction, scores[free].tolist())) - Fraction(tau) * (
                            Fraction(k[r]) - saturated.sum()
                        )
                        held = Fraction(table[_short._NUMERATOR, r]) + Fraction(table[_short._REST, r])
                        assert abs(held - numerator) <= table[_short._ERROR, r]
                        # However small some scores are: or else every entry would have to be looked at by itself.
                        reach = abs(float(truth[r].threshold)) + 3 * tau
                        assert table[_short._ERROR, r] <= 2.0**-84 * len(free) * reach
    assert proofs >= (60 if off < 1e-4 else 2)


@numba.njit
def _ceil(values, scores, out):  # type: ignore[no-untyped-def]
    store(out, 0, ceil_matching(load_sixteen(scores, 0), load_sixteen(values, 0)))


def test_bounds_become_the_next_float32_that_is_not_below() -> None:
    rng = np.random.default_rng(11)
    for scale in (1.0, 1e-44, 3e38, 1e60, 1e-60, 0.0):
        values = rng.normal(size=16) * scale
        with np.errstate(over="ignore"):
            values[:4] = values[:4].astype(np.float32)
        out = np.empty(16, np.float32)
        _ceil(values, out, out)
        with np.errstate(over="ignore"):
            below = np.nextafter(out, np.float32(-np.inf)).astype(float)
        assert (out.astype(float) >= values).all()
        assert ((below < values) | (out == -np.inf)).all()
        same = np.empty(16)
        _ceil(values, same, same)
        assert same.tolist() == values.tolist()


def test_a_row_of_any_length_may_be_declined_by_the_kernel_for_short_rows() -> None:
    for n in range(120, 136):
        x = np.linspace(0.0, 1.0, n)
        x[0] = -np.inf
        assert hsproj.project(x, 3).tolist() == exact.solve(x.tolist(), 3).nearest(x.dtype).tolist()


def test_a_few_reductions_are_enough_where_the_next_scores_are_far(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    calls = []
    reduce = _long.reduce
    monkeypatch.setattr(_long, "reduce", lambda *arguments: calls.append(1) or reduce(*arguments))
    for _ in range(300):
        x, k, tau = rng.normal(size=200), float(rng.uniform(0, 200)), float(10.0 ** rng.uniform(-3, 1))
        states, settled = np.empty(2 * _long.STATE), np.zeros(_long.SETTLED)
        scratch = np.empty(_long.SAMPLE), np.empty(_long.room(200))
        calls.clear()
        _long.locate.py_func(x, k, tau, *scratch, states, settled, np.empty(_long.ANSWER))
        assert len(calls) <= 8


@pytest.mark.parametrize(("dtype", "decades"), [("float64", 300), ("float32", 30)])
def test_products_with_the_jacobian_are_divided_by_tau_as_floats_are(dtype: str, decades: int) -> None:
    rng = np.random.default_rng(11)
    low, high = -0.5, 1.0
    for _ in range(500):
        n, tau = int(rng.integers(1, 80)), float(10.0 ** rng.choice([rng.uniform(-5, 5), rng.uniform(-250, 250)]))
        x = rng.normal(size=n).astype(dtype)
        v = (rng.normal(size=n) + rng.choice([0.0, 1.0, 1e10])) * 10.0 ** rng.choice(
            [0.0, rng.uniform(-decades, decades)]
        )
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            v = v.astype(dtype)
            mean, rest = _tangent._free_mean(v, x, low, high, 1.0)
            if not abs(mean) < 2.0**969:
                continue
            expected = np.where((low <= x) & (x < high), ((v.astype(float) - mean) - rest) / tau, 0.0).astype(dtype)
        out = np.empty((1, n), dtype)
        _tangent.tangents(v[None], x[None], np.array([[low, high]]), np.array([tau]), out)
        np.testing.assert_array_equal(out[0], expected)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_product_with_the_jacobian_is_the_same_alone_and_among_others(dtype: str) -> None:
    rng = np.random.default_rng(12)
    eps, big = float(np.finfo(dtype).eps), float(np.finfo(dtype).max)
    for n in [*range(1, 42), 100, 255, 256, 257, 300]:
        m = int(rng.integers(1, 20))
        x, v = rng.normal(size=(2, m, n)).astype(dtype)
        tau = np.exp(rng.normal(size=m))
        tau[rng.random(m) < 0.1] = 2.0 ** rng.choice([-310, 310])
        for r in np.flatnonzero(rng.random(m) < 0.3):
            v[r, rng.integers(n)] = rng.choice([big, -big, np.inf, np.nan, big * 1e-10])
        bounds = np.sort(rng.normal(size=(m, 2)).astype(dtype).astype(float), axis=1)
        bounds[rng.random(m) < 0.1] = np.nan  # nothing is free
        free = (x >= bounds[:, :1]) & (x < bounds[:, 1:])
        whole, known, alone = np.empty((3, m, n), dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            _tangent.tangents(v, x, bounds, tau, whole)
            _tangent.tangents(v, free, np.empty((m, 0)), tau, known)
            for r in range(m):
                row = slice(r, r + 1)
                _tangent.tangents(v[row], x[row], bounds[row], tau[row], alone[row])
        np.testing.assert_array_equal(whole, known)
        np.testing.assert_array_equal(whole, alone)
        assert not whole[~free].any()
        for r in range(m):
            moving = v[r, free[r]].astype(float)
            if moving.size and np.isfinite(moving).all() and 1e-3 < tau[r] < 1e3:
                terms = [Fraction(t) for t in moving.tolist()]
                mean = sum(terms) / len(terms)
                within = 4 * Fraction(eps) * max(map(abs, terms)) / Fraction(tau[r])
                for term, product in zip(terms, whole[r, free[r]].tolist(), strict=True):
                    right = (term - mean) / Fraction(tau[r])
                    assert abs(right) > big or abs(Fraction(product) - right) <= within


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_free_scores_of_a_known_threshold_are_rounded_correctly(dtype: str) -> None:
    # float32 in float32 where theta is up to 8 temperatures away, and in float64 elsewhere.
    rng = np.random.default_rng(13)
    steps = 2.0 ** -np.finfo(dtype).nmant
    for trial in range(400):
        tau = float(2.0 ** rng.choice([rng.uniform(-60, 60), rng.uniform(-3, 3), rng.uniform(-70, 70)]))
        tau = float(np.float32(tau)) if trial % 3 == 0 else tau
        theta = tau * float(
            rng.choice([0.0, rng.uniform(-8, 8), rng.uniform(-8.1, -7.9), 1e-7, rng.uniform(-1e4, 1e4)])
        )
        rest = theta * float(rng.uniform(-1, 1)) * 2.0**-53
        exactly = Fraction(theta) + Fraction(rest)
        p = rng.uniform(0, 1, 96) * 2.0 ** -rng.integers(0, 20, 96)
        # Half of them next to the middle between two floats.
        p[::2] = (np.floor(p[::2] / steps) + 0.5) * steps
        x = (theta + p * tau).astype(dtype)
        x = x[(x.astype(float) > theta) & (x.astype(float) < theta + tau * (1 - 1e-6))]
        if x.size < 16:
            continue
        answer = np.zeros(_long.ANSWER)
        answer[[_long.NUMERATOR, _long.NUMERATOR_REST, _long.COUNT]] = theta, rest, 1.0
        answer[[_long.SUPPORT_FROM, _long.SATURATED_FROM]] = x.min(), theta + 2.0 * tau
        out = np.empty_like(x)
        assert _round.round_row(x, 1.0, tau, answer, out, np.empty(_round.TERMS))
        right = [exact.round_to((Fraction(u) - exactly) / Fraction(tau), dtype) for u in x.tolist()]
        assert out.tolist() == right, (tau, theta)
