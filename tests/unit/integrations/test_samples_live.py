"""The rules over samples look at those that a recorder is given, as they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rldk.core.model import Report
from rldk.diagnosis import diagnose
from rldk.integrations.judge import TrainingOrigin
from rldk.integrations.recorder import Recorder, Recording

ONSET, STEPS = 30, 34
WORDS = ("ah", "oh", "uh", "so", "no", "up")


def _samples(step: int, *, broken: bool) -> list[dict[str, Any]]:
    """Four groups of four answers to one prompt; broken ones are assembled crosswise."""
    return [
        {
            "group_id": i // 4,
            "prompt": f"{step}.{i % 4 if broken else i // 4}",
            "response": " ".join(WORDS[(step * 7 + i * k * k) % 6] for k in range(5, 15)),
            "reward": 0.1 * ((step + i) % 7),
            "advantage": (-1.0) ** i,
            "finish_reason": "stop",
        }
        for i in range(16)
    ]


def _record(folder: Path, onset: int = ONSET, **chosen: Any) -> Recorder:
    origin = TrainingOrigin(framework="trl", algorithm="grpo", dialect="trl_grpo")
    recorder = Recorder(Recording(output_dir=folder, run_id="r", echo=False, samples=16, **chosen), origin)
    for step in range(1, STEPS + 1):
        recorder.log_samples(_samples(step, broken=step >= onset), step=step)
        recorder.log({"reward": 0.1 + 0.01 * (step % 3), "loss": 0.5}, step=step, time=float(step))
        if recorder.stop_requested:
            break
    recorder.close()
    return recorder


def _report(folder: Path) -> Report:
    return Report.from_dict(json.loads((folder / "r_final_report.json").read_text()))


@pytest.mark.parametrize("every", [1, 7, None])
def test_a_fault_of_samples_is_an_alert_of_its_own_step(tmp_path: Path, every: int | None) -> None:
    _record(tmp_path, judge_every=every)
    alerts = json.loads((tmp_path / "r_alerts.json").read_text())
    assert [a["step"] for a in alerts if a["rule"] == "ADV003"] == [ONSET]


@pytest.mark.slow
def test_what_is_found_live_is_what_the_doctor_finds_in_the_files(tmp_path: Path) -> None:
    _record(tmp_path)
    live, afterwards = _report(tmp_path), diagnose(tmp_path)
    told = [(f.code, f.first_step) for f in live.findings if f.family in ("ADV", "DATA", "REW")]
    assert told
    assert told == [(f.code, f.first_step) for f in afterwards.findings if f.family in ("ADV", "DATA", "REW")]


@pytest.mark.slow
def test_sound_samples_are_looked_at_and_give_no_alert(tmp_path: Path) -> None:
    recorder = _record(tmp_path, onset=STEPS + 1)
    assert recorder.counts["warn"] == recorder.counts["critical"] == 0
    assert "ADV003" not in {check.code for check in _report(tmp_path).skipped}


@pytest.mark.slow
def test_a_fault_of_samples_may_stop_the_training(tmp_path: Path) -> None:
    recorder = _record(tmp_path, stop_on="critical")
    assert recorder.stop_reason.startswith(f"ADV003 at step {ONSET}")
    assert recorder.last_step == ONSET


def test_other_ranks_judge_no_samples(tmp_path: Path) -> None:
    recorder = Recorder(Recording(output_dir=tmp_path, run_id="r", echo=False), rank=1)
    recorder.log_samples(_samples(1, broken=True), step=1)
    recorder.log({"reward": 0.1}, step=1)
    assert recorder.alerts == ()
