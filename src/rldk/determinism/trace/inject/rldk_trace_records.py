"""Sequences of events on disk: the digest of every segment, and the events themselves within a window."""

from __future__ import annotations

import io
import json
import os
import struct
from typing import Any

RECORD = struct.Struct(
    "<BBHIIQQQQQQ"
)  # kind, flags, what, site, module, number, output, inputs, arguments, chance, bag
SEGMENT = struct.Struct("<QQQQQQ")  # optimiser step, first event, events, digest, first record, records
OP, DRAW, ENV, BATCH = 0, 1, 2, 3
BACKWARD, CHANCE, FRESH, OPAQUE = 1, 2, 4, 8
LONGEST = 16_384  # events of a segment
PENDING = 512  # events between two writes
MAX_SEGMENTS = 1_000_000
MAX_NAMES = 60_000
MASK = (1 << 64) - 1


class EventNames:
    """Numbers for the names of operations, places and modules, in the order in which they first occur."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._known: dict[tuple[str, Any], int] = {}
        self._count: dict[str, int] = {}

    def number(self, kind: str, key: Any, *words: Any) -> int:
        """The number of a name; a new one is written down with its words. 0 when there are too many names."""
        known = self._known.get((kind, key))
        if known is not None:
            return known
        count = self._count.get(kind, 0) + 1
        if count > MAX_NAMES:
            return 0
        self._count[kind] = self._known[kind, key] = count
        self._stream.write(json.dumps([kind, count, *(words or (key,))]) + "\n")
        return count


class EventStream:
    """One sequence of events. `start`: the first segment whose events are written; `budget`: how many may be."""

    def __init__(self, path: str, start: int, budget: int) -> None:
        self._segments = open(path + ".segments", "wb")  # noqa: SIM115, PTH123 - open until the process ends
        self._records = open(path + ".records", "wb")  # noqa: SIM115, PTH123
        self._names = open(path + ".names", "w", encoding="utf-8")  # noqa: SIM115, PTH123
        self.names = EventNames(self._names)
        self.sites: dict[tuple[int, ...], int] = {}  # places by the addresses of their code
        self.number = 0  # events so far
        self.step = 0
        self._start, self._budget = start, budget
        self._segment = self._first = self._written = self._total = 0
        self._digest = 0
        self._pending: list[tuple[Any, ...]] = []

    def add(self, *event: Any) -> None:
        """Adds an event: kind, flags, what, site, module, output, inputs, arguments, chance, bag. A digest that is
        still on a device is fetched when the events are written. The bag does not see the order of what goes in."""
        self.number += 1
        self._pending.append(event)
        if len(self._pending) >= PENDING:
            self._fold()
            if self.number - self._first >= LONGEST:
                self.cut()

    def advance(self) -> None:
        """An optimiser step has ended: so does the segment."""
        self.cut()
        self.step += 1

    def cut(self) -> None:
        """Ends the segment, where it has any event, and writes all that is known to disk."""
        self._fold()
        events = self.number - self._first
        if events and self._segment < MAX_SEGMENTS:
            first = self._total - self._written
            self._segments.write(SEGMENT.pack(self.step, self._first, events, self._digest, first, self._written))
            self._segment += 1
        self._first, self._digest, self._written = self.number, 0, 0
        for stream in (self._names, self._records, self._segments):
            stream.flush()

    def _fold(self) -> None:
        events, self._pending = resolved(self._pending), []
        digest = self._digest
        for event in events:
            digest = hash((digest, event))
        self._digest = digest & MASK
        if self._segment >= self._start and self._total < self._budget:
            kept = events[: self._budget - self._total]
            first, pack = self.number - len(events), RECORD.pack
            self._records.write(b"".join([pack(*one[:5], n, *one[5:]) for n, one in enumerate(kept, first)]))
            self._total += len(kept)
            self._written += len(kept)


def resolved(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The events with their digests as numbers: those on devices are fetched together, once a device."""
    waiting = [one for event in events for one in event[5:8] if type(one) is not int]
    if not waiting:
        return events
    from rldk_trace_digest import fetched  # type: ignore[import-not-found]  # beside this file

    numbers = iter(fetched(waiting))
    return [
        (*event[:5], *(one if type(one) is int else next(numbers) for one in event[5:8]), *event[8:])
        for event in events
    ]


class ProcessNotes:
    """Facts about a traced process, written as one small file whenever they change, and lines about seeds."""

    MAX_LINES = 10_000

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines = open(path + ".seeds", "w", encoding="utf-8")  # noqa: SIM115, PTH123
        self._count = 0
        self.facts: dict[str, Any] = {"pid": os.getpid()}

    def seed(self, line: dict[str, Any]) -> None:
        """Notes that a generator was seeded or made."""
        self._count += 1
        if self._count <= self.MAX_LINES:
            self._lines.write(json.dumps(line) + "\n")
            self._lines.flush()

    def note(self, **facts: Any) -> None:
        """Notes facts, and writes them at once."""
        self.facts |= facts
        with open(f"{self._path}.facts.part", "w", encoding="utf-8") as stream:  # noqa: PTH123
            json.dump(self.facts, stream)
        os.replace(f"{self._path}.facts.part", f"{self._path}.facts")  # noqa: PTH105

    def count(self, name: str) -> None:
        """Counts something, written with the next note."""
        self.facts[name] = self.facts.get(name, 0) + 1
