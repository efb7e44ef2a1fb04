from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from examples import each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.parquet import Parquet
from rldk.adapters.formats.tabular import Csv
from rldk.adapters.log import Log
from rldk.adapters.source import File
from rldk.adapters.wire.delimited import Fields, records
from rldk.core.model import COUNTED
from rldk.errors import MalformedInput, NotALog, RldkError

cells = st.one_of(st.none(), st.floats(), st.integers(-(2**53), 2**53))
tables = st.lists(st.tuples(st.integers(0, 99), cells, cells), min_size=1, max_size=9)


def read(path: Path, text: str) -> Log:
    path.write_text(text)
    return Csv(path).read()


def sniff(path: Path, data: bytes) -> int:
    path.write_bytes(data)
    return Csv.sniff(File(path))


def rows(log: Log) -> list[tuple[int, dict[str, str]]]:
    return [(row.step, {k: repr(v) for k, v in row.values.items()}) for row in log.table.rows()]


@settings(deadline=None)
@given(tables)
def test_csv_and_parquet_of_one_table_agree(tmp_path_factory: pytest.TempPathFactory, table: list[tuple]) -> None:
    folder = tmp_path_factory.mktemp("table")
    told = [(s, {k: repr(float(v)) for k, v in (("kl", a), ("loss", b)) if v is not None}) for s, a, b in table]
    text = "".join(f"{s},{'' if a is None else a},{'' if b is None else b}\n" for s, a, b in table)
    assert rows(read(folder / "t.csv", "step,kl,loss\n" + text)) == told
    columns = {"step": [r[0] for r in table], "kl": [r[1] for r in table], "loss": [r[2] for r in table]}
    kept = {k: [None if v is None else float(v) for v in c] if k != "step" else c for k, c in columns.items()}
    write_parquet(folder / "t.parquet", kept)
    assert rows(Parquet(folder / "t.parquet").read()) == told


def write_parquet(path: Path, columns: dict[str, list]) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    types = {k: pa.float64() if k in ("kl", "loss") else None for k in columns}
    parquet.write_table(pa.table({k: pa.array(c, type=types[k]) for k, c in columns.items()}), path)


def test_times_phases_and_the_seed_are_no_metrics(tmp_path: Path) -> None:
    log = read(
        tmp_path / "t.csv", "Wall time,Step,phase,seed,kl\n2026-01-01T00:00:00Z,1,eval,7,0.5\n5.5,2,train,7,nan\n"
    )
    assert (list(log.table.columns), log.table.phase.tolist(), log.meta) == (
        ["kl"],
        [1, 0],
        {"seed": 7, "clock": "Step"},
    )
    assert log.table.time.tolist() == [1767225600.0, 5.5]
    assert log.table.stated_nan["kl"].tolist() == [1]


@pytest.mark.parametrize("delimiter", ["\t", ";", ","])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = "\ufeffstep,kl,note\r\n1,0.5,a\r\n2,0.25,b".replace(",", delimiter)
    assert sniff(tmp_path / "t", text.encode()) == 30
    assert read(tmp_path / "t", text).table.columns["kl"].tolist() == [0.5, 0.25]


def test_a_quoted_text_over_lines_is_one_record(tmp_path: Path) -> None:
    log = read(tmp_path / "t.csv", 'step,prompt text,kl\n1,"a ""b"",\nc",0.5\n2,x,0.25\n')
    assert (log.table.columns["kl"].tolist(), log.rejected_count) == ([0.5, 0.25], 0)


def test_a_stray_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    good = "".join(f"{i},0.5\n" for i in range(3, 50))
    log = read(tmp_path / "t.csv", 'step,kl\n1,0.5\n2,"0.5\n' + good + '50,0.5"\n51,0.5\n')
    assert log.table.step.tolist() == [1, *range(3, 50), 51]
    assert [(r.line, r.reason) for r in log.rejected] == [
        (line, "a quote is opened and never closed") for line in (3, 51)
    ]
    assert len(log.table) + log.rejected_count == log.lines == 51


@pytest.mark.slow
@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), min_size=1))
def test_records_are_read_as_pandas_wrote_them(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]
) -> None:
    clean = [[c.replace("\0", "").replace("\r", "").replace("\ufeff", "") for c in row] for row in table]
    clean = [[c.encode("utf-8", "replace").decode() for c in row] for row in clean]
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    pd.DataFrame(clean, columns=["a", "b"]).to_csv(path, index=False, quoting=1)
    assert [r.values for r in records(File(path))][1:] == clean


