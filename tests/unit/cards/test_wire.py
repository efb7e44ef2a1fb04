"""The report as JSON."""

from __future__ import annotations

import json

from rldk.cards.wire import dumps, render
from rldk.core.model import Report


def _refuse(name: str) -> float:
    raise ValueError(name)


def test_a_report_goes_through_json_and_back_without_its_curves(report: Report) -> None:
    data = json.loads(render(report), parse_constant=_refuse)
    assert "series" not in data["meta"]
    again = Report.from_dict(data)
    assert again.incidents == report.incidents
    assert [f.code for f in again.findings] == [f.code for f in report.findings]


def test_a_finding_has_what_scripts_rely_on(report: Report) -> None:
    wanted = "code name family severity tier first_step last_step metric value limit message causes fixes".split()
    finding = json.loads(render(report))["findings"][0]
    assert set(wanted) <= set(finding)


def test_a_lone_surrogate_can_be_written() -> None:
    assert json.loads(dumps({"name": "\ud800"}).encode("utf-8")) == {"name": "\ud800"}
