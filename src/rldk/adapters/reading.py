"""Gathers what an adapter reads from one source: rows, refused records, and the Log that they make."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import le
from typing import Any, ClassVar, Protocol, TypeVar

from rldk.adapters.log import Log
from rldk.adapters.source import File
from rldk.adapters.wire.console import Cutter, Piece, pieces
from rldk.core.jsonl import KEPT_REJECTS
from rldk.core.lines import EXCERPT
from rldk.core.model import Rejected
from rldk.core.table import MAX_METRICS, Phase, TableBuilder
from rldk.errors import MalformedInput, NoData, NotALog, UsageError

ROUNDED = "numbers have only the digits that were printed: a number shown as 0 may be very small"
_EVAL = ("eval", "test", "val/", "val_", "validation")


def rank_notes(rank: str) -> tuple[str, ...]:
    """The note about a log in which the key `rank` tells processes apart; no note when the key is empty."""
    said = f"several processes write the same steps: rldk reads the rows of the first one, by {rank!r}"
    return (said,) if rank else ()


T_contra = TypeVar("T_contra", contravariant=True)


def too_wide(values: Mapping[str, float]) -> str:
    """Why a row with more than `MAX_METRICS` metrics is refused."""
    return f"the row has {len(values):,} metrics, more than can be held ({MAX_METRICS:,})"


class LogSource(Protocol):
    """What reading needs of an adapter. `source`: the words for where its files are. `options`: those of the reader."""

    name: ClassVar[str]
    describes: ClassVar[str]
    source: str
    files: tuple[File, ...]
    options: dict[str, Any]


class Sink(Protocol):
    """The place where the parser of a format puts rows and refusals. `step`: the step of the last row, 0 at first."""

    step: int

    def row(
        self, step: int, values: Mapping[str, float], *, phase: Phase = "train", time: float = math.nan
    ) -> None: ...

    def reject(self, line: int, offset: int, reason: str, excerpt: str = "") -> None: ...


class Parser(Protocol[T_contra]):
    """Reads a format piece by piece: the texts of a console, the records of a table."""

    def take(self, piece: T_contra, sink: Sink, /) -> None:
        """Looks at the next piece and puts out the rows that it completes."""

    def finish(self, sink: Sink) -> None:
        """Puts out, or refuses, the rows that are not complete at the end."""


class Reading:
    """The rows and refusals of one source. Every record is one or the other, so rows + rejected == lines.

    The segment rises when a train step is lower than the train step before it, as in a restarted run."""

    def __init__(self, adapter: LogSource) -> None:
        self.notes: list[str] = []
        self.step = 0
        self._source = adapter.source
        self._strict = bool(adapter.options.get("strict"))
        self._builder = TableBuilder()
        self._rejected: list[Rejected] = []
        self._rejected_count = 0
        self._segment = 0
        self._last: int | None = None

    def row(self, step: int, values: Mapping[str, float], *, phase: Phase = "train", time: float = math.nan) -> None:
        """Appends a row, or refuses one that alone has more metrics than a table. Raises `InputError` when the table
        would no longer fit in memory."""
        if len(values) > MAX_METRICS:
            self.reject(len(self._builder) + self._rejected_count + 1, 0, too_wide(values))
            return
        if phase == "train":
            self._segment += self._last is not None and step < self._last
            self._last = step
        self.step = step
        self._builder.add(step, values, phase=phase, segment=self._segment, time=time)

    def rows(
        self,
        steps: Sequence[int],
        columns: Mapping[str, Sequence[float | None]],
        *,
        phases: Sequence[Phase],
        times: Sequence[float],
        stated: Mapping[str, Sequence[int]],
    ) -> None:
        """Appends many rows column by column. None means missing, and so does NaN except in the rows in `stated`."""
        rises = all(map(le, steps, steps[1:])) and (self._last is None or steps[0] >= self._last)
        if rises and phases.count("train") == len(phases):
            self._last = self.step = steps[-1]
            self._builder.extend(steps, columns, phases=phases, times=times, stated=stated, segment=self._segment)
            return
        for i, step in enumerate(steps):
            values = {
                name: x
                for name, column in columns.items()
                if (x := column[i]) is not None and (x == x or i in stated.get(name, ()))
            }
            self.row(step, values, phase=phases[i], time=times[i])

    def reject(self, line: int, offset: int, reason: str, excerpt: str = "") -> None:
        """Counts a refused record; in strict mode raises `MalformedInput`."""
        if self._strict:
            raise MalformedInput(
                f"{self._source}, line {line}, byte {offset}: {reason}",
                hint="correct or remove the line, or read without strict mode to skip and count such lines",
            )
        self._rejected_count += 1
        if len(self._rejected) < KEPT_REJECTS:
            self._rejected.append(Rejected(line=line, offset=offset, reason=reason, excerpt=excerpt[:EXCERPT]))

    def log(self, **fields: Any) -> Log:
        """The log of the rows so far, with the given fields of `Log`. Raises `NoData` when there is no row."""
        rows = len(self._builder)
        if not rows:
            first = f" ({self._rejected[0].reason}, line {self._rejected[0].line})" if self._rejected else ""
            raise NoData(
                f"there is no usable row in {self._source}{first}",
                hint="check whether the run stopped before its first log",
            )
        return Log(
            table=self._builder.build(),
            lines=rows + self._rejected_count,
            rejected_count=self._rejected_count,
            rejected=tuple(self._rejected),
            notes=tuple(self.notes),
            **fields,
        )


class Glimpse:
    """A sink that keeps only the step, the values and the phase of each row at the beginning of a text."""

    def __init__(self, step: int = 0) -> None:
        self.step = step
        self.rows: list[tuple[int, Mapping[str, float], Phase]] = []

    def row(
        self,
        step: int,
        values: Mapping[str, float],
        *,
        phase: Phase = "train",
        time: float = math.nan,  # noqa: ARG002 - as of `Sink`
    ) -> None:
        self.step = step
        self.rows.append((step, values, phase))

    def reject(self, line: int, offset: int, reason: str, excerpt: str = "") -> None:
        """Does nothing: a refused record is not a row."""


def glimpse(parser: Parser[Piece], head: bytes) -> list[tuple[int, Mapping[str, float], Phase]]:
    """The rows that a console's parser finds in these first bytes; a last text without its end is left out."""
    sink, cutter = Glimpse(), Cutter()
    for piece in chain(cutter.feed(head), cutter.finish()):
        if piece.closed:
            parser.take(piece, sink)
    parser.finish(sink)
    return sink.rows


