"""The words in which a card answers."""

from __future__ import annotations

from typing import Literal

from rldk.core.model import Severity

CardWord = Literal["pass", "warn", "fail", "not checked"]
WORST_FIRST: tuple[CardWord, ...] = ("fail", "warn", "pass", "not checked")
WORD_OF: dict[Severity, CardWord] = {"critical": "fail", "warn": "warn", "info": "pass"}
