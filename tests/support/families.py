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
LONG = ("long rows",)  # which take long to solve in rationals, too


ADVERSARIAL = (
    "next to rounding midpoints",
    "thresholds between floats",
    "1e-30 from a breakpoint",
    "cancellations of 2^53",
    "alternating +-1e300",
    "subnormal gaps",
    "k one ulp from an integer",
    "many equal scores",
)


def draw_adversarial(rng: np.random.Generator, family: str, dtype: str = "float64") -> tuple[np.ndarray, float, float]:
    """Problems that are made to be rounded or decided wrongly."""
    n = int(rng.integers(2, 25))
    eps = float(np.finfo(dtype).eps)
    tau = float(2.0 ** rng.integers(-2, 3))
    k = float(rng.integers(0, n + 1)) if rng.random() < 0.6 else float(rng.uniform(0, n))
    x = rng.integers(-3, 4, n) / 4.0
    if family == "next to rounding midpoints":
        # 2, 4 or 8 free scores that differ by odd multiples of eps / 2 have midpoints of floats for p. A pair +-t, t with all
        # its digits, changes none of them, but takes the place of digits in sums; the tiny score is what breaks the tie.
        m = int(rng.choice([2, 4, 8]))
        x = np.zeros(m)
        x[0] = eps * m / 4 * rng.integers(1, 2**20)
        if m > 2 and rng.random() < 0.7:
            t = rng.uniform(1, 2) * 2.0 ** -rng.integers(20, 80)
            x[1:3] = t, -t
        if rng.random() < 0.7:
            x[-1] += rng.choice([1, -1]) * 2.0 ** -float(rng.integers(60, 300 if dtype == "float64" else 120))
        k, tau = float(rng.integers(1, m)), 1.0
        tau *= float(rng.choice([1.0, 1.0, 1 + 2.0**-52, 1 - 2.0**-53]))
    elif family == "thresholds between floats":
        x = rng.integers(0, 2, n) + rng.integers(0, 3, n) * eps
        k = float(rng.integers(1, n)) + float(rng.choice([0.0, 0.1, 1 / 3]))
        tau = float(rng.choice([1.0, 3.0, 7.0, 1.0 + eps]))
    elif family == "1e-30 from a breakpoint":
        small = rng.choice([0, 1e-30, -1e-30, 1e-36, 3e-31], n)
        x = np.where(x == 0, small, x)
        k = float(rng.integers(1, 4 * n)) / 4
    elif family == "cancellations of 2^53":
        x = rng.choice([2.0**53, -(2.0**53), 1.0, 0.0, 2.0**-20], n) + rng.integers(-2, 3, n)
        tau = float(rng.choice([2.0**54, 2.0**53 + 2, 2.0**55, 1.0]))
    elif family == "alternating +-1e300":
        big = 1e300 if dtype == "float64" else 1e38
        x = np.where(np.arange(n) % 2, big, -big) * rng.choice([1.0, 1.0, 1 + eps], n)
        tau = float(rng.choice([1.0, big, 1.5 * big, 1e-300]))
    elif family == "subnormal gaps":
        least = float(np.finfo(dtype).smallest_subnormal)
        x = least * rng.integers(-3, 4, n) + rng.choice([0.0, 0.0, 0.5])
        tau = float(rng.choice([1.0, 5e-324, 3 * least, 4 * least, 1e-310]))
    elif family == "k one ulp from an integer":
        k = math.nextafter(float(rng.integers(0, n + 1)), float(rng.choice([0, n])))
    elif family == "many equal scores":
        x = np.repeat(rng.integers(-2, 3, 3) * 0.1, rng.integers(1, 40_000, 3))
        k = float(rng.uniform(0, x.size))
    limit = float(np.finfo(dtype).max)
    return np.clip(x, -limit, limit).astype(dtype), min(max(k, 0.0), float(x.size)), tau


def draw(rng: np.random.Generator, family: str) -> tuple[np.ndarray, float, float]:
    n = int(rng.integers(1, 40)) if family != "long rows" else int(np.exp(rng.uniform(np.log(25), np.log(3000))))
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
    elif family == "long rows":
        x = (
            x,
            np.rint(4 * x) / 4,
            rng.choice(x[:20], n),
            np.sort(x),
            x + rng.choice([1e6, -1e9]),
            -np.exp(rng.uniform(-20, 20, n)),
            np.append(x[1:], 1e9),
            x - np.where(np.arange(n) < n // 10, 0.0, 40.0),
        )[rng.integers(8)]
        k = min(float(rng.choice([1, n // 100, n // 10 + 0.5, n // 10 - 0.5, n // 2, k])), float(n))
    elif family == "float32 offset":
        x = (x + rng.choice([1e4, -1e6])).astype(np.float32)
    return x, k, min(max(tau, 5e-324), 1.7e308)
