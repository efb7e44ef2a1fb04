from __future__ import annotations

import os
from pathlib import Path

from rldk.adapters.live.follow import FilesFollower, Follower, PipeFollower, follow
from rldk.adapters.live.tail import FileFollower


def write(path: Path, data: bytes, *, at: int) -> None:
    """Appends, and says that it was done at that second."""
    with path.open("ab") as stream:
        stream.write(data)
    os.utime(path, (at, at))


def drained(follower: Follower) -> bytes:
    return b"".join(follower.poll() for _ in range(4))


def test_one_file_after_the_other_is_one_log(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", b"1\n", at=100)
    follower = FilesFollower(tmp_path / "a.jsonl")
    assert drained(follower) == b"1\n"
    write(tmp_path / "a.jsonl", b"2\ntorn", at=101)
    write(tmp_path / "b.jsonl", b"3\n", at=102)
    follower.turn(tmp_path / "b.jsonl")
    assert drained(follower) == b"2\ntorn\n3\n"
    assert follower.changes == {"switched": 1}


def test_a_file_that_was_read_before_goes_on_where_it_was_left(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", b"a1\n", at=100)
    write(tmp_path / "b.jsonl", b"b1\n", at=200)
    follower = FilesFollower(tmp_path / "a.jsonl")
    assert drained(follower) == b"a1\n"
    follower.turn(tmp_path / "b.jsonl")
    assert drained(follower) == b"b1\n"
    write(tmp_path / "a.jsonl", b"a2\n", at=300)
    follower.turn(tmp_path / "a.jsonl")
    assert drained(follower) == b"a2\n"


def test_a_pipe_is_passed_on_unchanged_and_ends(tmp_path: Path) -> None:
    source, writer = os.pipe()
    with (tmp_path / "out").open("wb") as tee:
        follower = PipeFollower(source, tee=[tee.fileno()])
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
    follower = PipeFollower(source, tee=[tee])
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
