"""A pass over one row whose entries have weights: what a threshold gives it, and how fast that falls."""

from hsproj._kernels._arithmetic import two_sum
from hsproj._kernels._jit import kernel


@kernel()
def total_at(x, weight, theta, tau):
    """(sum of weight * clip(x - theta, 0, tau), the weight of entries strictly between); the first sum is compensated."""
    total, rest, free = 0.0, 0.0, 0.0
    for i in range(x.size):
        above = x[i] - theta
        if above > 0.0:
            total, error = two_sum(total, weight[i] * min(above, tau))
            rest += error
            if above < tau:
                free += weight[i]
    return total + rest, free
