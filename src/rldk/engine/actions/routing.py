"""Decides which actions an alert triggers, and remembers what has been sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from rldk.core.model import SEVERITIES, Alert
from rldk.rules.files.action import Action

LIMITED = frozenset({"shell", "http"})  # these reach people and other machines, so that their rate is limited
RETOLD = frozenset({"warn", "http"})  # these also tell when an incident is over


class _Open(Struct):
    first_step: int | None
    rank: int
    told: set[int] = field(default_factory=set)


class Due(Struct, frozen=True):
    """An action that an alert triggers. `limited`: its rule has used its share, so the action must wait for a later
    alert."""

    index: int
    action: Action
    limited: bool = False


class Ledger:
    """Triggers actions once for every incident: again only when its severity rises, and for messages when it is over.

    `interval_s`: the least time between two `LIMITED` actions of one rule, whatever metrics it watches. A severity
    above the last one sent need not wait. Nor does the end of an incident whose begin was sent."""

    def __init__(self, *, interval_s: float, clock: Callable[[], float]) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str, str], _Open] = {}
        self._last: dict[tuple[str, int], tuple[float, int]] = {}

    def due(self, alert: Alert, actions: Sequence[tuple[int, Action]]) -> list[Due]:
        """What to do now, in the order of `actions`, each with its index in the rule. Any thread may call this."""
        with self._lock:
            return self._due(alert, actions)

    def _due(self, alert: Alert, actions: Sequence[tuple[int, Action]]) -> list[Due]:
        key = (alert.run, alert.rule, alert.finding.metric)
        known = self._open.get(key)
        if alert.event == "recovered":
            told = self._open.pop(key).told if known else set()
            return [Due(i, action) for i, action in actions if i in told and action.kind in RETOLD]
        rank = SEVERITIES.index(alert.severity)
        if known is None or (alert.event == "begin" and known.first_step != alert.finding.first_step):
            known = self._open[key] = _Open(alert.finding.first_step, rank)
        elif rank <= known.rank:
            return []
        known.rank = rank
        due = [Due(i, action, self._must_wait(alert.rule, i, action, rank)) for i, action in actions]
        known.told.update(one.index for one in due if not one.limited)
        return due

    def _must_wait(self, rule: str, index: int, action: Action, rank: int) -> bool:
        if action.kind not in LIMITED:
            return False
        now, last = self._clock(), self._last.get((rule, index))
        if last is not None and now - last[0] < self._interval_s and rank <= last[1]:
            return True
        self._last[rule, index] = (now, rank)
        return False
