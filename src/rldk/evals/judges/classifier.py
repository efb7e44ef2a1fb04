"""The probability of a label by a classifier in a local directory. Nothing is downloaded, and no code of the directory
is run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from rldk.engine.services.local_classifier import check_tokens, load_classifier
from rldk.errors import MalformedInput, NoData, UsageError
from rldk.evals.reading import read_table
from rldk.evals.table import EvalTable

LONGEST = 512  # tokens, where a model states no limit
BATCH = 16


def classify(
    data: Any,
    model: str | os.PathLike[str],
    *,
    label: str | None = None,
    field: str = "toxicity",
    advance: Callable[[int], None] | None = None,
) -> EvalTable:
    """The evaluation data with a further field: for each answer the probability of a label.

    `model`: a directory with a sequence classifier and its tokenizer. `label`: its name in the model's configuration;
    by default the one that is called toxic, toxicity or LABEL_1. A model with several independent labels, or one
    output, gives a sigmoid, any other a softmax. Raises `MissingExtra`, `MalformedInput`, `UsageError`, `NoData`."""
    table = read_table(data)
    if "response" not in table.cells:
        raise NoData("the data has no answers to classify", hint="name their column with --output-column")
    network, tokenizer, torch = _loaded(Path(model))
    place = _place(network.config.id2label, label)
    texts = table.texts("response")
    rows = sorted((i for i, text in enumerate(texts) if text), key=lambda i: -len(texts[i] or ""))
    made = np.full(table.rows, np.nan)
    several = network.config.problem_type == "multi_label_classification" or network.config.num_labels == 1
    limit = min(getattr(network.config, "max_position_embeddings", LONGEST), LONGEST)
    with torch.inference_mode():
        for begin in range(0, len(rows), BATCH):
            batch = rows[begin : begin + BATCH]
            inputs = tokenizer(
                [texts[i] for i in batch], truncation=True, max_length=limit, padding=True, return_tensors="pt"
            )
            check_tokens(Path(model), network, (int(inputs["input_ids"].max()),))
            logits = network(**inputs).logits.float()
            told = logits.sigmoid() if several else logits.softmax(dim=-1)
            made[batch] = told[:, place].numpy()
            if advance is not None:
                advance(len(batch))
    cells = {**table.cells, field: made.tolist()}
    note = f"{field} is the probability that {Path(model).name} gives to {network.config.id2label[place]!r}"
    columns = {**table.columns, field: f"{Path(model).name} (classifier)"}
    return replace(table, cells=cells, columns=columns, notes=(*table.notes, note))


def _loaded(path: Path) -> tuple[Any, Any, Any]:
    if not path.is_dir():
        raise MalformedInput(f"{path} is no directory", hint="give a local copy of the classifier")
    return load_classifier(path)


def _place(names: dict[int, str], wanted: str | None) -> int:
    """The number of the label. Raises `UsageError` where it is not plain which one is meant."""
    known = {str(name).lower(): int(i) for i, name in names.items()}
    asked = (wanted.lower(),) if wanted is not None else ("toxic", "toxicity", "label_1")
    for name in asked:
        if name in known:
            return known[name]
    if len(known) == 1 and wanted is None:
        return 0
    raise UsageError(
        f"the classifier has the labels {', '.join(names.values())}", hint="name one with --toxicity-label"
    )
