"""The steps of environments as rows, without gymnasium."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from examples import each_of

from rldk.integrations.environments import ORIGIN, EnvironmentRecording
from rldk.integrations.recorder import Recorder, Recording

BOX = SimpleNamespace(low=np.array([-1.0]), high=np.array([1.0]))


def _recording(folder: Path, **more: Any) -> EnvironmentRecording:
    options = {"action_space": None, "interval": 1, **more}
    return EnvironmentRecording(
        lambda: Recorder(Recording(output_dir=folder, run_id="r", echo=False), ORIGIN), **options
    )


def _row(recording: EnvironmentRecording) -> dict[str, float]:
    assert recording.recorder is not None
    assert recording.recorder.row is not None
    return dict(recording.recorder.row.values)


def test_an_episode_is_a_row_with_its_return_and_length(tmp_path: Path) -> None:
    made = _recording(tmp_path)
    made.reset(np.zeros(2))
    for step in range(3):
        made.step(0, np.zeros(2), 2.0, step == 2, False)
    row = _row(made)
    found = [row[n] for n in ("reward_mean", "response_length_mean", "episode_truncated_frac", "episodes_ended")]
    assert found == [6.0, 3.0, 0.0, 1.0]
    assert made.recorder is not None
    assert made.recorder.last_step == 3


def test_a_time_limit_is_told_apart_from_an_end(tmp_path: Path) -> None:
    made = _recording(tmp_path, interval=2)
    for over, cut in ((True, True), (False, True)):
        made.reset(np.zeros(1))
        made.step(0, np.zeros(1), 0.0, over, cut)
    assert _row(made)["episode_truncated_frac"] == 0.5  # an end that falls on the limit is an end


@each_of(("action", "share"), [(1.0, 1.0), (0.9995, 1.0), (-1.0, 1.0), (0.99, 0.0)])
def test_actions_at_a_bound_are_counted(action: float, share: float, tmp_path: Path) -> None:
    made = _recording(tmp_path, action_space=BOX)
    made.step(np.array([action]), np.zeros(1), 0.0, True, False)
    assert _row(made)["action_bound_frac"] == share


def test_what_is_not_finite_is_a_row_at_once_and_only_once(tmp_path: Path) -> None:
    made = _recording(tmp_path, interval=100)
    for _ in range(3):
        made.step(0, {"a": np.array([np.nan, 0.0]), "b": np.zeros(2, dtype=np.uint8)}, np.inf, False, False)
    row = _row(made)
    assert (row["observation_nonfinite_frac"], row["reward_nonfinite_frac"]) == (0.5, 1.0)
    assert made.recorder is not None
    assert made.recorder.rows == 1


def test_environments_that_wait_for_their_reset_lose_no_step_and_gain_none(tmp_path: Path) -> None:
    made = _recording(tmp_path, count=2, waits=True)
    for rewards, over in (([1.0, 1.0], [True, False]), ([9.0, 1.0], [False, True])):  # the 9 comes with the reset
        made.step(np.zeros(2), np.zeros((2, 1)), np.array(rewards), np.array(over), np.zeros(2, dtype=bool))
    row = _row(made)
    assert (row["reward_min"], row["reward_max"], made.steps) == (1.0, 2.0, 3)


@each_of(("waits", "count"), [(False, 1), (True, 1), (False, 2), (True, 2)])
def test_steps_with_their_resets_are_nothing_to_be_told(tmp_path: Path, waits: bool, count: int) -> None:
    made = _recording(tmp_path, waits=waits, count=count)
    for _ in range(3):
        if count == 1:
            made.reset(np.zeros(1))
        for over in (False, False, True):
            made.step(np.zeros(count), np.zeros(count), np.ones(count), np.full(count, over), np.full(count, False))
    assert made.guard.failures == {}


def test_a_step_after_the_end_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = _recording(tmp_path)
    for _ in range(3):
        made.step(0, np.zeros(1), 0.0, True, False)
    assert capsys.readouterr().err.count("without a reset") == 1


def test_a_failure_does_not_reach_the_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = _recording(tmp_path)
    made.step(0, np.zeros(1), "no number", True, False)
    assert "ValueError" in capsys.readouterr().err
