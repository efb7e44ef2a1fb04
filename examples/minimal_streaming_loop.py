"""A small real training that streams its metrics through rldk and stops when a file asks it to.

A policy that can already add a little learns the rest by REINFORCE, held near its reference by a KL penalty. At
`--break-at` the learning rate is multiplied by 300, as after a typing mistake in the configuration. Every number is
measured on the optimisation. The example needs numpy and takes a second.

    python examples/minimal_streaming_loop.py
    rldk doctor artifacts/run.jsonl

To watch it while it runs:

    python examples/minimal_streaming_loop.py | rldk monitor --rules ppo_safe --preset trl
"""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices this small only wait for each other

import numpy as np
from network import Network, log_softmax, norm

from rldk import EventWriter

DIGITS, ANSWERS, BATCH = 10, 19, 256
KL_COEF, LR, MISTAKE = 0.3, 5e-3, 300.0


def main() -> None:
    options = parse()
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))  # finish the step first
    sentinel = Path(options.sentinel)
    for leftover in (sentinel, *([] if options.out == "-" else [Path(options.out)])):
        leftover.unlink(missing_ok=True)  # of an earlier run
    np.seterr(over="ignore", invalid="ignore")  # the log says it
    training = Training(options.seed)
    with EventWriter(options.out, run_id=f"minimal-{options.seed}") as writer:
        for step in range(1, options.steps + 1):
            broken = step >= options.break_at and not options.healthy
            writer.log(training.step(LR * MISTAKE if broken else LR), step=step)
            if signals or sentinel.exists():
                reason = "SIGTERM" if signals else f"{sentinel} is there"
                print(f"stopped after step {step}: {reason}", file=sys.stderr)
                return
            time.sleep(options.sleep)
    print(f"finished after step {options.steps}", file=sys.stderr)


class Training:
    """The policy, its reference, and one step of the optimisation."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.policy = Network(self.rng, 2 * DIGITS, 64, ANSWERS)
        for _ in range(220):  # supervised: a policy that knows nothing earns nothing to learn from
            x, answer = self.prompts()
            surprise = np.exp(log_softmax(self.policy(x))) - np.eye(ANSWERS)[answer]
            self.policy.update(self.policy.gradients(surprise / BATCH), 5e-3)
        self.reference = self.policy.copy()

    def prompts(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of digits as one-hot inputs, and their sums."""
        a, b = self.rng.integers(DIGITS, size=(2, BATCH))
        return np.hstack([np.eye(DIGITS)[a], np.eye(DIGITS)[b]]), a + b

    def step(self, lr: float) -> dict[str, float]:
        """Answers a batch of prompts, updates the policy once and returns the measurements."""
        x, answer = self.prompts()
        log_p, log_ref = log_softmax(self.policy(x)), log_softmax(self.reference(x))
        p = np.exp(log_p)
        said = (p.cumsum(1) > self.rng.random((BATCH, 1))).argmax(1)
        reward = (said == answer).astype(float)
        advantage = reward - reward.mean()
        kl = (p * (log_p - log_ref)).sum(1)
        d_policy = advantage[:, None] * (p - np.eye(ANSWERS)[said])
        d_kl = p * (log_p - log_ref - kl[:, None])
        gradients = self.policy.gradients((d_policy + KL_COEF * d_kl) / BATCH)
        self.policy.update(gradients, lr)
        policy_loss = -float((advantage * log_p[np.arange(BATCH), said]).mean())
        return {
            "loss": policy_loss + KL_COEF * float(kl.mean()),
            "policy_loss": policy_loss,
            "reward_mean": float(reward.mean()),
            "reward_std": float(reward.std()),
            "kl": float(kl.mean()),
            "kl_coef": KL_COEF,
            "entropy": -float((p * log_p).sum(1).mean()),
            "grad_norm": norm(gradients),
            "learning_rate": lr,
        }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    piped = stat.S_ISFIFO(os.fstat(1).st_mode)
    parser.add_argument(
        "--out",
        default="-" if piped else "artifacts/run.jsonl",
        help='the file to write; "-" is stdout, the default into a pipe',
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--break-at", type=int, default=150, help="the step at which the learning rate jumps")
    parser.add_argument("--healthy", action="store_true", help="run without the mistake")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sentinel", default="artifacts/STOP", help="stop when this file exists")
    parser.add_argument("--sleep", type=float, default=0.0, help="seconds to wait after each step")
    return parser.parse_args()


if __name__ == "__main__":
    main()
