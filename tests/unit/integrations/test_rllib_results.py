"""Results of RLlib as recorded, given to the recording one by one: the rows are those that the log gives."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rldk import ingest_runs
from rldk.integrations.recorder import Recording
from rldk.integrations.rllib.results import ResultRecording, learner_of, origin_of

FIXTURE = next((Path(__file__).parents[2] / "fixtures" / "rllib-ppo").rglob("result.json"))


class PPO:
    """Named as the real one, which is how the algorithm is known."""

    config = SimpleNamespace(
        to_dict=lambda: {"lr": 1e-4, "env": "CartPole-v1", "model": object(), "token": "x"}, num_env_runners=0
    )


def _recording(folder: Path, **more: Any) -> ResultRecording:
    return ResultRecording(Recording(output_dir=folder, run_id="r", echo=False, **more), PPO())


def test_recorded_results_become_the_rows_of_their_log(tmp_path: Path) -> None:
    results = [json.loads(line) for line in FIXTURE.read_text().splitlines()]
    recording = _recording(tmp_path)
    for result in results:
        recording.result(result)
    recording.close()
    table = ingest_runs(FIXTURE)
    events = [json.loads(line) for line in (tmp_path / "r_events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events] == list(table["step"])
    for name in ("reward_mean", "entropy", "policy_loss", "response_length_mean"):
        found = [event["metrics"].get(name) for event in events]
        assert found == pytest.approx([None if x != x else x for x in table[name]]), name


def test_a_stop_makes_the_result_the_last_one(tmp_path: Path) -> None:
    recording = _recording(tmp_path, stop_on="warn", thresholds={"memory_usage": 1e-6})
    result: dict[str, Any] = {"training_iteration": 1, "env_runners": {"episode_return_mean": 1.0}}
    recording.result(result)
    assert result["done"]


def test_a_stop_comes_with_the_result_that_is_wrong(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  - {id: low, metric: reward_mean, condition: value < 0, severity: critical}\n")
    recording = _recording(tmp_path, stop_on="critical", judge_every=1, rules=str(rules))
    done = []
    for step in range(1, 9):
        result: dict[str, Any] = {"training_iteration": step, "env_runners": {"episode_return_mean": 4.0 - step - 0.5}}
        recording.result(result)
        done += [step] if result.get("done") else []
    assert done[0] == 4
    assert recording.recorder.stop_reason.startswith("low at step 4")


def test_the_configuration_is_plain() -> None:
    origin = origin_of(PPO())
    assert (origin.framework, origin.algorithm) == ("rllib", "ppo")
    assert (origin.config["lr"], origin.config["env"]) == (1e-4, "CartPole-v1")
    assert "model" not in origin.config


def test_a_remote_learner_and_several_modules_are_not_measured() -> None:
    assert learner_of(SimpleNamespace(learner_group=SimpleNamespace(_learner=None))) is None
    several = SimpleNamespace(module={"a": 1, "b": 2})
    assert learner_of(SimpleNamespace(learner_group=SimpleNamespace(_learner=several))) is None


def test_the_sampler_is_found_only_in_the_same_process() -> None:
    learner = SimpleNamespace(module={"default_policy": "net"}, get_optimizers_for_module=lambda _: [("o", "adam")])
    group = SimpleNamespace(_learner=learner)
    for runners, sampler in ((0, "copy"), (2, None)):
        algorithm = SimpleNamespace(
            learner_group=group,
            config=SimpleNamespace(num_env_runners=runners),
            env_runner=SimpleNamespace(module="copy"),
        )
        assert learner_of(algorithm) == ("net", "adam", sampler)
