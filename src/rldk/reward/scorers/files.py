"""Files of scores: an id, or the texts, and a score in each row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rldk.errors import NoData
from rldk.reward.columns import find_columns
from rldk.reward.scorers.digests import (
    ABSENT,
    Digests,
    Places,
    answer_digest,
    digest,
    digests,
    first_places,
    places,
    text_digest,
)
from rldk.reward.scorers.items import ScoredItems
from rldk.reward.scorers.options import ModelScores
from rldk.reward.sources import read_raw
from rldk.reward.table import RawTable
from rldk.reward.texts import TextColumn

Key = Literal["ids", "texts", "answers"]
ScoreField = Literal["reward", "gold"]
AMBIGUOUS = 0.05  # of the rows of a file: our own choice
KEYS: tuple[Key, ...] = ("ids", "texts", "answers")  # in this order; "answers" are texts without their prompts
NAMES = ("id", "prompt_id")  # fields whose numbers are names


class ScoreFile(Struct, kw_only=True):
    """The scores of a file by key. `by`: what the keys are made from. `keys`, `rows`, `scores`: of each key its digest,
    the first row that has it, and the score there, in the order of the rows. `repeated`: rows whose key an earlier row
    had with another score; the first one counts."""

    raw: RawTable
    by: Key
    keys: Digests
    rows: Places
    scores: NDArray[np.float64]
    repeated: int = 0

    @property
    def name(self) -> str:
        """The name of the file without its folder."""
        return self.raw.source.rpartition("/")[2]

    def column(self, field: str) -> TextColumn | None:
        """A column of the file as text; None where it has none."""
        return _column(self.raw, field)

    def digests_of(self, field: str) -> Digests | None:
        """The digest of what each key's row has in a column; None where the file has none."""
        column = self.column(field)
        return None if column is None else digests(column, digest)[self.rows]


def read_scores(source: Any, field: ScoreField = "reward") -> ScoreFile:
    """The scores of a file, keyed by its ids, else by digests of prompt and answer. `field`: where they stand; gold
    scores may also stand in a column of rewards.

    Raises `NoData` where there are no scores, or nothing to tell the rows apart."""
    raw = raw_scores(source, field)
    found = next((file for by in KEYS if (file := score_file(raw, by, field)) is not None), None)
    if found is None:
        raise NoData(f"{raw.source} has neither ids nor texts", hint="scores of two models are joined by one of them")
    return found


def raw_scores(source: Any, field: ScoreField = "reward") -> RawTable:
    """The columns of a file of scores. Raises `NoData` where it has no scores."""
    raw = read_raw(source, {}, as_texts=True)
    if not {"reward", field} & find_columns(raw.names, {}).keys():
        raise NoData(f"{raw.source} has no column of scores", hint=f"there are: {', '.join(raw.names[:8])}")
    return raw


def score_file(raw: RawTable, by: Key, field: ScoreField = "reward") -> ScoreFile | None:
    """The scores by key; None where the file lacks what the key is made from. A row without its key has no score."""
    every = _keys(raw, by)
    if every is None:
        return None
    found = find_columns(raw.names, {})
    scores = raw.number(found[field if field in found else "reward"])
    first = first_places(every)
    rows = np.flatnonzero(first == np.arange(len(first)))
    later = np.flatnonzero((first >= 0) & (first != np.arange(len(first))))
    own, other = scores[later], scores[first[later]]
    repeated = int(((own != other) & ~(np.isnan(own) & np.isnan(other))).sum())
    return ScoreFile(raw=raw, by=by, keys=every[rows], rows=rows, scores=scores[rows], repeated=repeated)


def has_keys(raw: RawTable, by: Key) -> bool:
    """Whether the file has what the keys are made from."""
    fields = {"ids": ("id",), "texts": ("prompt", "response"), "answers": ("response",)}[by]
    return any(_column(raw, field) is not None for field in fields)


def _column(raw: RawTable, field: str) -> TextColumn | None:
    found = find_columns(raw.names, {})
    if field not in found:
        return None
    return raw.words(found[field]) if field in NAMES else raw.text(found[field])


def _keys(raw: RawTable, by: Key) -> Digests | None:
    """The digest of the key of each row, shape (rows, 2)."""
    if not has_keys(raw, by):
        return None
    prompts, responses = _column(raw, "prompt"), _column(raw, "response")
    ids = _column(raw, "id")
    if by == "ids" and ids is not None:
        return digests(ids, digest)
    if by == "answers" and responses is not None:
        return digests(responses, answer_digest)
    none = [None] * raw.rows
    both = zip(none if prompts is None else prompts, none if responses is None else responses, strict=True)
    return digests(both, lambda texts: text_digest(texts[0] or "", texts[1] or ""))


def scores_in(path: Path, items: ScoredItems) -> ModelScores:
    """The scores of a file for the items, by id or by text."""
    file = read_scores(path)
    scores = _picked(file.scores, places(digests(items.keys, digest if file.by == "ids" else _from_hex), file.keys))
    answers = file.column("response")
    if not np.isfinite(scores).any() and file.by == "texts" and answers is not None:
        own = digests(answers, answer_digest)[file.rows]
        scores = _picked(file.scores[::-1], places(digests(items.texts(), answer_digest), own[::-1]))
    return ModelScores(name=path.name, scores=scores, notes=notes_of(file), doubts=doubts_of(file))


def _from_hex(key: str) -> bytes:
    """The digest that a key spells; zeros for a key that is an id."""
    try:
        found = bytes.fromhex(key)
    except ValueError:
        return ABSENT
    return found if len(found) == len(ABSENT) else ABSENT


def _picked(scores: NDArray[np.float64], at: Places) -> NDArray[np.float64]:
    """The scores at these places; NaN for -1."""
    made: NDArray[np.float64] = np.append(scores, np.nan)[at]
    return made


def notes_of(file: ScoreFile) -> tuple[str, ...]:
    """What a reader should know of the file."""
    rejected = file.raw.rejected
    left_out = (f"{file.name}: {rejected:,} rows could not be read and were left out",) if rejected else ()
    return left_out + ((_repeats(file),) if file.repeated and not ambiguous(file) else ())


def doubts_of(file: ScoreFile) -> tuple[str, ...]:
    """Why the scores of the file may belong to other answers."""
    what = "id" if file.by == "ids" else "text"
    return (f"the {what}s of {file.name} do not tell its rows apart: {_repeats(file)}",) if ambiguous(file) else ()


def ambiguous(file: ScoreFile) -> int:
    """The rows that repeat a key with another score, where they are so many that the key does not name a row."""
    return file.repeated if file.repeated > AMBIGUOUS * (len(file.keys) + file.repeated) else 0


def _repeats(file: ScoreFile) -> str:
    rows = f"{file.repeated:,} rows" if file.repeated > 1 else "a row"
    verb = "repeat" if file.repeated > 1 else "repeats"
    what = "id" if file.by == "ids" else "text"
    return f"{rows} of {file.name} {verb} an earlier {what} with another score, and the first score counts"
