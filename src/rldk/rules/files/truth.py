"""Numbers and truths of a row as closures. A comparison with a missing value is None, and so is its negation."""

from __future__ import annotations

import math
from collections.abc import Callable

from rldk.rules.rule import Frame

Read = Callable[[Frame], float]
Test = Callable[[Frame], "bool | None"]


def constant(number: float) -> Read:
    """The same number on every row."""
    return lambda f: number  # noqa: ARG005 - a constant does not look at the row


def feature(method: str, target: str, *options: int) -> Read:
    """The number that a method of Frame returns for the metric; "" means the watched one."""

    def read(f: Frame) -> float:
        found: float = getattr(f, method)(target or f.metric, *options)
        return found

    return read


def share(target: str, window: int, above: float | None, below: float | None) -> Read:
    """The share of the window that lies strictly between the bounds."""
    return lambda f: f.share(target or f.metric, window, above=above, below=below)


def logarithm(x: float) -> float:
    """The natural logarithm; NaN where there is none."""
    return math.log(x) if x > 0 else math.nan


def quotient(a: float, b: float) -> float:
    """The quotient a / b; NaN where b is 0."""
    return a / b if b else math.nan


def comparison(first: Read, op: Callable[[float, float], bool], second: Read) -> Test:
    def test(f: Frame) -> bool | None:
        a, b = first(f), second(f)
        return None if a != a or b != b else op(a, b)

    return test


def negation(test: Test) -> Test:
    def inverse(f: Frame) -> bool | None:
        known = test(f)
        return None if known is None else not known

    return inverse


def all_of(tests: list[Test]) -> Test:
    """The test that all tests hold; it stops at the first that does not. While rules are bound, every test is unknown,
    so that every feature is asked for."""

    def test(f: Frame) -> bool | None:
        open_ = False
        for part in tests:
            known = part(f)
            if known is False:
                return False
            open_ = open_ or known is None
        return None if open_ else True

    return test


def any_of(tests: list[Test]) -> Test:
    """The test that at least one test holds."""

    def test(f: Frame) -> bool | None:
        open_ = False
        for part in tests:
            known = part(f)
            if known:
                return True
            open_ = open_ or known is None
        return None if open_ else False

    return test
