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


class BindingFrame(EngineFrame):
    """Shows a rule no row at all. It creates each feature that the rule asks for.

    A body gives the same answer on each run of a directory, so its features are found by calling it only once."""

    __slots__ = ("_asked", "_context", "_of_context", "_used")

    def __init__(self, memory: Memory, context: Context) -> None:
        global _latest  # noqa: PLW0603 - shared by the runs of a directory
        super().__init__(memory, context)
        self._asked: dict[Key, None] = {}
        self._used = False
        if context.reference is not None:
            self._of_context: Known = {}
            return
        if not are_alike(_latest[0], context):
            _latest = context, {}
        self._of_context = _latest[1]

    @property
    def context(self) -> Context:  # what a rule may know of the run; notes that it asked
        self._used = True
        return self._context

    @context.setter
    def context(self, context: Context) -> None:
        self._context = context

    def bind(self, body: Body, metric: str) -> None:
        """Makes the features that the body asks for on the metric."""
        if self.memory.rows:  # earlier rows may lead the body elsewhere
            self._call(body, metric)
            return
        key = body, metric
        known = _everywhere.get(key) or self._of_context.get(key)
        if known is None:
            known = self._call(body, metric)
            kept = self._of_context if self._used else _everywhere
            if len(kept) >= MOST_KNOWN:
                kept.clear()
            kept[key] = known
            return
        items, make = self._items, self.memory.feature
        for feature in known:
            if feature not in items:
                make(feature)

    def _call(self, body: Body, metric: str) -> tuple[Key, ...]:
        self.metric, self._used, self._asked = metric, False, {}
        body(self)
        return tuple(self._asked)

    def _see(self, *key: Any) -> float:
        self._asked[key] = None
        self.memory.feature(key)
        return NAN


def are_alike(one: Context, other: Context) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError):  # a configuration may hold arrays, which have no single answer
        return False
