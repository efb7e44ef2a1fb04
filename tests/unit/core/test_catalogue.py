"""Run directories: which there are, and what each says; one that is broken hides no other."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk.core import catalogue
from rldk.core.catalogue import TAIL_BYTES, StoredVerdict, chosen_run, find_runs, outcome
from rldk.core.manifest import Manifest, RunProcess, timestamp, write_manifest
from rldk.core.rundir import RunDirectory
from rldk.errors import UnreadableSource


def made(folder: Path, **said: Any) -> Path:
    folder.mkdir(parents=True)
    write_manifest(folder, Manifest(**said))
    return folder


def names(root: Path) -> list[str]:
    return [str(run.directory.path.relative_to(root)) for run in find_runs(root).runs]


def test_runs_come_newest_first_by_the_moment_they_began(tmp_path: Path) -> None:
    made(tmp_path / "old", started_at="2026-01-02T03:04:05Z")
    made(tmp_path / "p" / "new", started_at="2026-01-02T06:04:05+02:00")
    made(tmp_path / "p" / "older", started_at="2026-01-02T03:04:06+02:00")
    assert names(tmp_path) == ["p/new", "old", "p/older"]


def test_a_run_that_does_not_say_when_has_the_time_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "metrics.jsonl").touch()
    os.utime(tmp_path / "a" / "metrics.jsonl", (1e9, 1e9))
    made(tmp_path / "b", started_at="yesterday")
    os.utime(tmp_path / "b" / "run.json", (1e9 + 1, 1e9 + 1))
    assert [run.when for run in find_runs(tmp_path).runs] == [timestamp(1e9 + 1), timestamp(1e9)]


def test_what_makes_a_folder_a_run(tmp_path: Path) -> None:
    for name in ("run.json", "metrics.jsonl", "alerts.jsonl", "report.json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("{}")
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "train.log").touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "run.json").touch()
    made(tmp_path / "outer" / "r")
    made(tmp_path / "outer" / "r" / "inner")
    (tmp_path / "link").symlink_to(tmp_path / "outer")
    assert sorted(names(tmp_path)) == ["alerts.jsonl", "metrics.jsonl", "outer/r", "report.json", "run.json"]
    assert names(tmp_path / "outer" / "r") == ["."]


def test_the_state_of_a_run(tmp_path: Path) -> None:
    gone = RunProcess(pid=2**31 - 1, host=os.uname().nodename)
    made(tmp_path / "crashed", status="running", process=gone)
    made(tmp_path / "finished", status="finished")
    made(tmp_path / "unknown")
    (tmp_path / "future").mkdir()
    (tmp_path / "future" / "run.json").write_text('{"schema_version": 9}')
    (tmp_path / "reported").mkdir()
    (tmp_path / "reported" / "report.json").write_text("{}")
    states = {run.directory.path.name: run.state for run in find_runs(tmp_path).runs}
    assert states == {
        "crashed": "crashed", "finished": "finished", "unknown": "unknown", "future": "unreadable",
        "reported": "finished",
    }  # fmt: skip


@each_of("content", [b"", b"[" * 100_000, b"\xff", b'{"schema_version": 9}', b"{" * 10])
def test_a_run_that_cannot_be_read_hides_no_other(content: bytes, tmp_path: Path) -> None:
    made(tmp_path / "fine")
    (tmp_path / "broken").mkdir()
    for name in ("run.json", "report.json", "metrics.jsonl"):
        (tmp_path / "broken" / name).write_bytes(content)
    found = {run.directory.path.name: run for run in find_runs(tmp_path).runs}
    assert (found["fine"].problem, found["broken"].state) == ("", "unreadable")
    assert outcome(found["broken"].directory) == StoredVerdict()


def test_a_folder_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "fine")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path: Path) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = find_runs(tmp_path)
    assert ([run.run_id for run in found.runs], found.closed) == (["fine"], (str(tmp_path / "closed"),))
    with pytest.raises(UnreadableSource, match="cannot open"):
        find_runs(tmp_path / "closed")


@pytest.mark.parametrize(("most", "found", "complete"), [(4, 3, True), (3, 2, False)])
def test_so_many_folders_are_looked_into(
    most: int, found: int, complete: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        made(tmp_path / name)
    monkeypatch.setattr(catalogue, "MOST", most)
    listed = find_runs(tmp_path)
    assert (len(listed.runs), listed.complete, listed.looked) == (found, complete, most)


@pytest.mark.parametrize(("depth", "found"), [(6, 1), (7, 0)])
def test_a_run_lies_at_most_so_deep(depth: int, found: int, tmp_path: Path) -> None:
    made(tmp_path.joinpath(*"abcdefg"[:depth]))
    assert len(find_runs(tmp_path).runs) == found


def test_the_last_step_is_that_of_the_report_or_of_the_last_whole_record(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert outcome(run).last_step is None
    run.metrics.write_text('{"step": 7, "kl": 0.1}\n{"step": true}\n{"step": 1e3}\n[8]\n{"step": 9, "k')
    assert outcome(run).last_step == 7
    run.report.write_text(json.dumps({"health": "warn", "verdict": "Bad.", "last_step": 40, "runs": [{"health": 1}]}))
    assert outcome(run) == StoredVerdict(last_step=40, health="warn", verdict="Bad.")


@pytest.mark.parametrize(("beyond", "step"), [(0, 3), (1, None)])
def test_only_the_end_of_a_log_is_read(beyond: int, step: int | None, tmp_path: Path) -> None:
    record = b'{"step": 3}\n'
    (tmp_path / "metrics.jsonl").write_bytes(b"\n" * 100 + record + b" " * (TAIL_BYTES - len(record) + beyond))
    assert outcome(RunDirectory(tmp_path)).last_step == step


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("metrics.jsonl", "run.json", "report.json"):
        os.mkfifo(tmp_path / name)
    (run,) = find_runs(tmp_path).runs
    assert (run.state, outcome(run.directory)) == ("unknown", StoredVerdict())


def test_a_run_is_chosen_by_path_by_name_and_by_id(tmp_path: Path) -> None:
    made(tmp_path / "p" / "a", run_id="x", started_at="2026-01-01T00:00:00Z")
    newer = made(tmp_path / "q" / "a", started_at="2026-02-01T00:00:00Z")
    assert chosen_run(str(tmp_path / "p" / "a"), tmp_path).run_id == "x"
    assert chosen_run("a", tmp_path).directory.path == newer
    assert chosen_run("x", tmp_path).run_id == "x"
    with pytest.raises(UnreadableSource, match="no run is called 'y'"):
        chosen_run("y", tmp_path)
    with pytest.raises(UnreadableSource, match="no run is called"):
        chosen_run("y", tmp_path / "absent")


def test_a_chosen_run_shows_no_secret_of_another_tools_manifest(tmp_path: Path) -> None:
    said = {"config": {"api_key": "SEKRIT"}, "command": ["t.py", "--api-key", "SEKRIT"], "mine": {"password": "SEKRIT"}}
    (tmp_path / "run.json").write_text(json.dumps(said))
    assert "SEKRIT" not in repr(chosen_run(str(tmp_path), tmp_path))


@pytest.mark.slow
def test_many_thousand_runs_are_listed_in_seconds(tmp_path: Path) -> None:
    for number in range(5_000):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "run.json").write_text('{"schema_version": 1, "started_at": "2026-01-01T00:00:00Z"}')
    began = time.process_time()
    assert len(find_runs(tmp_path).runs) == 5_000
    assert time.process_time() - began < 20
