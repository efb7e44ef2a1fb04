"""Plants each cause of a gap between sampler and trainer in a real tiny softmax policy, and counts what is named.

`python -m benchmarks.mismatch` prints the table of docs/mismatch.md. The policy is a recurrent network with four
experts in numpy. It learns by policy gradient for six steps, from 16 prompts with four responses of 24 tokens each. Its
sampler rounds as bfloat16 does. One cause is planted at a time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.logprobs import mismatch

Array = NDArray[np.float64]
WORDS, HIDDEN, EXPERTS = 64, 24, 4
PROMPTS, GROUP, LENGTH, STEPS = 16, 4, 24, 6
RATE = 20.0
BFLOAT16, FLOAT8 = 8, 4  # bits of the significand, the hidden one included


class Plant(Struct, frozen=True, kw_only=True):
    """What is wrong with the sampler, or with what the trainer is given. The defaults are a healthy pair."""

    cause: str = "none"
    size: str = ""
    lag: int = 0  # steps by which the sampler's weights are older; -1: they are never synced
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    bits: int = BFLOAT16
    respelled: float = 0.0  # share of the tokens that the trainer sees spelled otherwise
    rerouted: float = 0.0  # share of the tokens that the trainer sends to another expert


PLANTS = (
    Plant(size="bfloat16"),
    *(Plant(cause="stale weights", size=f"{lag} steps" if lag > 0 else "never synced", lag=lag) for lag in (2, 3, -1)),
    *(Plant(cause="temperature", size=f"T = {t:g}", temperature=t) for t in (0.6, 0.8, 1.25, 1.5)),
    *(Plant(cause="truncated sampling", size=f"top-p {p:g}", top_p=p) for p in (0.8, 0.9, 0.95)),
    *(Plant(cause="truncated sampling", size=f"top-k {k}", top_k=k) for k in (8, 20)),
    *(Plant(cause="precision", size=f"{bits}-bit significand", bits=bits) for bits in (FLOAT8, 3)),
    *(Plant(cause="tokenisation", size=f"{s:.1%} of tokens", respelled=s) for s in (0.005, 0.01, 0.03)),
    *(Plant(cause="expert routing", size=f"{s:.0%} of tokens", rerouted=s) for s in (0.05, 0.1, 0.2)),
)


class Policy(Struct, frozen=True):
    """The weights: embeddings (words, hidden), recurrence, router (hidden, experts), heads (experts, hidden, words)."""

    embed: Array
    recur: Array
    router: Array
    heads: Array

    @classmethod
    def random(cls, rng: np.random.Generator) -> Policy:
        return cls(
            rng.normal(size=(WORDS, HIDDEN)),
            rng.normal(size=(HIDDEN, HIDDEN)) * 0.7 / np.sqrt(HIDDEN),
            rng.normal(size=(HIDDEN, EXPERTS)),
            rng.normal(size=(1, HIDDEN, WORDS)) * 0.5 + rng.normal(size=(EXPERTS, HIDDEN, WORDS)) * 0.25,
        )


class Pass(Struct, frozen=True):
    """One step of the network: the state, the expert of each row, and the log-probabilities of all words."""

    state: Array
    expert: NDArray[np.int64]
    logp: Array


def forward(policy: Policy, state: Array, word: NDArray[np.int64], bits: int, flips: Array | None = None) -> Pass:
    """Takes one word a row. `bits`: rounding; 0 for none. `flips`: rows that go to the next expert."""
    state = rounded(np.tanh(state @ policy.recur + policy.embed[word]), bits)
    expert = np.argmax(state @ policy.router, axis=1)
    expert = expert if flips is None else (expert + flips.astype(np.int64)) % EXPERTS
    every = (state @ policy.heads.transpose(1, 0, 2).reshape(HIDDEN, -1)).reshape(-1, EXPERTS, WORDS)
    logits = rounded(every[np.arange(len(word)), expert], bits)
    top = logits.max(axis=1, keepdims=True)
    return Pass(state, expert, logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True)))


def rounded(x: Array, bits: int) -> Array:
    """The values with so many bits of significand."""
    if not bits:
        return x
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent)


def sampled_from(logp: Array, plant: Plant) -> Array:
    """The log-probabilities that the sampler draws from: after temperature and truncation."""
    if plant.temperature == 1 == plant.top_p and not plant.top_k:
        return logp
    logp = logp / plant.temperature
    probability = np.exp(logp - logp.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    order = np.argsort(-probability, axis=1)
    ranked = np.take_along_axis(probability, order, axis=1)
    keep = np.cumsum(ranked, axis=1) - ranked < plant.top_p
    if plant.top_k:
        keep &= np.arange(WORDS) < plant.top_k
    kept = np.zeros_like(probability, dtype=bool)
    np.put_along_axis(kept, order, keep, axis=1)
    probability = np.where(kept, probability, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(probability / probability.sum(axis=1, keepdims=True))


def run(plant: Plant, seed: int, *, steps: int = STEPS, ids: bool = True) -> Iterator[dict[str, Any]]:
    """The per-sample records of a training with the planted cause."""
    rng = np.random.default_rng(seed)
    policy = Policy.random(rng)
    liked = rng.random(WORDS) < 0.3
    past: list[Policy] = []
    for step in range(1, steps + 1):
        past.append(policy)
        age = step - 1 if plant.lag < 0 else min(plant.lag, step - 1)
        prompts = rng.integers(WORDS, size=PROMPTS).repeat(GROUP)
        words, reported = sample(past[-1 - age], prompts, plant, rng)
        trained, logp, gradient = train(policy, prompts, words, plant, rng, liked)
        for i, prompt in enumerate(prompts):
            record = {
                "step": step,
                "prompt_id": f"{step}-{i // GROUP}",
                "group_id": f"{step}-{i // GROUP}",
                "prompt": f"word {prompt}",
                "logp_rollout": reported[i].tolist(),
                "logp_train": logp[i].tolist(),
            }
            yield record | ({"response_ids": words[i].tolist(), "train_ids": trained[i].tolist()} if ids else {})
        policy = Policy(policy.embed, policy.recur, policy.router, policy.heads + RATE * gradient)


def sample(
    policy: Policy, prompts: NDArray[np.int64], plant: Plant, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Array]:
    """Responses, shape (samples, tokens), and the log-probabilities that the sampler reports."""
    state, word = np.zeros((len(prompts), HIDDEN)), prompts
    words, reported = [], []
    for _ in range(LENGTH):
        made = forward(policy, state, word, plant.bits)
        logp = sampled_from(made.logp, plant)
        word = (np.exp(logp).cumsum(axis=1) > rng.random((len(prompts), 1))).argmax(axis=1)
        state = made.state
        words.append(word)
        reported.append(np.take_along_axis(logp, word[:, None], axis=1)[:, 0])
    return np.stack(words, axis=1), np.stack(reported, axis=1)


def train(
    policy: Policy,
    prompts: NDArray[np.int64],
    words: NDArray[np.int64],
    plant: Plant,
    rng: np.random.Generator,
    liked: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], Array, Array]:
    """The tokens that the trainer sees, its log-probabilities, and the policy gradient of the heads."""
    other = (words + WORDS // 2) % WORDS
    words = np.where(rng.random(words.shape) < plant.respelled, other, words)
    reward = liked[words].mean(axis=1).reshape(-1, GROUP)
    advantage = (reward - reward.mean(axis=1, keepdims=True)).ravel()
    advantage = advantage / (advantage.std() + 1e-9)
    state, word = np.zeros((len(prompts), HIDDEN)), prompts
    logp, gradient = np.zeros(words.shape), np.zeros_like(policy.heads)
    for t in range(LENGTH):
        flips = rng.random(len(prompts)) < plant.rerouted if plant.rerouted else None
        made = forward(policy, state, word, 0, flips)
        word, state = words[:, t], made.state
        logp[:, t] = made.logp[np.arange(len(word)), word]
        push = (np.eye(WORDS)[word] - np.exp(made.logp)) * (advantage / words.size)[:, None]
        for expert in range(EXPERTS):
            own = made.expert == expert
            gradient[expert] += state[own].T @ push[own]
    return words, logp, gradient


class Row(Struct, frozen=True, kw_only=True):
    """What was named for one plant: the cause alone, the cause with others, something else, or nothing."""

    plant: Plant
    right: int
    more: int
    other: tuple[str, ...]
    silent: int


def measure(plant: Plant, seeds: int, *, first: int = 0, alone: bool = False) -> Row:
    """Runs a plant with so many seeds from `first` on. `alone`: no two responses share a prompt: no context repeats."""
    names = [named(plant, seed, alone=alone) for seed in range(first, first + seeds)]
    healthy = plant.cause == "none"
    wrong = [" and ".join(found) for found in names if found and plant.cause not in found]
    return Row(
        plant=plant,
        right=sum(not found if healthy else found == (plant.cause,) for found in names),
        more=sum(plant.cause in found and len(found) > 1 for found in names),
        other=tuple(sorted(set(wrong))),
        silent=sum(not found for found in names),
    )


def named(plant: Plant, seed: int, *, alone: bool = False) -> tuple[str, ...]:
    """The causes that `rldk.mismatch` names."""
    records = run(plant, seed, ids=False)
    if alone:
        records = ({k: v for k, v in record.items() if k.startswith(("step", "logp"))} for record in records)
    return tuple(finding.name for finding in mismatch(records).findings)


def table(rows: list[Row], seeds: int) -> str:
    """The rows as Markdown."""
    lines = ["| planted | size | named, of " + str(seeds) + " | with another | something else | silent |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        name = "nothing (healthy)" if row.plant.cause == "none" else row.plant.cause
        other = "; ".join(row.other) or "0"
        lines.append(f"| {name} | {row.plant.size} | {row.right} | {row.more} | {other} | {row.silent} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0, help="Seeds from 1000 on were never looked at.")
    parser.add_argument("--alone", action="store_true", help="records without prompts and groups")
    given = parser.parse_args()
    rows = []
    for plant in PLANTS:
        rows.append(measure(plant, given.seeds, first=given.first_seed, alone=given.alone))
        print(table(rows[-1:], given.seeds).splitlines()[-1], file=sys.stderr)
    print(table(rows, given.seeds))


if __name__ == "__main__":
    main()
