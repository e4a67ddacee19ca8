"""What imports cost and what they bring along, and that the judge is independent of what it judges."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hsproj
import hsproj_verify

MODULES = sorted(Path(hsproj_verify.__file__).parent.rglob("*.py"))


@pytest.mark.skipif("HSPROJ_TEST_INSTALLED" not in os.environ, reason="not a test of an installed wheel")
def test_an_installed_wheel_is_what_is_tested() -> None:
    for package in (hsproj, hsproj_verify):
        assert "site-packages" in Path(package.__file__).parts
        assert (Path(package.__file__).parent / "py.typed").is_file()
    schemas = ("report.schema.json", "bench.schema.json", "witness.schema.json", "vectors.schema.json")
    for name in (*schemas, "vectors/ties.json", "report/page.html", "report/page.css", "report/page.js"):
        assert (Path(hsproj_verify.__file__).parent / name).is_file()


def _loaded(code: str, *names: str) -> list[str]:
    script = f"import sys\n{code}\nprint([name for name in {list(names)} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert isinstance(loaded, list)
    return loaded


def test_importing_hsproj_loads_neither_numba_nor_scipy_nor_cvxpy() -> None:
    assert _loaded("import hsproj", "numba", "scipy", "cvxpy", "hypothesis", "hsproj_verify") == []
    assert _loaded("import hsproj", "lightgbm", "xgboost", "sklearn", "dask", "hsproj.integrations") == []


def test_importing_the_judge_loads_neither_cvxpy_nor_hypothesis_nor_hsproj() -> None:
    names = "cvxpy", "hypothesis", "hsproj", "numba", "scipy", "rich", "matplotlib"
    assert _loaded("import hsproj_verify", *names) == []
    assert _loaded("import hsproj_verify.cli", *names) == []


def test_importing_hsproj_takes_little_longer_than_importing_numpy() -> None:
    def seconds(name: str) -> float:
        script = f"import time; start = time.perf_counter(); import {name}; print(time.perf_counter() - start)"
        return float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)

    times = [(seconds("hsproj"), seconds("numpy")) for _ in range(5)]
    best, numpy = map(min, zip(*times, strict=True))  # the best of five: the others measure the machine
    assert best < 2.0 * numpy


def test_a_change_in_any_kernel_file_recompiles_the_kernels_that_use_it(tmp_path: Path) -> None:
    package = tmp_path / "hsproj"
    shutil.copytree(Path(hsproj.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    project = "import hsproj; print(hsproj.project([0.0, 0.0], 0.5).tolist())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def run() -> str:
        command = [sys.executable, "-c", project]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path)
        return done.stdout.strip()

    assert run() == "[0.25, 0.25]"
    kernels = package / "_kernels"
    text = (kernels / "_arithmetic.py").read_text()
    assert "fma(a, b, -p)" in text
    (kernels / "_arithmetic.py").write_text(text.replace("fma(a, b, -p)", "fma(a, b, p)"))
    assert run() == "[0.75, 0.75]"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_nothing_in_the_judge_imports_hsproj(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not any(name.split(".")[0] == "hsproj" for name in names), ast.unparse(node)


def test_the_judge_works_where_hsproj_cannot_be_imported() -> None:
    code = """
sys.modules["hsproj"] = None  # any import of it fails from here on
import numpy as np
from hsproj_verify import check
report = check(lambda x, k: np.full(x.shape, k / x.shape[-1]), examples=5)
assert report.counts["failed"] > 5, report.counts
"""
    assert _loaded(code, "numba") == []
