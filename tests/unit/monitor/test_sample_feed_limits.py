"""When files of samples are looked for, how many there are, and how many samples wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rldk.monitor import sample_feed
from rldk.monitor.sample_feed import SampleFeed


def write(path: Path, *records: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps({"response": "x", "reward": 1.0, **one}) + "\n" for one in records))


def test_files_are_looked_for_twice_a_second(tmp_path: Path) -> None:
    now = [10.0]
    feed = SampleFeed(tmp_path / "r_events.jsonl", clock=lambda: now[0])
    feed.poll()
    write(tmp_path / "samples-r.jsonl", {"step": 1})
    for at, count in [(10.49, 0), (10.5, 1)]:
        now[0] = at
        feed.poll()
        assert len(feed.until(1)) == count, at


def test_sixty_four_files_are_followed(tmp_path: Path) -> None:
    for i in range(1, 66):
        write(tmp_path / f"samples-r-{i}.jsonl", {"step": 1})
    assert len(SampleFeed(tmp_path / "r_events.jsonl", clock=lambda: 9.0).rest()) == 64


def test_samples_wait_up_to_a_number_and_without_a_step_they_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_feed, "MOST_WAITING", 3)
    write(tmp_path / "samples-r.jsonl", {"step": 2}, {"step": 1}, {}, {"step": 0})
    feed = SampleFeed(tmp_path / "r_events.jsonl", clock=lambda: 9.0)
    feed.poll()
    assert [sample.step for sample in feed.until(0)] == [None]
    assert [sample.step for sample in feed.until(1)] == [1]
    assert [sample.step for sample in feed.rest()] == [2]
