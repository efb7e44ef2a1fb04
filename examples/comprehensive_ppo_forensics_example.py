"""A miniature PPO under forensics. It shows the measurements of every update, and what rldk says about a fault.

A policy that can already add a little learns the rest by PPO: a critic, whitened advantages, clipped ratios, and a KL
coefficient that a controller moves to hold the KL at its target. At `--break-at` the learning rate is multiplied by
40, as after a typing mistake in the configuration. Every number is measured on the optimisation. The example needs
numpy and takes seconds.

    python examples/comprehensive_ppo_forensics_example.py --out artifacts/ppo
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices this small only wait for each other

import numpy as np
from network import Network, log_softmax, norm

from rldk.forensics import ComprehensivePPOForensics

DIGITS, ANSWERS, BATCH, EPOCHS = 10, 19, 256, 3
CLIP, LR, VALUE_LR, MISTAKE = 0.2, 2e-3, 3e-3, 40.0
KL_COEF, KL_TARGET, KL_TOLERANCE, HORIZON = 0.2, 0.3, 0.15, 0.05


def main() -> None:
    options = parse()
    np.seterr(over="ignore", invalid="ignore")  # the forensics say it
    training = Training(options.seed)
    forensics = ComprehensivePPOForensics(kl_target=KL_TARGET, kl_target_tolerance=KL_TOLERANCE, window_size=50)
    for step in range(1, options.steps + 1):
        broken = step >= options.break_at and not options.healthy
        metrics = forensics.update(step, **training.step(LR * MISTAKE if broken else LR))
        if step % 50 == 0:
            schedule, gradients = metrics.kl_schedule_metrics, metrics.gradient_norms_metrics
            print(
                f"step {step:4d}  reward {metrics.reward_mean:.2f}  KL {metrics.kl:.3f}  "
                f"in range {share(schedule.time_in_target_range)}  "
                f"controller {share(schedule.controller_responsiveness)}  "
                f"gradients steady {share(gradients.gradient_stability)}"
            )
    tell(forensics)
    for path in forensics.save_analysis(options.out):
        print(f"wrote {path}")


def tell(forensics: ComprehensivePPOForensics) -> None:
    """Prints what a person would want to know first."""
    health, drift = forensics.get_health_summary(), forensics.get_kl_drift_analysis()
    print(f"\n{health['status']}: {health['verdict']}")
    for anomaly in forensics.get_anomalies():
        extent = f"steps {anomaly['first_step']}-{anomaly['last_step']}"
        print(f"  {anomaly['type']} ({anomaly['code']}, {anomaly['level']}), {extent}: {anomaly['message']}")
    for fix in dict.fromkeys(fix for a in forensics.get_anomalies()[:1] for fix in a["fixes"]):
        print(f"  try: {fix}")
    print(f"KL drift: {drift['status']}, distance from the first rows {drift['score']:.2f} of 1\n")


def share(value: float | None) -> str:
    """The share in percent, or a dash before there is evidence."""
    return " -  " if value is None else f"{value:4.0%}"


class Training:
    """Policy, reference and critic, the KL controller, and one step of the optimisation."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.policy = Network(self.rng, 2 * DIGITS, 64, ANSWERS)
        self.value = Network(self.rng, 2 * DIGITS, 32, 1)
        self.kl_coef = KL_COEF
        for _ in range(220):  # supervised: a policy that knows nothing earns nothing to learn from
            x, answer = self.prompts()
            surprise = np.exp(log_softmax(self.policy(x))) - np.eye(ANSWERS)[answer]
            self.policy.update(self.policy.gradients(surprise / BATCH), 5e-3)
        self.reference = self.policy.copy()
        for _ in range(100):  # a critic that knows nothing is no critic yet
            x, answer = self.prompts()
            self.learn_value(x, (self.say(x) == answer).astype(float))

    def prompts(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of digits as one-hot inputs, and their sums."""
        a, b = self.rng.integers(DIGITS, size=(2, BATCH))
        return np.hstack([np.eye(DIGITS)[a], np.eye(DIGITS)[b]]), a + b

    def say(self, x: np.ndarray) -> np.ndarray:
        """An answer sampled for each prompt."""
        p = np.exp(log_softmax(self.policy(x)))
        return (p.cumsum(1) > self.rng.random((len(x), 1))).argmax(1)

    def learn_value(self, x: np.ndarray, reward: np.ndarray) -> tuple[float, float, float]:
        """Value loss, explained variance before the update, and the norm of the gradient."""
        error = self.value(x)[:, 0] - reward
        gradients = self.value.gradients(error[:, None] / BATCH)
        self.value.update(gradients, VALUE_LR)
        explained = 1 - error.var() / reward.var() if reward.var() > 0 else np.nan
        return float((error**2).mean()), float(explained), norm(gradients)

    def step(self, lr: float) -> dict[str, Any]:
        """Answers a batch of prompts, updates both networks and returns the measurements."""
        x, answer = self.prompts()
        said = self.say(x)
        reward = (said == answer).astype(float)
        raw = reward - self.value(x)[:, 0]
        value_loss, explained, value_norm = self.learn_value(x, reward)
        advantage = (raw - raw.mean()) / (raw.std() + 1e-8)
        measured = self.learn_policy(x, said, advantage, lr)
        error = np.clip(measured["kl"] / KL_TARGET - 1, -1, 1)
        before, self.kl_coef = self.kl_coef, self.kl_coef * (1 + HORIZON * float(error))
        return {
            "kl_coef": before,
            "reward_mean": float(reward.mean()),
            "reward_std": float(reward.std()),
            "value_grad_norm": value_norm,
            "value_loss": value_loss,
            "value_explained_variance": explained,
            "advantage_samples": advantage,
            "learning_rate": lr,
            **measured,
        }

    def learn_policy(self, x: np.ndarray, said: np.ndarray, advantage: np.ndarray, lr: float) -> dict[str, float]:
        """Makes the passes over one batch; returns the means over the passes."""
        rows = np.arange(BATCH)
        log_old, log_ref = log_softmax(self.policy(x))[rows, said], log_softmax(self.reference(x))
        passes = []
        for _ in range(EPOCHS):
            log_p = log_softmax(self.policy(x))
            p, ratio = np.exp(log_p), np.exp(log_p[rows, said] - log_old)
            kl = (p * (log_p - log_ref)).sum(1)
            clipped = np.where(advantage > 0, ratio > 1 + CLIP, ratio < 1 - CLIP)
            pull = np.where(clipped, 0.0, ratio * advantage)
            d_kl = p * (log_p - log_ref - kl[:, None])
            gradients = self.policy.gradients(
                (pull[:, None] * (p - np.eye(ANSWERS)[said]) + self.kl_coef * d_kl) / BATCH
            )
            self.policy.update(gradients, lr)
            passes.append(
                {
                    "kl": float(kl.mean()),
                    "entropy": -float((p * log_p).sum(1).mean()),
                    "clip_frac": float(clipped.mean()),
                    "policy_grad_norm": norm(gradients),
                }
            )
        return {name: float(np.mean([one[name] for one in passes])) for name in passes[0]}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="artifacts/ppo", help="the beginning of the names of the analysis files")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--break-at", type=int, default=200, help="the step at which the learning rate jumps")
    parser.add_argument("--healthy", action="store_true", help="run without the mistake")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
