"""What is measured: shapes, totals, families of scores and dtypes in; regimes, and the arrays of each, out."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hsproj_verify.target import TargetError

SHAPES = (
    "4096x10",
    "65536x8",
    "4096x100",
    "4096x1000",
    "10x8192",
    "8192x10,axis=0",
    "64x100000",
    "1000000",
    "10000000",
)
"""Rows along the last axis, but for one that has the paper's orientation: a batch of samples in rows, a class a column."""
TOTALS = ("1", "1%", "10%", "50%")
DTYPES = ("float64", "float32")
OPERATIONS = ("forward", "vjp", "pullback", "forward+vjp")


@dataclass(frozen=True)
class Regime:
    """One problem to time; everything of its arrays but the seed.

    Examples
    --------
    >>> from hsproj_verify.bench.regimes import Regime
    >>> regime = Regime((8192, 10), 0, 82, "gaussian", "float32")
    >>> regime.name, regime.rows, regime.n
    ('8192x10,axis=0', 10, 8192)
    """

    dims: tuple[int, ...]
    axis: int
    k: int
    scores: str
    dtype: str

    @property
    def n(self) -> int:
        """Length of a row."""
        return self.dims[self.axis]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return math.prod(self.dims) // self.n

    @property
    def name(self) -> str:
        """The shape, as `read_shape` takes it."""
        return "x".join(map(str, self.dims)) + ("" if self.axis == len(self.dims) - 1 else f",axis={self.axis}")

    @property
    def temperature(self) -> float:
        """The temperature that goes with the scores."""
        return FAMILIES[self.scores][0]

    def draw(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Scores and cotangent, C-contiguous."""
        rng = np.random.default_rng(seed)
        rows = FAMILIES[self.scores][1](rng, self.rows, self.n, self.k, np.dtype(self.dtype))
        cotangent = rng.standard_normal(rows.shape, rows.dtype)
        return np.ascontiguousarray(self.from_rows(rows)), np.ascontiguousarray(self.from_rows(cotangent))

    def to_rows(self, array: np.ndarray) -> np.ndarray:
        """An array of this shape as C-contiguous rows."""
        return np.ascontiguousarray(np.moveaxis(array, self.axis, -1).reshape(self.rows, self.n))

    def from_rows(self, rows: np.ndarray) -> np.ndarray:
        """The way back, as a view if there can be one."""
        others = self.dims[: self.axis] + self.dims[self.axis + 1 :]
        return np.moveaxis(rows.reshape(*others, self.n), -1, self.axis)


def read_shape(name: str) -> tuple[tuple[int, ...], int]:
    """Dimensions and axis of a shape by name.

    Examples
    --------
    >>> from hsproj_verify.bench.regimes import read_shape
    >>> read_shape("8192x10,axis=0"), read_shape("1000")
    (((8192, 10), 0), ((1000,), 0))
    """
    parts = re.fullmatch(r"([1-9]\d*(?:x[1-9]\d*)*)(?:,axis=(\d+))?", name)
    dims = tuple(map(int, parts[1].split("x"))) if parts else ()
    axis = int(parts[2]) if parts and parts[2] else len(dims) - 1
    if not dims or axis not in (0, len(dims) - 1):
        raise TargetError(f"a shape reads like 4096x10, 1000000 or, along its first axis, 8192x10,axis=0; got {name!r}")
    return dims, axis


def read_total(name: str, n: int) -> int:
    """A total by name, for rows of length n: a number, or a percentage of n, rounded, at least 1.

    Examples
    --------
    >>> from hsproj_verify.bench.regimes import read_total
    >>> [read_total(name, 10) for name in ("1", "1%", "50%")]
    [1, 1, 5]
    """
    parts = re.fullmatch(r"(\d+)(%?)", name)
    if not parts or (parts[2] and int(parts[1]) > 100):
        raise TargetError(f"a total reads like 1 or 10%; got {name!r}")
    return max(1, round(n * int(parts[1]) / 100)) if parts[2] else int(parts[1])


def regimes(
    shapes: Iterable[str] = SHAPES,
    totals: Iterable[str] = TOTALS,
    scores: Iterable[str] | None = None,
    dtypes: Iterable[str] = DTYPES,
) -> Iterator[Regime]:
    """All combinations, without totals that come twice or leave nothing to decide (k >= n)."""
    totals, scores, dtypes = list(totals), list(FAMILIES if scores is None else scores), list(dtypes)
    for dims, axis in map(read_shape, shapes):
        n = dims[axis]
        ks = [k for k in dict.fromkeys(read_total(total, n) for total in totals) if 0 < k < n]
        for dtype, family, k in itertools.product(dtypes, scores, ks):
            yield Regime(dims, axis, k, family, dtype)


def sweep(largest: int, dtypes: Iterable[str] = DTYPES) -> Iterator[Regime]:
    """One row of gaussian scores of lengths 10 to `largest`, two lengths a decade, k a tenth of the length."""
    lengths = [round(10 ** (half / 2)) for half in range(2, 2 * len(str(largest)) + 1)]
    for dtype, n in itertools.product(dtypes, lengths):
        if n <= largest:
            yield Regime((n,), 0, max(1, n // 10), "gaussian", dtype)


def _gaussian(rng: np.random.Generator, rows: int, n: int, k: int, dtype: np.dtype) -> np.ndarray:
    return rng.standard_normal((rows, n), dtype)


def _ties(rng: np.random.Generator, rows: int, n: int, k: int, dtype: np.dtype) -> np.ndarray:
    return np.take(rng.standard_normal(50, dtype), rng.integers(0, 50, (rows, n), np.uint8))


def _sorted(rng: np.random.Generator, rows: int, n: int, k: int, dtype: np.dtype) -> np.ndarray:
    return np.sort(rng.standard_normal((rows, n), dtype), axis=-1)


def _constant(rng: np.random.Generator, rows: int, n: int, k: int, dtype: np.dtype) -> np.ndarray:
    return np.full((rows, n), 0.7, dtype)


def _outlier(rng: np.random.Generator, rows: int, n: int, k: int, dtype: np.dtype) -> np.ndarray:
    x = rng.standard_normal((rows, n), dtype)
    x[np.arange(rows), rng.integers(0, n, rows)] = 1e9
    return x


def staircase(rng: np.random.Generator, rows: int, n: int, k: int, dtype: np.dtype) -> np.ndarray:
    """Scores on which Newton's method drops one level a step, in random order; temperature 1.

    k scores of 1 are saturated from the first step to the last. What is left of the total for the others is 0, so each
    step goes to the mean of those above the threshold. Those lie on levels -b^j with a share f of what remains on each, and
    b a little under f: the mean of what is above -b^j then lies between -b^j and -b^(j+1). The number of levels is limited
    by the length of the row, log(n) / -log(1 - f), and by depth / -log(b); f is the best of both. The lowest level is -1 and
    the highest some way above eps: below that the steps would be too small for p to show them.
    """
    rest = n - k
    depth = -0.8 * math.log(float(np.finfo(dtype).eps))

    def levels(share: float) -> float:
        return min(rest, math.log(rest + 1) / -math.log1p(-share), depth / -math.log(share / 1.2))

    share = max(np.linspace(0.5, 0.01, 200).tolist(), key=levels)
    fall = math.log(share / 1.2)
    remaining = np.arange(rest, 0, -1) / rest
    level = np.minimum(np.floor(np.log(remaining) / math.log1p(-share)), math.floor(depth / -fall))
    row = np.concatenate([np.ones(k), -np.exp(fall * level)]).astype(dtype)
    return rng.permuted(np.broadcast_to(row, (rows, n)), axis=-1)


Draw = Callable[[np.random.Generator, int, int, int, np.dtype], np.ndarray]
FAMILIES: dict[str, tuple[float, Draw]] = {
    "gaussian": (1.5, _gaussian),
    "wide": (1e-3, _gaussian),
    "ties": (1.5, _ties),
    "sorted": (1.5, _sorted),
    "constant": (1.5, _constant),
    "outlier": (1.5, _outlier),
    "adversarial": (1.0, staircase),
}
"""Families of scores: temperature, and (rng, rows, n, k, dtype) -> rows."""
