"""A pass over one row whose entries have weights: what a threshold gives it, and how fast that falls."""

from hsproj._kernels._jit import jit


@jit()
def total_at(x, weight, theta, tau):
    """(sum of weight * clip(x - theta, 0, tau), the weight of entries strictly between)."""
    total, free = 0.0, 0.0
    for i in range(x.size):
        above = x[i] - theta
        if above >= tau:
            total += weight[i] * tau
        elif above > 0.0:
            total += weight[i] * above
            free += weight[i]
    return total, free
