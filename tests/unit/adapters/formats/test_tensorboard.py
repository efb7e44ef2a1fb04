from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from examples import at_most, each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.tensorboard import TensorBoard
from rldk.adapters.log import Log
from rldk.adapters.source import File
from rldk.adapters.wire.tensorboard_event import read_event
from rldk.adapters.wire.tfrecord import RecordReader, masked_crc32c, masked_crc32c_many
from rldk.errors import MalformedInput, NoData

FIXTURES = Path(__file__).parents[3] / "fixtures"
SFT, A2C, CLEANRL = (
    next((FIXTURES / "tensorboard" / name).iterdir()) for name in ("trl-sft", "sb3-a2c", "cleanrl-ppo-hot")
)


def payloads(path: Path) -> list[bytes]:
    return list(RecordReader([path.read_bytes()]))


def framed(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    footer = struct.pack("<I", masked_crc32c(payload))
    return length + struct.pack("<I", masked_crc32c(length)) + payload + footer


def version(time: float) -> bytes:
    return framed(b"\x09" + struct.pack("<d", time) + b"\x1a\x0dbrain.Event:2")


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def event(step: int, value: bytes, time: float = 1.0) -> bytes:
    return b"\x09" + struct.pack("<d", time) + bytes([0x10, step]) + field(5, field(1, value))


def scalar(tag: str, number: float) -> bytes:
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", number)


@contextmanager
def stored(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "e")
        path.write_bytes(data)
        yield path


def read(data: bytes) -> Log:
    with stored(data) as path:
        return TensorBoard(path).read()


def sniff(data: bytes) -> int:
    with stored(data) as path:
        return TensorBoard.sniff(File(path))


def cells(log: Log) -> dict[tuple[int, int, str, str], float]:
    rows = log.table.rows()
    return {(row.segment, row.step, row.phase, key): value for row in rows for key, value in row.values.items()}


def test_crc_is_that_of_the_published_check_value() -> None:
    crc = 0xE3069283  # CRC-32C of "123456789", RFC 3720 B.4 and the CRC catalogue
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


@given(st.integers(1, 80).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), min_size=1, max_size=20)))
def test_crc_of_many_is_the_crc_of_each(items: list[bytes]) -> None:
    assert masked_crc32c_many(items).tolist() == [masked_crc32c(item) for item in items]


def test_same_values_as_the_trainer_state() -> None:
    log = TensorBoard(SFT).read()
    got = cells(log)
    history = json.loads((FIXTURES / "trl-sft/trainer_state.json").read_text())["log_history"]
    expected = {}
    for row in history:
        kind = "eval" if "eval_loss" in row else "summary" if "train_runtime" in row else "train"
        for key, value in row.items():
            if key != "step":
                name = f"eval/{key[5:]}" if key.startswith("eval_") else f"train/{key}"
                expected[0, row["step"], "train" if key == "epoch" else kind, name] = float(np.float32(value))
    assert got == expected
    assert log.precision == 7


@pytest.mark.parametrize("path", [SFT, A2C, CLEANRL], ids=lambda p: p.parent.name)
def test_every_scalar_is_read_as_a_full_decoding_reads_it(path: Path) -> None:
    last: dict[tuple[int, str], float] = {}
    for payload in payloads(path):
        got = read_event(payload)
        last |= {(got.step, v.tag): v.number for v in got.values if v.number is not None}
    table = TensorBoard(path).read()
    flat = {(step, key): value for (_, step, _, key), value in cells(table).items()}
    assert {k: str(v) for k, v in flat.items()} == {k: str(v) for k, v in last.items()}


def test_configuration_comes_from_text_summaries() -> None:
    sft, cleanrl = TensorBoard(SFT).read(), TensorBoard(CLEANRL).read()
    assert (sft.framework, sft.dialect, sft.algorithm, sft.total_steps) == ("trl", "trl_sft", "sft", 80)
    assert sft.config["learning_rate"] == 0.001
    assert sft.config["model_config"]["architectures"] == ["Qwen2ForCausalLM"]
    assert cleanrl.config == {
        "exp_name": "ppo", "seed": 1, "learning_rate": 0.03, "num_envs": 4, "num_steps": 128, "env_id": "CartPole-v1",
    }  # fmt: skip
    assert (cleanrl.algorithm, cleanrl.meta["seed"]) == ("ppo", 1)


def test_several_episodes_at_one_step_leave_the_last_and_a_note() -> None:
    assert TensorBoard(CLEANRL).read().notes[0].startswith("12 values gave way to a later")


