"""Callbacks and monitors for TRL in a small loop, without TRL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trl_stand_in import loaded_without_trl


@pytest.fixture
def monitors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with loaded_without_trl(monkeypatch, "monitors") as module:
        yield module


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with loaded_without_trl(monkeypatch, "callbacks") as module:
        yield module


class PPOConfig:
    process_index = 0
    max_steps = 100

    def to_dict(self) -> dict[str, Any]:
        return {}


def train(callback: Any, rows: list[dict[str, float]]) -> Any:
    args: Any = PPOConfig()
    state = SimpleNamespace(global_step=0, max_steps=100, log_history=[])
    control = SimpleNamespace(should_training_stop=False, should_log=False, should_save=False)
    getattr(callback, "on_train_begin", lambda *_: None)(args, state, control)
    for row in rows:
        state.global_step += 1
        getattr(callback, "on_step_end", lambda *_: None)(args, state, control)
        state.log_history.append(row)
        callback.on_log(args, state, control, logs=row)
    callback.on_train_end(args, state, control)
    return callback


def row(**values: float) -> dict[str, float]:
    return {"objective/kl": 0.05, "grad_norm": 0.5, "reward_std": 0.4, **values}


def test_a_limit_of_the_user_is_passed_on_three_rows_in_a_row(monitors: Any, tmp_path: Path) -> None:
    for key, at, beyond in [("objective/kl", 0.1, 0.11), ("grad_norm", 1.0, 1.01), ("reward_std", 0.05, 0.049)]:
        for value, rows, count in [(at, 3, 0), (beyond, 2, 0), (beyond, 3, 1)]:
            folder = tmp_path / f"{key.replace('/', '-')}-{value}-{rows}"
            made = monitors.PPOMonitor(output_dir=folder, run_id="r", echo=False)
            train(made, [row(), *[row(**{key: value})] * rows, row()])
            assert len(json.loads((folder / "r_alerts.json").read_text())) == count, (key, value, rows)
            assert len(made.history) == rows + 2
            assert made.current_ppo_metrics is made.history[-1]


def test_before_the_first_update_there_is_none(monitors: Any, tmp_path: Path) -> None:
    assert monitors.PPOMonitor(output_dir=tmp_path, run_id="r", echo=False).current_ppo_metrics is None


def test_the_analytics_describe_the_newest_fifty_rows(monitors: Any, tmp_path: Path) -> None:
    made = monitors.AdvancedPPOMonitor(output_dir=tmp_path, run_id="r", echo=False)
    train(made, [row(grad_norm=9.0)] + [row(grad_norm=0.25)] * 25 + [row(grad_norm=0.75)] * 25)
    found = json.loads((tmp_path / "r_analytics.json").read_text())
    assert (found["rows"], found["window"]) == (51, 50)
    assert found["metrics"]["grad_norm"] == {"count": 50, "newest": 0.75, "mean": 0.5, "std": 0.25, "change": 0.5}
    quiet = monitors.AdvancedPPOMonitor(output_dir=tmp_path, run_id="q", enable_advanced_analytics=False, echo=False)
    train(quiet, [row()])
    assert not (tmp_path / "q_analytics.json").exists()


def test_a_course_of_few_values(monitors: Any) -> None:
    assert monitors._course([3.0]) == {"count": 1, "newest": 3.0, "mean": 3.0, "std": 0.0, "change": 0.0}
    assert monitors._course([1.0, 2.0, 6.0])["change"] == 3.0


@pytest.mark.slow
def test_the_forensics_of_a_training_are_written_at_intervals_and_at_the_end(monitors: Any, tmp_path: Path) -> None:
    for interval, steps in [(0, []), (2, [2, 4]), (5, [5]), (6, [])]:
        folder = tmp_path / str(interval)
        made = monitors.ComprehensivePPOMonitor(folder, analysis_interval=interval, run_id="r", echo=False)
        train(made, [row()] * 5)
        names = {path.name for path in folder.iterdir()}
        assert {n for n in names if "_step_" in n} == {f"r_comprehensive_analysis_step_{s}.json" for s in steps}
        assert any("comprehensive" in name and "_step_" not in name for name in names)


def test_goals_are_looked_at_and_written(callbacks: Any, tmp_path: Path) -> None:
    goals = {"min_grad_norm": 0.6, "max_kl": 0.1}
    made = callbacks.CustomRLDKCallback(goals, output_dir=tmp_path, run_id="r", echo=False)
    train(made, [row(), row(grad_norm=0.6), row(**{"objective/kl": 0.2})])
    found = json.loads((tmp_path / "r_benchmarks.json").read_text())
    assert found == made.benchmark_results
    assert [(found[name]["met"], found[name]["step"]) for name in goals] == [(True, 2), (False, 3)]
    usual = callbacks.CustomRLDKCallback(output_dir=tmp_path, run_id="u", echo=False)
    assert usual.performance_benchmarks == {"target_reward": 1.0, "max_kl_divergence": 0.1}


def test_a_writer_of_events_writes_each_row_and_nothing_else(callbacks: Any, tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    made = callbacks.EventWriterCallback(path, "r", {"a": "b"})
    train(made, [row(), {}, {**row(), "note": "text"}, {"eval_loss": 0.5}])  # type: ignore[dict-item]
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["step"] for event in events] == [1, 3, 4]
    assert events[0]["metrics"]["kl"] == 0.05
    assert [event["tags"].get("phase") for event in events] == [None, None, "eval"]
    assert [event["tags"]["a"] for event in events] == ["b"] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["e.jsonl"]
