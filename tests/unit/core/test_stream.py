from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.source import HEAD_BYTES, MAX_HEAD, File
from rldk.core.lines import LineSplitter
from rldk.core.stream import ALLOWED, BrokenStream, chunks


def test_the_head_of_a_cut_archive_is_what_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    text = os.urandom(40_000).hex().encode()
    path.write_bytes(gzip.compress(text)[:20_000])
    assert text.startswith(File(path).head)
    assert len(File(path).head) > 10_000


def test_a_damaged_archive_has_no_head(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\x1f\x8b" + b"not an archive" * 10)
    assert File(path).head == b""


def test_the_head_is_decompressed_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log"
    text = b'{"step": 1}\n' * 100_000
    path.write_bytes(gzip.compress(text))
    assert text.startswith(File(path).head)
    assert HEAD_BYTES <= len(File(path).head) <= 2 * HEAD_BYTES


def test_the_head_holds_two_lines_however_long_within_reason(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 300_000 + b"\n" + b"y" * 300_000 + b"\n" + b"z" * 300_000)
    assert File(path).head.count(b"\n") == 2
    path.write_bytes(b"x" * 3_000_000)
    assert len(File(path).head) == MAX_HEAD


@pytest.mark.parametrize(("data", "text"), [(b"a\nb" + b"\0" * 9000, True), (b"a\0\nb", False), (b"\0" * 9000, False)])
def test_what_a_crash_left_unwritten_does_not_make_a_log_binary(tmp_path: Path, data: bytes, text: bool) -> None:
    path = tmp_path / "log"
    path.write_bytes(data)
    assert File(path).is_text is text


@pytest.mark.slow
def test_a_bomb_is_cut_where_no_log_would_go_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b"\0" * (ALLOWED + (8 << 20))))
    unpacked: list[bytes] = []
    with pytest.raises(BrokenStream, match="times its size"):
        unpacked.extend(chunks(path))
    assert ALLOWED <= sum(map(len, unpacked)) <= ALLOWED + (2 << 20)


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\n\n", b"d\ne", b""])))
def test_lines_do_not_depend_on_the_chunks(pieces: list[bytes]) -> None:
    whole, splitter, found = b"".join(pieces), LineSplitter(), []
    for batch in [*map(splitter.feed, pieces), splitter.finish()]:
        offset = batch.offset
        for i, line in enumerate(batch.lines):
            found.append((batch.number + i, offset, line))
            offset += len(line) + 1
    assert [line for _, _, line in found] == whole.split(b"\n")[: len(found)]
    assert all(whole[offset:].startswith(line) and whole[:offset].count(b"\n") == n - 1 for n, offset, line in found)


@pytest.mark.slow
def test_equal_rows_are_cut_by_the_part_of_the_archive_that_was_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b'{"step": 1, "reward": 0.5}\n' * 1_000_000 + os.urandom(400_000)))
    unpacked: list[bytes] = []
    with pytest.raises(BrokenStream, match="unpacks to over 100 times its size"):
        unpacked.extend(chunks(path))
    assert ALLOWED <= sum(map(len, unpacked)) <= ALLOWED + (2 << 20)
