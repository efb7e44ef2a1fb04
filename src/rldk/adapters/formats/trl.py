"""Decides from the keys of a log which TRL trainer wrote it, and has one adapter for every format of TRL."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapters
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import Opening, opening_of
from rldk.adapters.source import File
from rldk.core.algorithms import GROUP
from rldk.core.records import BadLine, to_step
from rldk.core.table import Phase, Row
from rldk.core.text import later
from rldk.errors import NotALog, RldkError

_PREFIXES = ("train/", "eval/", "test/", "eval_", "test_")
_TRAIN_ONLY = frozenset({"loss", "grad_norm", "learning_rate"})
_SUMMARY = frozenset({"train_runtime", "train_loss"})
_CLOCKS = frozenset({"epoch", "step", "global_step"})
_ROUNDING = 1e-6  # k3 is never negative; float32 sums of it may be by less than this


class Signature(Struct, frozen=True):
    """The keys (without prefix) that a trainer logs; all of `needs` must be there. With an algorithm of None, further
    checks find the algorithm."""

    dialect: str
    algorithm: str | None
    needs: frozenset[str]


def _signature(dialect: str, algorithm: str | None, *needs: str) -> Signature:
    return Signature(dialect, algorithm, frozenset(needs))


# The first match wins. Keys as of trl 0.23 to 1.16; the RLOOTrainer before 0.22 logged PPO's keys but no value loss.
SIGNATURES = (
    _signature("trl_ppo", "ppo", "objective/kl", "loss/value_avg"),
    _signature("trl_ppo", "rloo", "objective/kl", "policy/approxkl_avg"),
    _signature("trl_grpo", None, "reward", "reward_std"),
    _signature("trl_grpo", None, "reward", "completions/mean_length"),
    _signature("trl_orpo", "orpo", "rewards/chosen", "log_odds_ratio"),
    _signature("trl_orpo", "orpo", "rewards/chosen", "odds_ratio_loss"),
    _signature("trl_online_dpo", "online_dpo", "rewards/chosen", "objective/kl"),
    _signature("trl_dpo", "dpo", "rewards/chosen", "rewards/accuracies"),
    _signature("trl_kto", "kto", "rewards/chosen", "logps/chosen"),
    _signature("trl_kto", "kto", "rewards/rejected", "logps/rejected"),
    _signature("trl_reward", "reward_model", "accuracy", "margin"),
    _signature("trl_reward", "reward_model", "min_reward", "max_reward"),
    _signature("trl_sft", "sft", "mean_token_accuracy"),
)
_GRPO_ONLY = frozenset({"cispo_clip_ratio", "vespo/phi_seq_mean"})
_CONFIG_MARKS = {"normalize_advantages": "rloo", "scale_rewards": "grpo"}
TRAINERS = later(r"\b(GRPO|RLOO)(?:Trainer|Config)\b")


class Trainer(Struct, frozen=True):
    """The trainer behind a log. `note`: what the user should know about the guess, or ""."""

    framework: str
    dialect: str | None = None
    algorithm: str | None = None
    note: str = ""


def bare(key: str) -> str:
    """The key without the prefix for train, eval or test."""
    return next((key[len(p) :] for p in _PREFIXES if key.startswith(p)), key)


def phase_of(keys: Iterable[str]) -> Phase:
    """The phase of the row with these keys. A row with only clocks is what trackio keeps of the summary."""
    names = set(keys)
    own = {n.removeprefix("train/") for n in names if not n.startswith(_PREFIXES[1:])}
    if len(own) < len(names) and not own & _TRAIN_ONLY:
        return "eval"
    return "summary" if own & _SUMMARY or own <= _CLOCKS else "train"


def whole(value: object) -> int | None:
    """The value as a step number; None when it is not a whole number that a float holds exactly."""
    try:
        return to_step(value)
    except BadLine:
        return None


def trainer_of(opening: Opening, *, text: str = "", config: Mapping[str, Any] | None = None) -> Trainer:
    """The trainer of a log. `text`: anything that may name a trainer class; `config`: its arguments."""
    names = {bare(name) for name in opening.cover}
    found = next((s for s in SIGNATURES if s.needs <= names), None)
    if found is None:
        return Trainer("transformers")
    if found.algorithm == "dpo":
        return Trainer("trl", found.dialect, _pair_algorithm(text, config or {}))
    if found.algorithm is not None:
        return Trainer("trl", found.dialect, found.algorithm)
    algorithm, sure = _group_algorithm(opening.rows, names, text, config or {})
    note = (
        ""
        if sure
        else "GRPOTrainer and RLOOTrainer log the same keys and nothing here tells them apart: rldk reads GRPO"
    )
    return Trainer("trl", f"trl_{algorithm}", algorithm, note)


def with_identity(log: Log, *, text: str = "") -> Log:
    """The log of a transformers or TRL trainer, with its framework, dialect and algorithm."""
    told = identity(opening_of(log.table), text=text, config=log.config)
    return replace(log, **told | {"notes": (*log.notes, *told["notes"])})


def identity(opening: Opening, *, text: str = "", config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The fields of `Log` that name the trainer of a log, with `notes` on the guess. See `trainer_of`."""
    trainer = trainer_of(opening, text=text, config=config)
    return {
        "framework": trainer.framework,
        "dialect": trainer.dialect,
        "algorithm": trainer.algorithm,
        "notes": (trainer.note,) if trainer.note else (),
    }


