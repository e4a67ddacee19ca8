"""sklearn.isotonic.isotonic_regression (BSD-3-Clause), composed as `hsproj_verify.peers._isotonic` says.

It fits a vector, so rows are looped over here.
"""

from importlib.metadata import version

from sklearn.isotonic import isotonic_regression

from hsproj_verify.peers._claims import UNSAID
from hsproj_verify.peers._isotonic import by_isotonic_regression
from hsproj_verify.peers._rows import row_by_row
from hsproj_verify.target import Target

project = row_by_row(by_isotonic_regression(lambda y: isotonic_regression(y, increasing=False)))
target = Target(
    name="sklearn",
    project=project,
    note=f"scikit-learn {version('scikit-learn')}, isotonic_regression on sorted scores; a vector a call, looped over rows",
).without(*UNSAID, "batch", "real-k", "integers", "exact")
