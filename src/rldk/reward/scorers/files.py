"""Files of scores: an id, or the texts, and a score in each row."""

from __future__ import annotations

import math
from collections.abc import Set
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from rldk.errors import NoData
from rldk.reward.columns import find_columns
from rldk.reward.scorers.items import ScoredItems, keyed, text_key
from rldk.reward.scorers.options import ModelScores
from rldk.reward.sources import read_raw
from rldk.reward.table import RawTable

Key = Literal["ids", "texts", "answers"]
ScoreField = Literal["reward", "gold"]
AMBIGUOUS = 0.05  # of the rows of a file: our own choice
KEYS: tuple[Key, ...] = ("ids", "texts", "answers")  # in this order; "answers" are texts without their prompts


class ScoreFile(Struct, kw_only=True):
    """The scores of a file by key. `by`: what the keys are made from; "" where the file has nothing of that kind.
    `prompts`, `responses`, `prompt_ids`: by key, where the file has them. `repeated`: rows whose key an earlier row had
    with another score; the first one counts."""

    name: str = ""
    scores: dict[str, float]
    prompts: dict[str, str]
    responses: dict[str, str]
    prompt_ids: dict[str, str]
    by: Key | Literal[""]
    repeated: int = 0
    rejected: int = 0


def read_scores(source: Any, field: ScoreField = "reward") -> ScoreFile:
    """The scores of a file, keyed by its ids, else by digests of prompt and answer. `field`: where they stand; gold
    scores may also stand in a column of rewards.

    Raises `NoData` where there are no scores, or nothing to tell the rows apart."""
    raw = raw_scores(source, field)
    files = (score_file(raw, by, field) for by in KEYS)
    found = next((file for file in files if file.by), None)
    if found is None:
        raise NoData(f"{raw.source} has neither ids nor texts", hint="scores of two models are joined by one of them")
    return found


def raw_scores(source: Any, field: ScoreField = "reward") -> RawTable:
    """The columns of a file of scores. Raises `NoData` where it has no scores."""
    raw = read_raw(source, {})
    if not {"reward", field} & find_columns(raw.names, {}).keys():
        raise NoData(f"{raw.source} has no column of scores", hint=f"there are: {', '.join(raw.names[:8])}")
    return raw


def score_file(raw: RawTable, by: Key, field: ScoreField = "reward") -> ScoreFile:
    """The scores by key; without any where the file lacks what the key is made from."""
    found = find_columns(raw.names, {})
    rows = np.arange(raw.rows, dtype=np.int64)
    scores = raw.number(found[field if field in found else "reward"]).tolist()
    made = ScoreFile(
        name=raw.source.rpartition("/")[2], scores={}, prompts={}, responses={}, prompt_ids={}, by="",
        rejected=raw.rejected,
    )  # fmt: skip

    def column(field: str) -> list[str | None] | None:
        texts = raw.text(found[field]) if field in found else None
        return None if texts is None else texts.some(rows)

    prompts, responses = column("prompt"), column("response")
    if by == "ids" and "id" in found:
        codes, values = raw.codes(found["id"])
        names = [str(values[code]) if code >= 0 else "" for code in codes.tolist()]
    elif by == "texts" and (prompts is not None or responses is not None):
        both = zip(prompts or [""] * raw.rows, responses or [""] * raw.rows, strict=True)
        names = [text_key(p or "", r or "") for p, r in both]
    elif by == "answers" and responses is not None:
        names = [text_key("", r) if r else "" for r in responses]
    else:
        return made
    made.by = by
    groups = None
    if "prompt_id" in found:
        codes, values = raw.codes(found["prompt_id"])
        groups = [str(values[code]) if code >= 0 else "" for code in codes.tolist()]
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
    return ModelScores(name=path.name, scores=scores, notes=notes_of(file), doubts=doubts_of(file))


def notes_of(file: ScoreFile) -> tuple[str, ...]:
    """What a reader should know of the file."""
    left_out = (f"{file.name}: {file.rejected:,} rows could not be read and were left out",) if file.rejected else ()
    return left_out + ((_repeats(file),) if file.repeated and not _ambiguous(file) else ())


