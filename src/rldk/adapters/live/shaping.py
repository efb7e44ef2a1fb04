"""Renames the rows of one log to canonical names, as soon as enough rows show what the log is."""

from __future__ import annotations

from msgspec.structs import replace

from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.rowsource import RowSource
from rldk.adapters.naming.first_rows import Opening
from rldk.adapters.naming.keys import Hints, Naming, clock_label, decide_naming
from rldk.adapters.naming.rows import Renamer, with_phase
from rldk.core.model import RunMeta
from rldk.core.rows import Joiner, has_joinable, opening_length
from rldk.core.table import Row


class Names:
    """The names of one log. They are worked out again only when more rows of the opening may change them, because ten
    thousand keys take a second."""

    def __init__(self) -> None:
        self._key: object = None
        self._naming: Naming | None = None

    def forget(self) -> None:
        self._key, self._naming = None, None

    def decide(self, opening: Opening, hints: Hints) -> Naming:
        evaluated = frozenset(key for row in opening.rows if row.phase == "eval" for key in row.values)
        alike = len(set(opening.cover.values())) <= 1  # no key covers more rows than another
        key = (hints.framework, hints.dialect, hints.algorithm, opening.keys, evaluated) if alike else None
        if self._naming is None or self._naming.valued or key is None or key != self._key:
            self._naming = decide_naming(opening, hints, propose=True)
            self._key = key
        return self._naming


class Shaper:
    """Joins and renames the rows of a log and gives them phases. `meta`: the facts about the log. `known`: the facts
    known before its first row.

    Until the log is `settled`, the shaper keeps the rows, and `draft` shows them as they look so far."""

    def __init__(self, form: LineFormat, source: RowSource, hints: Hints, known: RunMeta, names: Names) -> None:
        self.source_revision = source.revision
        self.settled = False
        self.grown = False  # some rows have not been in a draft
        self.meta = known
        self._form = form
        self._source = source
        self._hints = hints
        self._names = names
        self._raw: list[Row] = []
        self._joiner: Joiner | None = None
        self._renamer: Renamer | None = None

    def settle(self, rows: list[Row], *, finish: bool = False) -> list[Row] | None:
        """All rows so far when they suffice to decide what the log is, else None."""
        self._raw += rows
        self.grown = self.grown or bool(rows)
        if not finish and opening_length(self._raw) is None:
            return None
        joined = self._joined(self._raw, finish=finish)
        if not finish and not Opening(joined).full:
            return None
        self.settled, self.grown, self._raw = True, False, []
        made = self._renamed(joined)
        self._names.forget()  # it grows from now on
        return made

    def draft(self, more: list[Row] | None = None, *, finish: bool = False) -> list[Row]:
        """All rows so far, named as these rows alone would decide. The rows in `more` count but are not kept."""
        self.grown = self.grown and bool(more)
        return self._renamed(self._joined([*self._raw, *(more or ())], finish=finish))

    def adopt(self, meta: RunMeta) -> None:
        """Continues with an equal `meta` that is in use already."""
        if self._renamer is not None:
            self._renamer.naming.names, self._renamer.naming.estimators = meta.names, meta.estimators
        self.meta = meta

    def take(self, rows: list[Row], *, finish: bool = False) -> list[Row]:
        """The complete rows of a settled log."""
        if self._joiner is not None:
            rows = self._joiner.feed(rows) + (self._joiner.finish() if finish else [])
        renamer = self._renamer
        if renamer is None:
            return []
        if self._form.keeps is None and self._form.phase is None:
            return [renamer.rename(row) for row in rows]
        return [renamer.rename(self._phased(row)) for row in rows]

    def peek(self, more: list[Row]) -> list[Row]:
        """The rows that `take` would give if the log ended with `more`. The method changes nothing."""
        if self._joiner is not None:
            joiner = Joiner()
            joiner.pending = self._joiner.pending
            more = joiner.feed(more) + joiner.finish()
        renamer = self._renamer
        return [renamer.preview(self._phased(row)) for row in more] if renamer else []

    def _joined(self, rows: list[Row], *, finish: bool) -> list[Row]:
        """The rows, those of a step in one where the opening shows such, as far as they are whole."""
        parts = self._form.joins and has_joinable(rows[: opening_length(rows)])
        self._joiner = Joiner() if parts else None
        if self._joiner is not None:
            rows = self._joiner.feed(rows) + (self._joiner.finish() if finish else [])
        return [self._phased(row) for row in rows]

    def _phased(self, row: Row) -> Row:
        keeps = self._form.keeps
        if keeps is not None:
            row = replace(row, values={key: value for key, value in row.values.items() if keeps(key)})
        return with_phase(row, self._form.phase)

    def _renamed(self, rows: list[Row]) -> list[Row]:
        """The rows, with the names that their opening decides."""
        opening = Opening(rows)
        told = self._form.identify(opening, self._source.text)
        if self._hints.dialects and told.get("dialect") not in self._hints.dialects:
            told = {}  # the user decides
        notes = told.pop("notes", ())
        hints = replace(self._hints, **told)
        if self._form.guess is not None:
            given = dict(hints.field_map or {})
            hints = replace(hints, field_map={**given, **self._form.guess(opening, given)})
        naming = self._names.decide(opening, hints)
        self._renamer = Renamer(naming)
        self.meta = self._described(naming, notes)
        return [self._renamer.rename(row) for row in rows]

    def _described(self, naming: Naming, notes: tuple[str, ...]) -> RunMeta:
        return replace(
            self.meta,
            framework=naming.framework,
            algorithm=naming.algorithm,
            total_steps=self._source.total_steps,
            clock=clock_label(self._source.clock),
            names=naming.names,
            estimators=naming.estimators,
            notes=(*self._source.notes, *notes),
        )
