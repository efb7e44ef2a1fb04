from __future__ import annotations

import json
import random
from pathlib import Path

from rldk.core.jsonl import Decoder, decode
from rldk.core.table import MetricTable, TableBuilder

SWIFT = [{"loss": 0.5 - i / 100, "global_step/max_steps": f"{5 * i + 5}/4389", "epoch": i / 900} for i in range(40)]
FACTORY = [{"current_steps": 10 * i, "total_steps": 1287, "loss": 1.0 / i, "eval_loss": None} for i in range(1, 40)]


def written(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_step_with_the_plan_behind_it(tmp_path: Path) -> None:
    found = decode(written(tmp_path / "log", SWIFT))
    assert (found.table.step.tolist()[:2], found.total_steps, found.clock) == ([5, 10], 4389, "global_step/max_steps")


def test_the_plan_in_a_column_is_no_metric(tmp_path: Path) -> None:
    found = decode(written(tmp_path / "log", FACTORY))
    assert (found.table.step.tolist()[-1], found.total_steps, list(found.table.columns)) == (390, 1287, ["loss"])


def test_rows_are_numbered_where_no_key_counts(tmp_path: Path) -> None:
    found = decode(written(tmp_path / "log", [{"loss": 0.5, "epoch": i / 900} for i in range(5)]))
    assert (found.clock, found.table.step.tolist()) == (None, [0, 1, 2, 3, 4])


def test_of_processes_that_write_the_same_steps_the_first_is_read(tmp_path: Path) -> None:
    rows = [{"step": i, "rank": rank, "loss": i + rank / 10} for i in range(150) for rank in (1, 0)]
    found = decode(written(tmp_path / "log", rows))
    assert found.table.columns["loss"].tolist() == [float(i) for i in range(150)]
    assert (found.rank, found.lines, list(found.table.columns)) == ("rank", 300, ["loss"])


def test_a_rank_that_each_step_has_once_is_a_metric(tmp_path: Path) -> None:
    found = decode(written(tmp_path / "log", [{"step": i, "rank": i % 3, "loss": 0.5} for i in range(9)]))
    assert (found.rank, sorted(found.table.columns)) == ("", ["loss", "rank"])


def test_the_same_in_any_chunks(tmp_path: Path) -> None:
    rows = [row | {"rank": rank} for row in SWIFT * 4 for rank in (0, 1)]
    path, rng, decoder, builder = written(tmp_path / "log", rows), random.Random(3), Decoder(), TableBuilder()
    data = path.read_bytes()
    got = []
    while data:
        size = rng.choice([1, 90, 4000])
        got += decoder.feed(data[:size])
        data = data[size:]
    for row in got + decoder.finish():
        builder.add(row.step, row.values, phase=row.phase)
    assert same(builder.build(), decode(path).table)
    assert (decoder.total_steps, decoder.rank) == (4389, "rank")


def same(a: MetricTable, b: MetricTable) -> bool:
    return a.step.tolist() == b.step.tolist() and a.columns["loss"].tolist() == b.columns["loss"].tolist()
