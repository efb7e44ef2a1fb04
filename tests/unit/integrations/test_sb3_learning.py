"""One call of `learn()`, without Stable-Baselines3: the shape of its objects is enough."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rldk.integrations.recorder import Recording
from rldk.integrations.sb3.first_minibatch import FirstMinibatch
from rldk.integrations.sb3.learning import LearnRecording, settings_of


class Policy:
    """Log-probabilities that are off by `gap` while the policy trains."""

    def __init__(self, gap: float = 0.0) -> None:
        self.gap = gap

    def evaluate_actions(self, observations: Any, actions: Any) -> tuple[Any, Any, Any]:
        return None, -np.ones(len(actions)) + self.gap, None


class Buffer:
    advantages = np.arange(8.0)

    def get(self, size: int) -> Iterator[Any]:
        for start in range(0, 8, size):
            part = slice(start, start + size)
            yield SimpleNamespace(
                observations=None, actions=np.zeros(size), old_log_prob=-np.ones(size), advantages=self.advantages[part]
            )


class PPO:
    """Named as the real one, which is how the algorithm is known."""

    _total_timesteps = 100
    n_epochs, batch_size, normalize_advantage, learning_rate = 2, 4, True, 1e-3
    action_space = None

    def __init__(self, gap: float = 0.0) -> None:
        self.policy, self.rollout_buffer = Policy(gap), Buffer()

    @staticmethod
    def clip_range(left: float) -> float:
        return 0.2 * left

    def train(self) -> None:
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(4):
                self.policy.evaluate_actions(batch.observations, batch.actions)


def _learning(folder: Path, model: Any, **more: Any) -> LearnRecording:
    return LearnRecording(Recording(output_dir=folder, run_id="r", echo=False, **more), model)


def _update(learning: LearnRecording, model: PPO, step: int) -> None:
    learning.rollout_end()
    model.train()
    learning.row({"train/clip_fraction": 0.1, "train/approx_kl": 0.01, "time/total_timesteps": step}, step)


def _metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line)["metrics"] for line in (folder / "r_events.jsonl").read_text().splitlines()]


def test_the_ratio_of_the_first_minibatch_reaches_the_row(tmp_path: Path) -> None:
    model = PPO(gap=0.3)
    learning = _learning(tmp_path, model, rules=["CLIP001"])
    for step in (8, 16, 24):
        _update(learning, model, step)
    assert [m["ratio_first_minibatch_dev"] for m in _metrics(tmp_path)] == pytest.approx([np.expm1(0.3)] * 3)
    learning.end({}, 24)
    assert [a["rule"] for a in json.loads((tmp_path / "r_alerts.json").read_text())] == ["CLIP001"]


def test_the_advantages_are_those_of_the_loss_and_the_raw_ones_have_names_of_their_own(tmp_path: Path) -> None:
    model = PPO()
    learning = _learning(tmp_path, model)
    _update(learning, model, 8)
    (row,) = _metrics(tmp_path)
    assert (row["advantage_mean"], row["advantage_std"]) == pytest.approx((0.0, np.sqrt(3 / 4)))
    assert row["rollout/advantage_raw_mean"] == 3.5
    assert row["ratio_first_minibatch_dev"] == 0.0


def test_the_trainer_is_left_as_it_was(tmp_path: Path) -> None:
    model = PPO()
    _update(_learning(tmp_path, model), model, 8)
    assert (vars(model.rollout_buffer), vars(model.policy)) == ({}, {"gap": 0.0})


def test_a_copy_of_a_watched_policy_is_a_policy_of_its_own() -> None:
    policy = Policy()
    first = FirstMinibatch(Buffer(), policy, lambda *_: None)
    copied = copy.deepcopy(policy)
    copied.gap = 1.0
    assert copied.evaluate_actions(None, [0])[1].tolist() == [0.0]
    first.remove()


def test_an_observation_that_is_not_finite_is_recorded_at_once(tmp_path: Path) -> None:
    learning = _learning(tmp_path, PPO())
    given = {"rewards": np.zeros(1), "new_obs": np.array([[np.nan, 0.0]]), "dones": np.array([False])}
    assert learning.step(given, 17)
    assert _metrics(tmp_path)[0]["observation_nonfinite_frac"] == 0.5


def test_episodes_tell_their_range_and_how_many_a_time_limit_cut(tmp_path: Path) -> None:
    learning = _learning(tmp_path, PPO())
    for reward, cut in ((1.0, False), (5.0, True)):
        info = {"episode": {"r": reward, "l": 10 * reward}, "TimeLimit.truncated": cut}
        learning.step({"rewards": np.ones(1), "new_obs": np.zeros(2), "dones": np.array([True]), "infos": [info]}, 1)
    learning.row({"rollout/ep_rew_mean": 3.0}, 2)
    (row,) = _metrics(tmp_path)
    found = [row[n] for n in ("reward_mean", "reward_min", "response_length_max", "episode_truncated_frac")]
    assert found == [3.0, 1.0, 50.0, 0.5]


def test_a_stop_ends_learning(tmp_path: Path) -> None:
    learning = _learning(tmp_path, PPO(), stop_on="warn", thresholds={"clip_fraction": 0.5})
    learning.row({"train/clip_fraction": 0.9}, 8)
    assert not learning.step({"rewards": np.zeros(1), "new_obs": np.zeros(1)}, 9)


def test_the_last_update_is_recorded_though_the_trainer_never_dumps_it(tmp_path: Path) -> None:
    learning = _learning(tmp_path, PPO())
    learning.end({"train/approx_kl": 0.5, "rollout/ep_rew_mean": 1.0}, 30)
    (row,) = _metrics(tmp_path)
    assert row["kl_policy_update"] == 0.5
    assert "reward_mean" not in row


def test_settings_are_plain_and_a_schedule_is_its_first_value() -> None:
    found = settings_of(PPO())
    assert (found["clip_range"], found["n_epochs"], found["normalize_advantage"]) == (0.2, 2, True)
