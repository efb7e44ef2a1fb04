from __future__ import annotations

import contextlib
import math
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from examples import at_most, each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.mlflow_store import MLflowDatabase, MLflowFileStore
from rldk.adapters.log import Log
from rldk.adapters.source import File
from rldk.errors import NoData, RldkError, UnknownName, UsageError

FIXTURES = Path(__file__).parents[3] / "fixtures"
DATABASE = FIXTURES / "mlflow-sqlite/mlflow.db"
METAS = {
    next(line.split()[1] for line in path.read_text().splitlines() if line.startswith("run_name:")): path
    for path in sorted((FIXTURES / "mlflow-file").rglob("meta.yaml"))
    if "run_name:" in path.read_text()
}


def cells(log: Log) -> list[tuple[int, int, str, float]]:
    rows = log.table.rows()  # SQLite keeps no -0.0
    return sorted((row.segment, row.step, key, value + 0.0) for row in rows for key, value in row.values.items())


def in_database(name: str) -> Log:
    with contextlib.closing(sqlite3.connect(DATABASE)) as db:
        (run,) = db.execute("SELECT run_uuid FROM runs WHERE name = ?", (name,)).fetchone()
    return MLflowDatabase(DATABASE, run=run).read()


def copied(folder: Path, name: str = "stepless") -> Path:
    return Path(shutil.copytree(METAS[name].parent, folder / "run")) / "meta.yaml"


@pytest.mark.parametrize("name", ["restarted", "stepless"])
def test_both_stores_hold_the_same(name: str) -> None:
    files, database = MLflowFileStore(METAS[name]).read(), in_database(name)
    assert [*map(str, cells(files))] == [*map(str, cells(database))]
    assert (files.config, files.lines) == (database.config, database.lines)


def test_a_restart_is_a_segment() -> None:
    table = in_database("restarted").table
    train = table.phase == 0
    assert table.step[train].tolist() == [*range(1, 36), *range(25, 41)]
    assert table.segment[train].tolist() == [0] * 35 + [1] * 16


def test_nan_is_stated_and_infinity_comes_back() -> None:
    table = in_database("restarted").table
    assert table.step[table.stated_nan["train/grad_norm"]].tolist() == [5]
    assert table.columns["train/ratio"][table.step == 6].tolist() == [math.inf]


def test_parameters_tags_and_times() -> None:
    log = MLflowFileStore(METAS["restarted"]).read()
    assert log.config == {"seed": 7, "learning_rate": 0.3, "batch_size": 16, "max_steps": 40}
    assert (log.meta["git_sha"][:8], log.meta["seed"], log.total_steps) == ("01234567", 7, 40)
    assert log.table.time[:2].tolist() == [1000.5, 1001.0]
    assert log.notes == ("rldk left out 5 values about the machine (system/*)",)


def test_values_without_steps_are_numbered() -> None:
    log = in_database("stepless")
    assert log.table.step.tolist() == list(range(40))
    assert "no value has a step: rldk numbered the values in the order they were logged" in log.notes


def test_a_database_names_its_runs_and_reads_the_newest() -> None:
    runs = MLflowDatabase.runs(File(DATABASE))
    assert len(runs) == 2, "the run that logged nothing is none"
    assert MLflowDatabase(DATABASE).read().notes[0] == f"holds 2 runs; rldk read {runs[1]}"
    with pytest.raises(UnknownName):
        MLflowDatabase(DATABASE, run="other").read()


def test_a_directory_of_runs_wants_a_choice() -> None:
    root = FIXTURES / "mlflow-file"
    run = MLflowFileStore.runs(File(METAS["restarted"]))[0]
    assert len(MLflowFileStore(root, run=run).read().table) == 56
    assert MLflowFileStore(METAS["restarted"]).load_run().id == run
    with pytest.raises(UsageError):
        MLflowFileStore(root).read()
    with pytest.raises(UnknownName):
        MLflowFileStore(root, run="other").read()


def test_a_run_without_metrics_is_no_data() -> None:
    with pytest.raises(NoData):
        MLflowFileStore(METAS["empty"]).read()


def test_the_experiment_and_other_databases_are_not_ours(tmp_path: Path) -> None:
    assert MLflowFileStore.sniff(File(METAS["empty"])) == 90
    assert MLflowFileStore.sniff(File(METAS["empty"].parents[1] / "meta.yaml")) == 0
    assert MLflowDatabase.sniff(File(DATABASE)) == 95
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE metrics (run_name TEXT, step INTEGER, metrics TEXT)")
    assert MLflowDatabase.sniff(File(tmp_path / "other.db")) == 0


