"""Modules that stand for TRL and transformers, so that what hooks into them can be loaded without them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

PACKAGE = "rldk.integrations.trl"
OURS = ("ppo", "callbacks", "monitors")  # the modules that import TRL


class Loaded:
    """What `from_pretrained` gives."""

    def __init__(self, kind: str, name: str, **given: Any) -> None:
        self.kind, self.name, self.given = kind, name, given
        self.pad_token: Any = None
        self.eos_token = "</s>"

    def __call__(self, text: str, **given: Any) -> dict[str, Any]:
        return {"input_ids": [len(text)], **given}


def _loader(kind: str) -> Any:
    return SimpleNamespace(from_pretrained=lambda name, **given: Loaded(kind, name, **given))


@contextmanager
def loaded_without_trl(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[Any]:
    """The module of that name, as it is loaded where TRL and transformers are the stand-ins."""
    trl: Any = ModuleType("trl")
    trl.__version__, trl.PPOConfig, trl.PPOTrainer = "0.27", object, SimpleNamespace
    transformers: Any = ModuleType("transformers")
    transformers.TrainerCallback = object
    for loader, kind in [
        ("AutoModelForCausalLM", "model"), ("AutoModelForSequenceClassification", "scorer"), ("AutoTokenizer", "words"),
    ]:  # fmt: skip
        setattr(transformers, loader, _loader(kind))
    for known in [n for n in sys.modules if n.partition(".")[0] in ("trl", "transformers")]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, "trl", trl)
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    for last in OURS:  # they are loaded once more, and put back afterwards
        monkeypatch.delitem(sys.modules, f"{PACKAGE}.{last}", raising=False)
        monkeypatch.setattr(importlib.import_module(PACKAGE), last, None, raising=False)
    yield importlib.import_module(f"{PACKAGE}.{name}")
    for last in OURS:
        sys.modules.pop(f"{PACKAGE}.{last}", None)
