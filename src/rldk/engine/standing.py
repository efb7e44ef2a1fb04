"""How a run stands: which families have spoken up so far, and how many of the newest rows were in trouble."""

from __future__ import annotations

from collections.abc import Mapping

from rldk.core.model import SEVERITIES
from rldk.engine.episodes import Episode
from rldk.rules.rule import Rule

WINDOW = 100  # rows that the stability speaks of; as the default window of the forensics
WARN, CRITICAL = SEVERITIES.index("warn"), SEVERITIES.index("critical")


class Standing:
    """Told of every episode as it begins. A look costs as much as there are episodes that may still change, or that
    reach into the window; what lies further back is settled once."""

    __slots__ = ("_current", "_worst")

    def __init__(self) -> None:
        self._current: list[tuple[Rule, Episode]] = []
        self._worst: dict[str, int] = {}

    def began(self, rule: Rule, episode: Episode) -> None:
        if not rule.note:
            self._current.append((rule, episode))

    def worst(self) -> Mapping[str, int]:
        """Family -> place in `SEVERITIES` of the worst that it has said so far.

        A critical that rests on a threshold or a statistic alone counts as a warning, as in reports."""
        for rule, episode in self._current:
            rank = SEVERITIES.index(episode.severity)
            if rank == CRITICAL and rule.tier in (1, 2):
                rank = WARN
            if rank > self._worst.get(rule.family, -1):
                self._worst[rule.family] = rank
        return self._worst

    def troubled(self, rows: int) -> int:
        """How many of the newest `WINDOW` of so many training rows lie between the first and the last row on which a
        warning or a critical fired."""
        start, mask = rows - WINDOW + 1, 0
        for rule, episode in self._current:
            if rule.phase == "train" and SEVERITIES.index(episode.severity) >= WARN and episode.last_row >= start:
                first = max(episode.first_row, start)
                mask |= ((1 << (episode.last_row - first + 1)) - 1) << (first - start)
        return mask.bit_count()

    def settle(self, rows: int) -> None:
        """Lets go of episodes that are over and have left the window."""
        start = rows - WINDOW + 1
        self._current = [(r, e) for r, e in self._current if not e.recovered or e.last_row >= start]
