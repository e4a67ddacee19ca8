"""Arrays of CuPy: one launch of a kernel of `hsproj._cuda`, where there is one, instead of array-API calls."""

from typing import Any, NamedTuple

from array_api_compat import device as array_device

from hsproj import _cuda
from hsproj._generic._arrays import like_scores, restored
from hsproj._generic._inputs import read_layout, read_nan_policy
from hsproj._generic._numbers import Rule, read_number
from hsproj._generic._pairs import Array
from hsproj._inputs import TEMPERATURE_RULE, Layout, total_rule


class DeviceRows(NamedTuple):
    """Rows (..., n) of float32 or float64 on a device that has the kernels."""

    device: _cuda.Device
    xp: Any
    layout: Layout
    scores: Array
    k: _cuda.PerRow
    temperature: _cuda.PerRow

    def project(self) -> Array:
        """Projections."""
        return self._restore(self._run().p)

    def multiply(self, v: Any, name: str) -> Array:
        """The Jacobian times `v`, an argument of this name."""
        return self._restore(self._run(self._cotangents(v, name), p=False).product)

    def project_and_multiply(self, v: Any, name: str) -> tuple[Array, Array]:
        """Both at once."""
        answer = self._run(self._cotangents(v, name))
        return self._restore(answer.p), self._restore(answer.product)

    def _run(self, v: Array | None = None, *, p: bool = True) -> _cuda.Projected:
        return _cuda.project(self.device, self._flat(self.scores), self.k, self.temperature, v, p=p)

    def _cotangents(self, v: Any, name: str) -> Array:
        return self._flat(like_scores(self.xp, v, name, self.layout, self.scores))

    def _flat(self, rows: Array) -> Array:
        return self.xp.reshape(rows, (self.layout.m, self.layout.n))

    def _restore(self, rows: Array) -> Array:
        xp, layout = self.xp, self.layout
        return restored(xp, layout, xp.reshape(rows, (*layout.batch, layout.n)))


def read_device_rows(x: Array, k: Any, temperature: Any, axis: int, nan_policy: str) -> DeviceRows | None:
    """Arguments as `read_rows` understands them; None if there are no kernels for such an array."""
    device = _cuda.device_of(x)
    if device is None:
        return None
    read_nan_policy(nan_policy)
    xp, layout, scores = read_layout(x, axis)
    if layout.n > _cuda.LONGEST:
        return None

    def per_row(value: Any, name: str, rule: Rule) -> _cuda.PerRow:
        like = xp.ones((), dtype=scores.dtype, device=array_device(scores))
        number = read_number(xp, value, name, layout, like, [rule]).value
        if isinstance(number, float):
            return _cuda.PerRow(all=number)
        each = xp.astype(xp.asarray(number, device=array_device(scores)), xp.float64)
        return _cuda.PerRow(device.contiguous(xp.reshape(each, (layout.m,))))

    total = per_row(k, "k", total_rule(layout))
    return DeviceRows(device, xp, layout, scores, total, per_row(temperature, "temperature", TEMPERATURE_RULE))
