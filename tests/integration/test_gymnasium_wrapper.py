"""The wrapper around real environments of gymnasium, one and several at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("gymnasium")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("default")]

import gymnasium as gym  # noqa: E402
import numpy as np  # noqa: E402

from rldk.errors import UsageError  # noqa: E402
from rldk.integrations.gymnasium import RLDKVectorWrapper, RLDKWrapper  # noqa: E402


def test_episodes_are_those_that_gymnasium_counts(tmp_path: Path) -> None:
    counted = gym.wrappers.RecordEpisodeStatistics(gym.make("CartPole-v1"))
    env = RLDKWrapper(counted, output_dir=tmp_path, run_id="r", log_interval=5, echo=False)
    env.action_space.seed(1)
    env.reset(seed=1)
    for _ in range(300):
        _, _, over, cut, _ = env.step(env.action_space.sample())
        if over or cut:
            env.reset()
    ended = list(counted.return_queue)
    env.close()
    lines = (tmp_path / "r_events.jsonl").read_text().splitlines()
    row = json.loads(lines[-1])["metrics"]
    assert row["reward_mean"] == pytest.approx(np.mean(ended))
    assert row["response_length_max"] == max(counted.length_queue)
    assert (tmp_path / "r_final_report.json").is_file()


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
def test_vector_environments_count_the_same_episodes_in_either_way_to_reset(mode: str, tmp_path: Path) -> None:
    kwargs = {"autoreset_mode": getattr(gym.vector.AutoresetMode, mode)}
    made = gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync", vector_kwargs=kwargs)
    counted = gym.wrappers.vector.RecordEpisodeStatistics(made)
    env = RLDKWrapper(counted, tmp_path, "r", log_interval=1, echo=False)
    assert isinstance(env, RLDKVectorWrapper)
    env.action_space.seed(1)
    env.reset(seed=1)
    for _ in range(60):
        env.step(env.action_space.sample())
    env.close()
    lines = (tmp_path / "r_events.jsonl").read_text().splitlines()
    rows = [json.loads(line)["metrics"] for line in lines]
    last = [row["reward_mean"] for row in rows if "reward_mean" in row][-1]  # a row at the end may have no episode
    assert last == pytest.approx(np.mean(counted.return_queue))
    assert sum(row["episodes_ended"] for row in rows) == len(counted.return_queue)


def test_the_environment_behaves_as_without_the_wrapper(tmp_path: Path) -> None:
    def rollout(env: gym.Env) -> list[float]:
        observed = [env.reset(seed=3)[0]]
        observed += [env.step(np.array([0.1 * i], dtype=np.float32))[0] for i in range(20)]
        return [float(x) for o in observed for x in o]

    plain = rollout(gym.make("Pendulum-v1"))
    assert rollout(RLDKWrapper(gym.make("Pendulum-v1"), tmp_path, echo=False)) == plain


def test_the_user_may_say_how_many_rows_wait(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="judge_every is 0"):
        RLDKWrapper(gym.make("CartPole-v1"), tmp_path, judge_every=0)
    env = RLDKWrapper(gym.make("CartPole-v1"), tmp_path, judge_every=3, log_interval=1, echo=False)
    env.reset(seed=1)
    while env.recorder is None:
        env.step(0)
    assert env.recorder.judge.pace.every == 3
    env.close()
