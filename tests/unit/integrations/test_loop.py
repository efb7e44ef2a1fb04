"""`rldk.watch` for plain loops: without torch it records and judges what it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rldk


def _watch(folder: Path, **more: Any) -> Any:
    return rldk.watch(output_dir=folder, run_id="r", algorithm="grpo", echo=False, **more)


def test_steps_are_counted_from_one_and_written(tmp_path: Path) -> None:
    with _watch(tmp_path) as w:
        for _ in range(3):
            w.step({"reward_mean": 0.1})
        w.step({"reward_mean": 0.1}, step=10)
        w.step({"reward_mean": 0.1})
    steps = [json.loads(line)["step"] for line in (tmp_path / "r_events.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 10, 11]


def test_a_loop_learns_that_it_should_stop(tmp_path: Path) -> None:
    with _watch(tmp_path, stop_on="critical") as w:
        w.step({"loss": 1.0})
        assert not w.stop_requested
        w.step({"loss": float("nan")})
        assert w.stop_requested
        assert "GRAD001" in w.stop_reason


def test_an_error_of_the_loop_passes_and_marks_the_report(tmp_path: Path) -> None:
    def loop() -> None:
        with _watch(tmp_path) as w:
            w.step({"loss": 1.0 / len([])})

    with pytest.raises(ZeroDivisionError):
        loop()
    report = json.loads((tmp_path / "r_final_report.json").read_text())
    assert (report["meta"]["status"], report["meta"]["error"]) == ("crashed", "ZeroDivisionError")


def test_the_ratio_is_looked_at_on_the_first_minibatch_after_a_rollout_only(tmp_path: Path) -> None:
    with _watch(tmp_path) as w:
        w.rollout()
        w.minibatch([[-1.0, -2.0]], [[-1.0, -2.1]], mask=[[1, 0]])
        w.minibatch([[-1.0, -2.0]], [[-9.0, -9.0]])
        w.step({"loss": 1.0})
        assert w.recorder.row.values["ratio_first_minibatch_dev"] == 0.0
        w.rollout()
        w.minibatch([[-1.0]], [[-1.1]])
        w.step({"loss": 1.0})
        assert w.recorder.row.values["ratio_first_minibatch_dev"] == pytest.approx(0.10517, abs=1e-5)


def test_samples_become_metrics_of_their_step(tmp_path: Path) -> None:
    sample = {
        "prompt": "p",
        "response": "x",
        "group_id": 1,
        "advantage": 1.0,
        "logp_train": [-1.0],
        "logp_rollout": [-1.5],
    }
    other = {**sample, "prompt": "q", "response": "y", "advantage": -1.0}
    with _watch(tmp_path, samples=8) as w:
        w.step({"loss": 1.0}, samples=[sample, other])
        values = w.recorder.row.values
    assert (values["group_mixed_frac"], values["advantage_mean"], values["rollout_logprob_diff_mean"]) == (
        1.0,
        0.0,
        0.5,
    )
    assert len((tmp_path / "samples-r.jsonl").read_text().splitlines()) == 2
