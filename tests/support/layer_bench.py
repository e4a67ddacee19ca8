"""Times the layers of PyTorch and JAX on the CPU against softmax, top-k and public functions for the same: docs/layers.md.

python tests/support/layer_bench.py [--shape M N] [--rounds R] [--write PATH]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

import hsproj

K = 10
PAGE = """# Layers

<!-- Written by `make layers`. -->

Time of {m} rows of {n} gaussian scores in float32, k = {k}, on the CPU ({threads} threads, {machine}), as ratios to softmax
in the same library and run: medians of {rounds} rounds, in which each was called in turn. *Both* is the forward pass and the
backward pass of a sum. Top-k is `torch.topk` and `jax.lax.top_k`: values and indices of the k largest, no relaxation; the
others compute the same projection as hsproj, as the [scoreboard](scoreboard.md) has them, less exactly.

| | | forward | both | forward, ms |
| --- | --- | --- | --- | --- |
{layers}

## A training step

A network of 784, 512 and {n} units with its last layer's scores through softmax or through `SoftBinaryArgmax`, and the mean
squared error: forward, backward and a step of Adam, medians of {steps} steps in turn.

| batch | softmax, ms | SoftBinaryArgmax, ms | overhead |
| --- | --- | --- | --- |
{steps_table}
"""

Pass = Callable[[], object]


def torch_layers(x: np.ndarray) -> Iterator[tuple[str, Pass, Pass]]:
    """(name, forward, forward and backward) of functions of torch tensors; softmax comes first."""
    import torch

    from hsproj.integrations.torch import soft_binary_argmax

    functions: dict[str, Callable[..., Any]] = {
        "softmax": lambda t: torch.softmax(t, -1),
        "hsproj.integrations.torch": lambda t: soft_binary_argmax(t, K),
        "top-k": lambda t: torch.topk(t, K).values,
        "hsproj, generic": lambda t: hsproj.soft_binary_argmax(t, K),
    }
    if find_spec("entmax"):
        from entmax import budget_bisect

        functions[f"entmax {version('entmax')}"] = lambda t: budget_bisect(t, budget=K)
    if find_spec("torchisotonic"):
        from hsproj_verify.peers import torchisotonic

        functions[f"torchisotonic {version('torchisotonic')}"] = lambda t: torchisotonic._project(t, K)
    scores, leaf = torch.from_numpy(x), torch.from_numpy(x).requires_grad_()
    for name, function in functions.items():

        def forward(function: Callable[..., Any] = function) -> None:
            with torch.no_grad():
                function(scores)

        def both(function: Callable[..., Any] = function) -> None:
            leaf.grad = None
            p = function(leaf)
            p.backward(torch.ones_like(p))

        yield name, forward, both


def jax_layers(x: np.ndarray) -> Iterator[tuple[str, Pass, Pass]]:
    """The same of JAX arrays, compiled."""
    import jax
    import jax.numpy as jnp

    from hsproj.integrations.jax import soft_binary_argmax

    functions: dict[str, Callable[..., Any]] = {
        "softmax": lambda t: jax.nn.softmax(t, -1),
        "hsproj.integrations.jax": lambda t: soft_binary_argmax(t, K),
        "top-k": lambda t: jax.lax.top_k(t, K)[0],
    }
    if find_spec("jaxopt"):
        from jaxopt.projection import projection_box_section

        box = jnp.zeros(x.shape[1]), jnp.ones(x.shape[1]), jnp.ones(x.shape[1]), float(K)
        functions[f"jaxopt {version('jaxopt')}"] = jax.vmap(lambda t: projection_box_section(t, box))
    scores = jnp.asarray(x)
    for name, function in functions.items():
        forward, gradient = jax.jit(function), jax.jit(jax.grad(lambda t, function=function: function(t).sum()))
        yield name, lambda f=forward: f(scores).block_until_ready(), lambda f=gradient: f(scores).block_until_ready()


def medians(passes: list[Pass], rounds: int, what: str) -> list[float]:
    """Seconds that each takes, called in turn, after a call to warm up."""
    times: list[list[float]] = [[] for _ in passes]
    for turn in track(range(rounds + 1), what, console=Console(stderr=True)):
        for act, seconds in zip(passes, times, strict=True):
            start = time.perf_counter()
            act()
            if turn:
                seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in times]


def layers(x: np.ndarray, rounds: int) -> Iterator[str]:
    """Lines of the table of layers."""
    for library, made in (("torch", torch_layers), ("jax", jax_layers)):
        named = list(made(x))
        forwards = medians([forward for _, forward, _ in named], rounds, f"{library}, forward")
        both = medians([both for *_, both in named], rounds, f"{library}, both")
        for (name, *_), a, b in zip(named, forwards, both, strict=True):
            yield f"| {library} {version(library)} | {name} | {a / forwards[0]:.2f} | {b / both[0]:.2f} | {1e3 * a:.0f} |"


def training_steps(n: int, rounds: int) -> Iterator[str]:
    """Lines of the table of training steps."""
    import torch
    from torch import nn

    from hsproj.integrations.torch import SoftBinaryArgmax

    def step(last: nn.Module, batch: int) -> Pass:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, n), last)
        inputs, targets = torch.randn(batch, 784), nn.functional.one_hot(torch.arange(batch) % n, n).float()
        optimiser = torch.optim.Adam(network.parameters())

        def act() -> None:
            optimiser.zero_grad()
            nn.functional.mse_loss(network(inputs), targets).backward()
            optimiser.step()

        return act

    for batch in (128, 1024, 4096):
        passes = [step(nn.Softmax(-1), batch), step(SoftBinaryArgmax(1), batch)]
        plain, ours = medians(passes, rounds, f"steps of {batch}")
        yield f"| {batch} | {1e3 * plain:.1f} | {1e3 * ours:.1f} | {100 * (ours / plain - 1):+.1f} % |"


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=2, default=(65536, 1000))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, default=Path(__file__).parents[2] / "docs" / "layers.md")
    options = parser.parse_args(arguments)
    import torch

    x = np.random.default_rng(0).normal(size=options.shape).astype(np.float32)
    m, n = options.shape
    steps = 6 * options.rounds + 1
    text = PAGE.format(
        m=m,
        n=n,
        k=K,
        threads=torch.get_num_threads(),
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        rounds=options.rounds,
        layers="\n".join(layers(x, options.rounds)),
        steps=steps,
        steps_table="\n".join(training_steps(n, steps)),
    )
    options.write.write_text(text, encoding="utf-8")
    print(options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
