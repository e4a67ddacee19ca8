"""hsproj against rationals in bulk: every family of problems, both dtypes; counts what is misrounded or decided wrongly.

python tests/support/exact_campaign.py --problems 1000000
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction

import numpy as np
from families import ADVERSARIAL, FAMILIES, LONG, draw, draw_adversarial

import hsproj
from hsproj_verify.oracles import exact

KINDS = tuple((family, dtype) for family in (*FAMILIES, *LONG, *ADVERSARIAL) for dtype in ("float64", "float32"))
# Rows of 10^5 scores cost as much as a thousand of the others, rows of some hundreds as much as twenty.
WEIGHTS = {"many equal scores": 0.001, "long rows": 0.05}
CHUNK = 500


def problem(rng: np.random.Generator, family: str, dtype: str) -> tuple[np.ndarray, float, float]:
    """A problem of any family in this dtype."""
    if family in ADVERSARIAL:
        return draw_adversarial(rng, family, dtype)
    x, k, tau = draw(rng, family)
    limit = np.finfo(dtype).max
    return np.where(np.isfinite(x), np.clip(x, -limit, limit), x).astype(dtype), k, tau


def faults(x: np.ndarray, k: float, tau: float) -> list[str]:
    """What hsproj gets wrong about a problem: misrounded entries or threshold, wrong masks, kinks or flags."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        sol = hsproj.solve(x, k, temperature=tau)
        alone = hsproj.soft_binary_argmax(x, k, temperature=tau)  # by another way: `solve` needs more than p
    try:
        truth = exact.solve(x.tolist(), k, tau)
    except exact.NoAnswerError:
        return [] if np.isnan(sol.p).all() else ["an answer where there is none"]
    threshold = truth.threshold
    nearest = exact.round_to(threshold, x.dtype) if isinstance(threshold, Fraction) else threshold
    wrong = {
        "a warning": bool(heard),
        "misrounded p": sol.p.tolist() != truth.nearest(x.dtype).tolist(),
        "p without solve differs": alone.tobytes() != sol.p.tobytes(),
        "misrounded threshold": sol.threshold != nearest,
        "wrong free mask": tuple(np.flatnonzero(sol.free)) != truth.free,
        "wrong saturated mask": tuple(np.flatnonzero(sol.saturated)) != truth.saturated,
        "wrong kinks": tuple(map(tuple, map(np.flatnonzero, sol.kinks))) != (truth.lower_kinks, truth.upper_kinks),
        "wrong is_differentiable": bool(sol.is_differentiable) != truth.is_differentiable,
        "-0.0": bool(np.signbit(sol.p).any()),
    }
    return [fault for fault, found in wrong.items() if found]


def examine(job: tuple[str, str, int, int]) -> tuple[str, str, int, Counter[str], list[str]]:
    """A chunk: (family, dtype, number of problems, faults, the first problems with one)."""
    family, dtype, seed, count = job
    rng = np.random.default_rng([seed, *f"{family} {dtype}".encode()])
    found: Counter[str] = Counter()
    examples = []
    for _ in range(count):
        x, k, tau = problem(rng, family, dtype)
        wrong = faults(x, k, tau)
        found.update(wrong)
        if wrong and len(examples) < 3:
            examples.append(
                f"{', '.join(wrong)}: hsproj.solve(np.array({x.tolist()}, '{dtype}'), {k!r}, temperature={tau!r})"
            )
    return family, dtype, count, found, examples


def jobs(problems: int, seed: int) -> Iterator[tuple[str, str, int, int]]:
    """Chunks that add up to at least this many problems."""
    share = problems / sum(WEIGHTS.get(family, 1.0) for family, _ in KINDS)
    for family, dtype in KINDS:
        left = int(np.ceil(share * WEIGHTS.get(family, 1.0)))
        for chunk in range(0, left, CHUNK):
            yield family, dtype, seed * 1_000_003 + chunk, min(CHUNK, left - chunk)


def main() -> int:
    """Run the campaign; 1 if anything is wrong."""
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--problems", type=int, default=10**6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chunks = list(jobs(options.problems, options.seed))
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, str], Counter[str]] = {kind: Counter() for kind in KINDS}
    examples: list[str] = []
    hsproj.solve(np.zeros(2), 1)  # compile once, not in every worker
    with ProcessPoolExecutor() as pool:
        order = np.random.default_rng(0).permutation(len(chunks))
        results = pool.map(examine, [chunks[i] for i in order])
        for family, dtype, count, wrong, shown in track(
            results, "problems", len(chunks), console=Console(file=sys.stderr)
        ):
            counts[family, dtype] += count
            found[family, dtype].update(wrong)
            examples += shown
    table = Table("family", "dtype", "problems", "faults")
    for (family, dtype), count in counts.items():
        table.add_row(
            family, dtype, f"{count:,}", ", ".join(f"{v} {w}" for w, v in found[family, dtype].items()) or "0"
        )
    Console().print(table)
    print(*examples[:10], sep="\n")
    total = sum(sum(wrong.values()) for wrong in found.values())
    print(f"{sum(counts.values()):,} problems, {total} faults (seed {options.seed})")
    return int(total > 0)


if __name__ == "__main__":
    raise SystemExit(main())
