"""What a text looks like: the features that a reward may follow instead of its content."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.text import later

LONGEST = 20_000  # characters of a text that are looked at
WORDS = 200  # candidates
RARE, USUAL = 0.05, 0.95  # shares of the answers that hold a word
_LIST = later(r"^[ \t]{0,8}(?:[-*+\u2022]|\d{1,3}[.)])[ \t]", re.MULTILINE)
_HEADING = later(r"^#{1,6}[ \t]", re.MULTILINE)
_BOLD = later(r"\*\*[^*\n]{1,200}\*\*")
_CODE = later(r"```|^ {4}\S", re.MULTILINE)
_REFUSAL = later(
    r"\b(?:i can(?:no|')t (?:help|assist|do|provide)|i(?:'m| am) (?:sorry|unable|not able)|as an ai\b|i must decline)",
    re.IGNORECASE,
)
_AGREEMENT = later(
    r"\b(?:you(?:'re| are) (?:absolutely |completely |quite )?right|great question|good question|as you (?:said|say)|"
    r"i (?:completely |fully )?agree|excellent point)\b",
    re.IGNORECASE,
)
_WORD = later(r"[^\W\d_]{2,30}")


def _repetition(text: str) -> float:
    """The share of the words that stood in the text before; 0 for fewer than 16 words."""
    words = text.split()
    return 1 - len(set(words)) / len(words) if len(words) >= 16 else 0.0


def _counter(pattern: re.Pattern[str], *marks: str) -> Callable[[str], float]:
    """Counts the matches of a pattern. Each match holds one of `marks` (in any case), so that most texts are not
    searched."""

    def count(text: str) -> float:
        low = text.lower()
        return float(len(pattern.findall(text))) if any(mark in low for mark in marks) else 0.0

    return count


FEATURES: Mapping[str, Callable[[str], float]] = {
    "lists": _counter(_LIST, "- ", "* ", "+ ", "\u2022", ". ", ") ", "-\t", ".\t"),
    "headings": _counter(_HEADING, "#"),
    "bold text": _counter(_BOLD, "**"),
    "code": _counter(_CODE, "```", "    "),
    "questions": lambda text: float(text.count("?")),
    "exclamation marks": lambda text: float(text.count("!")),
    "refusals": _counter(_REFUSAL, "i can", "i'm ", "i am ", "as an ai", "decline"),
    "agreement with the user": _counter(_AGREEMENT, "right", "question", "as you ", "agree", "excellent point"),
    "repetition": _repetition,
}


def feature_columns(texts: Sequence[str | None]) -> dict[str, NDArray[np.float64]]:
    """Each feature of each text, shape (n,); 0 for a missing text. Texts are cut at 20,000 characters.

    A feature that fewer than 1 % of the texts have (or have otherwise than all the rest) is left out."""
    cut = [(text or "")[:LONGEST] for text in texts]
    made = {name: np.array([measure(text) for text in cut]) for name, measure in FEATURES.items()}
    return {name: column for name, column in made.items() if _varies(column)}


def word_columns(texts: Sequence[str | None]) -> tuple[list[str], NDArray[np.bool_]]:
    """The most frequent words that between 5 % and 95 % of the texts hold, and which text holds which: (n, words)."""
    held = [frozenset(_WORD.findall((text or "")[:LONGEST].lower())) for text in texts]
    counts = Counter(word for words in held for word in words)
    fit = [(n, w) for w, n in counts.items() if RARE * len(texts) <= n <= USUAL * len(texts)]
    chosen = [word for _, word in sorted(fit, key=lambda pair: (-pair[0], pair[1]))[:WORDS]]
    place = {word: i for i, word in enumerate(chosen)}
    present = np.zeros((len(texts), len(chosen)), dtype=bool)
    for row, words in enumerate(held):
        present[row, [place[word] for word in words if word in place]] = True
    return chosen, present


def _varies(column: NDArray[np.float64]) -> bool:
    """Whether at least 1 % of the values, and ten of them, are not the most frequent one."""
    if not len(column):
        return False
    most = int(np.unique(column, return_counts=True)[1].max())
    return len(column) - most >= max(10, 0.01 * len(column))
