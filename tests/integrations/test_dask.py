"""Dask: the answers of NumPy to the last bit, however arrays are cut, in four passes that keep nothing."""

import subprocess
import sys
import warnings
import weakref
from itertools import product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("dask.array", reason="dask is not installed")

import dask
import dask.array as da

import hsproj
from hsproj import _pieces
from hsproj.integrations import dask as ours

SHORT_CHUNKS = {"array.chunk-size": "64B", "scheduler": "synchronous"}
"""Rows of more than 8 float64 are long."""


@pytest.fixture(autouse=True)
def in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def long(monkeypatch):
    """What is true of rows of 10^9 is true of rows of 100."""
    monkeypatch.setattr(_pieces, "SAMPLE", 32)
    monkeypatch.setattr(_pieces, "ROOM", 8)
    with dask.config.set(SHORT_CHUNKS):
        yield


class Counted:
    """An array that counts how often each entry is read, and how many of the chunks it gave out are alive."""

    def __init__(self, array):
        self.array, self.reads, self.alive, self.most = array, np.zeros(array.shape, int), 0, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, index):
        chunk = self.array[index].copy()
        if chunk.size:  # dask looks at an empty one for its kind
            self.reads[index] += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
            weakref.finalize(chunk, self._dropped)
        return chunk

    def _dropped(self):
        self.alive -= 1


