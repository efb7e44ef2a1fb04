from __future__ import annotations

from collections.abc import Callable

from rldk.core.model import Alert
from rldk.engine.actions.routing import Ledger
from rldk.rules.files.action import Action

Make = Callable[..., Alert]
ALL = list(enumerate([Action("warn"), Action("stop"), Action("http", {"url": "http://h"})]))


def _told(ledger: Ledger, alert: Alert) -> list[str]:
    return [due.action.kind + "?" * due.limited for due in ledger.due(alert, ALL)]


def _ledger(times: list[float] | None = None) -> Ledger:
    clock = iter(times or [0.0] * 100)
    return Ledger(interval_s=60.0, clock=lambda: next(clock))


def test_an_incident_triggers_once(alert: Make) -> None:
    ledger = _ledger()
    assert _told(ledger, alert()) == ["warn", "stop", "http"]
    assert _told(ledger, alert()) == []
    assert _told(ledger, alert(event="worse")) == []


def test_worse_counts_only_when_the_severity_rises(alert: Make) -> None:
    ledger = _ledger()
    ledger.due(alert(), ALL)
    assert _told(ledger, alert(event="worse", severity="critical")) == ["warn", "stop", "http"]
    assert _told(ledger, alert(event="worse", severity="critical")) == []
    assert _told(ledger, alert(event="worse", severity="warn")) == []


def test_worse_without_a_begin_is_one(alert: Make) -> None:
    assert _told(_ledger(), alert(event="worse")) == ["warn", "stop", "http"]


def test_messages_tell_the_end_once_and_only_of_what_was_begun(alert: Make) -> None:
    ledger = _ledger()
    assert _told(ledger, alert(event="recovered")) == []
    ledger.due(alert(), ALL)
    assert _told(ledger, alert(event="recovered")) == ["warn", "http"]
    assert _told(ledger, alert(event="recovered")) == []


def test_a_later_incident_of_the_same_rule_is_another(alert: Make) -> None:
    ledger = _ledger([0.0, 60.0])
    ledger.due(alert(first_step=120), ALL)
    assert _told(ledger, alert(first_step=300)) == ["warn", "stop", "http"]


def test_one_post_a_minute_whatever_the_metric(alert: Make) -> None:
    ledger = _ledger([0.0, 59.9, 60.0])
    assert _told(ledger, alert(metric="a")) == ["warn", "stop", "http"]
    assert _told(ledger, alert(metric="b")) == ["warn", "stop", "http?"]
    assert _told(ledger, alert(metric="c")) == ["warn", "stop", "http"]


def test_a_limited_begin_has_no_recovery_message(alert: Make) -> None:
    ledger = _ledger()
    ledger.due(alert(metric="a"), ALL)
    ledger.due(alert(metric="b"), ALL)
    assert _told(ledger, alert(metric="b", event="recovered")) == ["warn"]


def test_a_higher_severity_need_not_wait(alert: Make) -> None:
    ledger = _ledger()
    ledger.due(alert(metric="a"), ALL)
    assert _told(ledger, alert(metric="b", severity="critical")) == ["warn", "stop", "http"]
    assert _told(ledger, alert(metric="c", severity="critical")) == ["warn", "stop", "http?"]
