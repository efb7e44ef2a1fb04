from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.formats.sb3 import CLOCK, SB3Table
from rldk.adapters.formats.tabular import CsvTable
from rldk.adapters.live.formats import recognise
from rldk.adapters.live.rowsource import RowSource
from rldk.adapters.live.tablerows import TableRows
from rldk.adapters.open import open_run
from rldk.adapters.wire.delimited import Fields, Records

HEADER = f"{CLOCK},rollout/ep_rew_mean"
OLD = f"{HEADER}\n512,20.0\n1024,30.0\n".encode()
NEW = f"{HEADER},train/loss\n512,20.0,\n1024,30.0,\n1536,31.0,0.5\n".encode()


def followed(source: RowSource, *files: bytes) -> list[tuple[int, dict[str, float]]]:
    """The rows as one has them who starts again with each revision; each of the files takes the place of the last."""
    rows: list[Any] = []
    for i, file in enumerate(files):
        if i:
            source.begin()
        revision = source.revision
        new = source.feed(file)
        rows = new if source.revision != revision else rows + new
    rows += source.finish()
    return [(row.step + 10_000 * row.segment, dict(row.values)) for row in rows]


def test_a_header_that_grew_tells_all_rows_anew() -> None:
    source = TableRows(SB3Table())
    assert followed(source, OLD, NEW) == followed(TableRows(SB3Table()), NEW)
    assert (source.revision, source.lines) == (1, 3)


def test_a_new_run_in_the_same_file_goes_on() -> None:
    source = TableRows(SB3Table())
    rows = followed(source, OLD, f"{HEADER}\n512,21.0\n".encode())
    assert [step for step, _ in rows] == [512, 1024, 10_512]
    assert source.revision == 0


def test_a_file_that_was_cut_behind_the_readers_back_needs_no_header() -> None:
    rows = followed(TableRows(CsvTable()), b"step,kl\n1,0.1\n2,0.2\n", b"3,0.3\n", b"step,kl\n4,0.4\n")
    assert rows == [(1, {"kl": 0.1}), (2, {"kl": 0.2}), (3, {"kl": 0.3}), (4, {"kl": 0.4})]


def test_a_line_torn_by_a_replacement_costs_that_line() -> None:
    source = TableRows(CsvTable())
    rows = followed(source, b"step,kl\n1,0.1\n2", b"step,kl\n3,0.3\n")
    assert ([step for step, _ in rows], source.rejected[0].reason) == ([1, 3], "the last line is torn")


def test_the_mark_of_a_log_outlives_new_columns_and_is_not_that_of_another() -> None:
    sources = [TableRows(SB3Table()) for _ in range(3)]
    for source, file in zip(sources, (OLD, NEW, OLD.replace(b"20.0", b"21.0")), strict=True):
        source.feed(file)
    assert sources[0].mark == sources[1].mark != sources[2].mark


PARTS = ["a,b\n", "1,2\n", '3,"x\n', 'y",4\n', '"', "\r\n", "5;6\n", "7,\u00e9\n", "8,"]
texts = st.lists(st.sampled_from(PARTS), max_size=12)


@given(texts, st.integers(0, 10**6))
def test_records_are_the_same_in_any_chunks(parts: list[str], seed: int) -> None:
    data, rng = ("step,kl\n" + "".join(parts)).encode(), random.Random(seed)
    whole, cut = Records(), Records()
    expected = [*whole.feed(data), *whole.finish()]
    found: list[Fields] = []
    while data:
        size = rng.choice([1, 2, 7])
        found += cut.feed(data[:size])
        data = data[size:]
    assert [*found, *cut.finish()] == expected


def test_a_table_without_steps_counts_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("avg reward,kl,note\n1,0.5,a\n2,0.25,b\nx,y,z\n3,0.125,c\n")
    run = open_run(path)
    assert (run.meta.format, run.metrics.step.tolist()) == ("flexible", [0, 1, 2])
    assert run.metrics.columns["reward_mean"].tolist() == [1.0, 2.0, 3.0]
    assert (run.lines, run.rejected[0].reason) == (4, "no number")


@each_of("text", ["Hello, kl\n1, world, 2\n", "kl,reward\nx,y\n", "a,b\n1,2\n", "thing\n1\n", "kl,2\n1,2\n"])
def test_prose_is_no_table(text: str) -> None:
    assert recognise(text.encode()) is None


def test_a_name_in_the_header_may_run_over_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('step,kl,"two\nlines"\n1,0.5,2\n2,0.25,3\n')
    assert open_run(tmp_path / "t.csv").metrics.columns["two\nlines"].tolist() == [2.0, 3.0]
