"""Functions of torch, JAX and CuPy as targets: converted on both ways, differentiated where the library can."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsproj_verify import check
from hsproj_verify.report import Outcome
from hsproj_verify.target import TargetError, load

HERE = str(Path(__file__).parents[1] / "support" / "library_targets.py")
X = np.array([0.5, 0.25, 0.0])


def needs(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_a_right_function_passes_with_the_derivatives_that_the_library_finds(library: str) -> None:
    needs(library)
    target = load(f"{library}:{HERE}:in_{library}")
    assert {"vjp", "jvp", "temperature", "float32", "batch"} <= {*target.claims}
    only = ["accurate_on_ordinary_scores", "accurate_in_float32", "vjp_matches_the_exact_jacobian"]
    only += ["rows_are_independent", "dtype_of_a_batch_is_kept", "input_is_untouched", "memory_layout_does_not_matter"]
    report = check(target, only=only, examples={"torch": 10, "jax": 2}[library])
    assert report.counts["passed"] == 6, report.failures
    skipped = {result.name: result.reason for result in report.results if result.outcome is Outcome.SKIPPED}
    assert "made by the judge" in skipped["memory_layout_does_not_matter"]


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_a_wrong_derivative_of_a_right_function_is_caught(library: str) -> None:
    needs(library)
    only = ["accurate_on_ordinary_scores", "vjp_sums_to_zero"]
    report = check(load(f"{library}:{HERE}:threshold_is_a_constant_in_{library}"), examples=10, only=only)
    assert [result.name for result in report.failures] == ["vjp_sums_to_zero"]


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_products_are_those_of_the_jacobian_and_dtypes_are_kept(library: str) -> None:
    needs(library)
    target = load(f"{library}:{HERE}:in_{library}")
    for dtype in (np.float64, np.float32):
        x, v = X.astype(dtype), np.array([1.0, 0.0, 0.0], dtype)
        expected = np.array([2, -1, -1]) / 3 / 2.0
        for product in (target.pull_back(x, 1, v, 2.0), target.push_forward(x, 1, v, 2.0)):
            assert product.dtype == dtype
            assert np.allclose(product, expected, rtol=0, atol=4 * np.finfo(dtype).eps)
        assert target(x, 1).dtype == dtype


def test_what_a_torch_function_writes_into_its_tensor_is_seen() -> None:
    needs("torch")
    report = check(load(f"torch:{HERE}:in_place"), examples=5, only=["input_is_untouched", "total_is_k"])
    assert [result.name for result in report.failures] == ["input_is_untouched"]


def test_a_torch_module_is_read_by_its_forward(tmp_path: Path) -> None:
    needs("torch")
    path = tmp_path / "layers.py"
    path.write_text(
        f"import sys; sys.path.append({str(Path(HERE).parent)!r})\n"
        "import torch\nfrom library_targets import in_torch\n"
        "class Layer(torch.nn.Module):\n"
        "    def forward(self, x, k, *, temperature=1.0):\n        return in_torch(x, k, temperature=temperature)\n"
        "class Sparsemax(torch.nn.Module):\n    def forward(self, x):\n        return in_torch(x, 1)\n"
        "layer, sparsemax = Layer(), Sparsemax()\n"
    )
    assert "temperature" in load(f"torch:{path}:layer").claims
    report = check(f"torch:{path}:sparsemax", examples=5, only=["total_is_k", "vjp_sums_to_zero"])
    assert report.counts["passed"] == 2
    assert "its p adds up to 1" in report.note


def test_a_torch_loss_may_be_brought_by_name() -> None:
    needs("torch")
    target = load(f"torch:{HERE}:in_torch").bringing(loss=f"torch:{HERE}:loss")
    assert float(target.lose(X, np.zeros(3), 1)) == pytest.approx(float((target(X, 1) ** 2).sum() / 2))


def test_a_torch_function_in_a_witness_is_called_with_numpy() -> None:
    needs("torch")
    target = load(f"torch:{HERE}:in_torch")
    scope: dict[str, Any] = {}
    exec(target.origin, scope)
    assert isinstance(scope["function"](X, 1), np.ndarray)
    assert isinstance(scope["vjp"](X, 1, X), np.ndarray)


class _Array:
    """An array of a library that takes and gives none of NumPy's by itself."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def __array__(self) -> np.ndarray:
        raise TypeError("implicit conversion to a NumPy array is not allowed")


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in with the calls that are used: there need not be a device."""
    module: Any = types.ModuleType("cupy")
    module.ndarray, module.__version__ = _Array, "stand-in"
    module.asarray, module.asnumpy = _Array, lambda array: array.data
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def test_a_cupy_function_gets_and_gives_arrays_of_its_own(cupy: Any, tmp_path: Path) -> None:
    (tmp_path / "doubles.py").write_text(
        "def project(x, k, *, temperature=1.0):\n"
        "    return type(x)(2 * x.data + (k.data[:, None] if hasattr(k, 'data') else k) / temperature)\n"
        "def loss_and_grad(scores, targets, k):\n"
        "    return 1.0, type(scores)(scores.data - targets.data)\n"
    )
    target = load(f"cupy:{tmp_path}/doubles.py:project")
    assert target(X, 1, 2.0).tolist() == [1.5, 1.0, 0.5]
    assert target(X[None], np.array([1]), 1.0).tolist() == [[2.0, 1.5, 1.0]]
    assert target(X.astype(np.float32), 1).dtype == np.float32
    assert "vjp" not in target.claims
    assert "layouts" not in target.claims
    brought = target.bringing(loss_and_grad=f"cupy:{tmp_path}/doubles.py:loss_and_grad")
    loss, gradient = brought.lose_with_gradient(X, X, 1)
    assert loss == 1.0
    assert gradient.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("library", ["torch", "jax", "cupy"])
def test_a_library_that_is_missing_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(TargetError, match=f"needs {library}, which can't be imported"):
        load(f"{library}:{HERE}:anything")


def test_a_module_of_that_name_is_still_a_module() -> None:
    needs("torch")
    assert load("torch:clamp").name == "torch:clamp"


def test_libraries_are_imported_for_their_own_targets_only() -> None:
    code = (
        "import sys; from hsproj_verify.target import load; load('numpy:clip');"
        "print({'torch', 'jax', 'cupy'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
