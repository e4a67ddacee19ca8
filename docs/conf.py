"""Sphinx configuration. Nothing here needs the network."""

import re
from typing import Any

import hsproj

project = "hsproj"
author = "The hsproj developers"
copyright = author
version = release = hsproj.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build", "experiments/results/*.md"]  # which the page there includes
html_theme = "furo"
html_title = f"hsproj {release}"
html_show_copyright = False

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

default_role = "code"  # docstrings write `x` for code
autodoc_typehints = "none"  # the docstrings say types, with shapes
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False


def prepare(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are written to be read as they are; two habits of theirs would be taken for markup."""
    # |a| is an absolute value, not a substitution.
    lines[:] = [line if ">>>" in line else re.sub(r"(?<![`|\\])\|(\w+)\|", r"\\|\1\\|", line) for line in lines]
    # "What it is: more about it." is a sentence, of which Napoleon has made a type and a description.
    for i, line in enumerate(lines):
        if what == "property" and line.startswith(":type: "):
            lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"
            del lines[i]
            break


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", prepare, priority=600)  # after Napoleon, at 500
