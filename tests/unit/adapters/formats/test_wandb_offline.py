from __future__ import annotations

import math
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from examples import at_most, each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.wandb_offline import WandBAdapter
from rldk.adapters.log import Log
from rldk.adapters.source import File
from rldk.adapters.wire.leveldb_log import BLOCK_BYTES, MAGIC, LogReader
from rldk.errors import NoData

FILE = Path(__file__).parents[3] / "fixtures/wandb-offline/run-abc123.wandb"
STEPS = 40


def read(data: bytes) -> Log:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.wandb")
        path.write_bytes(data)
        return WandBAdapter(path).read()


def same(a: Log, b: Log) -> bool:
    """Whether both have the same table, counts, notes and configuration."""
    columns = all(np.array_equal(x, b.table.columns[name], equal_nan=True) for name, x in a.table.columns.items())
    told = [(log.lines, log.rejected, log.notes, log.config, log.meta, list(log.table.columns)) for log in (a, b)]
    return columns and a.table.step.tolist() == b.table.step.tolist() and told[0] == told[1]


def field(number: int, content: bytes) -> bytes:
    key = number << 3 | 2
    head = bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])
    return head + bytes([len(content)]) + content


def item(key: str, text: str) -> bytes:
    return field(1, field(2, key.encode()) + field(16, text.encode()))


def history(*items: bytes) -> bytes:
    return field(2, b"".join(items))


def logged(*records: bytes) -> bytes:
    chunks = (
        zlib.crc32(b"\x01" + r).to_bytes(4, "little") + len(r).to_bytes(2, "little") + b"\x01" + r for r in records
    )
    return MAGIC + b"".join(chunks)


def test_values_have_the_steps_of_the_trainer() -> None:
    log = WandBAdapter(FILE).read()
    train = [row for row in log.table.rows() if row.phase == "train"]
    assert [row.step for row in train] == [step * 10 for step in range(1, STEPS + 1)]
    assert train[0].values["train/entropy"] == pytest.approx(math.log(3), abs=1e-15)
    assert "train/global_step" not in log.table.columns
    assert "the steps come from train/global_step" in log.notes


def test_nan_is_stated_and_infinity_kept() -> None:
    table = WandBAdapter(FILE).read().table
    assert table.step[table.stated_nan["train/grad_norm"]].tolist() == [50]
    assert table.columns["train/ratio"][table.step == 60].tolist() == [math.inf]


def test_evaluations_and_summary_have_rows_of_their_own() -> None:
    rows = [row for row in WandBAdapter(FILE).read().table.rows() if row.phase != "train"]
    assert [(row.step, row.phase, sorted(row.values)) for row in rows] == [
        *((step, "eval", ["eval/reward"]) for step in (100, 200, 300, 400)),
        (400, "summary", ["total_flos"]),
    ]


def test_configuration_and_environment() -> None:
    log = WandBAdapter(FILE).read()
    assert log.config["optimizer"] == {"name": "sgd", "momentum": 0.0}
    assert len(log.config["prompt"]) == 45_000, "a record over several blocks"
    assert (log.total_steps, log.meta["seed"], log.meta["environment"]["wandb_project"]) == (40, 7, "bandit")


def test_step_is_the_call_counter_when_the_trainer_logs_none() -> None:
    rows = (history(item("_step", str(n)), item("loss", "0.5"), item("_timestamp", "9.5")) for n in (3, 7))
    log = read(logged(*rows))
    assert (log.table.step.tolist(), log.table.time.tolist()) == ([3, 7], [9.5, 9.5])
    assert read(logged(field(2, field(1, b"\x0a\x01x\x31" + bytes(6) + b"\xf0\x3f")))).table.columns["x"] == [1.0]


def test_a_rarely_logged_clock_is_a_metric() -> None:
    rows = [history(item("loss", "1"), item("x", "2")) for _ in range(5)]
    log = read(logged(*rows, history(item("global_step", "99"))))
    assert log.table.step.tolist() == [0, 1, 2, 3, 4, 5]
    assert "global_step" in log.table.columns


@each_of(("text", "value"), [("true", 1.0), ('"NaN"', math.nan), ("-Infinity", -math.inf), ("1e400", math.inf)])
def test_numbers_as_json_writes_them(text: str, value: float) -> None:
    assert str(read(logged(history(item("x", text)))).table.columns["x"][0]) == str(value)


def test_text_null_and_lists_are_no_numbers() -> None:
    log = read(logged(history(item("a", "null"), item("b", "[1]"), item("c", '"x"'), item("d", "1"))))
    assert list(log.table.columns) == ["d"]
    assert log.notes[0].startswith("rldk left out 3 keys without numbers")


