"""The page of what was tried on which library and dtype."""

from pathlib import Path

import numpy as np
import pytest
from support_table import CALLS, cell, main, rows

import hsproj


def test_every_public_function_for_arrays_of_any_library_is_tried() -> None:
    assert {*CALLS, "Projection", "BoxProjection"} == {*hsproj.__all__}


def test_a_wrong_answer_shows_by_its_size_and_its_masks() -> None:
    eps = float(np.finfo(np.float32).eps)

    def off_in_float32(data: object) -> tuple[np.ndarray, np.ndarray]:
        narrow = data.x.dtype == np.float32
        return np.array([1.0 + 8 * eps * narrow], data.x.dtype), np.array([True, narrow])

    assert cell(off_in_float32, "numpy", "float32", rows()) == "4, 1 masks"
    assert cell(off_in_float32, "numpy", "float64", rows()) == "0"


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write", str(tmp_path / "support.md")]) == 0
    page = (tmp_path / "support.md").read_text()
    assert "## array-api-strict" in page
    assert "| `project` | 0 |" in page
