"""How often a table is rewritten, and how much waits or is remembered: at the limit and one beyond it."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rldk.core.table import Row
from rldk.forensics.comprehensive import Switches
from rldk.integrations import outputs
from rldk.integrations.environments import ORIGIN
from rldk.integrations.guard import Guard
from rldk.integrations.judge import Judge
from rldk.integrations.notes import notes_of
from rldk.integrations.outputs import GrowingCsv
from rldk.rules.chosen import chosen_rules


def test_a_table_is_rewritten_fifty_times(tmp_path: Path) -> None:
    table = GrowingCsv(tmp_path / "t.csv")
    for step in range(53):
        table.add(Row(step=step, values={f"n{step}": 1.0}, time=0.5))
    table.close()
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert list(rows[0])[3:] == [f"n{i}" for i in range(51)]
    assert (len(rows), rows[50]["n50"], rows[52]["step"]) == (53, "1.0", "52")


def test_a_row_with_as_many_values_but_another_name_is_not_lost(tmp_path: Path) -> None:
    table = GrowingCsv(tmp_path / "t.csv")
    for step in range(51):
        table.add(Row(step=step, values={f"n{step}": 1.0}, time=0.5))
    table.add(Row(step=51, values={**{f"n{i}": 2.0 for i in range(50)}, "other": 3.0}, time=0.5))
    table.close()
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert (rows[51]["n0"], rows[51]["n50"]) == ("2.0", "")


def test_twenty_alerts_of_a_row_are_told() -> None:
    alert: Any = SimpleNamespace(step=3, event="begin", rule="X", message="m")
    for count, told in [(20, 20), (21, 20)]:
        assert len(notes_of([alert] * count, 3)) == told
    assert notes_of([alert], 3) == ["m (X)"]
    assert notes_of([alert], 4) == ["step 3: m (X)"]


def judge() -> Judge:
    made = Judge("r", ORIGIN, Guard())
    made.join(chosen_rules("default"), every=100)
    return made


def test_eight_rows_are_remembered_for_a_second_callback() -> None:
    for back, same in [(7, True), (8, False)]:
        made = judge()
        rows = [made.look(i, i, {"kl": 0.1}) for i in range(9)]
        assert (made.look(8 - back, 8 - back, {"kl": 0.1}) is rows[8 - back]) is same, back


def test_sixty_four_batches_of_samples_wait_for_a_row() -> None:
    for count, begun in [(64, False), (65, True)]:
        made = judge()
        for step in range(count):
            made.samples([{"response": "x", "reward": 1.0}], step)
        assert made.started is begun, count


def test_findings_that_a_user_switched_off_are_silent() -> None:
    on: dict[str, bool] = dict.fromkeys(
        ("kl_schedule", "gradient_norms", "advantage_statistics", "kl_drift", "length_bias"), True
    )
    for code, needs in [
        ("KL001", ("kl_schedule", "kl_drift")), ("KL010", ("kl_schedule",)), ("GRAD001", ("gradient_norms",)),
        ("ADV001", ("advantage_statistics",)), ("LEN001", ("length_bias",)), ("ENT001", ()),
    ]:  # fmt: skip
        assert not Switches(**on).silences(code)
        for name in on:
            off = Switches(**{**on, name: False})
            assert off.silences(code) is (needs == (name,)), (code, name)
        rest = Switches(**{name: name not in needs for name in on})
        assert rest.silences(code) is bool(needs), code


def test_a_removed_folder_is_looked_for_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(outputs, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: 0.0))
    said: list[str] = []
    files = outputs.RunFiles(tmp_path / "run", "r", Guard(said.append))
    path = tmp_path / "run" / "r_events.jsonl"
    for at, there in [(10.0, True), (10.99, False), (11.0, True), (11.99, False), (12.0, True)]:
        now[0] = at
        files.event(Row(step=1, values={"kl": 0.1}), {})
        assert path.exists() is there, at
        path.unlink(missing_ok=True)
    files.close()
    assert len(said) == 1


def test_a_full_disk_is_said_once_for_all_files() -> None:
    said: list[str] = []
    guard = Guard(said.append)
    for part, number in (("a", errno.ENOSPC), ("b", errno.EDQUOT), ("c", errno.EACCES), ("c", errno.EACCES)):
        guard.report(part, OSError(number, os.strerror(number)))
    assert [line.split()[:4] for line in said] == [
        ["rldk:", "cannot", "write", "a:"],
        ["rldk:", "c", "failed:", "PermissionError:"],
    ]
    assert guard.failures == {"a": 1, "b": 1, "c": 2}
