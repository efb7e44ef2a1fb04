"""A run that is reread as a whole whenever its files have changed. Its new content comes as rows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from rldk.adapters.live.choice import Choice
from rldk.core.model import Run, RunMeta
from rldk.core.rows import same_row
from rldk.core.table import MetricTable, Row
from rldk.engine.scan import context_of, rows_of, rule_columns
from rldk.errors import InputError, MissingExtra, NoData, NotALog
from rldk.monitor.pace import Pace
from rldk.monitor.summary import SourceStats, source_stats
from rldk.rules.rule import Context

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rldk.adapters.base import BaseAdapter

SETTLE_S = 1.0  # a file that changes at every look is still read after this time


class DocumentFeed:
    """The rows of a run that is reread as a whole. All rows together are those of the finished run.

    The rows of the last step wait, because more of that step may come; `peek` shows them. When rows that were given
    change, or the run turns out to be another one, all rows come again. A half-written file repeats the first rows and
    adds none. It changes nothing until `finish`. Reading takes at most a twentieth of the time."""

    busy = False
    ended = False

    def __init__(
        self,
        choice: Choice,
        run: str,
        field_map: Mapping[str, str],
        *,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = run
        self.source = str(choice.root)
        self.restarted = False
        self.position = 0
        self.identity = ""
        self.context: Context | None = None
        self._choice = choice
        self._field_map = field_map
        self._warn = warn
        self._clock = clock
        self._pace = Pace(clock)
        self._glances = Pace(clock)  # a store may have thousands of files
        self._kept: dict[tuple[Path, ...], BaseAdapter] = {}
        self._known: object = None  # the stamps of the files at the last reading
        self._seen: object = None  # the stamps at the last look
        self._since = clock()
        self._run: Run | None = None
        self._given = 0
        self._rows: list[Row] = []  # the given rows of a run with samples; they hold more than its table
        self._waiting: list[Row] = []
        self._why = ""  # why nothing could be read the last time
        self._anew = False  # the next rows are all rows from the first

    def turn(self, choice: Choice) -> None:
        """Continues with more, or other, files of the run."""
        self._choice, self._known = choice, None

    def poll(self) -> list[Row]:
        self.restarted = False
        return self._look() if self._due() else []

    def peek(self) -> list[Row]:
        return self._waiting

    def finish(self) -> list[Row]:
        self.restarted = False
        rows = self._look(finish=True)
        if self._run is None and self._why:
            self._warn(self._why)
        return rows

    def stats(self) -> SourceStats:
        run = self._run
        if run is None:
            return source_stats(self.source, RunMeta(format="unknown"))
        return source_stats(self.source, run.meta, (run.lines, run.rejected_count, run.rejected))

    def _due(self) -> bool:
        """Whether the files have changed since they were read and nobody is writing to them now."""
        if not self._glances.due():
            return False
        with self._glances.measure():
            stamps, now = self._choice.stamps(), self._clock()
        if stamps == self._known:
            return False
        if stamps != self._seen:
            self._since = now if self._seen == self._known else self._since
            self._seen = stamps
            if now - self._since < SETTLE_S:
                return False
        return self._pace.due()

    def _look(self, *, finish: bool = False) -> list[Row]:
        self._known = self._seen = self._choice.stamps()
        self.position += 1
        with self._pace.measure():
            run = self._read()
            return [] if run is None else self._new(run, finish=finish)

    def _read(self) -> Run | None:
        try:
            return self._choice.read(self._field_map, self._kept)
        except OSError:  # not possible just now
            return None
        except (InputError, MissingExtra) as error:
            why = f"{error.message}; {error.hint}"
            early = isinstance(error, NoData | NotALog) or not all(path.exists() for path in self._choice.files)
            if not early and why != self._why:
                self._warn(why)
            self._why = why
            return None

    def _new(self, run: Run, *, finish: bool) -> list[Row]:
        """The rows that were not returned yet; all rows if earlier ones have changed."""
        table, before = rule_columns(run), self._run
        n = len(table)
        if before is not None:
            given = min(self._given, n)
            same = _same_rows(rule_columns(before), table, given) and self._same_samples(run, given)
            if same and n < self._given and not finish:
                return []
            if same and n >= self._given and self._same_context(run):
                return self._give(run, table, finish=finish)
            self._anew = self._anew or self._given > 0
        self._given, self._rows = 0, []
        self.context, self.identity = context_of(run.meta), _identity(run)
        return self._give(run, table, finish=finish)

    def _give(self, run: Run, table: MetricTable, *, finish: bool) -> list[Row]:
        """The rows that are new and whole."""
        end = len(table) if finish else max(self._given, _whole(table))
        new = list(islice(rows_of(run), self._given, None)) if run.samples else list(_behind(table, self._given).rows())
        count = end - self._given
        self._run, self._given, self._waiting = run, end, new[count:]
        if run.samples is not None:
            self._rows += new[:count]
        if count:
            self.restarted, self._anew = self._anew, False
        return new[:count]

    def _same_samples(self, run: Run, given: int) -> bool:
        return not self._rows or all(map(same_row, self._rows[:given], rows_of(run)))

    def _same_context(self, run: Run) -> bool:
        """Whether the rules' context is the same. New names and estimators of new metrics are added to it."""
        now, context = context_of(run.meta), self.context
        if context is None or replace(now, names=context.names, estimators=context.estimators) != context:
            return False
        pairs = ((context.names, now.names), (context.estimators, now.estimators))
        if not all(known.items() <= told.items() for known, told in pairs):
            return False
        for known, told in pairs:
            cast("dict[str, str]", known).update(told)
        return True


