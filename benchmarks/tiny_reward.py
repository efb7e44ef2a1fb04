"""Small reward models on made preferences, with one fault each that the maker knows the size of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CONTENT, FILLER = 60, 40
LISTED = 0.3
RATE = 2.0  # how steeply preferences follow quality


class Counted(NamedTuple):
    """Answers without their texts: counts of words as in `Maker.bag`, quality, filler words, whether they are lists,
    and lengths in characters."""

    bag: np.ndarray
    quality: np.ndarray
    fill: np.ndarray
    listed: np.ndarray
    length: np.ndarray


class Maker:
    """Prompts, answers and preferences of one seed. An answer is text; its quality is that of its content words."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.content = [f"fact{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(CONTENT)]
        self.filler = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(FILLER)]
        self.worth = self.rng.choice([-1.0, 1.0], CONTENT) / np.sqrt(8)
        self.place = {w: i for i, w in enumerate([*self.content, *self.filler, "-", "[1]", "[2]", "[3]", "[4]"])}

    def answers(self, count: int) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
        """Texts, their quality, their filler words, and whether they are lists."""
        rng = self.rng
        texts, quality = [], np.empty(count)
        fill, listed = rng.integers(5, 60, count), rng.random(count) < LISTED
        for i in range(count):
            own = rng.integers(0, CONTENT, 8)
            quality[i] = self.worth[own].sum()
            words = [self.content[j] for j in own] + [self.filler[j] for j in rng.integers(0, FILLER, fill[i])]
            words = [words[j] for j in rng.permutation(len(words))]
            if listed[i]:
                third = max(1, len(words) // 3)
                texts.append("\n".join("- " + " ".join(words[j : j + third]) for j in range(0, len(words), third)))
            else:
                texts.append(" ".join(words))
        return texts, quality, fill.astype(float), listed.astype(float)

    def bag(self, texts: list[str], position: np.ndarray | None = None) -> np.ndarray:
        """Counts of words, shape (texts, words). `position`: the place (1 to 4) that the model is shown."""
        made = np.zeros((len(texts), len(self.place)))
        for row, text in enumerate(texts):
            for word in text.split():
                made[row, self.place[word]] += 1
            if position is not None:
                made[row, self.place[f"[{int(position[row])}]"]] = 1
        return made

    def counted(self, count: int) -> Counted:
        """Answers as `answers` makes them, without their texts.

        Every word has six letters, and a word or a dash is followed by one space or line break."""
        rng = self.rng
        fill, listed = rng.integers(5, 60, count), rng.random(count) < LISTED
        own = rng.integers(0, CONTENT, (count, 8))
        made = np.zeros((count, len(self.place)))
        np.add.at(made, (np.repeat(np.arange(count), 8), own.ravel()), 1)
        rows = np.repeat(np.arange(count), fill)
        np.add.at(made, (rows, CONTENT + rng.integers(0, FILLER, len(rows))), 1)
        size = 8 + fill
        lines = np.where(listed, -(-size // np.maximum(1, size // 3)), 0)
        made[:, self.place["-"]] = lines
        quality = self.worth[own].sum(axis=1)
        return Counted(
            made, quality, fill.astype(float), listed.astype(float), (7 * size - 1 + 2 * lines).astype(float)
        )

    def preferred(self, odds: np.ndarray) -> np.ndarray:
        """Whether the first of two answers is preferred, by a coin with these log-odds."""
        return self.rng.random(len(odds)) < 1 / (1 + np.exp(-odds))


class BagModel:
    """A linear reward model on counts of words, trained on pairs with the Bradley-Terry loss."""

    def __init__(self, width: int) -> None:
        self.weights = np.zeros(width)

    def fit(self, first: np.ndarray, second: np.ndarray, wins: np.ndarray, *, decay: float = 1.0, steps: int = 15):
        """Newton's method on the penalised loss."""
        x, y = first - second, wins.astype(float)
        for _ in range(steps):
            p = 1 / (1 + np.exp(-(x @ self.weights)))
            hessian = (x * (p * (1 - p))[:, None]).T @ x + decay * np.eye(x.shape[1])
            self.weights = self.weights + np.linalg.solve(hessian, x.T @ (y - p) - decay * self.weights)
        return self

    def score(self, bag: np.ndarray) -> np.ndarray:
        return bag @ self.weights
