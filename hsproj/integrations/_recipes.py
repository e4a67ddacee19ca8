"""How to read a chunk of a dask array, as something that a task can do by itself: read, use and forget.

A chunk with a key of its own is held from its first use to its last: through all passes, of each of which only numbers are
left. `dask.graph_manipulation.bind` is for that, but loses track of arrays that were rechunked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import dask
import dask.array as da
from dask.core import flatten, reverse_dict, toposort
from dask.delayed import Delayed
from dask.task_spec import DataNode, GraphNode

_FEW = 4
"""Chunks that a task may be worked out anew for. What more of them need, as an array's mean, is worked out once, and kept."""


class Recipe:
    """Tasks that lead to one chunk, opaque to dask, and the keys of what they start from."""

    def __init__(self, graph: dict[Any, Any], key: Any, inputs: Sequence[Any]) -> None:
        self.graph, self.key, self.inputs = graph, key, tuple(inputs)

    def __dask_tokenize__(self) -> Any:
        return ("hsproj recipe", self.key)

    def read(self, values: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """The chunk, made of the first of these values, and the values that are left."""
        number = len(self.inputs)
        known = {key: DataNode(key, value) for key, value in zip(self.inputs, values[:number], strict=True)}
        return dask.get({**self.graph, **known}, self.key), values[number:]


class Chunk(NamedTuple):
    """A chunk to come: its shape, and for a task its recipe and what that starts from."""

    shape: tuple[int, ...]
    recipe: Recipe
    inputs: list[Delayed]


def chunks_of(array: da.Array) -> dict[tuple[int, ...], Chunk]:
    """Chunks by their place. Data and what many chunks need stay in the graph, everything else goes into recipes."""
    graph = dict(array.dask)
    keys = list(flatten(array.__dask_keys__()))
    tasks = {key for key, node in graph.items() if isinstance(node, GraphNode) and not isinstance(node, DataNode)}
    dependencies = {key: set(node.dependencies) if key in tasks else set() for key, node in graph.items()}
    dependents = reverse_dict(dependencies)
    wanted = set(keys)
    needed: dict[Any, set[Any]] = {}  # for which chunks a task would be worked out, but for more than a few
    inside: set[Any] = set()
    for key in reversed(toposort(graph, dependencies=dependencies)):
        by = {key} if key in wanted else set()
        for user in dependents[key] & inside:
            by |= needed[user]
        needed[key] = set(list(by)[: _FEW + 1])
        # To read something, no other work first, costs no more than to keep it.
        if key in tasks and (not dependencies[key] & tasks or len(by) <= _FEW):
            inside.add(key)
    layers = {key: name for name, layer in array.dask.layers.items() for key in layer}
    found = {}
    for key in keys:
        steps, inputs, left = {}, [], [key]
        while left:
            at = left.pop()
            if at in steps or at in inputs:
                continue
            if at in inside:
                steps[at] = graph[at]
                left += dependencies[at]
            else:
                inputs.append(at)
        place = key[1:]
        shape = tuple(sizes[i] for sizes, i in zip(array.chunks, place, strict=True))
        found[place] = Chunk(
            shape, Recipe(steps, key, inputs), [Delayed(source, array.dask, layer=layers[source]) for source in inputs]
        )
    return found
