"""Arrays that stand for all rows of a block, with one value a row. A rule that gets them answers for many rows at once.

A comparison with the same outcome on all rows is simply decided. Otherwise the rows split: both groups are followed,
one after the other (`Cases`), each with its own rows. When the body returns nothing, it was silent on the rows of that
path. When it does something a column cannot do, the rows of that path are asked one by one. When it returns a signal,
they give one, too; they are asked one by one where more than its severity matters."""

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
    rule had every input it asked for. `signals` has what the body returned on a path, with the rows of the path. Its
    numbers are columns and its texts are incomplete."""

    __slots__ = ("_at", "_rows", "_taken", "asked", "first_known", "formatted", "missing", "ready", "rows", "signals")

    def __init__(self, height: int) -> None:
        self.asked: Mask = np.zeros(height, dtype=np.bool_)
        self.rows: Mask | None = None  # those to ask about, if not all
        self.missing: Mask | None = None  # rows of this path that lack an input the rule asked for
        self.first_known = 0  # rows before this one lack an input too
        self.ready = False
        self.signals: list[tuple[Mask, object]] = []
        self.formatted = False  # a number of this path became part of a text
        self._rows = self.asked
        self._taken: list[bool] = []
        self._at = 0

    def follow(self, body: Callable[[Any], object | None], frame: object) -> None:
        """Follows every path of the body, and forgets what was found of another one."""
        every = self._begin()
        self._taken.clear()
        self.signals = []
        for _ in range(MAX_PATHS):
            self._rows, self._at, self.missing, self.first_known, self.formatted = every, 0, None, 0, False
            try:
                signal = body(frame)
                silent = signal is None and not self.formatted
                if signal is not None:
                    self.signals.append((self._rows, signal))
            except (UndecidedColumn, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                silent = False
            if not silent:
                self.asked |= self._rows
            else:
                self._note_ready()
            while self._taken and not self._taken[-1]:
                self._taken.pop()
            if not self._taken:
                return
            self._taken[-1] = False
        self.asked |= every

    def _begin(self) -> Mask:
        """Forgets the answers, and returns the rows to ask about."""
        self.asked, self.ready = np.zeros(len(self.asked), dtype=np.bool_), False
        return np.ones(len(self.asked), dtype=np.bool_) if self.rows is None else self.rows

    def _note_ready(self) -> None:
        """Notes whether the rule had every input on a row of this path, on which it was silent."""
        if not self.ready:
            self.ready = holds_somewhere(self._known()[self.first_known :])

    def _known(self) -> Mask:
        return self._rows if self.missing is None else self._rows & ~self.missing

    def codes(self, code_of: Callable[[Any], int]) -> NDArray[np.uint8]:
        """One number a row: 0 where the body gives no signal, `code_of` its signal where it gives one, else 1."""
        codes = self.asked.astype(np.uint8)
        for rows, signal in self.signals:
            codes[rows] = code_of(signal)
        return codes

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
            self._rows = self._rows & ~rows
            if not holds_somewhere(self._rows):
                raise UndecidedColumn

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
        """A part of a message. No rule should depend on it; a path that formats and then is silent is not decided."""
        self.cases.formatted = True
        return format(1.0, spec)  # raises where a number would

    def __str__(self) -> str:
        raise UndecidedColumn
