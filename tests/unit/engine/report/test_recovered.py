"""A critical that is over at the end of the run is at most a warning, and the report says since when."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.model import Alert, Finding, Report, Run, RunMeta, Severity
from rldk.core.table import Row, TableBuilder
from rldk.engine.alerts import Alerts
from rldk.engine.live import Engine
from rldk.engine.report.build import build_report
from rldk.engine.report.incidents import Placed, group
from rldk.engine.scan import scan
from rldk.rules.rule import Context, Rule
from rldk.rules.select import select_rules

TOP, BEST = 10.0, 12.0


def ramp(start: float, end: float, rows: int) -> list[float]:
    return [start + (end - start) * i / rows for i in range(rows)]


def course(low: int, end: Sequence[float], *, slow: int = 1, seed: int = 0) -> list[float]:
    """A return that rises to `TOP`, falls to 0 for `low` rows and goes on with `end`."""
    rng = random.Random(seed)
    rise = [*ramp(0.5, TOP, 100 * slow), *[TOP] * 60 * slow, *ramp(TOP, 0.0, 10 * slow), *[0.0] * low]
    return [x + rng.gauss(0.0, 0.4) for x in [*rise, *end]]


BACK = [*ramp(0.0, BEST, 40), *[BEST] * 300]
LATER = [*BACK, *ramp(BEST, 0.0, 10), *[0.0] * 100]


def rows_of(values: Sequence[float]) -> list[Row]:
    return [Row(step=100 * (i + 1), values={"reward_mean": x, "kl": 0.05}) for i, x in enumerate(values)]


def run_of(rows: Sequence[Row], names: dict[str, str] | None = None) -> Run:
    builder = TableBuilder()
    for r in rows:
        builder.add(r.step, r.values)
    meta = RunMeta(algorithm="ppo", names=names or {"reward_mean": "reward_mean", "kl": "kl"})
    return Run(id="x", source="x", metrics=builder.build(), meta=meta)


def report_of(values: Sequence[float], code: str = "REW012", names: dict[str, str] | None = None) -> Report:
    return scan(run_of(rows_of(values), names), select_rules((code,)))


def the_collapse(report: Report) -> Finding:
    return next(f for f in report.findings if f.code in {"REW012", "REW020"})


def test_a_return_that_came_back_above_its_best_is_no_critical_any_more() -> None:
    report = report_of(course(80, BACK))
    finding = the_collapse(report)
    assert (report.worst(), report.incidents[0].severity, finding.ongoing) == ("warn", "warn", False)
    assert report.passed
    since = finding.evidence["recovered_at"]
    assert 100 * 250 < since < 100 * 350, "between the first row after the low level and the end of the cooldown"
    assert f"recovered at step {since:,}" in report.incidents[0].title
    assert f"recovered at step {since:,}" in report.verdict
    assert f"recovered at step {since:,}" in finding.message
    assert finding.evidence["was"] == "critical"


def test_a_part_of_the_gain_that_was_regained_is_information() -> None:
    report = report_of([*course(0, [])[:160], *ramp(TOP, 3.5, 10), *[3.5] * 80, *ramp(3.5, BEST, 40), *[BEST] * 300])
    finding = the_collapse(report)
    assert (finding.severity, finding.evidence["was"], report.worst()) == ("info", "warn", "info")
    assert f"recovered at step {finding.evidence['recovered_at']:,}" in finding.message


@each_of(
    "end",
    [[], [0.0] * 300, [*ramp(0.0, 5.0, 40), *[5.0] * 300], LATER],
    ids=["the end", "stays low", "half of the way", "falls again"],
)
def test_what_is_not_over_stays_critical(end: list[float]) -> None:
    report = report_of(course(80, end))
    assert (report.worst(), report.passed) == ("critical", False)
    assert "recovered" not in report.verdict


@pytest.mark.slow
def test_single_episodes_recover_although_their_rule_looks_back_on_hundreds_of_them() -> None:
    names = {"reward_mean": "r"}
    back = report_of(course(300, [*ramp(0.0, BEST, 200), *[BEST] * 900], slow=6), "REW020", names)
    assert (the_collapse(back).ongoing, back.worst()) == (False, "warn")
    low = report_of(course(1500, [], slow=6), "REW020", names)
    assert (the_collapse(low).ongoing, low.worst()) == (True, "critical")


def test_the_alert_was_critical_when_it_was_sent() -> None:
    rules = select_rules(("REW012",))
    engine = Engine(rules, Context(algorithm="ppo"))
    alerts = Alerts(engine)
    said: list[Alert] = [a for row in rows_of(course(80, BACK)) for a in alerts.take(row, engine.feed(row))]
    assert [(a.event, a.severity) for a in said] == [
        ("begin", "warn"),
        ("worse", "critical"),
        ("recovered", "critical"),
    ]
    assert build_report(engine, rules, meta={}, numbers={}).worst() == "warn"


def placed(
    code: str, *, tier: int = 3, over: int | None = 90, ongoing: bool = False, severity: Severity = "critical"
) -> Placed:
    finding = Finding(
        code=code, name=code.lower(), family=code.rstrip("0123456789"), severity=severity, tier=tier, first_step=40,
        last_step=80, metric="m", value=1.0, limit=0.0, message=f"{code} moved", ongoing=ongoing,
    )  # fmt: skip
    return Placed(finding, 40, 80, over)


@each_of(
    ("members", "worst"),
    [
        ([placed("REW012")], "warn"),
        ([placed("REW012", tier=1)], "warn"),
        ([placed("REW012", tier=0)], "critical"),
        ([placed("REW012"), placed("REW001", tier=0)], "critical"),
        ([placed("REW012", over=None)], "critical"),  # it fell silent, and nobody knows whether the metric came back
        ([placed("REW012", ongoing=True, over=None)], "critical"),
        ([placed("REW012"), placed("REW013", ongoing=True, over=None, severity="warn")], "critical"),
        ([placed("REW012"), placed("REW009", ongoing=True, over=None, severity="info")], "warn"),
        ([placed("REW012"), placed("REW013", over=None, severity="warn")], "warn"),
    ],
)
def test_an_incident_is_lowered_when_all_of_it_is_over(members: list[Placed], worst: str) -> None:
    findings, incidents = group(members)
    assert incidents[0].severity == worst
    lowered = [f for f in findings if f.evidence.get("was")]
    assert bool(lowered) == (worst == "warn")
    assert all(f.evidence["recovered_at"] == 90 and f.message.endswith("; recovered at step 90") for f in lowered)


@pytest.mark.slow
@given(
    seed=st.integers(0, 10**6),
    low=st.integers(40, 120),
    share=st.floats(0.0, 1.3),
    after=st.integers(0, 300),
    chunk=st.integers(1, 200),
)
def test_live_and_finished_agree_on_what_is_over(seed: int, low: int, share: float, after: int, chunk: int) -> None:
    level = TOP * share
    rows = rows_of(course(low, [*ramp(0.0, level, 30), *[level] * after], seed=seed))
    rules: tuple[Rule, ...] = select_rules(("REW012", "REW020"))
    engine = Engine(rules, Context(algorithm="ppo", names={"reward_mean": "reward_mean", "kl": "kl"}))
    for start in range(0, len(rows), chunk):
        for _ in engine.feed_all(rows[start : start + chunk]):
            pass
    live, finished = build_report(engine, rules, meta={}, numbers={}), scan(run_of(rows), rules)
    assert (live.findings, live.incidents, live.verdict) == (finished.findings, finished.incidents, finished.verdict)
