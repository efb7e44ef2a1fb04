"""What the metric names and the configuration in a log tell of the run, for formats that do not say it themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rldk.adapters.base import Log
from rldk.adapters.trl import Trainer, bare, trainer_of, whole

# Names that a transformers or TRL trainer logs; other frameworks are recognised by the vocabulary.
_TRAINER_KEYS = (frozenset({"loss", "learning_rate", "epoch"}), frozenset({"objective/kl", "policy/approxkl_avg"}))

_WORDS: dict[str, Any] = {"True": True, "False": False, "None": None}


def described(log: Log) -> Log:
    """The log with its trainer, algorithm, declared steps and seed filled in. What it already says stays."""
    names = {bare(tag) for tag in log.table.columns}
    known = any(keys <= names for keys in _TRAINER_KEYS)
    trainer = trainer_of(log.table, config=log.config) if known else None
    total, seed = whole(log.config.get("max_steps")), whole(log.config.get("seed"))
    log = replace(
        log,
        total_steps=log.total_steps or (total if total and total > 0 else None),
        meta=({"seed": seed} if seed is not None else {}) | log.meta,
    )
    return _trained(log, trainer) if trainer else log


def _trained(log: Log, trainer: Trainer) -> Log:
    return replace(
        log,
        framework=log.framework or trainer.framework,
        dialect=log.dialect or trainer.dialect,
        algorithm=log.algorithm or trainer.algorithm,
        notes=log.notes + ((trainer.note,) if trainer.note else ()),
    )


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