def parse_file(adapter: LogSource, parser: Parser[Any], cut: Callable[[File], Iterator[Any]] = pieces) -> Reading:
    """The rows that `parser` finds in the one file of the adapter; `cut` takes the file apart."""
    reading = Reading(adapter)
    for piece in cut(only_file(adapter)):
        parser.take(piece, reading)
    parser.finish(reading)
    return reading


def only_file(adapter: LogSource) -> File:
    """The only file of an adapter, for a format in which each file is a run. Raises `NotALog` and `UsageError`."""
    if not adapter.files:
        raise NotALog(f"{adapter.source} holds no {adapter.describes}", hint="rldk format-info PATH shows what it is")
    if len(adapter.files) > 1:
        names = ", ".join(str(f.path) for f in adapter.files[:3])
        raise UsageError(
            f"{adapter.source} holds {len(adapter.files)} logs of format {adapter.name}: {names}",
            hint="each of them is a log: name one, or use ingest_runs for all of them",
        )
    return adapter.files[0]


def check_strict(log: Log, adapter: LogSource) -> Log:
    """The same log. In strict mode it raises `MalformedInput` when a record was refused."""
    if adapter.options.get("strict") and log.rejected:
        first = log.rejected[0]
        raise MalformedInput(
            f"{adapter.source}, record {first.line}, byte {first.offset}: {first.reason}",
            hint="read without strict mode to skip and count such records",
        )
    return log


def phase_of(values: Iterable[str]) -> Phase:
    names = [name.lower() for name in values]
    return "eval" if names and all(name.startswith(_EVAL) for name in names) else "train"
