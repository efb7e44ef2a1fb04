"""The events of a trainer, as transformers sends them, without a trainer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rldk.core.table import Row
from rldk.errors import MissingExtra, UnknownName
from rldk.integrations.recorder import Recording
from rldk.integrations.trl.hooks import TrainerHooks
from rldk.integrations.trl.share import leave, share_of


class GRPOConfig:
    """Arguments as TRL's: the name of the class tells the algorithm."""

    process_index = 0
    max_steps = 20

    def to_dict(self) -> dict[str, Any]:
        return {"learning_rate": 1e-5, "hub_token": "hf_secret_secret_secret"}


class SmallTrainer:
    """A loop that calls its callbacks in the order of transformers' Trainer."""

    def __init__(self, *callbacks: TrainerHooks) -> None:
        self.args = GRPOConfig()
        self.state = SimpleNamespace(global_step=0, max_steps=20, log_history=[])
        self.control = SimpleNamespace(should_training_stop=False, should_log=False, should_save=False)
        self.callback_handler = SimpleNamespace(callbacks=list(callbacks))

    def event(self, name: str, **given: Any) -> None:
        for callback in self.callback_handler.callbacks:
            getattr(callback, name)(self.args, self.state, self.control, **given)

    def train(self, rows: list[dict[str, Any]]) -> int:
        self.event("on_train_begin")
        for row in rows:
            self.state.global_step += 1
            self.control.should_log = True
            self.event("on_step_end")
            self.state.log_history.append(row)
            self.event("on_log", logs=row)
            if self.control.should_training_stop:
                break
        self.event("on_train_end")
        return int(self.state.global_step)


def _hooks(folder: Path, run_id: str | None = "r", **more: Any) -> TrainerHooks:
    stop = {"stop_with_checkpoint": more.pop("stop_with_checkpoint", False)}
    return TrainerHooks(Recording(output_dir=folder, run_id=run_id, echo=False, **more), **stop)


def _events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_training_leaves_the_documented_files(tmp_path: Path) -> None:
    hooks = _hooks(tmp_path)
    SmallTrainer(hooks).train([{"reward": 0.1 * i, "kl": 0.01} for i in range(5)])
    names = {p.name for p in tmp_path.iterdir()}
    assert names >= {"r_events.jsonl", "r_metrics.csv", "r_alerts.json", "r_final_report.json"}
    assert [e["metrics"]["reward_mean"] for e in _events(tmp_path / "r_events.jsonl")] == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.4]
    )
    assert hooks.current_metrics.kl == 0.01


def test_the_trainer_is_found_among_the_callers(tmp_path: Path) -> None:
    hooks = _hooks(tmp_path)
    trainer = SmallTrainer(hooks)
    trainer.train([{"reward": 0.1}])
    assert hooks.trainer is trainer


def test_the_configuration_reaches_the_rules_without_secrets(tmp_path: Path) -> None:
    hooks = _hooks(tmp_path)
    trainer = SmallTrainer(hooks)
    trainer.event("on_train_begin")
    assert hooks.recorder is not None
    origin = hooks.recorder.origin
    assert (origin.framework, origin.algorithm, origin.total_steps) == ("trl", "grpo", 20)
    assert origin.config == {"learning_rate": 1e-5, "hub_token": "[redacted]"}


def test_a_stop_ends_the_training_at_its_step_with_a_checkpoint(tmp_path: Path) -> None:
    hooks = _hooks(tmp_path, stop_on="critical", stop_with_checkpoint=True)
    trainer = SmallTrainer(hooks)
    assert trainer.train([{"grad_norm": 1.0}] * 3 + [{"grad_norm": float("nan")}] * 5) == 4
    assert trainer.control.should_save


def test_a_subclass_may_override_on_log(tmp_path: Path) -> None:
    class Mine(TrainerHooks):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            logs["mine"] = 2.0
            super().on_log(args, state, control, logs, **kwargs)

    SmallTrainer(Mine(Recording(output_dir=tmp_path, run_id="r"))).train([{"reward": 0.1}])
    assert _events(tmp_path / "r_events.jsonl")[0]["metrics"]["mine"] == 2.0


def test_two_callbacks_of_one_trainer_judge_each_row_once(tmp_path: Path) -> None:
    hooks = [
        _hooks(tmp_path / "a", rules=["GRAD001"]),
        _hooks(tmp_path / "b", rules=[], thresholds={"kl_divergence": 0.5}),
    ]
    asked: list[int] = []

    class Counting(TrainerHooks):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            super().on_train_begin(args, state, control, **kwargs)
            assert self.recorder is not None
            judge, look = self.recorder.judge, self.recorder.judge._judge

            def counted() -> None:
                asked.extend(row.step for row in judge._waiting if isinstance(row, Row))
                look()

            judge._judge = counted  # type: ignore[method-assign]

    hooks.append(Counting(Recording(output_dir=tmp_path / "c", run_id="r")))
    SmallTrainer(*hooks).train([{"reward": 0.1, "kl": 0.9}] * 4)
    assert asked == [1, 2, 3, 4]
    assert [len(_events(tmp_path / name / "r_events.jsonl")) for name in "abc"] == [4, 4, 4]
    assert [a.rule for a in hooks[1].alerts] == ["threshold_kl_divergence"]
    assert not hooks[0].alerts


def test_evaluation_and_summary_rows_are_told_apart(tmp_path: Path) -> None:
    hooks = _hooks(tmp_path)
    SmallTrainer(hooks).train([{"reward": 0.1}, {"eval_reward": 0.2}, {"train_runtime": 3.0, "train_loss": 0.1}])
    assert [(e.get("tags") or {}).get("phase") for e in _events(tmp_path / "r_events.jsonl")] == [
        None,
        "eval",
        "summary",
    ]


def test_a_second_training_of_one_callback_begins_anew(tmp_path: Path) -> None:
    hooks = _hooks(tmp_path, run_id=None)
    for _ in range(2):
        SmallTrainer(hooks).train([{"reward": 0.1}])
    assert len(list(tmp_path.glob("*_final_report.json"))) == 2


def test_a_wrong_threshold_is_an_error_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        _hooks(tmp_path, thresholds={"no_such": 1.0})


def test_without_trl_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("rldk.integrations.trl")]:
        monkeypatch.delitem(sys.modules, name)  # another test may have loaded it
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(ImportError, match=r"trl") as caught:
        from rldk.integrations.trl import RLDKCallback  # noqa: F401
    assert isinstance(caught.value, MissingExtra)
    assert 'pip install "rldk[trl]"' in caught.value.hint


def test_a_share_lives_until_its_last_member_has_left() -> None:
    args = GRPOConfig()
    share = share_of(args)
    share.members = 2
    leave(args)
    assert share_of(args) is share
    leave(args)
    assert share_of(args) is not share
    leave(GRPOConfig())  # a stranger has none
    other = GRPOConfig()
    assert share_of(other) is not share_of(args)


def test_a_log_of_checkpoints_is_given_each_row(tmp_path: Path) -> None:
    seen: list[Row | None] = []
    checkpoints: Any = SimpleNamespace(row=seen.append, made=[])
    recording = Recording(output_dir=tmp_path, run_id="r", echo=False)
    SmallTrainer(TrainerHooks(recording, checkpoints=checkpoints)).train([{"loss": 1.0}, {"loss": 0.5}])
    assert [row.values["loss"] for row in seen if row is not None] == [1.0, 0.5]
