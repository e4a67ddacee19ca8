"""Calls every public function with arrays of every library there is, and writes what came of it: docs/support.md.

python tests/support/support_table.py [--write PATH]
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

import hsproj

DTYPES = ("float64", "float32", "float16", "bfloat16", "int64")
LIBRARIES = {"numpy": "numpy", "array_api_strict": "array-api-strict", "torch": "torch", "jax": "jax", "cupy": "cupy"}

PAGE = """# Support

<!-- Written by `make support`. -->

Every public function, called with arrays of each library and dtype that there was, on {machine}. A number is the worst
error over {rows} rows of {n} scores, of several kinds, against NumPy's answer in float64 for the same numbers (so that column
is 0), in units of eps (1 + |answer|), eps that of the dtype of the answer: of float64 for integers. Of `solve` it is that of
p, and masks that differ are counted. Half precision is float32 rounded once more, so it is up to half an eps off.

[](arrays.md) says what is promised, and [](numerics.md) what of NumPy.
"""


class Data(NamedTuple):
    """Rows (m, n) of scores, cotangents and targets, and a total and a temperature for each."""

    x: np.ndarray
    g: np.ndarray
    y: np.ndarray
    k: np.ndarray
    tau: np.ndarray


def rows(m: int = 40, n: int = 12) -> Data:
    """Gaussian scores, as they are and tied, with an offset, masked; powers of two for temperatures."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(m, n))
    x[m // 4 : m // 2] = np.round(x[m // 4 : m // 2])
    x[m // 2 : 3 * m // 4] += 100.0
    x[3 * m // 4 :, :3] = -np.inf
    y = (rng.random((m, n)) < 0.3).astype(float)
    y[:, 0], y[:, 1] = 0.0, 1.0
    y[3 * m // 4 :, :3] = 0.0  # masked
    y[3 * m // 4 :, 3] = 1.0
    return Data(
        x, np.round(rng.normal(size=(m, n)), 1), y, rng.integers(1, n - 3, m) + 0.5, 2.0 ** rng.integers(-1, 3, m)
    )


def _with_rows(name: str) -> Callable[..., Any]:
    return lambda d, **o: getattr(hsproj, name)(d.x, d.k, **o)


def _with_products(name: str) -> Callable[..., Any]:
    return lambda d, **o: getattr(hsproj, name)(d.x, d.k, d.g, temperature=d.tau, **o)


def _with_targets(name: str, **options: Any) -> Callable[..., Any]:
    return lambda d: getattr(hsproj, name)(d.x, d.y, reduction="none", **options)


def _with_bounds(name: str) -> Callable[..., Any]:
    weights = 1.0 + np.arange(12) / 8
    return lambda d: getattr(hsproj, name)(d.x, d.k, lower=-0.25, upper=2, weights=weights)


CALLS: dict[str, Callable[..., Any]] = {
    "project": _with_rows("project"),
    "soft_binary_argmax": lambda d: hsproj.soft_binary_argmax(d.x, d.k, temperature=d.tau),
    "binary_argmax": lambda d: hsproj.binary_argmax(d.x, d.k - 0.5),
    "solve": lambda d: hsproj.solve(d.x, d.k, temperature=d.tau),
    **{name: _with_bounds(name) for name in ("project_box", "solve_box")},
    "jacobian": lambda d: hsproj.jacobian(d.x, d.k, temperature=d.tau),
    **{name: _with_products(name) for name in ("jvp", "vjp", "soft_binary_argmax_and_vjp")},
    **{
        name: _with_targets(name, **({"floor": 1e-3} if "cross" in name else {}))
        for loss in ("hypersimplex_loss", "fenchel_young_loss", "cross_entropy_loss")
        for name in (loss, f"{loss}_and_grad")
    },
    "zero_one_loss": _with_targets("zero_one_loss"),
    "top_k_zero_one_loss": lambda d: hsproj.top_k_zero_one_loss(d.x, d.y, 3, reduction="none"),
}


def array_of(library: str, dtype: str) -> Callable[[np.ndarray], Any] | None:
    """NumPy arrays -> those of the library, in this dtype; None if it has none of that name."""
    module = import_module("jax.numpy" if library == "jax" else library)
    kind = getattr(module, dtype, None)
    if kind is None:
        return None
    if library == "torch":
        return lambda array: module.from_numpy(array).to(kind)
    return lambda array: module.asarray(array, dtype=kind)


def in_numpy(array: Any) -> np.ndarray:
    """As float64, or booleans."""
    array = array.float() if "bfloat16" in str(array.dtype) and hasattr(array, "float") else array
    array = np.asarray(array)
    return array if array.dtype == bool else array.astype(np.float64)


def cell(call: Callable[..., Any], library: str, dtype: str, data: Data) -> str:
    """What comes of a call, as text for the table."""
    of = array_of(library, dtype)
    if of is None:
        return "-"
    scores = np.where(np.isfinite(data.x), data.x, 0.0) if dtype == "int64" else data.x
    # Totals and temperatures are numbers that every float holds; targets of integers too.
    here = Data(
        of(np.round(scores) if dtype == "int64" else scores), *(of(array) for array in data[1:3]), data.k, data.tau
    )
    came = call(here)
    expected = call(Data(*(in_numpy(array) for array in here[:3]), data.k, data.tau))
    errors, wrong = [0.0], 0
    for one, other in zip(_parts(came), _parts(expected), strict=True):
        one, eps = in_numpy(one), _eps(one)
        other = in_numpy(other)
        if other.dtype == bool:
            wrong += int(np.count_nonzero(one != other))
            continue
        with np.errstate(invalid="ignore"):
            error = np.where(
                (one == other) | (np.isnan(one) & np.isnan(other)), 0.0, np.abs(one - other) / (1 + np.abs(other))
            )
        errors.append(float(np.max(error)) / eps)
    return f"{max(errors):.2g}" + (f", {wrong} masks" if wrong else "")


def _parts(value: Any) -> tuple[Any, ...]:
    if isinstance(value, hsproj.Projection):
        return value.p, value.free, value.saturated, value.is_differentiable
    if isinstance(value, hsproj.BoxProjection):
        return value.p, value.free, value.at_upper, value.is_differentiable
    return value if isinstance(value, tuple) else (value,)


def _eps(array: Any) -> float:
    name = str(array.dtype).rpartition(".")[2]
    return 2.0**-7 if name == "bfloat16" else float(np.finfo(name).eps) if "float" in name else 1.0


def sections(data: Data) -> Iterator[str]:
    """A table of functions and dtypes for each library, as Markdown."""
    for library, name in LIBRARIES.items():
        if not find_spec(library):
            yield f"\n## {name}\n\nIt was not installed."
            continue
        dtypes = [dtype for dtype in DTYPES if array_of(library, dtype)]
        yield f"\n## {name} {version(name)}\n\n| function | {' | '.join(dtypes)} |\n" + "|---" * (len(dtypes) + 1) + "|"
        for function in track(CALLS, name, console=Console(stderr=True)):
            cells = [cell(CALLS[function], library, dtype, data) for dtype in dtypes]
            yield f"| `{function}` | {' | '.join(cells)} |"


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, default=Path(__file__).parents[2] / "docs" / "support.md")
    options = parser.parse_args(arguments)
    data = rows()
    wide = nullcontext()
    if find_spec("jax"):
        import jax

        wide = jax.enable_x64(True)
    with wide, np.errstate(over="ignore", invalid="ignore"):
        made = list(sections(data))
    machine, (m, n) = f"{platform.machine()}, Python {platform.python_version()}", data.x.shape
    options.write.write_text("\n".join([PAGE.format(machine=machine, rows=m, n=n), *made]) + "\n", encoding="utf-8")
    print(options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
