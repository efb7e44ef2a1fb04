"""A path that is followed: what is found there, and what appears there later."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rldk.adapters.live.reader import ReadOptions
from rldk.adapters.open import open_run
from rldk.core.table import Row
from rldk.monitor.documents import DocumentFeed
from rldk.monitor.feeds import LogFeed
from rldk.monitor.streams import StreamFeed

FIXTURES = Path(__file__).parents[2] / "fixtures"


class Watched:
    """A stream, its rows and what it said, with a clock of its own."""

    def __init__(self, path: Path, **more: Any) -> None:
        self.now = 0.0
        self.rows: list[Row] = []
        self.said: list[str] = []
        self.feed = StreamFeed(path, "", ReadOptions(), warn=self.said.append, clock=lambda: self.now, **more)

    def poll(self, times: int = 4, seconds: float = 1.0) -> list[int]:
        """The steps so far."""
        for _ in range(times):
            self.now += seconds
            self._take(self.feed.poll())
        return [row.step for row in self.rows]

    def finish(self) -> list[int]:
        self._take(self.feed.finish())
        return [row.step for row in self.rows]

    def _take(self, rows: list[Row]) -> None:
        self.rows = [*([] if self.feed.restarted else self.rows), *rows]


def lines(*steps: int, **more: float) -> str:
    return "".join(json.dumps({"step": step, "kl": 0.1, "loss": 1.0, **more}) + "\n" for step in steps)


def state(*steps: int, loss: float = 1.0) -> str:
    rows = [{"step": step, "loss": loss, "grad_norm": 0.5, "epoch": step / 10} for step in steps]
    return json.dumps({"global_step": 1, "max_steps": 9, "is_world_process_zero": True, "log_history": rows}, indent=1)


def test_a_file_that_is_not_there_is_waited_for_and_said_once(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").touch()
    watched = Watched(tmp_path / "metric.jsonl")
    assert watched.poll() == []
    (tmp_path / "metric.jsonl").write_text(lines(1, 2))
    assert watched.poll() == [1, 2]
    assert [text.partition("; there is")[0].rsplit(": ")[-1] for text in watched.said] == ["no such file yet"]


def test_a_directory_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "out" / "run")
    watched.poll()
    (tmp_path / "out" / "run" / "checkpoint-2").mkdir(parents=True)
    watched.poll()
    (tmp_path / "out" / "run" / "checkpoint-2" / "trainer_state.json").write_text(state(1, 2))
    assert watched.poll() == [1]
    assert watched.finish() == [1, 2]
    assert len(watched.said) == 1


def test_the_rows_of_the_last_step_wait_and_can_be_seen(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(state(1, 2, 3))
    watched = Watched(tmp_path / "trainer_state.json")
    assert watched.poll() == [1, 2]
    assert [row.step for row in watched.feed.peek()] == [3]


def test_half_a_file_changes_nothing_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state(1, 2, 3))
    watched = Watched(path)
    watched.poll()
    path.write_text(state(1, 2, 3)[:200])
    assert watched.poll() == [1, 2]
    assert not watched.feed.restarted
    assert watched.finish() == [row.step for row in open_run(path).metrics.rows()]


def test_another_history_in_its_place_gives_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(state(1, 2, 3))
    watched = Watched(path)
    watched.poll()
    path.write_text(state(1, 2, 3, 4, loss=2.0))
    watched.poll()
    assert [(row.step, row.values["loss"]) for row in watched.rows] == [(1, 2.0), (2, 2.0), (3, 2.0)]


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trainer_state.json").write_text(state(1, 2, 3))
    watched = Watched(tmp_path / "trainer_state.json")
    watched.poll()
    position = watched.feed.position
    monkeypatch.setattr(DocumentFeed, "_read", lambda _: pytest.fail("read again"))
    watched.poll(50)
    assert watched.feed.position == position


def test_a_compressed_log_is_read_again_as_it_grows(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "m.jsonl.gz"
    path.write_bytes(gzip.compress(lines(1, 2).encode()))
    watched = Watched(path)
    assert watched.poll() == [1]
    with path.open("ab") as stream:
        stream.write(gzip.compress(lines(3, 4).encode()))
    assert watched.poll() == [1, 2, 3]
    assert watched.finish() == [1, 2, 3, 4]


def test_the_files_of_rldk_in_a_directory_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(lines(1, 2))
    for name in ("alerts.jsonl", "samples-0.jsonl", "mine.jsonl"):
        (tmp_path / name).write_text(lines(7, 8, 9))
    watched = Watched(tmp_path, exclude=[tmp_path / "mine.jsonl"])
    assert watched.poll() == [1, 2]
    assert watched.feed.source == str(tmp_path / "metrics.jsonl")


def test_a_newer_file_of_lines_goes_on_where_the_one_before_ends(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(1))
    watched = Watched(tmp_path)
    assert watched.poll() == [1]
    with (tmp_path / "a.jsonl").open("a") as stream:
        stream.write(lines(2))
    (tmp_path / "b.jsonl").write_text(lines(3))
    assert watched.poll() == [1, 2, 3]
    assert watched.feed.stats().changes == {"switched": 1}


def test_a_file_rotated_within_the_directory_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(lines(1))
    watched = Watched(tmp_path)
    watched.poll()
    (tmp_path / "m.jsonl").rename(tmp_path / "m-1.jsonl")
    watched.poll()
    (tmp_path / "m.jsonl").write_text(lines(2))
    assert watched.poll() == [1, 2]


def test_an_old_run_is_turned_to_when_it_is_written_and_the_other_is_quiet(tmp_path: Path) -> None:
    for name, at in (("a", 100), ("b", 200)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text(lines(at))
        os.utime(tmp_path / name / "metrics.jsonl", (at, at))
    watched = Watched(tmp_path)
    assert watched.poll() == [200]
    (tmp_path / "a" / "metrics.jsonl").write_text(lines(100, 101))
    assert watched.poll(1) == [200]
    assert watched.poll(10) == [100, 101]


@pytest.mark.slow
def test_metrics_that_come_late_in_a_directory_are_found(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_text("loading the model\n" * 5000)
    watched = Watched(tmp_path)
    assert watched.poll() == []
    with path.open("ab") as stream:
        stream.write((FIXTURES / "trl-sft" / "stdout.txt").read_bytes())
    watched.poll()
    watched.finish()
    assert [row.step for row in watched.rows] == open_run(tmp_path).metrics.step.tolist()


def test_a_better_source_of_the_same_run_takes_over(tmp_path: Path) -> None:
    (tmp_path / "stdout.txt").write_bytes((FIXTURES / "trl-sft" / "stdout.txt").read_bytes())
    watched = Watched(tmp_path)
    watched.poll()
    assert isinstance(watched.feed._feed, LogFeed)
    (tmp_path / "trainer_state.json").write_bytes((FIXTURES / "trl-sft" / "trainer_state.json").read_bytes())
    watched.poll()
    watched.finish()
    assert [row.step for row in watched.rows] == open_run(tmp_path).metrics.step.tolist()
    assert watched.feed.stats().format == "hf-trainer-state"


def test_a_text_that_becomes_a_json_document_is_read_as_one(tmp_path: Path) -> None:
    path, text = tmp_path / "log", state(1, 2, 3)
    watched = Watched(path)
    for end in (3, 40, 90, len(text)):
        path.write_text(text[:end])
        watched.poll()
    assert watched.finish() == [1, 2, 3]
