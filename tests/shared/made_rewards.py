"""Scored answers with a planted fault of known size."""

from __future__ import annotations

from typing import Any

import numpy as np


def answers(
    seed: int = 0,
    *,
    prompts: int = 120,
    each: int = 4,
    per_word: float = 0.0,
    listed: float = 0.0,
    position: float = 0.0,
) -> dict[str, list[Any]]:
    """Columns of prompts, answers and rewards. `per_word`, `listed`, `position`: what the reward pays for a word, for a
    list, and for each place later."""
    rng = np.random.default_rng(seed)
    count = prompts * each
    size, is_list = rng.integers(20, 60, count), rng.random(count) < 0.4
    words = np.array([f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)])
    place = np.tile(np.arange(each), prompts)
    texts = []
    for n, listing in zip(size.tolist(), is_list.tolist(), strict=True):
        own = rng.choice(words, n).tolist()
        texts.append("\n".join(f"- {' '.join(own[i::3])}" for i in range(3)) if listing else " ".join(own))
    reward = rng.normal(size=count) + per_word * size + listed * is_list + position * place
    return {
        "prompt": [f"question {i // each}" for i in range(count)],
        "response": texts,
        "reward": reward.tolist(),
        "position": place.tolist(),
    }


def pairs(seed: int = 0, *, count: int = 600, scale: float = 1.0, flip: float = 0.0) -> dict[str, list[Any]]:
    """Scores of pairs whose margins are log-odds; `scale` multiplies them, `flip` swaps so many labels."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 1.5, count), rng.normal(0, 1.5, count)
    wins = rng.random(count) < 1 / (1 + np.exp(b - a))
    wins = np.where(rng.random(count) < flip, ~wins, wins)
    return {
        "chosen_score": (scale * np.where(wins, a, b)).tolist(),
        "rejected_score": (scale * np.where(wins, b, a)).tolist(),
    }


def rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The columns as one mapping a row."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
