"""Mean-variance portfolios by projected gradients: position caps with a budget, and with a limit on capital charges.

Run as ``python docs/examples/portfolio.py --figure portfolio.png``. The market is synthetic: a factor model, fixed seed.
Needs CVXPY, with which the answers are compared, and matplotlib; takes a few seconds.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

import hsproj

mpl.use("Agg")
import matplotlib.pyplot as plt

Array = NDArray[Any]
ASSETS, FACTORS, AVERSION, CAP = 120, 5, 8.0, 0.05


class Market(NamedTuple):
    """Expected returns and covariances of a year, and what share of a position has to be held as capital."""

    mean: Array
    covariance: Array
    charge: Array


class Path(NamedTuple):
    """Weights in the end, and after each step how far the objective was above its best."""

    weights: Array
    values: list[float]


def draw_market(seed: int = 0) -> Market:
    """Returns = loadings * factors + noise. Nothing here was measured."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0.12, 0.06, (ASSETS, FACTORS))
    noise = rng.uniform(0.08, 0.25, ASSETS)
    covariance = loadings @ loadings.T + np.diag(noise**2)
    mean = 0.15 * loadings.sum(axis=1) + rng.normal(0.0, 0.03, ASSETS)
    return Market(mean, covariance, rng.uniform(0.1, 0.6, ASSETS))


def objective(market: Market, w: Array) -> float:
    """Half the risk times the aversion, less the return: to be minimised."""
    return float(0.5 * AVERSION * w @ market.covariance @ w - market.mean @ w)


def minimise(market: Market, project: Callable[[Array], Array], *, accelerate: bool = True, steps: int = 2000) -> Path:
    """Projected gradient steps of 1/L; Nesterov's momentum, begun anew whenever it points uphill."""
    step = 1.0 / (AVERSION * np.linalg.eigvalsh(market.covariance)[-1])
    w = ahead = project(np.zeros(ASSETS))
    age, values = 1.0, [objective(market, w)]
    for _ in range(steps):
        following = project(ahead - step * (AVERSION * market.covariance @ ahead - market.mean))
        if accelerate:
            older = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * age * age))
            uphill = (ahead - following) @ (following - w) > 0.0
            momentum, age = (0.0, 1.0) if uphill else ((age - 1.0) / older, older)
        else:
            momentum = 0.0
        moved = np.abs(following - w).max()
        ahead = following + momentum * (following - w)
        w = following
        values.append(objective(market, w))
        if moved < 1e-13:
            break
    return Path(w, values)


def by_cvxpy(market: Market, sums: Array, total: float, constraint: str) -> Array:
    """The same problem, by Clarabel."""
    import cvxpy

    cp: Any = cvxpy
    w = cp.Variable(ASSETS)
    risk = cp.quad_form(w, cp.psd_wrap(market.covariance))
    budget = sums @ w == total if constraint == "eq" else sums @ w <= total
    problem = cp.Problem(cp.Minimize(0.5 * AVERSION * risk - market.mean @ w), [budget, w >= 0, w <= CAP])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    return np.asarray(w.value)


def draw(path: str, portfolios: dict[str, Path], plain: Path) -> None:
    """Left: positions, largest first. Right: objective less its best value, by step."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for name, portfolio in portfolios.items():
        left.plot(np.arange(1, ASSETS + 1), 100 * np.sort(portfolio.weights)[::-1], ".-", label=name)
    left.axhline(100 * CAP, color="gray", linestyle="--", label="cap")
    left.set(xlabel="position, largest first", ylabel="weight, %", xlim=(0, 60), title="Positions")
    left.legend(frameon=False)
    name, best = next(iter(portfolios.items()))
    for label, values in (("with momentum", best.values), ("without", plain.values)):
        gap = np.array(values) - min(best.values)
        right.semilogy(np.maximum(gap, 1e-17), label=label)
    right.set(xlabel="projected gradient step", ylabel="objective less its best", title=f"Convergence ({name})")
    right.set(xlim=(0, 2 * len(best.values)), ylim=(1e-17, 1.0))
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print the comparison; draw the figure if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", metavar="PATH", help="where to save the figure")
    path = parser.parse_args().figure
    market = draw_market()
    cases = {
        "budget: sum w = 1": (np.ones(ASSETS), 1.0, "eq"),
        "charges: sum c w <= 0.2": (market.charge, 0.2, "le"),
    }
    portfolios = {}
    print("                         steps  positions  at the cap  invested  objective gap  largest difference")
    for name, (sums, total, constraint) in cases.items():
        options: dict[str, Any] = {"upper": CAP, "weights": sums, "constraint": constraint}
        found = minimise(market, lambda w, t=total, o=options: hsproj.project_box(w, t, **o))  # type: ignore[misc]
        theirs = by_cvxpy(market, sums, total, constraint)
        gap = objective(market, found.weights) - objective(market, theirs)
        counts = f"{int((found.weights > 0).sum()):9d}  {int((found.weights == CAP).sum()):10d}"
        difference = np.abs(found.weights - theirs).max()
        print(
            f"{name:23s}  {len(found.values):5d}  {counts}  {found.weights.sum():8.1%}  {gap:13.0e}  {difference:18.0e}"
        )
        portfolios[name] = found
    if path:
        plain = minimise(market, lambda w: hsproj.project_box(w, 1.0, upper=CAP), accelerate=False)
        draw(path, portfolios, plain)


if __name__ == "__main__":
    main()
