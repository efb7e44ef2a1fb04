"""Real trainings of Stable-Baselines3 with the callback."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("stable_baselines3")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("default")]

import torch  # noqa: E402
from stable_baselines3 import A2C, DQN, PPO, SAC  # noqa: E402
from stable_baselines3.common.torch_layers import FlattenExtractor  # noqa: E402

from rldk.errors import UsageError  # noqa: E402
from rldk.integrations.sb3 import RLDKCallback  # noqa: E402

SMALL: dict[str, Any] = {"seed": 1, "device": "cpu", "policy_kwargs": {"net_arch": [16]}}
KINDS: dict[str, tuple[Any, str, dict[str, Any], int]] = {
    "ppo": (PPO, "CartPole-v1", {"n_steps": 64, "n_epochs": 2, "batch_size": 16}, 320),
    "a2c": (A2C, "CartPole-v1", {}, 400),
    "dqn": (DQN, "CartPole-v1", {"learning_starts": 50, "train_freq": 1}, 250),
    "sac": (SAC, "Pendulum-v1", {"learning_starts": 100, "batch_size": 32}, 450),
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _learn(kind: str, callback: Any, steps: int | None = None, **more: Any) -> Any:
    made, env, settings, total = KINDS[kind]
    model = made("MlpPolicy", env, **copy.deepcopy({**SMALL, **settings, **more}))
    return model.learn(steps or total, callback=callback, log_interval=1)


def _callback(folder: Path, **more: Any) -> RLDKCallback:
    return RLDKCallback(folder, run_id="r", echo=False, **more)


def _events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "r_events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_each_algorithm_leaves_its_rows_and_what_only_a_hook_sees(kind: str, tmp_path: Path) -> None:
    callback = _callback(tmp_path)
    _learn(kind, callback)
    events = _events(tmp_path)
    seen = {name for event in events for name in event["metrics"]}
    assert seen >= {"reward_mean", "response_length_mean", "weights_changed_frac", "optimizer_coverage", "lr"}
    assert callback.recorder is not None
    assert callback.recorder.origin.algorithm == kind
    assert callback.recorder.guard.failures == {}
    assert {e["metrics"].get("optimizer_coverage", 1.0) for e in events} == {1.0}
    report = json.loads((tmp_path / "r_final_report.json").read_text())
    assert report["meta"]["status"] == "finished"
    assert callback.recorder.counts["critical"] == 0


def test_the_ratio_is_one_before_the_first_step_and_dropout_breaks_it(tmp_path: Path) -> None:
    class Dropped(FlattenExtractor):  # type: ignore[misc, unused-ignore]
        def forward(self, observations: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.dropout(super().forward(observations), 0.5, self.training)

    for name, extractor in (("right", FlattenExtractor), ("wrong", Dropped)):
        policy = {"net_arch": [16], "features_extractor_class": extractor, "ortho_init": False}
        _learn("ppo", _callback(tmp_path / name), policy_kwargs=policy, learning_rate=3e-3)
    gaps = [e["metrics"].get("ratio_first_minibatch_dev", 0.0) for e in _events(tmp_path / "right")]
    assert max(gaps) < 1e-5
    codes = {a["rule"] for a in json.loads((tmp_path / "wrong" / "r_alerts.json").read_text())}
    assert "CLIP001" in codes


def test_the_training_is_the_same_with_and_without_the_callback(tmp_path: Path) -> None:
    weights = [
        torch.cat([p.detach().flatten() for p in _learn("ppo", callback, 192).policy.parameters()])
        for callback in (None, _callback(tmp_path))
    ]
    assert torch.equal(*weights)


def test_a_stop_ends_learn_with_a_checkpoint(tmp_path: Path) -> None:
    callback = _callback(tmp_path, stop_on="warn", stop_with_checkpoint=True, alert_thresholds={"memory_usage": 1e-6})
    model = _learn("ppo", callback)
    assert callback.stop_requested
    assert model.num_timesteps == 64 + 1  # the first row is that of the first rollout
    assert (tmp_path / "r_stopped.zip").is_file()


def test_a_second_call_of_learn_is_a_run_of_its_own_and_the_logger_is_left_as_it_was(tmp_path: Path) -> None:
    callback = _callback(tmp_path)
    model = _learn("ppo", callback, 64)
    before = len(model.logger.output_formats)
    model.learn(64, callback=callback, reset_num_timesteps=False)
    assert len(model.logger.output_formats) == before
    assert {p.name for p in tmp_path.glob("*_final_report.json")} == {"r_final_report.json", "r-2_final_report.json"}


def test_the_user_may_say_how_many_rows_wait(tmp_path: Path) -> None:
    callback = _callback(tmp_path, judge_every=3)
    _learn("ppo", callback)
    assert callback.recorder is not None
    assert callback.recorder.judge.pace.every == 3
    with pytest.raises(UsageError, match="judge_every is 0"):
        RLDKCallback(tmp_path, judge_every=0)