def doubts_of(file: ScoreFile) -> tuple[str, ...]:
    """Why the scores of the file may belong to other answers."""
    what = "id" if file.by == "ids" else "text"
    return (f"the {what}s of {file.name} do not tell its rows apart: {_repeats(file)}",) if _ambiguous(file) else ()


def _ambiguous(file: ScoreFile) -> int:
    """The rows that repeat a key with another score, where they are so many that the key does not name a row."""
    return file.repeated if file.repeated > AMBIGUOUS * (len(file.scores) + file.repeated) else 0


def _repeats(file: ScoreFile) -> str:
    rows = f"{file.repeated:,} rows" if file.repeated > 1 else "a row"
    verb = "repeat" if file.repeated > 1 else "repeats"
    what = "id" if file.by == "ids" else "text"
    return f"{rows} of {file.name} {verb} an earlier {what} with another score, and the first score counts"


class JoinedFiles(Struct, frozen=True, kw_only=True):
    """Two files of scores keyed alike. `notes`: which key was not used, and why. `doubts`: why rows with one key may
    be different answers."""

    first: ScoreFile
    second: ScoreFile
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def joined_files(first: Any, second: Any) -> JoinedFiles:
    """Two files of scores keyed alike: by ids, else by texts, else by the answers alone.

    A key does not fit where the files have no row in common, where more than 5 % of the rows of a file repeat it with
    another score, or where the files hold different answers under most of the keys that both have. The first key that
    fits is taken; where none fits, the one with the fewest such rows. Raises `NoData` where the files have no row in
    common."""
    raws = raw_scores(first), raw_scores(second)
    tries: list[tuple[int, ScoreFile, ScoreFile]] = []
    for by in KEYS:
        one, two = (score_file(raw, by) for raw in raws)
        shared = one.scores.keys() & two.scores.keys()
        if shared:
            tries.append((_ambiguous(one) + _ambiguous(two) + _too_unlike(one, two, shared), one, two))
            if not tries[-1][0]:
                break
    if not tries:
        keys = [" and ".join(by for by in KEYS[:2] if score_file(raw, by).by) or "neither" for raw in raws]
        hint = f"rows are joined by ids or texts; the first file has {keys[0]}, the second {keys[1]}"
        raise NoData("the two files have no row in common", hint=hint)
    wrong, one, two = min(tries, key=lambda each: each[0])
    notes: tuple[str, ...] = ()
    if tries[0][1].by != one.by:
        told = (*doubts_of(tries[0][1]), *doubts_of(tries[0][2]), *_unlike_note(*tries[0][1:]))
        notes = (f"{'; '.join(told)}: rows are joined by their {one.by} instead",)
    return JoinedFiles(first=one, second=two, notes=notes, doubts=_unlike_note(one, two) if wrong else ())


def _too_unlike(one: ScoreFile, two: ScoreFile, shared: Set[str]) -> int:
    """How many keys stand for different answers in both files; 0 where that is less than half of them."""
    unlike = _unlike(one, two, shared)
    return unlike if 2 * unlike > len(shared) else 0


def _unlike(one: ScoreFile, two: ScoreFile, shared: Set[str]) -> int:
    pairs = ((one.responses.get(key), two.responses.get(key)) for key in shared)
    return sum(a is not None and b is not None and a != b for a, b in pairs)


def _unlike_note(one: ScoreFile, two: ScoreFile) -> tuple[str, ...]:
    shared = one.scores.keys() & two.scores.keys()
    unlike = _too_unlike(one, two, shared)
    if not unlike:
        return ()
    return (f"under {unlike:,} of {len(shared):,} shared ids {one.name} and {two.name} hold different answers",)


def items_in(first: ScoreFile, second: ScoreFile) -> ScoredItems:
    """The items that both files score, in the order of the first."""
    keys = [key for key in first.scores if key in second.scores]

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
