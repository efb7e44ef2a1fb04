"""A miniature GRPO that streams its metrics through rldk: groups of answers, a policy and a value network.

The task is verifiable: write the sum of two numbers below 20 as two digits. A policy that can do some of it learns the
rest with clipped ratios and a KL penalty on the sampled tokens. The value network learns how often the policy
solves a prompt; it steadies the mean of a group, which is noisy with eight answers. At `--break-at` the learning rate
of the policy is multiplied by 30: within a batch the policy gives up tokens that the reference finds likely, their
penalty grows exponentially, and the gradient with it. Every number is measured on the optimisation. The example needs
numpy and takes seconds.

    python examples/grpo_minimal_loop.py
    rldk doctor artifacts/grpo_run.jsonl

To watch it while it runs:

    python examples/grpo_minimal_loop.py | rldk monitor --rules grpo_safe --preset grpo
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

NUMBERS, DIGITS, LENGTH = 20, 10, 2
PROMPTS, GROUP, EPOCHS = 32, 8, 3
CLIP, KL_COEF, VALUE_COEF, LR, VALUE_LR, MISTAKE = 0.2, 0.02, 2.0, 3e-3, 1e-3, 30.0
MAX_BEHIND = 6.0  # nats that one token is held to be given up by, as verl bounds its estimator; else it explodes
PRIOR = 2.0  # answers that the value network counts for, beside the eight of the group


def main() -> None:
    options = parse()
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))  # finish the step first
    sentinel = Path(options.sentinel)
    for leftover in (sentinel, *([] if options.out == "-" else [Path(options.out)])):
        leftover.unlink(missing_ok=True)  # of an earlier run
    np.seterr(over="ignore", invalid="ignore")  # the log says it
    training = Training(options.seed)
    with EventWriter(options.out, run_id=f"grpo-{options.seed}") as writer:
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
    """Policy, reference and value network, and one step of the optimisation."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.policy = Network(self.rng, 2 * NUMBERS + LENGTH + DIGITS, 128, DIGITS)
        self.value = Network(self.rng, 2 * NUMBERS, 32, 1)
        self.value.weights[2] *= 0.1
        self.value.weights[3] += 0.5  # begins at one half for every prompt
        for _ in range(600):  # supervised: a policy that knows nothing earns nothing to learn from
            prompt, digits = self.prompts(256)
            x = inputs(prompt, digits)
            surprise = np.exp(log_softmax(self.policy(x))) - np.eye(DIGITS)[digits.ravel()]
            self.policy.update(self.policy.gradients(surprise / len(x)), 3e-3)
        self.reference = self.policy.copy()

    def prompts(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of numbers as one-hot inputs (n, 40), and the digits of their sums (n, 2)."""
        a, b = self.rng.integers(NUMBERS, size=(2, n))
        return np.hstack([np.eye(NUMBERS)[a], np.eye(NUMBERS)[b]]), np.stack(divmod(a + b, DIGITS), axis=1)

    def answer(self, prompt: np.ndarray) -> np.ndarray:
        """Digits sampled one after the other, shape (n, 2)."""
        digits = np.zeros((len(prompt), LENGTH), dtype=int)
        for i in range(LENGTH):
            p = np.exp(log_softmax(self.policy(inputs(prompt, digits)[i::LENGTH])))
            digits[:, i] = (p.cumsum(1) > self.rng.random((len(p), 1))).argmax(1)
        return digits

    def step(self, lr: float) -> dict[str, float]:
        """Answers a batch of prompts in groups, updates both networks and returns the measurements."""
        prompt, digits = self.prompts(PROMPTS)
        each = np.repeat(prompt, GROUP, axis=0)
        said = self.answer(each)
        reward = (said == np.repeat(digits, GROUP, axis=0)).all(1).astype(float)
        groups = reward.reshape(PROMPTS, GROUP)
        expected = self.value(prompt)[:, 0]
        baseline = (GROUP * groups.mean(1) + PRIOR * expected) / (GROUP + PRIOR)
        advantage = reward - np.repeat(baseline, GROUP)
        value_error = expected - groups.mean(1)
        spread = groups.mean(1).var()
        value_gradients = self.value.gradients(VALUE_COEF * value_error[:, None] / PROMPTS)
        self.value.update(value_gradients, VALUE_LR)
        return {
            "reward_mean": float(reward.mean()),
            "reward_std": float(reward.std()),
            "zero_std_group_frac": float((groups.std(1) == 0).mean()),
            "value_explained_variance": 1 - float(value_error.var() / spread) if spread > 0 else np.nan,
            "grad_norm_value": norm(value_gradients),
            "learning_rate": lr,
            "kl_coef": KL_COEF,
            **self.update(inputs(each, said), said.ravel(), np.repeat(advantage, LENGTH), lr),
        }

    def update(self, x: np.ndarray, token: np.ndarray, advantage: np.ndarray, lr: float) -> dict[str, float]:
        """Makes the passes over one batch of tokens; returns the means over the passes, also of the gradient norm."""
        rows = np.arange(len(token))
        log_old, log_ref = (log_softmax(net(x))[rows, token] for net in (self.policy, self.reference))
        passes: list[dict[str, float]] = []
        for _ in range(EPOCHS):
            log_p = log_softmax(self.policy(x))
            p, ratio = np.exp(log_p), np.exp(log_p[rows, token] - log_old)
            clipped = np.where(advantage > 0, ratio > 1 + CLIP, ratio < 1 - CLIP)
            behind = np.minimum(log_ref - log_p[rows, token], MAX_BEHIND)
            kl = np.exp(behind) - behind - 1  # "k3": never negative, and large for a token given up
            pull = np.where(clipped, 0.0, ratio * advantage) + KL_COEF * (np.exp(behind) - 1)
            gradients = self.policy.gradients(pull[:, None] * (p - np.eye(DIGITS)[token]) / len(token))
            self.policy.update(gradients, lr)
            surrogate = np.minimum(ratio * advantage, np.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage)
            passes.append(
                {
                    "loss": float(KL_COEF * kl.mean() - surrogate.mean()),
                    "kl": float(kl.mean()),
                    "entropy": -float((p * log_p).sum(1).mean()),
                    "clip_frac": float(clipped.mean()),
                    "grad_norm_policy": norm(gradients),
                }
            )
        return {name: float(np.mean([one[name] for one in passes])) for name in passes[0]}


def inputs(prompt: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """What the policy sees before each digit (n * 2, 52): the prompt, the position, the digit before."""
    n = len(prompt)
    before = np.zeros((n, LENGTH, DIGITS))
    before[:, 1:] = np.eye(DIGITS)[digits[:, :-1]]
    position = np.broadcast_to(np.eye(LENGTH), (n, LENGTH, LENGTH))
    return np.concatenate([np.repeat(prompt[:, None], LENGTH, axis=1), position, before], axis=2).reshape(
        n * LENGTH, -1
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    piped = stat.S_ISFIFO(os.fstat(1).st_mode)
    parser.add_argument(
        "--out",
        default="-" if piped else "artifacts/grpo_run.jsonl",
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
