from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.live.tail import NUL_S, SHORT_S, Cursor, FileFollower
from rldk.errors import UnreadableSource, UsageError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


def drained(follower: FileFollower) -> bytes:
    """What there is now; the file that took over a name is seen at the second look."""
    return b"".join(follower.poll() for _ in range(5))


def line(i: int) -> bytes:
    return b'{"step":%d}\n' % i


def test_whole_lines_are_given_once_and_a_torn_one_waits(log: Path) -> None:
    append(log, line(1) + b'{"st')
    follower = FileFollower(log)
    assert (drained(follower), drained(follower)) == (line(1), b"")
    append(log, b'ep":2}\n')
    assert drained(follower) == line(2)


def test_a_file_that_appears_later_is_read_from_its_beginning(log: Path) -> None:
    follower = FileFollower(log)
    assert (follower.poll(), follower.cursor) == (b"", None)
    append(log, line(1))
    assert follower.poll() == line(1)


def test_a_renamed_file_is_read_to_its_end_first(log: Path) -> None:
    follower = FileFollower(log)
    append(log, line(1))
    assert follower.poll() == line(1)
    old = log.rename(log.with_name("metrics.jsonl.1"))
    append(old, line(2) + b'{"torn')
    append(log, line(3))
    assert drained(follower) == line(2) + b'{"torn' + b"\n" + line(3)
    assert follower.changes == {"rotated": 1}


@pytest.mark.parametrize("new", [line(7), line(7) * 50], ids=["shorter", "longer"])
def test_a_truncated_file_is_read_from_its_beginning(log: Path, new: bytes) -> None:
    clock = Clock()
    follower = FileFollower(log, clock=clock)
    append(log, line(1) * 20)
    drained(follower)
    log.write_bytes(new)
    first = drained(follower)
    clock.now += 2 * SHORT_S
    assert first + drained(follower) == new
    assert follower.changes == {"truncated": 1, "unseen": 1}


def test_a_file_that_seems_short_for_a_moment_is_not_read_again(log: Path) -> None:
    clock = Clock()
    follower = FileFollower(log, clock=clock)
    append(log, line(1) * 20)
    drained(follower)
    os.truncate(log, 5)  # as a network file system with an old size shows it
    assert drained(follower) == b""
    log.write_bytes(line(1) * 20 + line(2))
    clock.now += 2 * SHORT_S
    assert drained(follower) == line(2)


def test_a_writer_that_goes_on_behind_a_truncation_leaves_no_hole(log: Path) -> None:
    follower = FileFollower(log)
    with log.open("wb") as writer:
        writer.write(line(1) * 5000)
        writer.flush()
        drained(follower)
        os.truncate(log, 0)
        writer.write(line(2))
        writer.flush()
        assert drained(follower) == line(2)


def test_nuls_where_data_is_due_are_waited_for_but_not_for_ever(log: Path) -> None:
    clock = Clock()
    follower = FileFollower(log, clock=clock)
    append(log, line(1) + bytes(10) + b"\n" + line(2))
    assert drained(follower) == line(1)
    data = log.read_bytes()
    clock.now += NUL_S / 2
    log.write_bytes(data.replace(bytes(10), b"x" * 10))
    assert drained(follower) == b"x" * 10 + b"\n" + line(2)
    append(log, bytes(10) + b"\n")
    assert drained(follower) == b""
    clock.now += 2 * NUL_S
    assert drained(follower) == bytes(10) + b"\n"


def test_a_longer_copy_in_its_place_goes_on(log: Path) -> None:
    follower = FileFollower(log)
    append(log, line(1) + line(2))
    drained(follower)
    copy = log.with_name("part")
    copy.write_bytes(line(1) + line(2) + line(3))
    copy.replace(log)
    assert drained(follower) == line(3)
    assert follower.changes == {"copied": 1}


def test_another_file_in_its_place_is_read_from_its_beginning(log: Path) -> None:
    follower = FileFollower(log)
    append(log, line(1))
    drained(follower)
    log.unlink()
    assert drained(follower) == b""
    log.write_bytes(line(8) + line(9))
    assert drained(follower) == line(8) + line(9)
    assert follower.changes == {"replaced": 1}


def resumed(follower: FileFollower, log: Path) -> FileFollower:
    cursor = follower.cursor
    assert cursor is not None
    follower.close()
    return FileFollower(log, cursor=Cursor.from_dict(cursor.to_dict()))


def test_a_cursor_goes_on_behind_the_last_whole_line(log: Path) -> None:
    append(log, line(1) + b'{"st')
    follower = FileFollower(log)
    drained(follower)
    append(log, b'ep":2}\n')
    again = resumed(follower, log)
    assert drained(again) == line(2)
    assert again.cursor is not None
    assert again.cursor.lines == 2


