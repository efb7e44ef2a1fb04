"""Is what a rule complained of over? Its metric has to be back near where it was before, not just quiet.

A rule falls silent once the window it looks at lies wholly behind the change. So where the metric stood is noted when
an episode begins, how far it went when the rule has fallen silent, and the episode is over once most of the way back is
done. Where nothing is known of the time before, or the metric itself did not move, silence is the end of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from rldk.core.stats.robust import MAD_TO_SD, middle
from rldk.core.vocabulary import vocabulary

KEPT = 128  # values of a metric that can be looked back on
LAGS = (5, 40, 80)  # values before the first word at which the time before may end: rules speak up to 60 rows late
LEVEL, NEAR = 20, 3  # values that a level before, and the furthest one since, are medians of
FIRST = 8  # such medians that show how a rule began to fire
NOW, STRAY = 10, 1  # newest values that must be back, and how many of them need not
CLEAR = 2.0  # robust standard deviations that are a move: medians of three of a hundred values go 1.7 by chance
SHARE = 1 / 3  # of the way that may be left (ours): most of it is regained

Tail = Callable[[str | None], Sequence[float]]  # the newest values of a metric, by default of the one that is watched


class Level(Struct, frozen=True):
    """Where a metric stood, and its spread there."""

    value: float
    spread: float


class Way(Struct, frozen=True):
    """Which way the metric went (1 up, -1 down), and what it must be back behind."""

    sign: float
    bound: float

    def is_back(self, values: Sequence[float]) -> bool:
        """Whether the newest of the values are, all but one: noise around another level crosses it, too."""
        return sum(self.sign * (x - self.bound) > 0.0 for x in values[-NOW:]) <= STRAY


def nothing(metric: str | None) -> Sequence[float]:  # noqa: ARG001 - as of `Tail`
    """The values where none are kept."""
    return ()


def levels_before(values: Sequence[float], rows: int) -> tuple[Level, ...]:
    """Where the metric stood before a rule spoke that needs so many rows for it; () where too few values are known."""
    ends = [len(values) - lag - rows for lag in LAGS]
    return tuple(_level(values[end - LEVEL : end]) for end in ends if end >= LEVEL)


def worse_side(metric: str) -> int:
    """Which way the metric gets worse: 1 up, -1 down, 0 where either may be."""
    words = vocabulary()
    name = words.canonical(metric)
    return 0 if name is None else {"up": -1, "down": 1}.get(words.metric(name).direction, 0)


def way_back(levels: Sequence[Level], values: Sequence[float], side: int = 0) -> Way | None:
    """How the metric had moved away, of the values on which a rule fired; None where it had not, clearly.

    Of several levels before, the one counts that it had gone furthest from. Where one side is better, a move to it
    counts only where the rule began to fire, and off the newest of the levels: what is learnt later, or was learnt
    before, is nothing to come back from."""
    near = [_median(values[i : i + NEAR]) for i in range(max(1, len(values) - NEAR + 1))] if values else []
    clear = [pair for level in levels for pair in _moves(near, level)]
    worse = [(move, level) for move, level in clear if move * side > 0.0]
    begun = _moves(near[:FIRST], levels[0]) if levels else []
    clear = worse or (begun if side else clear)
    if not clear:
        return None
    move, level = max(clear, key=lambda pair: abs(pair[0]))
    bound = level.value + SHARE * move
    if move > 0.0 < level.value:  # what grew a thousandfold is not back when it is half as large as at its worst
        bound = min(bound, level.value * ((level.value + move) / level.value) ** SHARE)
    return Way(1.0 if move > 0 else -1.0, bound)


def _moves(near: Sequence[float], level: Level) -> list[tuple[float, Level]]:
    """The furthest moves off a level to either side, where they are clear."""
    ends = {min(near), max(near)} if near else set()
    return [(x - level.value, level) for x in sorted(ends) if abs(x - level.value) > CLEAR * level.spread]


def _level(values: Sequence[float]) -> Level:
    center = _median(values)
    return Level(center, MAD_TO_SD * _median([abs(x - center) for x in values]))


def _median(values: Sequence[float]) -> float:
    return middle(sorted(values))
