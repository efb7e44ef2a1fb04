"""What is scored: prompts with their answers, from lists, frames, files or pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.core.samples import text_of
from rldk.errors import NoData, UsageError
from rldk.reward.columns import find_columns
from rldk.reward.scorers.digests import text_digest
from rldk.reward.sources import read_raw

Codes = NDArray[np.int64]


class ScoredItems(Struct, kw_only=True):
    """The things to score, n of them. `responses`: None where prompts are scored alone. `prompt`: codes of prompts.

    `keys`: what tells one from the others: ids, else digests of the texts. `pairs`: rows of the chosen and of the
    rejected answers, where the data is preference pairs."""

    prompts: list[str]
    responses: list[str] | None
    prompt: Codes
    keys: list[str]
    pairs: tuple[Codes, Codes] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def shown(self, rows: Sequence[int]) -> list[tuple[str, str, str]]:
        """Key, prompt and answer of each of the rows."""
        answers = self.responses
        return [(self.keys[row], self.prompts[row], "" if answers is None else answers[row]) for row in rows]

    def texts(self) -> list[str]:
        """The answers, or the prompts where there are no answers."""
        return self.prompts if self.responses is None else self.responses


def items_of(prompts: Any, responses: Any = None) -> ScoredItems:
    """The items of a list of prompts (with one answer each in `responses`, or a list of answers each), or of a frame, a
    list of dicts or a path with prompts and answers, or with pairs (chosen, rejected).

    Raises `UsageError`, `NoData` and the errors of reading."""
    if isinstance(prompts, Sequence) and not isinstance(prompts, str) and all(isinstance(p, str) for p in prompts):
        return _of_lists(list(prompts), responses)
    if responses is not None:
        raise UsageError("responses go with a list of prompts", hint="give both as lists, or both in one table")
    return _of_table(prompts)


def _of_lists(prompts: list[str], responses: Any) -> ScoredItems:
    if not prompts:
        raise NoData("there are no prompts", hint="give at least one")
    if responses is None:
        return _made(prompts, None)
    answers = list(responses)
    if len(answers) != len(prompts):
        raise UsageError(f"{len(prompts)} prompts, but {len(answers)} responses", hint="give one (or a list) for each")
    if any(isinstance(answer, list | tuple) for answer in answers):
        many = [(p, r) for p, own in zip(prompts, answers, strict=True) for r in own]
        return _made([p for p, _ in many], [str(r) for _, r in many])
    return _made(prompts, [text_of(answer) or "" for answer in answers])


def _of_table(source: Any) -> ScoredItems:
    raw = read_raw(source, {})
    found = find_columns(raw.names, {})
    rows = np.arange(raw.rows, dtype=np.int64)

    def column(field: str) -> list[str] | None:
        texts = raw.text(found[field]) if field in found else None
        return None if texts is None else [text or "" for text in texts.some(rows)]

    prompts = column("prompt") or [""] * raw.rows
    ids = raw.codes(found["id"]) if "id" in found else None
    names = None if ids is None else [str(ids[1][code]) if code >= 0 else "" for code in ids[0].tolist()]
    chosen, rejected, responses = column("chosen"), column("rejected"), column("response")
    if chosen is not None and rejected is not None:
        keys = None if names is None else [*(f"{n}/chosen" for n in names), *(f"{n}/rejected" for n in names)]
        made = _made([*prompts, *prompts], [*chosen, *rejected], keys)
        made.pairs = (rows, rows + raw.rows)
        if not any(prompts):
            made.prompt = np.concatenate((rows, rows))
        return made
    if responses is None and not any(prompts):
        raise NoData(f"{raw.source} has neither prompts nor responses", hint=f"there are: {', '.join(raw.names[:8])}")
    return _made(prompts, responses, names)


def _made(prompts: list[str], responses: list[str] | None, keys: list[str] | None = None) -> ScoredItems:
    seen: dict[str, int] = {}
    codes = np.array([seen.setdefault(p, len(seen)) for p in prompts], dtype=np.int64)
    if responses is not None and not any(prompts):
        codes = np.arange(len(prompts), dtype=np.int64)
    if keys is None or not all(keys):
        both = zip(prompts, responses or [""] * len(prompts), strict=True)
        keys = [text_digest(p, r).hex() for p, r in both]
    return ScoredItems(prompts=prompts, responses=responses, prompt=codes, keys=keys)
