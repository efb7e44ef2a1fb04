"""What the writer writes is what the decoder reads, and nothing it meets ends a training."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.jsonl import decode
from rldk.emit import EventWriter, rank_path
from rldk.errors import UnreadableSource, UsageError
from rldk.io import read_events, validate_events

NAMES = st.text(min_size=1, max_size=12).filter(lambda n: n not in ("step", "phase"))
ROWS = st.lists(
    st.dictionaries(NAMES, st.floats() | st.integers(-(2**53), 2**53) | st.none(), max_size=4), min_size=1, max_size=8
)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@given(rows=ROWS)
def test_rows_come_back_exactly(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("emit") / "m.jsonl"
    with EventWriter(path, fsync="never") as writer:
        for step, row in enumerate(rows):
            writer.log(row, step=step)
    found = decode(path)
    assert (found.records, found.rejected_count, found.table.step.tolist()) == (len(rows), 0, [*range(len(rows))])
    for step, row in enumerate(rows):
        for name, value in row.items():
            column = found.table.columns.get(name)
            stated = step in found.table.stated_nan.get(name, [])
            assert stated == (value is not None and math.isnan(value))
            if value is not None and not stated:
                assert column is not None
                assert column[step] == value


@given(value=st.floats(), step=st.integers(-(2**53), 2**53))
def test_scalar_events_come_back_exactly(value: float, step: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("emit") / "m.jsonl"
    with EventWriter(path, run_id="r1", tags={"phase": "eval"}, fsync="never") as writer:
        writer.log(step=step, name="kl", value=value, time=12.5)
    found = decode(path)
    assert found.meta["run_id"] == "r1"
    assert (found.table.step[0], found.table.phase[0], found.table.time[0]) == (step, 1, 12.5)
    np.testing.assert_array_equal(found.table.columns["kl"], [value])


def test_the_forms_are_the_documented_ones(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "m.jsonl"
    with EventWriter(path, "r1", {"algo": "ppo"}, meta={"host": "a"}) as writer:
        writer.log(step=1, name="kl", value=0.25, time=5.0, tags={"phase": "eval"})
        writer.log({"kl": 0.25, "rewards": {"format": 1}}, step=2, time=6.0)
    common = {"meta": {"host": "a"}}
    assert _lines(path) == [
        {"time": 5.0, "step": 1, "name": "kl", "value": 0.25, "run_id": "r1"}
        | {"tags": {"algo": "ppo", "phase": "eval"}, **common},
        {"step": 2, "wall_time": 6.0, "metrics": {"kl": 0.25, "rewards/format": 1.0}}
        | {"model_info": {"run_id": "r1"}, "tags": {"algo": "ppo"}, **common},
    ]
    assert validate_events(path) == ()
    assert read_events(path)[1].metrics == {"kl": 0.25, "rewards/format": 1.0}


@each_of("value", [np.float32(0.5), np.array([[0.5]]), np.float64(0.5), np.int64(3), True, 10**40])
def test_what_has_one_number_in_it_is_that_number(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "m.jsonl"
    with EventWriter(path, strict=True) as writer:
        writer.log({"kl": value}, step=np.int64(1))  # type: ignore[arg-type]
    assert _lines(path)[0]["metrics"] == {"kl": float(np.asarray(value, dtype=object).item())}


class Broken:
    def __float__(self) -> float:
        raise RuntimeError("device-side assert")


@pytest.mark.parametrize("value", ["run-7", np.zeros(2), object(), 1j, Broken(), 10**400, []])
def test_a_value_that_is_no_number_leaves_the_others_of_its_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Any
) -> None:
    path = tmp_path / "m.jsonl"
    with EventWriter(path) as writer:
        writer.log({"note": value, "kl": 0.1}, step=1)
        writer.log({"note": value, "kl": 0.2}, step=2)
    assert [row["metrics"] for row in _lines(path)] == [{"kl": 0.1}, {"kl": 0.2}]
    assert capsys.readouterr().err.count("note at step 1 is no number") == 1
    with EventWriter(path, strict=True) as strict, pytest.raises(UsageError, match="note at step 3"):
        strict.log({"note": value}, step=3)


@pytest.mark.parametrize("step", [1.5, None, "3", math.nan, 2**53 + 2, np.zeros(3)])
def test_a_step_that_is_none_is_counted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], step: Any) -> None:
    with EventWriter(tmp_path / "m.jsonl") as writer:
        writer.log({"kl": 0.1}, step=step)
        writer.log({"kl": 0.1}, step=4.0)  # type: ignore[arg-type]
    assert (writer.lost, writer.written) == (1, 1)
    assert "1 records were not written" in capsys.readouterr().err


@each_of("call", [{}, {"name": "kl"}, {"value": 1.0}, {"metrics": {}, "name": "kl", "value": 1.0}])
def test_a_call_without_its_arguments_is_an_error_at_once(tmp_path: Path, call: dict[str, Any]) -> None:
    with EventWriter(tmp_path / "m.jsonl") as writer, pytest.raises(UsageError, match="a name and a value"):
        writer.log(step=1, **call)


def test_a_torn_tail_costs_no_other_record(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 0, "kl": 0.1}\n{"step": 1, "k')
    with EventWriter(path) as writer:
        writer.log(step=2, name="kl", value=0.3)
    found = decode(path)
    assert (found.records, found.rejected_count) == (2, 1)


def test_stdout_keeps_the_order_of_what_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with EventWriter("-") as writer:
        print("before", end="\n")
        writer.log(step=1, name="kl", value=0.5, time=1)
        print("after")
    assert capfd.readouterr().out == 'before\n{"time": 1, "step": 1, "name": "kl", "value": 0.5}\nafter\n'


def test_threads_share_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    writer = EventWriter(path)

    def work(thread: int) -> None:
        for step in range(200):
            writer.log({"x": thread}, step=step)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_lines(path)) == writer.written == 800


def test_a_place_that_cannot_be_written_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "artifacts").write_text("a file where a directory is needed")
    writer = EventWriter(tmp_path / "artifacts" / "m.jsonl")
    writer.log({"kl": 0.1}, step=1)
    (tmp_path / "artifacts").unlink()
    writer.log({"kl": 0.2}, step=2)
    assert (writer.lost, writer.written) == (1, 1)
    failed, resumed = capsys.readouterr().err.splitlines()
    assert "cannot write" in failed
    assert resumed.endswith("m.jsonl can be written again; missing: 1 record of m.jsonl (step 1)")
    with pytest.raises(UnreadableSource, match="cannot write"):
        EventWriter(tmp_path, strict=True)


def test_a_closed_writer_counts_what_comes_later(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "m.jsonl")
    writer.close()
    writer.close()
    writer.log({"kl": 0.1}, step=1)
    assert (writer.lost, _lines(tmp_path / "m.jsonl")) == (1, [])


@pytest.mark.parametrize(("fsync", "calls"), [("never", 0), ("alert", 1), (0, 4), (3600.0, 1)])
def test_fsync_is_called_as_often_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: Any, calls: int
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with EventWriter(tmp_path / "m.jsonl", fsync=fsync) as writer:
        for step in range(3):
            writer.log({"kl": 0.1}, step=step)
    assert len(synced) == calls


def test_an_unknown_fsync_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fsync"):
        EventWriter(tmp_path / "m.jsonl", fsync="always")  # type: ignore[arg-type]


def test_each_rank_has_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rank_path("out/m.jsonl", 0) == Path("out/m.jsonl")
    assert rank_path("out/m.jsonl", 3) == Path("out/m.rank3.jsonl")
    assert rank_path("-", 3) == Path("-")
    monkeypatch.setenv("RANK", "2")
    assert rank_path("m.jsonl") == Path("m.rank2.jsonl")
    monkeypatch.setenv("RANK", "two")
    with pytest.raises(UsageError, match="RANK is 'two'"):
        rank_path("m.jsonl")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_a_closed_writer_leaves_no_file_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for i in range(5):
        writer = EventWriter(tmp_path / f"{i}.jsonl")
        writer.log({"loss": 0.5}, step=1)
        writer.close()
        writer.close()  # later calls do nothing
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_writer_of_stdout_leaves_stdout_open(capfd: pytest.CaptureFixture[str]) -> None:
    with EventWriter("-") as writer:
        writer.log({"loss": 0.5}, step=1)
    os.write(1, b"still here\n")
    assert capfd.readouterr().out.endswith("still here\n")


def test_a_file_that_ends_with_a_whole_line_gets_no_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    for end, lines in (("\n", 2), ("", 2), ("\n\n", 3)):
        path.write_text('{"step": 0, "kl": 0.1}' + end)
        with EventWriter(path) as writer:
            writer.log({"kl": 0.2}, step=1)
        assert path.read_text().count("\n") == lines, repr(end)
        path.unlink()
    path.touch()
    with EventWriter(path) as writer:
        writer.log({"kl": 0.2}, step=1)
    assert path.read_text().startswith("{")


def test_a_new_file_may_be_read_by_all_and_written_by_its_owner(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with EventWriter(tmp_path / "m.jsonl") as writer:
            writer.log({"kl": 0.1}, step=1)
    finally:
        os.umask(before)
    assert (tmp_path / "m.jsonl").stat().st_mode & 0o777 == 0o644
