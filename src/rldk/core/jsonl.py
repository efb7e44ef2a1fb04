"""Decodes JSON lines to columns. Every readable line becomes a record; every other line is counted and reported.

Blank lines are not counted, so that lines == records + rejected always holds. Several records may share one row of the
table: scalar events of one step, and records of one step whose keys are disjoint (see `merge`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.decoding.typed import TypedLines
from rldk.core.layouts import settle
from rldk.core.lines import EXCERPT, LinePlaces, Lines, LineSplitter, Overlong
from rldk.core.model import Rejected
from rldk.core.records import BadLine, Form, Layout, Record, parse, take_apart
from rldk.core.rows import Assembler, RowList, RowSink
from rldk.core.stream import BrokenStream, Openable, chunks
from rldk.core.table import MAX_METRICS, MetricTable, Row, TableBuilder
from rldk.errors import MalformedInput

SNIFF_LINES = 100
SNIFF_BYTES = 4 << 20
KEPT_REJECTS = 20
FIRST_BUILDS = 2  # of the fast path while the first lines teach it: each takes a millisecond
PIECE = 64 << 10  # bytes decoded before their values become columns: few enough to stay in a processor's cache


class Decoded(Struct, frozen=True, kw_only=True):
    """A decoded file: `table` in the file's own keys, `meta` with the first values of the identity fields (run_id,
    seed, ...).

    `lines` (blank ones not counted) == `records` + `rejected_count`; `rejected` holds the first 20 rejected lines.
    `clock`: the key that was found to count the steps, "" where the caller named it, None where rows were numbered.
    `total_steps`: the planned number of steps, where a key says it. `rank`: the key that tells processes apart which
    all write the same steps, "" where only one writes. Only the rows of the first such process are in the table."""

    table: MetricTable
    lines: int = 0
    records: int = 0
    rejected_count: int = 0
    rejected: tuple[Rejected, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    clock: str | None = None
    total_steps: int | None = None
    rank: str = ""


def decode(
    file: Openable | Path,
    *,
    envelope: str | None = None,
    null_is_nan: bool = False,
    step_key: str | None = None,
    strict: bool = False,
) -> Decoded:
    """The metrics of a JSONL file as columns in the file's own keys, nested keys joined by "/".

    `envelope`: key whose object holds the metrics ("metrics" is always known). `null_is_nan`: null is a stated NaN, not
    a missing value. `step_key`: flat key of the clock. `strict`: a line that cannot be read raises `MalformedInput`."""
    from rldk.core.merge import merge_rows

    path = file if isinstance(file, Path) else file.path
    builder = TableBuilder()
    parser = _Parser(
        builder,
        envelope=envelope,
        null_is_nan=null_is_nan,
        step_key=step_key,
        strict_source=str(path) if strict else None,
    )
    broken = ""
    try:
        for chunk in chunks(file):
            parser.feed(chunk)
    except BrokenStream as error:
        broken = str(error)
    parser.finish()
    if broken:
        parser.break_off(broken)
    return _decoded(parser, merge_rows(_with_segments(builder.build()), consume=True))


def assemble(objects: Iterable[Mapping[str, Any]]) -> Decoded:
    """Does the same as `decode` for objects that stand in one document instead of one on each line."""
    from rldk.core.merge import merge_rows

    builder = TableBuilder()
    parser = _Parser(builder, envelope=None, null_is_nan=False, step_key=None)
    for number, obj in enumerate(objects, start=1):
        parser.take(dict(obj), number)
    parser.finish()
    return _decoded(parser, merge_rows(_with_segments(builder.build()), consume=True))


def _decoded(parser: _Parser, table: MetricTable) -> Decoded:
    return Decoded(
        table=table,
        lines=parser.lines,
        records=parser.records,
        rejected_count=parser.rejected_count,
        rejected=parser.first_rejected(),
        meta=parser.meta,
        clock=parser.clock,
        total_steps=parser.total_steps,
        rank=parser.rank,
    )


class Decoder:
    """The same decoding for bytes that arrive over time. Rows come in order, whatever the chunks.

    The layout is settled from the first `sniff_lines` readable lines. Until then `feed` returns nothing. A row of
    scalar events is returned once the next row begins, or by `finish`."""

    def __init__(
        self,
        *,
        envelope: str | None = None,
        null_is_nan: bool = False,
        step_key: str | None = None,
        sniff_lines: int = SNIFF_LINES,
    ) -> None:
        self._rows = RowList()
        self._parser = _Parser(
            self._rows, envelope=envelope, null_is_nan=null_is_nan, step_key=step_key, sniff_lines=sniff_lines
        )

    def feed(self, data: bytes) -> list[Row]:
        """The rows that `data` completes. A last line without its newline stays pending."""
        self._parser.feed(data)
        return self._rows.take()

    def finish(self) -> list[Row]:
        """The rows that were pending. A last line without its newline is read, or rejected as torn."""
        self._parser.finish()
        return self._rows.take()

    def early(self) -> list[Row]:
        """The rows of the lines so far. The layout is taken from them even if they are few.

        Unless it is `settled`, this decoder must not be fed any more, because more lines could have led to another
        layout."""
        self._parser.settle_early()
        return self._rows.take()

    def pending(self) -> list[Row]:
        """The row of scalar events that the next line may add to."""
        record = self._parser.open
        if record is None:
            return []
        return [self._rows.preview(record.step or 0, record.values, phase=record.phase, time=record.time)]

    @property
    def settled(self) -> bool:
        """Whether the layout of the whole file is known."""
        return self._parser.settled

    @property
    def lines(self) -> int:
        return self._parser.lines

    @property
    def rejected_count(self) -> int:
        return self._parser.rejected_count

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return self._parser.first_rejected()

    @property
    def meta(self) -> dict[str, Any]:
        return dict(self._parser.meta)

    @property
    def clock(self) -> str | None:
        """The clock, as in `Decoded`, once the layout is settled."""
        return self._parser.clock

    @property
    def total_steps(self) -> int | None:
        return self._parser.total_steps

    @property
    def rank(self) -> str:
        return self._parser.rank


class _Parser:
    """Turns lines into records, in order. The first lines wait until the layout is settled."""

    def __init__(
        self,
        sink: RowSink,
        *,
        envelope: str | None,
        null_is_nan: bool,
        step_key: str | None,
        sniff_lines: int = SNIFF_LINES,
        strict_source: str | None = None,
    ) -> None:
        self.settled = False
        self.lines = 0
        self.records = 0
        self.rejected_count = 0
        self._rejected: list[Rejected] = []
        self.meta: dict[str, Any] = {}
        self._strict_source = strict_source
        self._sink = sink
        self._options: dict[str, Any] = {"envelope": envelope, "null_is_nan": null_is_nan, "step_key": step_key}
        self._sniff_lines = sniff_lines
        self._splitter = LineSplitter()
        self._waiting: list[tuple[dict[str, Any], bytes, int, int]] = []
        self._waiting_bytes = 0
        self._layout: Layout | None = None
        self._assembler = Assembler(sink, counted=False)
        self._typed = TypedLines(Layout(form=Form.WIDE, envelope=""))

    def feed(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            self._read(self._splitter.feed(data[start : start + PIECE]))

    def finish(self) -> None:
        self._read(self._splitter.finish(), torn=True)
        self.settle_early()
        self._assembler.finish()

    def settle_early(self) -> None:
        if self._layout is None:
            self._settle()

    @property
    def open(self) -> Record | None:
        return self._assembler.open

    @property
    def clock(self) -> str | None:
        if self._options["step_key"] or self._layout is None:
            return ""
        return self._layout.clock

    @property
    def total_steps(self) -> int | None:
        return self._layout.total_steps if self._layout else None

    @property
    def rank(self) -> str:
        return (self._layout.rank or "") if self._layout else ""

    def first_rejected(self) -> tuple[Rejected, ...]:
        return tuple(sorted(self._rejected, key=lambda rejected: rejected.line))

    def break_off(self, why: str) -> None:
        """Counts the place where the source stopped as one rejected line."""
        self.lines += 1
        end = self._splitter.feed(b"")
        self._reject(b"", end.number, end.offset, f"the file breaks off here: {why}")

    def _read(self, batch: Lines, *, torn: bool = False) -> None:
        together = self._typed.decode_block(batch.block, batch.count)
        if together is not None:
            self._deliver(together)
            return
        place = LinePlaces(batch)
        quick: list[Any] = []
        decode = self._typed.decode
        for i, line in enumerate(batch.lines):
            if decode is not None:
                try:
                    quick.append(decode(line))
                except (ValueError, RecursionError):
                    pass
                else:
                    continue
            if line.isspace() or not line:
                continue
            self._deliver(quick)
            quick = []
            self.lines += 1
            number, offset = place.of(i)
            try:
                self._line(line, number, offset)
            except BadLine as error:
                whole = not torn or isinstance(line, Overlong)
                self._reject(line, number, offset, str(error) if whole else "the last line is torn")
            decode = self._typed.decode
        self._deliver(quick)

    def _deliver(self, quick: list[Any]) -> None:
        self.lines += len(quick)
        self._hand_over(quick)

    def _line(self, line: bytes, number: int, offset: int) -> None:
        if isinstance(line, Overlong):
            raise BadLine("the line is longer than 10 MB")
        obj = parse(line)
        if self._layout is not None:
            self._record(obj, self._layout)
            if self._typed.learn(obj):
                self._typed.build(self.meta)
            return
        self._wait(obj, line, number, offset)

    def take(self, obj: dict[str, Any], number: int) -> None:
        """Takes an object that was read elsewhere."""
        self.lines += 1
        try:
            if self._layout is not None:
                self._record(obj, self._layout)
            else:
                self._wait(obj, b"", number, 0)
        except BadLine as error:
            self._reject(b"", number, 0, str(error))

    def _wait(self, obj: dict[str, Any], line: bytes, number: int, offset: int) -> None:
        self._waiting.append((obj, line, number, offset))
        self._waiting_bytes += len(line)
        if len(self._waiting) >= self._sniff_lines or self._waiting_bytes >= SNIFF_BYTES:
            self.settled = True
            self._settle()

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        layout = self._layout = settle([obj for obj, *_ in waiting], **self._options)
        self._assembler = Assembler(self._sink, counted=layout.clock is None)
        self._typed = TypedLines(layout)
        quick: list[Any] = []
        builds, stale = 0, True
        for obj, line, number, offset in waiting:
            if builds and self._typed.decode is not None and line:
                try:
                    quick.append(self._typed.decode(line))
                except (ValueError, RecursionError):
                    pass
                else:
                    continue
            self._hand_over(quick)
            quick = []
            try:
                self._record(obj, layout)
                stale |= self._typed.learn(obj)
                if stale and builds < FIRST_BUILDS:
                    self._typed.build(self.meta)
                    builds, stale = builds + 1, False
            except BadLine as error:
                self._reject(line, number, offset, str(error))
        self._hand_over(quick)
        if stale:
            self._typed.build(self.meta)

    def _hand_over(self, quick: list[Any]) -> None:
        """Delivers lines that were counted when they began to wait."""
        self.records += len(quick)
        self._typed.deliver(quick, self._assembler)

    def _record(self, obj: dict[str, Any], layout: Layout) -> None:
        record = take_apart(obj, layout)
        if len(record.values) > MAX_METRICS:
            raise BadLine(f"the line has {len(record.values):,} metrics, more than can be held ({MAX_METRICS:,})")
        for key, value in record.identity.items():
            self.meta.setdefault(key, value)
        self.records += 1
        if record.rank in (None, layout.first_rank):
            self._assembler.record(record)

    def _reject(self, line: bytes, number: int, offset: int, reason: str) -> None:
        if self._strict_source is not None:
            raise MalformedInput(
                f"{self._strict_source}, line {number}, byte {offset}: {reason}",
                hint="correct or remove the line, or read without strict mode to skip and count such lines",
            )
        self.rejected_count += 1
        if len(self._rejected) < KEPT_REJECTS:
            start = line[1:] if isinstance(line, Overlong) else line
            text = start[: 4 * EXCERPT].decode("utf-8", errors="replace")[:EXCERPT]
            self._rejected.append(Rejected(line=number, offset=offset, reason=reason, excerpt=text))


def _with_segments(table: MetricTable) -> MetricTable:
    """The table with `segment` rising wherever a train step is below the train step before it."""
    import numpy as np

    train = np.flatnonzero(table.phase == 0)
    back = np.zeros(len(table), dtype=np.int32)
    steps = table.step[train]
    back[train[1:]] = steps[1:] < steps[:-1]
    return replace(table, segment=np.cumsum(back, dtype=np.int32))
