"""Checks of rows of a hundred thousand scores and more, judged by the certificate.

Such a row is an expression in NumPy with a seed in it. The same text makes the row here and in the witness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsproj_verify.case import Case, CheckFailure, Raised, Witness
from hsproj_verify.checks._registry import check
from hsproj_verify.oracles.certificate import certificate


@dataclass(frozen=True)
class _Row:
    """Scores as Python, and the rest of the call."""

    source: str
    k: int | float
    temperature: float

    def scores(self) -> np.ndarray:
        scope = {"np": np}
        return eval(self.source, scope)  # type: ignore[no-any-return]  # a text of this module, never anybody else's


def _draw(case: Case, source: str, sizes: Sequence[int] = (100_000, 131_071, 250_000), available: int = 1) -> _Row:
    """A row by its source, with n and a seed put in; one of `available` scores is not masked."""
    from hypothesis import strategies as st

    n = case.draw(st.sampled_from(sizes))
    seed = case.draw(st.integers(0, 2**16))
    share = case.draw(st.sampled_from([0.3, 0.01, 0.5, 0.9, 1e-4]))
    fraction = case.draw(st.sampled_from([0.0, 0.25])) if "real-k" in case.target.claims else 0.0
    temperature = case.draw(st.sampled_from([1.0, 0.1, 3.0])) if "temperature" in case.target.claims else 1.0
    whole = int(share * (n // available))
    k = case.target.fixed_k if case.target.fixed_k is not None else whole + fraction if fraction else whole
    row = source.format(n=n, seed=seed)
    return _Row(row if "float64" in case.target.claims else f"({row}).astype(np.float32)", k, temperature)


def _accurate(case: Case, row: _Row) -> None:
    """Fail if p is proved to be further off than the tolerance, times 1 + k / m: see `accurate_on_long_rows`."""
    x = row.scores()
    call = case.target.call_source("project", "x", repr(row.k), temperature=repr(row.temperature))
    code = "\n".join(["import numpy as np", case.target.origin, f"x = {row.source}", call])

    def failure(reason: str, came: str, exact: str = "one number for each score") -> CheckFailure:
        return CheckFailure(reason, Witness(code, came, exact))

    try:
        p = case.array(x.shape, case.target, x.copy(), row.k, row.temperature)
    except Raised as raised:
        raise failure(str(raised), str(raised)) from raised
    proof = certificate(x, row.k, p, temperature=row.temperature)
    error = proof.lower / (float(np.finfo(x.dtype).eps) * (1.0 + proof.nearest))
    came, exact = f"p[{proof.index}] = {float(p[proof.index])!r}", f"p[{proof.index}] = {proof.nearest!r}"
    case.errors.note(error, "large", str(x.dtype), x.size, lambda: Witness(code, came, exact))
    if error > case.tolerance * (1.0 + row.k / max(proof.free, 1)):
        reason = f"not the projection of {x.size} scores: off by {error:.3g} eps (1 + p), proved by the certificate"
        raise failure(reason, came, exact)


NORMAL = "np.random.default_rng({seed}).normal(size={n})"


@check("large", "equality", "long", "large", weight=1 / 40, costly=True)
def accurate_on_rows_of_a_million(case: Case) -> None:
    """Within tolerance on a million scores, and now and then on ten million: sums must not lose what they add up.

    Made for: cumulative sums over sorted scores, off by tens of ulps at a million, where pairwise ones lose one.
    """
    _accurate(case, _draw(case, NORMAL, sizes=(1_000_000, 1_000_000, 1_000_000, 10_000_000)))


@check("large", "equality", "long", "large", weight=1 / 20, costly=True)
def accurate_on_large_tied_rows(case: Case) -> None:
    """Within tolerance where a hundred thousand scores take forty values.

    Made for: sorted scans that step over ties one by one, and selections that take quadratic time on them.
    """
    _accurate(case, _draw(case, "np.random.default_rng({seed}).integers(0, 40, {n}) / 8"))


@check("large", "equality", "long", "large", weight=1 / 20, costly=True)
def accurate_on_large_sorted_rows(case: Case) -> None:
    """Within tolerance where scores come sorted, either way.

    Made for: pivots taken from the ends, with which quickselect takes quadratic time on sorted scores.
    """
    from hypothesis import strategies as st

    order = case.draw(st.sampled_from(["", "[::-1].copy()"]))
    _accurate(case, _draw(case, f"np.sort({NORMAL}){order}"))


@check("large", "equality", "long", "large", weight=1 / 20, costly=True)
def accurate_on_large_vertices(case: Case) -> None:
    """Within tolerance where each of a hundred thousand entries is 0 or 1.

    Made for: root finders that never end, or end anywhere, where no entry is free and F is flat.
    """
    source = "np.random.default_rng({seed}).permutation(np.where(np.arange({n}) < TOP, 9.0, -1.0))"
    row = _draw(case, source)
    whole = int(row.k)
    _accurate(case, _Row(row.source.replace("TOP", str(whole)), whole, row.temperature))


@check("large", "equality", "long", "large", "offsets", weight=1 / 20, costly=True)
def accurate_on_large_rows_with_an_offset(case: Case) -> None:
    """Within tolerance when a hundred thousand scores share an offset: sums of them lose what sets them apart.

    Made for: running sums over raw scores: that of 10^5 scores near 10^12 is off by 272.
    """
    from hypothesis import strategies as st

    offset = case.draw(st.sampled_from([1e12, -1e12, 1e6]))
    _accurate(case, _draw(case, f"{NORMAL} + {offset!r}"))


@check("large", "equality", "long", "large", "infinities", weight=1 / 20, costly=True)
def accurate_on_large_masked_rows(case: Case) -> None:
    """Within tolerance where every other of a hundred thousand scores is masked by -inf.

    Made for: sums over all scores, masked ones included, which are NaN or infinite.
    """
    _accurate(case, _draw(case, f"np.where(np.arange({{n}}) % 2, -np.inf, {NORMAL})", available=2))


@check("large", "equality", "long", "large", "float32", weight=1 / 20, costly=True)
def accurate_on_large_float32_rows(case: Case) -> None:
    """Within tolerance, in units of float32, on a hundred thousand float32 scores.

    Made for: running sums and counts in float32, which stop growing at 2^24 and are wrong long before.
    """
    _accurate(case, _draw(case, "np.random.default_rng({seed}).random({n}, dtype=np.float32)"))


@check("large", "equality", "long", "large", "float32", weight=1 / 20, costly=True)
def equal_float32_scores_share_the_total(case: Case) -> None:
    """A hundred thousand equal float32 scores get k / n each, within tolerance.

    Made for: 10^5 scores of 0.1 and k = 30 000, where a running sum in float32 puts all of p off by 120 ulps.
    """
    from hypothesis import strategies as st

    score = case.draw(st.sampled_from([0.1, 0.3, -0.7, 0.9]))
    _accurate(case, _draw(case, f"np.full({{n}}, {score!r}, dtype=np.float32)"))


@check("large", "vjp", "any-k", "equality", "long", "large", weight=1 / 20, costly=True)
def vjp_is_right_on_large_rows(case: Case) -> None:
    """vjp(g) = (1/tau) f (g - mean_F g) on seventy thousand scores that are made so that the free ones are known.

    Made for: Free entries counted in sixteen bits; gradients of long rows by another path than those of short ones, which no
    test takes.
    """
    from hypothesis import strategies as st

    target = case.target
    half, seed = case.draw(st.integers(33_000, 36_000)), case.draw(st.integers(0, 2**16))
    dtype = case.draw(st.sampled_from(sorted({"float64", "float32"} & {*target.claims})))
    tau = case.draw(st.sampled_from([1.0, 0.5])) if target.pulls_back_temperatures else 1.0
    # Free scores come in pairs around 0 and are at most tau / 8: half of their number is their total if theta is -tau / 2.
    source = [
        f"rng, tau = np.random.default_rng({seed}), {tau}",
        f"near = rng.integers(-64, 65, {half}) / 512",
        "x = rng.permutation(np.concatenate([near, -near, np.full(1000, 2.0), np.full(2000, -2.0)])) * tau",
        f"x, g = x.astype('{dtype}'), (rng.integers(-8, 9, x.size) / 4).astype('{dtype}')",
    ]
    scope: dict[str, Any] = {"np": np}
    exec("\n".join(source), scope)  # as in `_Row`
    x, g, k = scope["x"], scope["g"], half + 1000
    free = np.abs(x) < tau
    mean = float(g[free].sum(dtype=np.float64)) / (2 * half)  # the sum of quarters is exact
    truth = np.where(free, (g - mean) / tau, 0.0)
    call = target.call_source("vjp", "x", str(k), "g", temperature=repr(tau))
    code = "\n".join(["import numpy as np", target.origin, *source, call])
    try:
        came = case.array(x.shape, target.pull_back, x.copy(), k, g.copy(), tau, doing="vjp")
    except Raised as raised:
        raise CheckFailure(str(raised), Witness(code, str(raised), "one number for each score")) from raised
    wrong = np.abs(came - truth)
    i = int(np.nanargmax(np.where(np.isnan(wrong), np.inf, wrong)))
    if not wrong[i] <= 4 * case.tolerance * float(np.finfo(dtype).eps) * (1 + math.sqrt(x.size)) / tau:
        reason = f"the vjp of {x.size} scores is off by {wrong[i]:.3g}"
        raise CheckFailure(reason, Witness(code, f"vjp[{i}] = {float(came[i])!r}", f"vjp[{i}] = {float(truth[i])!r}"))
