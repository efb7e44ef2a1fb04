"""A real training of RLlib with the callback, on the new API stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("ray.rllib")
pytest.importorskip("torch")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]

from ray.rllib.algorithms.ppo import PPOConfig  # noqa: E402

from rldk.integrations.rllib import RLDKCallback  # noqa: E402


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
