"""Reads OpenRLHF on the terminal: each step has an INFO line that ends in a Python dict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter, adapters
from rldk.adapters.live.lineformat import LineFormat, by_keys
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.reading import Sink, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece, dict_items, number
from rldk.core.records import BadLine, to_step
from rldk.core.text import later
from rldk.errors import NotALog

MAX_JOINED = 64
_MARK = later(r"(?:Global step (?P<train>\d+)(?: \[[^\]]*\])?: |global_step (?P<eval>\d+), eval_metrics: )(?=\{)")
_HEAD_MARK = later(rb"\xe2\x9c\xa8 Global step \d+(?: \[[^\]]*\])?: \{")
_LOG_PREFIX = later(r"(?:INFO|WARNING|ERROR|DEBUG) \d\d-\d\d \d\d:\d\d:\d\d \S+\] ?")
_CRITIC, _ACTOR = frozenset({"critic_loss"}), frozenset({"policy_loss", "ppo_kl", "ppo_clip_ratio"})
_NO_CRITIC = "OpenRLHF does not log its advantage estimator: the run has no critic, so rldk reads it as GRPO"


def identity(keys: Iterable[str]) -> dict[str, Any]:
    """The fields of `Log` that name the trainer behind these keys."""
    names = frozenset(keys)
    algorithm = "ppo" if _CRITIC & names else "grpo" if _ACTOR & names else None
    return {"framework": "openrlhf", "dialect": "openrlhf", "algorithm": algorithm}


@adapter
class OpenRLHFConsole(BaseAdapter):
    """Each `Global step N: {...}` is one line of the log. None counts as missing. When a value spans several lines, the
    logger repeats its prefix on each of them."""

    name: ClassVar[str] = "openrlhf-console"
    describes: ClassVar[str] = "the lines that OpenRLHF prints"
    quality: ClassVar[int] = 60
    landmark: ClassVar[bytes] = b"Global step "
    keeps: ClassVar[str] = "every digit of training metrics"
    loses: ClassVar[str] = "evaluation metrics (in the run measured), wall time, configuration, the advantage estimator"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TextRows(OpenRLHFRecords()), identify=by_keys(identity)
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        if not file.is_text:
            return 0
        if _HEAD_MARK.search(file.head):
            return 95
        return 60 if b"openrlhf" in file.head and b"(PPOTrainer pid=" in file.head else 0

    @classmethod
    def marks(cls, line: bytes) -> bool:
        return _HEAD_MARK.search(line) is not None

    def read(self) -> Log:
        log = parse_file(self, OpenRLHFRecords()).log()
        fields = identity(opening_of(log.table).keys)
        if fields["algorithm"] == "grpo":
            log = replace(log, notes=(*log.notes, _NO_CRITIC))
        return replace(log, **fields)


class OpenRLHFRecords:
    """Begins a record at its mark and joins a dict that spans several pieces."""

    def __init__(self) -> None:
        self._open: Piece | None = None
        self._joined = 0

    def take(self, piece: Piece, sink: Sink) -> None:
        found = _MARK.search(piece.text)
        if found is not None or piece.broken:
            self.finish(sink)
            self._open = piece._replace(text=piece.text[found.start() :] if found else "")
            self._joined = 0
        elif self._open is not None:
            text = self._open.text + "\n" + _LOG_PREFIX.sub("", piece.text, count=1)
            self._open = self._open._replace(text=text, whole=piece.whole)
            self._joined += 1
        opened = self._open
        if opened is not None and (self._joined >= MAX_JOINED or opened.broken or _values(opened.text) is not None):
            self.finish(sink)

    def finish(self, sink: Sink) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            _take(sink, opened)


def _values(text: str) -> dict[str, float] | None:
    """The numbers of the dict in a record; None when the dict is incomplete."""
    mark = _MARK.match(text)
    found = dict_items(text, mark.end()) if mark is not None else None
    if found is None:
        return None
    return {key: value for key, shown in found[0].items() if (value := number(shown)) is not None}


def _take(reading: Sink, piece: Piece) -> None:
    mark, values = _MARK.match(piece.text), _values(piece.text)
    if mark is None or values is None:
        reading.reject(piece.line, piece.offset, piece.broken or "the end of the dict is missing", piece.text)
        return
    try:
        step = to_step(mark["train"] or mark["eval"]) or 0
    except BadLine as error:
        reading.reject(piece.line, piece.offset, str(error), piece.text)
        return
    only_eval = bool(values) and all(key.startswith("eval_") for key in values)
    reading.row(step, values, phase="eval" if mark["eval"] or only_eval else "train")


class OpenRLHFAdapter(BaseAdapter):
    """Reads any log of OpenRLHF. TensorBoard comes before the console, because it keeps all digits."""

    name: ClassVar[str] = "openrlhf"
    describes: ClassVar[str] = "OpenRLHF run in any of its formats"
    quality: ClassVar[int] = 80
    gathers: ClassVar[bool] = True
    formats: ClassVar[tuple[str, ...]] = ("tensorboard", "openrlhf-console")

    @classmethod
    def sniff(cls, file: File) -> int:
        return max(adapters.get(name).sniff(file) for name in cls.formats)

    def read(self) -> Log:
        for kind in map(adapters.get, self.formats):
            paths = [f.path for f in self.files if kind.sniff(f) > 0]
            if paths:
                log = kind(paths, **self.options).read()
                return replace(log, framework="openrlhf", dialect=log.dialect or "openrlhf")
        raise NotALog(f"{self.source} holds no {self.describes}", hint="rldk format-info PATH shows what it is")
