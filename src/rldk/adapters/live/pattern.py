"""Reads text logs that the user describes by a regular expression with named groups, or as name=value pairs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.reading import Parser, Sink
from rldk.adapters.wire.console import Piece, number
from rldk.core.records import STEP_KEYS, BadLine, Record, to_phase, to_step, to_time
from rldk.core.rows import Assembler
from rldk.core.table import Phase, Row
from rldk.core.text import later
from rldk.errors import UsageError

PAIRS = "name=value"
MAX_TEXT = 1 << 14  # characters of a line to search
LIMIT_S = 0.25  # time limit of a pattern on one line; a pattern that is linear in the text takes milliseconds
MOST_SLOW = 4  # after so many slow lines the pattern is no longer used
_NUMBER = r"[-+]?(?:\.?\d[\w.]*(?:[-+]\d+)?|nan\b|inf(?:inity)?\b)"
_PAIR = later(rf"(?<![\w/.-])(?P<name>[a-z_][\w/.-]{{0,200}}) ?[=:] ?(?P<value>{_NUMBER})", re.IGNORECASE)
_HINT = r'name the groups, as in "step=(?P<step>\d+) loss=(?P<loss>\S+)", or give name=value for such pairs'
_ROLES = frozenset({"step", "time", "phase", "name", "value"})


class PatternLines:
    """Reads every match of the user's pattern as a record and skips texts without a match.

    The groups `step`, `time` and `phase` place the record. `name` and `value` are one metric; any other group is the
    metric with its name. A record without `step` gets the step of the record before it; when the pattern has no such
    group, the row number is the step. Records of one name and value make one row until the step changes or a name
    comes again. A line that takes longer than `LIMIT_S` is refused; after `MOST_SLOW` such lines the pattern is no
    longer used."""

    def __init__(self, pattern: str) -> None:
        import regex  # unlike `re` it has a time limit

        try:
            self._pattern = regex.compile(pattern)
        except (regex.error, RecursionError, OverflowError) as error:
            raise UsageError(f"{pattern!r} is not a regular expression: {error}", hint=_HINT) from None
        groups = frozenset(self._pattern.groupindex)
        if not (groups - _ROLES or {"name", "value"} <= groups):
            raise UsageError(f"the pattern {pattern!r} has no group for a metric", hint=_HINT)
        self._slow = 0
        self._rows = _Rows()
        self.assembler = Assembler(self._rows, counted="step" not in groups)

    def take(self, piece: Piece, sink: Sink) -> None:
        self._rows.sink = sink
        if self._slow >= MOST_SLOW:
            return
        for found in self._matches(piece, sink):
            torn = not piece.whole and found.end() == len(piece.text)
            try:
                record = _record({key: text for key, text in found.groupdict().items() if text is not None})
            except BadLine as error:
                sink.reject(piece.line, piece.offset, str(error), piece.text)
                continue
            if torn or not (record.values or record.name):
                sink.reject(piece.line, piece.offset, "the last line is torn" if torn else "no number", piece.text)
            else:
                self.assembler.record(record)

    def _matches(self, piece: Piece, sink: Sink) -> list[Any]:
        try:
            return list(self._pattern.finditer(piece.text[:MAX_TEXT], timeout=LIMIT_S))
        except TimeoutError:
            self._slow += 1
            given_up = "; rldk no longer uses it" if self._slow >= MOST_SLOW else ""
            reason = f"the pattern {self._pattern.pattern!r} takes more than {LIMIT_S:g} s on this line{given_up}"
            sink.reject(piece.line, piece.offset, reason, piece.text)
            return []

    def finish(self, sink: Sink) -> None:
        self._rows.sink = sink
        self.assembler.finish()


class _Rows:
    """Adapts the sink of a parser to the sink of an `Assembler`."""

    sink: Sink

    def add(self, step: int, values: Mapping[str, float], *, phase: Phase, time: float) -> None:
        self.sink.row(step, values, phase=phase, time=time)

    def extend(self, *_: object, **__: object) -> None:
        raise NotImplementedError("text comes record by record")


def _record(texts: Mapping[str, str]) -> Record:
    record = Record(
        step=to_step(texts.get("step")), time=to_time(texts.get("time")), phase=to_phase(texts.get("phase"))
    )
    if "name" in texts and "value" in texts:
        record.name, record.value = texts["name"], number(texts["value"])
    values = {key: number(text) for key, text in texts.items() if key not in _ROLES}
    record.values = {key: value for key, value in values.items() if value is not None}
    return record


class PairLines:
    """Reads a text as a row when it has pairs name=value or name: value, and one of them is a step."""

    def take(self, piece: Piece, sink: Sink) -> None:
        pairs = {found["name"]: found["value"] for found in _PAIR.finditer(piece.text[:MAX_TEXT])}
        clock = next((key for key in STEP_KEYS if key in pairs), None)
        if clock is None:
            return
        if not piece.whole and len(pairs) > 1:
            pairs.popitem()  # its number may be cut
        try:
            step = to_step(pairs.pop(clock, None))
        except BadLine as error:
            sink.reject(piece.line, piece.offset, str(error), piece.text)
            return
        values = {key: value for key, text in pairs.items() if (value := number(text)) is not None}
        if values and step is not None:
            sink.row(step, values)

    def finish(self, sink: Sink) -> None:
        """Does nothing: no row is ever left open."""


class PatternRows(TextRows):
    """The rows of a text log, by the user's pattern or by pairs. Raises `UsageError` for an unusable pattern."""

    def __init__(self, pattern: str) -> None:
        self._lines: Parser[Piece] = PairLines() if pattern == PAIRS else PatternLines(pattern)
        super().__init__(self._lines)

    def pending(self) -> list[Row]:
        record = self._lines.assembler.open if isinstance(self._lines, PatternLines) else None
        if record is None:
            return []
        return [self._rows.preview(record.step or 0, record.values, phase=record.phase, time=record.time)]
