from __future__ import annotations

import json
import math
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import each_of

from rldk.adapters.formats.trackio import Trackio
from rldk.adapters.source import File
from rldk.errors import NoData, RldkError, UnknownName

FIXTURES = Path(__file__).parents[3] / "fixtures"
GRPO = FIXTURES / "trl-grpo" / "trackio" / "grpo-healthy.db"
SFT = FIXTURES / "trl-sft" / "trackio" / "sft-healthy.db"


def database(path: Path, runs: dict[str, list[Any]], *, ids: bool = True) -> Path:
    """A trackio file of these rows; a row that is no text or bytes is stored as JSON."""
    db = sqlite3.connect(path)
    own = "run_id TEXT NOT NULL, " if ids else ""
    db.execute(
        f"CREATE TABLE metrics (id INTEGER PRIMARY KEY, {own}timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT)"
    )
    for run, rows in runs.items():
        for step, row in rows:
            raw = row if isinstance(row, str | bytes) else json.dumps(row)
            values = ("2026-11-20T11:46:02+00:00", run, step, raw)
            db.execute(
                f"INSERT INTO metrics VALUES (NULL, {'?, ' if ids else ''}?, ?, ?, ?)",
                ((f"id-{run}",) if ids else ()) + values,
            )
    db.commit()
    db.close()
    return path


def test_the_step_is_the_trainers_and_not_the_column():
    table = Trackio(GRPO).read().table
    train = [r.step for r in table.rows() if r.phase == "train"]
    assert train == [1, 2, 3, 4, 5, 6, 40, 80]
    assert [r.step for r in table.rows() if r.phase == "eval"] == [40, 80]
    assert [r.step for r in table.rows() if r.phase == "summary"] == [80]


def test_timers_are_no_rows_and_the_note_says_so():
    log = Trackio(GRPO).read()
    assert not any(name.startswith("profiling/") for name in log.table.columns)
    assert "profiling timers" in log.notes[0]
    assert log.lines == len(log.table) == 11


def test_completions_tables_become_samples():
    samples = Trackio(GRPO).read().samples
    assert samples is not None
    assert samples.columns["step"] == [1] * 16 + [2] * 16
    assert samples.columns["reward_components"][0]["sometimes_none"] is None


def test_configuration_seed_and_length_come_along_without_secrets():
    log = Trackio(GRPO).read()
    assert (log.total_steps, log.meta["seed"], log.config["beta"]) == (80, 7, 0.04)
    assert Trackio(GRPO).load_run().meta.config["hub_token"] == "[redacted]"
    assert (log.dialect, log.algorithm) == ("trl_grpo", "grpo")


def test_time_is_unix_seconds():
    time = Trackio(SFT).read().table.time
    assert np.isfinite(time).all()
    assert (np.diff(time) >= 0).all()
    assert 1.79e9 < time[0] < 1.80e9


def test_text_and_blob_strings_for_not_finite_and_null(tmp_path):
    row = {"train/global_step": 3, "train/loss": "NaN", "train/grad_norm": "-Infinity", "train/kl": None}
    path = database(tmp_path / "t.db", {"a": [(0, row), (1, json.dumps(row).encode())]})
    for values in (r.values for r in Trackio(path).read().table.rows()):
        assert math.isnan(values["train/loss"])
        assert values["train/grad_norm"] == -math.inf
        assert "train/kl" not in values


def test_a_run_without_a_trainer_has_the_step_of_the_column(tmp_path):
    log = Trackio(database(tmp_path / "t.db", {"a": [(0, {"loss": 1.0}), (5, {"loss": 0.5})]})).read()
    assert log.table.step.tolist() == [0, 5]
    assert log.framework is None


def test_a_step_that_goes_back_begins_a_segment(tmp_path):
    rows = [(i, {"train/global_step": s, "train/loss": 1.0}) for i, s in enumerate([1, 2, 3, 2, 3])]
    assert Trackio(database(tmp_path / "t.db", {"a": rows})).read().table.segment.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("ids", [True, False])
def test_several_runs_in_one_file(tmp_path, ids):
    runs = {name: [(i, {"loss": float(n)}) for i in range(3)] for n, name in enumerate(["a", "b"])}
    path = database(tmp_path / "t.db", runs, ids=ids)
    names = Trackio.runs(File(path))
    assert names == (["id-a", "id-b"] if ids else ["a", "b"])
    assert [Trackio(path, run=name).read().table.columns["loss"][0] for name in names] == [0.0, 1.0]
    assert Trackio(path, run="a").read().table.columns["loss"][0] == 0.0
    assert "2 runs" in Trackio(path).read().notes[0]


def test_an_unknown_run_names_the_nearest():
    with pytest.raises(UnknownName, match="grpo-healthy"):
        Trackio(GRPO, run="grpo-helthy").read()


def test_reading_leaves_nothing_beside_the_file(tmp_path):
    path = Path(shutil.copy(GRPO, tmp_path))
    before = path.read_bytes()
    Trackio(path).read()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("index", [True, False])
def test_rows_in_a_write_ahead_log_are_read(tmp_path, index):
    """A run that is being written, and a copy of one without the index."""
    live = database(tmp_path / "live.db", {"a": [(0, {"loss": 1.0})]})
    writer = sqlite3.connect(live)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("INSERT INTO metrics SELECT NULL, run_id, timestamp, run_name, 1, metrics FROM metrics")
    writer.commit()
    folder = tmp_path / "copy"
    folder.mkdir()
    for suffix in ("", "-wal", *(["-shm"] if index else [])):
        shutil.copy(f"{live}{suffix}", folder)
    writer.close()
    before = sorted(p.name for p in folder.iterdir())
    assert Trackio(folder / "live.db").read().table.step.tolist() == [0, 1]
    assert sorted(p.name for p in folder.iterdir()) == before


def test_bad_rows_are_counted_and_good_ones_kept(tmp_path):
    rows = [(0, {"loss": 1.0}), (1, "{"), (2, b"\xff\xfe"), (3, "[1]"), (4, "[" * 10_000), (5, {"loss": 0.5})]
    log = Trackio(database(tmp_path / "t.db", {"a": rows})).read()
    assert (log.table.step.tolist(), log.rejected_count, log.lines) == ([0, 5], 4, 6)
    assert [r.line for r in log.rejected] == [2, 3, 4, 5]


@each_of("at", range(0, 35_000, 2_300))
def test_any_damage_is_an_error_of_ours(tmp_path, at):
    data = bytearray(GRPO.read_bytes())
    data[at : at + 900] = bytes(i * 7 % 256 for i in range(900))
    path = tmp_path / "t.db"
    path.write_bytes(data)
    Trackio.sniff(File(path))
    try:
        log = Trackio(path).read()
    except RldkError:
        return
    assert len(log.table) > 0


def test_a_truncated_file_keeps_the_rows_before_the_cut(tmp_path):
    path = tmp_path / "t.db"
    path.write_bytes(SFT.read_bytes()[:40_000])
    log = Trackio(path).read()
    assert 10 < len(log.table) < 85
    assert "database ends here" in log.rejected[-1].reason


def test_other_databases_and_views_are_not_claimed(tmp_path):
    path = tmp_path / "t.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE metrics (key TEXT, value REAL, step INTEGER)")
    db.commit()
    assert Trackio.sniff(File(path)) == 0
    db.execute("DROP TABLE metrics")
    db.execute("CREATE VIEW metrics AS SELECT 1 AS run_name, 1 AS step, '{}' AS metrics")
    db.commit()
    db.close()
    assert Trackio.sniff(File(path)) == 0
    with pytest.raises(NoData):
        Trackio(path).read()
