"""The tap on writers of TensorBoard, on a writer of our own with the same methods."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rldk.errors import TrainingStopped, UnknownName
from rldk.integrations.recorder import Recording
from rldk.integrations.tensorboard import SummaryTap


class Writer:
    def __init__(self) -> None:
        self.got: list[tuple[Any, ...]] = []

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None, walltime: Any = None) -> str:
        self.got.append((tag, scalar_value, global_step))
        return "original"

    def add_scalars(self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: int | None = None) -> None:
        self.got.append((main_tag, tag_scalar_dict, global_step))

    def add_text(self, tag: str, text_string: str, global_step: int | None = None) -> None:
        self.got.append((tag, text_string))

    def close(self) -> None:
        self.got.append(("closed",))


@pytest.fixture
def tapped(tmp_path: Path) -> Iterator[SummaryTap]:
    made = SummaryTap(Recording(output_dir=tmp_path, run_id="r", echo=False))
    made.attach(Writer)
    yield made
    made.remove()


def _rows(folder: Path, run_id: str = "r") -> list[tuple[int, dict[str, float]]]:
    lines = (folder / f"{run_id}_events.jsonl").read_text().splitlines()
    return [(event["step"], event["metrics"]) for event in map(json.loads, lines)]


def test_the_scalars_of_one_step_are_a_row_in_canonical_names(tapped: SummaryTap, tmp_path: Path) -> None:
    writer = Writer()
    writer.add_text("hyperparameters", "|param|value|\n|-|-|\n|exp_name|ppo_atari|\n|total_timesteps|500|")
    for step in (10, 20):
        assert writer.add_scalar("charts/episodic_return", step / 2, step) == "original"
        writer.add_scalar("losses/approx_kl", 0.01, global_step=step)
    writer.close()
    assert [(s, r["reward_mean"], r["kl_policy_update"]) for s, r in _rows(tmp_path)] == [(10, 5, 0.01), (20, 10, 0.01)]
    origin = tapped.recorders[0].origin
    assert (origin.framework, origin.algorithm, origin.total_steps) == ("cleanrl", "ppo", 500)
    assert len(writer.got) == 6


def test_another_clock_does_not_take_the_rows_back(tapped: SummaryTap, tmp_path: Path) -> None:
    writer = Writer()
    for step in (100, 200):
        writer.add_scalar("loss", 1.0, step)
        writer.add_scalar("episode/score", 2.0, step // 100)
    writer.close()
    assert [step for step, _ in _rows(tmp_path)] == [100, 200]


def test_scalars_without_a_step_and_what_is_no_number_do_no_harm(tapped: SummaryTap, tmp_path: Path) -> None:
    writer = Writer()
    writer.add_scalar("a", "text")
    writer.add_scalar("loss", math.nan)
    writer.add_scalars("grad", {"actor": 1.0, "critic": 2.0}, 0)
    writer.close()
    ((step, row),) = _rows(tmp_path)
    assert step == 0
    assert (row["grad/actor"], row["grad/critic"], math.isnan(row["loss"])) == (1.0, 2.0, True)


def test_each_writer_is_a_run(tapped: SummaryTap, tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        writer = Writer()
        writer.add_scalar("loss", value, 1)
        writer.close()
    assert (_rows(tmp_path)[0][1]["loss"], _rows(tmp_path, "r-2")[0][1]["loss"]) == (1.0, 2.0)


def test_a_tap_that_is_removed_leaves_the_class_as_it_was(tmp_path: Path) -> None:
    before = dict(vars(Writer))
    made = SummaryTap(Recording(output_dir=tmp_path))
    assert made.attach(Writer)
    assert not made.attach(Writer)
    made.remove()
    assert dict(vars(Writer)) == before


def test_a_failure_behind_the_tap_does_not_reach_the_script(
    tapped: SummaryTap, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(tapped.guard, "say", said.append)
    monkeypatch.setattr(tapped, "_of", lambda writer: 1 / 0)
    assert Writer().add_scalar("loss", 1.0, 1) == "original"
    assert "ZeroDivisionError" in said[0]


def test_a_script_can_ask_whether_it_should_stop(tmp_path: Path) -> None:
    limits = {"clip_fraction": 0.5}
    made = SummaryTap(Recording(output_dir=tmp_path, echo=False, stop_on="warn", thresholds=limits))
    made.attach(Writer)
    writer = Writer()
    for step in range(3):
        writer.add_scalar("losses/clipfrac", 0.9, step)
    with pytest.raises(TrainingStopped, match="clip"):
        made.raise_if_stopped()
    made.remove()


def test_wrong_rules_are_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        SummaryTap(Recording(output_dir=tmp_path, thresholds={"nothing": 1}))
