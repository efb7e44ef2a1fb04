"""The facade of the engine: whatever pieces the rows come in, the same alerts and the report of a finished run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.table import Row
from rldk.engine.actions.message import sentence
from rldk.engine.session import EngineSession
from rldk.monitor.alert_text import line
from rldk.rules.rule import Context
from rldk.rules.select import select_rules

RULES = select_rules(["GRAD", "KL"])


def rows(n: int = 60) -> list[Row]:
    """A loss that is not finite from step 30 to 39."""
    return [Row(step=i, values={"loss": math.nan if 30 <= i < 40 else 1.0, "kl": 0.1}) for i in range(n)]


def session(**more: Any) -> EngineSession:
    return EngineSession(RULES, Context(), run="r", **more)


def said(one: EngineSession, pieces: Iterator[list[Row]]) -> list[tuple[str, str, int]]:
    return [(a.event, a.rule, row.step) for piece in pieces for row, alerts in one.feed(piece) for a in alerts]


def test_alerts_come_with_the_row_that_gives_rise_to_them() -> None:
    one = session()
    found = said(one, iter([rows()]))
    assert ("begin", "GRAD001", 30) in found
    assert ("recovered", "GRAD001") in {(event, code) for event, code, _ in found}
    assert (one.rows, one.last_step) == (60, 59)
    assert {alert.run for _, alerts in session().feed(rows()) for alert in alerts} == {"r"}


@given(st.lists(st.integers(1, 60), max_size=8))
def test_pieces_change_neither_alerts_nor_report(cuts: list[int]) -> None:
    ends = sorted({*cuts, 60})
    whole, parts = session(), session()
    expected = said(whole, iter([rows()]))
    assert said(parts, (rows()[a:b] for a, b in zip([0, *ends], ends, strict=False))) == expected
    assert repr(parts.report()) == repr(whole.report())  # a NaN equals no other NaN


def test_without_alerts_the_report_is_the_same() -> None:
    loud, quiet = session(), session(alerts=False)
    said(loud, iter([rows()]))
    assert said(quiet, iter([rows()])) == []
    found, expected = (one.report(meta={"a": 1}, numbers={"b": 2}) for one in (quiet, loud))
    assert repr(found) == repr(expected)
    assert quiet.open() == []


def test_open_is_what_goes_on() -> None:
    one = session()
    for _ in one.feed(rows(35)):
        pass
    assert [finding.code for finding in one.open()] == ["GRAD001"]
    assert one.open()[0].ongoing


def test_a_copy_shares_only_what_never_changes() -> None:
    one = session()
    for _ in one.feed(rows(35)):
        pass
    before = one.report()
    copied = deepcopy(one, one.constant())
    for _ in copied.feed([Row(step=40, values={"loss": 1.0, "kl": 50.0})]):
        pass
    assert (one.report(), copied.rows, one.rows) == (before, 36, 35)
    assert copied.engine.context is one.engine.context


@pytest.mark.parametrize("alerts", [True, False])
def test_before_the_first_row_there_is_no_step(alerts: bool) -> None:
    one = session(alerts=alerts)
    assert (one.rows, one.last_step, one.open()) == (0, None, [])
    assert one.report().findings == ()


def test_what_the_configuration_shows_is_an_alert_with_the_first_row() -> None:
    context = Context(framework="trl", algorithm="grpo", config={"num_generations": 1})
    one = EngineSession(select_rules(["CFG", "GRAD"]), context, run="r")
    assert one.open() == []
    found = [alert for _, alerts in one.feed(rows()[:2]) for alert in alerts]
    assert [(a.event, a.rule, a.severity, a.step) for a in found] == [("begin", "CFG003", "critical", 0)]
    assert line(found[0]).startswith("[critical] r CFG003 before the first step: `num_generations` is 1")
    assert sentence(found[0]).startswith("critical CFG003 before the first step: ")
    assert [f.code for f in one.open()] == ["CFG003"]
    assert [a for _, alerts in one.feed(rows()[2:20]) for a in alerts] == []
    assert one.report().findings[0].code == "CFG003"
