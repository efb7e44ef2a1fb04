"""Reward functions that a test names as "module:function"."""

from __future__ import annotations


def longer(texts: list[str]) -> list[float]:
    """The length of each text."""
    return [len(text) / 50 - 4 for text in texts]


def shorter(texts: list[str]) -> list[float]:
    """Its opposite."""
    return [4 - len(text) / 50 for text in texts]
