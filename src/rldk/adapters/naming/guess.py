"""Which metrics columns with names of the user's own most likely are."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping

from rldk.core.model import Run
from rldk.core.vocabulary import vocabulary

_LOOKED_AT = 300  # columns compared letter by letter, a millisecond each
_CLOSE = 0.82  # of difflib: "avg_reward" and "mean_reward" are closer, "accuracy" and "action_entropy" are not
_FILLER = frozenset(
    {"my", "avg", "average", "mean", "the", "train", "training", "current", "cur", "total", "value", "val"}
)
_NOT_METRICS = frozenset({"step", "epoch", "time", "timestamp", "wall_time", "seed", "index", "iteration"})


def proposed_map(keys: Iterable[str], *, close: bool = True) -> dict[str, str]:
    """{column: canonical metric} for the columns that say one in other words ("avg_reward"), no metric twice.

    `close`: also those that merely look like one ("los"): good enough to propose, never to judge a run by."""
    words = vocabulary()
    spellings = {name: name for name in words.names()}
    spellings |= {other: m.name for m in words.metrics.values() for other in m.also_known_as}
    forms = {" ".join(_words(spelling)): name for spelling, name in spellings.items()}
    forms = {" ".join(_tokens(spelling)): name for spelling, name in reversed(spellings.items())} | forms
    made: dict[str, str] = {}
    for tried, key in enumerate(sorted(keys, key=lambda k: (len(k), k))):
        if key.lower() in _NOT_METRICS or len(key) > 100:
            continue
        tokens = _tokens(key)
        name = forms.get(" ".join(_words(key))) or forms.get(" ".join(tokens))
        if name is None and close and tried < _LOOKED_AT:
            name = _nearest(tokens, forms)
        if name and name not in made.values() and name not in _NOT_METRICS:
            made[key] = name
    return made


def _words(name: str) -> list[str]:
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [w for w in re.split(r"[^a-z0-9]+", split.lower()) if w]


def _tokens(name: str) -> list[str]:
    """The words of a name without those that say little."""
    words = _words(name)
    return [w for w in words if w not in _FILLER] or words


def _nearest(tokens: list[str], forms: Mapping[str, str]) -> str | None:
    close = difflib.get_close_matches(" ".join(tokens), list(forms), n=1, cutoff=_CLOSE)
    return forms[close[0]] if close else None


def field_map_hint(run: Run) -> str:
    """What to tell a user whose columns were not recognised: a ready `--field-map`, or how to write one."""
    guess = proposed_map(run.metrics.columns)
    if guess:
        return f"if these are right, say so: --field-map '{json.dumps(guess)}'"
    shown = ", ".join(list(run.metrics.columns)[:8])
    return f'name the columns yourself, for example --field-map \'{{"COLUMN": "reward_mean"}}\'; columns are {shown}'
