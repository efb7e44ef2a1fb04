"""A log that is not made of lines, followed while it is written in any way, gives what doctor finds at the end."""

from __future__ import annotations

import json
import math
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from examples import every, few
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rldk.adapters.live.reader import ReadOptions
from rldk.adapters.open import open_runs
from rldk.core.table import Row
from rldk.diagnosis import diagnose
from rldk.engine.actions.dispatch import Dispatcher
from rldk.engine.scan import rows_of, scan
from rldk.monitor.delivery import Delivery, Places
from rldk.monitor.state import MonitorState
from rldk.monitor.streams import StreamFeed
from rldk.monitor.watch import Watch
from rldk.rules.rule import rules

TESTS = Path(__file__).parents[1]
FIXTURES = TESTS / "fixtures"
RULES = tuple(r for r in rules if r.subject != "records")  # the monitor does not follow samples
PARTS = ("findings", "incidents", "checked", "skipped", "notes", "verdict")
Writer = Callable[[Path, Path, random.Random], Iterator[None]]


def appended(source: Path, target: Path, rng: random.Random) -> Iterator[None]:
    """In pieces, whatever they cut, as writers that flush whenever a buffer is full."""
    data = source.read_bytes()
    with target.open("ab", buffering=0) as stream:
        while data:
            size = rng.choice([1, 40, 1000, 9000, 70_000])
            stream.write(data[:size])
            data = data[size:]
            yield


def histories(source: Path, rng: random.Random) -> Iterator[str]:
    """The state at one checkpoint after the other, and at the end."""
    state = json.loads(source.read_text())
    rows = state["log_history"]
    end = 0
    while end < len(rows):
        end = min(len(rows), end + rng.choice([1, 3, 10]))
        yield json.dumps(state | {"log_history": rows[:end]}, indent=2)


def replaced(source: Path, target: Path, rng: random.Random) -> Iterator[None]:
    for text in histories(source, rng):
        other = target.with_name("new")
        other.write_text(text)
        other.replace(target)
        yield


def overwritten(source: Path, target: Path, rng: random.Random) -> Iterator[None]:
    for text in histories(source, rng):
        with target.open("w") as stream:
            cut = rng.randrange(len(text))
            stream.write(text[:cut])
            stream.flush()
            yield
            stream.write(text[cut:])
        yield


def checkpoints(source: Path, target: Path, rng: random.Random) -> Iterator[None]:
    """A directory with one folder a checkpoint, the oldest of them deleted."""
    kept: list[Path] = []
    for number, text in enumerate(histories(source, rng)):
        folder = target / f"checkpoint-{number}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(text)
        kept.append(folder)
        if len(kept) > 2:
            oldest = kept.pop(0)
            (oldest / "trainer_state.json").unlink()
            oldest.rmdir()
        yield


def inserted(source: Path, target: Path, rng: random.Random) -> Iterator[None]:
    """Row by row, in transactions of a connection that stays open."""
    with sqlite3.connect(source) as db:
        tables = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql NOT NULL").fetchall()
        rows = {name: db.execute(f'SELECT * FROM "{name}"').fetchall() for name, _ in tables}
    db.close()
    target.unlink(missing_ok=True)
    writer = sqlite3.connect(target, isolation_level=None)
    writer.execute(f"PRAGMA journal_mode = {rng.choice(['WAL', 'DELETE'])}")
    for name, sql in tables:
        if not name.startswith("sqlite_"):
            writer.execute(sql)
    for name in sorted(rows, key=lambda name: name == "metrics"):
        for row in rows[name]:
            if name.startswith("sqlite_"):
                continue
            writer.execute("BEGIN")
            writer.execute(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(row))})', row)
            if rng.random() < 0.2:
                yield  # in the middle of it
            writer.execute("COMMIT")
            yield
    writer.close()


def found(pattern: str) -> list[Path]:
    return sorted(FIXTURES.glob(pattern))


CASES: list[tuple[Writer, Path]] = [
    *((appended, path) for path in found("tensorboard/*/events*") + found("wandb-offline/*.wandb")),
    *((writer, path) for writer in (replaced, overwritten, checkpoints) for path in found("*/trainer_state.json")),
    *((inserted, path) for path in found("*/trackio/*.db")),
]


def watched(target: Path, writer: Iterator[None], seed: int) -> tuple[dict[str, Any], list[Row]]:
    rng, moment = random.Random(seed), [0.0]
    rows: list[Row] = []

    def clock() -> float:
        moment[0] += rng.uniform(0.0, 0.2)
        return moment[0]

    def wait(seconds: float) -> str | None:
        return "written" if seconds and next(writer, "end") == "end" else None

    class Feed(StreamFeed):
        def _passed(self, new: list[Row]) -> list[Row]:
            given = super()._passed(new)
            rows[:] = [*([] if self.restarted else rows), *given]
            return given

    state = MonitorState()
    delivery = Delivery(Places(), state, Dispatcher({}), show=lambda *_: None, warn=pytest.fail, now=clock)
    feed = Feed(
        target, "", ReadOptions(), warn=lambda text: None if "waiting" in text else pytest.fail(text), clock=clock
    )
    watch = Watch([feed], RULES, delivery, state, clock=clock)
    assert watch.run(wait) == "written"
    (session,) = watch.sessions()
    return session.report(meta={}, numbers={}).to_dict(), rows


