"""How users call rldk: mypy reads this file strictly (`make types`), and pytest runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, assert_type

import pandas as pd
import pytest

import rldk
from rldk import diagnose, ingest_runs, ingest_runs_to_events
from rldk.adapters import BaseAdapter, TRLAdapter
from rldk.cards import generate_kl_drift_card, generate_reward_card
from rldk.cards.trust.card import Card
from rldk.cards.trust.status import CardWord
from rldk.core.manifest import DatasetRecord, Manifest, ModelRecord
from rldk.core.model import Finding, Incident, Report, Run
from rldk.emit import EventWriter, rank_path
from rldk.forensics import (
    AdvantageStatisticsTracker,
    ComprehensivePPOForensics,
    ComprehensivePPOMetrics,
    GradientNormsAnalyzer,
    KLScheduleMetrics,
    KLScheduleTracker,
    scan_logs,
    scan_ppo_events,
)
from rldk.ingest import RunSet
from rldk.io import Event, event_schema, read_events, validate_events, write_events
from rldk.tracking import Session, TrackingConfig

TRL = Path(__file__).parents[1] / "fixtures" / "trl-grpo-collapse"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps({"step": i, "loss": 1.0 + i, "kl": 0.1}) + "\n" for i in range(9)))
    return path


def test_a_run_is_diagnosed(log: Path) -> None:
    report = diagnose(str(TRL), rules="default", select=["REW", "KL"], ignore="KL001", config={"beta": 0.1})
    assert_type(report, Report)
    assert_type(report.verdict, str)
    assert_type(report.passed, bool)
    assert_type(report.findings, tuple[Finding, ...])
    assert_type(report.incidents, tuple[Incident, ...])
    assert_type(report.to_dict(), dict[str, Any])
    finding = report.findings[0]
    assert_type(finding.first_step, int | None)
    assert_type(finding.value, float | None)
    assert_type(finding.limit, float | None)
    assert {f.family for f in report.findings} <= {"REW", "KL"}
    assert diagnose(log).passed
    assert diagnose(pd.DataFrame({"step": [1, 2], "loss": [0.5, 0.4]})).passed


def test_a_log_becomes_a_table(log: Path) -> None:
    table = ingest_runs(log, adapter="custom_jsonl", field_map={"kl": "kl"}, validation_mode="lenient")
    assert_type(table, pd.DataFrame | RunSet)
    assert isinstance(table, pd.DataFrame)
    several = ingest_runs([log, log], adapter_hint="custom_jsonl", required_fields=("step",))
    assert isinstance(several, RunSet)
    assert_type(several[0], pd.DataFrame)
    assert_type(several.concat(), pd.DataFrame)
    assert_type(several.ids, tuple[str, ...])
    assert len(several.concat()) == 2 * len(table)


def test_an_adapter_is_asked_by_name() -> None:
    trl = TRLAdapter(TRL)
    assert_type(trl.can_handle(), bool)
    assert_type(trl.load(), pd.DataFrame)
    assert_type(trl.load_run(), Run)
    assert isinstance(trl, BaseAdapter)


def test_events_are_written_and_read(log: Path, tmp_path: Path) -> None:
    events = ingest_runs_to_events(log)
    assert_type(events, list[Event])
    write_events(events, tmp_path / "e.jsonl")
    assert [e.step for e in read_events(tmp_path / "e.jsonl")] == [e.step for e in events]
    validate_events(tmp_path / "e.jsonl")
    assert_type(event_schema, dict[str, Any])


def test_a_loop_writes_its_own_log(tmp_path: Path) -> None:
    path = rank_path(tmp_path / "m.jsonl", 0)
    assert_type(path, Path)
    with EventWriter(path, run_id="r", tags={"phase": "train"}, fsync="never") as writer:
        assert_type(writer, EventWriter)
        writer.log(step=1, name="kl", value=0.1)
        writer.log({"kl": 0.1, "loss": 0.5}, step=2)
    assert writer.written == 2


def test_a_run_is_tracked_in_three_calls(tmp_path: Path) -> None:
    session = rldk.init(tmp_path / "run", project="p", name="n", config={"lr": 1e-5})
    assert_type(session, Session)
    rldk.log({"loss": 0.5}, step=1)
    rldk.finish()
    assert session.dir == tmp_path / "run"


def test_an_experiment_is_tracked(tmp_path: Path) -> None:
    config = TrackingConfig(
        experiment_name="e",
        experiment_id=None,
        output_dir=tmp_path,
        dataset_checksum_algorithm="sha256",
        save_to_wandb=False,
        tags=["a"],
        notes=None,
        metadata={"lr": 1e-5},
    )
    tracker = rldk.ExperimentTracker(config)
    assert_type(tracker.start_experiment(), Path | None)
    assert_type(tracker.track_dataset([{"a": 1}], "train", metadata={"split": "train"}), DatasetRecord | None)
    assert_type(tracker.track_model({}, "policy", metadata=None), ModelRecord | None)
    assert_type(tracker.set_seeds(42), int)
    tracker.add_metadata("k", 1)
    tracker.add_tag("t")
    tracker.log({"loss": 0.5}, step=1)
    assert_type(tracker.manifest, Manifest)
    assert_type(tracker.finish_experiment(), Path | None)
    with rldk.ExperimentTracker(rldk.TrackingConfig("e", output_dir=str(tmp_path))) as again:
        assert_type(again, rldk.ExperimentTracker)
        assert again.dir == tmp_path / "e-2"


def test_a_trainer_is_watched_from_within() -> None:
    forensics = ComprehensivePPOForensics(kl_target=0.1, window_size=50, enable_length_bias_detection=True)
    made = forensics.update(1, 0.1, 0.2, entropy=2.0, reward_mean=0.5, advantage_samples=[0.1, -0.1], custom=1.0)
    assert_type(made, ComprehensivePPOMetrics)
    assert_type(made.kl_schedule_metrics, KLScheduleMetrics | None)
    assert_type(made.overall_health_score, float | None)
    assert_type(made.to_dict(), dict[str, Any])
    assert_type(forensics.get_anomalies(), list[dict[str, Any]])
    assert_type(forensics.get_health_summary(), dict[str, Any])
    assert_type(forensics.get_kl_drift_analysis(), dict[str, Any])
    assert forensics.get_anomalies() == []


def test_a_tracker_stands_alone() -> None:
    schedule = KLScheduleTracker(kl_target=None)
    assert_type(schedule.update(1, 0.1, 0.2), KLScheduleMetrics)
    assert GradientNormsAnalyzer().update(1, 1.0, 0.5) is not None
    assert AdvantageStatisticsTracker().update(1, 0.0, 1.0) is not None


def test_a_log_is_scanned_by_the_documented_names(log: Path) -> None:
    def rows() -> Iterator[Mapping[str, Any]]:
        yield {"step": 1, "kl": 0.1}

    assert_type(scan_ppo_events(rows()), dict[str, Any])
    assert_type(scan_logs(log, field_map={"kl": "kl"}), dict[str, Any])
    assert scan_ppo_events(rows())["rows"] == 1


def test_cards(log: Path, tmp_path: Path) -> None:
    card = generate_kl_drift_card(log, tmp_path / "cards")
    assert_type(card, Card)
    assert_type(card.checks[0].status, CardWord)
    assert card.status == "not checked"
    assert generate_reward_card([{"step": 1, "loss": 0.5}]).passed is False
