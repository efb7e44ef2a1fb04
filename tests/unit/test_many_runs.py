"""Many runs judged at once give what each gives alone, in any number of processes."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from rldk.adapters.explore import Look
from rldk.cards.wire import document
from rldk.core.model import Report
from rldk.diagnosis import diagnose, diagnose_all, looks, many
from rldk.diagnosis.many import Wanted, judge_paths
from rldk.errors import ConfigError, NotALog, UnknownName, UsageError


def _log(path: Path, rows: int = 30, reward: float = 1.0, *, name: str = "metrics.jsonl") -> Path:
    path.mkdir(parents=True, exist_ok=True)
    lines = [{"step": i, "reward_mean": reward + 0.01 * (i % 3), "kl": 0.02 + 0.001 * (i % 2)} for i in range(rows)]
    (path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for i in range(4):
        _log(tmp_path / f"seed_{i}", reward=float(i))
    (tmp_path / "seed_0" / "notes.txt").write_text("a note\n")
    (tmp_path / "README.md").write_text("about these runs\n")
    return tmp_path


def _plain(reports: list[Report]) -> list[object]:
    return [document(report) for report in reports]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_directory_is_judged_as_diagnose_all_does(runs: Path, jobs: int) -> None:
    begun: list[str] = []
    judged = judge_paths([str(runs)], Wanted(), jobs, begin=begun.append)
    assert _plain(judged.reports) == _plain(diagnose_all(str(runs)))
    assert len(begun) == 5  # the look into the directory, and each run
    assert len(judged.seconds) == 4
    assert not judged.failures


@pytest.mark.slow
def test_two_processes_that_share_the_look_say_the_same_in_the_same_order(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "PIECE", 3)
    for i in range(4, 9):
        _log(runs / f"seed_{i}", rows=20 + i, reward=float(i))
    _log(runs / "seed_1", name="metrics_1.jsonl")
    (runs / "seed_3" / "empty.log").touch()
    (runs / "seed_3" / "there.txt").symlink_to(runs / "README.md")
    two, one = (judge_paths([str(runs), str(runs / "seed_3")], Wanted(), jobs) for jobs in (2, 1))
    assert json.dumps(_plain(two.reports)) == json.dumps(_plain(one.reports))
    assert len(two.reports) == 11


def _ends_at_notes(piece: looks._Piece) -> list[Look]:
    if any(path.name == "notes.txt" for path in piece.paths):
        os._exit(9)
    return _true_look(piece)


_true_look = looks.look_at


@pytest.mark.slow
def test_a_file_that_ends_the_process_that_looks_at_it_costs_no_run_its_report(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "PIECE", 3)
    monkeypatch.setattr(looks, "look_at", _ends_at_notes)
    judged = judge_paths([str(runs)], Wanted(), 2)
    assert [report.meta["run"] for report in judged.reports] == [f"seed_{i}" for i in range(4)]
    assert judged.reports[0].meta["left_out"][str(runs / "seed_0" / "notes.txt")] == looks.DIED


def test_the_last_pieces_are_smaller_on_several_processes() -> None:
    most = [many._most(left, 400, 2) for left in (400, 128, 100, 60, 20, 1)]
    assert most == [32, 32, 25, 15, 8, 8]
    assert [many._most(left, 400, 1) for left in (400, 1)] == [32, 32]
    assert many._most(3, 7, 2) == 1


def test_small_runs_are_batched_and_a_large_one_is_alone() -> None:
    group: Any = object()
    sizes = [10, 20, many.SMALL_BYTES + 1, 30, 40, 50]
    tasks = [many._Task(path="p", name=str(size), group=group) for size in sizes]
    batches = many._batches(tasks, lambda left: 2, lambda task: int(task.name))
    assert [[int(task.name) for task in batch] for batch in batches] == [[10, 20], [sizes[2]], [30, 40], [50]]


def _ends_at_seed_2(batch: tuple[many._Task, ...]) -> list[many._Done]:
    if any("seed_2" in task.name for task in batch):
        os._exit(9)  # as a process that the system ends for want of memory
    return _true_work(batch)


_true_work = many._work


@pytest.mark.slow
def test_a_run_that_ends_its_process_costs_no_run_of_its_batch_its_report(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4, 16):
        _log(runs / f"seed_{i}", reward=float(i))
    monkeypatch.setattr(many, "_work", _ends_at_seed_2)
    judged = judge_paths([str(runs)], Wanted(), 2)
    assert [report.meta["run"] for report in judged.reports] == sorted(f"seed_{i}" for i in range(16) if i != 2)
    assert [Path(failure.source).name for failure in judged.failures] == ["seed_2"]


def test_a_file_left_out_is_named_by_the_run_in_whose_directory_it_lies(runs: Path) -> None:
    told = {r.meta["run"]: sorted(map(Path, r.meta["left_out"])) for r in judge_paths([str(runs)], Wanted()).reports}
    assert told["seed_0"] == [runs / "README.md", runs / "seed_0" / "notes.txt"]
    assert sum(map(len, told.values())) == 2


def test_one_run_below_a_path_keeps_the_path_as_its_source(tmp_path: Path) -> None:
    _log(tmp_path / "run")
    (report,) = judge_paths([str(tmp_path / "run")], Wanted()).reports
    assert document(report) == document(diagnose(str(tmp_path / "run")))
    assert report.meta["source"] == str(tmp_path / "run")


def test_what_cannot_be_read_hides_nothing(runs: Path, tmp_path: Path) -> None:
    lost, empty = tmp_path / "nowhere", tmp_path / "x.txt"
    empty.write_text("no log at all\n")
    judged = judge_paths([str(lost), str(runs / "seed_1"), str(empty)], Wanted())
    assert len(judged.reports) == 1
    assert [(f.source, f.error.exit_code) for f in judged.failures] == [(str(lost), 3), (str(empty), 3)]


def test_a_malformed_line_in_strict_mode_is_a_failure_beside_the_other_runs(runs: Path) -> None:
    with (runs / "seed_2" / "metrics.jsonl").open("a") as log:
        log.write("{broken\n")
    judged = judge_paths([str(runs)], Wanted(strict=True))
    assert len(judged.reports) == 3
    assert [type(f.error).__name__ for f in judged.failures] == ["MalformedInput"]
    assert len(judge_paths([str(runs)], Wanted()).reports) == 4


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_error_of_the_user_ends_it(runs: Path, jobs: int) -> None:
    with pytest.raises(UsageError):
        judge_paths([str(runs)], Wanted(select="NOPE999"), jobs)
    with pytest.raises(UnknownName):
        judge_paths([str(runs)], Wanted(adapter="nope"), jobs)


@pytest.mark.slow
def test_a_terminal_keeps_the_curves_that_lead_incidents_and_a_page_all(runs: Path) -> None:
    path = _log(runs / "broken", rows=60) / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, "kl": 9.0 if row["step"] > 40 else row["kl"]}) + "\n" for row in lines))
    few = {r.meta["run"]: set(r.meta["series"]) for r in judge_paths([str(runs)], Wanted(curves=False)).reports}
    assert few["broken"] == {"kl"}
    assert few["seed_1"] == set()
    assert all(r.meta["series"] for r in judge_paths([str(runs)], Wanted()).reports)


@pytest.mark.parametrize(
    "error", [NotALog("no log", hint="look"), UnknownName("rule", "KL01", ["KL001"]), ConfigError("key", hint="x")]
)
def test_errors_reach_another_process_whole(error: UsageError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
