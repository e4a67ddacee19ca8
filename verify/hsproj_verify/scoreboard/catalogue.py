"""Public implementations of the projection: what each is, says of itself, and was not made for. Imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from sys import float_info

EXACT = 8.0
"""The tolerance that the judge asks for where a peer states none of its own, in units of eps (1 + p) (1 + max |x|)."""


@dataclass(frozen=True)
class Peer:
    """A public implementation, and how it is judged fairly.

    Attributes
    ----------
    name : str
        In tables.
    target : str
        The adapter, as `hsproj_verify.target.load` takes it.
    distributions : tuple of str
        On PyPI: the peer first, then what it runs on.
    licence : str
    call : str
        How its users call it.
    claims : str
        What its documentation says that it does.
    not_made_for : str
        What it does not claim, and is therefore not judged on.
    stops_at : float
        The absolute error at which it stops by its own account, or 0 if it computes up to rounding.
    why : str
        Where that account is found.
    remark : str
        What readers of its findings should know: which of them are one, say.
    """

    name: str
    target: str
    distributions: tuple[str, ...]
    licence: str
    call: str
    claims: str
    not_made_for: str
    stops_at: float = 0.0
    why: str = ""
    remark: str = ""

    @property
    def tolerance(self) -> float:
        """What is asked of it, in units of eps (1 + p): ten times what it stops at, since errors add up, and at least 8.

        Of who makes no claim about offsets, and no peer does, that is asked times 1 + max |x|.

        Examples
        --------
        >>> from hsproj_verify.scoreboard.catalogue import PEERS
        >>> PEERS["scipy"].tolerance, PEERS["jaxopt"].tolerance
        (8.0, 450360000000.0)
        """
        return max(EXACT, float(f"{10 * self.stops_at / float_info.epsilon:g}"))

    @property
    def versions(self) -> dict[str, str]:
        """Of the distributions that are installed."""
        found = {}
        for name in self.distributions:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return found

    @property
    def missing(self) -> tuple[str, ...]:
        """Distributions that are not installed."""
        versions = self.versions
        return tuple(name for name in self.distributions if name not in versions)


_ADAPTERS = "hsproj_verify.peers"
_QP = "any convex quadratic program, to its tolerances, one a call"
_QP_STOPS = 1e-3
_QP_WHY = "its tolerances are of residuals or gaps, not of p; so this is granted to all solvers of quadratic programs"
_NOT_QP = (
    "batches, float32, integers, NumPy's layouts, thousands of scores, scores of any magnitude (tolerances are relative to "
    "the data), bounds and ties to the last bit"
)
_LAYER = "any convex quadratic program as a layer of a network, rows at once, with gradients"
_NOT_LAYER = _NOT_QP.removeprefix("batches, ")


def _isotonic(name: str, distributions: tuple[str, ...], licence: str, call: str, claims: str, but: str) -> Peer:
    return Peer(
        name,
        f"{_ADAPTERS}.{name}:target",
        distributions,
        licence,
        f"sort x, w = (1^k, 0^(n-k)), p = z - `{call}`, unsort",
        f"isotonic regression, {claims}; the composition is the expert's own, and needs whole k",
        f"totals that are not whole, {but}integers, bounds and ties to the last bit",
    )


def _solver(name: str, licence: str, distribution: str = "", remark: str = "") -> Peer:
    return Peer(
        name,
        f"{_ADAPTERS}.qpsolvers:{name}",
        (distribution or name, "qpsolvers"),
        licence,
        f'`qpsolvers.solve_qp(I, -x, A=1, b=k, lb=0, ub=1, solver="{name}")`, at its default settings',
        _QP,
        f"derivatives, {_NOT_QP}",
        _QP_STOPS,
        _QP_WHY,
        remark,
    )


_LIST = (
    Peer(
        "simplexers",
        f"{_ADAPTERS}.simplexers:target",
        ("simplexers",),
        "BSD-3-Clause",
        "`capped_simplexer(x, s=k)`, Brent's method, its default",
        "NumPy arrays of one or two dimensions, one total for all rows; real totals",
        "a total for each row, derivatives",
        2e-12,
        "SciPy's `brentq`, with its default xtol = 2e-12",
    ),
    Peer(
        "simplexers-sort",
        f"{_ADAPTERS}.simplexers:by_sorting",
        ("simplexers",),
        "BSD-3-Clause",
        '`capped_simplexer(x, s=k, method="sort")`',
        "the sorting algorithm of arXiv:1503.01002, for short vectors (under about 100 scores) and whole totals below n",
        "k = n (nor k = 0), totals that are not whole, a total for each row, thousands of scores, derivatives",
    ),
    Peer(
        "pyproximal",
        f"{_ADAPTERS}.pyproximal:target",
        ("pyproximal",),
        "LGPL-3.0",
        "`HyperPlaneBoxProj(ones(n), k, lower=0, upper=1)(x)`",
        "one vector; also weights and other bounds",
        "batches, derivatives",
        1e-5,
        "its default xtol, absolute; a finer one may be passed",
    ),
    Peer(
        "entmax",
        f"{_ADAPTERS}.entmax:target",
        ("entmax", "torch"),
        "MIT",
        "`budget_bisect(x, budget=k)`, at k = 1 `sparsemax(x)`",
        "rows along any axis, a budget over 1 for each, real ones too, gradients; 50 halvings, float32's precision after 24",
        "k = 0 and k = n, integers, NumPy's layouts",
        2.0**-50,
        "50 halvings, its default, of an interval as wide as the scores",
    ),
    Peer(
        "jaxopt",
        f"{_ADAPTERS}.jaxopt:target",
        ("jaxopt", "jax"),
        "Apache-2.0",
        "`projection_box_section(x, (0, 1, 1, k))`, by jax.jit and jax.vmap",
        "one vector, rows by vmap; also weights and other bounds; gradients. No longer maintained",
        "integers, NumPy's layouts",
        1e-5,
        "`Bisection`'s default, tol = 1e-5 and 30 steps, which its page does not mention and no argument changes",
        "Nearly all of its findings are one: at k = 0 bisection ends at the wrong end of its bracket, and all are 1",
    ),
    _isotonic("torchisotonic", ("torchisotonic", "torch"), "MIT", "isotonic(z - w, increasing=False)",
              "rows at once, with gradients", "NumPy's layouts, "),
    _isotonic("scipy", ("scipy",), "BSD-3-Clause", "scipy.optimize.isotonic_regression(z - w, increasing=False).x",
              "one vector", "batches, derivatives, "),
    _isotonic("sklearn", ("scikit-learn",), "BSD-3-Clause",
              "sklearn.isotonic.isotonic_regression(z - w, increasing=False)", "one vector", "batches, derivatives, "),
    Peer(
        "cvxpylayers",
        f"{_ADAPTERS}.cvxpylayers:target",
        ("cvxpylayers", "cvxpy", "diffcp", "torch"),
        "Apache-2.0",
        "`CvxpyLayer(problem, parameters=[x, k], variables=[p])(x, k)`",
        _LAYER,
        _NOT_LAYER,
        _QP_STOPS,
        _QP_WHY,
    ),
    Peer(
        "qpth",
        f"{_ADAPTERS}.qpth:target",
        ("qpth", "numpy", "torch"),
        "Apache-2.0",
        "`QPFunction()(I, -x, G, h, 1, k)`",
        _LAYER,
        f"k = 0 and k = n (there is no interior), {_NOT_LAYER}",
        _QP_STOPS,
        _QP_WHY,
        "Version 0.0.18 declares numpy < 2, and so is judged in an environment of its own",
    ),
    Peer(
        "proxsuite",
        f"{_ADAPTERS}.proxsuite:target",
        ("proxsuite", "torch"),
        "BSD-2-Clause",
        "`proxsuite.torch.qplayer.QPFunction()(I, -x, 1, k, I, 0, 1)`",
        _LAYER,
        _NOT_LAYER,
        _QP_STOPS,
        _QP_WHY,
    ),
    Peer(
        "qpax",
        f"{_ADAPTERS}.qpax:target",
        ("qpax", "jax"),
        "Apache-2.0",
        "`qpax.solve_qp_primal(I, -x, 1, k, G, h)`, by jax.jit and jax.vmap",
        "any convex quadratic program in JAX, to its tolerance, with gradients of a relaxed problem, smooth by design",
        f"exact gradients, {_NOT_LAYER}",
        _QP_STOPS,
        _QP_WHY,
    ),
    Peer(
        "cvxpy",
        f"{_ADAPTERS}.cvxpy:target",
        ("cvxpy", "osqp"),
        "Apache-2.0",
        "`Problem(Minimize(sum_squares(p - x) / 2), [sum(p) == k, p >= 0, p <= 1]).solve()`",
        "any convex problem, as one writes it down, to the tolerance of its solver: for this one OSQP, polished",
        f"derivatives, {_NOT_QP}",
        _QP_STOPS,
        _QP_WHY,
    ),
    _solver("osqp", "Apache-2.0",
            remark="Its defaults, 1e-3 absolute and relative, are looser than those of the others, and meant to be set"),
    _solver("clarabel", "Apache-2.0"),
    _solver("highs", "MIT", "highspy",
            "Some problems next to a kink it does not return from: `x = [-8.673617379884035e-19, -1.0000000000000004, -1, "
            "-1, -0.9999999999999993, -1, -1]`, `k = 1`, in a minute"),
    _solver("piqp", "BSD-2-Clause"),
    _solver("proxqp", "BSD-2-Clause", "proxsuite"),
    _solver("daqp", "MIT"),
    _solver("quadprog", "GPL-2.0-or-later",
            remark="Nearly all of its findings are one: at k = 0 and k = n, where bounds and total depend on each other, it "
            "may answer None"),
)  # fmt: skip

PEERS = {peer.name: peer for peer in _LIST}
"""By name, in the order of the page: made for this, compositions, layers, solvers."""

NOT_JUDGED = {
    "The paper authors' PyTorch extension": "C++ and CUDA to be compiled from a repository; not on PyPI",
    "google-research/fast-soft-sort": "the same composition of pool adjacent violators as above; not on PyPI",
    "NewtonCQK.jl": "Julia, Newton's method for the continuous quadratic knapsack, for CPU and CUDA",
    "The C code of Cominetti, Mascarenhas and Silva": "the method that NewtonCQK.jl follows; a program, not a package",
}
"""Public implementations that no adapter reaches, and why."""

NOT_THE_SAME = {
    "lml": "the same set, with an entropy instead of a distance",
    "torchsort": "soft ranks and sorts: projections onto the permutahedron",
    "POT": "optimal transport; a soft top-k by entropy",
    "optax": "projections onto the simplex, the box and others; not onto this set",
}
"""What is sometimes taken for this operator and is another."""
