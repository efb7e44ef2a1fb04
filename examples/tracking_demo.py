"""A small policy gradient, tracked from start to end: `python examples/tracking_demo.py`.

It needs numpy only. The run directory then says which data, which weights, which seed and which code made the result;
a second call with the same seed ends with the same weights, and the script says so."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from rldk import ExperimentTracker, TrackingConfig

ACTIONS, FEATURES = 4, 6


def prompts(count: int = 200) -> list[dict[str, object]]:
    """The dataset: features of a state, and the action that is rewarded there."""
    rng = np.random.default_rng(0)
    states = rng.standard_normal((count, FEATURES)).round(6)
    return [{"state": state.tolist(), "best": int(abs(state[:ACTIONS]).argmax())} for state in states]


def train(run: ExperimentTracker, data: list[dict[str, object]], steps: int) -> np.ndarray:
    """REINFORCE on a linear policy; every draw comes from the generators that the tracker has seeded."""
    states = np.array([row["state"] for row in data])
    features = np.concatenate([states, abs(states)], axis=1)
    best = np.array([row["best"] for row in data])
    weights = np.zeros((features.shape[1], ACTIONS))
    for step in range(steps):
        rows = np.random.randint(0, len(data), 64)
        logits = features[rows] @ weights
        policy = np.exp(logits - logits.max(1, keepdims=True))
        policy /= policy.sum(1, keepdims=True)
        actions = (policy.cumsum(1) > np.random.random((64, 1))).argmax(1)
        reward = (actions == best[rows]).astype(float)
        advantage = reward - reward.mean()
        taken = np.eye(ACTIONS)[actions]
        weights += 0.5 * features[rows].T @ ((taken - policy) * advantage[:, None]) / 64
        entropy = float(-(policy * np.log(policy + 1e-12)).sum(1).mean())
        run.log({"reward_mean": reward.mean(), "entropy": entropy, "learning_rate": 0.5}, step=step)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/tracked"), help="Folder of the runs.")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--steps", type=int, default=300)
    chosen = parser.parse_args()
    config = TrackingConfig(
        experiment_name="tracking-demo",
        output_dir=chosen.out,
        save_model_weights=True,
        tags=["demo"],
        notes="a linear policy learns which feature is the largest",
        metadata={"steps": chosen.steps, "learning_rate": 0.5},
    )
    data = prompts()
    with ExperimentTracker(config) as run:
        run.set_seeds(chosen.seed)
        run.track_dataset(data, "prompts", {"made by": "numpy.random.default_rng(0)"})
        weights = train(run, data, chosen.steps)
        run.track_model({"policy": weights}, "trained")
        run.add_metadata("trained", {"largest weight": round(float(abs(weights).max()), 6)})
    dataset, model = run.manifest.datasets["prompts"], run.manifest.models["trained"]
    print(f"run       {run.dir}")
    print(f"data      {dataset.fingerprint}, {dataset.rows} rows")
    print(f"weights   {model.weights}")
    same = [path.parent for path in chosen.out.glob("*/run.json") if model.weights in path.read_text()]
    print(f"runs with exactly these weights: {len(same)}")
    print(f"next      rldk runs show {run.dir}", file=sys.stderr)


if __name__ == "__main__":
    main()
