from __future__ import annotations

from rldk.testing import scan_columns

PLAN = {"num_train_epochs": 2}


def test_fires_beyond_the_planned_epochs() -> None:
    report = scan_columns("DATA012", {"epoch": [1.0, 2.0, 2.5]}, config=PLAN)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [("DATA012", 3, "info")]


def test_stays_quiet_at_the_plan() -> None:
    report = scan_columns("DATA012", {"epoch": [1.0, 2.0, 2.005]}, config=PLAN)
    assert (report.findings, report.checked) == ((), ("DATA012",))


def test_a_number_of_steps_overrides_the_plan() -> None:
    report = scan_columns("DATA012", {"epoch": [1.0, 2.5]}, config={**PLAN, "max_steps": 80})
    assert report.findings == ()
    assert report.skipped[0].status == "not_applicable"


def test_says_what_is_missing() -> None:
    (metric,) = scan_columns("DATA012", {"loss": [1.0]}, config=PLAN).skipped
    (config,) = scan_columns("DATA012", {"epoch": [1.0]}).skipped
    assert metric.reason == "needs epoch"
    assert config.reason.startswith("needs the planned number of epochs")
