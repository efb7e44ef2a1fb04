"""Which processes carry a mark: those of a folder that is laid out as /proc is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rldk.engine.processes import marked
from rldk.engine.processes.identity import Process


def test_a_mark_is_read_from_every_process_but_the_first_and_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = f"{marked.MARK}=abc".encode()
    places = {"1": mark, "2": mark, "77": b"A=1\0" + mark + b"\0B=2", "78": mark + b"d", "79": b"A=1", "self": mark}
    for name, environ in {**places, str(os.getpid()): mark}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "environ").write_bytes(environ)
    (tmp_path / "80").mkdir()  # ended in the meantime
    monkeypatch.setattr(marked, "PROC", tmp_path)
    monkeypatch.setattr(marked, "identify", lambda pid: Process(pid=pid, parent=1, group=pid, start=""))
    assert sorted(one.pid for one in marked.marked("abc")) == [2, 77]
    assert marked.marked("another") == []
    monkeypatch.setattr(marked, "PROC", tmp_path / "none")
    assert marked.marked("abc") == []
