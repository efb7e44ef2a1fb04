"""Reads verl: the JSON lines of its file logger, and its console with one line for each step."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.live.lineformat import LineFormat, by_keys
from rldk.adapters.live.rowsource import JsonRows, TextRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.reading import Sink, only_file, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, number
from rldk.core.jsonl import decode
from rldk.core.records import BadLine, to_step
from rldk.core.table import PHASES, MetricTable, Phase
from rldk.core.text import later
from rldk.errors import NoData

_ROW = later(rb'(?:\xef\xbb\xbf)?\s*\{\s*"step"\s*:\s*-?\d+\s*,\s*"data"\s*:\s*\{')
_OWN = later(rb'"(?:actor|critic|training|timing_s|response_length|val|val-core|val-aux|train)/')
_MARK = later(r"(?<![\w:/])step:(?P<step>-?\d+) - (?=\S+:)")
_HEAD_MARK = later(rb"(?<![\w:/])step:-?\d+ - [^\s:]+/[^\s:]*:")
_ROUNDED = later(r"-?\d+\.\d{3}|nan|-?inf")
_EVAL = ("val/", "val-")
DECODING: dict[str, Any] = {"envelope": "data", "null_is_nan": True, "step_key": "step"}
_NO_CRITIC = "verl does not log its advantage estimator: the run has no critic, so rldk reads it as GRPO"


def identity(keys: Iterable[str]) -> dict[str, Any]:
    """The fields of `Log` that name the trainer behind these keys."""
    names = frozenset(keys)
    if "train/loss" in names and not any(n.startswith("actor/") for n in names):
        return {"framework": "verl", "dialect": "verl_sft", "algorithm": "sft"}
    return {"framework": "verl", "dialect": "verl", "algorithm": "ppo" if "critic/vf_loss" in names else "grpo"}


def _note(fields: dict[str, Any]) -> tuple[str, ...]:
    """The note on what the keys do not tell."""
    return (_NO_CRITIC,) if fields["algorithm"] == "grpo" else ()


def phase_of(keys: Iterable[str]) -> Phase:
    names = list(keys)
    return "eval" if names and all(n.startswith(_EVAL) for n in names) else "train"


@adapter
class VerlJsonl(BaseAdapter):
    """Rows are `{"step": n, "data": {...}}`. The writer turns NaN into null, so null is a stated NaN here. A restart
    truncates the file, so it never holds earlier steps."""

    name: ClassVar[str] = "verl-jsonl"
    describes: ClassVar[str] = "JSON lines of verl's file logger"
    quality: ClassVar[int] = 80
    keeps: ClassVar[str] = "every digit, stated NaN (written as null)"
    loses: ClassVar[str] = (
        "wall time, configuration, the advantage estimator; everything that an earlier start of the same run wrote, "
        "because the file is emptied at each start"
    )
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: JsonRows(**DECODING), joins=True, identify=by_keys(identity), phase=phase_of
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or _ROW.match(file.head) is None:
            return 0
        return 95 if _OWN.search(file.head) else 40

    def read(self) -> Log:
        strict = bool(self.options.get("strict"))
        found = decode(only_file(self), **DECODING, strict=strict)
        if not len(found.table):
            raise NoData(
                f"there is no usable row in {self.source}", hint="check whether the run stopped before its first step"
            )
        table = _with_phases(found.table)
        fields = identity(opening_of(table).keys)
        return Log(
            table=table,
            lines=found.lines,
            rejected_count=found.rejected_count,
            rejected=found.rejected,
            notes=_note(fields),
            **fields,
        )


def _with_phases(table: MetricTable) -> MetricTable:
    """The table with the phases that `phase_of` gives its rows."""
    import numpy as np

    told = {True: np.zeros(len(table), dtype=bool), False: np.zeros(len(table), dtype=bool)}
    for key, column in table.columns.items():
        present = ~np.isnan(column)
        present[table.stated_nan.get(key, np.empty(0, dtype=np.int64))] = True
        told[key.startswith(_EVAL)] |= present
    phase = np.where(told[True] & ~told[False], PHASES.index("eval"), table.phase)
    return replace(table, phase=phase.astype(np.uint8))


@adapter
class VerlConsole(BaseAdapter):
    """Each `step:N - key:value - ...` is one line of the log. Values are printed by repr, bare or as np.float64(0.1).
    Versions before 0.4 print three decimals. verl prints only numbers."""

    name: ClassVar[str] = "verl-console"
    describes: ClassVar[str] = "the lines that verl prints"
    quality: ClassVar[int] = 60
    landmark: ClassVar[bytes] = b"step:"
    keeps: ClassVar[str] = (
        "every digit where values are printed as `np.float64(...)`, otherwise three decimals; stated NaN"
    )
    loses: ClassVar[str] = "wall time, configuration, the advantage estimator"
    lines: ClassVar[LineFormat | None] = LineFormat(source=lambda: TextRows(VerlLines()), identify=by_keys(identity))

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text:
            return 0
        if b"step:" in file.head and _HEAD_MARK.search(file.head):
            return 90
        # the printed configuration and the engines' start can fill the head before the first step
        return 60 if b"actor_rollout_ref" in file.head and b" pid=" in file.head else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        return _HEAD_MARK.search(line) is not None

    def read(self) -> Log:
        lines = VerlLines()
        reading = parse_file(self, lines)
        if lines.rounded:
            reading.notes.append(
                "this console shows three decimals: a value below 0.0005, such as a learning rate, reads as 0"
            )
        log = reading.log(precision=3 if lines.rounded else None)
        fields = identity(opening_of(log.table).keys)
        return replace(log, notes=(*_note(fields), *log.notes), **fields)


class VerlLines:
    """Reads each line as one row. `rounded`: all values so far have three decimals."""

    def __init__(self) -> None:
        self.rounded = True

    def take(self, piece: Piece, sink: Sink) -> None:
        mark = _MARK.search(piece.text)
        if mark is not None:
            self.rounded &= _take(sink, piece, mark)
        elif piece.broken:
            sink.reject(piece.line, piece.offset, piece.broken)

    def finish(self, sink: Sink) -> None:
        """Does nothing: no row is ever left open."""


def _take(reading: Sink, piece: Piece, mark: re.Match[str]) -> bool:
    """Takes the line as a row; True when all its values are rounded to three decimals."""
    pairs = [part.rpartition(":") for part in piece.text[mark.end() :].split(" - ")]
    if not piece.whole and not pairs[-1][2].endswith(")"):
        pairs.pop()  # the number may be cut
    values = {key: value for key, _, text in pairs if key and (value := number(text)) is not None}
    try:
        step = to_step(mark["step"]) or 0
    except BadLine as error:
        reading.reject(piece.line, piece.offset, str(error), piece.text)
        return True
    if values:
        reading.row(step, values, phase=phase_of(values))
    else:
        reading.reject(piece.line, piece.offset, "the line has no number", piece.text)
    return all(_ROUNDED.fullmatch(text) for key, _, text in pairs if key)