def _pair_algorithm(text: str, config: Mapping[str, Any]) -> str:
    """The algorithm: "dpo", "cpo" or "simpo". Their keys are the same; only the trainer's class or arguments differ
    (trl's CPOTrainer is SimPO by `loss_type`, LLaMA-Factory says `pref_loss`)."""
    loss = str(config.get("pref_loss", config.get("loss_type"))).lower()
    if loss == "simpo":
        return loss
    return "cpo" if "cpo_alpha" in config or re.search(r"\bCPO(?:Trainer|Config)\b", text) else "dpo"


def _group_algorithm(rows: Sequence[Row], names: set[str], text: str, config: Mapping[str, Any]) -> tuple[str, bool]:
    """The algorithm, "grpo" or "rloo", and whether that is sure. Both trainers log the same keys, but in different ways
    (trl 0.23 to 1.16): GRPO computes a k3 KL, never negative, at every update; RLOO a k1 KL when it generates. GRPO's
    beta is 0 by default (no KL at all), RLOO's is 0.05."""
    if (named := TRAINERS.search(text)) is not None:
        return named[1].lower(), True
    marked = next((algorithm for key, algorithm in _CONFIG_MARKS.items() if key in config), None)
    if marked is not None:
        return marked, True
    told = [({bare(key): value for key, value in row.values.items() if math.isfinite(value)}, row) for row in rows]
    kl = [values["kl"] for values, _ in told if "kl" in values]
    if names & _GRPO_ONLY or not kl:
        return "grpo", True
    train = [values for values, row in told if row.phase == "train"]
    updates = [values for values in train if "loss" in values and "reward" not in values]
    if updates and any("reward" in values for values in train):
        return ("grpo", True) if any("kl" in values for values in updates) else ("rloo", True)
    return ("rloo", True) if min(kl) < -_ROUNDING else ("grpo", False)


class TRLAdapter(BaseAdapter):
    """Reads any log of a TRL or transformers trainer, in the best format that `source` holds."""

    name: ClassVar[str] = "trl"
    describes: ClassVar[str] = "a TRL run in any of its formats"
    quality: ClassVar[int] = 90
    gathers: ClassVar[bool] = True
    formats: ClassVar[tuple[str, ...]] = ("hf-trainer-state", "trackio", "trl-stdout", "trl-completions", "jsonl")

    @classmethod
    def sniff(cls, file: File) -> int:
        return max((adapters.get(name).sniff(file) for name in cls.formats), default=0)

    def read(self) -> Log:
        """The log in the best format present, with the samples of the next best format that has some."""
        logs: list[Log] = []
        for name in self.formats:
            kind = adapters.get(name)
            paths = [f.path for f in self.files if kind.sniff(f) > 0]
            if paths and (not logs or (logs[0].samples is None and name == "trl-completions")):
                logs.append(kind(paths, **self.options).read())
        if not logs:
            raise NotALog(f"{self.source} holds no log of a TRL trainer", hint="rldk format-info PATH shows what it is")
        found = next((log for log in logs if log.samples is not None), logs[0])
        return replace(logs[0], samples=found.samples, sample_reader=found.sample_reader)


class GRPOAdapter(TRLAdapter):
    """Reads a TRL log of group-relative training (GRPO, RLOO)."""

    name: ClassVar[str] = "grpo"
    describes: ClassVar[str] = "a GRPO or RLOO run of TRL in any of its formats"

    def can_handle(self) -> bool:
        try:
            return super().can_handle() and self.read().algorithm in GROUP
        except RldkError:
            return False
