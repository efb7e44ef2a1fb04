from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import every

from rldk import diagnose, ingest_runs_to_events
from rldk.errors import UsageError
from rldk.forensics import ComprehensivePPOForensics, scan_logs, scan_ppo_events
from rldk.forensics.anomalies import is_anomaly
from rldk.forensics.row import ARGUMENTS
from rldk.forensics.scan import _trend
from rldk.io import Event

Rows = list[dict[str, Any]]
FIXTURES = Path("tests/fixtures")
KEYS = {"version", "verdict", "passed", "rules_fired", "anomalies", "earliest_step", "stats", "not_checked"}


def events_of(rows: Rows, form: str) -> Iterator[Any]:
    """The rows in each form of the wire, as something that can be read once."""
    for row in rows:
        metrics = {ARGUMENTS.get(name, name): x for name, x in row.items() if name != "step"}
        if form == "wide":
            yield {"step": row["step"], **metrics}
        elif form == "row":
            yield {"step": row["step"], "wall_time": 1e9 + row["step"], "metrics": metrics}
        elif form == "event":
            yield Event(step=row["step"], metrics=metrics)
        else:
            yield from ({"time": 1e9, "step": row["step"], "name": n, "value": x} for n, x in metrics.items())


def broken(ppo_rows: Callable[..., Rows]) -> Rows:
    return ppo_rows(policy_grad_norm=lambda i, x: x * 30 if i >= 50 else x, kl_coef=lambda i, x: 0.0 if i >= 60 else x)


@pytest.mark.parametrize("form", every(4, ["event", "wide", "row", "scalar"]))
def test_every_form_of_events_gives_the_same_scan(ppo_rows: Callable[..., Rows], form: str) -> None:
    found = scan_ppo_events(events_of(broken(ppo_rows), form))
    assert found.keys() >= KEYS
    assert found["rows"] == 80
    assert {"GRAD002", "KL013"} <= {a["code"] for a in found["anomalies"]}
    assert found["earliest_step"] == 52
    first = next(r for r in found["rules_fired"] if r["code"] == "KL013")
    assert (first["rule"], first["step_range"][0]) == ("kl-coefficient-broken", 61)
    assert found["stats"].keys() >= {"kl_median", "grad_ratio_median", "entropy_trend"}


@pytest.mark.parametrize(
    "fixture", every(3, ["trl-grpo-collapse", "trl-ppo", "trl-dpo-hot", "cleanrl-ppo-hot", "rllib-ppo"])
)
def test_the_scan_of_a_log_is_that_of_the_doctor(fixture: str) -> None:
    found, report = scan_logs(FIXTURES / fixture), diagnose(FIXTURES / fixture)
    assert found["verdict"] == report.verdict
    assert [r["code"] for r in found["rules_fired"]] == [f.code for f in report.findings]
    assert {a["code"] for a in found["anomalies"]} == {f.code for f in report.findings if is_anomaly(f)}
    assert found["skipped"] == {c.code: c.reason for c in report.skipped}


@pytest.mark.slow
def test_the_events_of_a_log_say_what_the_log_says() -> None:
    source = FIXTURES / "trl-ppo"
    by_events, by_log = scan_ppo_events(iter(ingest_runs_to_events(source))), scan_logs(source)
    assert by_events["stats"] == by_log["stats"]
    assert by_events["anomalies"] == by_log["anomalies"]


def test_a_folder_of_many_runs_is_refused_and_five_of_them_are_named(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / name).mkdir()
        rows = "".join(json.dumps({"step": i, "loss": 1.0 + i}) + "\n" for i in range(9))
        (tmp_path / name / "metrics.jsonl").write_text(rows)
    with pytest.raises(UsageError, match=r"holds 6 runs: \w+, \w+, \w+, \w+, \w+\n"):
        scan_logs(tmp_path)


def test_no_events_are_no_problem_and_no_pass() -> None:
    found = scan_ppo_events(iter([]))
    assert (found["rules_fired"], found["earliest_step"], found["stats"], found["rows"]) == ([], None, {}, 0)
    assert found["verdict"].startswith("Not checked")


def test_what_is_no_event_is_refused_with_its_number() -> None:
    with pytest.raises(UsageError, match="event 2 is int"):
        scan_ppo_events(iter([{"step": 1, "kl": 0.1}, 7]))  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_comprehensive_scan_has_the_same_and_more(ppo_rows: Callable[..., Rows]) -> None:
    rows = broken(ppo_rows)
    plain = scan_ppo_events(events_of(rows, "row"))
    forensics = ComprehensivePPOForensics(kl_target=None, enable_length_bias_detection=True)
    more = forensics.scan_ppo_events_comprehensive(events_of(rows, "row"))
    assert more.keys() == plain.keys() | {"comprehensive_analysis", "enhanced_version"}
    for key in plain.keys() - {"version", "verdict", "checked", "skipped", "not_checked"}:  # those of another context
        assert json.dumps(more[key]) == json.dumps(plain[key]), key
    assert more["comprehensive_analysis"]["total_steps"] == 80
    assert len(forensics.history()) == 80
    json.dumps(more, allow_nan=False)


def test_events_may_carry_samples(ppo_rows: Callable[..., Rows]) -> None:
    rng = np.random.default_rng(0)
    events = list(events_of(ppo_rows(30), "row"))
    for event in events:
        event["advantage_samples"] = rng.normal(size=256).tolist()
        event["metrics"]["response_data"] = [{"reward": 1.0, "length": 9, "prompt": "p"}]
    forensics = ComprehensivePPOForensics()
    forensics.scan_ppo_events_comprehensive(iter(events))
    metrics = forensics.current_metrics
    assert metrics is not None
    assert metrics.advantage_statistics_metrics is not None
    assert metrics.advantage_statistics_metrics.advantage_kurtosis is not None
    assert "advantage_samples" in events[0]  # the caller's own are left alone


@pytest.mark.slow
def test_updates_and_a_scan_can_follow_each_other(ppo_rows: Callable[..., Rows]) -> None:
    rows = broken(ppo_rows)
    forensics = ComprehensivePPOForensics()
    for row in rows[:40]:
        forensics.update(**row)
    forensics.scan_ppo_events_comprehensive(events_of(rows[40:], "row"))
    whole = ComprehensivePPOForensics()
    for row in rows:
        whole.update(**row)
    assert forensics.get_anomalies() == whole.get_anomalies()


def test_several_runs_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.jsonl").write_text("".join(f'{{"step": {i}, "kl": 0.1}}\n' for i in range(30)))
    with pytest.raises(UsageError, match="2 runs"):
        scan_logs(tmp_path)


def test_a_trend_is_a_move_beyond_both_spreads() -> None:
    first = np.array([0.0, 1.0] * 5)
    for moved, word in ((1.0, "stable"), (-1.0, "stable"), (1.01, "increasing"), (-1.01, "decreasing")):
        assert _trend(np.concatenate([first, first + moved])) == word, moved
