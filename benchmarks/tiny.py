"""Tiny real trainings with TRL on a CPU: a random model of 30,000 weights and a tokenizer of letters, made in code.

Works with TRL 0.23 and later. Nothing is downloaded."""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz 0123456789+=.?!"
SPECIAL = ("<pad>", "<eos>", "<unk>")
PROMPTS = ("abc", "def", "ghi", "xyz", "a b", "hello", "one", "two")


def tokenizer() -> Any:
    """A tokenizer whose tokens are single characters."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {token: i for i, token in enumerate((*SPECIAL, *LETTERS))}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )


def model(seed: int = 0, *, dropout: float = 0.0, layers: int = 2) -> Any:
    """A causal language model with random weights."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    return GPT2LMHeadModel(_config(GPT2Config, dropout, layers))


def scorer(seed: int = 1) -> Any:
    """A classifier with one output and random weights."""
    import torch
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(seed)
    config = _config(GPT2Config, 0.0, 2)
    config.num_labels = 1
    return GPT2ForSequenceClassification(config)


def _config(kind: Any, dropout: float, layers: int) -> Any:
    return kind(
        vocab_size=len(SPECIAL) + len(LETTERS),
        n_positions=96,
        n_embd=32,
        n_layer=layers,
        n_head=2,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )


def saved_model(seed: int = 0, **shape: Any) -> Any:
    """The same model, loaded from a directory: some trainers load their reference from where the model came from."""
    folder = Path(tempfile.mkdtemp(prefix="rldk-tiny-"))
    model(seed, **shape).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder)


