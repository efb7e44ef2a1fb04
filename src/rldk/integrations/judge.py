"""The live engine of one training. Several callbacks of a trainer share it, and each row is judged once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from rldk.adapters.naming.first_rows import Opening
from rldk.adapters.naming.keys import Hints, Naming, infer_algorithm
from rldk.adapters.naming.rows import Renamer
from rldk.core.model import Alert, Finding, Report
from rldk.core.records import to_number
from rldk.core.samples import Sample, to_sample
from rldk.core.table import Phase, Row
from rldk.engine.report.health import Health, health
from rldk.engine.session import EngineSession
from rldk.integrations.guard import Guard, described
from rldk.integrations.judging_pace import JudgingPace
from rldk.rules.rule import Context, Frame, Rule, Signal

MOST_BATCHES = 64  # of samples that wait for a row
REMEMBERED = 8  # rows that a second callback may still ask for


class TrainingOrigin(Struct, frozen=True, kw_only=True):
    """What is known of a training before its first row. `dialect`: how the trainer spells its metrics, one of those in
    `core/data/metrics.yaml`. `field_map`: the user's own names of metrics."""

    framework: str | None = None
    algorithm: str | None = None
    dialect: str | None = None
    total_steps: int | None = None
    config: Mapping[str, Any] = {}
    field_map: Mapping[str, str] | None = None


class Judge:
    """Names the metrics of rows and lets the rules look at them, some rows at a time (`pace`).

    `measured`: canonical metrics that hooks have measured since the last row; they join the next training row."""

    def __init__(self, run: str, origin: TrainingOrigin, guard: Guard) -> None:
        self.run = run
        self.origin = origin
        self.guard = guard
        self.measured: dict[str, float] = {}
        self.broken = False
        self._rules: dict[str, Rule] = {}
        self._session: EngineSession | None = None
        self._renamer: Renamer | None = None
        self.pace = JudgingPace()
        self._newest: deque[tuple[Hashable, Row]] = deque(maxlen=REMEMBERED)
        self._waiting: list[Row | list[Sample]] = []  # in the order in which they came
        self._inboxes: list[list[Alert]] = []
        self._last_step: int | None = None
        self._segment = 0

    @property
    def started(self) -> bool:
        return self._session is not None

    def join(self, rules: Iterable[Rule], *, every: int | None = None) -> list[Alert]:
        """Adds rules. A rule whose code is there already is not added, so nothing is judged twice.

        Returns the list that alerts of all rules are added to; who joins takes them out. `every`: how many rows may
        wait to be judged together; the smallest number that anyone asks for counts."""
        for rule in rules:
            self._rules.setdefault(rule.code, _contained(rule, self.guard))
        self.pace.watch(self._rules.values())
        if every is not None:
            self.pace.every = min(self.pace.every, every)
        self._inboxes.append([])
        return self._inboxes[-1]

    def leave(self, inbox: list[Alert]) -> None:
        """Takes away a list that `join` returned."""
        self._inboxes = [one for one in self._inboxes if one is not inbox]

    def look(
        self, key: Hashable, step: int, metrics: Mapping[str, Any], *, phase: Phase = "train", time: float = math.nan
    ) -> Row:
        """The row in canonical names. Its alerts come when it is judged, at once or with later rows. A row whose `key`
        was seen before is not judged again."""
        for known, seen in reversed(self._newest):
            if key is not None and known == key:
                return seen
        values = numbers(metrics)
        values.pop("step", None)
        row = self._named(Row(step=step, values=values, phase=phase, segment=self._segment_of(step, phase), time=time))
        self._newest.append((key, row))
        self._waiting.append(row)
        if self.pace.is_due(row, len(self._waiting)):
            self.settle()
        return row

    def samples(self, records: Iterable[Mapping[str, Any]], step: int) -> None:
        """Takes per-sample records of a step, before its row. They are judged together with the row."""
        if self._rules and not self.broken:
            self._waiting.append([to_sample({"step": step, **record}) for record in records])
            if len(self._waiting) > MOST_BATCHES:  # no rows come
                self.settle()

    def settle(self) -> None:
        """Judges the rows that wait. Their alerts are in the lists of all who joined."""
        if self._waiting and not self.broken:
            self.guard.run("judging a row", self._judge)
            # a row was taken in part, so the memory of the rules is not to be trusted any more
            self.broken = "judging a row" in self.guard.failures
        self._waiting.clear()

    def finish(self) -> None:
        """Judges everything that came: the last step has no more samples."""
        self.settle()
        if self._session is not None and not self.broken:
            self._send(self.guard.run("judging samples", self._session.end_samples) or ())

    def report(self, *, meta: dict[str, Any], numbers: dict[str, float | int | None]) -> Report | None:
        """The report of all rows, as `rldk doctor` gives it; None when judging broke down."""
        self.settle()
        if self._session is None and not self.broken:
            self._session = self._begin(Row(step=0, values={}))
        return None if self._session is None else self._session.report(meta=meta, numbers=numbers)

    def open(self) -> list[Finding]:
        """The findings that are going on."""
        self.settle()
        return self._session.open() if self._session is not None else []

    def health(self) -> Health:
        """The probability that the run is healthy given the rows so far, and how steady it has been."""
        self.settle()
        return health(self._session.engine) if self._session is not None else Health(overall=None, stability=None)

    def _segment_of(self, step: int, phase: Phase) -> int:
        if phase == "train":
            self._segment += self._last_step is not None and step < self._last_step
            self._last_step = step
        return self._segment

    def _named(self, row: Row) -> Row:
        if self._renamer is None and not row.values:
            return self._with_measured(row)
        if self._renamer is None:
            said = self.origin
            hints = Hints(
                framework=said.framework, dialect=said.dialect, algorithm=said.algorithm, field_map=said.field_map
            )
            self._renamer = Renamer(Naming(Opening([row]), hints))
        return self._with_measured(self._renamer.rename(row))

    def _with_measured(self, row: Row) -> Row:
        """The row and what was measured since the last training row. What the trainer logs itself comes first."""
        if row.phase != "train" or not self.measured:
            return row
        taken, self.measured = self.measured, {}
        return replace(row, values={**taken, **row.values})

    def _judge(self) -> None:
        rows: list[Row] = []
        for item in [*self._waiting, []]:
            if isinstance(item, Row):
                rows.append(item)
                continue
            session = self._session = self._session or self._begin(self._first_waiting())
            for _, alerts in session.feed(rows):
                self._send(alerts)
            rows = []
            if item:
                self._send(session.samples(item))

    def _first_waiting(self) -> Row:
        return next((item for item in self._waiting if isinstance(item, Row)), Row(step=0, values={}))

    def _send(self, alerts: Iterable[Alert]) -> None:
        for inbox in self._inboxes:
            inbox.extend(alerts)

    def _begin(self, row: Row) -> EngineSession:
        return EngineSession(tuple(self._rules.values()), self._context(row), run=self.run)

    def _context(self, row: Row) -> Context:
        said, naming = self.origin, self._renamer and self._renamer.naming
        named = naming.algorithm if naming else None
        return Context(
            algorithm=said.algorithm or named or infer_algorithm(row.values),
            framework=said.framework or (naming.framework if naming else None),
            total_steps=said.total_steps,
            config=dict(said.config),
            estimators=naming.estimators if naming else {},
            names=naming.names if naming else {},
        )


