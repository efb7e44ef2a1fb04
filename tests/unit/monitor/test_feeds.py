"""A log as a source of rows: by what it is known again, and how often it is looked why nothing comes."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from rldk.adapters.live.reader import ReadOptions
from rldk.monitor.feeds import IDENTITY_BYTES, LOOK_AFTER, LogFeed, WholeFile, run_names


class Given:
    """A follower of the given pieces, one a poll."""

    cursor = None
    begins = False
    busy = False

    def __init__(self, *pieces: bytes) -> None:
        self.source = "given"
        self.ended = False
        self.changes: Counter[str] = Counter()
        self._pieces = list(pieces)

    def poll(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def finish(self) -> bytes:
        return b""

    def close(self) -> None:
        """There is nothing to close."""


def feed_of(*pieces: bytes) -> LogFeed:
    return LogFeed(Given(*pieces), "", ReadOptions(), warn=lambda _: None)


def identity(*pieces: bytes) -> str:
    feed = feed_of(*pieces)
    for _ in pieces:
        feed.poll()
    return feed.identity


def line(step: int, **more: object) -> bytes:
    return json.dumps({"step": step, "loss": 0.5, **more}).encode() + b"\n"


def test_a_log_is_known_by_its_first_line_as_soon_as_that_is_whole() -> None:
    assert identity(line(1)[:9]) == ""
    assert identity(line(1)) == identity(line(1)[:9], line(1)[9:]) == identity(line(1), line(2))
    assert identity(line(1)) != identity(line(2))


def test_of_a_long_first_line_the_beginning_is_enough() -> None:
    whole = line(1, text="x" * 3 * IDENTITY_BYTES)
    assert identity(whole[: IDENTITY_BYTES - 1]) == ""
    assert identity(whole[:IDENTITY_BYTES]) == identity(whole) != ""


def test_a_log_without_a_whole_line_is_known_by_what_there_is_at_its_end() -> None:
    feed = feed_of(line(1)[:-1])
    feed.finish()
    assert feed.identity


@pytest.mark.parametrize(
    ("sources", "names"),
    [(["a.jsonl"], [""]), (["a.jsonl", "b.jsonl"], ["a", "b"]), (["x/a.jsonl", "y/a.jsonl"], ["a", "a-2"])],
)
def test_several_sources_have_names_of_their_own(sources: list[str], names: list[str]) -> None:
    assert run_names([str(Path(s)) for s in sources]) == names


def test_it_is_looked_why_nothing_comes_at_the_eighth_poll_and_said_once(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(range(256)) * 9)
    said: list[str] = []
    follower = Given()
    follower.source = str(tmp_path / "model.bin")
    feed = LogFeed(follower, "", ReadOptions(), warn=said.append)
    counts = []
    for _ in range(2 * LOOK_AFTER + 1):
        feed.poll()
        counts.append(len(said))
    assert counts == [0] * (LOOK_AFTER - 1) + [1] * (LOOK_AFTER + 2)
    assert "is neither text nor" in said[0]


@pytest.mark.parametrize("polls", [0, 1])
def test_an_archive_that_breaks_off_is_read_to_there_and_said(tmp_path: Path, polls: int) -> None:
    path, said = tmp_path / "log.gz", list[str]()
    text = b"".join(b'{"step": %d}\n' % i for i in range(200_000))
    path.write_bytes(gzip.compress(text)[:-4000])
    file = WholeFile(path, warn=said.append)
    got = b"".join(file.poll() for _ in range(polls)) + file.finish()
    assert (text.startswith(got), len(got) > len(text) // 2) == (True, True)
    assert (len(said), dict(file.changes), file.ended) == (1, {"broken_off": 1}, True)
