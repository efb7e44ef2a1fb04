"""A row that may still grow is spoken of once."""

from __future__ import annotations

from rldk.core.table import Row
from rldk.monitor.session import RunSession
from rldk.rules.rule import Context, rules

NAN = float("nan")
FIRST = Row(step=1, values={"loss": 1.0, "kl": 0.1})


def test_a_preview_says_what_the_whole_row_will_and_changes_nothing() -> None:
    session, other = (RunSession(tuple(rules), Context()) for _ in range(2))
    session.feed([FIRST])
    other.feed([FIRST])
    early = session.preview([Row(step=2, values={"loss": NAN})])
    whole = Row(step=2, values={"loss": NAN, "kl": 0.1})
    said = session.feed([whole])
    assert said == other.feed([whole])
    assert [(a.rule, a.step) for a in early] == [(a.rule, a.step) for a in said] == [("GRAD001", 2)]


def test_the_end_of_an_incident_is_said_of_whole_rows_only() -> None:
    session = RunSession(tuple(rules), Context())
    session.feed([FIRST, Row(step=2, values={"loss": NAN}), *(Row(step=i, values={"loss": 1.0}) for i in range(3, 22))])
    last = [Row(step=22, values={"loss": 1.0})]
    assert session.preview(last) == []
    assert [a.event for a in session.feed(last)] == ["recovered"]