def numbers(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers among the values, as floats. Nested groups are joined by "/". None and text are left out; a tensor or
    an array of one element is a number."""
    found: dict[str, float] = {}
    for key, value in metrics.items():
        name = f"{prefix}{key}"
        if type(value) is float:
            found[name] = value
        elif isinstance(value, Mapping):
            found |= numbers(value, f"{name}/")
        elif value is not None:
            number = to_number(value) if isinstance(value, int | float | str) else _item(value)
            if number is not None:
                found[name] = number
    return found


def _item(value: Any) -> float | None:
    try:
        return float(value.item()) if hasattr(value, "item") else float(value)
    except (TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError):
        return None


def _contained(rule: Rule, guard: Guard) -> Rule:
    """The rule, unable to raise. A rule of the user that fails is silent from then on, and this is said once."""
    if getattr(rule.body, "__module__", "").startswith("rldk."):
        return rule
    body = rule.body
    failed: list[Exception] = []

    def contained(f: Frame) -> Signal | None:
        if failed:
            return None
        try:
            return body(f)
        except Exception as error:  # noqa: BLE001 - a user's rule must not end a training
            failed.append(error)
            guard.warn(f"rule {rule.code}", f"the rule {rule.code} failed and is not asked again: {described(error)}")
            return None

    return replace(rule, body=contained)


def worst(alerts: Sequence[Alert]) -> str | None:
    """The gravest severity among alerts that begin or worsen; None without one."""
    found = {alert.severity for alert in alerts if alert.event != "recovered"}
    return next((severity for severity in ("critical", "warn", "info") if severity in found), None)
