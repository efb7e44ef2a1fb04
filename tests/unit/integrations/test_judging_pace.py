"""Rows that come fast are judged together, but nothing urgent waits, and the findings stay the same."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from examples import each_of, every

from rldk.core.model import Alert
from rldk.core.table import Row
from rldk.errors import UsageError
from rldk.integrations.judge import TrainingOrigin
from rldk.integrations.judging_pace import LONGEST_WAIT_S, MOST_WAITING, OPENING, JudgingPace
from rldk.integrations.openrlhf import OpenRLHFMonitor
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.verl import RLDKTracking
from rldk.rules.chosen import chosen_rules
from rldk.testing import noisy_column

TIER_0 = [rule for rule in chosen_rules("default") if rule.tier == 0]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _settled(clock: Clock) -> JudgingPace:
    """A pace after the opening of a run."""
    pace = JudgingPace(clock=clock)
    pace.watch(TIER_0)
    for step in range(OPENING + 2):
        pace.is_due(_row(step), 1)
    return pace


def _row(step: int, **values: Any) -> Row:
    return Row(step=step, values={"kl": 0.1, "weights_changed_frac": 0.9, **values})


@each_of(
    "row",
    [
        _row(50, kl=math.nan),
        _row(50, weights_changed_frac=0.0),
        _row(50, kl=0.5),
        Row(step=50, values={"kl": 0.1}, phase="eval"),
    ],
)
def test_an_urgent_row_does_not_wait(row: Row) -> None:
    assert _settled(Clock()).is_due(row, 1)


def test_a_row_within_its_range_waits_for_others_or_for_the_clock() -> None:
    clock = Clock()
    pace = _settled(clock)
    assert [pace.is_due(_row(50, kl=0.11), n) for n in (1, MOST_WAITING - 1, MOST_WAITING)] == [False, False, True]
    clock.now = LONGEST_WAIT_S
    assert pace.is_due(_row(51), 1)


def _alerts(folder: Path, rows: list[dict[str, float]], every: int | None) -> list[Alert]:
    told: list[Alert] = []
    origin = TrainingOrigin(framework="trl", algorithm="grpo", dialect="trl_grpo")
    recorder = Recorder(Recording(output_dir=folder, run_id=f"r{every}", echo=False, judge_every=every), origin)
    for step, row in enumerate(rows, start=1):
        told += recorder.log(row, step=step, time=float(step)) or ()
    told += recorder.settle() or ()
    recorder.close()
    return told


@pytest.mark.parametrize("seed", every(3, range(3)))
def test_alerts_are_the_same_whatever_waits(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    start = draw.randrange(40, 70)
    rows = [
        {
            "reward": 0.5 + x,
            "kl": 0.1 + 0.05 * max(0, step - start) + 0.01 * x,
            "grad_norm": 1.0 + 0.1 * x if step < start + 20 else math.nan,
        }
        for step, x in enumerate(noisy_column(0.1, 110))
    ]
    once, some, many = (_alerts(tmp_path, rows, every) for every in (1, 5, None))
    told = [(a.rule, a.step, a.event, a.severity, a.value, a.message) for a in once]
    assert told
    assert told == [(a.rule, a.step, a.event, a.severity, a.value, a.message) for a in some]
    assert told == [(a.rule, a.step, a.event, a.severity, a.value, a.message) for a in many]


def test_where_an_alert_may_stop_the_training_no_row_waits(tmp_path: Path) -> None:
    recorder = Recorder(Recording(output_dir=tmp_path, stop_on="warn", echo=False, thresholds={"kl_divergence": 0.5}))
    for step in range(OPENING * 2):
        recorder.log({"kl": 0.1 + 0.001 * step}, step=step)
    recorder.log({"kl": 0.55}, step=99)
    assert recorder.stop_reason.startswith("threshold_kl_divergence at step 99")


def test_a_note_about_an_earlier_row_names_its_step(tmp_path: Path) -> None:
    recorder = Recorder(
        Recording(output_dir=tmp_path, run_id="r", echo=False, rules=(), thresholds={"clip_fraction": 0.3})
    )
    for step in range(OPENING + 1 + MOST_WAITING):
        recorder.log({"clip_frac": 0.4 if step == OPENING + 3 else 0.1}, step=step)
    text = (tmp_path / "r_events.jsonl").read_text()
    assert f'"step {OPENING + 3}: High clipping fraction detected' in text


@pytest.mark.parametrize("made", [OpenRLHFMonitor, RLDKTracking])
def test_every_adapter_lets_the_user_say_how_many_rows_wait(made: Any, tmp_path: Path) -> None:
    recorder: Recorder = made(output_dir=tmp_path, judge_every=3, echo=False).recorder
    assert recorder.judge.pace.every == 3
    with pytest.raises(UsageError, match="judge_every is 0"):
        made(output_dir=tmp_path, judge_every=0)