def scores(shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return (rng.integers(-9, 9, shape) if dtype == "int64" else rng.normal(size=shape)).astype(dtype)


CUTS = {"batch": (2, 120), "row": (5, 50), "both": (2, (7, 0, 60, 53))}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64"])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("chunk_size", ["64B", "128MiB"])
def test_projection_is_that_of_numpy_however_the_array_is_cut(dtype, cut, chunk_size, monkeypatch):
    monkeypatch.setattr(_pieces, "SAMPLE", 32)
    x, k, tau = scores((5, 120), dtype), np.array([1.0, 2.5, 60.0, 0.0, 120.0]), np.array([1.0, 0.1, 3.0, 1.0, 1.0])
    with dask.config.set({"array.chunk-size": chunk_size}):
        p = ours.soft_binary_argmax(da.from_array(x, chunks=CUTS[cut]), k, temperature=tau)
        found = p.compute()
    assert found.dtype == p.dtype
    np.testing.assert_array_equal(found, hsproj.soft_binary_argmax(x, k, temperature=tau))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("chunk_size", ["64B", "128MiB"])
def test_rows_may_lie_along_any_axis(axis, chunk_size):
    x = scores((20, 21, 22))
    with dask.config.set({"array.chunk-size": chunk_size}):
        found = ours.project(da.from_array(x, chunks=(9, 10, 8)), 3, axis=axis).compute()
    np.testing.assert_array_equal(found, hsproj.project(x, 3, axis=axis))


@pytest.mark.parametrize("chunks", [(2, 120), (2, 50)])
def test_solution_is_that_of_numpy(chunks, long):
    x, v = np.round(scores((5, 120)), 1), scores((5, 120), seed=1)
    sol, expected = ours.solve(da.from_array(x, chunks=chunks), 7, temperature=0.5), hsproj.solve(x, 7, temperature=0.5)
    names = ("p", "threshold", "free", "saturated", "support", "margin", "is_differentiable")
    for name, value in zip(names, dask.compute(*(getattr(sol, name) for name in names)), strict=True):
        if name == "margin":
            np.testing.assert_array_max_ulp(value, expected.margin, 4)
        else:
            np.testing.assert_array_equal(value, getattr(expected, name), name)
        assert value.shape == getattr(sol, name).shape
        assert value.dtype == getattr(sol, name).dtype
    for name in ("jvp", "vjp"):
        close(getattr(sol, name)(v).compute(), expected.jvp(v), v, 0.5)


def close(came, expected, v, tau):
    """Each within 4 eps max|v| / tau of the exact product."""
    np.testing.assert_allclose(came, expected, rtol=0, atol=8 * np.finfo(v.dtype).eps * np.abs(v).max() / tau)


@pytest.mark.parametrize("name", ["jvp", "vjp"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("chunks", [(2, 120), (2, 50)])
def test_products_are_those_of_numpy(name, dtype, chunks, long):
    x, v = scores((5, 120), dtype), scores((5, 120), dtype, 1)
    found = getattr(ours, name)(da.from_array(x, chunks=chunks), 7, v, temperature=0.5).compute()
    close(found, getattr(hsproj, name)(x, 7, v, temperature=0.5), v, 0.5)


def test_constant_cotangents_give_exactly_0(long):
    x = da.from_array(scores(500), chunks=70)
    assert not ours.vjp(x, 20, np.full(500, 0.1)).compute().any()


@pytest.mark.parametrize("chunks", [(2, 120), (2, 50)])
def test_totals_and_temperatures_may_be_dask_arrays(chunks, long):
    x, k, tau = scores((5, 120)), np.arange(1.0, 6.0), np.linspace(0.1, 2.0, 5)
    found = ours.soft_binary_argmax(
        da.from_array(x, chunks=chunks), da.from_array(k, chunks=3), temperature=da.from_array(tau, chunks=5)
    )
    np.testing.assert_array_equal(found.compute(), hsproj.soft_binary_argmax(x, k, temperature=tau))


@pytest.mark.parametrize("chunks", [(1, 120), (3, 50)])
def test_bad_row_loses_no_other(chunks, long):
    x = scores((4, 120))
    x[1, 60], x[2, :100], x[3, 3:7] = np.nan, -np.inf, np.inf
    k = [2, 2, 21, 3]
    found = ours.solve(da.from_array(x, chunks=chunks), k)
    np.testing.assert_array_equal(found.p.compute(), hsproj.project(x, k))
    np.testing.assert_array_equal(np.isnan(found.p.compute()).any(axis=1), [False, True, True, True])
    np.testing.assert_array_equal(found.threshold.compute(), hsproj.solve(x, k).threshold)
    np.testing.assert_array_equal(np.isnan(found.vjp(x).compute()).any(axis=1), [False, True, True, True])


@pytest.mark.parametrize(("k", "m"), list(product([0, 30, 100], [1, 2])))
def test_masked_and_forced_scores(k, m, long):
    x = scores((m, 200))
    x[:, :90], x[:, -10:] = -np.inf, np.inf
    np.testing.assert_array_equal(
        ours.project(da.from_array(x, chunks=(1, 70)), k + 10).compute(), hsproj.project(x, k + 10)
    )


def test_nothing_is_computed_by_the_call(long):
    source = Counted(scores(1000))
    sol = ours.solve(da.from_array(source, chunks=100), 30)
    sol.vjp(source.array)
    assert not source.reads.any()


def test_a_long_row_is_read_four_times_and_not_kept(long):
    source = Counted(scores(1000))
    ours.project(da.from_array(source, chunks=50), 30).map_blocks(np.sum, chunks=(1,), keepdims=True).compute()
    assert (source.reads == 4).all()
    assert source.most <= 2


def test_a_product_takes_as_many_passes_two_of_them_over_cotangents(long):
    source, v = Counted(scores(1000)), Counted(scores(1000, seed=1))
    gradient = ours.vjp(da.from_array(source, chunks=50), 30, da.from_array(v, chunks=50))
    gradient.map_blocks(np.sum, chunks=(1,), keepdims=True).compute()
    assert (source.reads == 4).all()
    assert (v.reads == 2).all()
    assert max(source.most, v.most) <= 2


def test_what_is_computed_together_shares_the_passes(long):
    source = Counted(scores(1000))
    sol = ours.solve(da.from_array(source, chunks=100), 30)
    dask.compute(sol.p, sol.free, sol.saturated, sol.threshold, sol.margin)
    assert (source.reads == 4).all()


def test_what_many_chunks_need_is_computed_once_and_not_for_each_pass(long):
    """Scores that are made of scores, their mean and other chunks."""
    source = Counted(scores(1000))
    x = da.from_array(source, chunks=50)
    x = (x - x.mean()).rechunk(70)
    found = ours.project(x, 30).compute(optimize_graph=False)
    np.testing.assert_array_equal(found, hsproj.project(x.compute(), 30))
    # Four passes, in which the chunks that a piece overlaps with are read, and one for the mean; then once more as above.
    assert source.reads.max() <= 4 * 2 + 2


def test_random_scores_are_the_same_in_all_passes(long):
    x = da.random.default_rng(0).normal(size=(3, 1000), chunks=(2, 300))
    np.testing.assert_array_equal(ours.project(x, 30).compute(), hsproj.project(x.compute(), 30))


def test_example_streams_from_files(tmp_path):
    pytest.importorskip("distributed", reason="distributed is not installed")
    script = Path(__file__).parents[2] / "docs" / "examples" / "large.py"
    command = [sys.executable, script, "--entries", "400000", "--classes", "1000", "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "sum of p: 4000.0" in done.stdout or "sum of p: 3999.9" in done.stdout
    assert "loss and gradient of 400 samples with 1000 classes" in done.stdout
    assert not list(tmp_path.iterdir())


def test_workers_of_their_own(tmp_path):
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    x, v = scores((3, 40_000), "float32"), scores((3, 40_000), "float32", 1)
    with warnings.catch_warnings(), dask.config.set({"array.chunk-size": "64kiB", "scheduler": None}):
        warnings.simplefilter("ignore")  # of what distributed does at its end
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster),
        ):
            sol = ours.solve(da.from_array(x, chunks=(2, 9000)), 400)
            whole = ours.solve(da.from_array(x, chunks=(1, 40_000)), 400)
            p, free, slope, again = dask.compute(sol.p, sol.free, sol.vjp(v), whole.p)
            persisted = ours.project(da.from_array(x, chunks=(2, 9000)).persist(), 400).compute()
    expected = hsproj.solve(x, 400)
    for came in (p, again, persisted):
        np.testing.assert_array_equal(came, expected.p)
    np.testing.assert_array_equal(free, expected.free)
    close(slope, expected.vjp(v), v, 1.0)


@pytest.mark.parametrize(
    ("kind", "message", "call"),
    [
        (TypeError, "`x` must be a dask array; got ndarray", lambda x: ours.project(x.compute(), 1)),
        (TypeError, "`x` must hold real numbers", lambda x: ours.project(x.astype(complex), 1)),
        (ValueError, "`x` must have known lengths", lambda x: ours.project(x[x[:, 0] > 0], 1)),
        (ValueError, "`axis` must satisfy", lambda x: ours.project(x, 1, axis=2)),
        (ValueError, "`k` must satisfy 0 <= k <= n; got k=31 with n=30", lambda x: ours.project(x, 31)),
        (ValueError, r"got k=31 with n=30 .*row \(1,\)", lambda x: ours.project(x, [1, 31, 1])),
        (ValueError, "`k` must broadcast to the batch shape", lambda x: ours.project(x, [1, 2])),
        (ValueError, "`k` must broadcast to the batch shape", lambda x: ours.project(x, da.from_array([1, 2]))),
        (TypeError, "`k` must hold real numbers", lambda x: ours.project(x, da.from_array([1j]))),
        (ValueError, "`temperature` must be positive", lambda x: ours.soft_binary_argmax(x, 1, temperature=0.0)),
        (ValueError, "`g` must broadcast to the shape", lambda x: ours.vjp(x, 1, np.zeros(31))),
        (TypeError, "`v` must hold real numbers", lambda x: ours.jvp(x, 1, np.zeros(30, complex))),
    ],
)
def test_what_is_wrong_about_a_call_is_said_at_once(kind, message, call):
    with pytest.raises(kind, match=message):
        call(da.from_array(scores((3, 30)), chunks=(1, 10)))


@pytest.mark.parametrize("chunks", [(1, 30), (1, 10)])
def test_what_only_an_array_shows_is_said_when_it_is_computed(chunks, long):
    x = da.from_array(scores((3, 30)), chunks=chunks)
    with pytest.raises(ValueError, match="`k` must satisfy 0 <= k <= n; got k=31 with n=30"):
        ours.project(x, da.from_array([1.0, 31.0, 1.0])).compute()
    with pytest.raises(ValueError, match="`temperature` must be positive and finite; got temperature=-1"):
        ours.soft_binary_argmax(x, 1, temperature=da.from_array([1.0, -1.0, 1.0])).compute()


@pytest.mark.parametrize("chunks", [(1, 30), (1, 10)])
def test_masked_arrays_are_refused_and_no_mask_is_lost(chunks, long):
    x = da.ma.masked_greater(da.from_array(scores((3, 30)), chunks=chunks), 1.0)
    with pytest.raises(TypeError, match="without a mask"):
        ours.project(x, 1).compute()


def test_threads_give_the_same(long):
    x = scores((6, 2000))
    with dask.config.set(scheduler="threads", num_workers=4):
        for chunks in ((1, 2000), (2, 100)):
            found = ours.solve(da.from_array(x, chunks=chunks), 50)
            p, free = dask.compute(found.p, found.free)
            np.testing.assert_array_equal(p, hsproj.project(x, 50))
            np.testing.assert_array_equal(free, hsproj.solve(x, 50).free)


@pytest.mark.parametrize("shape", [(0, 30), (3, 0)])
def test_empty_arrays(shape, long):
    x = np.empty(shape)
    assert ours.project(da.from_array(x, chunks=(1, 10)), 0).compute().shape == shape
