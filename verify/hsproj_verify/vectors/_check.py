"""Proves vectors: that each answer is the answer, by the conditions that only the answer fulfils; nothing is solved.

p is the projection if and only if it sums to k and one theta gives p = clip((x - theta) / temperature, 0, 1): a free entry
names that theta, a zero one bounds it from below, a saturated one from above. A vjp is right if and only if it vanishes off
the free set, sums to 0 and, times the temperature, differs from the cotangent by a constant there. A float is the nearest if
neither neighbour is closer. All of it is decided in fractions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from importlib import resources
from pathlib import Path

import numpy as np

from hsproj_verify.vectors._flags import FLAGS, flags_of
from hsproj_verify.vectors._format import FIELDS, Group, Vector, digest, from_text, to_text
from hsproj_verify.vectors._groups import why_invalid


def faults_of_files(folder: Path) -> Iterator[str]:
    """What is wrong with the files of a folder, each fault a line that says where."""
    from jsonschema import Draft202012Validator

    schema = json.loads(resources.files("hsproj_verify").joinpath("vectors.schema.json").read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema)
    files = sorted(folder.glob("*.json"))
    if not files:
        yield f"{folder}: no .json files"
    seen: dict[str, str] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        try:
            read = json.loads(text)
        except ValueError as error:
            yield f"{file.name}: not JSON: {error}"
            continue
        broken = [f"{file.name}: {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(read)]
        yield from broken
        if broken:
            continue  # the rest takes the form for granted
        group = from_text(text)
        yield from (f"{file.name}: {fault}" for fault in _faults_of_file(file, text, group, read["count"]))
        for vector in group.vectors:
            if vector.id in seen:
                yield f"{file.name}: {vector.id} is also in {seen[vector.id]}"
            seen[vector.id] = file.name
            yield from (f"{file.name}: {vector.id}: {fault}" for fault in faults(vector))


def _faults_of_file(file: Path, text: str, group: Group, count: int) -> Iterator[str]:
    if group.name != file.stem:
        yield f"holds the group {group.name}"
    if count != len(group.vectors):
        yield f"says count {count} and holds {len(group.vectors)}"
    if to_text(group, FLAGS) != text:
        yield "is not laid out as the format says: one field a line, in order, floats as %a, fractions in lowest terms"
    yield from (f"{vector.id} belongs to another group" for vector in group.vectors if vector.group != group.name)


def faults(vector: Vector) -> Iterator[str]:
    """What is wrong with a vector."""
    if vector.id.rpartition("-")[2] != digest(vector):
        yield "the id is not that of the inputs"
    if not all(
        _fits(value, vector.dtype) for value in (*vector.x, vector.k, vector.temperature, *(vector.cotangent or ()))
    ):
        yield f"an input is not representable in {vector.dtype}"
    why = why_invalid(vector.problem)
    if why and vector.result == "valid":
        yield f"valid, but {why}"
    elif not why and vector.result == "invalid":
        yield "invalid, but it has an answer"
    elif why and any(getattr(vector, name) is not None for name in _ANSWER):
        yield "invalid, but it comes with an answer"
    elif not why and (wrong := [name for name in _PER_SCORE if len(getattr(vector, name)) != len(vector.x)]):
        yield f"not one entry a score: {', '.join(wrong)}"
    else:
        if not why:
            yield from _faults_of_p(vector)
            yield from _faults_of_vjp(vector)
            yield from _faults_of_rounding(vector)
        if vector.flags != flags_of(vector):
            yield f"its flags are {list(flags_of(vector))}, not {list(vector.flags)}"


_ANSWER = FIELDS[FIELDS.index("cotangent") :]
_PER_SCORE = tuple(name for name in _ANSWER if name != "threshold")


def _fits(value: float, dtype: str) -> bool:
    return not math.isfinite(value) or dtype == "float64" or float(np.float32(value)) == value


def _faults_of_p(vector: Vector) -> Iterator[str]:
    p, tau = vector.p, Fraction(vector.temperature)
    assert p is not None
    if not all(0 <= entry <= 1 for entry in p) or sum(p) != Fraction(vector.k):
        yield "p is not feasible"
    finite = [(Fraction(x), entry) for x, entry in zip(vector.x, p, strict=True) if math.isfinite(x)]
    if any(entry != (x > 0) for x, entry in zip(vector.x, p, strict=True) if math.isinf(x)):
        yield "p is not 1 at inf and 0 at -inf"
    low = max((x - tau * entry for x, entry in finite if entry < 1), default=None)
    high = min((x - tau * entry for x, entry in finite if entry > 0), default=None)
    if low is not None and high is not None and low > high:
        yield "no theta explains p"
    if vector.threshold != (low, high):
        yield "threshold is not the interval of all thetas"
    theta = low if low == high else None
    sets = {
        "free": [0 < entry < 1 for entry in p],
        "saturated": [entry == 1 for entry in p],
        "support": [entry > 0 for entry in p],
        "lower_kinks": [theta is not None and x == theta for x in vector.x],
        "upper_kinks": [theta is not None and x == theta + tau for x in vector.x],
    }
    for name, holds in sets.items():
        if list(getattr(vector, name)) != holds:
            yield f"{name} is wrong"


def _faults_of_vjp(vector: Vector) -> Iterator[str]:
    vjp, g, free = vector.vjp, vector.cotangent, vector.free
    assert vjp is not None
    assert g is not None
    assert free is not None
    means = {Fraction(a) - Fraction(vector.temperature) * b for a, b, f in zip(g, vjp, free, strict=True) if f}
    if sum(vjp) != 0 or len(means) > 1 or any(b for b, f in zip(vjp, free, strict=True) if not f):
        yield "vjp is not that of the free set"


def _faults_of_rounding(vector: Vector) -> Iterator[str]:
    for name in ("p", "vjp"):
        for dtype in ("float64", "float32"):
            exact, rounded = getattr(vector, name), getattr(vector, f"{name}_{dtype}")
            if not all(is_nearest(a, b, dtype) for a, b in zip(rounded, exact, strict=True)):
                yield f"{name}_{dtype} is not {name}, correctly rounded"


def is_nearest(rounded: float, exact: Fraction, dtype: str) -> bool:
    """Whether a float is the nearest of its dtype, ties to even; infinite from half a step beyond the largest on."""
    kind = np.dtype(dtype).type
    value = kind(rounded)
    if float(value) != rounded:
        return False
    largest = np.finfo(dtype).max
    beyond = Fraction(float(largest)) * 2 - Fraction(float(np.nextafter(largest, kind(0))))  # the next, were there one

    def number(of: np.floating) -> Fraction:
        return Fraction(float(of)) if np.isfinite(of) else beyond if of > 0 else -beyond

    with np.errstate(over="ignore"):
        neighbours = [np.nextafter(value, kind(end)) for end in (-math.inf, math.inf)]
    distance = abs(number(value) - exact)
    others = [abs(number(neighbour) - exact) for neighbour in neighbours if neighbour != value]
    is_even = not value.view(f"u{value.itemsize}") & 1
    return all(distance < other or (distance == other and bool(is_even)) for other in others)
