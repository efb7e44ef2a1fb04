"""What is cut when a replica has written too much: its own files, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from rldk.engine.replicas.running import KEPT, folder_size, shorten_files


def test_only_large_files_of_the_folder_itself_are_cut(tmp_path: Path) -> None:
    user, folder = tmp_path / "data.bin", tmp_path / "out"
    folder.mkdir()
    user.write_bytes(b"x" * (KEPT + 1))
    (folder / "big").write_bytes(b"y" * (3 * KEPT))
    (folder / "small").write_bytes(b"z" * 10)
    (folder / "link").symlink_to(user)
    (folder / "hard").hardlink_to(user)
    os.mkfifo(folder / "pipe")
    shorten_files(folder)
    assert user.stat().st_size == KEPT + 1
    assert (folder / "big").read_bytes() == b"y" * KEPT
    assert (folder / "small").read_bytes() == b"z" * 10


def test_holes_take_no_space(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 30)
    assert folder_size(tmp_path, 1 << 40) < 1 << 20