def test_a_cursor_knows_a_file_that_was_written_anew(log: Path) -> None:
    append(log, line(1) * 3)
    follower = FileFollower(log)
    drained(follower)
    with log.open("r+b") as stream:  # the same inode
        stream.write(line(5) * 4)
    assert drained(resumed(follower, log)) == line(5) * 4


def test_a_cursor_finds_what_was_rotated_away_meanwhile(log: Path) -> None:
    append(log, line(1))
    follower = FileFollower(log)
    drained(follower)
    append(log, line(2))
    log.rename(log.with_name("metrics.jsonl.1"))
    append(log, line(3))
    assert drained(resumed(follower, log)) == line(2) + line(3)


@pytest.mark.parametrize("change", [{"offset": -1}, {"offset": "7"}, {"tail_size": 10**9}, {"inode": None}])
def test_a_cursor_that_cannot_be_is_refused(log: Path, change: dict[str, object]) -> None:
    append(log, line(1))
    follower = FileFollower(log)
    drained(follower)
    assert follower.cursor is not None
    with pytest.raises(UsageError):
        Cursor.from_dict(follower.cursor.to_dict() | change)


@pytest.mark.parametrize("size", [5 << 20, 12 << 20])
def test_a_very_long_line_comes_whole(log: Path, size: int) -> None:
    follower = FileFollower(log)
    parts = [b"x" * (size // 4)] * 4
    given = b""
    for part in parts:
        append(log, part)
        given += drained(follower)
    append(log, b"\n" + line(1))
    assert given + drained(follower) == b"x" * size + b"\n" + line(1)


def test_the_rest_is_given_at_the_end(log: Path) -> None:
    append(log, line(1) + b'{"step":2}')
    follower = FileFollower(log)
    assert follower.finish() == line(1) + b'{"step":2}'
    assert follower.finish() == b""


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(log: Path, make: Callable[[Path], None]) -> None:
    follower = FileFollower(log)
    make(log)
    with pytest.raises(UnreadableSource):
        follower.poll()


@settings(max_examples=at_most(60), deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.binary(max_size=30).map(lambda b: b.replace(b"\0", b"")), st.sampled_from(["rotate", "resume", "look"])
        ),
        max_size=25,
    )
)
def test_nothing_is_lost_or_told_twice(steps: list[bytes | str], tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("tail") / "log"
    log.touch()
    follower, written, given, names = FileFollower(log), b"", b"", 0
    for step in steps:
        if isinstance(step, bytes):
            append(log, step)
            written += step
        given += drained(follower)
        if step == "rotate":
            names += 1
            log.rename(log.with_name(f"log.{names}"))
            log.touch()
            given += drained(follower)
            written += b"\n" if written and not written.endswith(b"\n") else b""
        elif step == "resume" and follower.cursor is not None:
            follower = resumed(follower, log)
    given += follower.finish()
    assert given == written


def copied_and_cut(log: Path, name: str = "metrics.jsonl.1") -> None:
    """As logrotate does with copytruncate: the writer keeps its open file."""
    log.with_name(name).write_bytes(log.read_bytes())
    os.truncate(log, 0)


@pytest.mark.parametrize("name", ["metrics.jsonl.1", "metrics.jsonl-20261129"])
@pytest.mark.parametrize("last", [b"", b'{"step":4', b'{"step":4}'])
def test_what_a_copy_held_when_the_file_was_cut_is_read(log: Path, name: str, last: bytes) -> None:
    clock = Clock()
    follower = FileFollower(log, clock=clock)
    append(log, line(1) + line(2))
    assert drained(follower) == line(1) + line(2)
    append(log, line(3) + last)
    copied_and_cut(log, name)
    append(log, line(5))
    drained(follower)
    clock.now += 2 * SHORT_S
    ends = last + b"\n" if last else b""
    assert drained(follower) + follower.finish() == line(3) + ends + line(5)
    assert follower.changes == {"truncated": 1, "read_from_copy": 1}


def test_a_file_that_is_cut_without_a_copy_may_have_lost_lines_and_another_file_is_no_copy(log: Path) -> None:
    clock = Clock()
    follower = FileFollower(log, clock=clock)
    append(log, line(1) + line(2))
    assert drained(follower) == line(1) + line(2)
    log.with_name("metrics.jsonl.1").write_bytes(line(7) + line(8) + line(9))  # of an earlier run
    os.truncate(log, 0)
    append(log, line(5))
    drained(follower)
    clock.now += 2 * SHORT_S
    assert drained(follower) == line(5)
    assert follower.changes == {"truncated": 1, "unseen": 1}


def test_a_copy_is_read_at_the_very_end_too(log: Path) -> None:
    clock = Clock()
    follower = FileFollower(log, clock=clock)
    append(log, line(1) + line(2))
    assert drained(follower) == line(1) + line(2)
    append(log, line(3))
    copied_and_cut(log)
    drained(follower)
    clock.now += 2 * SHORT_S
    assert follower.finish() == line(3)
