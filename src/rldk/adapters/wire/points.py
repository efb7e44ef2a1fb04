"""Joins values that arrive one by one - (key, step, value, time) - to rows while the run continues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct, field

from rldk.adapters.wire.scalars import phase_of
from rldk.core.table import PHASES, Phase, Row


class Point(NamedTuple):
    """One value of one metric. Sorted points are in the order in which they were logged."""

    time_ms: int
    step: int
    key: str
    value: float


class _Held(Struct, kw_only=True):
    step: int
    segment: int
    time_ms: int = 0
    values: dict[str, float] = field(default_factory=dict)

    def row(self, phase: Phase) -> Row:
        return Row(step=self.step, values=self.values, phase=phase, segment=self.segment, time=self.time_ms / 1000)


class PointJoiner:
    """Joins the points of a step to one row for each phase, and gives the row when a later point has another step.

    A segment begins when the step of a key goes back; keys that follow it back do not begin another. When no point
    has a step (all are 0), the values of each key are numbered. `state` is plain JSON."""

    def __init__(self) -> None:
        self._held: dict[Phase, _Held] = {}
        self._keys: dict[str, tuple[int, int, int]] = {}  # segment, step, points so far
        self._segment = 0
        self._numbered: bool | None = None

    def take(self, point: Point) -> list[Row]:
        """The rows that this point completes. Points must come in their order."""
        step = self._step(point)
        segment, last, count = self._keys.get(point.key, (self._segment, step, 0))
        if step < last and segment == self._segment:
            self._segment += 1
        segment = self._segment
        self._keys[point.key] = (segment, step, count + 1)
        phase = phase_of(point.key)

        def other(where: Phase, held: _Held) -> bool:
            elsewhere = (held.segment, held.step) != (segment, step)
            return elsewhere and (where == phase or held.time_ms < point.time_ms)

        rows = self._release(other)
        held = self._held.setdefault(phase, _Held(step=step, segment=segment))
        held.values[point.key] = point.value
        held.time_ms = point.time_ms
        return rows

    def flush(self) -> list[Row]:
        """The rows held back because more points of their step might come."""
        return self._release(lambda _where, _held: True)

    def _release(self, which: Callable[[Phase, _Held], bool]) -> list[Row]:
        found = [phase for phase in PHASES if phase in self._held and which(phase, self._held[phase])]
        found.sort(key=lambda phase: self._held[phase].time_ms)
        return [self._held.pop(phase).row(phase) for phase in found]

    def _step(self, point: Point) -> int:
        known = self._keys.get(point.key)
        if point.step != 0:
            self._numbered = False
        elif self._numbered is None and known is not None:
            self._numbered = True
        return known[2] if self._numbered and known is not None else point.step

    @property
    def state(self) -> dict[str, Any]:
        return {
            "segment": self._segment,
            "numbered": self._numbered,
            "keys": {key: list(of) for key, of in self._keys.items()},
            "held": {
                phase: [held.step, held.segment, held.time_ms, {k: repr(v) for k, v in held.values.items()}]
                for phase, held in self._held.items()
            },
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> PointJoiner:
        """A joiner that continues where another stopped. A malformed state raises an error."""
        made = cls()
        made._segment = int(state["segment"])
        made._numbered = None if state["numbered"] is None else bool(state["numbered"])
        made._keys = {str(key): (int(a), int(b), int(c)) for key, (a, b, c) in state["keys"].items()}
        for phase in PHASES:
            if phase in state["held"]:
                step, segment, time_ms, values = state["held"][phase]
                made._held[phase] = _Held(
                    step=int(step),
                    segment=int(segment),
                    time_ms=int(time_ms),
                    values={str(k): float(v) for k, v in values.items()},
                )
        return made
