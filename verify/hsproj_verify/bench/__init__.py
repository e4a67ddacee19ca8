"""How fast a target is, told as ratios: to np.sort of the same scores, to a bare pass over them, to other targets.

`hsproj-verify bench TARGET ...`, or `hsproj_verify.bench.run.bench`. docs/benchmark.md says how figures are made and read.
"""
