"""Test vectors: problems with their exact answers, as JSON files that any language can read.

The files lie beside this module, one for each group; docs/vectors.md describes them. `load` reads them into Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hsproj_verify.target import TargetError
from hsproj_verify.vectors._flags import FLAGS
from hsproj_verify.vectors._format import Group, Vector, from_text

__all__ = ["FLAGS", "FOLDER", "Group", "Vector", "groups", "load"]

FOLDER = Path(__file__).parent
"""Where the files are."""


def groups(folder: Path = FOLDER) -> tuple[Group, ...]:
    """All groups of a folder, by name.

    Examples
    --------
    >>> from hsproj_verify import vectors
    >>> [group.name for group in vectors.groups()][:3]
    ['derivative', 'edges', 'extreme-k']
    """
    return tuple(from_text(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))


def load(*names: str) -> Iterator[Vector]:
    """The vectors of these groups, of all by default.

    Raises
    ------
    TargetError
        If there is no such group.

    Examples
    --------
    >>> from hsproj_verify import vectors
    >>> vector = next(vectors.load("saturated-ties"))
    >>> vector.id
    'saturated-ties-631c2049'
    >>> vector.comment
    'J = 0. PAV codes take tied saturated scores for a block and return +-0.5.'
    >>> vector.x, vector.k, vector.flags
    ((5.0, 5.0, 0.0, 0.0), 2.0, ('Vertex',))
    >>> vector.p
    (Fraction(1, 1), Fraction(1, 1), Fraction(0, 1), Fraction(0, 1))
    >>> vector.threshold
    (Fraction(0, 1), Fraction(4, 1))
    """
    by_name = {group.name: group for group in groups()}
    unknown = sorted(set(names) - set(by_name))
    if unknown:
        raise TargetError(f"no group {', '.join(unknown)} of vectors; there are {', '.join(by_name)}")
    for name in names or by_name:
        yield from by_name[name].vectors
