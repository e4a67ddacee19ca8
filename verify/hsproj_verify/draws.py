"""What a check draws, written down: so that one case can be run again, elsewhere and without Hypothesis.

Drawn values are plain: None, bool, int, float, str, lists and tuples of those, and `Problem`. As JSON, floats are hex.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hsproj_verify.problems import Problem


class Draws(Protocol):
    """Where a `Case` gets its values from."""

    def draw(self, strategy: Any) -> Any:
        """A value of a Hypothesis strategy."""


class Recorded:
    """Draws by Hypothesis, kept in `values`."""

    def __init__(self, data: Draws) -> None:
        self._data = data
        self.values: list[Any] = []

    def draw(self, strategy: Any) -> Any:
        """A new value."""
        value = self._data.draw(strategy)
        self.values.append(value)
        return value


class Replayed:
    """The values of an earlier run, in their order, whatever the strategy."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = iter(values)

    def draw(self, strategy: Any) -> Any:
        """The next value."""
        try:
            return next(self._values)
        except StopIteration:
            raise ReplayError("the check draws more values than were recorded") from None


class ReplayError(ValueError):
    """A recording that is damaged, or not one of this check."""


def encode(value: Any) -> Any:
    """A drawn value as JSON.

    Examples
    --------
    >>> from hsproj_verify.draws import decode, encode
    >>> encode((True, 3, [0.1]))
    {'tuple': [True, 3, [{'float': '0x1.999999999999ap-4'}]]}
    >>> decode(encode((True, 3, [0.1])))
    (True, 3, [0.1])
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, list):
        return [encode(entry) for entry in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(entry) for entry in value]}
    if isinstance(value, Problem):
        scores = [float(score).hex() for score in value.scores]
        hexed = {"scores": scores, "k": float(value.k).hex(), "temperature": float(value.temperature).hex()}
        return {"problem": {**hexed, "dtype": value.dtype}}
    raise TypeError(f"a check draws plain values or a Problem, to be recorded; got {type(value).__name__}")


def decode(value: Any) -> Any:
    """A drawn value from JSON; `ReplayError` if it is none."""
    if isinstance(value, list):
        return [decode(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    try:
        ((kind, content),) = value.items()
        return _DECODERS[kind](content)
    except ReplayError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ReplayError(f"no drawn value: {value!r:.200}") from error


def _problem(content: Any) -> Problem:
    k, temperature = float.fromhex(content["k"]), float.fromhex(content["temperature"])
    return Problem(tuple(map(float.fromhex, content["scores"])), k, temperature, content["dtype"])


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "float": float.fromhex,
    "tuple": lambda content: tuple(map(decode, content)),
    "problem": _problem,
}
