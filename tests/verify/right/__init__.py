"""Right implementations of different construction: whatever check fails one of them raises a false alarm.

Slow and plain. Each module holds one way to find the threshold; `_operator` makes the rest of it, the same for all.
"""

from right.bisection import target as bisection
from right.newton import target as newton
from right.pav import target as pav
from right.rationals import target as rationals
from right.sorted_scan import target as sorted_scan

RIGHT = {target.name: target for target in (rationals, sorted_scan, bisection, newton, pav)}
