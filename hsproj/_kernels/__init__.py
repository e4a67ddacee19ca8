"""Numba implementations of the row loops: C-contiguous float32/float64 rows in, arrays out, no validation.

`_arithmetic` holds the error-free transformations, `_solve` the threshold, `_quick` a short
cut to it, `_sweeps` the passes that use it.
"""