@cache
def taught_folder(dropout: float = 0.0) -> Path:
    """The directory of a model that has learnt to end its answers after a few letters."""
    import torch

    words, made = tokenizer(), model(0, dropout=dropout)
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-2)
    draw = torch.Generator().manual_seed(0)
    first, count = len(SPECIAL), 26
    for _ in range(80):
        ids = torch.randint(first, first + count, (32, 12), generator=draw)
        ends = torch.randint(4, 10, (32,), generator=draw)
        after = torch.arange(12)[None] >= ends[:, None]
        ids[after] = words.eos_token_id
        labels = ids.masked_fill(torch.arange(12)[None] > ends[:, None], -100)
        made(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = Path(tempfile.mkdtemp(prefix="rldk-tiny-"))
    made.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def taught_model(*, dropout: float = 0.0) -> Any:
    """A model that ends its answers, loaded from a directory."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(taught_folder(dropout))


def count_a(completions: Sequence[Any], **_: Any) -> list[float]:
    """A reward that pays for the letter a, and a little against length."""
    return [_text(c).count("a") - 0.05 * len(_text(c)) for c in completions]


def _text(completion: Any) -> str:
    return completion if isinstance(completion, str) else str(completion[-1]["content"])


def callback_class() -> Any:
    """The class that callbacks of transformers have."""
    from transformers import TrainerCallback

    return TrainerCallback


def settings(kind: Any, folder: str | Path, steps: int, **more: Any) -> Any:
    """The arguments of a trainer, as far as this version of it knows them."""
    wanted: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": 8,
        "logging_steps": 1,
        "learning_rate": 1e-3,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "bf16": False,
        "gradient_checkpointing": False,
        "seed": 0,
        **more,
    }
    known = inspect.signature(kind.__init__).parameters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**{name: value for name, value in wanted.items() if name in known})


def prompts(count: int = 64) -> Any:
    """A data set of prompts."""
    from datasets import Dataset

    return Dataset.from_dict({"prompt": [PROMPTS[i % len(PROMPTS)] + str(i % 10) for i in range(count)]})


def pairs(count: int = 64) -> Any:
    """A data set of preferences: the chosen answer has the letter a."""
    from datasets import Dataset

    rows = [(PROMPTS[i % len(PROMPTS)], "aba" + str(i % 10), "zyz" + str(i % 10)) for i in range(count)]
    return Dataset.from_dict(
        {"prompt": [r[0] for r in rows], "chosen": [r[1] for r in rows], "rejected": [r[2] for r in rows]}
    )


def texts(count: int = 64) -> Any:
    """A data set of texts."""
    from datasets import Dataset

    return Dataset.from_dict({"text": [f"{PROMPTS[i % len(PROMPTS)]} is {i % 10}." for i in range(count)]})


def grpo(folder: str | Path, steps: int, callbacks: Sequence[Any], **more: Any) -> Any:
    """A GRPO trainer. `more`: arguments of its configuration, and `model`, `reward_funcs`, `kind`, `data`."""
    from trl import GRPOConfig, GRPOTrainer

    own = {
        name: more.pop(name)
        for name in ("model", "reward_funcs", "kind", "data", "peft_config", "optimizers")
        if name in more
    }
    args = settings(
        GRPOConfig, folder, steps, **{"num_generations": 4, "max_completion_length": 10, "beta": 0.04, **more}
    )
    return own.get("kind", GRPOTrainer)(
        model=own.get("model") or saved_model(),
        reward_funcs=own.get("reward_funcs", count_a),
        args=args,
        train_dataset=own.get("data") or prompts(),
        processing_class=tokenizer(),
        callbacks=list(callbacks),
        **_options(own),
    )


def rloo(folder: str | Path, steps: int, callbacks: Sequence[Any], **more: Any) -> Any:
    """An RLOO trainer."""
    from trl import RLOOConfig, RLOOTrainer

    start = more.pop("model", None)
    args = settings(
        RLOOConfig, folder, steps, **{"num_generations": 4, "max_completion_length": 10, "beta": 0.04, **more}
    )
    return RLOOTrainer(
        model=start or saved_model(),
        reward_funcs=count_a,
        args=args,
        train_dataset=prompts(),
        processing_class=tokenizer(),
        callbacks=list(callbacks),
    )


def dpo(folder: str | Path, steps: int, callbacks: Sequence[Any], **more: Any) -> Any:
    """A DPO trainer."""
    from trl import DPOConfig, DPOTrainer

    own = {name: more.pop(name) for name in ("model", "ref_model", "data", "peft_config", "optimizers") if name in more}
    args = settings(DPOConfig, folder, steps, **{"max_length": 32, "max_prompt_length": 16, **more})
    return DPOTrainer(
        model=own.get("model") or saved_model(),
        ref_model=own.get("ref_model"),
        args=args,
        train_dataset=own.get("data") or pairs(),
        processing_class=tokenizer(),
        callbacks=list(callbacks),
        **_options(own),
    )


def sft(folder: str | Path, steps: int, callbacks: Sequence[Any], **more: Any) -> Any:
    """An SFT trainer."""
    from trl import SFTConfig, SFTTrainer

    own = {name: more.pop(name) for name in ("model", "data", "peft_config", "optimizers") if name in more}
    args = settings(SFTConfig, folder, steps, **{"max_length": 32, **more})
    return SFTTrainer(
        model=own.get("model") or saved_model(),
        args=args,
        train_dataset=own.get("data") or texts(),
        processing_class=tokenizer(),
        callbacks=list(callbacks),
        **_options(own),
    )


def ppo(folder: str | Path, steps: int, callbacks: Sequence[Any], **more: Any) -> Any:
    """A PPO trainer. Raises `UsageError` where TRL has none any more."""
    from datasets import Dataset

    from rldk.integrations.trl.ppo import ppo_classes

    config, trainer = ppo_classes()
    args = settings(
        config,
        folder,
        -1,
        **{
            "total_episodes": 8 * steps,
            "num_ppo_epochs": 2,
            "num_mini_batches": 1,
            "response_length": 10,
            "local_rollout_forward_batch_size": 8,
            "missing_eos_penalty": 1.0,
            "stop_token": "eos",
            "num_sample_generations": 0,
            **more,
        },
    )
    words = tokenizer()
    rows = [words(prompt, padding="max_length", max_length=8)["input_ids"] for prompt in prompts()["prompt"]]
    data = Dataset.from_dict({"input_ids": rows})
    return trainer(
        args=args,
        processing_class=words,
        model=saved_model(),
        ref_model=saved_model(),
        reward_model=scorer(1),
        value_model=scorer(2),
        train_dataset=data,
        eval_dataset=data.select(range(8)),
        callbacks=list(callbacks),
    )


TRAINERS: Mapping[str, Callable[..., Any]] = {"grpo": grpo, "rloo": rloo, "dpo": dpo, "sft": sft, "ppo": ppo}


def _options(own: Mapping[str, Any]) -> dict[str, Any]:
    return {name: own[name] for name in ("peft_config", "optimizers") if own.get(name) is not None}
