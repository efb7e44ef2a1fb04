"""Which columns are the scores of several scorers of one ensemble."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rldk.core.text import later
from rldk.errors import UnknownName, UsageError

# A number at the end of the name, as in score_0 .. score_4, reward1 .. reward5, reward_model_1, rm.0
_NUMBERED = later(
    r"(score|scores|reward|rewards|rm|rm_score|rm_reward|reward_score|reward_model|reward_model_score|scorer"
    r"|proxy_score|proxy_reward|head|ensemble|ensemble_score|ensemble_reward)([_.\-/]?)(\d{1,3})",
    re.IGNORECASE,
)
# words that say model; of the others two columns are too often the scores of two answers
_MODELS = ("rm", "rm_score", "rm_reward", "reward_model", "reward_model_score", "scorer", "ensemble_score", "ensemble")
_ANSWERS = later(r"(response|completion|answer|output|chosen|generation)[_.\-/]?\d{1,3}", re.IGNORECASE)
# columns whose cells are lists of one score a scorer
LISTS = ("ensemble_scores", "ensemble_rewards", "individual_scores", "individual_rewards", "member_scores", "rm_scores")
FEWEST = 3


def scorer_columns(names: Iterable[str], named: str | None = None) -> tuple[str, ...]:
    """The columns of the scorers, in order; () where there are none. `named`: the columns that the user named, with
    commas between them.

    Columns that only differ in a number that counts up from 0 or 1 are one ensemble, from three on, and two where their
    name says model. In a table with several answers in a row (`response_1`, `response_2`) they are not: each is then
    the score of another answer. Raises `UnknownName` and `UsageError`."""
    known = list(dict.fromkeys(names))
    if named is not None:
        return _named(known, named)
    if any(_ANSWERS.fullmatch(name) for name in known):
        return ()
    families: dict[tuple[str, str], dict[int, str]] = {}
    for name in known:
        found = _NUMBERED.fullmatch(name)
        if found is not None:
            families.setdefault((found[1], found[2]), {})[int(found[3])] = name
    whole = [(stem, f) for (stem, _), f in families.items() if _counts_up(f, stem.lower())]
    if not whole:
        return ()
    return tuple(name for _, name in sorted(max(whole, key=lambda pair: len(pair[1]))[1].items()))


def list_column(names: Iterable[str]) -> str | None:
    """The column whose cells may hold the scores of all scorers."""
    known = set(names)
    return next((name for name in LISTS if name in known), None)


def _named(known: list[str], named: str) -> tuple[str, ...]:
    asked = tuple(dict.fromkeys(word.strip() for word in named.split(",") if word.strip()))
    for name in asked:
        if name not in known:
            raise UnknownName("column", name, known)
    if len(asked) < 2:
        raise UsageError("an ensemble has two scorers or more", hint="name their columns with commas between them")
    return asked


def _counts_up(family: dict[int, str], stem: str) -> bool:
    first = min(family)
    fewest = 2 if stem in _MODELS else FEWEST
    return len(family) >= fewest and first in (0, 1) and sorted(family) == list(range(first, first + len(family)))
