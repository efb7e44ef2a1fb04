"""How many examples a property is tried on, and which cases of a costly test are in the fast set."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import settings


def at_most(count: int) -> int:
    """The number of examples of the profile, at most `count`."""
    return min(count, settings().max_examples)


def few(count: int) -> int:
    """The number of examples of a property whose every example costs a tenth of a second or more: two in the fast set,
    as `at_most` says in the slow one."""
    return 2 if settings().max_examples < 10 else at_most(count)


def every(n: int, cases: Collection[Any]) -> list[Any]:
    """All of the cases of a costly test: each `n`-th, from the first on, is in the fast set, the others are slow."""
    slow = [pytest.param(*(case if type(case) is tuple else (case,)), marks=pytest.mark.slow) for case in cases]
    return [case if i % n == 0 else slow[i] for i, case in enumerate(cases)]