def test_nan_is_stated() -> None:
    table = TensorBoard(A2C).read().table
    assert table.step[table.stated_nan["train/explained_variance"]].tolist() == [20_000]  # as its progress.csv


def test_evaluation_has_rows_of_its_own() -> None:
    phases = {key: phase for _, _, phase, key in cells(TensorBoard(A2C).read())}
    assert {key for key, phase in phases.items() if phase == "eval"} == {"eval/mean_reward", "eval/mean_ep_length"}


def test_resumed_run_goes_on_in_a_new_file_and_a_new_segment(tmp_path: Path) -> None:
    steps = [framed(event(step, scalar("loss", step))) for step in range(10)]
    (tmp_path / "b").write_bytes(version(1.0) + b"".join(steps[:8]))
    (tmp_path / "a").write_bytes(version(2.0) + framed(event(5, scalar("new", 0.0))) + b"".join(steps[5:]))
    table = TensorBoard(tmp_path).read().table
    assert table.segment.tolist() == [0] * 8 + [1] * 5
    assert table.step.tolist() == [*range(8), *range(5, 10)]


def test_files_in_sub_directories_keep_their_tags_apart(tmp_path: Path) -> None:
    for folder in ("train", "validation"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "events").write_bytes(version(1.0) + framed(event(1, scalar("loss", len(folder)))))
    got = cells(TensorBoard(tmp_path).read())
    assert got == {(0, 1, "train", "train/loss"): 5.0, (0, 1, "eval", "validation/loss"): 10.0}


@each_of(
    ("tensor", "number"),
    [
        (b"\x08\x01\x12\x00\x2a\x04" + struct.pack("<f", 0.5), 0.5),  # float_val
        (b"\x08\x01\x12\x00\x22\x04" + struct.pack("<f", 0.5), 0.5),  # tensor_content
        (b"\x08\x01\x12\x00\x2d" + struct.pack("<f", 0.5), 0.5),  # float_val, not packed
        (b"\x08\x02\x12\x00\x32\x08" + struct.pack("<d", 0.1), 0.1),
        (b"\x08\x03\x12\x00\x3a\x0a" + b"\xff" * 9 + b"\x01", -1.0),
        (b"\x08\x09\x12\x00\x52\x02\xac\x02", 300.0),
        (b"\x08\x13\x12\x00\x6a\x02\x80\x78", 1.0),  # half 0x3C00
        (b"\x08\x13\x12\x00\x6a\x03\x80\xf8\x02", -1.0),  # half 0xBC00
        (b"\x08\x09\x12\x00\x52\x0a" + b"\xff" * 9 + b"\x01", -1.0),
        (b"\x08\x17\x12\x00\x8a\x01\x0a" + b"\xff" * 9 + b"\x01", float(2**64 - 1)),  # the same bits without a sign
        (b"\x08\x01\x12\x00", 0.0),  # a default value is left out
    ],
)
def test_tensor_scalars(tensor: bytes, number: float) -> None:
    value = field(1, b"x") + field(8, tensor) + field(9, field(1, field(1, b"scalars")))
    log = read(version(1.0) + framed(event(1, value)) + framed(event(2, value)))
    assert log.table.columns["x"].tolist() == [number, number]


def test_what_is_no_scalar_is_counted() -> None:
    histogram = field(1, b"h") + field(8, b"\x08\x01\x12\x04\x12\x02\x08\x03\x22\x0c" + bytes(12))
    log = read(version(1.0) + framed(event(1, histogram)) + framed(event(1, scalar("x", 1.0))))
    assert list(log.table.columns) == ["x"]
    assert log.notes == ("rldk left out 1 values that are not scalars (text, histograms, images)",)


def test_prefix_of_tune_is_dropped_and_hparams_are_configuration() -> None:
    rate = field(1, field(1, b"lr") + field(2, b"\x11" + struct.pack("<d", 0.25)))
    session = field(1, b"_hparams_/session_start_info") + field(
        9, field(1, field(1, b"hparams") + field(2, field(3, rate)))
    )
    data = framed(event(0, session)) + framed(event(1, scalar("ray/tune/env_runners/x", 1.0)))
    log = read(version(1.0) + data)
    assert (list(log.table.columns), log.config) == (["env_runners/x"], {"lr": 0.25})


@pytest.mark.slow
def test_a_cut_record_is_one_rejected_record() -> None:
    data = A2C.read_bytes()
    whole = cells(TensorBoard(A2C).read())
    ends = [0]
    for payload in payloads(A2C):
        ends.append(ends[-1] + len(payload) + 16)
    for cut in (*range(ends[-2], ends[-1]), *range(ends[200], ends[201])):
        reader = RecordReader([data[:cut]])
        complete = len(list(reader))
        assert complete == sum(end <= cut for end in ends) - 1
        assert [f.offset for f in reader.faults] == ([] if cut in ends else [max(e for e in ends if e <= cut)])
    assert len(whole) == 418


