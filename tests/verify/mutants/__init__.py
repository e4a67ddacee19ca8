"""Wrong implementations, each with one bug that somebody really had: the judge is wrong if one of them passes.

A mutant is a function in a module of this folder. Its docstring says what the bug is and where it comes from. Its decorator
says what the function is (see `mutants._mutant`) and names checks that claim to catch bugs of this kind. Whatever it does not
get wrong it takes from `BASE`, which is right. That is all there is to write: tests and docs/mutants.md find it here.
"""

from importlib import import_module
from pkgutil import iter_modules

from mutants._mutant import BASE, LARGE_BASE, Mutant

__all__ = ["BASE", "LARGE_BASE", "MUTANTS", "Mutant"]

MUTANTS: dict[str, Mutant] = {
    mutant.name: mutant
    for module in iter_modules(__path__, "mutants.")
    for mutant in vars(import_module(module.name)).values()
    if isinstance(mutant, Mutant)
}
