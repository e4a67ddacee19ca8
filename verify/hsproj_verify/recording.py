"""Recordings of failing cases: written as witness files, read again, and run again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from hsproj_verify.draws import ReplayError, decode

SCHEMA = "hsproj-verify/witness/1"


@dataclass(frozen=True)
class Terms:
    """What is the same for all checks of a run.

    Attributes
    ----------
    seed, examples : int
    tolerance : float
    companions : mapping
        Names of what the target brings beside its projection, where they have names.
    shrink : bool
        Whether to look for the plainest failing example.
    """

    seed: int
    examples: int
    tolerance: float
    companions: Mapping[str, str] = field(default_factory=dict)
    shrink: bool = True


def recording(
    check: str,
    target: str,
    claims: Collection[str],
    problem: Mapping[str, Any],
    terms: Terms,
    draws: Sequence[Any],
    reason: str,
) -> dict[str, Any]:
    """A failing case as JSON; `draws` are encoded."""
    return {
        "schema": SCHEMA,
        "check": check,
        "target": target,
        "companions": dict(terms.companions),
        "problem": dict(problem),
        "claims": sorted(claims),
        "seed": terms.seed,
        "tolerance": terms.tolerance,
        "reason": reason,
        "draws": list(draws),
    }


def write(folder: Path, recordings: Sequence[Mapping[str, Any]]) -> list[Path]:
    """One witness file a recording, named after its check."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{case['check']}.json" for case in recordings]
    for path, case in zip(paths, recordings, strict=True):
        path.write_text(json.dumps(case, indent=1) + "\n", encoding="utf-8")
    return paths


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote; `ReplayError` says what is wrong with it."""
    import jsonschema.exceptions

    try:
        case = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReplayError(error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ReplayError(f"no JSON: {error}") from error
    schema = json.loads(resources.files("hsproj_verify").joinpath("witness.schema.json").read_text(encoding="utf-8"))
    wrong = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(case))
    if wrong is not None:
        raise ReplayError(f"no witness file: {wrong.json_path}: {wrong.message:.200}")
    decode(case["draws"])
    return case  # type: ignore[no-any-return]
