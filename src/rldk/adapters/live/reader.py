"""A log that grows, read as its finished file will be: bytes in, rows in canonical names out, whatever the chunks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from rldk.adapters.base import adapters
from rldk.adapters.formats.flexible import FlexibleAdapter
from rldk.adapters.late import condense
from rldk.adapters.live.formats import Followed, from_pattern, live_formats, recognise
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
    """How the user says a log is to be read. `pattern`: of a text log, see `formats.patterned`; `preset`: one of
    `naming.PRESETS`; `path`: of the file, beside which its configuration may lie; `step_key`: of JSON lines."""

    format: str | None = None
    pattern: str | None = None
    preset: str | None = None
    field_map: Mapping[str, str] = field(default_factory=dict)
    step_key: str | None = None
    path: str | os.PathLike[str] | None = None


class LiveReader:
    """Reads one log while it grows.

    What the log is - format, clock, names, algorithm - is settled by its first rows. Until then `feed` gives nothing,
    and `flush` gives the rows as they look so far; should more rows settle it otherwise, `revision` rises and the call
    returns all rows anew, from the first: whoever follows starts again with them and the new `meta`. From then on
    `feed` gives each row when it is whole. After `finish` all rows together are those of the finished file.

    `names` and `estimators` of `meta` grow as metrics appear. Raises `UsageError` and `UnknownName` at the start."""

    def __init__(self, how: ReadOptions | None = None) -> None:
        self._how = how or ReadOptions()
        self._dialects = _dialects(self._how.preset)
        self._form = _form(self._how)
        self._sure = self._form is not None  # more bytes cannot show another format
        self._kept: bytearray | None = bytearray()  # what came, until it is settled how it is read
        self._source: RowSource | None = None
        self._shaper: Shaper | None = None
        self._look: RowSource | None = None  # at what was kept, for the time being
        self._names = Names()
        self._told: list[Row] = []  # before all was settled
        self._whole = False  # more was told than `_told` keeps
        self._fresh = False  # something came since the last flush
        self._trimmed = False  # text that no format recognised was dropped
        self.revision = 0
        self.meta = RunMeta(format=self._form.name if self._form else "unknown")

    @property
    def settled(self) -> bool:
        """What is told cannot change any more (but for what TRL prints: its closing row may tell the true steps)."""
        return self._shaper is not None and self._shaper.settled

    @property
    def lines(self) -> int:
        """Records so far, refused ones among them; blank lines and what a console prints beside are none."""
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
        """As of `RowSource`."""
        source = self._source or self._look
        return source.mark if source else ""

    def begin(self) -> list[Row]:
        """Says that what is fed next is the beginning of a file, which took the place of the one before; the rows as
        `feed` gives them."""
        rows = [] if self._source is not None else self._start()
        if self._source is not None:
            self._source.begin()
        return rows

    def feed(self, data: bytes) -> list[Row]:
        """The rows that `data` completes; none while the log is not settled, see `flush`."""
        self._fresh = self._fresh or bool(data)
        if self._kept is not None:
            self._kept += data
        enough = self._sure or self._enough()
        if self._source is None or (enough and not self._sure and self._another()):
            return self._start() if enough else []
        self._sure = enough
        return self._take(self._source.feed(data))

    def flush(self) -> list[Row]:
        """The rows that can be told by now. Call it when no more data is there for the moment; while the log is not
        settled it reads the beginning again, after that it costs nothing."""
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
        """The rows that `finish` would add now, if the log ended here; nothing is changed.

        A row is whole only when the next one begins; until then this is how to see it."""
        source, shaper = self._source, self._shaper
        if source is None or shaper is None or not source.settled:
            shaper, rows = self._glance(finish=True)
        elif shaper.settled:
            return shaper.peek(source.pending())
        else:
            rows = shaper.draft(source.pending(), finish=True)
        return rows[len(self._told) :] if shaper and self._fits(shaper, rows) else []

    def finish(self) -> list[Row]:
        """The rows that were not yet whole. A last line without its newline is read, or refused as torn.

        What only looked like a log before its end was here gives none: `revision` rises, and nothing is left."""
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
        """What was kept shows the format of the log as well as all of it would."""
        kept = self._kept or b""
        return len(kept) >= HEAD_BYTES and is_head(bytes(kept))

    def _recognised(self) -> Followed | None:
        return recognise(bytes(self._kept or b""), mapped=bool(self._how.field_map))

    def _another(self) -> bool:
        """By now the log looks like another format than the one it is read as."""
        form = self._recognised()
        return form is not None and form is not self._form

    def _lost(self) -> bool:
        """All that came is at hand, and no format recognises it any more."""
        began = self._source is not None or self._look is not None
        return began and not self._sure and not self._trimmed and self._recognised() is None

    def _says_nothing(self) -> bool:
        """A table of the user's own names without one that says a metric is refused when it is finished."""
        own = self._form is not None and self._form.name == FlexibleAdapter.name
        return own and self._how.format is None and not self.meta.names

    def _forget(self) -> None:
        self.revision += bool(self._told) or self._whole or self.settled
        self._form = self._source = self._shaper = self._look = self._kept = None
        self._told, self._whole, self._sure = [], False, True
        self.meta = RunMeta(format="unknown")

    def _start(self, *, finish: bool = False) -> list[Row]:
        """Reads what was kept, in the format it has by now. What no format recognises is passed over."""
        kept = bytes(self._kept or b"")
        form = self._form if self._sure else self._recognised()
        if form is None:
            self._kept = bytearray() if finish else bytearray(condense(kept, adapters))
            self._trimmed = self._trimmed or len(self._kept) < len(kept)
            return []
        self._whole = self._whole or self.settled
        self._sure = self._sure or finish or self._enough()
        self._form, self._source, self._shaper = form, self._made(form), None
        rows = self._source.feed(kept)
        return self._take(_followed(self._source, rows, self._source.finish) if finish else rows, finish=finish)

    def _take(self, rows: list[Row], *, finish: bool = False) -> list[Row]:
        """Passes on what the source gave."""
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
        """What to return when the rows so far are these: those not told before, or all anew."""
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
        """What was kept, read as far as it goes; if that settles how lines are read, it is not read again."""
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
    """The rows with those that come after them, which may be all of them anew."""
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
