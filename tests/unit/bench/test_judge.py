"""Judging in processes: one that dies costs its own run only."""

from __future__ import annotations

import json
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rldk.bench import judge as module
from rldk.bench.cases import find_cases
from rldk.bench.judge import Result, RuleChoice, judge_all
from rldk.core.model import Finding
from rldk.engine import executors


class Pool:
    """Stands for a pool of processes in which the run called "fatal" ends its process."""

    ended: ClassVar[list[bool]] = []

    def __init__(self, *_: Any) -> None:
        self.broken = False

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def shutdown(self, *, cancel_futures: bool = False) -> None:
        self.ended.append(cancel_futures)

    def submit(self, work: Any, case: Any) -> Future[Result]:
        future: Future[Result] = Future()
        self.broken = self.broken or case.name == "fatal"
        if self.broken:
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result(module.judge(case, RuleChoice().rules()))
        return future


def test_a_run_that_ends_its_process_is_a_failed_run_and_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(Pool, "ended", [])
    for name in ("fatal", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "label.json").write_text('{"fault": "none"}')
        rows = ({"step": i, "loss": 1 / i, "reward": float(i % 7)} for i in range(1, 40))
        (tmp_path / name / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    begun: list[str] = []
    fatal, other = judge_all(find_cases(tmp_path), RuleChoice(), jobs=2, begin=begun.append)
    assert (fatal.run, fatal.error, fatal.rows) == ("fatal", "the process that judged it died", 0)
    assert (other.run, other.error, other.rows) == ("other", "", 39)
    assert begun == ["fatal", "other"]
    assert Pool.ended == [True, True]  # the one that broke, and the last: what has not begun is not waited for


def test_a_run_that_ends_rldk_is_a_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "label.json").write_text('{"fault": "none"}')
    (tmp_path / "m.jsonl").write_text("".join(json.dumps({"step": i, "loss": 1.0}) + "\n" for i in range(1, 9)))
    (case,) = find_cases(tmp_path)

    def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(module, "scan", broken)
    failed = module.judge(case, ())
    assert (failed.error, failed.exit_code, failed.rows, failed.label) == ("KeyError: 'x'", 5, 0, case.label)


def test_a_finding_without_a_step_counts_from_the_start() -> None:
    finding = Finding(
        code="CFG001", name="x", family="CFG", severity="warn", tier=0, first_step=None, last_step=None, metric="",
        value=None, limit=None, message="it is off",
    )  # fmt: skip
    said = module._short(finding)
    assert (said.first_step, said.code, said.family, said.message) == (0, "CFG001", "CFG", "it is off")
