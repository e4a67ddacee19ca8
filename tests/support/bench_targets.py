"""What `make bench` measures: hsproj with its combined call, and hsproj without what makes it exact.

The second is a copy of the package with the lines of the exact stage replaced, as far as they cost time: the grid of the
sums, their second float, and the remainder and filter of each quotient. What is left is as exact as other fast code.
"""

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import hsproj as package
from hsproj_verify.target import Target

WITHOUT = {
    "_long.py": {
        "free, saturated, start = none, none, none if is_narrow(x) else g\n": "free, saturated, start = none, none, none\n",
        "        return more, add_where(free, rest, d - (more - sum_))\n": "        return more, rest\n",
        "    h = (grid + u) - grid\n": "    h = u\n",
        "add_where(free, rest, u - h)": "rest",
    },
    "_round.py": {
        "    return p + fma(remainder, inverse, low_shift), p + fma(remainder, inverse, high_shift)\n": "    return p, p\n",
        "    return tail <= integers_like(p, 2 * ULPS)\n": "    return p != p\n",
    },
    "_short.py": {
        "            sum_, error = two_sum(sum_, widened(select(inside, x, nothing)))\n"
        "            rest, error = two_sum(rest, error)\n            lost = lost + size(error)\n": (
            "            sum_ = sum_ + widened(select(inside, x, nothing))\n"
        ),
        "            h = (grid + widened(v)) - grid\n": "            h = widened(v)\n",
        ", add_where(inside, rest, widened(v) - h)\n": ", rest\n",
        ", select(inside, smaller(height, least), least)\n": ", least\n",
        "            if any_of(doubt & inside & (u < full)):\n": "            if False:\n",
    },
}
"""Lines of the kernels, by file, and what they are without the exact stage."""


def _without_exact_stage() -> Any:
    """The package without its exact stage, imported as hsproj_inexact."""
    if "hsproj_inexact" not in sys.modules:
        folder = Path(tempfile.gettempdir()) / "hsproj_inexact"
        source = Path(package.__file__).parent
        for file in source.rglob("*.py"):
            text = file.read_text(encoding="utf-8").replace("hsproj", "hsproj_inexact")
            for line, other in WITHOUT.get(file.name, {}).items():
                assert text.count(line) == 1, f"{file.name} has changed: {line!r}"
                text = text.replace(line, other)
            copy = folder / "hsproj_inexact" / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists() or copy.read_text(encoding="utf-8") != text:
                copy.write_text(text, encoding="utf-8")
        sys.path.insert(0, str(folder))
        importlib.import_module("hsproj_inexact")
    return sys.modules["hsproj_inexact"]


hsproj = Target(
    "hsproj",
    package.soft_binary_argmax,
    package.vjp,
    note="soft_binary_argmax, vjp, Projection.vjp; p and vjp by soft_binary_argmax_and_vjp",
    project_and_vjp=package.soft_binary_argmax_and_vjp,
    solve=package.solve,
)


def inexact_projection(x: np.ndarray, k: Any, *, temperature: float = 1.0, axis: int = -1) -> Any:
    return _without_exact_stage().soft_binary_argmax(x, k, temperature=temperature, axis=axis)


inexact = Target(
    "hsproj without its exact stage", inexact_projection, note="the same search, sums and quotients as they come"
)
