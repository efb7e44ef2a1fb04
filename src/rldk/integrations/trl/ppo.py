"""A PPO trainer of TRL in one call, where the installed TRL still has one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rldk.core.extras import need
from rldk.errors import UsageError
from rldk.integrations.trl.callbacks import EventWriterCallback

with need("trl", "trl"):
    import trl

HOMES = ("trl", "trl.experimental.ppo")  # up to 0.28, and from 0.28 to 1.12
TEXTS = ("prompt", "query", "text", "question", "instruction")
MAX_PROMPT = 512  # tokens


def ppo_classes() -> tuple[Any, Any]:
    """`PPOConfig` and `PPOTrainer` of the installed TRL. Raises `UsageError` where there are none any more."""
    for home in HOMES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the experimental package warns on import
                module = import_module(home)
                return module.PPOConfig, module.PPOTrainer
        except (ImportError, AttributeError):
            continue
    raise UsageError(
        f"TRL {trl.__version__} has no PPOTrainer: it was removed in TRL 1.13",
        hint="use GRPOTrainer or RLOOTrainer with RLDKCallback, or pip install 'trl<1.13'",
    )


def create_ppo_trainer(
    model_name: str | os.PathLike[str],
    ppo_config: Any,
    train_dataset: Any,
    callbacks: Sequence[Any] = (),
    event_log_path: str | os.PathLike[str] | None = None,
    *,
    tokenizer: Any = None,
    reward_model: Any = None,
    value_model: Any = None,
    ref_model: Any = None,
    eval_dataset: Any = None,
    **trainer_options: Any,
) -> Any:
    """A `PPOTrainer` with its models made from one name: a name on the hub, or a directory.

    A model that is not given is loaded from `model_name` (the reference as a second copy; reward and value as
    classifiers with one output, whose heads are new and random when the directory has none). `train_dataset`: with a
    column `input_ids`, or a column of texts (`prompt`, `query` ...) that is tokenized. An `EventWriterCallback` that
    writes `event_log_path` (by default `events.jsonl` in the output directory) is attached, unless one is given.
    `trainer_options` go to `PPOTrainer`. Raises `UsageError` where TRL has no PPOTrainer any more."""
    _, trainer_class = ppo_classes()
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    name = os.fspath(model_name)
    tokenizer = tokenizer or AutoTokenizer.from_pretrained(name, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    attached = list(callbacks)
    if not any(isinstance(callback, EventWriterCallback) for callback in attached):
        where = event_log_path or Path(str(ppo_config.output_dir)) / "events.jsonl"
        attached.append(EventWriterCallback(where))

    def scorer() -> Any:
        return AutoModelForSequenceClassification.from_pretrained(name, num_labels=1)

    return trainer_class(
        args=ppo_config,
        processing_class=tokenizer,
        model=AutoModelForCausalLM.from_pretrained(name),
        ref_model=ref_model or AutoModelForCausalLM.from_pretrained(name),
        reward_model=reward_model or scorer(),
        value_model=value_model or scorer(),
        train_dataset=_tokenized(train_dataset, tokenizer),
        eval_dataset=None if eval_dataset is None else _tokenized(eval_dataset, tokenizer),
        callbacks=attached,
        **trainer_options,
    )


def _tokenized(dataset: Any, tokenizer: Any) -> Any:
    columns = list(getattr(dataset, "column_names", ()))
    if "input_ids" in columns:
        return dataset
    text = next((name for name in TEXTS if name in columns), None)
    if text is None:
        raise UsageError(
            f"the data set has the columns {', '.join(columns)}",
            hint=f"PPO needs input_ids, or one of {', '.join(TEXTS)}",
        )

    def tokenize(row: dict[str, Any]) -> dict[str, Any]:
        return {"input_ids": tokenizer(row[text], truncation=True, max_length=MAX_PROMPT)["input_ids"]}

    return dataset.map(tokenize, remove_columns=columns)
