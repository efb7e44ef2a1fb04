"""Files of scores: an id, or the texts, and a score in each row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from rldk.errors import NoData
from rldk.reward.columns import find_columns
from rldk.reward.scorers.items import ScoredItems, keyed, text_key
from rldk.reward.scorers.options import ModelScores
from rldk.reward.sources import read_raw


class ScoreFile(Struct, kw_only=True):
    """The scores of a file by key. `prompts`, `responses`, `prompt_ids`: by key, where the file has them. `repeated`:
    rows whose key an earlier row had with another score; the first one counts."""

    scores: dict[str, float]
    prompts: dict[str, str]
    responses: dict[str, str]
    prompt_ids: dict[str, str]
    by: str
    repeated: int = 0
    rejected: int = 0


def read_scores(source: Any) -> ScoreFile:
    """The scores of a file, keyed by its ids, else by digests of prompt and answer.

    Raises `NoData` where there are no scores, or nothing to tell the rows apart."""
    raw = read_raw(source, {})
    found = find_columns(raw.names, {})
    if "reward" not in found:
        raise NoData(f"{raw.source} has no column of scores", hint=f"there are: {', '.join(raw.names[:8])}")
    rows = np.arange(raw.rows, dtype=np.int64)
    scores = raw.number(found["reward"]).tolist()

    def column(field: str) -> list[str | None] | None:
        texts = raw.text(found[field]) if field in found else None
        return None if texts is None else texts.some(rows)

    prompts, responses = column("prompt"), column("response")
    names, ids = None, found.get("id")
    if ids is not None:
        codes, values = raw.codes(ids)
        names = [str(values[code]) if code >= 0 else "" for code in codes.tolist()]
    elif prompts is not None or responses is not None:
        both = zip(prompts or [""] * raw.rows, responses or [""] * raw.rows, strict=True)
        names = [text_key(p or "", r or "") for p, r in both]
    if names is None:
        raise NoData(f"{raw.source} has neither ids nor texts", hint="scores of two models are joined by one of them")
    groups = None
    if "prompt_id" in found:
        codes, values = raw.codes(found["prompt_id"])
        groups = [str(values[code]) if code >= 0 else "" for code in codes.tolist()]
    made = ScoreFile(scores={}, prompts={}, responses={}, prompt_ids={}, by="ids" if ids else "texts")
    made.rejected = raw.rejected
    for row, (key, score) in enumerate(zip(names, scores, strict=True)):
        if not key:
            continue
        if key in made.scores:
            made.repeated += int(made.scores[key] != score and not (math.isnan(made.scores[key]) and math.isnan(score)))
            continue
        made.scores[key] = score
        for held, texts in ((made.prompts, prompts), (made.responses, responses), (made.prompt_ids, groups)):
            text = texts[row] if texts is not None else None
            if text:
                held[key] = text
    return made


def scores_in(path: Path, items: ScoredItems) -> ModelScores:
    """The scores of a file for the items, by id or by text."""
    file = read_scores(path)
    scores = keyed(file.scores, items)
    if not np.isfinite(scores).any() and file.by == "texts":
        by_text = {text_key("", r): file.scores[key] for key, r in file.responses.items()}
        texts = items.texts()
        scores = np.array([by_text.get(text_key("", text), np.nan) for text in texts])
    return ModelScores(name=path.name, scores=scores, notes=notes_of(file, path.name))


def notes_of(file: ScoreFile, name: str) -> tuple[str, ...]:
    """What a reader should know of the file."""
    made = []
    if file.repeated:
        made.append(f"{name}: {file.repeated:,} rows repeat a key with another score; the first one counts")
    if file.rejected:
        made.append(f"{name}: {file.rejected:,} rows could not be read and were left out")
    return tuple(made)


def items_in(first: ScoreFile, second: ScoreFile) -> ScoredItems:
    """The items that both files score, in the order of the first.

    Raises `NoData` where there are none."""
    keys = [key for key in first.scores if key in second.scores]
    if not keys:
        hint = f"the first file is keyed by {first.by}, the second by {second.by}"
        raise NoData("the two files have no row in common", hint=hint)

    def told(key: str, one: dict[str, str], other: dict[str, str]) -> str:
        return one.get(key) or other.get(key) or ""

    prompts = [told(key, first.prompts, second.prompts) for key in keys]
    groups = [told(key, first.prompt_ids, second.prompt_ids) or p for key, p in zip(keys, prompts, strict=True)]
    seen: dict[str, int] = {}
    alone = not any(groups)
    codes = [row if alone or not g else seen.setdefault(g, len(keys) + len(seen)) for row, g in enumerate(groups)]
    return ScoredItems(
        prompts=prompts,
        responses=[told(key, first.responses, second.responses) for key in keys],
        prompt=np.array(codes, dtype=np.int64),
        keys=keys,
    )
