from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.hf_trainer_state import HfTrainerState
from rldk.adapters.source import File
from rldk.core.table import PHASES
from rldk.errors import NoData, RldkError

FIXTURES = Path(__file__).parents[3] / "fixtures"
SFT = FIXTURES / "trl-sft"


def write(folder: Path, history: list[Any], **fields: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"global_step": 1, "log_history": history, "max_steps": 100, **fields}, indent=2))
    return path


def test_a_run_and_its_checkpoints_are_one_history():
    alone, nested = HfTrainerState(SFT / "trainer_state.json").read(), HfTrainerState(SFT).read()
    assert len(HfTrainerState(SFT).files) == 3
    assert nested.table.step.tolist() == alone.table.step.tolist()
    assert nested.lines == alone.lines == 85
    assert nested.rejected_count == 0


def test_eval_rows_and_the_summary_are_kept_apart_from_train_rows():
    table = HfTrainerState(SFT / "trainer_state.json").read().table
    counts = [int((table.phase == i).sum()) for i in range(len(PHASES))]
    assert counts == [80, 4, 1]
    assert np.isnan(table.columns["eval_loss"][table.phase == 0]).all()
    assert np.isfinite(table.columns["train_runtime"][table.phase == 2]).all()


def test_ragged_grpo_rows_leave_metrics_missing():
    log = HfTrainerState(FIXTURES / "trl-grpo" / "checkpoint-40").read()
    train = log.table.phase == 0
    assert np.isfinite(log.table.columns["kl"][train]).all()
    assert np.isfinite(log.table.columns["reward"][train]).sum() == 20
    assert (log.total_steps, log.dialect, log.algorithm) == (80, "trl_grpo", "grpo")


def test_null_is_missing_and_a_bare_nan_is_stated():
    grpo = HfTrainerState(FIXTURES / "trl-grpo" / "checkpoint-40").read().table
    assert "rewards/sometimes_none/mean" not in next(grpo.rows()).values
    assert not grpo.stated_nan


def test_nan_and_infinity_as_python_writes_them(tmp_path):
    path = write(tmp_path, [{"step": 1, "epoch": 0.1, "loss": math.nan, "grad_norm": math.inf}])
    row = next(HfTrainerState(path).read().table.rows())
    assert math.isnan(row.values["loss"])
    assert row.values["grad_norm"] == math.inf


def test_a_step_that_goes_back_begins_a_segment(tmp_path):
    history = [{"step": s, "epoch": s / 10, "loss": 1.0 / (i + 1)} for i, s in enumerate([1, 2, 3, 2, 3, 4])]
    table = HfTrainerState(write(tmp_path, history)).read().table
    assert table.segment.tolist() == [0, 0, 0, 1, 1, 1]
    assert table.step.tolist() == [1, 2, 3, 2, 3, 4]


def test_two_evaluations_of_one_step_are_both_kept(tmp_path):
    history = [{"step": 5, "epoch": 0.5, "eval_a_loss": 1.0}, {"step": 5, "epoch": 0.5, "eval_b_loss": 2.0}]
    table = HfTrainerState(write(tmp_path, history)).read().table
    assert [set(r.values) - {"epoch"} for r in table.rows()] == [{"eval_a_loss"}, {"eval_b_loss"}]


def test_the_history_of_another_run_is_left_out_and_named(tmp_path):
    mine = [{"step": s, "epoch": s / 10, "loss": 1.0} for s in (1, 2, 3)]
    write(tmp_path, mine)
    other = write(tmp_path / "checkpoint-2", [{**row, "loss": 9.0} for row in mine[:2]])
    log = HfTrainerState(tmp_path).read()
    assert log.table.columns["loss"].tolist() == [1.0, 1.0, 1.0]
    assert log.meta["left_out"] == {str(other): "it is the history of another run: the values at step 1 differ"}


def test_a_checkpoint_adds_what_the_last_state_lacks(tmp_path):
    rows = [{"step": s, "epoch": s / 10, "loss": float(s)} for s in (1, 2, 3)]
    write(tmp_path, rows[1:])
    write(tmp_path / "checkpoint-2", rows[:2])
    assert HfTrainerState(tmp_path).read().table.step.tolist() == [1, 2, 3]


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_torn_file_keeps_its_whole_rows(tmp_path, cut):
    text = (SFT / "trainer_state.json").read_text()
    path = tmp_path / "trainer_state.json"
    path.write_text(text[: int(len(text) * cut)])
    log, whole = HfTrainerState(path).read(), HfTrainerState(SFT / "trainer_state.json").read()
    n = len(log.table)
    assert log.table.step.tolist() == whole.table.step[:n].tolist()
    assert np.array_equal(log.table.columns["loss"], whole.table.columns["loss"][:n], equal_nan=True)
    assert n + log.rejected_count == log.lines
    assert log.notes


