"""Sets of floats as disjoint closed intervals: the values of a metric that satisfy a comparison with numbers."""

from __future__ import annotations

import math

Region = tuple[tuple[float, float], ...]  # ascending, disjoint, closed, of finite and infinite floats
EVERYTHING: Region = ((-math.inf, math.inf),)


def solutions(op: str, number: float) -> Region:
    """The values v for which `v op number` holds."""
    below, above = math.nextafter(number, -math.inf), math.nextafter(number, math.inf)
    match op:
        case "<":
            return ((-math.inf, below),)
        case "<=":
            return ((-math.inf, number),)
        case ">":
            return ((above, math.inf),)
        case ">=":
            return ((number, math.inf),)
        case "==":
            return ((number, number),)
        case _:
            return ((-math.inf, below), (above, math.inf))


def intersection(a: Region, b: Region) -> Region:
    """The values in both regions."""
    pairs = ((max(x[0], y[0]), min(x[1], y[1])) for x in a for y in b)
    return tuple(sorted((low, high) for low, high in pairs if low <= high))


def complement(a: Region) -> Region:
    """The values that are not in the region."""
    left = EVERYTHING
    for low, high in a:
        outside = []
        if low > -math.inf:
            outside.append((-math.inf, math.nextafter(low, -math.inf)))
        if high < math.inf:
            outside.append((math.nextafter(high, math.inf), math.inf))
        left = intersection(left, tuple(outside))
    return left


def union(a: Region, b: Region) -> Region:
    """The values in at least one of the regions."""
    return complement(intersection(complement(a), complement(b)))


def absolute_preimage(a: Region) -> Region:
    """The values whose absolute value is in the region."""
    sides = intersection(a, ((0.0, math.inf),))
    return union(sides, tuple(sorted((-high, -low) for low, high in sides)))


def open_bounds(low: float, high: float) -> tuple[float | None, float | None]:
    """The interval as exclusive bounds; a bound is None where the interval is open."""
    return (
        None if low == -math.inf else math.nextafter(low, -math.inf),
        None if high == math.inf else math.nextafter(high, math.inf),
    )
