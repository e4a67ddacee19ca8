"""What is wrong about a call is refused at once, with the argument, the rule, what came and where."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import hsproj

X = np.arange(5.0)
BATCH = np.arange(6.0).reshape(2, 3)

CALLS: list[tuple[str, type[Exception], str, Callable[[], Any]]] = [
    ("negative k", ValueError, r"`k` must satisfy 0 <= k <= n; got k=-1 with n=5", lambda: hsproj.project(X, -1)),
    (
        "k above n",
        ValueError,
        r"`k` must satisfy 0 <= k <= n; got k=7 with n=5 \(x.shape=\(5,\), axis=-1\)\.",
        lambda: hsproj.project(X, 7),
    ),
    ("NaN k", ValueError, r"`k` must satisfy 0 <= k <= n; got k=nan", lambda: hsproj.project(X, np.nan)),
    ("infinite k", ValueError, r"got k=inf", lambda: hsproj.project(X, np.inf)),
    ("one bad k of many", ValueError, r"got k=9 with n=3 .*row \(1,\)", lambda: hsproj.project(BATCH, [1, 9])),
    ("complex k", TypeError, r"`k` must hold real numbers.*complex128", lambda: hsproj.project(X, 1j)),
    ("boolean k", TypeError, r"`k` must hold real numbers.*bool", lambda: hsproj.project(X, np.True_)),
    ("decimal k", TypeError, r"`k` must hold real numbers.*object", lambda: hsproj.project(X, Decimal(1))),
    ("string k", TypeError, r"`k` must hold real numbers", lambda: hsproj.project(X, "2")),
    ("no k", TypeError, r"`k` must hold real numbers.*object", lambda: hsproj.project(X, None)),
    ("k of a wrong shape", ValueError, r"`k` must broadcast.*\(2,\).*\(4,\)", lambda: hsproj.project(BATCH, [1] * 4)),
    (
        "k with the row's axis",
        ValueError,
        r"`k` must broadcast to the batch shape \(2,\); got shape \(2, 1\)",
        lambda: hsproj.project(BATCH, [[1], [1]]),
    ),
    (
        "zero temperature",
        ValueError,
        r"`temperature` must be positive and finite; got temperature=0",
        lambda: hsproj.soft_binary_argmax(X, 1, temperature=0),
    ),
    ("negative temperature", ValueError, r"temperature=-2", lambda: hsproj.solve(X, 1, temperature=-2)),
    ("infinite temperature", ValueError, r"temperature=inf", lambda: hsproj.solve(X, 1, temperature=np.inf)),
    ("NaN temperature", ValueError, r"temperature=nan", lambda: hsproj.solve(X, 1, temperature=np.nan)),
    ("complex scores", TypeError, r"`x` must hold real numbers.*complex128", lambda: hsproj.project(X + 0j, 1)),
    ("strings", TypeError, r"`x` must hold real numbers.*<U1", lambda: hsproj.project(["a", "b"], 1)),
    ("objects", TypeError, r"`x` must hold real numbers.*object", lambda: hsproj.project([None, 1.0], 1)),
    ("dates", TypeError, r"`x` must hold real numbers", lambda: hsproj.project(X.astype("M8[s]"), 1)),
    ("long doubles", TypeError, r"at most 64 bits.*", lambda: hsproj.project(X.astype(np.longdouble), 1)),
    ("masked arrays", TypeError, r"without a mask", lambda: hsproj.project(np.ma.masked_array(X), 1)),
    ("ragged", ValueError, r"`x` must be a rectangular array", lambda: hsproj.project([[1.0], [1.0, 2.0]], 1)),
    ("a scalar", ValueError, r"`axis` must name an axis of `x`, which has none", lambda: hsproj.project(1.0, 1)),
    (
        "axis too high",
        ValueError,
        r"`axis` must satisfy -1 <= axis < 1; got axis=1",
        lambda: hsproj.project(X, 1, axis=1),
    ),
    ("axis too low", ValueError, r"got axis=-3", lambda: hsproj.project(BATCH, 1, axis=-3)),
    ("axis no integer", TypeError, r"`axis` must be an integer; got 0\.5", lambda: hsproj.project(X, 1, axis=0.5)),  # type: ignore[arg-type]
    ("nan_policy", ValueError, r"`nan_policy` must be", lambda: hsproj.project(X, 1, nan_policy="omit")),  # type: ignore[arg-type]
    ("k > 0 of nothing", ValueError, r"got k=1 with n=0", lambda: hsproj.project([], 1)),
    ("hard k not whole", ValueError, r"`k` must be an integer; got k=1\.5", lambda: hsproj.binary_argmax(X, 1.5)),
    ("tangent shape", ValueError, r"`v` must broadcast.*\(5,\).*\(4,\)", lambda: hsproj.jvp(X, 1, np.ones(4))),
    ("cotangent dtype", TypeError, r"`g` must hold real numbers", lambda: hsproj.vjp(X, 1, X * 1j)),
    ("operator of a batch", ValueError, r"single row", lambda: hsproj.solve(BATCH, 1).linear_operator()),
    ("targets shape", ValueError, r"`targets` must broadcast", lambda: hsproj.hypersimplex_loss(X, np.ones(4))),
    (
        "targets total",
        ValueError,
        r"`targets` must sum to 0 <= k <= n .*k=10 with n=5",
        lambda: hsproj.hypersimplex_loss(X, np.full(5, 2.0)),
    ),
    ("k of an empty batch", ValueError, r"`k` must satisfy.*k=-1", lambda: hsproj.project(np.empty((0, 5)), -1)),
    (
        "temperature of an empty batch",
        ValueError,
        r"`temperature` must be",
        lambda: hsproj.soft_binary_argmax(np.empty((0, 5)), 1, temperature=0),
    ),
    ("hard k of an empty batch", ValueError, r"be an integer", lambda: hsproj.binary_argmax(np.empty((0, 5)), 0.5)),
    ("hard k of one row", ValueError, r"k=1\.5 .*row \(1,\)", lambda: hsproj.binary_argmax(BATCH, [1, 1.5])),
    ("loss of a scalar", ValueError, r"axis of `scores`", lambda: hsproj.hypersimplex_loss(3.0, 3.0)),
    ("array of policies", ValueError, r"`nan_policy` must", lambda: hsproj.project(X, 1, nan_policy=X)),  # type: ignore[arg-type]
    ("reduction", ValueError, r"`reduction` must be", lambda: hsproj.hypersimplex_loss(X, X > 2, reduction="max")),  # type: ignore[arg-type]
    ("loss axis", ValueError, r"`axis` must satisfy", lambda: hsproj.hypersimplex_loss(X, X > 2, axis=4)),
]


@pytest.mark.parametrize(("kind", "message", "call"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_wrong_calls_are_refused(kind: type[Exception], message: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("function", [hsproj.project, hsproj.solve, hsproj.binary_argmax, hsproj.jacobian])
def test_nan_policy_raise_names_the_first_bad_row(function: Callable[..., Any]) -> None:
    x = np.zeros((2, 3, 4))
    x[1, 0, 2] = np.nan
    x[1, 1] = -np.inf
    with pytest.raises(ValueError, match=r"`x` must hold no NaN.*1 NaN, 0 \+inf and 0 -inf.*row \(1, 0\)"):
        function(x, 2, nan_policy="raise")
    x[1, 0, 2] = 0.0
    with pytest.raises(ValueError, match=r"0 NaN, 0 \+inf and 4 -inf with k=2.*row \(1, 1\)"):
        function(x, 2, nan_policy="raise")


def test_all_masked_with_k_one_is_nan_or_an_error() -> None:
    x = np.full(3, -np.inf)
    assert np.isnan(hsproj.project(x, 1)).all()
    with pytest.raises(ValueError, match="at least k that are not -inf"):
        hsproj.project(x, 1, nan_policy="raise")


def test_arrays_outside_the_array_api_are_refused_rather_than_copied() -> None:
    class Tensor:
        def __dlpack__(self) -> None: ...

    with pytest.raises(TypeError, match=r"`x` must be an array.*Tensor"):
        hsproj.project(Tensor(), 1)  # type: ignore[arg-type]


def test_a_refused_call_changes_nothing() -> None:
    x = np.array([[1.0, np.nan], [2.0, 3.0]])
    before = x.tobytes()
    with pytest.raises(ValueError, match="NaN"):
        hsproj.project(x, 1, nan_policy="raise")
    assert x.tobytes() == before
