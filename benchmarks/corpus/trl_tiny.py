"""A language model of 2 layers, its word tokenizer and toy data for the trainers of TRL, all made on the spot."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

WORDS = 56
PAD, EOS, UNK, BOS = 0, 1, 2, 3
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def tokenizer() -> Any:
    """A tokenizer of 60 words, one token each."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<pad>", "<eos>", "<unk>", "<bos>", *(f"w{i}" for i in range(WORDS))]
    raw = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", bos_token="<bos>"
    )
    made.padding_side = "left"
    return made


def model(kind: str, *, seed: int, width: int = 64, head: str = "lm", dropout: float = 0.0) -> Any:
    """A random Qwen2 or GPT-2 of 2 layers; `head`: lm, or reward for one score."""
    import transformers as hf

    hf.set_seed(seed)
    common = {"vocab_size": WORDS + 4, "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": BOS}
    extra = {} if head == "lm" else {"num_labels": 1}
    if kind == "gpt2":
        drops = {"resid_pdrop": dropout, "embd_pdrop": dropout, "attn_pdrop": dropout}
        config = hf.GPT2Config(n_embd=width, n_layer=2, n_head=4, n_positions=160, **drops, **common, **extra)
        classes = hf.GPT2LMHeadModel, hf.GPT2ForSequenceClassification
    else:
        sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "attention_dropout": dropout}
        config = hf.Qwen2Config(**sizes, **heads, max_position_embeddings=160, **common, **extra)
        classes = hf.Qwen2ForCausalLM, hf.Qwen2ForSequenceClassification
    made = classes[head != "lm"](config)
    if head == "lm":
        made.generation_config.eos_token_id, made.generation_config.pad_token_id = EOS, PAD
    return made


def pretrain(policy: Any, *, seed: int, steps: int, mean_length: float) -> None:
    """A few supervised steps on random texts of geometric length, so that the model ends its answers."""
    import torch

    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-3)
    policy.train()
    for _ in range(steps):
        rows = [_text(rng, mean_length) for _ in range(16)]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
        real = ids != PAD
        loss = policy(input_ids=ids, attention_mask=real.long(), labels=ids.masked_fill(~real, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()


def _text(rng: random.Random, mean_length: float) -> list[int]:
    length = min(80, 3 + int(rng.expovariate(1 / mean_length)))
    favourite = rng.randrange(4, WORDS + 4)
    return [favourite if rng.random() < 0.2 else rng.randrange(4, WORDS + 4) for _ in range(length)] + [EOS]


def prompts(seed: int, count: int) -> list[dict[str, str]]:
    """Rows with a prompt of 2 to 4 words."""
    rng = random.Random(seed)
    return [{"prompt": _words(rng, rng.randint(2, 4))} for _ in range(count)]


def pairs(
    seed: int, count: int, *, swapped: float = 0.0, equal: bool = False, noise: float = 0.1
) -> list[dict[str, str]]:
    """Preference rows: the chosen answer has words below w28, the other one above; `swapped`: share of wrong labels."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        low, high = (_words(rng, rng.randint(3, 10), span, noise) for span in ((0, 28), (28, 56)))
        if rng.random() < swapped:
            low, high = high, low
        rows.append({"prompt": _words(rng, 3), "chosen": " " + low, "rejected": " " + (low if equal else high)})
    return rows


def _words(rng: random.Random, count: int, span: tuple[int, int] = (0, WORDS), noise: float = 0.0) -> str:
    wide = (0, WORDS)
    return " ".join(f"w{rng.randrange(*(wide if rng.random() < noise else span))}" for _ in range(count))


def saved(policy: Any, folder: Path) -> Any:
    """The same model read back from a file, from which TRL makes its reference."""
    path = folder / "tokenizer-and-model"  # thrown away at the end, as all that begins so
    policy.save_pretrained(path)
    tokenizer().save_pretrained(path)
    return type(policy).from_pretrained(path)
