"""Every comparison of small intervals: what is decided is so on every row, and what every row agrees on is decided."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

from examples import each_of

from rldk.engine.interval import Branches, Interval

RANGES = [(low, high, gaps) for low in range(4) for high in range(low, 4) for gaps in (False, True)]


def _points(low: int, high: int, gaps: bool) -> list[float]:
    return [*range(low, high + 1), *([math.nan] if gaps else [])]


def _asked(compare: Callable[[Any, Any], bool], left: Any, right: Any, paths: Branches) -> tuple[bool, bool]:
    """The outcome of the first path, and whether another was left open."""
    paths._taken, paths._at = [], 0
    return compare(left, right), bool(paths._taken)


@each_of("name", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_what_is_decided_is_so_on_every_row(name: str) -> None:
    compare, paths = getattr(operator, name), Branches()
    rights = [(Interval(*x, paths), _points(*x)) for x in RANGES] + [(float(x), [float(x)]) for x in range(4)]
    for at in RANGES:
        for right, points in rights:
            outcome, is_open = _asked(compare, Interval(*at, paths), right, paths)
            found = {compare(x, y) for x, y in itertools.product(_points(*at), points)}
            if not is_open:
                assert found == {outcome}, (at, points)
            elif name not in ("eq", "ne"):
                assert found == {True, False}, (at, points)
            else:
                assert True in found if name == "eq" else False in found, (at, points)
