"""Wrong implementations, each with one bug that somebody really had: the judge is wrong if one of them passes.

A mutant is a function: its docstring says what the bug is and where it comes from, its decorator names checks that claim to
catch bugs of this kind. Whatever it does not get wrong it takes from `BASE`, which is right.
"""

from mutants import accuracy, batches, calling, derivatives, operators, thresholds
from mutants._mutant import BASE, Mutant

__all__ = ["BASE", "MUTANTS", "Mutant"]

MUTANTS: dict[str, Mutant] = {
    mutant.name: mutant
    for module in (operators, thresholds, accuracy, calling, batches, derivatives)
    for mutant in vars(module).values()
    if isinstance(mutant, Mutant)
}
