"""scipy.optimize.isotonic_regression (BSD-3-Clause), composed as `hsproj_verify.peers._isotonic` says.

SciPy fits a vector in float64, so rows are looped over here.
"""

from importlib.metadata import version

from scipy.optimize import isotonic_regression

from hsproj_verify.peers._claims import UNSAID
from hsproj_verify.peers._isotonic import by_isotonic_regression
from hsproj_verify.peers._rows import row_by_row
from hsproj_verify.target import Target

project = row_by_row(by_isotonic_regression(lambda y: isotonic_regression(y, increasing=False).x))
target = Target(
    name="scipy",
    project=project,
    note=f"scipy {version('scipy')}, isotonic_regression on sorted scores; a vector a call, looped over rows",
).without(*UNSAID, "batch", "real-k", "integers", "exact")
