"""Samples beside a log that grows: what is found live is what is found in the finished directory."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rldk.adapters.live.reader import ReadOptions
from rldk.cli.main import main
from rldk.diagnosis import diagnose
from rldk.monitor.sample_feed import SampleFeed
from rldk.monitor.sources import live_feeds

STEPS, ONSET = 30, 20
WORDS = ("ah", "oh", "uh", "so", "no", "up")


def _samples(step: int) -> list[dict[str, Any]]:
    """Sixteen answers to four prompts; from the onset on the groups are mixed up."""
    draw = random.Random(step)
    return [
        {
            "step": step,
            "group_id": i // 4,
            "prompt": f"{step}.{i % 4 if step >= ONSET else i // 4}",
            "response": " ".join(draw.choices(WORDS, k=12)),
            "reward": draw.random(),
            "finish_reason": "stop",
        }
        for i in range(16)
    ]


def _lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _row(step: int) -> dict[str, Any]:
    return {"step": step, "wall_time": float(step), "metrics": {"loss": 0.5, "reward_mean": 0.1 * (step % 3)}}


@pytest.mark.parametrize("seed", range(3))
def test_pieces_of_any_size_give_every_sample_once_before_its_row(tmp_path: Path, seed: int) -> None:
    draw, clock = random.Random(seed), iter(range(10**6))
    data = b"".join(_lines(_samples(step)) for step in range(1, STEPS + 1))
    path, given = tmp_path / "samples-r.jsonl", []
    feed = SampleFeed(tmp_path / "r_events.jsonl", clock=lambda: float(next(clock)))
    with path.open("wb", buffering=0) as stream:
        start = 0
        while start < len(data):
            stop = start + draw.randrange(1, 3000)
            stream.write(data[start:stop])
            start = stop
            feed.poll()
            given += feed.until(draw.randrange(STEPS))
    given += feed.rest()
    assert len(given) == 16 * STEPS
    assert sorted(s.step or 0 for s in given) == [step for step in range(1, STEPS + 1) for _ in range(16)]


def test_the_samples_of_another_run_are_not_taken(tmp_path: Path) -> None:
    for name in (
        "samples-b.jsonl",
        "samples-ab.jsonl",
        "samples-a-1.jsonl",
        "samples-a.rank1.jsonl",
        "samples-a.jsonl",
    ):
        (tmp_path / name).write_bytes(_lines(_samples(1)[:1]))
    (tmp_path / "samples-a-2.jsonl").symlink_to(tmp_path / "samples-b.jsonl")
    assert len(SampleFeed(tmp_path / "a_events.jsonl").rest()) == 3
    assert len(SampleFeed(tmp_path / "metrics.jsonl").rest()) == 5


@pytest.mark.parametrize("sampled", [True, False])
def test_the_samples_beside_a_file_are_read_where_that_is_asked_for(tmp_path: Path, sampled: bool) -> None:
    (tmp_path / "samples-r.jsonl").write_bytes(_lines(_samples(1)))
    (tmp_path / "samples-r_2.jsonl").write_bytes(_lines(_samples(1)))
    (tmp_path / "r_events.jsonl").write_bytes(_lines([_row(1), _row(2)]))
    stream = str(tmp_path / "r_events.jsonl")
    (feed,) = live_feeds([stream], ReadOptions(), warn=print, sampled=[stream] if sampled else ())
    feed.poll()
    assert (len(feed.samples.rest()) if feed.samples else 0) == (16 if sampled else 0)


def test_bad_lines_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "samples-a.jsonl").write_bytes(b'{"nothing": 1}\n{torn\n\n' + _lines(_samples(3)) + b'{"step": 4, "pr')
    assert len(SampleFeed(tmp_path / "a_events.jsonl").rest()) == 16


@pytest.mark.slow
def test_the_monitor_of_a_directory_finds_what_the_doctor_finds(tmp_path: Path) -> None:
    (tmp_path / "samples-r.jsonl").write_bytes(b"".join(_lines(_samples(step)) for step in range(1, STEPS + 1)))
    (tmp_path / "r_events.jsonl").write_bytes(_lines([_row(step) for step in range(1, STEPS + 1)]))
    alerts = tmp_path / "out" / "alerts.jsonl"
    alerts.parent.mkdir()
    words = ["monitor", "--stream", str(tmp_path), "--idle-timeout", "0.3", "--alerts", str(alerts)]
    done = CliRunner().invoke(main, words)
    told = [json.loads(line) for line in alerts.read_text().splitlines()]
    begun = {(a["rule"], a["step"]) for a in told if a["event"] == "begin"}
    assert done.exit_code == 0, done.output
    assert ("ADV003", ONSET) in begun
    assert begun <= {(f.code, f.first_step) for f in diagnose(tmp_path).findings}
    assert ("ADV003", ONSET) not in {(f.code, f.first_step) for f in diagnose(tmp_path / "r_events.jsonl").findings}
