"""`project_box` and `solve_box` for arrays of other libraries, against those for NumPy's, which are correctly rounded."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from array_libraries import NAMES, Library, library
from boxes import FAMILIES, Box, boxes
from hypothesis import HealthCheck, given, settings

import hsproj

MASKS = ("free", "at_lower", "at_upper", "is_differentiable")
X = np.random.default_rng(4).normal(size=(3, 5, 6))
LOW, HIGH, W = -0.5, np.linspace(0.5, 2.0, 6), np.linspace(1.0, 3.0, 6)
TOTAL = np.random.default_rng(5).uniform(0, 6, (3, 5))
OPTIONS = {"lower": LOW, "upper": HIGH, "weights": W}


@pytest.fixture(params=NAMES)
def lib(request: pytest.FixtureRequest) -> Iterator[Library]:
    with library(request.param) as found:
        yield found


def options_for(lib: Library, options: dict[str, Any]) -> dict[str, Any]:
    return {name: lib.inwards(value) for name, value in options.items()}


def is_next_to_an_end(box: Box) -> bool:
    """Whether the total is so near a sum of bounds that pairs of floats can't tell."""
    finite = [b[np.isfinite(b)] for b in (box.lower, box.upper)]
    size = max([1.0, *(np.abs(b).max() * box.weights.max() for b in finite if b.size)])
    ends = [float(np.sum(box.weights * b)) for b in (box.lower, box.upper) if np.isfinite(b).all()]
    return any(abs(box.total - end) < 2.0**-40 * size for end in ends)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("constraint", ["eq", "le"])
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ("offset", "scales")])
def test_answers_are_those_of_numpy(family: str, constraint: str, dtype: str) -> None:
    with library("array_api_strict") as lib:

        @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(boxes(family, dtype, constraint))
        def agree(box: Box) -> None:
            options = {**box.options, "weights": box.weights.astype(dtype)}
            wide = {**options, "weights": options["weights"].astype(float)}
            came = hsproj.solve_box(lib.array(box.x), box.total, **options_for(lib, options))
            try:
                truth = hsproj.solve_box(box.x, box.total, **wide)
            except ValueError:  # out of reach
                assert is_next_to_an_end(box) or np.isnan(lib.outwards(came.p)).all()
                return
            p, eps = lib.outwards(came.p), float(np.finfo(dtype).eps)
            if is_next_to_an_end(box) and np.isnan(p).all():  # weights were rounded after the total
                return
            np.testing.assert_array_equal(np.isnan(p), np.isnan(truth.p))
            if np.isnan(p).any():
                return
            assert (np.abs(p - truth.p) <= eps * (1 + np.abs(truth.p))).all()
            assert ((box.lower <= p) & (p <= box.upper)).all()
            if family in ("tied", "hypersimplex", "infinite") and (box.total == 0 or abs(box.total) > 1e-9):
                for name in MASKS:
                    np.testing.assert_array_equal(lib.outwards(getattr(came, name)), getattr(truth, name), name)
                np.testing.assert_allclose(lib.outwards(came.threshold), truth.threshold, rtol=2 * eps, atol=2 * eps)

        agree()


def test_a_share_that_is_smaller_than_the_digits_of_theta() -> None:
    with library("array_api_strict") as lib:
        came = hsproj.solve_box(lib.array(np.array([-np.inf, 0.5], "float32")), 1.2243231078590344e-09, upper=0.5)
    assert lib.outwards(came.free).tolist() == [False, True]
    np.testing.assert_allclose(lib.outwards(came.p), [0, 1.2243231078590344e-09], rtol=1e-5)


def test_offsets_cost_no_digit_that_they_need_not() -> None:
    """In float32 numbers are known to 48 digits."""
    rng = np.random.default_rng(6)
    x = (1e4 + rng.normal(size=(40, 30))).astype("float32")
    weights = rng.uniform(0.5, 2, 30).astype("float32")
    total = rng.uniform(1, 20, 40)
    with library("array_api_strict") as lib:
        came = lib.outwards(hsproj.project_box(lib.array(x), total, weights=lib.array(weights)))
    truth = hsproj.project_box(x, total, weights=weights)
    assert np.abs(came - truth).max() <= np.finfo("float32").eps


