"""The kernels for CUDA devices: on one, where there is one, and on the CPU, where the threads of the same source take turns.

docs/gpu.md says what the latter can't show.
"""

import importlib.util
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import nvrtc
import pytest
from array_libraries import cupy_with_a_device
from cuda_emulator import COMPILER, EmulatedDevice
from rational_batches import ROWS, SHORT, Batch, is_sure

import hsproj
from hsproj import _cuda, _generic
from hsproj._cuda import PARTIALS, PerRow, Plan, Projected, plan_for
from hsproj_verify import check
from hsproj_verify.oracles import exact
from hsproj_verify.problems import error_in_eps
from hsproj_verify.target import Target

DTYPES = ["float32", "float64"]
TEAMS = [
    ("Warp<8>", 32, 64),
    ("Warp<32>", 8, 96),
    ("Block", 4, 64),
    ("Block", 0, 32),
    ("Block", -1, 96),
    ("Grid", -1, 64),
]
"""Kernels that take rows of 200: (team, how many each thread holds, threads)."""
HOPPER: Any = SimpleNamespace(processors=132, block_memory=227 * 1024)


class Runner(NamedTuple):
    """The kernels on a device, for arrays of NumPy; totals and temperatures are numbers, or one for each row."""

    device: _cuda.Device
    put: Callable[[np.ndarray], Any] = lambda array: array
    get: Callable[[Any], np.ndarray] = lambda array: array

    def per_row(self, value: Any) -> PerRow:
        return PerRow(self.put(np.array(value, np.float64))) if np.ndim(value) else PerRow(all=value)

    def project(self, x: np.ndarray, k: Any, tau: Any, v: np.ndarray | None = None, *, free: bool = False) -> Projected:
        v = v if v is None else self.put(v)
        came = _cuda.project(self.device, self.put(x), self.per_row(k), self.per_row(tau), v, free=free)
        return Projected(*(array if array is None else self.get(array) for array in came))

    def tangent(self, v: np.ndarray, free: np.ndarray, tau: Any) -> np.ndarray:
        return self.get(_cuda.tangent(self.device, self.put(v), self.put(free), self.per_row(tau)))


@pytest.fixture(scope="module")
def emulated() -> Iterator[EmulatedDevice]:
    if COMPILER is None:
        pytest.skip("no C++ compiler (g++ or clang++) to build the kernels with")
    with EmulatedDevice() as device:
        yield device


@pytest.fixture(params=["emulated", "cupy"])
def runner(request: pytest.FixtureRequest) -> Runner:
    if request.param == "emulated":
        return Runner(request.getfixturevalue("emulated"))
    cupy = cupy_with_a_device()
    device = _cuda.device_of(cupy.zeros(1))
    assert device is not None
    return Runner(device, cupy.asarray, cupy.asnumpy)


def force(monkeypatch: pytest.MonkeyPatch, team: str, held: int, threads: int) -> None:
    """Have rows done by this kernel."""

    def forced(function: str, itemsize: int, m: int, n: int, device: _cuda.Device) -> Plan:
        scalar = {4: "float", 8: "double"}[itemsize]
        memory = PARTIALS + (2 * n * itemsize if held == 0 else 0)
        return Plan(function, scalar, team, held, 3 if team == "Grid" else 2, threads, memory)

    monkeypatch.setattr(_cuda, "plan_for", forced)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", SHORT)
def test_answers_are_those_of_rationals(runner: Runner, family: str, dtype: str) -> None:
    batch, eps = Batch(family, dtype), float(np.finfo(dtype).eps)
    p, free, _ = runner.project(batch.x, batch.k, batch.tau, free=True)
    solved = 0
    for r, truth in enumerate(batch.truths):
        if truth is None:
            assert np.isnan(p[r]).all(), batch.case(r)
            assert not free[r].any(), batch.case(r)
            continue
        solved += 1
        # Of 642,400 such problems the largest was 0.34 in float32 and 0.62 in float64.
        assert error_in_eps(p[r], truth.p, eps) <= 1.0, batch.case(r)
        assert not np.signbit(p[r]).any(), batch.case(r)
        assert np.isin(p[r][~free[r]], [0.0, 1.0]).all(), batch.case(r)
        if is_sure(truth, dtype):
            assert tuple(np.flatnonzero(free[r])) == truth.free, batch.case(r)
    assert solved > ROWS // 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [600, 5000])