def test_a_damaged_row_in_the_middle_costs_only_itself(tmp_path):
    text = (SFT / "trainer_state.json").read_text()
    path = tmp_path / "trainer_state.json"
    path.write_text(text.replace('"step": 41', '"step": 4!1'))
    log = HfTrainerState(path).read()
    assert (len(log.table), log.rejected_count) == (84, 1)
    damaged = log.rejected[0]
    assert damaged.offset == text.rindex("{", 0, text.index('"step": 41'))
    assert damaged.line == text[: damaged.offset].count("\n") + 1


def test_entries_that_are_no_rows_are_counted(tmp_path):
    odd = [{"step": 1, "epoch": 0.1, "loss": 1.0}, 7, {"loss": 1.0}, {"step": 1.5, "loss": 1.0}, {"step": None}]
    log = HfTrainerState(write(tmp_path, odd)).read()
    assert (len(log.table), log.rejected_count, log.lines) == (1, 4, 5)


def test_an_empty_history_is_an_error_that_says_so(tmp_path):
    with pytest.raises(NoData, match="no usable row"):
        HfTrainerState(write(tmp_path, [])).read()


@settings(max_examples=at_most(60), deadline=None)
@given(at=st.integers(0, 15_000), junk=st.binary(max_size=30))
def test_any_damage_is_survived(tmp_path_factory, at, junk):
    data = bytearray((SFT / "checkpoint-40" / "trainer_state.json").read_bytes())
    data[at : at + len(junk)] = junk
    path = tmp_path_factory.mktemp("damaged") / "trainer_state.json"
    path.write_bytes(data)
    HfTrainerState.sniff(File(path))
    try:
        log = HfTrainerState(path).read()
    except RldkError:
        return
    assert len(log.table) + log.rejected_count == log.lines


def test_deep_nesting_is_refused_without_a_crash(tmp_path):
    path = tmp_path / "trainer_state.json"
    path.write_text('{"global_step": 1, "log_history": [' + "[" * 100_000)
    with pytest.raises(NoData):
        HfTrainerState(path).read()


def test_what_a_crashed_machine_left_unwritten_ends_the_file(tmp_path):
    path = tmp_path / "trainer_state.json"
    path.write_bytes((SFT / "checkpoint-40" / "trainer_state.json").read_bytes()[:5000])
    rows = len(HfTrainerState(path).read().table)
    os.truncate(path, 10**10)
    log = HfTrainerState(path).read()
    assert len(log.table) == rows
    assert "cut off" in log.notes[0]


def test_refused_rows_are_told_by_line_and_byte(tmp_path):
    path = tmp_path / "trainer_state.json"
    path.write_text('{"log_history": [\n{"step": 1, "loss": 1.0},\n{"step": 2, "é": no},\n{"step": 3, "loss": no}')
    assert [(r.line, r.offset) for r in HfTrainerState(path).read().rejected] == [(3, 44), (4, 67)]


def test_a_row_without_its_end_is_refused_and_the_others_are_kept(tmp_path):
    rows = '{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.4, {"step": 3, "loss": 0.3}'
    (tmp_path / "trainer_state.json").write_text('{"global_step": 3, "log_history": [' + rows + "]")
    log = HfTrainerState(tmp_path / "trainer_state.json").read()
    assert log.table.step.tolist() == [1, 3]
    assert [r.reason for r in log.rejected] == ["the end of the row is missing"]


def test_a_row_with_a_number_of_5000_digits_is_refused_in_plain_words(tmp_path: Path) -> None:
    rows = f'[{{"step": 1, "loss": {"9" * 5000}}}, {{"step": 2, "loss": 0.5}}]'
    path = tmp_path / "trainer_state.json"
    path.write_text(f'{{"global_step": 2, "max_steps": 2, "log_history": {rows}}}')
    refused = [rejected.reason for rejected in HfTrainerState(path).read().rejected]
    assert "the row cannot be read: an integer of more than 4,300 digits" in refused
