from __future__ import annotations

import gzip
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.source import HEAD_BYTES, File
from rldk.core.lines import LineSplitter


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
