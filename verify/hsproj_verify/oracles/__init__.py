"""Ground truth: `exact` decides, in rationals; `qp` is a cross-check by a general solver, with the digits it has."""