def test_bad_lines_are_rejected_with_their_place(tmp_path: Path) -> None:
    meta = copied(tmp_path)
    (meta.parent / "metrics/loss").write_bytes(b"1 0.5 0\nx 0.5 1\n2 0.5 9.5\n3 1 2\n4 0.25 3\n5 0.1")
    log = MLflowFileStore(meta).read()
    assert log.table.step.tolist() == [0, 2, 3]
    assert [(r.line, r.offset) for r in log.rejected] == [(2, 8), (3, 16), (6, 41)]
    assert log.lines == 6


def test_links_out_of_the_store_are_not_followed(tmp_path: Path) -> None:
    meta = copied(tmp_path)
    (tmp_path / "secret").write_text("hidden")
    (meta.parent / "params").mkdir(exist_ok=True)
    (meta.parent / "params/link").symlink_to(tmp_path / "secret")
    assert MLflowFileStore(meta).read().config == {}


def test_a_hostile_meta_costs_nothing_but_what_it_says(tmp_path: Path) -> None:
    meta = copied(tmp_path)
    meta.write_text("run_id: a\nartifact_uri: b\nx: !!python/object/apply:os.system ['true']\n")
    assert len(MLflowFileStore(meta).read().table) == 40


def test_a_view_in_place_of_the_table_is_refused(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "view.db")) as db:
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n)"
        columns = "'k' AS key, x AS value, 1 AS timestamp, 'r' AS run_uuid"
        db.execute(f"CREATE VIEW metrics AS {endless} SELECT {columns} FROM n")
    assert MLflowDatabase.sniff(File(tmp_path / "view.db")) == 0
    with pytest.raises(NoData):
        MLflowDatabase(tmp_path / "view.db").read()


def test_values_of_wrong_types_are_rejected(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as db:
        db.execute("CREATE TABLE metrics (key, value, timestamp, run_uuid, step, is_nan)")
        rows = [
            ("a", 1.5, 1, "r", 1, 0),
            ("a", "x", 2, "r", 2, 0),
            ("a", b"\0", "?", "r", None, 0),
            (None, 2, 9, "r", 3, 0),
        ]
        db.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.commit()
    log = MLflowDatabase(tmp_path / "x.db").read()
    assert (log.lines, log.rejected_count, log.table.step.tolist()) == (4, 2, [1, 3])


def test_reading_leaves_nothing_beside_the_database(tmp_path: Path) -> None:
    path = Path(shutil.copyfile(DATABASE, tmp_path / "mlflow.db"))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
    before = path.read_bytes()
    MLflowDatabase(path).read()
    assert ([p.name for p in tmp_path.iterdir()], path.read_bytes()) == (["mlflow.db"], before)


@settings(max_examples=at_most(30))
@given(st.integers(0, DATABASE.stat().st_size - 1))
def test_a_cut_database_gives_what_it_has_or_an_error_of_ours(size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cut.db")
        path.write_bytes(DATABASE.read_bytes()[:size])
        with contextlib.suppress(RldkError):
            log = MLflowDatabase(path).read()
            whole = [in_database("stepless"), in_database("restarted")]
            assert set(map(str, cells(log))) <= {str(cell) for run in whole for cell in cells(run)}
            assert log.rejected_count == 1 or log.lines in {run.lines for run in whole}


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_an_error_of_ours(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any.db")
        path.write_bytes(b"SQLite format 3\0" + data)
        assert MLflowDatabase.sniff(File(path)) == 0
        with pytest.raises(NoData):
            MLflowDatabase(path).read()


@settings(max_examples=at_most(30))
@given(st.binary(max_size=200))
def test_any_bytes_in_a_metric_file_are_values_or_rejected(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        meta = copied(Path(folder))
        (meta.parent / "metrics/other").write_bytes(b"1 " + data)
        log = MLflowFileStore(meta).read()
        assert len(log.table) >= 40
        assert log.lines == 40 + data.count(b"\n") + (not data.endswith(b"\n"))


@each_of(
    ("line", "points"),
    [
        ("1700000000000 0.5 7", [(7, 0.5)]),
        ("1700000000000 0.5", [(0, 0.5)]),  # as the first versions of MLflow wrote it
        ("1700000000000 0.5 7 model data", [(7, 0.5)]),
        ("1700000000000 0.5 7 model", []),
        ("1700000000000", []),
        ("1700000000000 0.5 x", []),
    ],
)
def test_a_line_of_a_metric_has_two_three_or_five_words(tmp_path: Path, line: str, points: list[Any]) -> None:
    meta = copied(tmp_path)
    (meta.parent / "metrics" / "lone").write_text(line + "\n")
    log = MLflowFileStore(meta).read()
    assert [(step, value) for _, step, key, value in cells(log) if key == "lone"] == points
    assert log.rejected_count == (not points)
