"""One reader for all consoles that print a line or a block for each step. Each trainer is a few patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import Struct, field

from rldk.adapters.base import BaseAdapter
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import CountedRows
from rldk.adapters.log import Log
from rldk.adapters.reading import ROUNDED, Sink, parse_file, phase_of
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, clean, number, pieces, without_prefix
from rldk.adapters.wire.pairs import read_line
from rldk.core.records import MAX_STEP

MAX_BLOCK = 400  # lines of one step; the longest genuine block seen (Isaac Lab with 60 reward terms) has 90
MAX_KEYS = 1000  # metrics of one step
_ROLES = ("step", "total", "run")  # groups of a pattern that are not metrics


class PrintLayout(Struct, frozen=True, kw_only=True):
    """How a trainer prints. `landmark`: bytes that stand in every line that `mark` finds.

    `mark`: the pattern that begins a step. Its group `step` is the count, `total` is how far the count goes, `run` is
    the run of the line, and any other group is a metric. `aside`: a line without a step, which belongs to the step
    before it. `block`: the lines after the mark belong to the step as long as they hold names and numbers. `joins`:
    several lines of one step make one row, and the last value of a name counts. `detail`: where names and numbers begin
    in a line of a block that starts with other text; a text without such a line is another format. `keys`: the
    trainer's own keys for the printed names.
    """

    landmark: bytes
    mark: re.Pattern[str]
    aside: re.Pattern[str] | None = None
    block: bool = False
    joins: bool = False
    detail: re.Pattern[str] | None = None
    keys: Mapping[str, str] = {}
    framework: str | None = None
    dialect: str | None = None
    algorithm: str | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """The fields of `Log` that name the trainer."""
        return {"framework": self.framework, "dialect": self.dialect, "algorithm": self.algorithm}

    def follow(self) -> LineFormat:
        return LineFormat(source=lambda: CountedRows(PrintedSteps(self)), identify=lambda *_: dict(self.identity))

    def begins(self, head: bytes) -> bool:
        """Whether these first bytes show a step in this layout."""
        if self.landmark not in head:
            return False
        lines = re.split(rb"[\r\n]", head)
        marked = any(self.mark.search(clean(line)) for line in lines if self.landmark in line)
        return marked and (self.detail is None or any(self.detail.search(clean(line)) for line in lines))


class Step(Struct):
    """An unfinished step: where it begins, and its values so far."""

    start: Piece
    count: int
    run: str
    values: dict[str, float] = field(default_factory=dict)
    lines: int = 0


class PrintedSteps:
    """Gathers the printed values of each step. With several runs in one file it reads `wanted`, else the first.

    `total`: the last step that the run intends to reach, as the first step states it."""

    def __init__(self, layout: PrintLayout, wanted: str | None = None) -> None:
        self.total: int | None = None
        self._layout = layout
        self._wanted = wanted
        self._step: Step | None = None

    def take(self, piece: Piece, sink: Sink) -> None:
        layout = self._layout
        if piece.broken:
            self.finish(sink)
            sink.reject(piece.line, piece.offset, piece.broken)
        elif (mark := layout.mark.search(piece.text)) is not None:
            self._mark(mark, piece, sink)
        elif layout.aside is not None and (aside := layout.aside.search(piece.text)) is not None:
            self._aside(self._values(aside, piece), piece, sink)
        elif self._step is not None and layout.block:
            self._go_on(self._step, piece)

    def finish(self, sink: Sink) -> None:
        step, self._step = self._step, None
        if step is None:
            return
        self._wanted = self._wanted or step.run
        if step.run != self._wanted:
            return
        if step.count > MAX_STEP:
            sink.reject(step.start.line, step.start.offset, "the step is too large", step.start.text)
        elif step.values:
            sink.row(step.count, step.values, phase=phase_of(step.values))
        else:
            reason = "the line has no number" if step.start.whole else "the last line is torn"
            sink.reject(step.start.line, step.start.offset, reason, step.start.text)

    def _mark(self, mark: re.Match[str], piece: Piece, sink: Sink) -> None:
        """Begins a step, unless the line continues the open step."""
        groups = mark.groupdict()
        step = Step(piece, _count(groups["step"]), (groups.get("run") or "").strip(), self._values(mark, piece))
        if self.total is None and groups.get("total"):
            self.total = _count(groups["total"])
        if not (self._layout.joins and self._adds(step)):
            self.finish(sink)
            self._step = step
        if not (self._layout.joins or self._layout.block) or not piece.whole:
            self.finish(sink)

    def _adds(self, step: Step) -> bool:
        """Whether the step is the open one. If so, the open step takes the values; the last value of a name counts."""
        last = self._step
        same = last is not None and (last.count, last.run) == (step.count, step.run)
        if last is None or not same or (last.values and phase_of(last.values) != phase_of(step.values)):
            return False
        last.values |= step.values
        return True

    def _aside(self, values: dict[str, float], piece: Piece, sink: Sink) -> None:
        if not values:
            return
        last = self._step
        if last is None or not self._adds(Step(piece, last.count, last.run, values)):
            self.finish(sink)
            sink.row(sink.step, values, phase=phase_of(values))

    def _values(self, mark: re.Match[str], piece: Piece) -> dict[str, float]:
        """The values of a marked line: the metrics of the pattern, and the names and numbers after it.

        The number at the end of a torn line may be cut, so it is left out; when the step may be cut, all values are."""
        cut = None if piece.whole else len(piece.text)
        own = {k: number(v) for k, v in mark.groupdict().items() if v and k not in _ROLES and mark.end(k) != cut}
        rest = read_line(piece.text[mark.end() :]).values
        if not piece.whole and rest:
            rest.popitem()
        if "step" in mark.groupdict() and mark.end("step") == cut:
            return {}
        return self._named({key: value for key, value in own.items() if value is not None} | rest)

    def _go_on(self, step: Step, piece: Piece) -> None:
        step.lines += 1
        if step.lines > MAX_BLOCK or not piece.whole:
            return
        detail = self._layout.detail.search(piece.text) if self._layout.detail is not None else None
        line = read_line(without_prefix(piece.text) if detail is None else piece.text[detail.end() :])
        if (line.whole or detail is not None) and len(step.values) < MAX_KEYS:
            step.values |= self._named(line.values)

    def _named(self, values: Mapping[str, float]) -> dict[str, float]:
        return {self._layout.keys.get(name, name): value for name, value in values.items()}


class PrintedAdapter(BaseAdapter):
    """The base of adapters that consist of a `PrintLayout` and some words. Numbers have only the printed digits."""

    layout: ClassVar[PrintLayout]
    quality: ClassVar[int] = 40

    def __init_subclass__(cls) -> None:
        cls.landmark = cls.layout.landmark

    @classmethod
    def sniff(cls, file: File) -> int:
        return 90 if file.is_text and cls.layout.begins(file.head) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        layout = cls.layout
        return layout.landmark in line and layout.mark.search(clean(line)) is not None

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The runs that the file names, in the order of their first lines; empty when it names none."""
        mark = cls.layout.mark
        if "run" not in mark.groupindex:
            return []
        found = (mark.search(piece.text) for piece in pieces(file))
        return list(dict.fromkeys(m["run"].strip() for m in found if m is not None))

    def read(self) -> Log:
        steps = PrintedSteps(self.layout, self.options.get("run"))
        reading = parse_file(self, steps)
        reading.notes.append(ROUNDED)
        return reading.log(total_steps=steps.total, **self.layout.identity)


def _count(text: str) -> int:
    digits = text.replace(",", "")
    return int(digits) if len(digits) < 19 else MAX_STEP + 1
