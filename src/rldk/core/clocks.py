"""Finds the column of a log that counts its steps: its name says so, and its whole numbers rise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

MAX_NAME = 200
_FALLS = 0.05  # of the steps between rows that may go back: a run that was restarted a few times
_RISES = 0.9  # of them that rise where no step is written twice
_KINDS = (
    ("step", "steps"),
    ("timestep", "timesteps", "frame", "frames", "interaction", "interactions", "interacts", "ts"),
    (
        "iteration", "iterations", "iter", "iters", "itr", "it", "update", "updates", "nupdates", "rollout", "rollouts",
        "batch", "batches", "generation", "generations", "gen", "round", "rounds", "cycle", "cycles",
    ),
    ("episode", "episodes", "ep", "eps", "games", "trajectory", "trajectories"),
    ("epoch", "epochs"),
    ("t",),
)  # fmt: skip
_RANKS = {word: rank for rank, words in enumerate(_KINDS) for word in words}
# Words that only say which steps are meant, and no other quantity.
_WHICH = frozenset(
    "total num nb n no number global current cur train training trainer env envs environment agent sampled trained so "
    "far sofar of the optimizer optimization opt policy learner learning gradient grad count counter idx index id "
    "serial elapsed completed done played seen consumed outer inner sim simulation lifetime all overall cumulative "
    "finished processed ppo collected".split()
)
_TOTAL = frozenset({"total", "global", "cumulative", "lifetime", "overall", "far", "sofar", "all"})
_JOINED = (("time steps", "timesteps"), ("time step", "timestep"))
_PLANNED = frozenset({"total", "max", "num", "planned", "target", "train"})


def clock_rank(name: str) -> tuple[int, int] | None:
    """How well a name says that its column counts steps; smaller is better. None when it says something else.

    Steps come before interactions with the environment, updates, episodes and epochs. Of two equal names, the one that
    counts over the whole run comes first. Only the part behind the last "/" counts."""
    words = _words(name)
    ranks = [_RANKS[word] for word in words if word in _RANKS]
    if not ranks or not all(word in _RANKS or word in _WHICH for word in words):
        return None
    group = name.lower().replace("/", " ").split()
    return ranks[-1], 0 if _TOTAL & {*words, *group} else 1


def _words(name: str) -> list[str]:
    """The words of a name behind its last "/". Empty for a name that is too long."""
    if len(name) > MAX_NAME:
        return []
    last = re.split(r"[/|:]", name.split("/max_", maxsplit=1)[0])[-1]
    plain = " ".join(re.findall(r"[^\W\d_]+", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", last).lower()))
    for apart, joined in _JOINED:
        plain = plain.replace(apart, joined)
    return plain.split()


def is_plan(name: str, clock: str) -> bool:
    """Whether the name is that of the number of steps a run will make, in the unit of `clock`.

    This assumes that the column always says the same: `total_steps` beside `current_steps`."""
    words = _words(name)
    rank = clock_rank(clock)
    kinds = [_RANKS[word] for word in words if word in _RANKS]
    planned = bool(_PLANNED & set(words)) and all(word in _RANKS or word in _PLANNED for word in words)
    return planned and rank is not None and kinds == [rank[0]]


def choose_clock(columns: Mapping[str, Sequence[int | None]], rows: int) -> str | None:
    """The column that counts the steps of these rows, or None.

    `columns`: whole numbers, None where a row has none. A column that rises on every row is better than one that
    repeats. Then the name decides (`clock_rank`), then the order of the columns."""
    scored = []
    for place, (name, values) in enumerate(columns.items()):
        rank = clock_rank(name)
        rising = _rising(values, rows) if rank is not None else 0
        if rank is not None and rising:
            scored.append((-rising, rank, place, name))
    return min(scored)[3] if scored else None


def _rising(values: Sequence[int | None], rows: int) -> int:
    """2 where the values rise from row to row, 1 where they also repeat, 0 where they do not count."""
    known = [value for value in values if value is not None]
    if not known or 2 * len(known) < rows or min(known) < 0:
        return 0
    gaps = [b - a for a, b in pairwise(known)]
    rises, falls = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
    if falls > _FALLS * len(gaps) or (gaps and not rises):
        return 0
    return 2 if rises >= _RISES * len(gaps) else 1
