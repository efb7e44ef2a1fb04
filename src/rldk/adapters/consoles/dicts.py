"""Reads the Python dicts of numbers that a trainer prints at each step: slime, SkyRL and home-made loops."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.live.lineformat import LineFormat, by_keys
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.naming.goals import says_goal
from rldk.adapters.reading import Sink, glimpse, parse_file, phase_of
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, clean, dict_items, number, without_prefix
from rldk.core.records import STEP_KEYS, BadLine, to_step
from rldk.core.text import later

MAX_JOINED = 400  # lines of one dict; SkyRL prints one of 60 keys on as many
MAX_CHARS = 1 << 16
_MARK = later(
    r"\b(?P<word>(?:global[ _])?step|rollout|iteration|iter|epoch|episode|update|eval|perf|train)"
    r" ?#?\[?(?P<step>\d{1,18})\]?(?:/\d{1,18})? {0,3}[:|-]? {0,3}(?:metrics: |logs: )?(?=\{['\"]|$)",
    re.IGNORECASE,
)
_CLOCKS = (*STEP_KEYS, "episode", "update", "iter", "train/step", "rollout/step", "eval/step")
_BEGIN = later(r"\{['\"]")
_SLIME = frozenset({"rollout/raw_reward", "rollout/rewards", "train/train_rollout_logprob_abs_diff", "train/pg_loss"})


def identity(keys: Any) -> dict[str, Any]:
    """The fields of `Log` that name the trainer behind these keys."""
    names = frozenset(keys)
    if names & _SLIME:
        return {"framework": "slime", "dialect": "slime"}
    if "trainer/global_step" in names or "policy/final_loss" in names:
        return {"framework": "skyrl", "dialect": "skyrl"}
    return {}


class PrintedDicts:
    """Reads each dict as a record. The step is in the dict or in the words before it ("rollout 3: {...}").

    A dict may span several lines. The reader leaves out values that are not numbers, and skips a dict without a
    step."""

    def __init__(self) -> None:
        self._told: tuple[str, int] | None = None  # the word and the step on the line before the dict
        self._open: Piece | None = None
        self._joined = 0

    def take(self, piece: Piece, sink: Sink) -> None:
        if self._open is not None:
            self._join(self._open, piece, sink)
            return
        if piece.broken:
            sink.reject(piece.line, piece.offset, piece.broken)
            return
        mark, begin = _MARK.search(piece.text), _BEGIN.search(piece.text)
        if begin is None:
            self._told = (mark["word"].lower(), int(mark["step"])) if mark is not None else None
            return
        if mark is not None:
            self._told = (mark["word"].lower(), int(mark["step"])) if mark.end() == begin.start() else None
        self._open, self._joined = piece._replace(text=piece.text[begin.start() : begin.start() + MAX_CHARS]), 0
        self._close(sink, last=not piece.whole)

    def finish(self, sink: Sink) -> None:
        if self._open is not None:
            self._close(sink, last=True)

    def _join(self, opened: Piece, piece: Piece, sink: Sink) -> None:
        self._joined += 1
        text = f"{opened.text}\n{without_prefix(piece.text)}"
        self._open = opened._replace(text=text[:MAX_CHARS], broken=piece.broken)
        last = bool(piece.broken) or not piece.whole or self._joined >= MAX_JOINED or len(text) >= MAX_CHARS
        if last or "}" in piece.text:
            self._close(sink, last=last)

    def _close(self, sink: Sink, *, last: bool) -> None:
        """Takes the dict if it is complete. With `last`, it refuses an incomplete dict that has a step."""
        piece = self._open
        found = dict_items(piece.text) if piece is not None else None
        if piece is None or (found is None and not last):
            return
        told, self._told, self._open = self._told, None, None
        if found is not None:
            self._put(piece, found[0], told, sink)
        elif told is not None or piece.broken:
            sink.reject(piece.line, piece.offset, piece.broken or "the end of the dict is missing", piece.text)

    def _put(self, piece: Piece, shown: dict[str, str], told: tuple[str, int] | None, sink: Sink) -> None:
        values = {key: value for key, text in shown.items() if (value := number(text)) is not None}
        clock = next((key for key in _CLOCKS if key in values), None)
        try:
            step = to_step(values[clock]) if clock is not None else told[1] if told is not None else None
        except BadLine as error:
            sink.reject(piece.line, piece.offset, str(error), piece.text)
            return
        if step is None:
            return
        values = {key: value for key, value in values.items() if key != clock}
        if values:
            sink.row(step, values, phase="eval" if told is not None and told[0] == "eval" else phase_of(values))


@adapter
class PrintedDictsConsole(BaseAdapter):
    """Each dict is one line of the log. Its numbers may be texts ('0.1234')."""

    name: ClassVar[str] = "dict-console"
    describes: ClassVar[str] = "Python dicts of numbers that slime, SkyRL and home-made loops print"
    quality: ClassVar[int] = 40
    uncounted: ClassVar[bytes] = b"{'"
    keeps: ClassVar[str] = "every number that is printed"
    loses: ClassVar[str] = "digits beyond those shown; wall time; configuration"
    lines: ClassVar[LineFormat | None] = LineFormat(source=lambda: TextRows(PrintedDicts()), identify=by_keys(identity))

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text or (b"{'" not in file.head and b'{"' not in file.head):
            return 0
        return 70 if _is_training(file.head) else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        announced = b" - " in line and line.rstrip().endswith(b":")  # SkyRL: the dict begins on the next line
        if b"{'" not in line and not announced:
            return False
        text = clean(line)
        mark = _MARK.search(text)
        return mark is not None or any(f"'{key}':" in text for key in _CLOCKS)

    def read(self) -> Log:
        log = parse_file(self, PrintedDicts()).log()
        return replace(log, **identity(opening_of(log.table).keys))


def _is_training(head: bytes) -> bool:
    """Whether at least two dicts with a step name a goal of training. JSON is another format."""
    if head.lstrip()[:2] == b'{"':
        return False
    return sum(says_goal(values) for _, values, _ in glimpse(PrintedDicts(), head)) > 1
