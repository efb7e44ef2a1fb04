"""What the metric names and the configuration in a log tell of the run, for formats that do not say it themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rldk.adapters.base import Log
from rldk.adapters.trl import bare, whole
from rldk.adapters.trl import described as trained

# Names that a transformers or TRL trainer logs; other frameworks are recognised by the vocabulary.
_TRAINER_KEYS = (frozenset({"loss", "learning_rate", "epoch"}), frozenset({"objective/kl", "policy/approxkl_avg"}))

_WORDS: dict[str, Any] = {"True": True, "False": False, "None": None}


def described(log: Log) -> Log:
    """The log with the trainer and the algorithm that its names tell, and the length and seed that its config tells."""
    total, seed = whole(log.config.get("max_steps")), whole(log.config.get("seed"))
    log = replace(
        log,
        total_steps=total if total and total > 0 else None,
        meta=({"seed": seed} if seed is not None else {}) | log.meta,
    )
    names = {bare(tag) for tag in log.table.columns}
    return trained(log) if any(keys <= names for keys in _TRAINER_KEYS) else log


def literal(text: str) -> Any:
    """The value behind a configuration's text: an int, a float, True, False or None where it is one, else the text."""
    if text in _WORDS:
        return _WORDS[text]
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
