"""Intervals that stand for a whole block of rows. A rule that gets them answers for all rows at once.

The body of a rule is arithmetic and comparisons. Float arithmetic rounds monotonically, so the ends of a range,
computed with the same operations, bound what every single row would give. A comparison with the same outcome on all
rows is simply decided. Where rows may differ, both outcomes are followed (`Branches`). When no path gives a signal, no
row does. An operation that an interval cannot do raises `UndecidedInterval`, and the rows are then asked one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MAX_PATHS = 32  # paths to follow before the rows are asked one by one
MAX_FORKS = 12  # on one path


class UndecidedInterval(BaseException):  # a BaseException, so that no rule catches it as an error of its own
    """Raised when the rows of an interval must be told apart."""


class Branches:
    """The undecided comparisons of a body. Each is followed both ways, one path after the other."""

    __slots__ = ("_at", "_taken", "followed")

    def __init__(self) -> None:
        self._taken: list[bool] = []
        self._at = 0
        self.followed = 0

    def fork(self) -> bool:
        """Returns the outcome, on this path, of a comparison on which the rows may differ."""
        if self._at == len(self._taken):
            if self._at == MAX_FORKS:
                raise UndecidedInterval
            self._taken.append(True)
        self._at += 1
        return self._taken[self._at - 1]

    def silent(self, body: Callable[[Any], object | None], frame: object) -> bool:
        """Whether the body gives no signal on any path."""
        self._taken = []
        for self.followed in range(1, MAX_PATHS + 1):
            self._at = 0
            try:
                if body(frame) is not None:
                    return False
            except (UndecidedInterval, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                return False
            while self._taken and not self._taken[-1]:
                self._taken.pop()
            if not self._taken:
                return True
            self._taken[-1] = False
        return False


class Interval:
    """Any number from `low` to `high`, both finite. `gaps`: the number may be NaN on some rows."""

    __slots__ = ("_branches", "gaps", "high", "low")

    def __init__(self, low: float, high: float, gaps: bool, paths: Branches) -> None:
        if not (high - high == 0.0 == low - low):
            raise UndecidedInterval
        self.low = low
        self.high = high
        self.gaps = gaps
        self._branches = paths

    def __lt__(self, other: Any) -> bool:
        if type(other) is Interval:
            if self.low >= other.high:
                return False
            sure = self.high < other.low and not other.gaps
        else:
            if not self.low < other:
                return False
            sure = self.high < other
        return (sure and not self.gaps) or self._branches.fork()

    def __gt__(self, other: Any) -> bool:
        if type(other) is Interval:
            if self.high <= other.low:
                return False
            sure = self.low > other.high and not other.gaps
        else:
            if not self.high > other:
                return False
            sure = self.low > other
        return (sure and not self.gaps) or self._branches.fork()

    def __le__(self, other: Any) -> bool:
        if type(other) is Interval:
            if self.low > other.high:
                return False
            sure = self.high <= other.low and not other.gaps
        else:
            if not self.low <= other:
                return False
            sure = self.high <= other
        return (sure and not self.gaps) or self._branches.fork()

    def __ge__(self, other: Any) -> bool:
        if type(other) is Interval:
            if self.high < other.low:
                return False
            sure = self.low >= other.high and not other.gaps
        else:
            if not self.high >= other:
                return False
            sure = self.low >= other
        return (sure and not self.gaps) or self._branches.fork()

    def __eq__(self, other: object) -> bool:
        if other is self:
            return not self.gaps or self._branches.fork()
        low, high = (other.low, other.high) if isinstance(other, Interval) else (other, other)
        if not (self.low <= high and self.high >= low):  # type: ignore[operator]  # a number: bodies know no others
            return False
        return self._branches.fork()

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self != 0.0)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low, self.gaps, self._branches)

    def __pos__(self) -> Interval:
        return self

    def __abs__(self) -> Interval:
        if self.low >= 0.0:
            return self
        if self.high <= 0.0:
            return -self
        return Interval(0.0, max(-self.low, self.high), self.gaps, self._branches)

    def __round__(self) -> Interval:
        return Interval(round(self.low), round(self.high), self.gaps, self._branches)

    def __add__(self, other: Interval | float) -> Interval | float:
        if isinstance(other, Interval):
            return Interval(self.low + other.low, self.high + other.high, self.gaps or other.gaps, self._branches)
        return other if other != other else Interval(self.low + other, self.high + other, self.gaps, self._branches)

    __radd__ = __add__

    def __sub__(self, other: Interval | float) -> Interval | float:
        if isinstance(other, Interval):
            if other is self and not self.gaps:
                return 0.0
            return Interval(self.low - other.high, self.high - other.low, self.gaps or other.gaps, self._branches)
        return other if other != other else Interval(self.low - other, self.high - other, self.gaps, self._branches)

    def __rsub__(self, other: float) -> Interval | float:
        return other if other != other else Interval(other - self.high, other - self.low, self.gaps, self._branches)

    def __mul__(self, other: Interval | float) -> Interval | float:
        if isinstance(other, Interval):
            ends = (self.low * other.low, self.low * other.high, self.high * other.low, self.high * other.high)
            return Interval(min(ends), max(ends), self.gaps or other.gaps, self._branches)
        if other != other:
            return other
        low, high = self.low * other, self.high * other
        return (
            Interval(low, high, self.gaps, self._branches)
            if low <= high
            else Interval(high, low, self.gaps, self._branches)
        )

    __rmul__ = __mul__

    def __truediv__(self, other: Interval | float) -> Interval | float:
        if isinstance(other, Interval):
            if other.low <= 0.0 <= other.high:
                raise UndecidedInterval
            ends = (self.low / other.low, self.low / other.high, self.high / other.low, self.high / other.high)
            return Interval(min(ends), max(ends), self.gaps or other.gaps, self._branches)
        if other != other:
            return other
        low, high = self.low / other, self.high / other
        return (
            Interval(low, high, self.gaps, self._branches)
            if low <= high
            else Interval(high, low, self.gaps, self._branches)
        )

    def __rtruediv__(self, other: float) -> Interval | float:
        if other != other:
            return other
        if self.low <= 0.0 <= self.high:
            raise UndecidedInterval
        low, high = other / self.high, other / self.low
        return (
            Interval(low, high, self.gaps, self._branches)
            if low <= high
            else Interval(high, low, self.gaps, self._branches)
        )

    def __float__(self) -> float:
        raise UndecidedInterval

    __int__ = __index__ = __float__

    def __format__(self, spec: str) -> str:
        raise UndecidedInterval

    def __str__(self) -> str:
        raise UndecidedInterval
