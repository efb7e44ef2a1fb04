"""Arrays that stand for all rows of a block, with one value a row. A rule that gets them answers for many rows at once.

A comparison with the same outcome on all rows is simply decided. Otherwise the rows split: both groups are followed,
one after the other (`Cases`), each with its own rows. When the body returns nothing, it was silent on the rows of that
path. When it returns a signal, or does something a column cannot do, the rows of that path are asked one by one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]
MAX_PATHS = 64  # paths to follow before the remaining rows are asked one by one
MAX_FORKS = 24  # on one path


def holds_somewhere(rows: Mask) -> bool:
    """Whether the mask has a row. Of so few rows the bytes are searched sooner than numpy has begun to reduce them."""
    return 1 in rows.tobytes()


def holds_everywhere(rows: Mask) -> bool:
    """Whether the mask has all rows."""
    return 0 not in rows.tobytes()


class UndecidedColumn(BaseException):  # a BaseException, so that no rule catches it as an error of its own
    """Raised when the rows of a column must be asked one by one."""


class Cases:
    """The paths through a rule's body, and the rows that take each path.

    After `follow`, `asked` marks the rows on which the body may give a signal. `ready` says that on some silent row the
    rule had every input it asked for. With `signals`, a number may become text, and what each path returned is kept
    there: if it is not `unsure`, the asked rows give one of those signals, though not their values and words."""

    __slots__ = ("_at", "_rows", "_taken", "asked", "first_known", "missing", "ready", "signals", "unsure", "worded")

    def __init__(self, height: int) -> None:
        self.asked: Mask = np.zeros(height, dtype=np.bool_)
        self.missing: Mask | None = None  # rows of this path that lack an input the rule asked for
        self.first_known = 0  # rows before this one lack an input too
        self.ready = False
        self.signals: list[object] | None = None
        self.unsure = self.worded = False
        self._rows = self.asked
        self._taken: list[bool] = []
        self._at = 0

    def follow(self, body: Callable[[Any], object | None], frame: object) -> None:
        """Follows every path of the body, and forgets what was found of another one."""
        height = len(self.asked)
        every = np.ones(height, dtype=np.bool_)
        self.asked, self.ready, self.unsure = np.zeros(height, dtype=np.bool_), False, False
        self._taken.clear()
        for _ in range(MAX_PATHS):
            self._rows, self._at, self.missing, self.first_known, self.worded = every, 0, None, 0, False
            try:
                signal = body(frame)
                silent = signal is None and not self.worded  # a body that looked at a text was misled
                self.unsure |= signal is None and self.worded
                if signal is not None and self.signals is not None:
                    self.signals.append(signal)
            except (UndecidedColumn, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                silent, self.unsure = False, True
            if not silent:
                self.asked |= self._rows
            elif not self.ready:
                rows = self._rows if self.missing is None else self._rows & ~self.missing
                self.ready = holds_somewhere(rows[self.first_known :])
            while self._taken and not self._taken[-1]:
                self._taken.pop()
            if not self._taken:
                return
            self._taken[-1] = False
        self.asked |= every
        self.unsure = True

    def decide(self, holds: Mask) -> bool:
        """Decides a comparison on this path. The path then keeps only the rows that agree with the outcome."""
        outcomes = holds.tobytes()
        if 1 not in outcomes:
            return False
        if 0 not in outcomes:
            return True
        rows = self._rows & holds
        outcomes = rows.tobytes()
        if 1 not in outcomes:
            return False
        if outcomes == self._rows.tobytes():
            return True
        if self._at == len(self._taken):
            if self._at == MAX_FORKS:
                raise UndecidedColumn
            self._taken.append(True)
        self._at += 1
        taken = self._taken[self._at - 1]
        self._rows = rows if taken else self._rows & ~holds
        return taken

    def leave(self, rows: Mask) -> None:
        """Takes rows off the path. They are asked one by one."""
        if not holds_somewhere(rows):
            return
        left = self._rows & rows
        if holds_somewhere(left):
            self.asked |= left
            self.unsure = True
            self._rows = self._rows & ~rows
            if not holds_somewhere(self._rows):
                raise UndecidedColumn

    def word(self) -> str:
        """Returns a text in the place of a number, where only signals are wanted and not their words."""
        if self.signals is None:
            raise UndecidedColumn
        self.worded = True
        return ""

    def lack(self, rows: Mask | None) -> None:
        """Notes the rows that lack the input the rule just asked for. None means all rows."""
        if rows is None:
            self.missing = np.ones_like(self.asked)
        else:
            self.missing = rows if self.missing is None else self.missing | rows


def _compare(holds: Callable[[Any, Any], Any]) -> Callable[[Column, Any], bool]:
    def compare(self: Column, other: Any) -> bool:
        return self.cases.decide(holds(self.values, other.values if type(other) is Column else other))

    return compare


def _apply(operation: Callable[[Any, Any], Any]) -> Callable[[Column, Any], Column]:
    def apply(self: Column, other: Any) -> Column:
        return Column(operation(self.values, other.values if type(other) is Column else other), self.cases)

    return apply


class Column:
    """One number a row, NaN where it is missing. An operation that a column cannot do raises `UndecidedColumn` or
    `TypeError`."""

    __slots__ = ("_make", "cases", "values")
    values: Numbers
    _make: Callable[[], Numbers]

    def __init__(self, values: Numbers, cases: Cases) -> None:
        self.values = values
        self.cases = cases

    @classmethod
    def later(cls, make: Callable[[], Numbers], cases: Cases) -> Column:
        """A column whose values are worked out when the rule first uses them. Many it asks for and never uses."""
        self = cls.__new__(cls)
        self._make, self.cases = make, cases
        return self

    def __getattr__(self, name: str) -> Numbers:
        """Works out the values. Python calls this only while `values` is not set."""
        if name != "values":
            raise AttributeError(name)
        self.values = self._make()
        return self.values

    __lt__ = _compare(operator.lt)
    __gt__ = _compare(operator.gt)
    __le__ = _compare(operator.le)
    __ge__ = _compare(operator.ge)
    __eq__ = _compare(operator.eq)
    __ne__ = _compare(operator.ne)
    __hash__ = None  # type: ignore[assignment]
    __add__ = __radd__ = _apply(operator.add)
    __mul__ = __rmul__ = _apply(operator.mul)
    __sub__ = _apply(operator.sub)

    def __rsub__(self, other: float) -> Column:
        return Column(other - self.values, self.cases)

    def __truediv__(self, other: Any) -> Column:
        if type(other) is Column:
            self.cases.leave(other.values == 0.0)
            return Column(self.values / other.values, self.cases)
        if other == 0.0:
            raise UndecidedColumn
        return Column(self.values / other, self.cases)

    def __rtruediv__(self, other: float) -> Column:
        self.cases.leave(self.values == 0.0)
        return Column(other / self.values, self.cases)

    def __bool__(self) -> bool:
        return self.cases.decide(self.values != 0.0)

    def __neg__(self) -> Column:
        return Column(-self.values, self.cases)

    def __pos__(self) -> Column:
        return self

    def __abs__(self) -> Column:
        return Column(np.abs(self.values), self.cases)

    def __float__(self) -> float:
        raise UndecidedColumn

    __int__ = __index__ = __float__

    def __round__(self) -> Column:
        self.cases.leave(~np.isfinite(self.values))
        return Column(np.rint(self.values), self.cases)

    def __format__(self, spec: str) -> str:
        return self.cases.word()

    def __str__(self) -> str:
        return self.cases.word()
