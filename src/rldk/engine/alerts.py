"""Turns the engine's episodes into alerts while they go on: one begins, one grows graver, one is over.

The alerts match the final report. Findings of one rule that begin together on several metrics give one alert. A
critical finding that needs supporting evidence is a warning until that evidence appears."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.model import SEVERITIES, Alert, AlertEvent, Finding, Severity
from rldk.core.table import Row
from rldk.engine.episodes import Episode
from rldk.engine.evaluate import BoundRule
from rldk.engine.live import Engine
from rldk.engine.report.build import place
from rldk.engine.report.incidents import SAME_MOMENT, TOGETHER_ROWS

Begun = Sequence[tuple[BoundRule, Episode]]


class _Lead(Struct, eq=False):
    """One alert to send: the episode that began first, and the episodes of its rule on other metrics that came with
    it."""

    bound: BoundRule
    episode: Episode
    members: list[Episode] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    seen: Severity = "info"  # the gravest severity of the members at the last check
    told: Severity | None = None

    def severity(self) -> Severity:
        """The gravest severity of the members, whatever evidence there is."""
        return max((e.severity for e in self.members), key=SEVERITIES.index)

    def over(self) -> bool:
        return all(e.recovered for e in self.members)


class Alerts:
    """The alerts of one engine.

    `take` is called with the engine's output after every row on which something begins or is `waiting`."""

    def __init__(self, engine: Engine, *, run: str = "") -> None:
        self._engine = engine
        self._run = run
        self._by_row: dict[int, list[_Lead]] = {}  # by first row: evidence is looked for nearby
        self._open: list[_Lead] = []
        self._newest: dict[str, list[_Lead]] = {}  # by rule: the leads that episodes of the same moment may join

    @property
    def waiting(self) -> bool:
        """Whether something goes on that may grow graver or be over."""
        return bool(self._open)

    def take(self, row: Row, begun: Begun) -> list[Alert]:
        """The alerts that this row causes: new ones first, by rule and metric."""
        touched = self._admit(begun)
        touched += [lead for lead in self._open if lead.severity() != lead.seen and lead not in touched]
        said = [self._say(row, lead, event) for lead, event in self._graver(touched)]
        over = [lead for lead in self._open if lead.over()]
        if over:
            self._open = [lead for lead in self._open if lead not in over]
            said += [self._say(row, lead, "recovered") for lead in over]
        return said

    def open(self) -> list[Finding]:
        """The findings that still go on, in order of their beginning."""
        return [self._finding(lead) for lead in self._open]

    def _admit(self, begun: Begun) -> list[_Lead]:
        """The leads that new episodes open or join."""
        touched = []
        loud = (pair for pair in begun if not pair[0].rule.note)
        for bound, episode in sorted(loud, key=lambda p: (p[1].first_row, p[0].rule.code, _metric(*p))):
            newest = self._newest.setdefault(bound.rule.code, [])
            newest[:] = [lead for lead in newest if episode.first_row - lead.episode.first_row <= SAME_MOMENT]
            lead = next((x for x in newest if _metric(x.bound, x.episode) != _metric(bound, episode)), None)
            if lead is None:
                lead = _Lead(bound, episode)
                newest.append(lead)
                self._by_row.setdefault(episode.first_row, []).append(lead)
                self._open.append(lead)
            else:
                lead.also.append(_metric(bound, episode))
                if lead not in self._open:
                    self._open.append(lead)
            lead.members.append(episode)
            touched.append(lead)
        return touched

    def _graver(self, touched: Iterable[_Lead]) -> list[tuple[_Lead, AlertEvent]]:
        """The leads that are graver than was last sent, among the touched ones and those they support."""
        near: dict[int, _Lead] = {}
        for lead in touched:
            near[id(lead)] = lead
            for other in self._near(lead):
                near.setdefault(id(other), other)
        changed: list[tuple[_Lead, AlertEvent]] = []
        for lead in near.values():
            lead.seen = lead.severity()
            severity = self._supported(lead)
            if lead.told is None or SEVERITIES.index(severity) > SEVERITIES.index(lead.told):
                changed.append((lead, "begin" if lead.told is None else "worse"))
                lead.told = severity
        return sorted(changed, key=lambda pair: pair[1] != "begin")

    def _supported(self, lead: _Lead) -> Severity:
        severity = lead.severity()
        if severity != "critical" or lead.bound.rule.tier not in (1, 2):
            return severity
        family = lead.bound.rule.family
        others = (x for x in self._near(lead) if x.bound.rule.family != family and x.severity() != "info")
        return "critical" if any(others) else "warn"

    def _near(self, lead: _Lead) -> list[_Lead]:
        at = lead.episode.first_row
        rows = range(at - TOGETHER_ROWS, at + TOGETHER_ROWS + 1)
        return [other for row in rows for other in self._by_row.get(row, ()) if other is not lead]

    def _finding(self, lead: _Lead) -> Finding:
        finding = place(lead.bound, lead.episode, self._engine.context).finding
        evidence = {**finding.evidence, "also": list(lead.also)} if lead.also else finding.evidence
        return replace(
            finding,
            severity=lead.told or finding.severity,
            last_step=max(lead.members, key=lambda e: e.last_row).last_step,
            ongoing=not lead.over(),
            evidence=evidence,
        )

    def _say(self, row: Row, lead: _Lead, event: AlertEvent) -> Alert:
        finding = self._finding(lead)
        value, message = finding.value, finding.message
        if event == "worse" and lead.episode.worse is not None:
            value, message = lead.episode.worse.value, lead.episode.worse.message or message
        if event == "recovered":
            now = row.values.get(finding.metric)
            value = now if now is not None and math.isfinite(now) else None
            message = f"over since step {finding.last_step:,}: {message}"
        return Alert(
            finding=finding,
            event=event,
            rule=finding.code,
            severity=finding.severity,
            step=row.step,
            name=self._engine.context.names.get(finding.metric, finding.metric),
            value=value,
            message=message,
            run=self._run,
            time=row.time,
            evidence=dict(finding.evidence),
        )


def alert_of(finding: Finding, row: Row, run: str) -> Alert:
    """The alert for what was known before the first row; `row` is that row."""
    return Alert(
        finding=finding,
        event="begin",
        rule=finding.code,
        severity=finding.severity,
        step=row.step,
        name=finding.metric,
        value=finding.value,
        message=finding.message,
        run=run,
        time=row.time,
        evidence=dict(finding.evidence),
    )


def _metric(bound: BoundRule, episode: Episode) -> str:
    return episode.signal.metric or bound.metric
