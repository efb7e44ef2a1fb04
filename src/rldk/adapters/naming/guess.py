"""Guesses the metrics behind columns with the user's own names."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from functools import cache

from rldk.adapters.naming.first_rows import Opening
from rldk.core.vocabulary import vocabulary

MAX_KEY = 100  # no metric has a longer name
_LOOKED_AT = 300  # columns compared letter by letter, a millisecond each
_CLOSE = 0.8  # of difflib, word by word: "los" and "loss" are closer, "mse" and "mean" are not
_FILLER = frozenset(
    {"my", "avg", "average", "mean", "the", "train", "training", "current", "cur", "total", "value", "val"}
)
_NOT_METRICS = frozenset({"step", "epoch", "time", "timestamp", "wall_time", "seed", "index", "iteration"})


def proposed_map(opening: Opening, *, close: bool = True) -> dict[str, str]:
    """A map {column: canonical metric} for columns that name a metric in other words ("my_reward"). Each metric occurs
    once, and the values of the first rows must be usual for it.

    `close`: also take names that only look like a metric ("los"), or mean one only beside others ("score"). Such names
    are good enough for a proposal, but not for judging a run."""
    words = vocabulary()
    forms = _forms(close)
    made: dict[str, str] = {}
    for tried, key in enumerate(sorted(opening.cover, key=lambda k: (len(k), k))):
        if key.lower() in _NOT_METRICS or len(key) > MAX_KEY:
            continue
        name = forms.get(" ".join(_words(key))) or forms.get(" ".join(_tokens(key)))
        if name is None and close and tried < _LOOKED_AT:
            name = _nearest(_tokens(key), forms)
        if name is None or name in made.values() or name in _NOT_METRICS:
            continue
        span = opening.span(key)
        if span is None or words.fits(name, span.low, span.high, whole=span.whole):
            made[key] = name
    return made


@cache
def _forms(close: bool) -> dict[str, str]:
    """A map from the words of a name to its metric. A name as it stands wins over a name without its filler words."""
    spellings: dict[str, str] = {}
    for name, metric in vocabulary().metrics.items():
        names = (name, *metric.also_known_as, *(metric.in_company if close else ()))
        spellings |= {spelled: name for spelled in names if spelled not in spellings}
    forms = {" ".join(_tokens(spelled)): name for spelled, name in reversed(spellings.items())}
    forms |= {" ".join(_words(spelled)): name for spelled, name in spellings.items()}
    lonely = {word for metric in vocabulary().metrics.values() for word in metric.in_company}
    return forms if close else {words: name for words, name in forms.items() if words not in lonely}


def _words(name: str) -> list[str]:
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [w for w in re.split(r"[^a-z0-9]+", split.lower()) if w]


def _tokens(name: str) -> list[str]:
    """The words of a name, without filler words."""
    words = _words(name)
    return [w for w in words if w not in _FILLER] or words


def _nearest(tokens: list[str], forms: Mapping[str, str]) -> str | None:
    """The metric whose name has equally many words, each close to one of these."""
    near = difflib.get_close_matches(" ".join(tokens), list(forms), n=3, cutoff=_CLOSE)
    return next((forms[name] for name in near if _each_close(tokens, name.split())), None)


def _each_close(tokens: list[str], others: list[str]) -> bool:
    pairs = zip(tokens, others, strict=False)
    return len(tokens) == len(others) and all(difflib.SequenceMatcher(None, a, b).ratio() >= _CLOSE for a, b in pairs)


def field_map_hint(opening: Opening) -> str:
    """The hint for a user whose columns rldk does not know: a ready `--field-map`, or how to write one."""
    guess = proposed_map(opening)
    if guess:
        return f"if these guesses are right, pass --field-map '{json.dumps(guess)}'"
    shown = ", ".join(list(opening.cover)[:8])
    return f'name the columns yourself, for example --field-map \'{{"COLUMN": "reward_mean"}}\'; columns are {shown}'
