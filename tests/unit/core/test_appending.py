from __future__ import annotations

import os
from pathlib import Path

import pytest

from rldk.core import appending
from rldk.core.appending import AppendedFile
from rldk.outage import Outage


def _file(path: Path) -> tuple[AppendedFile, list[str]]:
    said: list[str] = []
    return AppendedFile(path, Outage(said.append)), said


def test_a_torn_last_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("whole\nto")
    file, _ = _file(tmp_path / "a")
    file.append("next")
    assert (tmp_path / "a").read_text() == "whole\nto\nnext\n"


def test_what_cannot_be_written_waits_in_order_and_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    file, said = _file(tmp_path / "d")
    assert [file.append("one"), file.append("two")] == [False, False]
    (tmp_path / "d").rmdir()
    assert file.append("three")
    assert (tmp_path / "d").read_text() == "one\ntwo\nthree\n"
    assert len(said) == 2
    assert said[1].endswith("can be written again; nothing is missing")


def test_what_is_lost_at_the_end_is_counted(tmp_path: Path) -> None:
    file, said = _file(tmp_path)
    file.append("one")
    file.close()
    assert (file.lost, file.waiting, len(said)) == (1, 0, 1)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    reader = os.open(tmp_path / "p", os.O_RDONLY | os.O_NONBLOCK)
    file, said = _file(tmp_path / "p")
    file.append("one")
    assert os.read(reader, 100) == b"one\n"
    assert said == []
    os.close(reader)
    file.close()


def test_a_file_that_ends_with_a_whole_line_is_continued_without_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("whole\n")
    for text in ("one", "two"):
        file, _ = _file(tmp_path / "a")
        file.append(text)
        file.close()
    assert (tmp_path / "a").read_text() == "whole\none\ntwo\n"


def test_a_new_file_may_be_read_by_all_and_written_by_its_owner(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        file, _ = _file(tmp_path / "a")
        file.append("one")
    finally:
        os.umask(before)
    file.close()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_as_many_lines_wait_as_may_and_then_the_oldest_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert appending.MAX_WAITING == 10_000
    monkeypatch.setattr(appending, "MAX_WAITING", 40)  # each line that waits is tried again with each that comes
    (tmp_path / "d").mkdir()
    file, _ = _file(tmp_path / "d")
    for number in range(40):
        file.append(str(number))
    assert (file.waiting, file.lost) == (40, 0)
    file.append("more")
    assert (file.waiting, file.lost) == (40, 1)
    (tmp_path / "d").rmdir()
    assert file.retry()
    lines = (tmp_path / "d").read_text().split()
    assert (len(lines), lines[0], lines[-1]) == (40, "1", "more")
