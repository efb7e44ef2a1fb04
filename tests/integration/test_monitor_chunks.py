"""However a log arrives, and whatever the clock does, the monitor finds what doctor finds, and says each of it once."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from examples import few
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rldk.adapters.live.formats import recognise
from rldk.adapters.live.reader import ReadOptions
from rldk.adapters.source import File
from rldk.diagnosis import diagnose
from rldk.engine.actions.dispatch import Dispatcher
from rldk.monitor.delivery import Delivery, Places
from rldk.monitor.feeds import LogFeed
from rldk.monitor.state import MonitorState
from rldk.monitor.watch import Watch
from rldk.rules.rule import rules

ROOTS = [Path(__file__).parents[1] / name for name in ("fixtures", "folders")]
PARTS = ("findings", "incidents", "checked", "skipped", "notes", "verdict")


class Arriving:
    """A follower of bytes that come in pieces and with pauses of any length."""

    cursor = None
    begins = False

    def __init__(self, path: Path, rng: random.Random) -> None:
        self.source = str(path)
        self.busy = self.ended = False
        self.changes: Counter[str] = Counter()
        self._left = path.read_bytes()
        self._rng = rng

    def poll(self) -> bytes:
        size = self._rng.choice([0, 0, 1, 30, 300, 3000, 30_000])
        data, self._left = self._left[:size], self._left[size:]
        self.ended = not data and not self._left
        self.busy = not self.ended and self._rng.random() < 0.5
        return data

    def finish(self) -> bytes:
        data, self._left = self._left, b""
        return data

    def close(self) -> None:
        """There is nothing to close."""


def watched(path: Path, seed: int, *, monotonic: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rng = random.Random(seed)
    moment = [0.0]

    def clock() -> float:
        moment[0] += rng.uniform(0.0 if monotonic else -3.0, 0.2)
        return moment[0]

    said: list[dict[str, Any]] = []
    state = MonitorState()
    delivery = Delivery(
        Places(), state, Dispatcher({}), show=lambda _, alert: said.append(alert), warn=pytest.fail, now=clock
    )
    feed = LogFeed(Arriving(path, rng), "", ReadOptions(path=path), warn=pytest.fail)
    watch = Watch([feed], tuple(rules), delivery, state, clock=clock)
    assert watch.run(lambda _: None) == "the source ended"
    (session,) = watch.sessions()
    return session.report(meta={}, numbers={}).to_dict(), said


@cache
def logs() -> list[Path]:
    return sorted(p for root in ROOTS for p in root.rglob("*") if p.is_file() and recognise(File(p).head) is not None)


@cache
def finished(path: Path) -> dict[str, Any]:
    return diagnose(path).to_dict()


@pytest.mark.slow
@settings(max_examples=few(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.deferred(lambda: st.sampled_from(logs())), st.integers(0, 10**6), st.booleans())
def test_any_arrival_gives_the_findings_of_the_finished_log(path: Path, seed: int, monotonic: bool) -> None:
    report, said = watched(path, seed, monotonic=monotonic)
    assert {part: report[part] for part in PARTS} == {part: finished(path)[part] for part in PARTS}
    begun = [(a["rule"], a["finding"]["metric"]) for a in said if a["event"] == "begin"]
    assert sorted(begun) == sorted((f["code"], f["metric"]) for f in report["findings"])