def test_a_cut_file_loses_its_last_record_only() -> None:
    data = FILE.read_bytes()
    whole = list(LogReader([data]))
    for cut in (*range(len(data) - 60, len(data)), BLOCK_BYTES, BLOCK_BYTES + 3, 2 * BLOCK_BYTES + 9):
        reader = LogReader([data[:cut]])
        kept = list(reader)
        assert kept == whole[: len(kept)]
        assert reader.rejected_count <= 1
        assert reader.rejected_count or sum(map(len, kept)) + 7 * len(kept) + 7 <= cut


@settings(max_examples=at_most(60))
@given(at=st.integers(7, FILE.stat().st_size - 1), flip=st.integers(1, 255))
def test_a_flipped_byte_costs_at_most_a_block(at: int, flip: int) -> None:
    data = bytearray(FILE.read_bytes())
    data[at] ^= flip
    reader, whole = LogReader([bytes(data)]), list(LogReader([FILE.read_bytes()]))
    kept = list(reader)
    assert set(kept) <= set(whole)
    assert sum(map(len, whole)) - sum(map(len, kept)) < 3 * BLOCK_BYTES
    assert reader.rejected_count == 1


@given(st.lists(st.integers(1, 60_000), max_size=6))
def test_records_do_not_depend_on_chunks(sizes: list[int]) -> None:
    data, chunks = FILE.read_bytes(), []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    assert list(LogReader([*chunks, data])) == list(LogReader([FILE.read_bytes()]))


@pytest.mark.slow
@settings(max_examples=at_most(12))
@given(st.lists(st.integers(7, FILE.stat().st_size), min_size=1, max_size=5))
def test_a_file_that_grows_is_read_on_as_the_finished_one(cuts: list[int]) -> None:
    data = FILE.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.wandb")
        adapter = WandBAdapter(path)
        for cut in [*sorted(cuts), len(data)]:
            path.write_bytes(data[:cut])
            adapter.files = (File(path),)
            with suppress(NoData):
                assert same(adapter.read(), read(data[:cut]))


def test_a_file_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "run.wandb"
    adapter = WandBAdapter(path)
    for value in ("1", "2"):
        path.write_bytes(logged(*[history(item("x", value))] * int(value)))
        adapter.files = (File(path),)
        assert adapter.read().table.columns["x"].tolist() == [float(value)] * int(value)


TEXTS = {"0.5": 0.5, "1": 1.0, "-2.5e-07": -2.5e-7, "1e400": math.inf, "true": 1.0, '"NaN"': math.nan, "01": 1.0}


@settings(max_examples=at_most(40))
@given(st.lists(st.dictionaries(st.sampled_from("abcdé"), st.sampled_from(sorted(TEXTS))), min_size=2, max_size=8))
def test_plain_rows_are_read_like_any_others(rows: list[dict[str, str]]) -> None:
    first = history(*[item(key, "0") for key in "abcdé"])  # from now on all keys are known
    log = read(logged(first, *(history(*map(item, row, row.values())) for row in rows)))
    for key in "abcdé":
        expected = [0.0, *(TEXTS[row[key]] if key in row else math.nan for row in rows)]
        kept = [x for x, row in zip(expected, [{}, *rows], strict=True) if row or x == 0.0]
        assert str(log.table.columns[key].tolist()) == str(kept)


def test_a_length_that_lies_is_no_plain_row() -> None:
    lying = history(item("x", "1"), item("y", "2")).replace(b"y\x82\x01\x012", b"y\x82\x01\x002")
    log = read(logged(history(item("x", "0"), item("y", "0")), lying))
    assert log.table.columns["y"].tolist() == [0.0]
    assert log.rejected_count == 1


def test_a_summary_is_kept_for_what_has_no_history() -> None:
    summaries = [field(3, item("x", "5") + item("best", value)) for value in ("0.25", "0.75")]
    log = read(logged(history(item("x", "1")), *summaries, field(3, item("x", "9"))))
    assert (log.table.columns["best"][-1], log.table.columns["x"][0]) == (0.75, 1.0)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(NoData):
        read(MAGIC + data)


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_any_records_are_rejected_or_left_out(records: list[bytes]) -> None:
    log = read(logged(history(item("x", "1")), *records))
    assert log.lines == len(records) + 1
    assert "x" in log.table.columns


def test_sniff() -> None:
    assert WandBAdapter.sniff(File(FILE)) == 95
    assert WandBAdapter.sniff(File(Path(__file__))) == 0
