from __future__ import annotations

import math
import tempfile
import zlib
from pathlib import Path

import pytest
from examples import at_most
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


@pytest.mark.parametrize(
    ("text", "value"), [("true", 1.0), ('"NaN"', math.nan), ("-Infinity", -math.inf), ("1e400", math.inf)]
)
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
