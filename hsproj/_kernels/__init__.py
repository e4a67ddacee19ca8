"""Numba implementations of the row loops: C-contiguous float32/float64 rows in, arrays out, no validation.

`_project` gives a batch its projections, by `_short` or `_long` and `_round`, on the vectors of `_simd` and the error-free
transformations of `_arithmetic`. `_solve` proves thresholds, and finds those that they decline; `_sweeps` uses them.
"""
