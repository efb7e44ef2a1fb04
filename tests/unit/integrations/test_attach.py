"""The hooks of `rldk run --hooks` on stand-ins for the modules of trainers, in this process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from rldk.integrations.attach import HOOKS, attach
from rldk.integrations.hooked import SAMPLES, HookedProcess
from rldk.integrations.inject.rldk_trainers import MODULES
from rldk.integrations.judge import TrainingOrigin


def _module(name: str, **content: Any) -> Any:
    made = ModuleType(name)
    vars(made).update(content)
    return made


def _rows(folder: Path, name: str = "training") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}_events.jsonl").read_text().splitlines()]


class Callback:
    """The base of callbacks, as transformers has it."""


class Handler:
    def __init__(self, callbacks: list[Any]) -> None:
        self.callbacks = callbacks

    def call(self, event: str, step: int, **given: Any) -> None:
        state = SimpleNamespace(global_step=step, max_steps=3, log_history=[0] * step)
        control = SimpleNamespace(should_training_stop=False, should_log=True, should_save=False)
        for callback in self.callbacks:
            getattr(callback, event)(ARGS, state, control, **given)


class GRPOConfig:
    max_steps, process_index = 3, 0

    def to_dict(self) -> dict[str, Any]:
        return {"beta": 0.1}


ARGS = GRPOConfig()


def test_what_python_waits_for_is_what_there_are_hooks_for() -> None:
    assert set(HOOKS) == MODULES


def test_a_trainer_is_recorded_in_its_own_names_and_judged_by_nobody(tmp_path: Path) -> None:
    module = _module("trainer_callback", CallbackHandler=Handler, TrainerCallback=Callback)
    begin = Handler.__init__
    try:
        attach("transformers.trainer_callback", module, str(tmp_path))
        handler = Handler([])
        handler.call("on_train_begin", 0)
        for step in range(1, 4):
            handler.call("on_log", step, logs={"reward": 0.5, "loss": float("nan")})
        handler.call("on_train_end", 3)
    finally:
        Handler.__init__ = begin  # type: ignore[method-assign]
    assert [row["metrics"]["reward"] for row in _rows(tmp_path)] == [0.5] * 3
    assert json.loads((tmp_path / "run.json").read_text())["config"] == {"beta": 0.1}
    assert not (tmp_path / "training_final_report.json").exists()
    assert (tmp_path / "training_alerts.jsonl").exists() is False


def test_a_trainer_with_a_callback_of_rldk_is_left_alone(tmp_path: Path) -> None:
    from rldk.integrations.recorder import Recording
    from rldk.integrations.trl.hooks import TrainerHooks

    class Own(Handler):
        pass

    module = _module("trainer_callback", CallbackHandler=Own, TrainerCallback=Callback)
    attach("transformers.trainer_callback", module, str(tmp_path))
    handler = Own([TrainerHooks(Recording(output_dir=tmp_path))])
    assert len(handler.callbacks) == 1


def test_the_tracker_of_verl_gets_a_backend_without_being_asked(tmp_path: Path) -> None:
    class Tracking:
        supported_backend: ClassVar[list[str]] = ["console"]

        def __init__(self, project: str, experiment: str, default_backend: Any = "console", config: Any = None) -> None:
            self.logger: dict[str, Any] = {}

        def finish(self, exit_code: int = 0) -> None: ...

    attach("verl.utils.tracking", _module("tracking", Tracking=Tracking), str(tmp_path))
    made = Tracking("p", "e", "console", {"algorithm": {"adv_estimator": "grpo"}})
    made.logger["rldk"].log({"actor/entropy": 0.5}, 4)
    made.finish()
    (row,) = _rows(tmp_path)
    assert (row["step"], row["metrics"]["actor/entropy"]) == (4, 0.5)


def test_the_trainer_of_openrlhf_gets_a_logger(tmp_path: Path) -> None:
    class BasePPOTrainer:
        def __init__(self) -> None:
            self.args, self.wandb_logger = None, None

    attach("openrlhf.trainer.ppo_trainer", _module("ppo_trainer", BasePPOTrainer=BasePPOTrainer), str(tmp_path))
    logger: Any = BasePPOTrainer().wandb_logger
    logger.log_train(2, {"ppo_kl": 0.1, "generated_samples": ["an answer", 1.0]})
    logger.close()
    assert _rows(tmp_path)[0]["metrics"]["ppo_kl"] == 0.1
    assert json.loads((tmp_path / "samples-training.jsonl").read_text())["response"] == "an answer"


@pytest.mark.parametrize(("said", "kept"), [("3", 3), ("0", 0), ("many", SAMPLES), ("9" * 40, SAMPLES)])
def test_how_many_samples_are_kept_is_said_by_the_environment(
    said: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLDK_HOOKS_SAMPLES", said)
    made: list[int] = []
    monkeypatch.setitem(HOOKS, "a.trainer", lambda _, process: made.append(process.samples) or "it")
    attach("a.trainer", _module("trainer"), str(tmp_path))
    assert made == [kept]


def test_an_algorithm_of_rllib_is_recorded_by_its_iterations(tmp_path: Path) -> None:
    class Algorithm:
        iteration = 0
        config = None

        def setup(self, config: Any) -> None: ...

        def step(self) -> dict[str, Any]:
            return {"env_runners": {"episode_return_mean": 2.0}}

    attach("ray.rllib.algorithms.algorithm", _module("algorithm", Algorithm=Algorithm), str(tmp_path))
    algorithm = Algorithm()
    algorithm.setup({})
    assert algorithm.step() == {"env_runners": {"episode_return_mean": 2.0}}
    (row,) = _rows(tmp_path)
    assert (row["step"], row["metrics"]["env_runners/episode_return_mean"]) == (1, 2.0)


def test_one_hook_leads_and_a_second_recording_has_a_name_of_its_own(tmp_path: Path) -> None:
    process, origin = HookedProcess(tmp_path), TrainingOrigin()
    assert process.begin("environment", origin) is not None
    assert process.begin("trainer", origin) is not None
    assert process.begin("environment", origin) is None
    assert process.begin("writer", origin) is None
    assert {p.name for p in tmp_path.glob("*_events.jsonl")} == {"training_events.jsonl", "training_2_events.jsonl"}


def test_a_forked_child_does_not_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = HookedProcess(tmp_path)
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert process.begin("trainer", TrainingOrigin()) is None
