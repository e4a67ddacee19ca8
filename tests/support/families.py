"""Random problems by family for comparisons in bulk: a generator and a family in, (scores, k, temperature) out."""

import math

import numpy as np

FAMILIES = (
    "gaussian",
    "tied integers",
    "tied quarters",
    "tenths",
    "saturated and tied",
    "near a kink",
    "offset",
    "scale",
    "mixed magnitudes",
    "temperature",
    "k next to an integer",
    "tiny k",
    "infinite scores",
    "float32",
    "float32 offset",
)


def draw(rng: np.random.Generator, family: str) -> tuple[np.ndarray, float, float]:
    n = int(rng.integers(1, 40))
    tau = float(rng.choice([1.0, 1.0, 0.5, 2.0, 1.5, 0.1, 1e-3, 100.0, rng.uniform(0.01, 3)]))
    k = float(rng.integers(0, n + 1)) if rng.random() < 0.6 else float(rng.uniform(0, n))
    x = rng.normal(size=n)
    if family == "tied integers":
        x = rng.integers(-3, 4, n).astype(float)
    elif family == "tied quarters":
        x = rng.integers(-6, 7, n) / 4
    elif family == "tenths":
        x = rng.integers(-20, 20, n) / 10
    elif family == "saturated and tied":
        x = np.where(rng.random(n) < 0.5, 5.0, 0.0) + (rng.random(n) < 0.2) * rng.normal(size=n)
    elif family == "near a kink":
        x = rng.integers(-3, 4, n) + rng.choice([0, 1e-16, -1e-16, 1e-17, 1e-30, 2.0**-52], n)
    elif family == "offset":
        x = x + rng.choice([1e12, -1e12, 1e15, 1e16, 1e8])
    elif family == "scale":
        scale = float(rng.choice([1e300, 1e-300, 1e307, 1e-310, 1e150]))
        x, tau = x * scale, tau * scale if rng.random() < 0.5 else tau
    elif family == "mixed magnitudes":
        x = x * 10.0 ** rng.integers(-300, 300, n)
    elif family == "temperature":
        tau = float(10.0 ** rng.integers(-320, 300))
    elif family == "k next to an integer":
        k = math.nextafter(float(rng.integers(0, n + 1)), float(rng.choice([0, n])))
    elif family == "tiny k":
        k = float(rng.choice([1e-300, 5e-324, 1e-16, 1e-160]))
    elif family == "infinite scores":
        x = np.where(rng.random(n) < 0.2, -np.inf, np.where(rng.random(n) < 0.1, np.inf, x))
    elif family == "float32":
        x = (x * rng.choice([1, 100])).astype(np.float32)
    elif family == "float32 offset":
        x = (x + rng.choice([1e4, -1e6])).astype(np.float32)
    return x, k, min(max(tau, 5e-324), 1.7e308)
