"""Right implementations that take less than the judge asks by default, and wrong ones: all by rational arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from hsproj_verify import Target
from hsproj_verify.oracles import exact


def project(x: np.ndarray, k: Any, temperature: Any = 1.0, *, constraint: str = "eq") -> np.ndarray:
    """Any rows, each with its k and temperature; rounded once."""
    if x.dtype.kind not in "iuf":
        raise TypeError(f"real scores, please; got {x.dtype}")
    dtype = x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.float64
    p = np.empty(x.shape, dtype)
    ks, temperatures = (np.broadcast_to(value, x.shape[:-1]) for value in (k, temperature))
    for row in np.ndindex(x.shape[:-1]):
        p[row] = exact.solve(x[row].tolist(), ks[row].item(), temperatures[row].item(), constraint=constraint).nearest(
            dtype
        )
    return p


def vjp(x: np.ndarray, k: Any, g: np.ndarray, *, constraint: str = "eq", temperature: Any = 1.0) -> np.ndarray:
    solution = exact.solve(x.tolist(), k, temperature, constraint=constraint)
    return np.array([float(v) for v in solution.vjp(g.tolist())], x.dtype)


def vectors_only(x: np.ndarray, k: Any, *, temperature: Any = 1.0) -> np.ndarray:
    if x.ndim != 1:
        raise ValueError("one row, please")
    return project(x, k, temperature)


def rows_only(x: np.ndarray, k: Any, *, temperature: Any = 1.0) -> np.ndarray:
    if x.ndim != 2:
        raise ValueError("rows, please")
    return project(x, k, temperature)


def _rows_only_vjp(x: np.ndarray, k: Any, g: np.ndarray) -> np.ndarray:
    return np.array([vjp(row, total, cotangent) for row, total, cotangent in zip(x, k.tolist(), g, strict=True)])


def one_total(x: np.ndarray, k: Any) -> np.ndarray:
    """One k for all rows."""
    return project(x, float(k))


def one_total_each(x: np.ndarray, k: Any) -> np.ndarray:
    """An array of totals for rows."""
    if np.ndim(k) != x.ndim - 1:
        raise ValueError("a k for each row, please")
    return project(x, k)


def floats_only(x: np.ndarray, k: Any) -> np.ndarray:
    if x.dtype.kind != "f" or not x.dtype.isnative:
        raise TypeError(f"floats, please; got {x.dtype}")
    return project(x, k)


def in_doubles(x: np.ndarray, k: Any) -> np.ndarray:
    """float64, whatever came."""
    if x.dtype.kind not in "iuf":
        raise TypeError(f"real scores, please; got {x.dtype}")
    return project(x.astype(float), k)


def random_pivots(x: np.ndarray, k: Any) -> np.ndarray:
    np.random.permutation(x.shape[-1])  # noqa: NPY002
    return project(x, k)


def whole_totals(x: np.ndarray, k: Any) -> np.ndarray:
    return project(x, [operator.index(total) for total in np.ravel(k)] if np.ndim(k) else operator.index(k))


def inner_totals(x: np.ndarray, k: Any, *, temperature: Any = 1.0) -> np.ndarray:
    """As interior point methods, which need an interior."""
    if not np.all((np.asarray(k) > 0) & (np.asarray(k) < x.shape[-1])):
        raise ValueError("0 < k < n, please")
    return project(x, k, temperature)


def single_precision(x: np.ndarray, k: Any, *, temperature: Any = 1.0) -> np.ndarray:
    if x.dtype != np.float32:
        raise TypeError(f"float32, please; got {x.dtype}")
    return project(x, k, temperature)


def sparsemax(x: np.ndarray) -> np.ndarray:
    return project(x, 1)


def k_is_one(x: np.ndarray, k: Any) -> np.ndarray:
    """A parameter that takes one value."""
    if np.any(np.asarray(k) != 1):
        raise NotImplementedError("k = 1, please")
    return project(x, k)


def at_most(x: np.ndarray, k: Any, *, temperature: Any = 1.0) -> np.ndarray:
    return project(x, k, temperature, constraint="le")


def _at_most_vjp(x: np.ndarray, k: Any, g: np.ndarray, *, temperature: Any = 1.0) -> np.ndarray:
    return vjp(x, k, g, constraint="le", temperature=temperature)


def _narrow(function: Callable[..., Any], **options: Any) -> Target:
    return Target(function.__name__, function, **options).without(
        "axis", "infinities", "layouts", "empty", "threads", "long"
    )


# Those that a plain call finds out, and those that have to say so.
FOUND_OUT = {
    "vectors_only": _narrow(vectors_only, vjp=vjp),
    "rows_only": _narrow(rows_only, vjp=_rows_only_vjp),
    "one_total": _narrow(one_total),
    "one_total_each": _narrow(one_total_each, vjp=vjp),
    "floats_only": Target("floats_only", floats_only, vjp=vjp).without("infinities", "threads", "long"),
    "whole_totals": _narrow(whole_totals),
    "single_precision": _narrow(single_precision, vjp=vjp),
    "k_is_one": _narrow(k_is_one, vjp=vjp),
}
SAID = {
    "vectors_only": FOUND_OUT["vectors_only"].without("batch"),
    "rows_only": FOUND_OUT["rows_only"].without("vectors"),
    "one_total": FOUND_OUT["one_total"].without("own-k"),
    "one_total_each": FOUND_OUT["one_total_each"].without("one-k"),
    "floats_only": FOUND_OUT["floats_only"].without("integers"),
    "in_doubles": _narrow(in_doubles).without("dtype"),
    "random_pivots": _narrow(random_pivots),
    "whole_totals": FOUND_OUT["whole_totals"].without("real-k"),
    "single_precision": FOUND_OUT["single_precision"].without("float64"),
    "inner_totals": _narrow(inner_totals, vjp=vjp).without("edge-k"),
    "sparsemax": _narrow(sparsemax, vjp=lambda x, g: vjp(x, 1, g), fixed_k=1),
    "k_is_one": _narrow(k_is_one, vjp=vjp, fixed_k=1),
    "at_most": _narrow(at_most, vjp=_at_most_vjp, constraint="le"),
}
