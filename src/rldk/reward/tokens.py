"""Counts the tokens of answers with a local tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rldk.core.extras import need
from rldk.errors import MalformedInput, NoData
from rldk.reward.assessment import HealthOptions, open_scores
from rldk.reward.columns import only_known

CHUNK = 1000


def with_tokens(source: Any, tokenizer: str, columns: Mapping[str, str]) -> Any:
    """The scored answers of the source as a DataFrame with their tokens in the column `n_tokens`.

    Nothing is downloaded. Raises `MissingExtra`, `MalformedInput` for a directory without a tokenizer, `NoData` for
    data without answers."""
    import pandas as pd

    with need("trl", "transformers"):
        from transformers import AutoTokenizer
    named = {
        "reward": columns.get("reward_col"),
        "response": columns.get("response_col"),
        "prompt": columns.get("prompt_col"),
    }
    table = open_scores(source, HealthOptions(columns=only_known(named)))
    if table.responses is None:
        raise NoData("there are no answers to count tokens of", hint="name their column with --response-col")
    try:
        found = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise MalformedInput(f"{tokenizer} holds no tokenizer: {why}", hint="give a local directory") from None
    texts = table.responses.some(np.arange(len(table)))
    counts: list[float] = []
    for begin in range(0, len(texts), CHUNK):
        part = [text or "" for text in texts[begin : begin + CHUNK]]
        counts += [float(len(ids)) for ids in found(part, add_special_tokens=False)["input_ids"]]
    made: dict[str, Any] = {"reward": table.reward, "n_tokens": counts, "response": texts}
    if columns.get("response_col"):
        made[columns["response_col"]] = made.pop("response")
    if columns.get("reward_col"):
        made[columns["reward_col"]] = made.pop("reward")
    if table.prompt is not None:
        made[columns.get("prompt_col") or "prompt_id"] = [p if p >= 0 else None for p in table.prompt.tolist()]
    if table.step is not None:
        made["step"] = table.step
    return pd.DataFrame(made)
