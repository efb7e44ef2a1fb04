"""Reads the terminal output of Ray Tune: "Result for TRIAL:" and an indented tree, at most every few seconds."""

from __future__ import annotations

import math
from typing import ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.rllib import CLOCK, identity, is_metric
from rldk.adapters.live.lineformat import LineFormat, by_keys
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.reading import Sink, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, number, pieces
from rldk.core.records import BadLine, to_step, to_time
from rldk.core.text import later

_TITLE = later(r"Result for (?P<trial>\S+):")
_LEAF = later(r"(?P<indent> +)(?P<key>[^\s:-][^:]*):(?: (?P<value>.*))?")
_HEAD_TITLE = later(rb"(?:^|[\r\n])Result for \S+:\r?\n  +\S")
_SPECIAL = {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf, "true": 1.0, "false": 0.0}


class PrintedResult(Struct):
    """A printed result: its trial, where it begins, its leaves by flat key, and the open branches."""

    trial: str
    start: Piece
    leaves: dict[str, str] = field(default_factory=dict)
    branches: list[tuple[int, str]] = field(default_factory=list)

    def leaf(self, indent: int, key: str, value: str) -> None:
        while self.branches and self.branches[-1][0] >= indent:
            self.branches.pop()
        path = "/".join([*(name for _, name in self.branches), key.strip("'\"")])
        if value:
            self.leaves[path] = value
        elif len(self.branches) < 16:
            self.branches.append((indent, key.strip("'\"")))


@adapter
class RLlibStdout(BaseAdapter):
    """Each result is one line of the log. Tune skips results that come too fast, so some iterations are missing."""

    name: ClassVar[str] = "rllib-stdout"
    describes: ClassVar[str] = "results that Ray Tune prints for RLlib"
    quality: ClassVar[int] = 30
    keeps: ClassVar[str] = "every digit and the wall time of the iterations that are printed"
    loses: ClassVar[str] = (
        "iterations: Tune prints at most one result every few seconds (14 of 25 in the run measured); configuration"
    )
    lines: ClassVar[LineFormat | None] = LineFormat(source=lambda: TextRows(RLlibBlocks()), identify=by_keys(identity))

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text:
            return 0
        if _HEAD_TITLE.search(file.head):
            return 90 if CLOCK.encode() in file.head else 60
        return 50 if b"== Status ==" in file.head and b"Number of trials: " in file.head else 0

    @classmethod
    def runs(cls, file: File) -> list[str]:
        """The trials with printed results, in the order of their first result."""
        found = (_TITLE.fullmatch(piece.text) for piece in pieces(file))
        return list(dict.fromkeys(title["trial"] for title in found if title is not None))

    def read(self) -> Log:
        wanted = self.options.get("run")
        blocks = RLlibBlocks(wanted)
        reading = parse_file(self, blocks)
        if blocks.others and not wanted:
            reading.notes.append(
                f"rldk did not read the results of {len(blocks.others)} other trials, such as {min(blocks.others)}"
            )
        log = reading.log()
        return replace(log, **identity(opening_of(log.table).keys))


class RLlibBlocks:
    """Gathers the leaves of a result until its indentation ends. With several trials it reads `wanted`, else the
    first."""

    def __init__(self, wanted: str | None = None) -> None:
        self.others: set[str] = set()
        self._wanted = wanted
        self._block: PrintedResult | None = None

    def take(self, piece: Piece, sink: Sink) -> None:
        title, leaf = _TITLE.fullmatch(piece.text), _LEAF.fullmatch(piece.text)
        if piece.broken:
            sink.reject(piece.line, piece.offset, piece.broken)
        elif title is not None:
            self.finish(sink)
            self._block = PrintedResult(title["trial"], piece)
        elif self._block is not None and leaf is not None:
            if piece.whole:  # otherwise the number may be cut
                self._block.leaf(len(leaf["indent"]), leaf["key"], leaf["value"] or "")
        elif not piece.text.startswith(" "):
            self.finish(sink)

    def finish(self, sink: Sink) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        self._wanted = self._wanted or block.trial
        if block.trial == self._wanted:
            _take(sink, block)
        else:
            self.others.add(block.trial)


def _take(reading: Sink, block: PrintedResult) -> None:
    try:
        step = to_step(block.leaves.get(CLOCK))
    except BadLine as error:
        reading.reject(block.start.line, block.start.offset, str(error), block.start.text)
        return
    if step is None:
        reading.reject(block.start.line, block.start.offset, f"the result is cut off before {CLOCK}", block.start.text)
        return
    numbers = {k: _SPECIAL[t] if t in _SPECIAL else number(t) for k, t in block.leaves.items() if is_metric(k)}
    values = {key: value for key, value in numbers.items() if value is not None and key != CLOCK}
    reading.row(step, values, time=to_time(block.leaves.get("timestamp")))
