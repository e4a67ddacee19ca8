"""The judge on arrays of other libraries: every check, with the derivatives that the library finds where it has any."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from array_libraries import Library, library

import hsproj
from hsproj_verify import check
from hsproj_verify.checks import CHECKS
from hsproj_verify.report import Outcome
from hsproj_verify.target import COMPANIONS, Target, load

# What the kernels claim and this does not.
UNCLAIMED = frozenset({"rounded"})
USUAL = ("own-temperature", "vjp-batch")


def judge(target: Target, examples: int, only: list[str] | None = None) -> None:
    claims = ({*target.claims} | {*USUAL}) - UNCLAIMED
    report = check(dataclasses.replace(target, claims=claims), examples=examples, only=only, tolerance=2.0)
    assert not report.failures, [str(failure) for failure in report.failures]
    assert report.counts["passed"] >= min(len(only or CHECKS), 100)
    skipped = {result.name: str(result.reason) for result in report.results if result.outcome is Outcome.SKIPPED}
    assert all("not claimed" in reason or "made by the judge" in reason for reason in skipped.values()), skipped


def losses(lib: Library) -> dict[str, Callable[..., Any]]:
    """What the judge knows of losses, by its names."""
    names = {name: name for name in COMPANIONS if name not in ("vjp", "jvp")}
    names |= {"loss": "hypersimplex_loss", "loss_and_grad": "hypersimplex_loss_and_grad"}
    return {name: lib.speaking_numpy(getattr(hsproj, function)) for name, function in names.items()}


def test_array_api_strict_passes_every_check() -> None:
    with library("array_api_strict") as lib:
        project, vjp, jvp = map(lib.speaking_numpy, (hsproj.soft_binary_argmax, hsproj.vjp, hsproj.jvp))
        judge(Target("array-api-strict", project, vjp=vjp, jvp=jvp, **losses(lib)), 1)


@pytest.mark.parametrize("device", ["device1", "no_float64"])
def test_array_api_strict_passes_every_check_on_other_devices(device: str) -> None:
    strict = pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    place, narrow = strict.Device(device), device == "no_float64"

    def array(values: np.ndarray) -> Any:
        """Totals of float64 stay on the host where the device has none; scores are float32 then."""
        return values if narrow and values.dtype == np.float64 else strict.asarray(values, device=place)

    with library("array_api_strict") as lib:
        lib = lib._replace(array=array)
        project, vjp, jvp = map(lib.speaking_numpy, (hsproj.soft_binary_argmax, hsproj.vjp, hsproj.jvp))
        target = Target(device, project, vjp=vjp, jvp=jvp, **losses(lib))
        judge(target.lacking({"float64": "not there"}) if narrow else target, 1)


def test_torch_passes_every_check_with_autograd_for_derivatives() -> None:
    with library("torch") as lib:
        plain = load("torch:hsproj:soft_binary_argmax")
        judge(Target("torch", plain.project, vjp=plain.vjp, jvp=plain.jvp, **losses(lib)), 3)


# JAX compiles each new shape anew, and these checks have hundreds of them: a quarter of an hour together.
OF_MANY_SHAPES = ["accurate_at_every_length", "accurate_in_batches_of_any_size", "vjps_side_by_side_give_the_same_bits"]


def test_jax_passes_every_check_but_those_of_many_shapes() -> None:
    with library("jax") as lib:
        plain = load("jax:hsproj:soft_binary_argmax")
        target = Target("jax", plain.project, vjp=plain.vjp, jvp=plain.jvp, **losses(lib))
        judge(target, 1, only=[name for name in CHECKS if name not in OF_MANY_SHAPES])


def test_jax_passes_those_at_every_length() -> None:
    pytest.importorskip("jax", reason="jax is not installed")
    judge(load("jax:hsproj:soft_binary_argmax"), 1, only=OF_MANY_SHAPES)


def test_cupy_passes_every_check() -> None:
    with library("cupy") as lib:
        project, vjp, jvp = map(lib.speaking_numpy, (hsproj.soft_binary_argmax, hsproj.vjp, hsproj.jvp))
        judge(Target("cupy", project, vjp=vjp, jvp=jvp, **losses(lib)), 3)
