"""The loop of the monitor: what it says, and why it ends."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from rldk.core.table import Row
from rldk.engine.actions.dispatch import Dispatcher
from rldk.engine.processes.identity import identify
from rldk.monitor import watch as loop
from rldk.monitor.delivery import Delivery, Places
from rldk.monitor.state import MonitorState
from rldk.monitor.summary import SourceStats
from rldk.monitor.watch import PEEK_S, PID_POLL_S, QUIET_S, Ends, Watch
from rldk.rules.rule import Context, rules

NAN = float("nan")


class Rows:
    """A feed that has the given rows at once, then others that wait for more."""

    run = source = identity = ""
    restarted = busy = ended = False
    samples = None
    context = Context()

    def __init__(self, rows: Sequence[Row], waiting: Sequence[Row] = ()) -> None:
        self.position = 0
        self._rows, self._waiting = list(rows), list(waiting)

    def poll(self) -> list[Row]:
        found, self._rows = self._rows, []
        self.position += len(found)
        return found

    def peek(self) -> list[Row]:
        return self._waiting

    def finish(self) -> list[Row]:
        return self._waiting

    def stats(self) -> SourceStats:
        raise NotImplementedError


class Clock:
    """Moves by a quarter of a second a pause of any length."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += 0.25 if seconds else 0.0


def watching(feed: Rows, ends: Ends, said: list[dict[str, Any]] | None = None) -> tuple[Watch, Clock]:
    state, clock = MonitorState(), Clock()
    shown: list[dict[str, Any]] = [] if said is None else said
    delivery = Delivery(Places(), state, Dispatcher({}), show=lambda _, alert: shown.append(alert), warn=pytest.fail)
    return Watch([feed], tuple(rules), delivery, state, ends=ends, clock=clock), clock


def test_a_row_that_waits_for_more_is_spoken_of_and_only_once() -> None:
    said: list[dict[str, Any]] = []
    feed = Rows([Row(step=1, values={"loss": 1.0})], [Row(step=2, values={"loss": NAN})])
    watch, clock = watching(feed, Ends(idle_s=3 * PEEK_S), said)
    during: list[int] = []

    def wait(seconds: float) -> None:
        during.append(len(said))
        clock.wait(seconds)

    watch.run(wait)
    assert [(a["rule"], a["step"]) for a in said] == [("GRAD001", 2)]
    assert during[-1] == 1  # before the log was over


@pytest.mark.parametrize(("idle_s", "pauses"), [(0.5, 2), (0.51, 3), (1.0, 4)])
def test_silence_ends_the_watch_once_it_has_lasted(idle_s: float, pauses: int) -> None:
    watch, clock = watching(Rows([]), Ends(idle_s=idle_s))
    assert watch.run(clock.wait) == f"nothing new for {idle_s:g} s"
    assert clock.now == pauses * 0.25


def test_a_process_that_stays_is_looked_at_every_half_second(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    with subprocess.Popen(["sleep", "60"]) as process:
        watch, clock = watching(Rows([]), Ends(pid=process.pid, idle_s=2.0))

        def found(pid: int) -> Any:
            looks.append(clock.now)
            return identify(pid)

        monkeypatch.setattr(loop, "identify", found)
        assert watch.run(clock.wait) == "nothing new for 2 s"
        process.kill()
    assert looks == [PID_POLL_S * i for i in range(1, 5)]


def test_the_process_is_looked_at_now_and_then_and_its_end_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    watch, clock = watching(Rows([]), Ends(pid=1 << 30))

    def found(pid: int) -> Any:
        looks.append(clock.now)
        return identify(pid)

    monkeypatch.setattr(loop, "identify", found)
    assert watch.run(clock.wait) == f"process {1 << 30} ended"
    assert looks == [PID_POLL_S]
    assert clock.now == PID_POLL_S + QUIET_S
