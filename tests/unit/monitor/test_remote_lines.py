"""Rows of a server as lines of a log."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest

from rldk.adapters.live.reader import ReadOptions
from rldk.adapters.servers.poll import RemoteFollower, Retry
from rldk.core.table import Row
from rldk.errors import UnreadableSource
from rldk.monitor.feeds import LogFeed
from rldk.monitor.remote import RemoteLines

NAN = float("nan")


class Served(RemoteFollower):
    """A follower whose server gives one batch an answer; an exception among them is what the server does instead."""

    def __init__(self, *answers: list[Row] | UnreadableSource) -> None:
        self.answers = list(answers)
        self.asked = threading.Semaphore(0)
        super().__init__("test://run", cursor=None, retry=Retry(rng=random.Random(0)))

    def _fetch(self) -> None:
        answer = self.answers.pop(0)
        self.finished = not self.answers
        self.asked.release()
        if isinstance(answer, UnreadableSource):
            raise answer
        self._waiting += answer

    def _place(self) -> dict[str, Any]:
        return {}

    def _go_to(self, cursor: dict[str, Any]) -> None:
        """There is no place to go to."""


def _row(step: int, loss: float, **more: Any) -> Row:
    return Row(step=step, values={"train/loss": loss, "train/reward": 0.5}, **more)


def _all(lines: RemoteLines) -> list[dict[str, Any]]:
    data = b""
    while not lines.ended:
        data += lines.poll()
    return [json.loads(line) for line in data.splitlines()]


def test_rows_become_lines_with_what_is_no_number_as_text() -> None:
    lines = RemoteLines(Served([_row(1, NAN, time=5.0), _row(2, 1.0, phase="eval")]), warn=pytest.fail)
    assert _all(lines) == [
        {
            "step": 1,
            "metrics": {"train/loss": "nan", "train/reward": 0.5},
            "tags": {"phase": "train"},
            "wall_time": 5.0,
        },
        {"step": 2, "metrics": {"train/loss": 1.0, "train/reward": 0.5}, "tags": {"phase": "eval"}},
    ]


def test_the_first_request_fails_loudly_and_a_later_one_is_repeated() -> None:
    away = UnreadableSource("the server is away")
    with pytest.raises(UnreadableSource, match="away"):
        RemoteLines(Served(away), warn=pytest.fail)
    said: list[str] = []
    lines = RemoteLines(Served([_row(1, 1.0)], away, away, [_row(2, 2.0)]), warn=said.append, ask_s=0.001)
    assert [line["step"] for line in _all(lines)] == [1, 2]
    assert said == ["the server is away; rldk asks again"]


def test_names_are_settled_as_for_any_log() -> None:
    feed = LogFeed(
        RemoteLines(Served([_row(i, NAN if i == 7 else 1.0) for i in range(10)]), warn=pytest.fail),
        "",
        ReadOptions(format="jsonl"),
        warn=pytest.fail,
    )
    rows = feed.poll() + feed.finish()
    assert [row.step for row in rows] == list(range(10))
    assert set(rows[0].values) == {"loss", "reward_mean"}
    assert rows[7].values["loss"] != rows[7].values["loss"]
