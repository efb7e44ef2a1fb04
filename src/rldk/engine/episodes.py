"""Decides when a finding begins and ends: persistence, the step range, quiet rows, recovery. One episode is one
finding.

An episode ends when its rule has been quiet for long enough. It has recovered when its metric is back at its level,
too."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from rldk.core.model import SEVERITIES, Severity
from rldk.engine.recovery import NEAR, Level, Tail, Way, levels_before, nothing, way_back, worse_side
from rldk.rules.rule import Rule, Signal

# of one rule on one metric. The last one then never ends, so that a flapping metric cannot fill the memory
MAX_EPISODES = 500
HAPPENED_ROWS = 10  # quiet rows after which what "has not happened so far" has happened (our own choice)


def severity_of(rule: Rule, signal: Signal) -> Severity:
    """The signal's own severity, but never above the severity of the rule."""
    return min(rule.severity, signal.severity or rule.severity, key=SEVERITIES.index)


def severity_rank(rule: Rule, signal: Signal) -> int:
    """How grave the signal is: the position of its severity in `SEVERITIES`."""
    return SEVERITIES.index(severity_of(rule, signal))


class Episode(Struct):
    """A range of rows on which a rule kept firing. Row numbers count the rows of the rule's phase.

    `signal` is the one from the row on which the rule first fired. `severity` may have risen since, at `worse_step`."""

    signal: Signal
    onset: int
    first_step: int
    first_row: int
    last_step: int
    last_row: int
    rows: int
    severity: Severity
    worse_step: int | None = None
    worse: Signal | None = None
    before: tuple[Level, ...] = ()  # the levels of the metric before the episode
    away: Way | None = None  # set once the episode has ended: how far the metric must come back
    ended: bool = False
    recovered: bool = False
    over_row: int = 0  # set once it has recovered: the last row on which it was certainly not over
    over_step: int | None = None  # the step of that row

    @property
    def gravest(self) -> Signal:
        """The signal that made the severity what it is."""
        return self.worse or self.signal

    @property
    def back_at(self) -> int | None:
        """The step at which the metric was seen to be back at its level. None where it is not, or where only the
        silence of the rule ended the episode."""
        return self.over_step if self.recovered and self.away is not None else None