def judged(target: Path) -> dict[str, Any]:
    """What the same rules say of the finished log."""
    (run,) = open_runs(target)
    return scan(run, RULES).to_dict()


def shown(rows: Iterator[Row]) -> list[tuple[object, ...]]:
    return [(r.step, r.phase, r.segment, repr(sorted(r.values.items()))) for r in rows]


@pytest.mark.slow
@settings(max_examples=few(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CASES), st.integers(0, 10**6))
def test_any_way_of_writing_gives_the_findings_of_the_finished_log(case: tuple[Writer, Path], seed: int) -> None:
    write, source = case
    with TemporaryDirectory() as folder:
        target = Path(folder, "run" if write is checkpoints else source.name)
        report, rows = watched(target, write(source, target, random.Random(seed)), seed)
        (run,) = open_runs(target)
        assert shown(iter(rows)) == shown(rows_of(run))
        finished = judged(target)
        assert {part: report[part] for part in PARTS} == {part: finished[part] for part in PARTS}


BESIDE = [next(case for case in CASES if case[0] is write and name in str(case[1])) for write, name in (
    (appended, "tensorboard"), (appended, ".wandb"), (replaced, "trl-dpo-hot"), (overwritten, "trl-sft"),
    (checkpoints, "trl-grpo-collapse"), (inserted, "trackio"),
)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("write", "source"), BESIDE, ids=lambda value: getattr(value, "__name__", ""))
def test_a_monitor_beside_the_writer_finds_what_doctor_finds(write: Writer, source: Path, tmp_path: Path) -> None:
    """Started before there is anything to read; killed in the middle, and started again with its state."""
    target = tmp_path / ("run" if write is checkpoints else source.name)
    words = [sys.executable, "-m", "rldk", "monitor", "--stream", str(target), "--alerts", "a.jsonl", "--state", "s"]
    words += ["--report", "r.json", "--idle-timeout", "3"]
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent / "src")}
    rng, process = random.Random(3), subprocess.Popen(words, cwd=tmp_path, env=env)
    deadline = time.monotonic() + 3
    for _ in write(source, target, rng):
        time.sleep(rng.choice([0, 0.02, 0.2]))
        if process.poll() is None and time.monotonic() > deadline:
            process.kill()
            process.wait()
            process, deadline = subprocess.Popen(words, cwd=tmp_path, env=env), math.inf
    assert process.wait(60) == 0
    (run,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    finished = diagnose(target).to_dict()
    parts = ("findings", "incidents", "notes") if write is inserted else PARTS  # rules over samples are told as skipped
    assert {part: run[part] for part in parts} == {part: finished[part] for part in parts}
    alerts = tmp_path / "a.jsonl"
    said = [json.loads(line) for line in alerts.read_text().splitlines()] if alerts.exists() else []
    begun = [(a["rule"], a["finding"]["metric"], a["finding"]["first_step"]) for a in said if a["event"] == "begin"]
    assert sorted(begun) == sorted((f["code"], f["metric"], f["first_step"]) for f in finished["findings"])


def saved(target: Path, rng: random.Random) -> Iterator[None]:
    """A notebook, written anew whenever it is saved while a cell prints."""
    lines = [f"Episode {i} | Reward: {i % 7}.5 | Loss: {9 / (i + 1):.3f}\n" for i in range(60)]
    end = 0
    while end < len(lines):
        end = min(len(lines), end + rng.choice([1, 5, 20]))
        outputs = [{"output_type": "stream", "name": "stdout", "text": lines[:end]}]
        text = json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": "train()", "outputs": outputs}]})
        cut = rng.choice([len(text), rng.randrange(len(text))])
        target.write_text(text[:cut])
        yield
        target.write_text(text)
        yield


@pytest.mark.parametrize("seed", every(3, range(3)))
def test_a_notebook_that_is_saved_again_and_again_gives_the_findings_of_the_last_one(tmp_path: Path, seed: int) -> None:
    target = tmp_path / "train.ipynb"
    report, rows = watched(target, saved(target, random.Random(seed)), seed)
    (run,) = open_runs(target)
    assert shown(iter(rows)) == shown(rows_of(run))
    finished = judged(target)
    assert {part: report[part] for part in PARTS} == {part: finished[part] for part in PARTS}
