"""Turns records of a trace into events in words, and finds the earlier call that explains a difference."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rldk.cards.safe import clean
from rldk.determinism.trace.comparing import BACKWARD, OP, FirstEvent, sequence
from rldk.determinism.trace.reading import ProcessTrace, Row, SeedCall, TracedEvents
from rldk.rules.operations import TracedDifference, TracedEvent, TraceOrigin

AROUND = 5  # events before and after the first difference
_CALLED = {"lift_fresh": "tensor made of Python or NumPy values (lift_fresh)"}
_PACKAGES = re.compile(r"^.*[/\\](?:site|dist)-packages[/\\]")
# what a generator decides: draws of torch only those of torch, and what comes from outside those of the others
_EXPLAINS: Mapping[str, tuple[str, ...]] = {
    "chance": ("torch.",),
    "input": ("numpy.", "random.", "torch."),
    "order": ("numpy.", "random."),
    "environment": ("numpy.", "random."),
}


class Describer:
    """Words for events. `folders`: files below one of them are named from there, the first that fits."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def difference(
        self, event: FirstEvent, first: ProcessTrace, second: ProcessTrace, *, draws: bool = False
    ) -> TracedDifference:
        """The first difference in words, with what happened around it."""
        place, index = event.segment.place, event.index
        step = event.segment.step
        sides = (sequence(first, draws=draws), sequence(second, draws=draws))
        shown = 0 if event.ended is None else 1 - event.ended
        what = [self._slice(one, place, index, index + 1, step) for one in sides]
        return TracedDifference(
            process=first.name,
            cause=event.cause,
            first=what[shown][0],
            second=what[1 - shown][0] if what[1 - shown] else None,
            origin=self._origin(event, first, second, what[shown][0].number, draws=draws),
            moved=event.moved,
            unseeded=event.cause == "chance"
            and not draws
            and not any(s.what.startswith("torch.") for s in first.seeds),
            before=self._slice(sides[shown], place, max(0, index - AROUND), index, step),
            after_first=self._slice(sides[0], place, index + 1, index + 1 + AROUND, step),
            after_second=self._slice(sides[1], place, index + 1, index + 1 + AROUND, step),
        )

    def _slice(self, events: TracedEvents, place: int, low: int, high: int, step: int) -> tuple[TracedEvent, ...]:
        if place >= len(events.segments):
            return ()
        return tuple(self.event(row, events, step) for row in events.of_segment(place)[low:high])

    def event(self, row: Row, events: TracedEvents, step: int) -> TracedEvent:
        """One record in words."""
        near, own = events.names.sites.get(int(row["site"]), ((), ()))
        where = own or near
        is_op = row["kind"] == OP
        return TracedEvent(
            number=int(row["number"]),
            step=step,
            what=operation_name(events.names.ops.get(int(row["what"]), "an operation without a name")),
            direction=("backward" if row["flags"] & BACKWARD else "forward") if is_op else "",
            where=self.where(where),
            text=self.text(where),
            library=self.where(near) if own and near != own else "",
            module=str(events.names.words("module", int(row["module"])) or ""),
            output=_digest(row["output"]),
            inputs=_digest(row["inputs"]),
            arguments=_digest(row["arguments"]),
            chance=_digest(row["chance"]) if is_op else "",
        )

    def where(self, place: tuple[Any, ...]) -> str:
        """File and line: from the folder of the command, from that of packages, or whole."""
        if not place:
            return ""
        path = Path(str(place[0]))
        if not path.is_absolute():
            name = str(path)
        elif _PACKAGES.match(str(path)):
            name = _PACKAGES.sub("", str(path))
        else:
            below = next((one for one in self._folders if path.is_relative_to(one)), None)
            name = str(path if below is None else path.relative_to(below))
        return f"{clean(name, 200)}:{int(place[1])}"

    def text(self, place: tuple[Any, ...]) -> str:
        """The line itself; "" where it cannot be read."""
        if not place:
            return ""
        path = Path(str(place[0]))
        path = path if path.is_absolute() else self._folders[-1] / path
        if path.suffix != ".py" or not path.is_file() or path.stat().st_size > 4 << 20:
            return ""
        return clean(linecache.getline(str(path), int(place[1])).strip(), 160)

    def _origin(
        self, event: FirstEvent, first: ProcessTrace, second: ProcessTrace, number: int, *, draws: bool
    ) -> TraceOrigin | None:
        """The last seeding, or else the first draw, before the difference that is not the same in both."""
        kinds = _EXPLAINS.get(event.cause)
        if kinds is None:
            return None
        if draws:
            kinds = ("numpy.", "random.")
        found = [one for one in differing_seeds(first.seeds, second.seeds) if one.own and one.what.startswith(kinds)]
        found = [one for one in found if (one.draws if draws else one.number) <= number]
        if found:
            best = max(found, key=lambda one: (one.number, one.draws))
            return TraceOrigin(
                what=best.what, where=self.where(best.place), text=self.text(best.place), given=best.given
            )
        draw = None if event.cause == "chance" or draws else first_draw(first.draws, second.draws, number)
        if draw is None:
            return None
        made = self.event(draw, first.draws, 0)
        return TraceOrigin(what=made.what, where=made.where, text=made.text)


def operation_name(name: str) -> str:
    """An operation as users know it: `aten.addmm.default` is `addmm`."""
    short = name.removeprefix("aten.").removesuffix(".default")
    return _CALLED.get(short, short)


def differing_seeds(first: tuple[SeedCall, ...], second: tuple[SeedCall, ...]) -> Iterator[SeedCall]:
    """The calls that made or seeded a generator and left another state in the other replica, in their order.

    Calls at the same line are compared by their turn."""
    turns: dict[tuple[Any, ...], list[str]] = {}
    for call in second:
        turns.setdefault((call.what, call.place), []).append(call.state)
    seen: dict[tuple[Any, ...], int] = {}
    for call in first:
        key = (call.what, call.place)
        turn = seen[key] = seen.get(key, -1) + 1
        others = turns.get(key, [])
        if turn >= len(others) or others[turn] != call.state:
            yield call


def first_draw(first: TracedEvents, second: TracedEvents, number: int) -> Row | None:
    """The first draw before an event that differs, as far as draws were recorded."""
    a, b = first.records, second.records
    both = min(len(a), len(b))
    unequal = np.zeros(both, dtype=bool)
    for name in ("arguments", "output", "what"):
        unequal |= a[name][:both] != b[name][:both]
    if not unequal.any():
        return None
    found = a[int(np.argmax(unequal))]
    return found if int(found["chance"]) <= number else None


def _digest(value: Any) -> str:
    return f"{int(value):016x}" if value else ""
