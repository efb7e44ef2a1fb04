"""How a run stands: which rule families have fired, how long ago, and how many of the newest rows were in trouble."""

from __future__ import annotations

from collections.abc import Callable

from rldk.core.table import Phase
from rldk.engine.episodes import Episode
from rldk.rules.rule import Rule
from rldk.rules.subject import BY_ROW

WINDOW = 100  # rows that the stability looks back on; the same as the default window of the forensics
# after this many silent rows the finding of a family counts half (our choice: longer than any labelled run)
HALF_LIFE = 500
Heard = dict[tuple[str, Phase], int]  # family and phase -> the last row of that phase on which it fired


class Standing:
    """Keeps the episodes that a run's state depends on. Every episode is added as it begins.

    The cost of a question grows with the number of episodes that may still change or that reach into the window. Older
    episodes are added to the totals once and dropped."""

    __slots__ = ("_critical", "_current", "_warned")

    def __init__(self) -> None:
        self._current: list[tuple[Rule, Episode]] = []
        self._warned: Heard = {}
        self._critical: Heard = {}

    def add(self, rule: Rule, episode: Episode) -> None:
        if not rule.note:
            self._current.append((rule, episode))

    def count_families(self, rows_of: Callable[[Phase], int]) -> tuple[float, float]:
        """Two weighted counts of rule families: those that have warned so far, and those that have found the
        impossible.

        A family counts half after `HALF_LIFE` rows of silence, and a quarter after twice as many. An episode that has
        not recovered is not silent. A critical finding that rests on a threshold or a statistic alone counts as a
        warning, as it does in reports."""
        for rule, episode in self._current:
            if episode.severity != "info":
                row = _heard_until(episode, rows_of(rule.phase))
                _note(self._warned, rule, row)
                if episode.severity == "critical" and rule.tier in (0, 3):
                    _note(self._critical, rule, row)
        return _faded(self._warned, rows_of), _faded(self._critical, rows_of)

    def count_troubled(self, rows: int) -> int:
        """How many of the newest `WINDOW` training rows lie between the first and last row of a warning or critical
        episode. `rows` is the number of training rows so far."""
        start, mask = rows - WINDOW + 1, 0
        for rule, episode in self._current:
            if (
                rule.phase == "train"
                and rule.subject in BY_ROW
                and episode.severity != "info"
                and episode.last_row >= start
            ):
                first = max(episode.first_row, start)
                mask |= ((1 << (episode.last_row - first + 1)) - 1) << (first - start)
        return mask.bit_count()

    def drop_settled(self, rows: int) -> None:
        """Drops the episodes that are over, have been counted, and have left the window."""
        start = rows - WINDOW + 1
        self._current = [(r, e) for r, e in self._current if not e.recovered or e.last_row >= start]


def _heard_until(episode: Episode, rows: int) -> int:
    """The row up to which an episode counts as active."""
    if not episode.ended:
        return episode.last_row
    return episode.over_row if episode.recovered else rows


def _note(heard: Heard, rule: Rule, row: int) -> None:
    key = (rule.family, rule.phase)
    if row > heard.get(key, 0):
        heard[key] = row


def _faded(heard: Heard, rows_of: Callable[[Phase], int]) -> float:
    families: dict[str, float] = {}
    for (family, phase), last in heard.items():
        weight = 0.5 ** (max(0, rows_of(phase) - last) / HALF_LIFE)  # samples may run ahead of the rows
        if weight > families.get(family, 0.0):
            families[family] = weight
    return sum(families.values(), 0.0)
