"""The keyword `out`: what is put where, what is refused, and what memory it all takes."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import hsproj

RNG = np.random.default_rng(12)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "project": lambda x, **options: hsproj.project(x, 2.5, **options),
    "soft_binary_argmax": lambda x, **options: hsproj.soft_binary_argmax(x, 2.5, temperature=0.7, **options),
    "jvp": lambda x, **options: hsproj.jvp(x, 2.5, x, **options),
    "vjp": lambda x, **options: hsproj.vjp(x, 2.5, x, **options),
    "vjp of the closure": lambda x, **options: hsproj.vjp(x, 2.5, x, selection="closure", **options),
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def _places(x: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "contiguous": np.full_like(x, 7),
        "strided": np.full((*x.shape[:-1], 2 * x.shape[-1]), 7, x.dtype)[..., ::2],
        "reversed": np.full_like(x, 7)[::-1, ..., ::-1],
        "Fortran-ordered": np.asfortranarray(np.full_like(x, 7)),
        "unaligned": np.frombuffer(bytearray(x.nbytes + 1), x.dtype, offset=1).reshape(x.shape),
        "the scores themselves": x,
        "the scores reversed": x[::-1, ..., ::-1],
    }


@every_function
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("place", _places(np.zeros((1, 1, 1))))
def test_out_takes_the_bits_of_the_answer_wherever_it_lies(
    function: Callable[..., Any], dtype: type, axis: int, place: str
) -> None:
    x = RNG.normal(size=(9, 30, 5)).astype(dtype)
    x[0, 0] = 1.0  # ties at a kink, which the quick kernels decline
    expected = function(x, axis=axis)
    out = _places(x)[place]
    assert function(x, axis=axis, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_out_may_overlap_with_the_scores_by_a_part() -> None:
    memory = RNG.normal(size=110)
    expected = hsproj.project(memory[:100], 7.5)
    np.testing.assert_array_equal(hsproj.project(memory[:100], 7.5, out=memory[10:]), expected)


@every_function
def test_out_of_size_zero_is_returned(function: Callable[..., Any]) -> None:
    x = np.empty((0, 4))
    assert function(x, out=x) is x


@every_function
@pytest.mark.parametrize(
    ("out", "kind", "message"),
    [
        ([0.0] * 5, TypeError, r"`out` must be a NumPy array without a mask; got list\."),
        (np.ma.masked_array(np.zeros(5)), TypeError, r"got MaskedArray\."),
        (np.zeros(5, np.float32), TypeError, r"`out` must have the dtype float64 of the answer; got dtype float32\."),
        (np.zeros(5, ">f8"), TypeError, r"got dtype >f8\."),
        (np.zeros((1, 5)), ValueError, r"`out` must have the shape \(5,\) of the answer; got shape \(1, 5\)\."),
        (np.broadcast_to(0.0, 5), ValueError, r"`out` must be writeable; got a read-only array\."),
    ],
    ids=["list", "masked", "dtype", "byte order", "shape", "read-only"],
)
def test_out_that_is_no_place_for_the_answer_is_refused(
    function: Callable[..., Any], out: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        function(np.arange(5.0), out=out)


@pytest.mark.parametrize("given", [False, True])
def test_a_projection_of_ten_million_float32_takes_a_quarter_of_their_memory_besides_the_answer(given: bool) -> None:
    x = RNG.standard_normal(10**7, dtype=np.float32)
    out = np.empty_like(x) if given else None
    hsproj.project(x[:1000], 10)  # to compile
    tracemalloc.start()
    p = hsproj.project(x, 1000, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert p.dtype == np.float32
    assert peak <= (0.25 if given else 1.25) * x.nbytes
