"""From the columns of a source to scored answers and pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.cards.safe import clean
from rldk.errors import NoData, UsageError
from rldk.reward.columns import NUMBERS, REWARDS, SCORERS, TRAINING, VALIDATION, find_columns
from rldk.reward.scorer_columns import list_column, scorer_columns
from rldk.reward.table import Array, Codes, PairTable, RawTable, ScoreTable
from rldk.reward.texts import JoinedTexts, TextColumn

MOST_SHOWN = 60  # characters of a cell in a message
Given = Mapping[str, str | None]


def assemble(raw: RawTable, given: Given, gold: Any = None) -> ScoreTable:
    """The scored answers of a source. `gold`: the name of a column, an array of one gold score a row, or a mapping from
    the ids of the rows to gold scores.

    Raises `NoData` where there are no rewards, `UnknownName` and `UsageError`."""
    named = {**given, "gold": gold} if isinstance(gold, str) else dict(given)
    found = find_columns(raw.names, named)
    if not raw.rows:
        why = raw.reasons[0] if raw.reasons else "it is empty"
        raise NoData(f"{raw.source} has no rows: {why}", hint="write one answer a row")
    odd = _no_numbers(raw, found)
    own = None if gold is None or isinstance(gold, str) else _gold_of(raw, found, gold)
    if "chosen_score" in found and "rejected_score" in found and named.get("reward") is None:
        return _noted(_of_pairs(raw, found), odd)
    names, scorers = _scorers(raw, given.get(SCORERS))
    if "reward" not in found and scorers is None:
        some = ", ".join(list(raw.names)[:8])
        raise NoData(
            f"{raw.source} has no column of rewards", hint=f"name it with reward_col (--reward-col); there are: {some}"
        )
    made = replace(_of_answers(raw, found, own, scorers), scorers=scorers, scorer_names=names)
    return _noted(made, odd)


def _noted(table: ScoreTable, notes: tuple[str, ...]) -> ScoreTable:
    return replace(table, notes=(*table.notes, *notes)) if notes else table


def _no_numbers(raw: RawTable, found: Mapping[str, str]) -> tuple[str, ...]:
    """A note for each column of numbers in which something else stands. Raises `NoData` for a column of rewards that
    holds nothing but that."""
    notes = []
    for field, column in found.items():
        others, numbers, first = raw.no_numbers(column) if field in NUMBERS and column not in raw.numbers else (0, 0, 0)
        if not others:
            continue
        shown = clean(repr(first[:MOST_SHOWN] if isinstance(first, str) else first), MOST_SHOWN)
        if field in REWARDS and not numbers:
            hint = "name another column with reward_col (--reward-col), or write one number in each row"
            raise NoData(f"{raw.source}: `{column}` holds no number; the first value is {shown}", hint=hint)
        notes.append(f"{others:,} of {raw.rows:,} values of `{column}` are no numbers; the first is {shown}")
    return tuple(notes)


def _scorers(raw: RawTable, named: str | None) -> tuple[tuple[str, ...], Array | None]:
    """The scorers of an ensemble by name, and their scores."""
    columns = scorer_columns(raw.names, named)
    if columns:
        return columns, np.column_stack([raw.number(name) for name in columns])
    name = list_column(raw.names)
    made = None if name is None else raw.lists(name)
    return ((), None) if made is None else (tuple(f"{name}[{i}]" for i in range(made.shape[1])), made)


def _of_answers(raw: RawTable, found: Mapping[str, str], gold: Array | None, scorers: Array | None) -> ScoreTable:
    def numbers(field: str) -> Array | None:
        return _some(raw.number(found[field])) if field in found else None

    step, (prompt, prompts) = numbers("step"), _prompts(raw, found)
    tokens = _lengths(numbers("n_tokens"))
    responses = raw.text(found["response"]) if "response" in found else None
    label = numbers("label")
    notes = raw.notes
    if "reward" in found or scorers is None:
        reward = raw.number(found["reward"])
    else:
        reward = scorers.mean(axis=1)
        notes = (*notes, f"the reward is the mean of the scores of {scorers.shape[1]} scorers, with the same weight")
    return ScoreTable(
        reward=reward,
        step=step,
        prompt=prompt,
        group=_groups(prompt, step),
        prompts=prompts,
        responses=responses,
        length=tokens,
        counted=tokens is not None,
        label=label if label is not None and _is_binary(label) else None,
        gold=gold if gold is not None else numbers("gold"),
        split=_split(raw, found),
        position=numbers("position"),
        kl=numbers("kl"),
        single=raw.steps and responses is None and prompt is None,
        columns=dict(found),
        source=raw.source,
        rejected=raw.rejected,
        reasons=raw.reasons,
        notes=(*notes, *_repeated_ids(raw, found, prompt)),
    )


def _repeated_ids(raw: RawTable, found: Mapping[str, str], prompt: Codes | None) -> tuple[str, ...]:
    """A note where ids repeat and do not name the prompts."""
    if "id" not in found or found["id"] == found.get("prompt_id"):
        return ()
    codes, names = raw.codes(found["id"])
    there, ids = codes >= 0, len(names)
    repeats = int(there.sum()) - ids
    if not repeats:
        return ()
    if prompt is not None:
        own = prompt[there]
        both = len(np.unique(codes[there] * (int(own.max(initial=0)) + 2) + own))
        if both == ids == len(np.unique(own)):
            return ()
    text = f"{repeats:,} rows repeat the id of an earlier row (`{found['id']}`)"
    return (f"{text}: were rows doubled, or do the ids name something else?",)


def _of_pairs(raw: RawTable, found: Mapping[str, str]) -> ScoreTable:
    """Each pair is two answers, the chosen ones first."""
    first, second = raw.number(found["chosen_score"]), raw.number(found["rejected_score"])
    prompt, prompts = _prompts(raw, found)
    both = np.concatenate
    split = _split(raw, found)
    texts = [raw.text(found[name]) if name in found else None for name in ("chosen", "rejected")]
    lengths = [
        _lengths(raw.number(found[name])) if name in found else None for name in ("chosen_length", "rejected_length")
    ]
    shown = raw.number(found["chosen_position"]) if "chosen_position" in found else None
    pair = np.arange(raw.rows, dtype=np.int64)
    stated = lengths[0] is not None and lengths[1] is not None
    responses: TextColumn | None = None
    if texts[0] is not None and texts[1] is not None:
        responses = JoinedTexts(texts[0], texts[1])
    own = prompt if prompt is not None else pair
    return ScoreTable(
        reward=both((first, second)),
        prompt=both((own, own)),
        group=both((pair, pair)),
        prompts=None if prompts is None else JoinedTexts(prompts, prompts),
        responses=responses,
        length=both((lengths[0], lengths[1])) if stated else None,  # type: ignore[arg-type]  # both are there
        counted=stated,
        split=None if split is None else both((split, split)),
        position=None if shown is None else both((shown, _other_place(shown))),
        pairs=PairTable(margin=first - second, prompt=prompt, split=split),
        columns=dict(found),
        source=raw.source,
        rejected=raw.rejected,
        reasons=raw.reasons,
        notes=raw.notes,
    )


def _other_place(shown: Array) -> Array:
    """The place of the other answer of a pair, where places are counted from 0 or from 1."""
    finite = shown[np.isfinite(shown)]
    total = float(finite.min() + finite.max()) if len(finite) else 1.0
    return total - shown


def _lengths(values: Array | None) -> Array | None:
    """Lengths; NaN for what is below 0 and so is none. None where no length is left."""
    return None if values is None else _some(np.where(values < 0, math.nan, values))


def _some(values: Array) -> Array | None:
    return values if np.isfinite(values).any() else None


def _is_binary(values: Array) -> bool:
    there = values[np.isfinite(values)]
    return bool(len(there)) and bool(np.isin(there, (0.0, 1.0)).all())


def _prompts(raw: RawTable, found: Mapping[str, str]) -> tuple[Codes | None, TextColumn | None]:
    """Codes of the prompts, by their ids where there are any, and the prompts as text."""
    text = raw.text(found["prompt"]) if "prompt" in found else None
    for field in ("prompt_id", "prompt"):
        if field in found:
            codes, _ = raw.codes(found[field])
            if (codes >= 0).any():
                return codes, text
    return None, text


def _groups(prompt: Codes | None, step: Array | None) -> Codes | None:
    """Answers to one prompt at one step."""
    if prompt is None or step is None:
        return prompt
    known = np.isfinite(step)
    place = np.zeros(len(step), dtype=np.int64)
    place[known] = np.unique(step[known], return_inverse=True)[1]
    return np.where(prompt >= 0, prompt + place * (int(prompt.max()) + 1), -1)


def _split(raw: RawTable, found: Mapping[str, str]) -> Codes | None:
    """0 for training rows, 1 for validation rows, -1 for others; None unless there are both."""
    if "split" not in found:
        return None
    codes, names = raw.codes(found["split"])
    kind = [0 if _word(n) in TRAINING else 1 if _word(n) in VALIDATION else -1 for n in names]
    made = np.array([*kind, -1], dtype=np.int64)[codes]
    return made if (made == 0).any() and (made == 1).any() else None


def _word(name: Any) -> str:
    return str(name).strip().lower()


def _gold_of(raw: RawTable, found: Mapping[str, str], gold: Any) -> Array:
    """One gold score a row. Raises `UsageError`."""
    if isinstance(gold, Mapping):
        ids = next((found[field] for field in ("id", "prompt_id") if field in found), None)
        if ids is None:
            raise UsageError("gold scores by id need a column of ids", hint="give id, or one gold score a row")
        codes, names = raw.codes(ids)
        told = np.array([float(gold.get(name, math.nan)) for name in names] + [math.nan])
        if not np.isfinite(told).any():
            words = f"none of the {len(gold):,} gold scores has an id of the data (`{ids}`)"
            raise UsageError(words, hint=f"the data has ids such as {', '.join(map(str, names[:3]))}")
        return told[codes]
    values: NDArray[np.float64] = np.asarray(_listed(gold), dtype=np.float64)
    if values.shape != (raw.rows,):
        raise UsageError(f"{len(values):,} gold scores for {raw.rows:,} rows", hint="give one for each row")
    return values


def _listed(gold: Any) -> Sequence[float]:
    made: Sequence[float] = gold.tolist() if hasattr(gold, "tolist") else list(gold)
    return made
