from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from rldk.core.model import Alert
from rldk.engine.actions.queue import Lane

Make = Callable[..., Alert]


class Slow:
    """Work that has begun on the first alert and goes on when `go` is set."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.done: list[int] = []

    def __call__(self, alert: Alert) -> None:
        self.begun.set()
        self.go.wait(10)
        self.done.append(alert.step)


@pytest.fixture
def slow() -> Slow:
    return Slow()


def test_full_it_loses_the_oldest_of_the_least_severe(slow: Slow, alert: Make) -> None:
    lane = Lane("test", slow, size=3)
    lane.put(alert(step=0))
    assert slow.begun.wait(10)
    severities = ["warn", "info", "critical", "info", "critical", "warn", "info", "critical"]
    lost = [lane.put(alert(step=i, severity=s)) for i, s in enumerate(severities, start=1)]
    assert [one and one.step for one in lost] == [None, None, None, 2, 4, 1, 7, 6]
    slow.go.set()
    assert lane.close(10) == ([], False)
    assert slow.done == [0, 3, 5, 8]


def test_close_gives_up_at_the_deadline_and_tells_what_is_left(slow: Slow, alert: Make) -> None:
    lane = Lane("test", slow, size=3)
    lane.put(alert(step=0))
    assert slow.begun.wait(10)
    lane.put(alert(step=1))
    left, busy = lane.close(0.05)
    assert ([a.step for a in left], busy) == ([1], True)
    slow.go.set()


def test_a_closed_lane_takes_nothing(alert: Make) -> None:
    lane = Lane("test", lambda a: None, size=3)
    assert lane.close(1) == ([], False)
    late = alert()
    assert lane.put(late) is late


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_one_alert_does_not_end_the_lane(alert: Make) -> None:
    done: list[int] = []
    broke = threading.Event()

    def work(a: Alert) -> None:
        if a.step == 0:
            broke.set()
            raise LookupError
        done.append(a.step)

    lane = Lane("test", work, size=3)
    lane.put(alert(step=0))
    assert broke.wait(10)
    lane._thread.join(10)  # type: ignore[union-attr]
    lane.put(alert(step=1))
    assert lane.close(10) == ([], False)
    assert done == [1]
