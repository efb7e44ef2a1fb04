from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.core.model import Run
from rldk.core.table import TableBuilder
from rldk.engine.scan import scan
from rldk.rules.select import select_rules
from rldk.testing import scan_columns

K3 = {"estimators": {"kl": "k3 tok_mean"}}
K1 = {"estimators": {"kl": "k1 tok_mean"}}
CAME: list[Any] = [0.1] * 20
GONE: list[Any] = [None] * 20
EVERY_FOURTH: list[Any] = [1.0, None, None, None]


@each_of(
    ("code", "columns", "options", "first_step"),
    [
        ("MET002", {"clip_frac": [0.0, 1.0, 1.2]}, {}, 3),
        ("MET002", {"kl": [0.1, -0.1]}, K3, 2),
        ("MET002", {"value_explained_variance": [0.5, -300.0, 1.5]}, {}, 3),
        ("MET003", {"kl": CAME + GONE, "loss": [1.0] * 40}, {}, 40),
        ("MET004", {"step_time": [2.0, 2.1, 1.9] * 10 + [2000.0, 2100.0, 1900.0] * 3}, {}, 35),
        ("MET004", {"memory_peak_gb": [2048.0, 2049.0] * 15 + [2.0, 2.001] * 5}, {}, 35),
        ("MET005", {"reward_mean": EVERY_FOURTH * 12, "loss": [1.0] * 48}, {}, 40),
    ],
)
def test_fires(code: str, columns: dict[str, Any], options: dict[str, Any], first_step: int) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step) for f in report.findings] == [(code, first_step)]


@each_of(
    ("code", "columns", "options"),
    [
        ("MET001", {"loss": [1.0, 1.0, 1.0], "kl": [0.1, 0.1, 0.1]}, {"step": [1, 2, 3]}),
        ("MET001", {"loss": [1.0, 1.0], "kl": [0.1, 0.2]}, {"step": [4, 4]}),  # two rows that share a step
        ("MET002", {"clip_frac": [0.0, 1.0005]}, {}),
        ("MET004", {"step_time": [2.0, 2.1, 1.9] * 10 + [30.0, 31.0, 29.0] * 3}, {}),
        ("MET004", {"step_time": [2.0, 2.1, 1.9] * 10 + [2000.0, 3100.0, 900.0] * 3}, {}),
        ("MET002", {"kl": [0.1, -0.1]}, K1),
        ("MET002", {"value_explained_variance": [1.0, -300.0]}, {}),
        ("MET003", {"kl": CAME + GONE[1:], "loss": [1.0] * 39}, {}),
        ("MET003", {"kl": EVERY_FOURTH * 25 + GONE, "loss": [1.0] * 120}, {}),
        ("MET005", {"reward_mean": [1.0] * 48, "loss": [1.0] * 48}, {}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: dict[str, Any], options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@pytest.mark.parametrize(
    ("step", "first_step", "severity"),
    [([1, 2, 3, 2], 2, "info"), ([1, 2, 3, 3], 3, "info")],
)
def test_restarts_and_duplicates_are_information(step: list[int], first_step: int, severity: str) -> None:
    report = scan_columns("MET001", {"loss": [0.4, 0.3, 0.2, 0.2], "kl": [0.1, 0.2, 0.3, 0.3]}, step=step)
    assert [(f.first_step, f.severity) for f in report.findings] == [(first_step, severity)]


def test_a_step_that_goes_back_within_a_segment_is_a_warning() -> None:
    builder = TableBuilder()
    for step in (1, 5, 4):
        builder.add(step, {"loss": 1.0})
    report = scan(Run(id="r", source="r", metrics=builder.build()), select_rules(["MET001"]))
    assert [(f.first_step, f.severity) for f in report.findings] == [(4, "warn")]


@each_of("code", ["MET001", "MET002", "MET003", "MET005"])
def test_without_a_training_row_nothing_is_checked(code: str) -> None:
    report = scan_columns(code, {"kl": [0.1, 0.1]}, phase=["eval", "eval"])
    assert (report.checked, report.skipped[0].code) == ((), code)


def test_a_metric_nobody_knows_has_no_bounds() -> None:
    report = scan_columns("MET002", {"my_own": [-1e9, 1e9]})
    assert (report.findings, report.checked) == ((), ("MET002",))


def test_several_updates_on_one_rollout_are_not_two_cadences() -> None:
    columns = {"reward_mean": EVERY_FOURTH * 12, "loss": [1.0] * 48}
    assert scan_columns("MET005", columns, algorithm="grpo").skipped[0].status == "not_applicable"