@pytest.mark.parametrize("constraint", ["eq", "le"])
def test_solutions_are_in_kind(lib: Library, constraint: str) -> None:
    came = hsproj.solve_box(lib.array(X), lib.array(TOTAL), constraint=constraint, **options_for(lib, OPTIONS))
    truth = hsproj.solve_box(X, TOTAL, constraint=constraint, **OPTIONS)
    assert isinstance(came, hsproj.BoxProjection)
    for name in ("p", "threshold", *MASKS):
        array = getattr(came, name)
        assert type(array) is type(lib.array(X))
        np.testing.assert_allclose(lib.outwards(array), getattr(truth, name), rtol=1e-14, atol=1e-14, err_msg=name)
    for product in ("jvp", "vjp"):
        moved = getattr(came, product)(lib.array(X[::-1].copy()))
        np.testing.assert_allclose(lib.outwards(moved), getattr(truth, product)(X[::-1]), rtol=1e-13, atol=1e-13)
    assert "BoxProjection(shape=(3, 5, 6)" in repr(came)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_rows_may_lie_along_any_axis(lib: Library, axis: int) -> None:
    came = lib.outwards(hsproj.project_box(lib.array(X), 1.0, upper=0.75, axis=axis))
    np.testing.assert_allclose(came, hsproj.project_box(X, 1.0, upper=0.75, axis=axis), rtol=1e-14, atol=1e-15)


def test_rows_on_a_device_that_break_the_rules_are_nan(lib: Library) -> None:
    x = np.zeros((7, 2))
    lower, upper, weights = np.zeros((7, 2)), np.ones((7, 2)), np.ones((7, 2))
    total = np.array([1.0, 3.0, -1.0, np.nan, 1.0, 1.0, 1.0])
    lower[4], weights[5], x[6, 0] = 2.0, -1.0, np.nan
    options = options_for(lib, {"lower": lower, "upper": upper, "weights": weights})
    p = lib.outwards(hsproj.project_box(lib.array(x), lib.array(total), **options))
    np.testing.assert_array_equal(p[0], [0.5, 0.5])
    assert np.isnan(p[1:]).all()


def test_what_is_on_the_host_is_refused(lib: Library) -> None:
    x = lib.array(X)
    for options, said in [
        ({"lower": 2}, "`lower` must be at most `upper`; got lower=2 and upper=1"),
        ({"lower": np.nan}, "`lower` must be a number below inf; got nan"),
        ({"lower": [0.0, 0.0], "upper": [1.0, 1.0, 1.0]}, "`lower` must broadcast"),
        ({"weights": -1}, "`weights` must be positive"),
        ({"upper": -np.inf, "lower": -np.inf}, "`upper` must be a number"),
        ({"constraint": "ge"}, "constraint"),
        ({"nan_policy": "raise"}, "nan_policy"),
        ({"weights": [1.0, 2.0]}, "`weights` must broadcast"),
    ]:
        with pytest.raises(ValueError, match=said):
            hsproj.project_box(x, 1.0, **options)
    with pytest.raises(ValueError, match="`total` must be finite"):
        hsproj.project_box(x, np.inf)


def test_no_entries(lib: Library) -> None:
    assert lib.outwards(hsproj.project_box(lib.array(np.ones((3, 0))), 0.0, upper=2)).shape == (3, 0)
    assert lib.outwards(hsproj.project_box(lib.array(np.ones((0, 3))), 1.0, upper=2)).shape == (0, 3)


def test_torch_differentiates_in_scores_and_totals() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, total = (torch.tensor(array, requires_grad=True) for array in (X, TOTAL))
    options = {name: torch.tensor(value) for name, value in OPTIONS.items()}

    def function(x: Any, total: Any) -> Any:
        return hsproj.project_box(x, total, **options)

    assert torch.autograd.gradcheck(function, (x, total), eps=1e-7, atol=1e-6)
    p = function(x, total)
    g = torch.tensor(X[::-1].copy())
    p.backward(g)
    truth = hsproj.solve_box(X, TOTAL, **OPTIONS)
    np.testing.assert_allclose(x.grad, truth.vjp(g.numpy()), rtol=1e-12, atol=1e-13)


def test_jax_compiles_and_differentiates_it() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    with library("jax"):
        options = {name: jax.numpy.asarray(value) for name, value in OPTIONS.items()}
        function = jax.jit(lambda x, total: hsproj.project_box(x, total, **options))
        p, pull_back = jax.vjp(function, jax.numpy.asarray(X), jax.numpy.asarray(TOTAL))
        truth = hsproj.solve_box(X, TOTAL, **OPTIONS)
        np.testing.assert_allclose(p, truth.p, rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(pull_back(p)[0], truth.vjp(truth.p), rtol=1e-12, atol=1e-13)
