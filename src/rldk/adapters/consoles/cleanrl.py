"""Reads what CleanRL's single-file trainers print: a line for each episode, and environment steps per second."""

from __future__ import annotations

import re
from typing import ClassVar

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.reading import Sink, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, number
from rldk.core.records import MAX_STEP
from rldk.core.text import later

_RECORD = later(r"(?:global_step=(?P<step>\d+)|(?P<eval>eval_episode)=\d+), episodic_return=|SPS: ")
_VALUE = later(r"(?:array\()?\[?\s*(?P<value>[\w.+-]+(?P<called>\([^()]*\))?)\s*(?P<closed>\](?:, dtype=\w+\))?)?\s*")
IDENTITY = {"framework": "cleanrl", "dialect": "cleanrl"}
_MARK = later(rb"(?:^|[\r\n])global_step=\d+, episodic_return=")


@adapter
class CleanRLStdout(BaseAdapter):
    """The keys are CleanRL's TensorBoard tags for the same numbers. An SPS line has no step and gets that of the
    episode before it. Evaluation episodes after the training get its last step."""

    name: ClassVar[str] = "cleanrl-stdout"
    describes: ClassVar[str] = "the lines that CleanRL prints"
    quality: ClassVar[int] = 40
    landmark: ClassVar[bytes] = b"episodic_return="
    keeps: ClassVar[str] = "return of every episode, steps per second"
    loses: ClassVar[str] = (
        "losses, entropy and everything else that goes only to TensorBoard; the step of `SPS` lines, which get "
        "that of the episode before them; configuration"
    )
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TextRows(CleanRLLines()), identify=lambda *_: dict(IDENTITY)
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        return 90 if file.is_text and _MARK.search(file.head) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        return _MARK.search(line) is not None

    def read(self) -> Log:
        return parse_file(self, CleanRLLines()).log(**IDENTITY)


class CleanRLLines:
    """Reads each line as one record."""

    def take(self, piece: Piece, sink: Sink) -> None:
        found = _RECORD.search(piece.text)
        if found is not None or piece.broken:
            _take(sink, piece, found)

    def finish(self, sink: Sink) -> None:
        """Does nothing: no record is ever left open."""


def _take(reading: Sink, piece: Piece, found: re.Match[str] | None) -> None:
    told = _VALUE.fullmatch(piece.text, found.end()) if found is not None else None
    value = number(told["value"]) if told is not None else None
    step = int(found["step"]) if found is not None and found["step"] and len(found["step"]) < 20 else reading.step
    if found is None or told is None or value is None or step > MAX_STEP:
        reading.reject(
            piece.line, piece.offset, piece.broken or "the line does not hold exactly one number", piece.text
        )
    elif not piece.whole and not (told["closed"] or told["called"]):
        reading.reject(piece.line, piece.offset, "the last line is torn", piece.text)
    elif found["eval"]:
        reading.row(step, {"eval/episodic_return": value}, phase="eval")
    else:
        reading.row(step, {"charts/episodic_return" if found["step"] else "charts/SPS": value})
