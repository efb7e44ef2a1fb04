from __future__ import annotations

import os
from pathlib import Path

import pytest

from rldk.adapters.live.follow import QUIET_S, FolderFollower, Follower, PipeFollower, follow
from rldk.adapters.live.tail import FileFollower
from rldk.errors import UnreadableSource


def write(path: Path, data: bytes, *, at: int) -> None:
    """Appends, and says that it was done at that second."""
    with path.open("ab") as stream:
        stream.write(data)
    os.utime(path, (at, at))


def drained(follower: Follower) -> bytes:
    return b"".join(follower.poll() for _ in range(4))


def test_the_newest_file_is_followed_and_none_that_rldk_writes(tmp_path: Path) -> None:
    write(tmp_path / "old.jsonl", b"old\n", at=100)
    write(tmp_path / "new.jsonl", b"new\n", at=200)
    for name in ("alerts.jsonl", "samples-0.jsonl", "mine.jsonl", "log.txt"):
        write(tmp_path / name, b"other\n", at=300)
    follower = FolderFollower(tmp_path, exclude=[tmp_path / "mine.jsonl"])
    assert drained(follower) == b"new\n"
    assert follower.source == str(tmp_path / "new.jsonl")


def test_a_file_that_appears_takes_over_when_the_one_before_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", b"1\n", at=100)
    follower = FolderFollower(tmp_path)
    assert drained(follower) == b"1\n"
    write(tmp_path / "a.jsonl", b"2\ntorn", at=101)
    write(tmp_path / "b.jsonl", b"3\n", at=102)
    assert drained(follower) == b"2\ntorn\n3\n"
    assert follower.changes == {"switched": 1}


def test_a_file_rotated_within_the_directory_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "m.jsonl", b"1\n", at=100)
    follower = FolderFollower(tmp_path)
    first = drained(follower)
    (tmp_path / "m.jsonl").rename(tmp_path / "m-1.jsonl")
    first += drained(follower)
    write(tmp_path / "m.jsonl", b"2\n", at=110)
    assert first + drained(follower) == b"1\n2\n"


def test_an_old_file_is_turned_to_when_it_grows_and_the_other_is_quiet(tmp_path: Path) -> None:
    now = [0.0]
    write(tmp_path / "a.jsonl", b"a1\n", at=100)
    write(tmp_path / "b.jsonl", b"b1\n", at=200)
    follower = FolderFollower(tmp_path, clock=lambda: now[0])
    assert drained(follower) == b"b1\n"
    write(tmp_path / "a.jsonl", b"a2\n", at=300)
    assert drained(follower) == b""
    now[0] += 2 * QUIET_S
    assert drained(follower) == b"a1\na2\n"
    write(tmp_path / "b.jsonl", b"b2\n", at=400)
    now[0] += 2 * QUIET_S
    assert drained(follower) == b"b2\n"


def test_a_directory_may_be_empty_at_first_and_must_not_vanish(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    follower = follow(folder)
    assert drained(follower) == b""
    write(folder / "m.jsonl", b"1\n", at=100)
    assert drained(follower) == b"1\n"
    (folder / "m.jsonl").unlink()
    folder.rmdir()
    with pytest.raises(UnreadableSource):
        drained(follower)


def test_a_pipe_is_passed_on_unchanged_and_ends(tmp_path: Path) -> None:
    source, writer = os.pipe()
    with (tmp_path / "out").open("wb") as tee:
        follower = PipeFollower(source, tee=tee.fileno())
        os.write(writer, b'{"step":1}\n{"st')
        assert (follower.poll(), follower.ended) == (b'{"step":1}\n{"st', False)
        os.write(writer, b'ep":2}')
        os.close(writer)
        assert drained(follower) == b'ep":2}'
        assert follower.ended
    assert (tmp_path / "out").read_bytes() == b'{"step":1}\n{"step":2}'
    os.close(source)


def test_a_pipe_is_watched_on_when_nobody_reads_the_tee() -> None:
    (source, writer), (reader, tee) = os.pipe(), os.pipe()
    os.close(reader)
    follower = PipeFollower(source, tee=tee)
    os.write(writer, b"1\n")
    assert follower.poll() == b"1\n"
    os.write(writer, b"2\n")
    assert follower.poll() == b"2\n"
    for fd in (source, writer, tee):
        os.close(fd)


def test_a_named_pipe_outlives_its_writers(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    follower = follow(tmp_path / "fifo")
    for text in (b"1\n", b"2\n"):
        with (tmp_path / "fifo").open("wb") as writer:
            writer.write(text)
        assert drained(follower) == text
    assert not follower.ended


def test_a_path_that_is_not_there_yet_will_be_a_file(tmp_path: Path) -> None:
    assert isinstance(follow(tmp_path / "later.jsonl"), FileFollower)
