"""A real training of RLlib with the callback, on the new API stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray.rllib")
pytest.importorskip("torch")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]

import ray  # noqa: E402
from ray.rllib.algorithms.ppo import PPOConfig  # noqa: E402

from rldk.integrations.rllib import RLDKCallback  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _small_ray() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False)
    yield
    ray.shutdown()


def test_results_are_recorded_with_what_the_learner_shows(tmp_path: Path) -> None:
    chosen = RLDKCallback.choose(
        output_dir=tmp_path, run_id="r", echo=False, stop_on="warn", thresholds={"memory_usage": 1e-6}
    )
    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0)
        .training(train_batch_size=200, minibatch_size=64, num_epochs=2)
        .callbacks(chosen)
    )
    algorithm = config.build_algo()
    try:
        results = [algorithm.train() for _ in range(3)]
    finally:
        algorithm.stop()
    events = [json.loads(line) for line in (tmp_path / "r_events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events] == [1, 2, 3]
    seen = {name for event in events for name in event["metrics"]}
    assert seen >= {"reward_mean", "entropy", "lr", "weights_changed_frac", "optimizer_coverage", "sampler_weight_dev"}
    assert {event["metrics"]["sampler_weight_dev"] for event in events} == {0.0}
    assert {event["metrics"].get("optimizer_coverage", 1.0) for event in events} == {1.0}
    assert results[-1]["done"]


RULES = """
rules:
  - {id: far_update, metric: kl_policy_update, condition: value > 0.1, severity: critical}
"""


def _trained_until_done(folder: Path, judge_every: int, *, broken_before: int, most: int) -> tuple[Any, int]:
    """The callback and the iteration that said `done`. The weights of the learner are blown up before one iteration,
    and the sampler has the old ones: the policy that samples is not the one that is trained."""
    import torch

    (folder / "rules.yaml").write_text(RULES)
    chosen = RLDKCallback.choose(
        output_dir=folder / "out", run_id="r", echo=False, stop_on="critical", rules=str(folder / "rules.yaml"),
        judge_every=judge_every, identity_interval=0,
    )  # fmt: skip
    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0)
        .training(train_batch_size=64, minibatch_size=64, num_epochs=1)
        .callbacks(chosen)
    )
    algorithm = config.build_algo()
    try:
        for iteration in range(1, most + 1):
            if iteration == broken_before:
                with torch.no_grad():
                    for weights in algorithm.learner_group._learner.module["default_policy"].parameters():
                        weights.mul_(8.0)
            if algorithm.train()["done"]:
                break
        return algorithm.callbacks[0] if isinstance(algorithm.callbacks, list) else algorithm.callbacks, iteration
    finally:
        algorithm.stop()


@pytest.mark.parametrize("judge_every", [1, 3])
def test_a_broken_update_ends_the_training_at_its_iteration_also_where_rows_may_wait(
    judge_every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rldk.integrations.judging_pace.OPENING", 2)  # these rows never wait
    monkeypatch.setattr("rldk.integrations.judging_pace.LONGEST_WAIT_S", 3600.0)
    callback, stopped = _trained_until_done(tmp_path, judge_every, broken_before=4, most=8)
    alerts = [json.loads(line) for line in (tmp_path / "out" / "r_alerts.jsonl").read_text().splitlines()]
    assert next((a["rule"], a["event"], a["step"]) for a in alerts) == ("far_update", "begin", 4)
    assert stopped == 4
    assert callback.recorder.judge.pace.every == judge_every
    assert callback.recorder.stop_reason.startswith("far_update at step 4")
