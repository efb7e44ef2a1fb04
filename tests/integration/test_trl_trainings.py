"""Real trainings of a tiny random model with the newest TRL, watched by the callbacks."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("trl")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),  # of transformers and its friends, about their own futures
]
sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks

from benchmarks import tiny  # noqa: E402

from rldk.diagnosis import diagnose  # noqa: E402
from rldk.errors import TrainingStopped, UsageError  # noqa: E402
from rldk.integrations.trl import (  # noqa: E402
    EventWriterCallback,
    PPOMonitor,
    RLDKCallback,
    RLDKMonitor,
    create_ppo_trainer,
)


def _events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["grpo", "dpo", "sft", "rloo"])
def test_a_training_is_recorded_and_its_model_is_measured(name: str, tmp_path: Path) -> None:
    callback = RLDKCallback(tmp_path / "rldk", run_id="r", echo=False)
    trainer = tiny.TRAINERS[name](tmp_path / "out", 10, [callback])
    trainer.train()
    events = _events(tmp_path / "rldk" / "r_events.jsonl")
    measured = {key for event in events for key in event["metrics"]}
    report = json.loads((tmp_path / "rldk" / "r_final_report.json").read_text())
    assert [e["step"] for e in events if not e.get("tags")] == list(range(1, 11))
    assert measured >= {"weights_changed_frac", "optimizer_coverage", "grad_norm_update", "loss", "lr"}
    assert report["meta"]["failures"] == {}
    assert not [n for n in vars(trainer) if n in ("_compute_loss", "_generate_and_score_completions")]


def test_what_no_scalar_shows_is_measured_in_grpo(tmp_path: Path) -> None:
    callback = RLDKCallback(tmp_path, run_id="r", echo=False, samples=4)
    tiny.grpo(tmp_path / "out", 6, [callback], per_device_train_batch_size=32, num_iterations=2).train()
    rows = [event["metrics"] for event in _events(tmp_path / "r_events.jsonl")]
    assert max(row.get("ratio_first_minibatch_dev", 0.0) for row in rows) < 1e-3
    assert any(abs(row["sampled_surprise_z"]) < 6 for row in rows if "sampled_surprise_z" in row)
    assert all(row["advantage_group_dev"] < 1e-3 for row in rows if "advantage_group_dev" in row)
    assert all(row["valid_token_frac"] == 1.0 for row in rows if "valid_token_frac" in row)
    samples = _events(tmp_path / "samples-r.jsonl")
    assert {"prompt", "response", "group_id", "advantage", "reward", "token_ids"} <= samples[0].keys()


class Breaks(tiny.callback_class()):  # type: ignore[misc]
    """Puts a NaN into the log of one step, as a broken trainer would."""

    def __init__(self, step: int, name: str = "loss") -> None:
        self.step, self.name = step, name

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.global_step == self.step:
            logs[self.name] = float("nan")


@pytest.mark.parametrize("name", ["grpo", "dpo"])
def test_a_stop_ends_the_training_at_its_step_with_a_checkpoint(name: str, tmp_path: Path) -> None:
    callback = RLDKCallback(tmp_path / "rldk", run_id="r", echo=False, stop_on="critical", stop_with_checkpoint=True)
    trainer = tiny.TRAINERS[name](tmp_path / "out", 10, [Breaks(4), callback])
    trainer.train()
    assert trainer.state.global_step == 4
    assert (tmp_path / "out" / "checkpoint-4").is_dir()


def test_an_optimizer_of_other_weights_is_named_at_once(tmp_path: Path) -> None:
    import torch

    model = tiny.saved_model()
    other = torch.optim.AdamW(tiny.model(1).parameters(), lr=1e-3)
    callback = RLDKCallback(tmp_path / "rldk", run_id="r", echo=False)
    tiny.grpo(tmp_path / "out", 4, [callback], model=model, optimizers=(other, None)).train()
    assert {(a.rule, a.step) for a in callback.alerts} >= {("OPT006", 1), ("OPT001", 2)}


def test_several_callbacks_share_rules_and_files_do_not_clash(tmp_path: Path) -> None:
    where: dict[str, Any] = {"output_dir": tmp_path / "rldk", "echo": False}
    monitor = PPOMonitor(**where)
    attached = [RLDKCallback(**where), RLDKMonitor(**where), monitor]
    writer = EventWriterCallback(tmp_path / "written.jsonl")
    tiny.grpo(tmp_path / "out", 4, [*attached, writer]).train()
    assert len(list((tmp_path / "rldk").glob("*_events.jsonl"))) == 3
    assert monitor.history[-1].reward_mean is not None
    assert [e["step"] for e in _events(tmp_path / "written.jsonl")][:4] == [1, 2, 3, 4]


def test_the_folder_of_a_callback_opens_as_a_run(tmp_path: Path) -> None:
    tiny.dpo(tmp_path / "out", 6, [RLDKCallback(tmp_path / "rldk", run_id="r", echo=False)]).train()
    report = diagnose(tmp_path / "rldk" / "r_events.jsonl")
    assert report.numbers["rows"] == 7


def test_ppo_trains_or_the_error_says_that_it_is_gone(tmp_path: Path) -> None:
    if has_ppo():
        callback = RLDKCallback(tmp_path / "rldk", run_id="r", echo=False)
        tiny.ppo(tmp_path / "out", 3, [callback]).train()
        assert len(_events(tmp_path / "rldk" / "r_events.jsonl")) >= 3
    else:
        with pytest.raises(UsageError, match=r"no PPOTrainer: it was removed in TRL 1\.13"):
            create_ppo_trainer("anything", None, None)


def test_a_stop_ends_ppo_which_ignores_the_flag_of_other_trainers(tmp_path: Path) -> None:
    if not has_ppo():
        pytest.skip("this TRL has no PPOTrainer")
    callback = RLDKCallback(tmp_path / "rldk", run_id="r", echo=False, stop_on="critical")
    trainer = tiny.ppo(tmp_path / "out", 6, [Breaks(3, "loss/policy_avg"), callback])
    with pytest.raises(TrainingStopped, match="GRAD001 at step 3"):
        trainer.train()
    report = json.loads((tmp_path / "rldk" / "r_final_report.json").read_text())
    assert trainer.state.global_step == 3
    assert (report["meta"]["status"], report["numbers"]["last_step"]) == ("stopped", 3)


def test_checkpoints_are_measured_and_sinks_are_served(tmp_path: Path) -> None:
    class Sink:
        name = "a list"
        got: list[Any] = []  # noqa: RUF012

        def state(self, values: Any, step: int) -> None:
            self.got.append(step)

        def alert(self, alert: Any) -> None:
            self.got.append(alert.rule)

        def end(self, report: Any) -> None:
            self.got.append(report.verdict)

    callback = RLDKCallback(tmp_path / "rldk", run_id="r", echo=False, sinks=[Sink()])
    silent = RLDKCallback(tmp_path / "other", run_id="r", echo=False, enable_checkpoint_analysis=False)
    tiny.sft(tmp_path / "out", 6, [Breaks(3), callback, silent], save_strategy="steps", save_steps=2).train()
    lines = (tmp_path / "rldk" / "r_checkpoint_summary.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "2", "4", "6"]
    assert callback.checkpoints[-1].drift is not None
    assert callback.checkpoints[-1].drift > 0
    assert not (tmp_path / "other" / "r_checkpoint_summary.csv").exists()
    assert "GRAD001" in Sink.got
    assert isinstance(Sink.got[-1], str)


def has_ppo() -> bool:
    return Version(version("trl")) < Version("1.13")
