"""Every search ends, where it should and as fast as it should: the two known traps, and inputs made to be slow."""

import math
import tracemalloc

import numpy as np
import pytest
from families import draw

import hsproj
from hsproj import _exact
from hsproj._kernels import _project, _solve
from hsproj._threshold import threshold
from hsproj_verify.oracles import exact


@pytest.fixture
def no_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a row has to be solved in integers: ordinary rows never are."""

    def refuse(*_: object) -> None:
        pytest.fail("the kernel left this row undecided")

    monkeypatch.setattr(_exact, "solve_row", refuse)


@pytest.mark.usefixtures("no_integers")
@pytest.mark.parametrize(
    "family", ["gaussian", "tied integers", "tied quarters", "tenths", "saturated and tied", "offset"]
)
def test_kernels_decide_ordinary_rows_themselves(family: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(500):
        x, k, tau = draw(rng, family)
        hsproj.solve(x, k, temperature=tau)


@pytest.mark.usefixtures("no_integers")
@pytest.mark.parametrize("n", [2, 10, 1000, 100_000])
def test_flat_piece_of_a_vertex_where_newton_has_no_slope(n: int) -> None:
    x = np.where(np.arange(n) < n // 2, 5.0, 0.0)
    sol = hsproj.solve(x, n // 2)
    assert (sol.p == (x > 0)).all()
    assert sol.threshold == 2.0  # the midpoint of [0, 5 - 1]


@pytest.mark.usefixtures("no_integers")
@pytest.mark.parametrize("n", [10, 100, 1000])
def test_two_cycle_between_neighbouring_floats(n: int) -> None:
    # theta lies between two floats next to an offset, and both are on the wrong side of an entry.
    rng = np.random.default_rng(n)
    for offset in (1e8, 1e12, 2.0**52):
        for _ in range(50):
            x = offset + rng.normal(size=n)
            k = float(rng.uniform(0, n))
            truth = exact.solve(x.tolist(), k)
            sol = hsproj.solve(x, k)
            assert tuple(np.flatnonzero(sol.free)) == truth.free
            assert sol.p.tolist() == pytest.approx([float(p) for p in truth.p], rel=0, abs=4 * 2.0**-52)


@pytest.mark.usefixtures("no_integers")
def test_a_total_one_ulp_from_an_integer_with_gaps_far_above_the_temperature() -> None:
    # theta is some 1e-24 from a score near 1e11: no pair of floats next to another score can say where.
    rng = np.random.default_rng(4)
    for _ in range(2000):
        n = int(rng.integers(2, 8))
        x = rng.normal(size=n) * 10.0 ** rng.uniform(-20, 20, n)
        tau = float(10.0 ** rng.uniform(-12, 4))
        k = math.nextafter(float(rng.integers(1, n)), float(rng.choice([0, n])))
        p = hsproj.solve(x, k, temperature=tau).p
        assert p.tolist() == [float(q) for q in exact.solve(x.tolist(), k, tau).p]


def test_scores_closer_together_than_pairs_can_tell_go_to_integers_without_a_word() -> None:
    rng = np.random.default_rng(12)
    for _ in range(300):
        near = rng.choice([0.0, 1.0, -1.0], 6) * 10.0 ** rng.uniform(-40, -30, 6)
        x = np.concatenate([near, [1e38, -1e16, -1e30], rng.choice([0.0, 1e-14, 1e5], 4)])
        k, tau = float(rng.integers(1, 13)), float(rng.choice([0.1, 0.7, 1.3]))
        p = hsproj.solve(x, k, temperature=tau).p
        assert p.tolist() == [float(q) for q in exact.solve(x.tolist(), k, tau).p]


@pytest.mark.usefixtures("no_integers")
def test_the_lowest_float_as_a_mask_is_solved_by_the_kernels_too() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(500, 8))
    masked = rng.random(x.shape) < 0.3
    masked[:, 0] = False
    lowest, minus_inf = np.where(masked, np.finfo(np.float64).min, x), np.where(masked, -np.inf, x)
    np.testing.assert_array_equal(hsproj.project(lowest, 1), hsproj.project(minus_inf, 1))


def test_a_fault_of_the_fast_stage_is_heard_and_costs_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(rows: np.ndarray, k: np.ndarray, tau: np.ndarray, records: np.ndarray, status: np.ndarray) -> None:
        records[:] = np.nan
        status[:] = [_solve.UNSETTLED, _solve.UNDECIDED]

    monkeypatch.setattr(_solve, "solve_rows", faulty)
    rows, k, tau = np.array([[0.5, 0.25, 0.0], [0.0, 0.5, 0.25]]), np.ones(2), np.ones(2)
    with pytest.warns(
        RuntimeWarning, match=r"certifying stage failed on 1 of 2 rows.*first of them: \[0.5, 0.25, 0.0\]"
    ):
        theta = threshold(rows, k, tau)
    assert theta.bounds.tolist() == [[0.0, np.inf], [0.0, np.inf]]  # all are free


def test_a_fault_of_the_quick_stage_is_heard_and_costs_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def declines(rows: np.ndarray, k: np.ndarray, tau: np.ndarray, *others: np.ndarray) -> int:
        others[2][:] = _project.UNPROVED
        return len(rows)

    monkeypatch.setattr(_project, "project_rows", declines)
    with pytest.warns(RuntimeWarning, match=r"quick stage failed on 1 of 2 rows.*first of them: \[0.5, 0.25, 0.0\]"):
        p = hsproj.project([[0.5, 0.5, 0.0], [0.5, 0.25, 0.0]], 1)  # the first row is at a kink
    assert p[0].tolist() == [0.5, 0.5, 0.0]


def _few_scores_over_a_cluster(
    rng: np.random.Generator, n: int, few: int, top: float, spread: np.ndarray
) -> np.ndarray:
    x = 1e-4 * spread
    x[rng.choice(n, few, replace=False)] = top
    return x


def test_a_few_high_scores_over_a_tight_cluster_are_for_the_quick_stage() -> None:
    # The search came to the cluster from above, by parts of its last step.
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = _few_scores_over_a_cluster(rng, 200_000, 9, 1.0, rng.normal(size=200_000))
        assert abs(hsproj.project(x, 8.1).sum() - 8.1) < 1e-9
    # High scores that are equal are a crowd, so they are counted, and not set aside.
    for seed, k in ((1, 7.2), (2, 7.92)):
        rng = np.random.default_rng(seed)
        x = _few_scores_over_a_cluster(rng, 3000, 8, 1.0001, rng.exponential(size=3000))
        assert hsproj.project(x, k).tolist() == exact.solve(x.tolist(), k).nearest(x.dtype).tolist()


@pytest.mark.parametrize(
    ("n", "k", "tau"), [(20_000, 6.0, 1.0), (20_000, 6000.0, 0.1), (200_000, 6e4, 0.1), (5000, 6.0, 1.0)]
)
def test_crowds_of_float32_next_to_the_interval_are_not_in_it(n: int, k: float, tau: float) -> None:
    x = (1e6 + 0.01 * np.random.default_rng(0).normal(size=n)).astype(np.float32)
    assert abs(hsproj.soft_binary_argmax(x, k, temperature=tau).sum(dtype=float) - k) < 1e-5 * k


def test_a_crowd_of_scores_far_from_theta_is_not_stepped_on_for_ever() -> None:
    # At the lowest score a step of tau, by the seven there, is no step at all. A warning says that the search gave up.
    big = float(np.finfo(np.float32).max)
    scores = [
        0.0,
        -big,
        big,
        big,
        0.0008183219470083714,
        big,
        0.0,
        big,
        -big,
        611035937505280.0,
        big,
        -0.005853664595633745,
        -big,
        1.5507775328991025e-20,
        1.5483669560950784e16,
        0.0,
        -big,
        big,
        0.0,
        0.0,
        -big,
        -big,
        9.331706075450857e26,
        big,
        big,
        -22889781248.0,
        0.0,
        -big,
        -2.97911570291068e33,
        -8.943884169375018e-19,
        0.0,
        big,
    ]
    x, k, tau = np.array(scores, np.float32), 18.0, 2.0
    p = hsproj.soft_binary_argmax(x, k, temperature=tau)
    assert p.tolist() == exact.solve(x.tolist(), k, tau).nearest(x.dtype).tolist()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("k", [1, 100, 1000, 5000])
def test_rows_on_which_newton_drops_one_level_a_step_take_few_passes(k: int, dtype: str) -> None:
    from hsproj._kernels import _long
    from hsproj_verify.bench.regimes import staircase

    rows = staircase(np.random.default_rng(0), 20, 10_000, k, np.dtype(dtype))
    sample, buffer, states = np.empty(_long.SAMPLE, dtype), np.empty(_long.room(10_000)), np.empty(2 * _long.STATE)
    settled, answer = np.empty(_long.SETTLED), np.empty(_long.ANSWER)
    missed = 0.0
    for x in rows:
        assert _long.locate(x, float(k), 1.0, sample, buffer, states, settled, answer) == _long.SOLVED
        assert states[_long.STEPS] <= 8  # evaluations, and reductions that missed theta or set too many scores aside
        missed += states[_long.MISSED]
    assert missed <= 10.0  # where the sample is not asked for the slope at the end of a step, it is 15 to 40
    x = rows[0]
    p, truth = hsproj.project(x, k), exact.solve(x.tolist(), k)
    assert p.tolist() == truth.nearest(dtype).tolist()


def test_a_bad_approximation_is_not_mended_in_silence() -> None:
    x = np.array([3.0, 1.0, 1.0, 0.0])
    record = np.empty(_solve.COLUMNS)
    scratch = np.empty(4), np.empty(10)
    assert _solve._certify(x, 2.0, 1.0, 0.5, record, *scratch) == _solve.CERTIFIED
    assert _solve._certify(x, 2.0, 1.0, 0.6, record, *scratch) == _solve.UNSETTLED


def _hard_rows(n: int) -> dict[str, tuple[np.ndarray, float, float]]:
    rng = np.random.default_rng(9)
    return {
        "gaussian": (rng.normal(size=n), n / 10, 1.5),
        "wide": (rng.normal(size=n), n / 10, 1e-3),
        "one outlier": (np.append(rng.normal(size=n - 1), 1e9), n / 2, 1.0),
        "constant": (np.full(n, 0.1), 0.3 * n, 1.0),
        "sorted": (np.sort(rng.normal(size=n)), 1.0, 1e-2),
        "geometric": (2.0 ** np.linspace(-400, 400, n), n / 2, 1e-3),
        "geometric, both signs": (np.where(np.arange(n) % 2, 1, -1) * 2.0 ** np.linspace(-400, 400, n), n / 3, 1e-30),
        "two far groups": (np.where(np.arange(n) % 2, 1e100, -1e100) + rng.normal(size=n), n / 2 + 0.5, 1.0),
        "alternating": (np.where(np.arange(n) % 2, 1e200, -1e200), n / 3, 1.0),
    }


@pytest.mark.parametrize("name", list(_hard_rows(4)))
def test_approach_reaches_theta_to_working_precision_in_few_evaluations(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, k, tau = _hard_rows(1001)[name]
    evaluate, calls = _solve._evaluate, []

    def counted(*arguments: object) -> object:
        calls.append(1)
        return evaluate(*arguments)

    low, high = np.nextafter(x.min() - tau, -np.inf), np.nextafter(x.max(), np.inf)
    _solve._solve_piece(x, k, tau, low, high)  # is compiled, if it was not, while what it calls is
    monkeypatch.setattr(_solve, "_evaluate", counted)
    start = (x.sum() - k * tau) / x.size
    theta = _solve._approach.py_func(x, k, tau, low, high, start)
    truth = exact.solve(x.tolist(), k, tau)
    assert truth.theta_low is not None
    assert truth.theta_high is not None
    # n roundings of sums of terms no larger than tau move theta by n eps tau; being a float, by eps theta.
    allowed = 2.0**-52 * (1001 * tau + 2 * abs(float(truth.theta_high)))
    assert float(truth.theta_low) - allowed <= theta <= float(truth.theta_high) + allowed
    # Newton settles gaussian rows in a handful; draws halve the 2n breakpoints, so log2(2n) = 11 of them and as many
    # Newton steps between bound the rest on average.
    assert len(calls) <= (10 if name in ("gaussian", "constant") else 40)


@pytest.mark.parametrize("name", list(_hard_rows(4)))
def test_hard_rows_are_answered_exactly(name: str) -> None:
    x, k, tau = _hard_rows(1001)[name]
    truth = exact.solve(x.tolist(), k, tau)
    sol = hsproj.solve(x, k, temperature=tau)
    assert tuple(np.flatnonzero(sol.free)) == truth.free
    assert tuple(np.flatnonzero(sol.saturated)) == truth.saturated
    np.testing.assert_allclose(sol.p, [float(p) for p in truth.p], rtol=0, atol=8 * 2.0**-52)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_groups_of_scores_are_for_the_quick_stage(dtype: type) -> None:
    # Scores of a trained classifier: with k next to the number of the upper ones, theta is at the end of a flat piece.
    rng = np.random.default_rng(20261128)
    off = np.array([-5.0, -3.0, -2.0, -1.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0])
    for _ in range(300):
        n, share = int(rng.integers(129, 3000)), rng.choice([0.05, 0.1, 0.5, 0.9, 0.95])
        upper = rng.random(n) < share
        spread = np.where(upper, rng.choice([0.1, 1.0, 3.0]), rng.choice([0.5, 3.0]))
        x = (spread * rng.normal(size=n) - np.where(upper, 0.0, rng.uniform(10, 200))).astype(dtype)
        k, tau = np.clip(upper.sum() + off, 0.5, n - 0.5), rng.choice([0.15, 0.5, 1.5])
        # A warning, which fails, tells of ordinary rows that the quick stage does not prove.
        hsproj.solve(np.tile(x, (off.size, 1)), k, temperature=tau)


def test_breakpoints_finer_than_the_threshold_s_own_grid() -> None:
    # theta is near -1, whose neighbours are 1e-16 away; 500 upper breakpoints x - 1 lie within 1e-17 of each other.
    rng = np.random.default_rng(2)
    x = np.concatenate([1e-17 * rng.normal(size=500), np.full(500, -1.0)])
    truth = exact.solve(x.tolist(), 499.9)
    sol = hsproj.solve(x, 499.9)
    assert tuple(np.flatnonzero(sol.free)) == truth.free
    assert sol.p.tolist() == pytest.approx([float(p) for p in truth.p], rel=0, abs=4 * 2.0**-52)


def test_derivatives_at_ten_million_entries_take_memory_of_the_order_of_the_row() -> None:
    n = 10**7
    x = np.random.default_rng(0).normal(size=n)
    hsproj.vjp(x[:10], 1, x[:10])  # compile first: compilers allocate too
    tracemalloc.start()
    sol = hsproj.solve(x, n // 10)
    gradient = sol.vjp(x)
    tangent = sol.jvp(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Three results of 8 bytes an entry, two masks of 1, two comparisons with kinks of 1: 28 n. An n x n matrix is 8e14.
    assert peak < 40 * n
    np.testing.assert_array_equal(gradient, tangent)
    free = sol.free
    mean = math.fsum(x[free]) / free.sum()
    np.testing.assert_allclose(gradient[free], x[free] - mean, rtol=0, atol=1e-14)
    assert not gradient[~free].any()


@pytest.mark.parametrize("low", [-1e-45, -1e-30, -1e-3])
@pytest.mark.parametrize("short_of_n", [1.5, 2.11, 2.7])
def test_a_huge_negative_score_does_not_blur_the_scores_far_above_it(low: float, short_of_n: float) -> None:
    # Theta is next to `low`: between a score of -3e38, at which float64 has steps of 1e22, and hundreds of saturated ones.
    n = 511
    x = np.random.default_rng(0).uniform(30, 100, n).astype(np.float32)
    x[0], x[1:3] = -3e38, low
    p = hsproj.soft_binary_argmax(x, n - short_of_n, temperature=0.1)
    assert p[0] == 0.0
    assert (p[3:] == 1.0).all()
    assert p[1] == p[2] == np.float32((3.0 - short_of_n) / 2.0)
