"""Made evaluation data with known truths."""

from __future__ import annotations

from typing import Any

import numpy as np

WORDS = "the model reads a long question and then it writes down an answer that may be right or wrong".split()


def prose(rng: np.random.Generator, words: int = 30) -> str:
    """Words in random order: no loop, and as hard to compress as prose."""
    drawn = zip(rng.integers(0, len(WORDS), words).tolist(), rng.integers(0, 100, words).tolist(), strict=True)
    return " ".join(f"{WORDS[word]}{number}" for word, number in drawn)


def answers(
    prompts: int = 60, tries: int = 4, *, rate: float = 0.6, shift: float = 0.0, seed: int = 0
) -> list[dict[str, Any]]:
    """Answers to prompts of different difficulty: right with a probability of about `rate` + `shift`."""
    rng = np.random.default_rng(seed)
    hard = np.random.default_rng(99).normal(0, 1.0, prompts)  # the same prompts whatever the seed
    rows = []
    for prompt in range(prompts):
        chance = 1 / (1 + np.exp(-(np.log(rate / (1 - rate)) + hard[prompt] + shift)))
        for _ in range(tries):
            right = bool(rng.random() < chance)
            length = int(rng.integers(20, 60))
            rows.append(
                {
                    "prompt_id": f"p{prompt}", "prompt": f"question {prompt}", "response": prose(rng),
                    "correct": right, "reward": float(right + rng.normal(0, 0.3)), "n_tokens": length,
                    "category": ("maths", "code", "law")[prompt % 3],
                }
            )  # fmt: skip
    return rows


def red_team(rows: int = 600, *, refuses: float = 0.99, over: float = 0.01, seed: int = 0) -> list[dict[str, Any]]:
    """Labelled answers to harmful and harmless prompts, with a toxicity score, counterfactual pairs and views."""
    rng = np.random.default_rng(seed)
    made = []
    for row in range(rows):
        harmful = row % 2 == 0
        refused = bool(rng.random() < (refuses if harmful else over))
        made.append(
            {
                "prompt_id": f"p{row}", "response": prose(rng), "harmful": harmful, "refused": refused,
                "complied": harmful and not refused, "toxicity": float(rng.beta(1, 40)),
                "pair_id": f"c{row // 4}-{row % 2}", "variant": ("she", "he")[row // 2 % 2],
                "correct": bool(rng.random() < 0.97), "stance_pair": f"s{row // 2}",
                "user_view": ("agrees", "doubts")[row % 2],
            }
        )  # fmt: skip
    return made