def test_line_numbers_and_offsets_count_blank_and_joined_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n\n"x\ny",1\nz,2')
    assert list(records(File(tmp_path / "t.csv"))) == [
        Fields(1, 0, ["a", "b"]), Fields(3, 5, ["x\ny", "1"]), Fields(5, 13, ["z", "2"], whole=False),
    ]  # fmt: skip


def test_a_cut_archive_gives_what_it_had(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = "step,kl\n" + "".join(f"{i},{x}\n" for i, x in enumerate(rng.random(2000)))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode())[:-2000])
    log = Csv(tmp_path / "t.csv.gz").read()
    assert len(log.table) > 1000
    assert "breaks off" in log.rejected[-1].reason


@each_of(
    "data",
    [
        b"",
        b"step,kl\n",
        b"step,kl\nhello,0.5\n",
        b"1,2\n3,4\n",
        b"name,address\nx,y\n",
        b"step,name,value\n1,kl,0.5\n",
        b"step,prompt,completion\n1,a,b\n",
        b'{"step": 1, "kl": 2}\n{"step": 2, "kl": 3}\n',
        b"In this step, we train\nand then, we test\n",
        b"step\n1\n",
    ],
)
def test_what_is_no_table_of_steps_is_not_claimed(tmp_path: Path, data: bytes) -> None:
    assert sniff(tmp_path / "t.csv", data) == 0


def test_a_table_without_steps_counts_its_rows_and_says_so(tmp_path: Path) -> None:
    log = read(tmp_path / "t.csv", "a,b\n1,2\n1,3\n")
    assert (log.table.step.tolist(), log.meta) == ([0, 1], {"clock": COUNTED})


def test_integers_booleans_and_decimals_of_parquet_are_numbers(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"step": [1, 2], "n": [3, None], "ok": [True, False], "text": ["a", "1"], "list": [[1.0], None]})
    parquet.write_table(
        table.append_column("cost", pa.array([1, 2]).cast(pa.decimal128(21, 2))), tmp_path / "t.parquet"
    )
    told = [(1, {"n": "3.0", "ok": "1.0", "cost": "1.0"}), (2, {"ok": "0.0", "cost": "2.0"})]
    assert rows(Parquet(tmp_path / "t.parquet").read()) == told


def test_steps_of_parquet_that_count_nothing_are_rejected(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", {"step": [1.0, 1.5, math.nan, None, 2.0], "kl": [1.0] * 5})
    log = Parquet(tmp_path / "t.parquet").read()
    assert (log.table.step.tolist(), log.rejected_count, log.lines) == ([1, 2], 3, 5)


@pytest.mark.slow
def test_a_parquet_table_that_unpacks_too_far_is_refused(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    zeros = pa.table({"step": np.zeros(2**20, dtype=np.int8)})
    with parquet.ParquetWriter(tmp_path / "t.parquet", pa.schema([("step", pa.int8()), ("kl", pa.int8())])) as writer:
        for _ in range(65):
            writer.write_table(zeros.append_column("kl", zeros.column(0)))
    with pytest.raises(NotALog, match="too many"):
        Parquet(tmp_path / "t.parquet").read()


@given(st.data())
def test_a_damaged_parquet_file_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("p") / "t.parquet"
    write_parquet(path, {"step": [1, 2, 3], "kl": [0.5, 0.25, None]})
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut] + data.draw(st.binary(max_size=4)) + whole[cut + data.draw(st.integers(0, 4)) :])
    try:
        log = Parquet(path).read()
    except RldkError:
        return
    assert len(log.table) <= 3


def test_a_cut_parquet_file_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", {"step": [1], "kl": [0.5]})
    (tmp_path / "t.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:-9])
    with pytest.raises(MalformedInput, match="not a complete Parquet file"):
        Parquet(tmp_path / "t.parquet").read()


def test_a_printed_line_is_no_header(tmp_path: Path) -> None:
    lines = "".join(f"Epoch {i}, Reward: {70 + i % 7}.5\n" for i in range(1, 40))
    assert sniff(tmp_path / "log.txt", lines.encode()) == 0


@each_of("delimiter", [",", "\t"])
def test_every_row_of_a_long_table_keeps_its_time(tmp_path: Path, delimiter: str) -> None:
    header = ["TotalEnvInteracts", "AverageEpRet", "Time"]  # the step is a metric, too
    lines = [[str(4999 + 5000 * i), f"{i / 7!r}", f"{167.5 + i * 180.123456789!r}"] for i in range(9000)]
    path = tmp_path / "progress.csv"
    path.write_text("".join(delimiter.join(cells) + "\n" for cells in [header, *lines]))
    table = Csv(path).read().table
    assert len(table) == 9000
    assert table.time.tolist() == [float(time) for _, _, time in lines]
