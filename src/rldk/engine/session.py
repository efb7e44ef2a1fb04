"""Rows in, alerts and a report out: the one way in which anything follows a run, live or afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from rldk.core.model import Alert, Finding, Report
from rldk.core.table import Row
from rldk.engine.alerts import Alerts, alert_of
from rldk.engine.blocks import are_short, blocks, pays_numpy
from rldk.engine.evaluate import Begun
from rldk.engine.live import Engine
from rldk.engine.once import look_once
from rldk.engine.report.build import build_report
from rldk.rules.normal import normals
from rldk.rules.rule import Context, Rule

if TYPE_CHECKING:
    from rldk.core.samples import Sample
    from rldk.engine.sample_rows import SampleRows

SOME_BLOCKS = 8  # of rows that are there together: if they are short, stretches of the rows cost less than they


class EngineSession:
    """The rules and what is normal by construction, over the rows of one run.

    The findings are those of `engine.scan` on the same rows, whatever pieces they come in. `alerts`: whether `feed`
    reports what begins, gets worse and ends; without it the work for alerts is saved. `run`: its name in alerts.
    `samples_alone`: there are samples and no rows, so that each step of samples makes a row."""

    def __init__(
        self,
        rules: Sequence[Rule],
        context: Context,
        *,
        run: str = "",
        alerts: bool = True,
        samples_alone: bool = False,
    ) -> None:
        self._run = run
        self._asked = (*rules, *normals)
        self.engine = Engine(self._asked, context)
        self._alerts = Alerts(self.engine, run=run) if alerts else None
        self._begun = False
        # what the configuration and the environment show is known before the first row
        self._known = look_once(self._asked, context, self.engine.inapplicable).findings if alerts else []
        self._samples_alone = samples_alone
        self._sample_rows: SampleRows | None = None

    @property
    def rows(self) -> int:
        return self.engine.rows

    @property
    def last_step(self) -> int | None:
        return self.engine.last_step if self.engine.rows else None

    def feed(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Sequence[Alert]]]:
        """Checks the rows one after the other and yields each with the alerts that it causes. The first row also
        brings the alerts about what was known before it.

        It is much quicker to pass many rows at once. A row is checked only when the iteration reaches it."""
        alerts, beside = self._alerts, self._sample_rows
        for row, begun in self._fed(rows if beside is None else map(beside.join, rows)):
            before = [] if beside is None else self._sample_alerts(row.step)
            own: Sequence[Alert] = alerts.take(row, begun) if alerts and (begun or alerts.waiting) else ()
            if not self._begun:
                self._begun = True
                before = [*(alert_of(finding, row, self._run) for finding in self._known), *before]
            yield row, [*before, *own] if before else own

    def _fed(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Begun]]:
        """Feeds the rows. Those that are there together and not alike are looked at in stretches, which is much quicker
        and changes nothing else."""
        engine, together = self.engine, rows if isinstance(rows, Sequence) else ()
        groups, done = blocks(rows), 0
        while held := list(islice(groups, SOME_BLOCKS if together else 1)):
            if len(held) == SOME_BLOCKS and are_short(held) and pays_numpy(len(together)):
                from rldk.engine.mixed import feed_together  # loads numpy, without which a monitor starts

                yield from feed_together(engine, together[done:])
                return
            for group in held:
                yield from zip(group.rows, engine.take(group), strict=True)
                done += len(group.rows)

    def samples(self, records: Iterable[Sample | Mapping[str, Any]]) -> list[Alert]:
        """Takes per-sample records, in the order of their steps, and returns the alerts of the steps they complete.

        A record is a `Sample`, or a mapping in any spelling of `core/data/samples.yaml`. Give the samples of a step
        before its row, in as many pieces as you like. A step is looked at once a sample of another step, or a row of
        this step or a later one, says that it is complete."""
        return self._look(self._beside().take(records))

    def end_samples(self) -> list[Alert]:
        """Looks at the last step, too: no more samples will come. Call it before the last `report`."""
        return self._look(self._beside().finish())

    def _beside(self) -> SampleRows:
        if self._sample_rows is None:
            from rldk.engine.sample_rows import SampleRows

            self._sample_rows = SampleRows(self.engine, alone=self._samples_alone)
        return self._sample_rows

    def _look(self, rows: Iterable[Row]) -> list[Alert]:
        """Feeds the rows that samples make, if any, and returns all alerts."""
        said = [alert for _, alerts in self.feed(rows) for alert in alerts]
        return said + self._sample_alerts(None)

    def _sample_alerts(self, step: int | None) -> list[Alert]:
        begun = () if self._sample_rows is None else self._sample_rows.begun_until(step)
        alerts = self._alerts
        pairs = [(Row(step=at, values={}), new) for at, new in begun]
        return [alert for row, new in pairs for alert in alerts.take(row, new)] if alerts else []

    def open(self) -> list[Finding]:
        """The findings that are going on, as far as alerts were asked for."""
        known = self._known if self._begun else []
        return [*known, *self._alerts.open()] if self._alerts else []

    def report(
        self, *, meta: dict[str, Any] | None = None, numbers: dict[str, float | int | None] | None = None
    ) -> Report:
        """The report of the rows so far, as `rldk doctor` gives it."""
        return build_report(self.engine, self._asked, meta=meta or {}, numbers=numbers or {})

    def constant(self) -> dict[int, Any]:
        """What a copy of the session may share with it, as `deepcopy` wants it: rules and context never change."""
        return {id(x): x for x in (*self._asked, self.engine.context)}
