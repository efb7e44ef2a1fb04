from __future__ import annotations

from typing import Any

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


def lengths(third: float | None) -> dict[str, Any]:
    """Of batches of two completions, or of three when there is a `third` between them."""
    pairs = [(4.0 + i % 5, 9.0 + i % 7) for i in range(14)]
    means = [(a + b) / 2 if third is None else (a + b + a + third) / 3 for a, b in pairs]
    return {
        "response_length_mean": [*means],
        "response_length_min": [a for a, _ in pairs],
        "response_length_max": [b for _, b in pairs],
    }


def test_batches_of_two_completions() -> None:
    (finding,) = scan_columns("DATA013", lengths(None)).findings
    assert (finding.first_step, finding.severity) == (10, "warn")
    episodes = {"eos_count": [1.0, 2.0] * 8, "env_steps": [2.0 * i for i in range(16)]}
    assert [f.first_step for f in scan_columns("DATA013", episodes, framework="trl", algorithm="ppo").findings] == [11]


def test_larger_batches_and_fixed_lengths_are_quiet() -> None:
    fixed: dict[str, Any] = {name: [24.0] * 14 for name in lengths(None)}
    for columns in (lengths(1.0), fixed):
        report = scan_columns("DATA013", columns)
        assert (report.findings, report.checked) == ((), ("DATA013",))


def test_completions_need_a_length_or_a_count() -> None:
    (check,) = scan_columns("DATA013", {"loss": [0.5] * 30}).skipped
    assert check.reason.startswith("needs response_length_mean or eos_count")
