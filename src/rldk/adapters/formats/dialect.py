"""Infers facts about a run from its metric names and configuration, for formats that do not state them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from rldk.adapters.formats.trl import bare, whole
from rldk.adapters.formats.trl import identity as trained
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import Opening, opening_of

# Names that a transformers or TRL trainer logs; other frameworks are recognised by the vocabulary.
_TRAINER_KEYS = (frozenset({"loss", "learning_rate", "epoch"}), frozenset({"objective/kl", "policy/approxkl_avg"}))
# Trainers that may run without a critic and do not log it: keys that they always write, and keys of a critic only.
_CRITICS: dict[str, tuple[frozenset[str], str]] = {
    "verl": (frozenset({"actor/pg_loss", "critic/advantages/mean"}), "critic/vf_loss"),
    "OpenRLHF": (frozenset({"policy_loss", "ppo_clip_ratio"}), "critic_loss"),
}
# Keys that only CleanRL's scripts for one algorithm log, when other metrics do not tell the algorithm.
_CLEANRL = {"dqn": frozenset({"losses/td_loss", "losses/q_values"})}

_WORDS: dict[str, Any] = {"True": True, "False": False, "None": None}


def with_identity(log: Log) -> Log:
    """The log with the trainer and algorithm that its names tell, and the length and seed that its config states."""
    total, seed = whole(log.config.get("max_steps")), whole(log.config.get("seed"))
    log = replace(
        log,
        total_steps=log.total_steps or (total if total and total > 0 else None),
        meta=({"seed": seed} if seed is not None else {}) | log.meta,
    )
    told = identity(opening_of(log.table), log.config)
    if not told or (log.algorithm and "framework" not in told):
        return log
    return replace(log, **told | {"notes": (*log.notes, *told["notes"])})


def identity(opening: Opening, config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Log` about the writer that the names in a log tell; empty when they tell nothing."""
    names = {bare(tag) for tag in opening.cover}
    if any(keys <= names for keys in _TRAINER_KEYS):
        return trained(opening, config=config)
    script = next((name for name, keys in _CLEANRL.items() if keys <= names), None)
    if script:
        return {"algorithm": script, "notes": ()}
    writer = next((name for name, (keys, _) in _CRITICS.items() if keys <= names), None)
    if writer is None or _CRITICS[writer][1] in names:
        return {}
    note = f"{writer} does not log its advantage estimator: the run has no critic, so rldk reads it as GRPO"
    return {"algorithm": "grpo", "notes": (note,)}


def literal(text: str) -> Any:
    """The value that a text in a configuration stands for: an int, a float, True, False or None, else the text."""
    if text in _WORDS:
        return _WORDS[text]
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
