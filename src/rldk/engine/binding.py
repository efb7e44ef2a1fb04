"""Finds the features that a rule asks for, before its first row, and remembers them for the next run."""

from __future__ import annotations

from typing import Any

from rldk.engine.features.window import NAN
from rldk.engine.frame import EngineFrame
from rldk.engine.memory import Key, Memory
from rldk.rules.rule import Body, Context

MOST_KNOWN = 8192  # rules on metrics; logs may have endlessly many names

Known = dict[tuple[Body, str], tuple[Key, ...]]
_everywhere: Known = {}  # of bodies that did not look at the context
_latest: tuple[Context, Known] = (Context(), {})  # of those that did, in runs that have the context of the last one


class AskingFrame(EngineFrame):
    """Shows a rule no row at all. It notes which features the rule asks for, and whether it looks at the context."""

    __slots__ = ("_asked", "_context", "used")

    def __init__(self, memory: Memory, context: Context) -> None:
        super().__init__(memory, context)
        self._asked: dict[Key, None] = {}
        self.used = False  # the last rule looked at the context

    @property
    def context(self) -> Context:  # what a rule may know of the run; notes that it asked
        self.used = True
        return self._context

    @context.setter
    def context(self, context: Context) -> None:
        self._context = context

    def asked_by(self, body: Body, metric: str) -> tuple[Key, ...]:
        """The features that the body asks for on the metric."""
        self.metric, self.used, self._asked = metric, False, {}
        body(self)
        return tuple(self._asked)

    def _see(self, *key: Any) -> float:
        self._asked[key] = None
        return NAN


class BindingFrame(AskingFrame):
    """Creates each feature that a rule asks for.

    A body gives the same answer on each run of a directory, so its features are found by calling it only once."""

    __slots__ = ("_of_context",)

    def __init__(self, memory: Memory, context: Context) -> None:
        global _latest  # noqa: PLW0603 - shared by the runs of a directory
        super().__init__(memory, context)
        if context.reference is not None:
            self._of_context: Known = {}
            return
        if not are_alike(_latest[0], context):
            _latest = context, {}
        self._of_context = _latest[1]

    def bind(self, body: Body, metric: str) -> None:
        """Makes the features that the body asks for on the metric."""
        if self.memory.rows:  # earlier rows may lead the body elsewhere
            self.asked_by(body, metric)
            return
        key = body, metric
        known = _everywhere.get(key) or self._of_context.get(key)
        if known is None:
            known = self.asked_by(body, metric)
            kept = self._of_context if self.used else _everywhere
            if len(kept) >= MOST_KNOWN:
                kept.clear()
            kept[key] = known
            return
        items, make = self._items, self.memory.feature
        for feature in known:
            if feature not in items:
                make(feature)

    def _see(self, *key: Any) -> float:
        self.memory.feature(key)
        return super()._see(*key)


def are_alike(one: Context, other: Context) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError):  # a configuration may hold arrays, which have no single answer
        return False
