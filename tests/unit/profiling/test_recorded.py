"""Files of a profiled process are not trusted: what is no record is counted and left out."""

from __future__ import annotations

import json
from pathlib import Path

from rldk.profiling.evidence import ProfileEvidence, phase_times, step_seconds
from rldk.profiling.hot_lines import hot_lines, hottest_function
from rldk.profiling.recorded import StackFile, StackPlace, recorded_processes


def _line(kind: str, seconds: list[float], **phases: float) -> str:
    return json.dumps({"kind": kind, "at": 1.0, "seconds": seconds, "phases": phases, "counts": {}})


def _evidence(folder: Path) -> ProfileEvidence:
    return ProfileEvidence(
        processes=recorded_processes(folder), samples=[], gpus=0, missing={}, folder=folder, seconds=1.0
    )


def test_the_process_with_steps_comes_first_and_its_first_step_does_not_count(tmp_path: Path) -> None:
    steps = [_line("start-up", [], **{"start-up": 9.0}), _line("steps", [50.0], train=50.0)]
    steps += [_line("steps", [2.0], train=1.5, reward=0.5)] * 5
    (tmp_path / "process-7.phases.jsonl").write_text("\n".join(steps))
    (tmp_path / "process-3.phases.jsonl").write_text(_line("rest", [], **{"start-up": 500.0}))
    evidence = _evidence(tmp_path)
    assert [(one.pid, one.steps) for one in evidence.processes] == [(7, 6), (3, 0)]
    assert step_seconds(evidence) == [2.0] * 5
    assert [(one.name, one.share, one.per_step) for one in phase_times(evidence)] == [
        ("train", 0.75, 1.5), ("reward", 0.25, 0.5),
    ]  # fmt: skip


def test_hostile_lines_are_refused(tmp_path: Path) -> None:
    lines = [
        _line("steps", [1.0], train=1.0), "", "[1]", "{", '{"kind": 5, "at": 1}', _line("steps", [-1.0]),
        '{"kind":"steps","at":1,"seconds":[1e999]}', "\x00" * 50, '{"kind": "steps", "at": 1.0, "seconds": [1',
    ]  # fmt: skip
    (tmp_path / "process-abc.phases.jsonl").write_text("\n".join(lines))
    (tmp_path / "process-abc.stacks.json").write_text('{"each_s": "x"}')
    (tmp_path / "process-abc.operations.json").mkdir()
    (found,) = recorded_processes(tmp_path)
    assert (found.pid, found.steps, found.refused, found.stacks, found.operations) == (0, 1, 8, None, None)


def test_an_empty_folder_has_no_phases(tmp_path: Path) -> None:
    assert phase_times(_evidence(tmp_path)) == ()


def _place(phase: str, count: int, function: str, line: int, inner: str = "") -> StackPlace:
    return StackPlace(phase=phase, count=count, inner=inner, stack=[("/x/train.py", function, line, 3)])


def test_untimed_looks_are_told_apart_by_the_names_of_functions() -> None:
    places = [_place("start-up", 6, "compute_rewards", 5), _place("start-up", 3, "f", 9), _place("start-up", 1, "f", 8)]
    stacks = StackFile(each_s=0.01, total=10, places=places)
    assert hottest_function(stacks, "reward") == ("compute_rewards (/x/train.py:3)", 1.0)
    assert [(one.where, one.share, one.phase) for one in hot_lines(stacks, start=True)] == [
        ("/x/train.py:5", 0.6, "reward"), ("/x/train.py:9", 0.3, "start-up"), ("/x/train.py:8", 0.1, "start-up"),
    ]  # fmt: skip


def test_a_call_of_a_trainer_outside_of_functions_is_not_named_as_the_place() -> None:
    stacks = StackFile(each_s=0.01, total=9, places=[_place("train", 9, "<module>", 3, inner="torch")])
    assert hottest_function(stacks, "train") is None
