"""Texts as data: whether one ends in a loop, and how much of it one character or one word makes."""

from __future__ import annotations

from collections import Counter

LONGEST_LOOP = 200  # characters of a phrase that repeats
LOOPED = 160  # characters at the end that must be a loop; a ruler of a table is shorter
TIMES = 4  # how often a phrase must stand there; a refrain stands three times
HEAD = 4000  # characters that are counted
LEAST_CHARACTERS, LEAST_WORDS = 64, 32


def loop_at_end(text: str) -> str:
    """The phrase that the text repeats up to its end, "" where it does not. Cost is bounded for any text."""
    tail = text[-(LONGEST_LOOP * TIMES + LOOPED) :].rstrip()
    for period in range(1, LONGEST_LOOP + 1):
        needed = max(LOOPED, TIMES * period)
        if needed > len(tail):
            break
        if tail[-1] == tail[-1 - period] and tail[-needed + period :] == tail[-needed:-period]:
            return tail[-period:] if tail[-period:].strip() else ""
    return ""


def dominant_part(text: str) -> tuple[str, float]:
    """The character or word that makes most of the text, and its share. A short text gives ("", 0)."""
    head = text[:HEAD]
    letters = "".join(head.split())
    if len(letters) < LEAST_CHARACTERS:
        return "", 0.0
    letter = max(set(letters), key=letters.count)
    best = letter, letters.count(letter) / len(letters)
    words = head.split()
    if len(words) >= LEAST_WORDS:
        word, times = Counter(words).most_common(1)[0]
        best = max(best, (word, times / len(words)), key=lambda pair: pair[1])
    return best
