"""Where targets come from: a name in, what it stands for out.

`python` imports functions; `torch`, `jax` and `cupy` give functions of those libraries NumPy arrays to see, and derive
what they can; `program` talks to a program in any language.
"""

from __future__ import annotations

KINDS = {
    "torch": "a function of torch tensors; autograd gives its vjp and jvp",
    "jax": "a function of JAX arrays; jax.vjp and jax.jvp give its derivatives",
    "cupy": "a function of CuPy arrays",
    "exec": "a program and its arguments, asked by JSON Lines",
}
"""Prefixes of a target's name, as in ``torch:package.module:function`` or ``exec:./program --option``."""

LIBRARIES = frozenset(KINDS) - {"exec"}
"""Those that stand before the name of a Python function."""


def kind_of(spec: str) -> str | None:
    """The prefix of a name, if it has one: ``torch:nn`` has none, being the attribute `nn` of the module `torch`."""
    kind, _, rest = spec.partition(":")
    return kind if kind == "exec" or (kind in LIBRARIES and ":" in rest) else None