def _whole(table: MetricTable) -> int:
    """The number of rows before those of the last step."""
    n = len(table)
    if not n:
        return 0
    last = (table.step == table.step[-1]) & (table.segment == table.segment[-1])
    return n - int(last[::-1].argmin()) if not last.all() else 0


def _behind(table: MetricTable, start: int) -> MetricTable:
    """The rows from number `start` on."""
    stated = {name: rows[rows >= start] - start for name, rows in table.stated_nan.items()}
    return MetricTable(
        step=table.step[start:],
        columns={name: column[start:] for name, column in table.columns.items()},
        phase=table.phase[start:],
        segment=table.segment[start:],
        time=table.time[start:],
        stated_nan={name: rows for name, rows in stated.items() if rows.size},
    )


def _same_rows(a: MetricTable, b: MetricTable, n: int) -> bool:
    """Whether the first `n` rows of both are the same. Their times are not compared."""
    if any((x[:n] != y[:n]).any() for x, y in ((a.step, b.step), (a.phase, b.phase), (a.segment, b.segment))):
        return False
    return all(_same_column(a, b, name, n) for name in a.columns.keys() | b.columns.keys())


def _same_column(a: MetricTable, b: MetricTable, name: str, n: int) -> bool:
    x, y = a.columns.get(name), b.columns.get(name)
    if x is None or y is None:
        return not _stated(a, name, n).size and not _stated(b, name, n).size and _empty(x, n) and _empty(y, n)
    same = (x[:n] == y[:n]) | ((x[:n] != x[:n]) & (y[:n] != y[:n]))
    return bool(same.all()) and _stated(a, name, n).tolist() == _stated(b, name, n).tolist()


def _empty(column: NDArray[np.float64] | None, n: int) -> bool:
    return column is None or not (column[:n] == column[:n]).any()


def _stated(table: MetricTable, name: str, n: int) -> NDArray[np.int64]:
    """The rows before number `n` where the source itself says NaN."""
    rows = table.stated_nan.get(name)
    return table.step[:0] if rows is None else rows[rows < n]


def _identity(run: Run) -> str:
    """A digest of the first row and of the format. It identifies the run when the monitor restarts."""
    first = next(rule_columns(run).rows(), None)
    told = [] if first is None else [first.step, first.time, sorted(first.values.items())]
    return hashlib.sha256(repr([run.meta.format, told]).encode()).hexdigest()[:16]
