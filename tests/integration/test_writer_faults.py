"""Writers that crash, rotate and truncate: real processes, which do the next thing when they are told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rldk.adapters.live.follow import Follower, follow
from rldk.adapters.live.reader import LiveReader
from rldk.core.table import Row

WRITER = """
import os, shutil, sys
path = sys.argv[1]
log = open(path, "ab", buffering=0)
step = 0
for order in sys.stdin:
    match order.split():
        case ["rows", n]:
            for _ in range(int(n)):
                step += 1
                log.write(b'{"step": %d, "kl": %g}\\n' % (step, step / 1000))
        case ["torn"]:
            log.write(b'{"step": %d, "k' % (step + 1))
        case ["rename"]:
            log.close()
            os.rename(path, path + ".1")
            log = open(path, "ab", buffering=0)
        case ["copytruncate"]:
            shutil.copy(path, path + ".1")
            os.truncate(path, 0)
        case ["long"]:
            step += 1
            log.write(b'{"step": %d, "kl": 0.5, "text": "' % step)
            for _ in range(80):
                log.write(b"x" * 65536)
            log.write(b'"}\\n')
    print("done", flush=True)
"""


class Writer:
    """A process that writes a log, and one that follows it in this process."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.follower: Follower = follow(path)
        self.reader = LiveReader()
        self.rows: list[Row] = []

    def do(self, order: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def look(self, polls: int = 4) -> list[int]:
        """The steps of all rows so far."""
        for _ in range(polls):
            self.rows += self.reader.feed(self.follower.poll())
        self.rows += self.reader.flush()
        assert self.reader.revision == 0
        return [row.step for row in self.rows]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path / "metrics.jsonl")
    yield made
    made.process.kill()
    made.process.wait()
    for stream in (made.process.stdin, made.process.stdout):
        if stream is not None:
            stream.close()
    made.follower.close()


def test_a_writer_killed_within_a_line_loses_that_line_only(writer: Writer) -> None:
    writer.do("rows 5")
    writer.do("torn")
    assert writer.look() == [1, 2, 3, 4, 5]
    writer.process.send_signal(signal.SIGKILL)
    writer.process.wait()
    writer.rows += writer.reader.feed(writer.follower.finish()) + writer.reader.finish()
    assert [row.step for row in writer.rows] == [1, 2, 3, 4, 5]
    assert [bad.reason for bad in writer.reader.rejected] == ["the last line is torn"]


def test_rotation_by_rename_loses_and_repeats_nothing(writer: Writer) -> None:
    writer.do("rows 150")
    writer.look()
    writer.do("rows 3")
    writer.do("torn")
    writer.do("rename")
    writer.do("rows 2")
    assert writer.look() == list(range(1, 156))
    assert (writer.follower.changes, writer.reader.rejected_count) == ({"rotated": 1}, 1)


def test_rotation_by_copy_and_truncation_loses_nothing_that_was_there(writer: Writer) -> None:
    writer.do("rows 20")
    writer.look()
    writer.do("rows 10")  # which nobody looks at before the cut
    writer.do("copytruncate")
    writer.do("rows 30")
    assert writer.look(polls=8) == list(range(1, 61))
    assert writer.follower.changes == {"truncated": 1, "read_from_copy": 1}


@pytest.mark.slow
def test_a_line_of_five_megabytes_is_one_row(writer: Writer) -> None:
    writer.do("rows 1")
    writer.do("long")
    writer.do("rows 1")
    assert writer.look(polls=8) == [1, 2, 3]
