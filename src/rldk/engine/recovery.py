"""Is the trouble that a rule reported over? Its metric must be back near its old level; silence is not enough.

A rule falls silent once its window lies wholly behind the change. So the level of the metric is noted when an episode
begins, and the distance it went when the rule has fallen silent. The episode is over once most of the way back is done.
A rule that knows the earlier level says it itself. Where no earlier level is known, or where the metric itself did not
move, silence ends the episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from rldk.core.stats.robust import MAD_TO_SD, middle
from rldk.core.vocabulary import vocabulary

KEPT = 128  # past values of a metric that are kept
LAGS = (5, 40, 80)  # values before the rule fired at which the time before may end: rules fire up to 60 rows late
LEVEL, NEAR = 20, 3  # a level before is a median of 20 values, and the furthest level since is a median of 3
FIRST = 8  # such medians that show how a rule began to fire
NOW, STRAY = 10, 1  # newest values that must be back, and how many of them need not be
CLEAR = 2.0  # robust standard deviations that make a move: medians of three among a hundred values reach 1.7 by chance
SHARE = 1 / 3  # of the way that may be left (our choice): most of it is regained

# gives the newest values of a metric, by default of the rule's own metric
Tail = Callable[[str | None], Sequence[float]]


class Level(Struct, frozen=True):
    """The level of a metric, and its spread there."""

    value: float
    spread: float


class Way(Struct, frozen=True):
    """The direction in which the metric went (1 up, -1 down), and the value it must return behind."""

    sign: float
    bound: float

    def is_back(self, values: Sequence[float]) -> bool:
        """Whether all but one of the newest values are back. Noise around another level crosses the limit, too."""
        return sum(self.sign * (x - self.bound) > 0.0 for x in values[-NOW:]) <= STRAY


def nothing(metric: str | None) -> Sequence[float]:  # noqa: ARG001 - as of `Tail`
    """Returns no values, for a metric whose past is not kept."""
    return ()


def levels_before(values: Sequence[float], rows: int) -> tuple[Level, ...]:
    """The levels of the metric before a rule fired that needs so many rows. It is () where too few values are known."""
    ends = [len(values) - lag - rows for lag in LAGS]
    return tuple(_level(values[end - LEVEL : end]) for end in ends if end >= LEVEL)


def worse_side(metric: str) -> int:
    """The direction in which the metric gets worse: 1 up, -1 down, 0 where either may be worse."""
    words = vocabulary()
    name = words.canonical(metric)
    return 0 if name is None else {"up": -1, "down": 1}.get(words.metric(name).direction, 0)


def way_back(levels: Sequence[Level], values: Sequence[float], side: int = 0) -> Way | None:
    """How the metric had moved away, judged by the values on which a rule fired. None where it had not clearly moved.

    Of several earlier levels, the one that the metric went furthest from counts. Where one direction is better, a move
    in that direction counts only where the rule began to fire, and only from the newest of the levels: what the run
    learns before or after is nothing to come back from."""
    near = [_median(values[i : i + NEAR]) for i in range(max(1, len(values) - NEAR + 1))] if values else []
    clear = [pair for level in levels for pair in _moves(near, level)]
    worse = [(move, level) for move, level in clear if move * side > 0.0]
    begun = _moves(near[:FIRST], levels[0]) if levels else []
    clear = worse or (begun if side else clear)
    if not clear:
        return None
    move, level = max(clear, key=lambda pair: abs(pair[0]))
    bound = level.value + SHARE * move
    # a metric that grew a thousandfold is not back when it is half as large as at its worst
    if move > 0.0 < level.value:
        bound = min(bound, level.value * ((level.value + move) / level.value) ** SHARE)
    return Way(1.0 if move > 0 else -1.0, bound)


def _moves(near: Sequence[float], level: Level) -> list[tuple[float, Level]]:
    """The furthest moves from a level to either side, where they are clear."""
    ends = {min(near), max(near)} if near else set()
    return [(x - level.value, level) for x in sorted(ends) if abs(x - level.value) > CLEAR * level.spread]


def _level(values: Sequence[float]) -> Level:
    center = _median(values)
    return Level(center, MAD_TO_SD * _median([abs(x - center) for x in values]))


def _median(values: Sequence[float]) -> float:
    return middle(sorted(values))
