"""Claims that adapters leave out together."""

UNSAID = "offsets", "subnormals", "infinities", "empty", "threads", "errors"
"""What no peer's documentation speaks of: extreme magnitudes, infinite scores, empty rows, threads, refusing bad input."""

TENSORS = *UNSAID, "integers", "jvp"
"""What functions of torch and JAX don't claim: they are made for floating scores and reverse mode."""

GENERAL = "exact", "long", "float32", "integers", "layouts"
"""What solvers of general quadratic programs don't claim either: they work in float64, to a tolerance, on matrices."""