@pytest.mark.slow
@settings(max_examples=at_most(20))
@given(st.lists(st.integers(0, 12_000), min_size=1, max_size=4), st.sampled_from([b"", b"\0" * 40, b"x" * 40]))
def test_reading_again_gives_what_a_new_reading_gives(cuts: list[int], behind: bytes) -> None:
    data = A2C.read_bytes()[:12_000] + behind
    with stored(b"") as path:
        adapter = TensorBoard(path)
        for cut in [*sorted(cuts), len(data)]:
            path.write_bytes(data[:cut])
            adapter.files = (File(path),)
            with suppress(NoData):
                log, new = adapter.read(), TensorBoard(path).read()
                assert (cells(log), log.lines, log.rejected) == (cells(new), new.lines, new.rejected)


def test_another_file_in_its_place_is_read_from_its_beginning() -> None:
    with stored(A2C.read_bytes()) as path:
        adapter = TensorBoard(path)
        adapter.read()
        path.write_bytes(SFT.read_bytes() * 2)
        adapter.files = (File(path),)
        assert cells(adapter.read()) == cells(TensorBoard(path).read())


def test_strict_reading_stops_at_a_refused_record() -> None:
    with (
        stored(A2C.read_bytes()[:-1]) as path,
        pytest.raises(MalformedInput, match=r"record 419, byte \d+: e: the file is cut off"),
    ):
        TensorBoard(path, strict=True).read()


@settings(max_examples=at_most(40))
@given(st.lists(st.integers(1, 30_000), max_size=8))
def test_records_do_not_depend_on_chunks(sizes: list[int]) -> None:
    data, chunks = A2C.read_bytes()[:9_000], []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    reader, whole = RecordReader([*chunks, data]), RecordReader([A2C.read_bytes()[:9_000]])
    assert list(reader) == list(whole)
    assert (reader.faults, reader.records) == (whole.faults, whole.records)


@settings(max_examples=at_most(60))
@given(at=st.integers(0, 23_799), flip=st.integers(1, 255))
def test_a_flipped_byte_costs_one_record_or_the_rest_of_the_file(at: int, flip: int) -> None:
    data = bytearray(A2C.read_bytes())
    data[at] ^= flip
    reader = RecordReader([bytes(data)])
    kept, whole = list(reader), payloads(A2C)
    assert len(reader.faults) == 1
    assert kept == [p for i, p in enumerate(whole) if i != reader.faults[0].record - 1][: len(kept)]


def test_a_length_beyond_the_limit_is_passed_over_without_memory() -> None:
    length = struct.pack("<Q", 1 << 60)
    huge = length + struct.pack("<I", masked_crc32c(length)) + b"x" * 100
    log = read(version(1.0) + framed(event(1, scalar("x", 1.0))) + huge)
    assert (log.rejected_count, log.rejected[0].reason) == (1, "e: the record is larger than 67108864 bytes")


def test_records_behind_an_oversized_one_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rldk.adapters.wire.tfrecord.MAX_RECORD_BYTES", 50)
    data = framed(b"a") + framed(b"b" * 5000) + framed(b"c")
    assert list(RecordReader([data[i : i + 700] for i in range(0, len(data), 700)])) == [b"a", b"c"]


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(NoData):
        read(data)
    assert sniff(data) == 0


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=20))
def test_any_payloads_are_rejected_or_left_out(items: list[bytes]) -> None:
    data = version(1.0) + b"".join(map(framed, items)) + framed(event(1, scalar("x", 1.0)))
    log = read(data)
    assert "x" in log.table.columns
    assert log.lines == len(items) + 2


def test_deeply_nested_json_in_a_text_is_no_configuration() -> None:
    text = field(8, b"\x08\x07" + field(8, b"[" * 100))
    data = framed(event(0, field(1, b"args/text_summary") + text)) + framed(event(1, scalar("x", 1.0)))
    assert read(version(1.0) + data).config == {}


def test_sniff_wants_an_event_in_the_first_record() -> None:
    assert TensorBoard.sniff(File(A2C)) == 95
    assert sniff(framed(b"a TFRecord of something else")) == 0


def test_a_file_without_scalars_is_no_data() -> None:
    with pytest.raises(NoData, match="no scalar"):
        read(version(1.0))
