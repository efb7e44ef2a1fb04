"""Per-sample records: one response with its prompt, reward, tokens and log-probabilities, whatever the trainer calls
them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, convert, field

from rldk.core.samples.column_names import value_at

Ending = Literal["ended", "cut", ""]
Stated = Literal["number", "none", "nan", ""]
NumberList = list[float]
Turn = tuple[list[int], list[int]]  # token ids of the prompt of a turn, and of what was sampled in it
MAX_DEPTH = 8  # of nested messages


class Sample(Struct, frozen=True, kw_only=True):
    """One response. None, "" or NaN where the record lacks it.

    `ending`: whether the response ended by itself or was cut. `stated`: what the record says of the reward: a number,
    None, NaN, or nothing. `components`: the score of each reward function; None where it gave none. `logp_rollout`,
    `logp_train`, `logp_ref`: for each token, or one sum. `gold`: the right answer. `parsed`: the answer that the reward
    function found in the response; `has_parsed`: the record says so, even if it found none. `version`: the number of
    the weights that sampled it. `turns`: the tokens of each call of the model."""

    step: int | None = None
    prompt: str | None = None
    response: str | None = None
    prompt_id: str | None = None
    group_id: str | None = None
    group_size: int | None = None
    rank: int | None = None
    ending: Ending = ""
    n_tokens: float = math.nan
    reward: float = math.nan
    stated: Stated = ""
    components: dict[str, float | None] = field(default_factory=dict)
    advantage: float = math.nan
    prompt_ids: list[int] | None = None
    response_ids: list[int] | None = None
    train_ids: list[int] | None = None
    loss_mask: list[int] | None = None
    roles: list[str] | None = None
    logp_rollout: NumberList | float | None = None
    logp_train: NumberList | float | None = None
    logp_ref: NumberList | float | None = None
    gold: str | None = None
    parsed: str | None = None
    has_parsed: bool = False
    version: int | None = None
    turns: tuple[Turn, ...] = ()

    @property
    def prompt_key(self) -> str | None:
        """What tells this prompt from others."""
        return self.prompt_id if self.prompt_id is not None else self.prompt

    def record(self) -> dict[str, Any]:
        """The record under the canonical names of `SampleTable`, without what is missing."""
        made: dict[str, Any] = {
            "step": self.step,
            "prompt_id": self.prompt_id,
            "group_id": self.group_id,
            "rank": self.rank,
            "prompt": self.prompt,
            "response": self.response,
            "finish_reason": {"ended": "stop", "cut": "length"}.get(self.ending),
            "n_tokens": _present(self.n_tokens),
            "reward": _present(self.reward),
            "reward_components": self.components or None,
            "advantage": _present(self.advantage),
            "logp_rollout": self.logp_rollout,
            "logp_train": self.logp_train,
            "logp_ref": self.logp_ref,
        }
        return {name: value for name, value in made.items() if value is not None}


class SampleWords(Struct, frozen=True):
    """The names of the fields (`data/samples.yaml`), and the values of a finish reason."""

    fields: dict[str, tuple[str, ...]]
    ended: frozenset[str]
    cut: frozenset[str]


@cache
def sample_words() -> SampleWords:
    """The vocabulary of per-sample records."""
    import yaml

    data = yaml.safe_load((Path(__file__).parents[1] / "data" / "samples.yaml").read_text(encoding="utf-8"))
    return convert(data, SampleWords)


def find(record: Mapping[str, Any], name: str) -> Any:
    """The value of a field by its canonical name; None where the record has no such field."""
    for key in _spellings(tuple(record))[name]:
        value = value_at(record, key)
        if value is not None:
            return _single(value)
    return None


@lru_cache(maxsize=64)
def _spellings(keys: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """For each field, the names that a record with these keys may have. The records of a file share their keys."""
    there = frozenset(keys)
    fields = sample_words().fields
    return {name: tuple(w for w in words if w.partition(".")[0] in there) for name, words in fields.items()}


def is_sample(record: Mapping[str, Any]) -> bool:
    """Whether a record is a response of a training: it has a text or tokens, and something that a data set lacks."""
    texts = any(_has(record, name) for name in ("response", "response_ids", "turns"))
    pairs = _has(record, "logp_rollout") and _has(record, "logp_train")
    facts = ("reward", "advantage", "logp_rollout", "finish_reason", "cut", "n_tokens", "step", "loss_mask", "parsed")
    return pairs or (texts and any(_has(record, name) for name in facts))


def to_sample(record: Mapping[str, Any], step: int | None = None) -> Sample:
    """The sample of a record in any spelling of `data/samples.yaml`. `step`: for records that state none."""
    reward = find(record, "reward")
    parts = reward if isinstance(reward, Mapping) else find(record, "components")
    components = {str(k): _score(v) for k, v in parts.items()} if isinstance(parts, Mapping) else {}
    ids = _integers(find(record, "response_ids"))
    parsed = find(record, "parsed")
    return Sample(
        step=step_of(record, step),
        prompt=text_of(find(record, "prompt")),
        response=text_of(find(record, "response")),
        prompt_id=_name(find(record, "prompt_id")),
        group_id=_name(find(record, "group_id")),
        group_size=_whole(find(record, "group_size")),
        rank=_whole(find(record, "rank")),
        ending=_ending(record),
        n_tokens=_tokens(record, ids),
        reward=_number(reward),
        stated=_stated(record, reward, components),
        components=components,
        advantage=_number(find(record, "advantage")),
        prompt_ids=_integers(find(record, "prompt_ids")),
        response_ids=ids,
        train_ids=_integers(find(record, "train_ids")),
        loss_mask=_integers(find(record, "loss_mask")),
        roles=_strings(find(record, "roles")),
        logp_rollout=_numbers(find(record, "logp_rollout")),
        logp_train=_numbers(find(record, "logp_train")),
        logp_ref=_numbers(find(record, "logp_ref")),
        gold=_name(find(record, "gold")),
        parsed=_name(parsed),
        has_parsed=_has(record, "parsed"),
        version=_whole(find(record, "version")),
        turns=_turns(find(record, "turns")),
    )


def step_of(record: Mapping[str, Any], step: int | None = None) -> int | None:
    """The step that the record states, else `step`."""
    own = _whole(find(record, "step"))
    return own if own is not None else step


def text_of(value: Any, depth: int = 0) -> str | None:
    """A prompt or a response as text; the messages of a conversation stand below each other."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        inner = value.get("content", value.get("text"))
        return text_of(inner, depth + 1) if inner is not None else json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, list) and depth < MAX_DEPTH:
        return "\n".join(part for item in value if (part := text_of(item, depth + 1)))
    return str(value)