class Episodes:
    """The episodes of one rule on one metric. They take the outcome of one row at a time."""

    __slots__ = ("_away", "_quiet", "_recent", "_rule", "_worse", "done", "idle", "metric", "open")

    def __init__(self, rule: Rule, metric: str = "") -> None:
        self._rule = rule
        self.metric = metric
        self._recent: deque[int | None] = deque(maxlen=max(rule.rows, rule.within))
        self._quiet = 0
        self._worse = 0  # rows in a row that were graver than the severity of the episode
        self._away: list[Episode] = []  # episodes that have ended while the metric is not back
        self.open: Episode | None = None
        self.done: list[Episode] = []
        self.idle = True  # one more quiet row would change nothing

    def look(self, step: int, row: int, signal: Signal | None, tail: Tail = nothing) -> bool:
        """Takes the outcome of one row. Returns True when a new episode has just begun.

        `tail` gives the newest values of the metric. It is called where an episode begins or may be over."""
        if signal is None:
            self._rest(step, row, tail)
            began = False
        else:
            began = self._fire(step, row, signal, tail)
        self.idle = self.open is None and not self._away and not any(s is not None for s in self._recent)
        return began

    def go_on(self, steps: Sequence[int], last_row: int, severity: int) -> bool:
        """Adds rows that all fire to the open episode, if there is one and it is at least as grave as this rank of a
        severity. Then nothing else of the signals matters. Returns whether it did."""
        episode = self.open
        if episode is None or severity > SEVERITIES.index(episode.severity):
            return False
        self._recent.extend(steps)
        self._quiet = self._worse = 0
        episode.last_step, episode.last_row = steps[-1], last_row
        episode.rows += len(steps)
        return True

    def _rest(self, step: int, row: int, tail: Tail) -> None:
        self._recent.append(None)
        episode = self.open
        for e in self._away:
            e.recovered = e.away is None or e.away.is_back(tail(e.signal.metric))
            e.over_row, e.over_step = row, step
        if self._away:
            self._away = [e for e in self._away if not e.recovered]
        if episode is None:
            return
        self._quiet += 1
        away = abs(step - episode.last_step)  # abs, because a restarted run counts from a smaller step
        rested = self._quiet >= self._rule.cooldown and away >= self._rule.cooldown_steps
        if rested and len(self.done) < MAX_EPISODES - 1:
            self._close(episode, row, tail)

    def _fire(self, step: int, row: int, signal: Signal, tail: Tail) -> bool:
        self._recent.append(step)
        self._quiet = 0
        episode = self.open or self._again(signal)
        if episode is not None:
            episode.last_step, episode.last_row = step, row
            episode.rows += 1
            self._grow(episode, step, signal)
            return False
        hits = [s for s in self._recent if s is not None]
        if len(hits) < self._rule.rows:
            return False
        known = self._away[-1].before if self._away else ()  # the levels before the oldest episode that is not over
        self.open = Episode(
            signal=signal,
            onset=hits[0],
            first_step=step,
            first_row=row,
            last_step=step,
            last_row=row,
            rows=len(hits),
            severity=severity_of(self._rule, signal),
            before=known or levels_before(tail(signal.metric), max(self._rule.rows, self._rule.within)),
        )
        return True

    def _again(self, signal: Signal) -> Episode | None:
        """Reopens the informational episode that is not over and goes on. A louder signal starts a new episode."""
        last = self._away[-1] if self._away else None
        if last is None or last is not self.done[-1] or not last.severity == severity_of(self._rule, signal) == "info":
            return None
        self._away.pop()
        self.done.pop()
        last.ended, last.away, last.over_step, self.open = False, None, None, last
        return last

    def severity(self, episode: Episode) -> Severity:
        """How grave the episode is now. What has not happened so far (`Rule.provisional`) may have happened by now,
        long before the cooldown is over that keeps an alert from being repeated: then it is information."""
        happened = self._rule.provisional and episode is self.open and self._quiet >= HAPPENED_ROWS
        return "info" if happened else episode.severity

    @property
    def began(self) -> bool:
        return bool(self.done or self.open)

    def all(self) -> list[Episode]:
        return [*self.done, self.open] if self.open else list(self.done)

    def _grow(self, episode: Episode, step: int, signal: Signal) -> None:
        """Raises the severity of the episode once a graver signal has persisted as long as the rule asks."""
        graver = severity_rank(self._rule, signal) > SEVERITIES.index(episode.severity)
        self._worse = self._worse + 1 if graver else 0
        if self._worse >= self._rule.rows:
            episode.severity, episode.worse_step, episode.worse = severity_of(self._rule, signal), step, signal
            self._worse = 0

    def _close(self, episode: Episode, row: int, tail: Tail) -> None:
        metric = episode.signal.metric
        values = tail(metric)
        end = len(values) - (row - episode.last_row)
        start = end - (episode.last_row - episode.first_row) - self._rule.rows - NEAR
        # an episode that fired on a single row has either gone on or not
        fired = values[max(0, start) : max(0, end + NEAR)]
        if not self._rule.provisional:
            known = episode.gravest.before
            levels = episode.before if known is None else (Level(known, 0.0),)
            # what is kept of the metric may be from after the worst of it
            seen = fired if known is None else [*[episode.gravest.value] * NEAR, *fired]
            episode.away = way_back(levels, seen, worse_side(metric or self.metric))
        episode.ended, episode.over_row, episode.over_step = True, episode.last_row, episode.last_step
        episode.recovered = episode.away is None or episode.away.is_back(values)
        if self._rule.provisional:
            episode.severity = "info"
        if not episode.recovered:
            self._away.append(episode)
        self.done.append(episode)
        self.open = None
        self._quiet = self._worse = 0
        self._recent.clear()
