"""Logs that a command writes into a folder of its own choice: what is new is kept, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rldk.engine.replicas import written
from rldk.engine.replicas.written import files_of, keep_written


def kept(folder: Path, change: Callable[[], object]) -> dict[str, str]:
    """What is kept of a command that makes this change."""
    out = folder / "out"
    out.mkdir()
    before = files_of(folder, out)
    change()
    count = keep_written(folder, before, out, out / "kept")
    found = {p.relative_to(out / "kept").as_posix(): p.read_text() for p in (out / "kept").rglob("*") if p.is_file()}
    assert len(found) == count
    return found


def test_what_was_there_before_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("old")
    assert kept(tmp_path, lambda: (tmp_path / "new.csv").write_text("new")) == {"new.csv": "new"}


def test_of_a_log_that_grew_the_new_lines_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "a" / "log.jsonl"
    log.parent.mkdir()
    log.write_text("1\n")

    def append() -> None:
        with log.open("a") as stream:
            stream.write("2\n")

    assert kept(tmp_path, append) == {"a/log.jsonl": "2\n"}
    assert log.read_text() == "1\n2\n"


def test_a_log_that_was_written_anew_is_kept_whole(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("1\n")

    def write_anew() -> None:
        log.unlink()
        (tmp_path / "other.txt").write_text("takes the inode")
        log.write_text("3\n4\n")

    assert kept(tmp_path, write_anew)["log.jsonl"] == "3\n4\n"


def test_links_and_hidden_folders_are_not_followed(tmp_path: Path) -> None:
    def link() -> None:
        (tmp_path / "passwd.txt").symlink_to("/etc/passwd")
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "log.txt").write_text("x")
        (tmp_path / "all").symlink_to("/etc")

    assert kept(tmp_path, link) == {}


def test_the_number_and_the_size_of_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "MAX_KEPT", 3)
    monkeypatch.setattr(written, "MAX_BYTES", 10)

    def write() -> None:
        for n in range(9):
            (tmp_path / f"{n}.csv").write_text("x" * (5 if n else 50))

    assert set(kept(tmp_path, write)) == {"1.csv", "2.csv", "3.csv"}


def test_a_folder_without_end_is_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "MAX_WALKED", 5)
    for n in range(9):
        (tmp_path / f"{n}.csv").write_text("x")
    assert files_of(tmp_path, tmp_path / "out") == {}
