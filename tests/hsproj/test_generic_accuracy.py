"""Arrays of other libraries against exact rational answers: p, masks, threshold, margin."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from array_libraries import NAMES, Library, library
from rational_batches import ROWS, SHORT, SURE, Batch, is_sure

import hsproj
from hsproj_verify.oracles import exact
from hsproj_verify.problems import error_in_eps


@pytest.fixture(params=NAMES)
def lib(request: pytest.FixtureRequest) -> Iterator[Library]:
    with library(request.param) as found:
        yield found


def solve(lib: Library, batch: Batch) -> Any:
    return hsproj.solve(lib.array(batch.x), lib.array(batch.k), temperature=lib.array(batch.tau))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", SHORT)
def test_p_is_within_2_ulps_and_masks_are_exact(lib: Library, family: str, dtype: str) -> None:
    batch = Batch(family, dtype)
    eps = float(np.finfo(dtype).eps)
    sol = solve(lib, batch)
    p, free, saturated, smooth = (
        np.asarray(array) for array in (sol.p, sol.free, sol.saturated, sol.is_differentiable)
    )
    assert p.dtype == dtype
    solved = 0
    for r, truth in enumerate(batch.truths):
        if truth is None:
            assert np.isnan(p[r]).all(), batch.case(r)
            assert not np.any([*free[r], *saturated[r], smooth[r]]), batch.case(r)
            continue
        if lib.name == "jax" and batch.holds_subnormals(r):
            continue  # XLA flushes them to zero
        solved += 1
        assert error_in_eps(p[r], truth.p, eps) <= 2.0, batch.case(r)
        # p says what the masks say.
        assert (p[r][saturated[r]] == 1.0).all(), batch.case(r)
        assert (p[r][~free[r] & ~saturated[r]] == 0.0).all(), batch.case(r)
        assert not np.signbit(p[r]).any(), batch.case(r)
        if is_sure(truth, dtype):
            assert tuple(np.flatnonzero(free[r])) == truth.free, batch.case(r)
            assert tuple(np.flatnonzero(saturated[r])) == truth.saturated, batch.case(r)
            assert bool(smooth[r]) == truth.is_differentiable, batch.case(r)
    assert solved > ROWS // 4 or (lib.name == "jax" and family == "subnormal gaps")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [600, 5000])
def test_long_rows_are_within_2_ulps(lib: Library, dtype: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(1e4 if n == 5000 else 0.0, 30.0, (3, n)).astype(dtype)
    x[1] = np.where(rng.random(n) < 0.9, x[1, 0], x[1])
    x[2] = np.round(x[2])
    k = np.array([n / 3, n / 4 + 0.3, n // 5])
    p = lib.speaking_numpy(hsproj.soft_binary_argmax)(x, k, temperature=0.7)
    for r in range(3):
        assert error_in_eps(p[r], exact.solve(x[r].tolist(), k[r], 0.7).p, float(np.finfo(dtype).eps)) <= 2.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", ["gaussian", "near a kink", "saturated and tied", "offset", "infinite scores"])
def test_threshold_and_margin_are_those_of_the_rational_answer(lib: Library, family: str, dtype: str) -> None:
    batch = Batch(family, dtype)
    eps = float(np.finfo(dtype).eps)
    sol = solve(lib, batch)
    threshold, margin = np.asarray(sol.threshold), np.asarray(sol.margin)
    for r, truth in enumerate(batch.truths):
        if truth is None:
            assert math.isnan(threshold[r])
            assert math.isnan(margin[r])
            continue
        if not is_sure(truth, dtype):
            continue
        tau = float(truth.temperature)
        if isinstance(truth.threshold, Fraction):
            # One rounding of theta, two of its distance from a score.
            room = eps * (abs(float(truth.threshold)) + 2 * tau)
            assert abs(float(threshold[r]) - float(truth.threshold)) <= room, batch.case(r)
        else:
            assert threshold[r] == truth.threshold, batch.case(r)
        if truth.margin is None:
            assert margin[r] == math.inf, batch.case(r)
        else:
            room = 4 * eps * float(truth.margin) + SURE[dtype] * tau
            assert abs(float(margin[r]) - float(truth.margin)) <= room, batch.case(r)
