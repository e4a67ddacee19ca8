"""What a target refuses plainly, before it is judged: "says so or is found out".

Each claim that a target has not made itself but is assumed of it, `Target.assumed`, is tried on plain cases. If all that need
it raise, the target does not make the claim, and the report says what was raised. A wrong answer is for the checks to find;
so are the exceptions of a target that answers nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hsproj_verify.target import Target, takes_scores_only

_PLAIN = {
    "vectors": "scores of shape (n,) raise",
    "batch": "scores of shape (2, n) raise",
    "float64": "float64 scores raise",
    "float32": "float32 scores raise",
}


def probe(target: Target) -> Target:
    """The target without the claims that it is found not to keep.

    Examples
    --------
    >>> from hsproj_verify import Target
    >>> from hsproj_verify.probing import probe
    >>> def project(x, k):
    ...     if x.ndim > 1:
    ...         raise ValueError("one row, please")
    ...     return x * 0 + k / x.size
    >>> probe(Target("t", project)).why_not("batch")
    'found out: scores of shape (2, n) raise ValueError: one row, please'
    """
    target = _with_its_total(target)
    k = 1 if target.fixed_k is None else target.fixed_k
    row = np.arange(2 * math.ceil(k) + 1)[::-1] / 4.0
    rows, ks = np.stack([row, row[::-1]]), np.array([k, k])
    plain = target.claiming("vectors")  # a row is a row here, and not a batch of one
    alike = plain.without("own-k")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        refused: dict[tuple[str, str], str] = {}
        for dtype in sorted({"float64", "float32"} & {*target.claims}, reverse=True):
            if "vectors" in target.claims:
                refused["vectors", dtype] = _refusal(plain, row.astype(dtype), k)
            if "batch" in target.claims:
                given = rows.astype(dtype)
                refused["batch", dtype] = _refusal(alike, given, k) and _refusal(plain, given, ks)
        if all(refused.values()):
            return target
        dtype = next(dtype for (_, dtype), reason in refused.items() if not reason)
        found: dict[str, str] = {}
        for claim, what in _PLAIN.items():
            reasons = {case: reason for case, reason in refused.items() if claim in case}
            if reasons and all(reasons.values()):
                # What a dtype that works is refused for says more.
                found[claim] = f"{what} {reasons.get((claim, dtype)) or next(iter(reasons.values()))}"
        x, v = row.astype(dtype), np.ones(row.shape, dtype)
        probes: dict[str, tuple[str, Callable[[Target], str]]] = {
            "own-k": ("a k for each row raises", lambda t: _refusal(t, rows.astype(dtype), ks)),
            "real-k": ("k = 1.5 raises", lambda t: _refusal(t, x, 1.5)),
            "vjp": ("its vjp raises", lambda t: _refusal(t.pull_back, x, k, v)),
            "jvp": ("its jvp raises", lambda t: _refusal(t.push_forward, x, k, v)),
        }
        narrower = _lacking(target, found)
        for claim, (what, refusal) in probes.items():
            if claim in narrower.claims and claim in target.assumed and (raised := refusal(narrower)):
                narrower = _lacking(narrower, {claim: f"{what} {raised}"})
    return narrower


def _with_its_total(target: Target) -> Target:
    """The target as it is or, if its function takes no k, with the k that its p adds up to."""
    if target.fixed_k is not None or "any-k" not in target.assumed or not takes_scores_only(target.project):
        return target
    row = np.array([0.5, 0.25, 0.0, -0.25])
    for x in (row, row[None]):
        try:
            total = float(np.sum(np.asarray(target.project(x), dtype=np.float64)))
        except Exception:  # the checks will tell
            continue
        if 0 <= total <= row.size:
            k = round(total) if abs(total - round(total)) < 1e-3 else total
            note = f"found out: it takes no k, and its p adds up to {k}"
            return replace(target, fixed_k=k, note="; ".join(filter(None, (target.note, note))))
    return target


def _lacking(target: Target, found: dict[str, str]) -> Target:
    reasons = {claim: f"found out: {what}" for claim, what in found.items() if claim in target.assumed}
    notes = [target.note, *(reasons[claim] for claim in reasons if claim in target.claims)]
    return replace(target, note="; ".join(filter(None, notes))).lacking(reasons)


def _refusal(function: Callable[..., Any], *arguments: Any) -> str:
    """What the call raised, as text; empty if it answered, whatever it answered."""
    try:
        function(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a target must not end the judge
        return f"{type(error).__name__}: {error}".partition("\n")[0][:200]
    return ""
