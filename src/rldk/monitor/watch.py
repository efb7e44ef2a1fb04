"""The main loop: rows go from the sources to the sessions, alerts from there to the delivery, until there is a reason
to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.reference import Baseline
from rldk.core.table import Row
from rldk.engine.processes.identity import Process, identify
from rldk.monitor.delivery import Delivery
from rldk.monitor.late_samples import LateSamples
from rldk.monitor.recent_curves import RecentCurves
from rldk.monitor.reward import WINDOW
from rldk.monitor.session import RunSession
from rldk.monitor.state import MonitorState
from rldk.monitor.summary import SourceStats
from rldk.rules.rule import Context, Rule

if TYPE_CHECKING:
    from rldk.monitor.sample_feed import SampleFeed

POLL_S = 0.05  # a row is complete, read and checked well within a tenth of a second
PEEK_S = 0.25  # after so long without news, a row that more values may join is checked as it is
PID_POLL_S = 0.5  # between two checks of the watched process
QUIET_S = 2.0  # a file that got nothing for so long after its process ended is complete
SAVE_S = 1.0  # between two saves of a state without new alerts


Wait = Callable[[float], str | None]


class Feed(Protocol):
    """One source of rows. `context` is known once there are rows.

    `restarted`: the rows of the last call are all rows from the first, because earlier ones have changed."""

    @property
    def run(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def restarted(self) -> bool: ...

    def poll(self) -> Sequence[Row]:
        """The rows that came since the last call."""

    def peek(self) -> Sequence[Row]:
        """The rows that more bytes may still add to."""

    def finish(self) -> Sequence[Row]:
        """The rows that were waiting for more. No rows follow them."""

    @property
    def busy(self) -> bool:
        """Whether the last poll left something, so that the next one finds more at once."""

    @property
    def position(self) -> int:
        """A number that grows with what was read."""

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""

    @property
    def samples(self) -> SampleFeed | None:
        """The per-sample records beside the rows, where the source has them."""

    @property
    def context(self) -> Context | None: ...

    @property
    def identity(self) -> str:
        """An identity that another source in the same place would not have; "" if there is none."""

    def stats(self) -> SourceStats: ...


class Ends(Struct, frozen=True, kw_only=True):
    """When to end before every source has ended: the process is gone and its files are quiet, or nothing was new for so
    long."""

    pid: int | None = None
    idle_s: float | None = None


WITH_SOURCES = Ends()  # no further reason to end


class Channel(Struct):
    """A feed and the session of its rows, which starts with the first of them.

    `behind`: how many rows an earlier session had read when the feed started again."""

    feed: Feed
    session: RunSession | None = None
    previewed: tuple[Row, ...] = ()
    behind: int = 0
    late: LateSamples = field(default_factory=LateSamples)


class Watch:
    """Watches feeds under one set of rules. `wait(seconds)` pauses and tells whether somebody asked to end."""

    def __init__(
        self,
        feeds: Iterable[Feed],
        rules: Sequence[Rule],
        delivery: Delivery,
        state: MonitorState,
        *,
        ends: Ends = WITH_SOURCES,
        reward_window: int = WINDOW,
        curves: bool = False,
        reference: Baseline | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channels = [Channel(feed, late=LateSamples(clock)) for feed in feeds]
        self._rules = rules
        self._delivery = delivery
        self._state = state
        self._ends = ends
        self._reward_window = reward_window
        self._curves = curves
        self._reference = reference
        self._clock = clock
        self._process: Process | None = identify(ends.pid) if ends.pid is not None else None
        self._news = self._looked = self._saved = clock()
        self._position = 0
        self._gone = False

    def run(self, wait: Wait, shown: Callable[[], Any] = lambda: None, *, hold: bool = True) -> str:
        """Watches, and returns why watching ended.

        `shown` is called after every look at the sources. `hold`: actions wait until everything that is there was
        read."""
        if hold:
            self._delivery.hold()
        ended = self._look(wait, shown)
        self._delivery.release()
        while ended is None:
            pause = wait(POLL_S)
            ended = pause or self._look(wait, shown)
        for channel in self.channels:
            self._take(channel, channel.feed.finish(), last=True)
            self._end_samples(channel)
        shown()
        self._delivery.close()
        self._tend(now=True)
        return ended

    def sessions(self) -> list[RunSession]:
        """The sessions that have begun."""
        return [channel.session for channel in self.channels if channel.session is not None]

    def _look(self, wait: Wait, shown: Callable[[], Any]) -> str | None:
        """Reads everything that is there. Returns the reason to end, if there is one."""
        while True:
            for channel in self.channels:
                self._take(channel, channel.feed.poll())
            shown()
            self._tend()
            busy = any(channel.feed.busy for channel in self.channels)
            position = sum(channel.feed.position for channel in self.channels)
            if position != self._position:
                self._position, self._news = position, self._clock()
            elif self._clock() - self._news >= PEEK_S:
                self._preview()
            reason = wait(0.0) or (None if busy else self._reason())
            if reason or not busy:
                return reason

    def _take(self, channel: Channel, rows: Sequence[Row], *, last: bool = False) -> None:
        feed, session = channel.feed, channel.session
        if feed.restarted:
            channel.late.clear()
        if feed.restarted and feed.samples is not None:
            feed.samples.restart()
        if feed.restarted and session is not None:
            channel.behind, session = max(channel.behind, session.rows), None
            self._state.rewind(feed.run)
        samples = feed.samples
        if samples is not None and (rows or channel.late.holds):
            samples.poll()
            rows = channel.late.pass_on(rows, samples, last=last)
        if not rows:
            return
        if session is None:
            session = channel.session = self._session(feed)
            self._state.open(feed.run, feed.identity)
            # before the first alert: the saved state tells the alerts of this monitor from others in the file
            self._save()
        for alert in session.feed(rows, samples):
            self._delivery.deliver(alert)
        if channel.behind and session.rows >= channel.behind:
            channel.behind = 0
            self._state.end_rereading(feed.run)
        self._state.advance(feed.run, session.last_step)

    def _end_samples(self, channel: Channel) -> None:
        samples, session = channel.feed.samples, channel.session
        if samples is not None and session is not None:
            for alert in session.end_samples(samples):
                self._delivery.deliver(alert)

    def _session(self, feed: Feed) -> RunSession:
        return RunSession(
            self._rules,
            replace(feed.context or Context(), reference=self._reference),
            run=feed.run,
            reward_window=self._reward_window,
            curves=RecentCurves() if self._curves else None,
        )

    def _preview(self) -> None:
        """Reports problems of rows that wait for more: the next step may be minutes away."""
        for channel in self.channels:
            rows = tuple(channel.feed.peek()) if channel.session is not None else ()
            if rows == channel.previewed or channel.session is None:
                continue
            channel.previewed = rows
            for alert in channel.session.preview(rows):
                if self._delivery.deliver(alert):
                    self._state.expect(alert)

    def _tend(self, *, now: bool = False) -> None:
        """Saves the state after the alerts were written. An alert that is in the file but not in the state is
        found there later."""
        self._delivery.tend()
        state, moment = self._state, self._clock()
        if not (state.changed or now or (state.behind and moment - self._saved >= SAVE_S)):
            return
        self._saved = moment
        self._save()

    def _save(self) -> None:
        if self._state.path is not None:
            self._delivery.outage.attempt(self._state.path, self._state.save, records=0)

    def _reason(self) -> str | None:
        now = self._clock()
        if all(channel.feed.ended for channel in self.channels):
            return "the source ended"
        if self._ends.pid is not None and now - self._looked >= PID_POLL_S and not self._gone:
            self._looked = now
            now_there = identify(self._ends.pid)
            self._gone = self._process is None or now_there is None or now_there.start != self._process.start
            self._news = max(self._news, now) if self._gone else self._news
        quiet = now - self._news
        if self._gone and quiet >= QUIET_S:
            return f"process {self._ends.pid} ended"
        if self._ends.idle_s is not None and quiet >= self._ends.idle_s:
            return f"nothing new for {self._ends.idle_s:g} s"
        return None