def test_long_rows(runner: Runner, dtype: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(1e4 if n == 5000 else 0.0, 30.0, (3, n)).astype(dtype)
    x[1] = np.where(rng.random(n) < 0.9, x[1, 0], x[1])
    x[2] = np.round(x[2])
    k = np.array([n / 3, n / 4 + 0.3, n // 5])
    p = runner.project(x, k, 0.7).p
    for r in range(3):
        assert error_in_eps(p[r], exact.solve(x[r].tolist(), k[r], 0.7).p, float(np.finfo(dtype).eps)) <= 1.0


def varied(dtype: str, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of many kinds with their k and temperatures, and cotangents."""
    rng = np.random.default_rng(7)
    scale = np.array([1.0, 1e-3, 30.0, 1e6, 1.0, 1.0, 1e-30, 1.0, 1.0, 3.0, 1.0, 0.2, 0.0])[:, None]
    x = rng.normal(size=(13, n)) * scale  # the last is of 0 and -0
    x[4] += 1e4
    x[5] = np.round(x[5])
    x[7, ::2] = -np.inf
    x[8, :3] = np.inf
    x[9, 5] = np.nan
    x[10] = 1.0
    k = np.array([10, 1, n / 2, 3, 20.5, 60, 7, 5, 3, 5, 33.25, n, 20])
    tau = np.array([1.0, 0.01, 1, 1, 1, 1, 1e-30, 2, 1, 1, 1e30, 0.1, 1])
    return x.astype(dtype), k, tau, rng.normal(size=x.shape).astype(dtype)


def bits(answer: Any) -> list[bytes]:
    return [array.tobytes() for array in answer if array is not None]


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_bit_depends_on_who_does_the_work(runner: Runner, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, k, tau, v = varied(dtype)
    answers, products = [], []
    for team in TEAMS:
        force(monkeypatch, *team)
        answers.append(bits(runner.project(x, k, tau, v, free=True)))
        assert answers[-1][:2] == bits(runner.project(x, k, tau, free=True))
        free = hsproj.solve(x, k, temperature=tau).free
        products.append(runner.tangent(v, free, tau).tobytes())
    assert len({tuple(answer) for answer in answers}) == 1
    assert len({*products}) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_bit_depends_on_the_guess(runner: Runner, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a guess that is always wrong all rows go the other way."""
    x, k, tau, v = varied(dtype)
    right = bits(runner.project(x, k, tau, v, free=True))
    source = Plan.source.fget  # type: ignore[attr-defined]
    call = "guess(asked, seen, row, team)"
    for wrong in ("seen.low() - 100 * (T)asked.tau", "seen.high() + 100 * (T)asked.tau", "(T)0"):
        monkeypatch.setattr(Plan, "source", property(lambda plan, w=wrong: source(plan).replace(call, w)))
        assert call not in Plan("project", "float", "Warp<8>", 1, 1, 32).source
        assert bits(runner.project(x, k, tau, v, free=True)) == right


@pytest.mark.parametrize("family", ["subnormal gaps", "gaussian", "1e-30 from a breakpoint", "temperature"])
def test_no_bit_depends_on_what_becomes_of_subnormal_numbers(emulated: EmulatedDevice, family: str) -> None:
    """CuPy builds kernels whose float32 arithmetic takes them for 0."""
    batch = Batch(family, "float32")
    batch.x[0, :4], batch.x[0, 4:], batch.k[0], batch.tau[0] = [3e-39, 1e-39, 1e-39, 0], -np.inf, 2, 1e-39
    batch.tau[batch.tau < 1e-300] = 1e-300  # what flushes here does so with float64, too
    v = (np.random.default_rng(2).normal(size=batch.x.shape) * 1e-39).astype("float32")
    v[0, 1:3] = 1e-39, 3e-39
    arguments = batch.x, batch.k, batch.tau, v
    with EmulatedDevice(flush=True) as flushing:
        came = Runner(flushing).project(*arguments, free=True)
        assert bits(came) == bits(Runner(emulated).project(*arguments, free=True))
        free = came.free
        assert bits([Runner(flushing).tangent(v, free, batch.tau)]) == bits(
            [Runner(emulated).tangent(v, free, batch.tau)]
        )
    np.testing.assert_array_equal(came.p[0, :4], [1, 0.5, 0.5, 0])
    np.testing.assert_allclose(came.product[0, :4], [0, -1, 1, 0], rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_are_those_of_rationals(runner: Runner, dtype: str) -> None:
    x, k, tau, v = varied(dtype)
    v[2] *= 1e20
    v[3] = 0.0
    eps = np.finfo(dtype).eps
    _, free, product = runner.project(x, k, tau, v, free=True)
    for r in range(len(x)):
        if np.isnan(x[r]).any():
            assert np.isnan(product[r]).all()
            continue
        assert not product[r][~free[r]].any()
        chosen = [Fraction(float(value)) for value in v[r][free[r]]]
        mean = sum(chosen) / max(len(chosen), 1)
        # One rounding in float32. In float64 those of a difference, a quotient and, to its tail, of the mean.
        room = (0.5 + 1e-6 if dtype == "float32" else 1.5) * eps
        noise = 2.0**-52 if dtype == "float32" else 2.0**-100
        for value, entry in zip(product[r][free[r]], chosen, strict=True):
            truth = (entry - mean) / Fraction(float(tau[r]))
            spread = noise * float(max(map(abs, chosen))) / tau[r]
            assert abs(Fraction(float(value)) - truth) <= room * abs(float(truth)) + spread


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_cotangents_have_exactly_nothing_as_their_product(runner: Runner, dtype: str) -> None:
    x, k, tau, _ = varied(dtype)
    v = np.full_like(x, 0.1)
    product = runner.project(x, k, tau, v).product
    assert not product[~np.isnan(x).any(axis=1)].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_differences_of_the_largest_cotangents(runner: Runner, dtype: str) -> None:
    largest = float(np.finfo(dtype).max)
    v = np.array([[largest, -largest, -largest, -largest]], dtype)
    product = runner.project(np.array([[0.1, 0.2, 0.3, 0.4]], dtype), 2, 10.0, v).product
    np.testing.assert_allclose(product, [[largest * 0.15, *[largest * -0.05] * 3]], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cotangents_that_are_not_finite(runner: Runner, dtype: str) -> None:
    x = np.array([[3.0, 1.0, 1.0, 0.0]] * 4, dtype)
    v = np.ones_like(x)
    v[0, 0] = v[1, 3] = np.nan  # of entries that are not free
    v[2, 1], v[3, 2] = np.inf, np.nan
    product = runner.project(x, 2, 1.0, v).product
    assert not product[:2].any()
    assert np.isnan(product[2:, 1:3]).all()
    assert not product[2:, [0, 3]].any()
    free = np.array([[False, True, True, False]] * 4)
    assert bits([runner.tangent(v, free, 1.0)]) == bits([product])


def test_one_number_is_as_good_as_one_for_each_row(runner: Runner) -> None:
    x = varied("float32")[0]
    alike = runner.project(x, 7.5, 0.3)
    assert bits(alike) == bits(runner.project(x, [7.5] * 13, [0.3] * 13))


def test_rows_whose_k_or_temperature_breaks_the_rules_are_nan(runner: Runner) -> None:
    x = np.arange(40, dtype=np.float32).reshape(8, 5)
    k = np.array([-1, 5.5, np.nan, np.inf, 2, 2, 2, 2])
    tau = np.array([1, 1, 1, 1, 0, -1, np.nan, np.inf])
    p, free, product = runner.project(x, k, tau, x, free=True)
    assert np.isnan(p).all()
    assert np.isnan(product).all()
    assert not free.any()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_no_rows_and_no_columns(runner: Runner, shape: tuple[int, int]) -> None:
    x = np.ones(shape, np.float32)
    answer = runner.project(x, 0.0, 1.0, x)
    assert answer.p.shape == answer.product.shape == shape


def test_rows_in_other_orders(runner: Runner) -> None:
    x = np.random.default_rng(3).normal(size=(40, 6))
    p = runner.project(x.T[:, ::-1], 3, 1.0).p
    np.testing.assert_allclose(p, hsproj.project(x.T[:, ::-1], 3), rtol=0, atol=1e-15)


@pytest.mark.parametrize("function", ["project", "project_and_multiply", "tangent"])
@pytest.mark.parametrize("itemsize", [4, 8])
def test_every_row_has_a_place(function: str, itemsize: int) -> None:
    """As docs/gpu.md has them."""
    column = itemsize * (2 if function == "project_and_multiply" else 1)
    for n in [*range(1, 1100), 2048, 2049, 8192, 8193, 14_000, 28_000, 50_000, 57_000, 60_000, 10**7]:
        for m in (1, 1000):
            plan = plan_for(function, itemsize, m, n, HOPPER)
            lanes = int(plan.team[5:-1]) if plan.team.startswith("Warp") else plan.threads
            assert plan.blocks * plan.threads // lanes >= m or plan.team == "Grid"
            assert plan.memory <= HOPPER.block_memory
            if plan.held > 0:
                assert n <= lanes * plan.held < 2 * max(n, 8) or n <= 2048
            if plan.held == 0:
                assert PARTIALS + n * column <= plan.memory
            if plan.held < 0:
                assert n * column > 220 * 1024
                assert (plan.team == "Grid") == (m == 1)
    assert plan_for("project", 4, 1000, 50_000, HOPPER).held == 0  # read once


def test_each_kernel_that_is_chosen_is_run(emulated: EmulatedDevice) -> None:
    """Rows on both sides of each border, against the kernels for NumPy arrays."""
    rng = np.random.default_rng(5)
    runner = Runner(emulated)
    emulated.launched.clear()
    for dtype, n, m in product(DTYPES, (1, 9, 64, 65, 512, 513, 1024, 1025, 8193, 20_000), (1, 4)):
        x, v = rng.normal(size=(2, m, n)).astype(dtype)
        k, eps = n // 3 + 0.5, np.finfo(dtype).eps
        answer = runner.project(x, k, 0.5, v if m == 4 else None, free=True)
        truth = hsproj.solve(x, k, temperature=0.5)
        assert np.abs(answer.p - truth.p).max() <= eps
        np.testing.assert_array_equal(answer.free, truth.free)
        if m == 4:
            np.testing.assert_allclose(answer.product, truth.vjp(v), rtol=4 * eps, atol=eps)
    kinds = {(plan.team.partition("<")[0], np.sign(plan.held)) for plan in emulated.launched}
    assert kinds == {("Warp", 1), ("Block", 1), ("Block", 0), ("Block", -1), ("Grid", -1)}


@pytest.fixture
def as_arrays(emulated: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> EmulatedDevice:
    """Arrays go the way of those of CuPy."""
    monkeypatch.setattr(_cuda, "device_of", lambda array: emulated)
    return emulated


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_functions_take_the_kernels(as_arrays: EmulatedDevice, dtype: str) -> None:
    rng = np.random.default_rng(11)
    x = (3 * rng.normal(size=(3, 40, 2))).astype(dtype)
    k, tau = rng.integers(1, 40, (3, 2)), np.array([0.5, 2.0])
    v = rng.normal(size=(40, 2))
    alike = {"temperature": tau, "axis": 1}
    before = len(as_arrays.launched)
    p, product = _generic.soft_binary_argmax_and_vjp(x, k, v, **alike)
    truth_p, truth_product = hsproj.soft_binary_argmax_and_vjp(x, k, np.broadcast_to(v, x.shape), **alike)
    assert p.dtype == product.dtype == truth_p.dtype
    close = {"rtol": 4 * np.finfo(p.dtype).eps, "atol": np.finfo(p.dtype).eps}
    np.testing.assert_allclose(p, truth_p, **close)
    np.testing.assert_allclose(product, truth_product, **close)
    assert bits([p]) == bits([_generic.soft_binary_argmax(x, k, **alike)])
    assert bits([product, product]) == bits([_generic.vjp(x, k, v, **alike), _generic.jvp(x, k, v, **alike)])
    np.testing.assert_allclose(_generic.project(x, 3, axis=0), hsproj.project(x, 3, axis=0), **close)
    assert len(as_arrays.launched) == before + 5


def test_the_kernels_pass_every_check(as_arrays: EmulatedDevice) -> None:
    target = Target("kernels.cu", _generic.soft_binary_argmax, vjp=_generic.vjp, jvp=_generic.jvp)
    report = check(target.lacking({"rounded": "answers have errors"}), examples=3, tolerance=1.0)
    assert not report.failures, [str(failure) for failure in report.failures]
    assert report.counts["passed"] >= 90


def test_a_vector_and_no_entries(as_arrays: EmulatedDevice) -> None:
    np.testing.assert_array_equal(_generic.project(np.array([3.0, 1.0, 1.0, 0.0]), 2), [1.0, 0.5, 0.5, 0.0])
    assert _generic.project(np.ones((3, 0)), 0).shape == (3, 0)
    assert _generic.vjp(np.ones((0, 3)), 1, np.ones(3)).shape == (0, 3)


def test_what_is_refused_is_refused_here_too(as_arrays: EmulatedDevice) -> None:
    x = np.ones((2, 3))
    for call, said in [
        (lambda: _generic.project(x, 4), "0 <= k <= n"),
        (lambda: _generic.project(x, [1, -1]), "0 <= k <= n"),
        (lambda: _generic.soft_binary_argmax(x, 1, temperature=0), "temperature"),
        (lambda: _generic.project(x, 1, nan_policy="raise"), "nan_policy"),
        (lambda: _generic.vjp(x, 1, np.ones(4)), "`g` must broadcast"),
        (lambda: _generic.vjp(x, 1, x, selection="closure"), "selection"),
    ]:
        with pytest.raises(ValueError, match=said):
            call()


def test_totals_and_temperatures_on_the_device(as_arrays: EmulatedDevice) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, k, tau, v = varied("float32")
    k[1], tau[2] = 300, np.nan
    x, k, tau, v = map(torch.from_numpy, (x, k, tau, v))
    p, product = hsproj.soft_binary_argmax_and_vjp(x, k, v, temperature=tau)
    answer = _cuda.project(as_arrays, x, PerRow(k), PerRow(tau), v)
    assert bits([p.numpy(), product.numpy()]) == bits([answer.p.numpy(), answer.product.numpy()])
    assert p[1:3].isnan().all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("compiled", [False, True], ids=["as it is", "compiled"])
def test_the_layer_of_torch_takes_the_kernels(
    emulated: EmulatedDevice, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from hsproj.integrations import torch as layers

    monkeypatch.setattr(layers, "_WITH_KERNELS", ())
    monkeypatch.setattr(layers, "device_of_tensor", lambda tensor: emulated)
    rng = np.random.default_rng(12)
    x = torch.tensor(rng.normal(size=(3, 4, 40)), requires_grad=True)
    k = torch.tensor(rng.integers(1, 39, (3, 4)) + 0.25, requires_grad=True)
    tau = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    function = layers.soft_binary_argmax
    if compiled:
        function = torch.compile(function, fullgraph=True, backend="aot_eager")
    before = len(emulated.launched)
    p = function(x, k, tau)
    g = torch.from_numpy(rng.normal(size=x.shape))
    p.backward(g)
    assert [plan.function for plan in emulated.launched[before:]] == ["project", "tangent"]
    truth = hsproj.solve(x.detach().numpy(), k.detach().numpy(), temperature=0.8)
    np.testing.assert_allclose(p.detach(), truth.p, rtol=0, atol=1e-15)
    np.testing.assert_allclose(x.grad, truth.vjp(g.numpy()), rtol=0, atol=1e-14)
    np.testing.assert_allclose(k.grad, (truth.dk * g.numpy()).sum(-1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(tau.grad, (truth.dtemperature * g.numpy()).sum(), rtol=0, atol=1e-13)


class OnCupy(np.ndarray):
    """An array that has its address where those of CuPy have it."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(ptr=self.ctypes.data)


@pytest.fixture
def cupy(emulated: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in with the calls that are used, which launches by the emulator; `entered` and `kernels` were made."""
    module: Any = types.ModuleType("cupy")
    module.entered, module.kernels = [], []

    class Context:
        def __init__(self, *arguments: int) -> None:
            self.what, self.attributes = arguments, {"MultiProcessorCount": 3, "MaxSharedMemoryPerBlockOptin": 99_000}

        def __enter__(self) -> None:
            module.entered.append(self.what)

        def __exit__(self, *_: object) -> None:
            module.entered.append("left")

    class RawKernel:
        max_dynamic_shared_size_bytes = 48 * 1024

        def __init__(self, code: str, name: str, options: tuple[str, ...], *, enable_cooperative_groups: bool) -> None:
            assert name == "hsproj_kernel"
            assert options == _cuda.OPTIONS
            self.code, self.cooperative = code, enable_cooperative_groups
            module.kernels.append(self)

        def __call__(self, grid: tuple[int], block: tuple[int], args: tuple[Any, ...], *, shared_mem: int) -> None:
            assert shared_mem <= self.max_dynamic_shared_size_bytes
            assert module.entered[-1] != "left"
            emulated.launch(self.code, self.cooperative, *grid, *block, shared_mem, args)

    runtime = SimpleNamespace(is_hip=False, getDeviceCount=lambda: 2)
    nvrtc = SimpleNamespace(getVersion=lambda: (12, 9))
    module.cuda = SimpleNamespace(Device=Context, ExternalStream=Context, runtime=runtime, nvrtc=nvrtc)
    module.RawKernel, module.uint8, module.bool_ = RawKernel, np.uint8, np.bool_
    module.ascontiguousarray = lambda array: np.ascontiguousarray(array).view(OnCupy)
    module.empty = lambda shape, dtype: np.empty(shape, dtype).view(OnCupy)
    module.zeros = lambda shape, dtype: np.zeros(shape, dtype).view(OnCupy)
    monkeypatch.setitem(sys.modules, "cupy", module)
    caches = (_cuda._raw_kernel, _cuda._cupy_device, _cuda._torch_device, _cuda._why_not)
    for kept in caches:
        kept.cache_clear()
    yield module
    for kept in caches:
        kept.cache_clear()


@pytest.mark.parametrize(("m", "n"), [(12, 200), (2, 20_000), (1, 15_000)])
def test_launches_by_cupy(emulated: EmulatedDevice, cupy: Any, m: int, n: int) -> None:
    x, v = np.random.default_rng(8).normal(size=(2, m, n)).astype("float32")
    runner = Runner(_cuda.CupyDevice(1), put=lambda array: np.array(array).view(OnCupy))
    k, tau = [n / 5] * m, [0.5] * m
    assert bits(runner.project(x, k, tau)) == bits(Runner(emulated).project(x, k, tau))
    assert bits(runner.project(x, k, tau, v, free=True)) == bits(Runner(emulated).project(x, k, tau, v, free=True))
    assert cupy.entered == [(1,), "left"] * 2
    assert [kernel.cooperative for kernel in cupy.kernels] == [False, n == 15_000]
    runner.project(x, k, tau)
    assert len(cupy.kernels) == 2  # one is kept


def test_launches_on_the_stream_of_torch(emulated: EmulatedDevice, cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: SimpleNamespace(cuda_stream=100 + index))
    x = torch.from_numpy(varied("float64")[0])
    answer = _cuda.project(_cuda.TorchDevice(1), x, PerRow(all=5.0), PerRow(all=1.0), x.T.contiguous().T, free=True)
    truth = Runner(emulated).project(x.numpy(), 5.0, 1.0, x.numpy(), free=True)
    assert bits(array.numpy() for array in answer) == bits(truth)
    assert cupy.entered == [(1,), (101, 1), "left", "left"]


def test_whose_arrays_have_kernels(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    array = type("ndarray", (), {"__module__": "cupy", "device": SimpleNamespace(id=1)})()
    assert isinstance(_cuda.device_of(array), _cuda.CupyDevice)
    assert _cuda.device_of(array) is _cuda.device_of(array)
    assert _cuda.device_of(np.ones(3)) is None
    _cuda._why_not.cache_clear()
    cupy.cuda.runtime.is_hip = True
    assert _cuda.device_of(array) is None
    assert _cuda.device_of_tensor(SimpleNamespace(is_cuda=False)) is None


def test_a_cupy_of_no_use_is_told_and_done_without(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    tensor = SimpleNamespace(is_cuda=True, shape=(3, 4), device=SimpleNamespace(index=0))

    def getDeviceCount() -> int:
        raise RuntimeError("no driver")

    cupy.cuda.runtime.getDeviceCount = getDeviceCount
    with pytest.warns(UserWarning, match="of no use .RuntimeError: no driver"):
        assert _cuda.device_of_tensor(tensor) is None
    tensor.shape = (3, _cuda.LONGEST + 1)
    assert _cuda.device_of_tensor(tensor) is None  # without a word


def test_the_layer_on_a_device_of_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("torch has no CUDA device")
    cupy_with_a_device()
    from hsproj.integrations.torch import soft_binary_argmax

    x, k, tau, v = varied("float32")
    leaf = torch.tensor(x, device="cuda", requires_grad=True)
    p = soft_binary_argmax(leaf, torch.tensor(k, device="cuda"), torch.tensor(tau, device="cuda"))
    p.backward(torch.tensor(v, device="cuda"))
    truth_p, truth_product = hsproj.soft_binary_argmax_and_vjp(x, k, v, temperature=tau)
    np.testing.assert_allclose(p.detach().cpu(), truth_p, rtol=0, atol=2e-7)
    np.testing.assert_allclose(leaf.grad.cpu(), truth_product, rtol=1e-6)


def test_threads_that_part_are_found_out(emulated: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of the judge: a kernel in which some threads skip a merge doesn't pass for a right one."""
    source = Plan.source.fget  # type: ignore[attr-defined]
    merge, skipped = "team.merge(seen);", "if (team.rank) team.merge(seen);"
    monkeypatch.setattr(Plan, "source", property(lambda plan: source(plan).replace(merge, skipped)))
    with pytest.raises(RuntimeError, match="wait for others"):
        Runner(emulated).project(np.ones((2, 20), np.float32), 1, 1.0)


COMPILED = [
    plan_for(function, itemsize, m, n, HOPPER)
    for itemsize in (4, 8)
    for function, m, n in [
        ("project", 9, 20),
        ("project_and_multiply", 9, 300),
        ("tangent", 9, 6000),
        ("project", 9, 20_000),
        ("project_and_multiply", 1, 10**6),
    ]
]
"""One of each team, in both dtypes."""


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvrtc_takes_them(architecture: str) -> None:
    """As CuPy calls it, for an A100 and an H100."""
    found = nvrtc.library()
    if found is None:
        pytest.skip("NVRTC is not installed")
    for plan in COMPILED:
        assert nvrtc.log_of(found, plan.source, (*_cuda.OPTIONS, f"-arch={architecture}", "-ftz=true")) is None
    broken = COMPILED[0].source.replace("team.merge(seen)", "team.merge(sean)")
    assert "sean" in str(nvrtc.log_of(found, broken, (*_cuda.OPTIONS, f"-arch={architecture}")))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
def test_nvcc_takes_them(tmp_path: Path) -> None:
    lines = [COMPILED[0].source.rpartition("HSPROJ_KERNEL")[0]]
    for i, plan in enumerate(COMPILED):
        line = plan.source.rstrip().rpartition("\n")[2]
        lines.append(f"#define hsproj_kernel kernel_{i}\n{line}\n#undef hsproj_kernel")
    (tmp_path / "all.cu").write_text("\n".join(lines))
    command = ["nvcc", "-std=c++17", "-arch=sm_90", "-cubin", "-o", str(tmp_path / "all.cubin")]
    done = subprocess.run([*command, str(tmp_path / "all.cu")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
