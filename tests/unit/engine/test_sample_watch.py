"""Samples live and afterwards: the same findings, whatever pieces they come in."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.core.model import Report, Run, RunMeta, SampleReader
from rldk.core.samples import to_sample
from rldk.core.table import Row, TableBuilder
from rldk.engine.sample_watch import NO_STEP, SampleWatch
from rldk.engine.scan import scan
from rldk.engine.session import EngineSession
from rldk.rules.rule import Context
from rldk.rules.select import select_rules
from rldk.testing import scan_samples

RULES = select_rules(["ADV", "DATA", "LEN", "ENT", "REW"])
STEPS = 8


def record(step: int, i: int) -> dict[str, Any]:
    """Groups of four; from step 4 on the groups are mixed, and one reward is missing."""
    rng = random.Random(f"{step} {i}")
    broken = step >= 4
    return {
        "step": step,
        "prompt": f"{step}.{i % 4 if broken else i // 4}",
        "group_id": str(i // 4),
        "response": " ".join(rng.choice(["ah", "oh", "uh", "so"]) for _ in range(30)),
        "reward": None if broken and i == 5 else rng.random(),
        "n_tokens": rng.randrange(20, 60),
    }


RECORDS = [record(step, i) for step in range(1, STEPS + 1) for i in range(16)]
ROWS = [Row(step=step, values={"loss": 1.0 / step, "reward_mean": 0.1 * step}) for step in range(1, STEPS + 1)]


def finished(*, rows: bool) -> Report:
    table = TableBuilder()
    for row in ROWS if rows else ():
        table.add(row.step, row.values)
    reader = SampleReader(lambda: map(to_sample, RECORDS))
    return scan(Run(id="r", source="r", metrics=table.build(), sample_reader=reader, meta=RunMeta()), RULES)


def live(cuts: list[int], *, rows: bool) -> tuple[Report, list[tuple[str, int]]]:
    session = EngineSession(RULES, Context(), samples_alone=not rows)
    said = []
    for step in range(1, STEPS + 1) if rows else (None,):
        own = [r for r in RECORDS if step is None or r["step"] == step]
        ends = [0, *sorted(cut % (len(own) + 1) for cut in cuts), len(own)]
        for start, stop in itertools.pairwise(ends):
            said += session.samples(own[start:stop])
        if step is not None:
            said += [alert for _, alerts in session.feed([ROWS[step - 1]]) for alert in alerts]
    said += session.end_samples()
    return session.report(), [(alert.rule, alert.step) for alert in said if alert.event == "begin"]


def same(a: Report, b: Report) -> None:
    assert (a.findings, a.incidents, a.checked, a.verdict) == (b.findings, b.incidents, b.checked, b.verdict)


@pytest.mark.slow
@settings(max_examples=5)
@given(st.lists(st.integers(0, 1000), max_size=6))
def test_live_samples_beside_rows_give_the_findings_of_the_finished_run(cuts: list[int]) -> None:
    report, alerts = live(cuts, rows=True)
    same(report, finished(rows=True))
    assert {("ADV003", 4), ("REW029", 4)} <= {*alerts}


@pytest.mark.slow
@settings(max_examples=5)
@given(st.lists(st.integers(0, 1000), max_size=6))
def test_live_samples_alone_give_the_findings_of_the_finished_file(cuts: list[int]) -> None:
    report, _ = live(cuts, rows=False)
    same(report, finished(rows=False))
    assert report.numbers["samples"] == len(RECORDS)


def test_the_row_of_a_step_gets_the_metrics_of_its_samples() -> None:
    report = finished(rows=True)
    assert report.understanding is not None
    assert "response_length_mean" in report.understanding.known


def test_samples_without_rows_make_rows_and_are_judged_in_part() -> None:
    report = scan_samples("ADV003", [record(step, i) for step in (1, 2) for i in range(16)])
    assert report.understanding is not None
    assert (report.understanding.state, report.numbers["rows"]) == ("partly", 2)
    assert report.verdict.startswith("Partly judged")


def test_a_run_of_samples_without_rewards_is_partly_judged() -> None:
    report = scan_samples("ADV003", [record(1, i) | {"reward": None} for i in range(16)])
    assert report.understanding is not None
    assert (report.understanding.state, report.understanding.looked_at) == ("partly", ("samples",))


def test_a_step_that_comes_back_is_not_taken_for_a_whole_one() -> None:
    mixed = [record(step, i) for step in (5, 6, 5) for i in range(16)]
    found = scan_samples("ADV003", mixed).findings
    assert [(f.first_step, f.rows) for f in found] == [(5, 2)]


def test_records_without_a_step_are_looked_at_in_batches_of_a_fixed_size() -> None:
    watch = SampleWatch((), Context())
    bare = [{"prompt": "p", "response": "r", "reward": 1.0}] * (NO_STEP + 10)
    closed = [*watch.take(bare), *watch.finish()]
    assert [(one.step, len(one.records)) for one in closed] == [(0, NO_STEP), (NO_STEP, 10)]


def test_a_huge_step_is_looked_at_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rldk.engine.sample_watch.MOST", 8)
    watch = SampleWatch((), Context())
    closed = [*watch.take(record(1, 0) for _ in range(11)), *watch.finish()]
    assert [len(one.records) for one in closed] == [8, 3]
