"""Scores of a sequence classifier in a local directory. Nothing is downloaded, and no code of the directory is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rldk.engine.services.local_classifier import check_tokens, load_classifier
from rldk.errors import MalformedInput, UsageError
from rldk.reward.scorers.items import ScoredItems
from rldk.reward.scorers.options import Advance, ModelScores, ScorerOptions

LONGEST = 32_768  # tokens, where a model states no limit


def classify(path: Path, items: ScoredItems, options: ScorerOptions, advance: Advance) -> ModelScores:
    """The scores of the model: its one output, or of two outputs the second minus the first.

    Prompt and answer go through the tokenizer's chat template where it has one, else as a pair of texts. Items are
    sorted by length. A batch that does not fit into the memory of a GPU is halved. An input that is too long is cut at
    its end, and counted. Raises `MissingExtra`, and `MalformedInput` for a directory without such a model."""
    network, tokenizer, torch = load_classifier(path)
    _check_outputs(path, network)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = network.to(device)
    limit = options.max_tokens or _limit(model, tokenizer)
    encoded = _encoded(tokenizer, items)
    check_tokens(path, network, (max(ids, default=0) for ids in encoded))
    lengths = np.array([len(ids) for ids in encoded])
    cut = int((lengths > limit).sum())
    scores = np.full(len(items), np.nan)
    order = np.argsort(-lengths, kind="stable").tolist()
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
    if model.config.pad_token_id is None:
        model.config.pad_token_id = pad
    size, begin = max(1, options.batch), 0
    with torch.inference_mode():
        while begin < len(order):
            rows = order[begin : begin + size]
            try:
                scores[rows] = _forward(torch, model, [encoded[row][:limit] for row in rows], pad, device)
            except torch.OutOfMemoryError:
                if size == 1:
                    words = f"{device} has no room for an input of {len(encoded[rows[0]][:limit]):,} tokens"
                    raise UsageError(words, hint="cut inputs with --max-tokens, or use --device cpu") from None
                size = max(1, size // 2)
                torch.cuda.empty_cache()
                continue
            begin += len(rows)
            advance(len(rows))
    notes = [f"{path.name}: {cut:,} of {len(items):,} inputs were cut at {limit:,} tokens"] if cut else []
    if model.config.num_labels == 2:
        labels = [model.config.id2label[place] for place in (1, 0)]
        notes.append(f"{path.name} has two outputs: the score is {labels[0]!r} minus {labels[1]!r}")
    return ModelScores(name=path.name, scores=scores, notes=tuple(notes))


def _check_outputs(path: Path, network: Any) -> None:
    """Raises `MalformedInput` for a model with so many outputs that none of them is plainly the score."""
    count = network.config.num_labels
    if count > 2:
        names = ", ".join(map(str, list(network.config.id2label.values())[:8]))
        hint = 'pick one in a function: give "package.module:function" instead of the directory'
        raise MalformedInput(f"{path} has {count} outputs ({names}), and a reward model has one", hint=hint)


def _limit(model: Any, tokenizer: Any) -> int:
    stated = [getattr(model.config, "max_position_embeddings", None), getattr(tokenizer, "model_max_length", None)]
    return min([n for n in stated if isinstance(n, int) and 0 < n < 10**9] or [LONGEST])


def _encoded(tokenizer: Any, items: ScoredItems) -> list[list[int]]:
    if items.responses is None:
        return [list(ids) for ids in tokenizer(items.prompts)["input_ids"]]
    if getattr(tokenizer, "chat_template", None):
        talks = [
            [{"role": "user", "content": p}, {"role": "assistant", "content": r}]
            for p, r in zip(items.prompts, items.responses, strict=True)
        ]
        texts = tokenizer.apply_chat_template(talks, tokenize=False)
        return [list(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    if not any(items.prompts):
        return [list(ids) for ids in tokenizer(items.responses)["input_ids"]]
    return [list(ids) for ids in tokenizer(items.prompts, items.responses)["input_ids"]]


def _forward(torch: Any, model: Any, batch: Sequence[Sequence[int]], pad: int, device: str) -> list[float]:
    longest = max(1, *(len(ids) for ids in batch)) if len(batch) > 1 else max(1, len(batch[0]))
    ids = torch.full((len(batch), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(batch), longest), dtype=torch.long)
    for row, own in enumerate(batch):
        ids[row, : len(own)] = torch.tensor(own, dtype=torch.long)
        mask[row, : len(own)] = 1
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits.float().cpu()
    found = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
    scores: list[float] = found.tolist()
    return scores
