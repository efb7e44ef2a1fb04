"""Reads the files of a trace. They come from a process of the user's, so nothing in them is trusted: sizes are limited,
numbers are checked, and a torn end is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from rldk.cards.safe import clean
from rldk.errors import InputError

MAX_FILE = 256 << 20  # bytes of one file that are read
RECORD = np.dtype(
    [
        ("kind", "u1"),
        ("flags", "u1"),
        ("what", "<u2"),
        ("site", "<u4"),
        ("module", "<u4"),
        ("number", "<u8"),
        ("output", "<u8"),
        ("inputs", "<u8"),
        ("arguments", "<u8"),
        ("chance", "<u8"),
        ("bag", "<u8"),
    ]
)
SEGMENT = np.dtype([(n, "<u8") for n in ("step", "start", "events", "digest", "first", "records")])
_FACTS = re.compile(r"(?:main|rank-\d{1,9})-\d{1,3}\.facts")
Row = NDArray[np.void]


class TraceNames(Struct, frozen=True, kw_only=True):
    """The words of a number. `ops`, `modules`: texts. `sites`: nearest place and nearest place of the user's own code,
    each (file, line, function), or empty."""

    ops: dict[int, str] = field(default_factory=dict)
    modules: dict[int, str] = field(default_factory=dict)
    sites: dict[int, tuple[tuple[Any, ...], tuple[Any, ...]]] = field(default_factory=dict)

    def words(self, kind: str, number: int) -> object:
        """What a number stands for; None for 0 and for an unknown one."""
        if kind == "site":
            return self.sites.get(number)
        return (self.ops if kind == "what" else self.modules).get(number)


class SeedCall(Struct, frozen=True, kw_only=True):
    """A generator was made or seeded. `number`: how many events came before it. `given`: whether it got a seed.

    `place`: the nearest place outside Python and torch. `own`: whether that is the user's own code."""

    number: int
    draws: int
    what: str
    given: bool
    state: str
    place: tuple[Any, ...]
    own: bool


class TracedEvents(Struct, frozen=True, kw_only=True):
    """One sequence of events: all of its segments, and the records of some."""

    segments: Row
    records: Row
    names: TraceNames

    def of_segment(self, place: int) -> Row:
        """The records of a segment, as far as they were written."""
        first, count = int(self.segments[place]["first"]), int(self.segments[place]["records"])
        return self.records[first : first + count]


class ProcessTrace(Struct, frozen=True, kw_only=True):
    """What one process of a replica recorded. `facts`: what it says about itself."""

    name: str
    events: TracedEvents
    draws: TracedEvents
    seeds: tuple[SeedCall, ...]
    facts: dict[str, Any]


def read_traces(folder: Path) -> dict[str, ProcessTrace]:
    """The traces of the processes of one replica, by the name of the process. Empty where nothing was traced.

    Raises `InputError` for a file that is too large."""
    names = sorted(p.name.removesuffix(".facts") for p in folder.glob("*.facts") if _FACTS.fullmatch(p.name))
    return {name: _process(folder / name) for name in names}


def _process(path: Path) -> ProcessTrace:
    return ProcessTrace(
        name=path.name,
        events=_events(path, "main"),
        draws=_events(path, "draws"),
        seeds=tuple(_seeds(Path(f"{path}.seeds"))),
        facts=_facts(Path(f"{path}.facts")),
    )


def _bytes(path: Path) -> bytes:
    if not path.is_file() or path.is_symlink():
        return b""
    if path.stat().st_size > MAX_FILE:
        raise InputError(f"{path} has more than {MAX_FILE >> 20} MiB", hint="trace fewer steps")
    return path.read_bytes()


def _rows(path: Path, kind: np.dtype[Any]) -> Row:
    data = _bytes(path)
    return np.frombuffer(data[: len(data) - len(data) % kind.itemsize], dtype=kind)


def _events(path: Path, name: str) -> TracedEvents:
    segments, records = (
        _rows(Path(f"{path}.{name}.{end}"), d) for end, d in (("segments", SEGMENT), ("records", RECORD))
    )
    return TracedEvents(segments=segments, records=records, names=_names(Path(f"{path}.{name}.names")))


def _lines(path: Path) -> Iterator[Any]:
    for line in _bytes(path).splitlines():
        try:
            yield msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            continue


def _names(path: Path) -> TraceNames:
    names = TraceNames()
    for line in _lines(path):
        match line:
            case ["op", int(number), str(text)]:
                names.ops[number] = clean(text, 120)
            case ["module", int(number), str(text)]:
                names.modules[number] = clean(text, 200)
            case ["site", int(number), list(near), list(own)]:
                names.sites[number] = (_place(near), _place(own))
            case _:
                continue
    return names


def _place(words: list[Any]) -> tuple[Any, ...]:
    match words:
        case [str(file), int(line), str(function)]:
            return (file, line, function)
        case _:
            return ()


def _seeds(path: Path) -> Iterator[SeedCall]:
    for line in _lines(path):
        match line:
            case {
                "n": int(n),
                "d": int(d),
                "what": str(what),
                "given": bool(given),
                "state": str(state),
                "site": [list(near), list(own)],
            }:
                place = _place(near)
                yield SeedCall(
                    number=n,
                    draws=d,
                    what=clean(what, 60),
                    given=given,
                    state=clean(state, 16),
                    place=place,
                    own=bool(place) and place == _place(own),
                )
            case _:
                continue


def _facts(path: Path) -> dict[str, Any]:
    found = next(_lines(path), None)
    return found if isinstance(found, dict) else {}