def _has(record: Mapping[str, Any], name: str) -> bool:
    return bool(_spellings(tuple(record))[name])


def _single(value: Any) -> Any:
    """The value in a list of one value that is no number: NeMo RL writes batches of one."""
    return (
        value[0]
        if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], int | float | Mapping)
        else value
    )


def _present(value: float) -> float | None:
    return value if value == value else None


def _number(value: Any) -> float:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool | int | float | str):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return math.nan
    return math.nan


def _score(value: Any) -> float | None:
    return None if value is None else _number(value)


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if math.isfinite(number) and number == int(number) else None


def _name(value: Any) -> str | None:
    """An identifier or a short answer as text. An object, as of an error, is none."""
    return None if value is None or isinstance(value, Mapping) else text_of(value)


def _integers(value: Any) -> list[int] | None:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return None
    try:
        return [int(x) for x in value]
    except (TypeError, ValueError, OverflowError):
        return None


def _strings(value: Any) -> list[str] | None:
    return [str(x) for x in value] if isinstance(value, list) and value else None


def _numbers(value: Any) -> NumberList | float | None:
    """Log-probabilities: a list, or one sum. A value of the list that is missing is NaN."""
    if isinstance(value, list):
        return [math.nan if x is None else _number(x) for x in value] or None
    number = _number(value)
    return None if math.isnan(number) else number


def _ending(record: Mapping[str, Any]) -> Ending:
    cut, reason, words = find(record, "cut"), find(record, "finish_reason"), sample_words()
    if isinstance(cut, bool):
        return "cut" if cut else "ended"
    word = reason.get("type") if isinstance(reason, Mapping) else reason
    word = str(word).lower().rpartition(".")[2] if word is not None else ""
    return "cut" if word in words.cut else "ended" if word in words.ended else ""


def _tokens(record: Mapping[str, Any], ids: list[int] | None) -> float:
    """The number of tokens of the response. A mask or log-probabilities of the response alone count them, too."""
    stated = _number(find(record, "n_tokens"))
    return stated if stated == stated or ids is None else float(len(ids))


def _stated(record: Mapping[str, Any], reward: Any, components: Mapping[str, float | None]) -> Stated:
    if reward is not None and not math.isnan(_number(reward)):
        return "number"
    if any(score is not None and score == score for score in components.values()):
        return "number"  # of several functions, whose weights the record lacks
    if isinstance(reward, float | str):
        return "nan"
    return "none" if components or _has(record, "reward") else ""


def _turns(value: Any) -> tuple[Turn, ...]:
    """The tokens of each turn of a trajectory; none where a turn lacks them."""
    if not isinstance(value, list):
        return ()
    made = []
    for turn in value:
        tokens = turn.get("tokens", turn) if isinstance(turn, Mapping) else None
        if not isinstance(tokens, Mapping):
            return ()
        prompt, sampled = _integers(find(tokens, "prompt_ids")), _integers(find(tokens, "response_ids"))
        if prompt is None or sampled is None:
            return ()
        made.append((prompt, sampled))
    return tuple(made)
