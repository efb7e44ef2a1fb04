from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rldk.outage import MOST_NAMED, MOST_TOLD, Outage, to_stderr


def _raising(number: int) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


def _fine() -> None: ...


def _outage() -> tuple[Outage, list[str]]:
    said: list[str] = []
    return Outage(said.append, effect="Rows are lost; the training goes on."), said


def test_the_first_file_that_fails_speaks_for_all(tmp_path: Path) -> None:
    outage, said = _outage()
    for name in ("a", "b", "a"):
        assert outage.attempt(tmp_path / name, _raising(errno.ENOSPC)) is False
    assert said == [
        f"cannot write {tmp_path / 'a'}: No space left on device. Rows are lost; the training goes on. Free some "
        "space: rldk tries again by itself, and says this once for all files of the run"
    ]
    assert outage.missing == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EROFS, "Make the folder writable"),
        (errno.EACCES, "Make the folder writable"),
        (errno.ENOENT, "Put the folder back"),
        (errno.ENOTDIR, "Move the file that is in the place of the folder"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_each_reason_has_its_advice(number: int, advice: str) -> None:
    outage, said = _outage()
    outage.attempt("a", _raising(number))
    assert f"goes on. {advice}: rldk tries" in said[0]


def test_an_outage_ends_when_every_file_can_be_written_and_the_gap_is_told(tmp_path: Path) -> None:
    outage, said = _outage()
    for step in (4, 5, 6):
        outage.attempt(tmp_path / "a", _raising(errno.ENOSPC), step=step)
    outage.attempt(tmp_path / "b", _raising(errno.ENOSPC), step=6)
    outage.attempt(tmp_path / "a", _fine)
    outage.attempt(tmp_path / "c", _fine)
    assert len(said) == 1
    outage.attempt(tmp_path / "b", _fine)
    assert said[1:] == [
        f"{tmp_path / 'b'} can be written again; missing: 3 records of a (steps 4 to 6), 1 record of b (step 6)"
    ]
    assert outage.missing == {"a": 3, "b": 1}


def test_a_file_below_a_folder_that_could_not_be_made_ends_its_outage(tmp_path: Path) -> None:
    outage, said = _outage()
    outage.attempt(tmp_path / "out", _raising(errno.EACCES), records=0)
    outage.attempt(tmp_path / "out" / "a", _fine)
    assert said[1:] == [f"{tmp_path / 'out' / 'a'} can be written again; nothing is missing"]


def test_a_file_that_is_written_once_is_counted_and_awaited_by_nobody() -> None:
    outage, said = _outage()
    outage.attempt("report.json", _raising(errno.ENOSPC), once=True)
    outage.attempt("a", _raising(errno.ENOSPC))
    outage.attempt("a", _fine)
    assert len(said) == 2
    assert said[1] == "a can be written again; missing: 1 record of report.json, 1 record of a"
    for name in ("b.json", "c.json"):
        outage.attempt(name, _raising(errno.EFBIG), once=True)
        outage.attempt("a", _fine)
    assert len(said) == 3, "whether the second is the same outage cannot be known"
    outage.attempt("a", _raising(errno.ENOSPC))
    assert len(said) == 4, "another error is another outage"


def test_so_many_outages_are_told_and_no_more() -> None:
    outage, said = _outage()
    for _ in range(MOST_TOLD + 2):
        outage.attempt("a", _raising(errno.ENOSPC))
        outage.attempt("a", _fine)
    assert len(said) == 2 * MOST_TOLD
    assert outage.missing == {"a": MOST_TOLD + 2}


def test_a_gap_in_many_files_names_the_first() -> None:
    for more, told in ((0, ""), (1, ", records of 1 other files")):
        outage, said = _outage()
        for number in range(MOST_NAMED + more):
            outage.attempt(f"f{number}", _raising(errno.ENOSPC))
        for number in range(MOST_NAMED + more):
            outage.attempt(f"f{number}", _fine)
        assert said[1].endswith(f"1 record of f{MOST_NAMED - 1}{told}")


def test_an_error_of_another_kind_is_raised() -> None:
    outage, said = _outage()
    with pytest.raises(ZeroDivisionError):
        outage.attempt("a", lambda: 1 / 0)
    assert said == []


def test_a_short_record_that_fits_on_a_full_disk_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [0]
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=free[0]))
    outage, said = _outage()
    for _ in range(3):
        outage.attempt(tmp_path / "a", _raising(errno.ENOSPC))
        outage.attempt(tmp_path / "a", _fine)
    assert len(said) == 1
    free[0] = 1
    outage.attempt(tmp_path / "a", _fine)
    assert said[1] == f"{tmp_path / 'a'} can be written again; missing: 3 records of a"


def test_a_lost_stderr_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    to_stderr("text")
