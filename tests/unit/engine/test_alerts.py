"""What is said while a run goes on adds up to what its report says at the end."""

from __future__ import annotations

import random

import pytest
from examples import each_of, few
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rldk.core.model import Alert, Report
from rldk.core.table import Row
from rldk.engine.alerts import Alerts
from rldk.engine.live import Engine
from rldk.engine.report.build import build_report
from rldk.engine.report.incidents import TOGETHER_ROWS
from rldk.rules.catalogue.metrics import DERIVED
from rldk.rules.files.entry import written_rule
from rldk.rules.normal import normals
from rldk.rules.rule import Context, Rule, rules

ALL = (*rules, *normals)
METRICS = sorted({n for r in ALL for n in r.needs} - {"step", "segment", *DERIVED})


def _watch(rows: list[Row], algorithm: str | None) -> tuple[list[Alert], Alerts, Report]:
    engine = Engine(ALL, Context(algorithm=algorithm, total_steps=200))
    alerts = Alerts(engine)
    said = [alert for row in rows for alert in alerts.take(row, engine.feed(row))]
    return said, alerts, build_report(engine, ALL, meta={}, numbers={})


def _rows(seed: int, n: int) -> list[Row]:
    rng = random.Random(seed)
    level = {m: rng.choice([0.0, 0.01, 0.5, 1.0, 100.0]) for m in METRICS}
    broken = {m for m in METRICS if rng.random() < 0.5}
    rows = []
    for i in range(n):
        bad = i % 60 > 30
        values = {m: x * (50.0 if bad and m in broken else 1.0) * (1 + 0.1 * rng.random()) for m, x in level.items()}
        values |= {m: float("nan") for m in broken if bad and rng.random() < 0.05}
        rows.append(Row(step=i, values=values, phase=rng.choice(["train"] * 9 + ["eval"])))  # type: ignore[arg-type]
    return rows


@pytest.mark.slow
@settings(max_examples=few(25), deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 150), st.sampled_from([None, "ppo", "grpo", "dpo"]))
def test_what_was_said_is_what_the_report_says(seed: int, n: int, algorithm: str | None) -> None:
    said, alerts, report = _watch(_rows(seed, n), algorithm)
    told: dict[tuple[str, str, int], str] = {}
    for alert in said:
        key = alert.rule, alert.finding.metric, alert.finding.first_step
        assert (alert.event == "begin") == (key not in told)
        told[key] = alert.severity  # type: ignore[index]
    assert told == {(f.code, f.metric, f.first_step): f.severity for f in report.findings}
    going_on = sorted((f.code, f.metric, f.first_step) for f in report.findings if f.ongoing)
    assert sorted((f.code, f.metric, f.first_step) for f in alerts.open()) == going_on


def test_an_incident_is_said_once_and_its_end_too() -> None:
    rows = [Row(step=i, values={"loss": float("nan") if 5 <= i < 8 else 1.0}) for i in range(60)]
    said, _, _ = _watch(rows, None)
    assert [(a.event, a.rule) for a in said] == [("begin", "GRAD001"), ("recovered", "GRAD001")]
    assert said[1].message.startswith("over since step 7")


def test_the_alert_names_the_metric_as_the_log_does() -> None:
    engine = Engine(ALL, Context(names={"loss": "train/loss"}))
    alerts = Alerts(engine, run="rank0")
    rows = [Row(step=2, values={"loss": 1.0}), Row(step=3, values={"loss": float("nan")}, time=12.5)]
    (alert,) = [alert for row in rows for alert in alerts.take(row, engine.feed(row))]
    assert (alert.name, alert.finding.metric, alert.run, alert.step, alert.time) == (
        "train/loss",
        "loss",
        "rank0",
        3,
        12.5,
    )


@pytest.mark.parametrize("metric", ["grad_norm_policy", "grad_norm_value"])
def test_ratios_come_with_every_alert_once_both_norms_are_known(metric: str) -> None:
    engine = Engine(ALL, Context())
    alerts = Alerts(engine)
    rows = [
        Row(step=0, values={"grad_norm_policy": 6.0}),
        Row(step=1, values={"grad_norm_value": 2.0}),
        Row(step=2, values={metric: 4.0, "loss": 1.0}),
        Row(step=3, values={"loss": float("nan")}),
    ]
    said = [a for row in rows for a in alerts.take(row, engine.feed(row))]
    expected = 2.0 if metric == "grad_norm_policy" else 1.5
    assert said[-1].evidence["policy_over_value"] == expected
    assert said[-1].evidence["value_over_policy"] == 1 / expected


def _over_one(metric: str, family: str, severity: str) -> Rule:
    entry = {"id": metric, "metric": metric, "condition": "value > 1", "severity": severity, "family": family}
    return replace(written_rule(entry, file="my.yaml"), tier=1)


@each_of(
    ("witness", "severity"),
    [
        (100 - TOGETHER_ROWS - 1, "warn"),
        (100 - TOGETHER_ROWS, "critical"),
        (100, "critical"),
        (100 + TOGETHER_ROWS, "critical"),
        (100 + TOGETHER_ROWS + 1, "warn"),
    ],
)
def test_a_critical_alert_needs_a_witness_of_another_family_close_to_it(witness: int, severity: str) -> None:
    own = _over_one("loss", "GRAD", "critical"), _over_one("kl", "KL", "warn")
    engine = Engine(own, Context())
    alerts, said = Alerts(engine), list[Alert]()
    for i in range(160):
        values = {"loss": 5.0 if 100 <= i < 130 else 0.5, "kl": 5.0 if witness <= i < witness + 3 else 0.5}
        row = Row(step=i, values=values)
        said += alerts.take(row, engine.feed(row))
    assert [a.severity for a in said if a.rule == "loss" and a.event != "recovered"][-1] == severity


@each_of(("tier", "severity"), [(0, "critical"), (1, "warn"), (2, "warn"), (3, "critical")])
def test_a_rule_needs_a_witness_by_its_tier(tier: int, severity: str) -> None:
    rule = replace(_over_one("loss", "GRAD", "critical"), tier=tier)
    engine = Engine((rule,), Context())
    alerts, said = Alerts(engine), list[Alert]()
    for i in range(20):
        row = Row(step=i, values={"loss": 5.0 if i >= 10 else 0.5})
        said += alerts.take(row, engine.feed(row))
    assert [a.severity for a in said] == [severity]
    (finding,) = build_report(engine, (rule,), meta={}, numbers={}).findings
    assert finding.severity == severity
