"""Reads a growing log as its finished file will be read: bytes in, rows with canonical names out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from rldk.adapters.base import adapters
from rldk.adapters.live.formats import Followed, from_pattern, live_formats, recognise
from rldk.adapters.live.lineformat import OWN_NAMES
from rldk.adapters.live.rowsource import JsonRows, RowSource
from rldk.adapters.live.shaping import Names, Shaper
from rldk.adapters.manifest import configuration
from rldk.adapters.naming.keys import PRESETS, Hints
from rldk.adapters.source import HEAD_BYTES, File, is_head
from rldk.core.model import Rejected, RunMeta
from rldk.core.rows import same_row
from rldk.core.table import Row
from rldk.errors import UnknownName


class ReadOptions(Struct, frozen=True, kw_only=True):
    """How the user wants to read a log. `pattern`: for a text log, see `formats.from_pattern`. `preset`: one of
    `naming.PRESETS`. `path`: the file, beside which its configuration may lie. `step_key`: the step of JSON lines."""

    format: str | None = None
    pattern: str | None = None
    preset: str | None = None
    field_map: Mapping[str, str] = field(default_factory=dict)
    step_key: str | None = None
    path: str | os.PathLike[str] | None = None


class LiveReader:
    """Reads one log while it grows.

    The first rows decide what the log is: its format, clock, names and algorithm. Until then `feed` gives nothing, and
    `flush` gives the rows as they look so far. When more rows change the decision, `revision` rises and the call
    returns all rows again from the first; the caller starts again with them and the new `meta`. After the decision
    `feed` gives each row as soon as it is complete. After `finish` all rows together are those of the finished file.

    `names` and `estimators` of `meta` grow as metrics appear. Raises `UsageError` and `UnknownName` at the start."""

    def __init__(self, how: ReadOptions | None = None) -> None:
        self._how = how or ReadOptions()
        self._dialects = _dialects(self._how.preset)
        self._form = _form(self._how)
        self._sure = self._form is not None  # more bytes cannot show another format
        self._kept: bytearray | None = bytearray()  # the data so far, until it is decided how to read it
        self._source: RowSource | None = None
        self._shaper: Shaper | None = None
        self._look: RowSource | None = None  # a preliminary reading of the data kept
        self._names = Names()
        self._told: list[Row] = []  # before everything was decided
        self._whole = False  # the caller got more rows than `_told` keeps
        self._fresh = False  # data came since the last flush
        self._trimmed = False  # the reader dropped text that no format recognised
        self.revision = 0
        self.meta = RunMeta(format=self._form.name if self._form else "unknown")

    @property
    def settled(self) -> bool:
        """Whether the rows given are final. The exception is TRL's console, whose closing row may tell the true
        steps."""
        return self._shaper is not None and self._shaper.settled

    @property
    def lines(self) -> int:
        """The number of records so far, including refused ones. Blank lines and other console output do not count."""
        source = self._source or self._look
        return source.lines if source else 0

    @property
    def rejected_count(self) -> int:
        source = self._source or self._look
        return source.rejected_count if source else 0

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """The first refused records, numbered from the first byte that was fed."""
        source = self._source or self._look
        return source.rejected if source else ()

    @property
    def mark(self) -> str:
        """Marks the place, as `RowSource.mark` does."""
        source = self._source or self._look
        return source.mark if source else ""

    def begin(self) -> list[Row]:
        """Announces that the next data is the beginning of a file that replaced the one before; returns rows as `feed`
        does."""
        rows = [] if self._source is not None else self._start()
        if self._source is not None:
            self._source.begin()
        return rows

    def feed(self, data: bytes) -> list[Row]:
        """The rows that `data` completes; none while the log is undecided, see `flush`."""
        self._fresh = self._fresh or bool(data)
        if self._kept is not None:
            self._kept += data
        enough = self._sure or self._enough()
        if self._source is None or (enough and not self._sure and self._another()):
            return self._start() if enough else []
        self._sure = enough
        return self._take(self._source.feed(data))

    def flush(self) -> list[Row]:
        """The rows known by now. Call it when there is no more data for the moment. While the log is undecided, it
        reads the beginning again; after that it costs nothing."""
        if not self._fresh or (self.settled and self._sure):
            return []
        self._fresh = False
        if self._source is not None and not self._sure and self._another():
            rows = self._start()
            if self.settled:
                return rows
        source, shaper = self._source, self._shaper
        if source is None or shaper is None or not source.settled:
            shaper, rows = self._glance()
            return self._tell(shaper, rows) if shaper else []
        return self._tell(shaper, shaper.draft()) if shaper.grown else []

    def peek(self) -> list[Row]:
        """The rows that `finish` would add if the log ended here. The method changes nothing.

        A row is complete only when the next one begins; this method shows it earlier."""
        source, shaper = self._source, self._shaper
        if source is None or shaper is None or not source.settled:
            shaper, rows = self._glance(finish=True)
        elif shaper.settled:
            return shaper.peek(source.pending())
        else:
            rows = shaper.draft(source.pending(), finish=True)
        return rows[len(self._told) :] if shaper and self._fits(shaper, rows) else []

    def finish(self) -> list[Row]:
        """The rows that were incomplete so far. A last line without newline is read, or refused as torn.

        When the end shows that the data is not a log, `revision` rises and no row is left."""
        lost = self._lost()
        rows = [] if lost else self._finish()
        if lost or self._says_nothing():
            self._forget()
            return []
        return rows

    def _finish(self) -> list[Row]:
        if self._source is None or (not self._sure and self._another()):
            return self._start(finish=True)
        return self._take(self._source.finish(), finish=True)

    def _enough(self) -> bool:
        """Whether the data kept suffices to tell the format of the log."""
        kept = self._kept or b""
        return len(kept) >= HEAD_BYTES and is_head(bytes(kept))

    def _recognised(self) -> Followed | None:
        return recognise(bytes(self._kept or b""), mapped=bool(self._how.field_map))

    def _another(self) -> bool:
        """Whether the log now looks like another format than the one it is read as."""
        form = self._recognised()
        return form is not None and form is not self._form

    def _lost(self) -> bool:
        """Whether all data is still at hand and no format recognises it any more."""
        began = self._source is not None or self._look is not None
        return began and not self._sure and not self._trimmed and self._recognised() is None

    def _says_nothing(self) -> bool:
        """Whether the log is a table of the user's own names in which none means a metric; it is refused at the end."""
        own = self._form is not None and self._form.name == OWN_NAMES
        return own and self._how.format is None and not self.meta.names

    def _forget(self) -> None:
        self.revision += bool(self._told) or self._whole or self.settled
        self._form = self._source = self._shaper = self._look = self._kept = None
        self._told, self._whole, self._sure = [], False, True
        self.meta = RunMeta(format="unknown")

    def _start(self, *, finish: bool = False) -> list[Row]:
        """Reads the data kept in the format that it has by now, and skips text that no format recognises."""
        kept = bytes(self._kept or b"")
        form = self._form if self._sure else self._recognised()
        if form is None:
            from rldk.adapters.late import condense

            self._kept = bytearray() if finish else bytearray(condense(kept, adapters))
            self._trimmed = self._trimmed or len(self._kept) < len(kept)
            return []
        self._whole = self._whole or self.settled
        self._sure = self._sure or finish or self._enough()
        self._form, self._source, self._shaper = form, self._made(form), None
        rows = self._source.feed(kept)
        return self._take(_followed(self._source, rows, self._source.finish) if finish else rows, finish=finish)

    def _take(self, rows: list[Row], *, finish: bool = False) -> list[Row]:
        """Passes on the rows of the source."""
        source, shaper, form = self._source, self._shaper, self._form
        if source is None or form is None:
            return []
        if shaper is None or shaper.source_revision != source.revision:
            self._whole = self._whole or (shaper is not None and shaper.settled)
            shaper = self._shaper = self._shaped(source, form)
        if (source.settled and self._sure) or finish:
            self._kept = None
        if shaper.settled:
            return shaper.take(rows, finish=finish)
        made = shaper.settle(rows, finish=finish)
        return [] if made is None else self._tell(shaper, made)

    def _tell(self, shaper: Shaper, rows: list[Row]) -> list[Row]:
        """The rows to return when these are the rows so far: the new ones, or all of them again."""
        told = len(self._told)
        if self._fits(shaper, rows):
            shaper.adopt(self.meta)
        else:
            self.revision += bool(told or self._whole)
            told = 0
        self.meta, self._whole = shaper.meta, False
        self._told = [] if shaper.settled else rows
        return rows[told:]

    def _fits(self, shaper: Shaper, rows: list[Row]) -> bool:
        told = self._told
        if self._whole or len(rows) < len(told) or shaper.meta != self.meta:
            return False
        return all(map(same_row, told, rows))

    def _glance(self, *, finish: bool = False) -> tuple[Shaper | None, list[Row]]:
        """Reads the data kept as far as possible. If this decides how to read lines, the data is not read again."""
        kept = bytes(self._kept or b"")
        form = (self._form if self._sure else None) or self._recognised()
        if form is None:
            return None, []
        source = self._look = self._made(form)
        rows = source.feed(kept)
        stays = source.settled and not finish
        rows = _followed(source, rows, source.finish if finish else source.early)
        shaper = self._shaped(source, form)
        if stays:
            self._form, self._source, self._shaper = form, source, shaper
            made = shaper.settle(rows)
            return shaper, shaper.draft() if made is None else made
        return shaper, shaper.draft(rows, finish=finish)

    def _made(self, form: Followed) -> RowSource:
        if form.name == "jsonl" and self._how.step_key:
            return JsonRows(step_key=self._how.step_key)
        return form.source()

    def _shaped(self, source: RowSource, form: Followed) -> Shaper:
        hints = Hints(field_map=self._how.field_map, dialects=self._dialects)
        path = self._how.path
        config: dict[str, Any] = {}
        if form.configure is not None:
            config = form.configure(File.beginning(bytes(self._kept or b""), path))
        if path is not None:
            config = configuration(Path(path).parent) | config
        files = () if path is None else (os.fspath(path),)
        return Shaper(form, source, hints, RunMeta(format=form.name, config=config, files=files), self._names)


def _followed(source: RowSource, rows: list[Row], more: Callable[[], list[Row]]) -> list[Row]:
    """The rows with those that come after them, which may be all rows again."""
    revision = source.revision
    found = more()
    return found if source.revision != revision else rows + found


def _form(how: ReadOptions) -> Followed | None:
    if how.pattern is not None:
        return from_pattern(how.pattern)
    if how.format is not None and how.format not in live_formats():
        raise UnknownName("format of a growing log", how.format, live_formats())
    return live_formats()[how.format] if how.format else None


def _dialects(preset: str | None) -> tuple[str, ...]:
    if preset is not None and preset not in PRESETS:
        raise UnknownName("preset", preset, PRESETS)
    return PRESETS[preset] if preset else ()
