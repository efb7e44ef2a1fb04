"""A PPO trainer in one call, with stand-ins for the packages that it is made of."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rldk.errors import UsageError

PACKAGE = "rldk.integrations.trl"


class Loaded:
    """What `from_pretrained` gives."""

    def __init__(self, kind: str, name: str, **given: Any) -> None:
        self.kind, self.name, self.given = kind, name, given
        self.pad_token: Any = None
        self.eos_token = "</s>"

    def __call__(self, text: str, **given: Any) -> dict[str, Any]:
        return {"input_ids": [len(text)], **given}


class Rows:
    def __init__(self, *columns: str) -> None:
        self.column_names = columns
        self.mapped: Any = None

    def map(self, function: Any, *, remove_columns: list[str]) -> Any:
        return function({name: f"a {name}" for name in self.column_names}), remove_columns


def loader(kind: str) -> Any:
    return SimpleNamespace(from_pretrained=lambda name, **given: Loaded(kind, name, **given))


@pytest.fixture
def ppo(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, as it is loaded where TRL and transformers are the stand-ins."""
    trl: Any = ModuleType("trl")
    trl.__version__, trl.PPOConfig, trl.PPOTrainer = "0.27", object, SimpleNamespace
    transformers: Any = ModuleType("transformers")
    transformers.TrainerCallback = object
    for name, kind in [
        ("AutoModelForCausalLM", "model"), ("AutoModelForSequenceClassification", "scorer"), ("AutoTokenizer", "words"),
    ]:  # fmt: skip
        setattr(transformers, name, loader(kind))
    for name in [n for n in sys.modules if n.partition(".")[0] in ("trl", "transformers")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trl", trl)
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    for last in ("ppo", "callbacks"):  # they are loaded once more, and put back afterwards
        monkeypatch.delitem(sys.modules, f"{PACKAGE}.{last}", raising=False)
        monkeypatch.setattr(importlib.import_module(PACKAGE), last, None, raising=False)
    yield importlib.import_module(f"{PACKAGE}.ppo")
    for last in ("ppo", "callbacks"):
        sys.modules.pop(f"{PACKAGE}.{last}", None)


def made(ppo: Any, tmp_path: Path, data: Any = None, **given: Any) -> Any:
    return ppo.create_ppo_trainer("name", SimpleNamespace(output_dir=tmp_path), data or Rows("input_ids"), **given)


def test_models_that_are_not_given_are_loaded_by_name(ppo: Any, tmp_path: Path) -> None:
    trainer = made(ppo, tmp_path, extra=3)
    kinds = {name: getattr(trainer, name).kind for name in ("model", "ref_model", "reward_model", "value_model")}
    assert kinds == {"model": "model", "ref_model": "model", "reward_model": "scorer", "value_model": "scorer"}
    assert trainer.model is not trainer.ref_model
    assert (trainer.reward_model.given, trainer.value_model.given) == ({"num_labels": 1}, {"num_labels": 1})
    assert (trainer.processing_class.kind, trainer.processing_class.given) == ("words", {"padding_side": "left"})
    assert trainer.processing_class.pad_token == "</s>"
    assert (trainer.eval_dataset, trainer.extra) == (None, 3)
    assert {getattr(trainer, name).name for name in kinds} == {"name"}


def test_models_that_are_given_are_taken(ppo: Any, tmp_path: Path) -> None:
    names = ("ref_model", "reward_model", "value_model")
    words = Loaded("mine", "x")
    words.pad_token = "<pad>"
    trainer = made(ppo, tmp_path, tokenizer=words, **{name: f"my {name}" for name in names})
    assert [getattr(trainer, name) for name in names] == [f"my {name}" for name in names]
    assert (trainer.processing_class, words.pad_token) == (words, "<pad>")


def test_a_writer_of_events_is_attached_unless_one_is_there(ppo: Any, tmp_path: Path) -> None:
    own = made(ppo, tmp_path, callbacks=["mine"]).callbacks
    assert [own[0], type(own[1]).__name__] == ["mine", "EventWriterCallback"]
    again = made(ppo, tmp_path, callbacks=[own[1], "mine"]).callbacks
    assert again == [own[1], "mine"]


def test_texts_are_tokenized_and_cut(ppo: Any, tmp_path: Path) -> None:
    for columns, text in [(("x", "prompt"), "prompt"), (("text", "query"), "query"), (("instruction",), "instruction")]:
        row, removed = made(ppo, tmp_path, Rows(*columns)).train_dataset
        assert (row, removed) == ({"input_ids": [len(text) + 2]}, list(columns))
    trainer = made(ppo, tmp_path, eval_dataset=Rows("prompt"))
    assert trainer.eval_dataset[1] == ["prompt"]
    given: dict[str, Any] = {}
    words = Loaded("mine", "x")
    words.__class__ = type(
        "Keeping", (Loaded,), {"__call__": lambda _, text, **more: given.update(more) or {"input_ids": []}}
    )
    made(ppo, tmp_path, Rows("prompt"), tokenizer=words)
    assert given == {"truncation": True, "max_length": 512}
    with pytest.raises(UsageError, match="has the columns a, b"):
        made(ppo, tmp_path, Rows("a", "b"))


def test_where_the_trainer_is_looked_for(ppo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trl = sys.modules["trl"]
    assert ppo.ppo_classes() == (trl.PPOConfig, trl.PPOTrainer)
    monkeypatch.delattr(trl, "PPOTrainer")
    with pytest.raises(UsageError, match=r"TRL 0\.27 has no PPOTrainer"):
        ppo.ppo_classes()
    moved: Any = ModuleType("trl.experimental.ppo")
    moved.PPOConfig = moved.PPOTrainer = int
    monkeypatch.setitem(sys.modules, "trl.experimental", ModuleType("trl.experimental"))
    monkeypatch.setitem(sys.modules, "trl.experimental.ppo", moved)
    assert ppo.ppo_classes() == (int, int)
