"""A PPO trainer in one call, with stand-ins for the packages that it is made of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from trl_stand_in import Loaded, loaded_without_trl

from rldk.errors import UsageError


class Rows:
    def __init__(self, *columns: str) -> None:
        self.column_names = columns
        self.mapped: Any = None

    def map(self, function: Any, *, remove_columns: list[str]) -> Any:
        return function({name: f"a {name}" for name in self.column_names}), remove_columns


@pytest.fixture
def ppo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with loaded_without_trl(monkeypatch, "ppo") as module:
        yield module


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
