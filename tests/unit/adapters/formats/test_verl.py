from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.verl import VerlConsole, VerlJsonl
from rldk.adapters.log import Log

FOLDER = Path(__file__).parents[3] / "fixtures/verl-grpo-format"
CONSOLE, JSONL = FOLDER / "stdout.txt", FOLDER / "proj/toy_grpo.jsonl"


def read(path: Path, text: str) -> Log:
    path.write_text(text)
    return VerlConsole(path).read()


def cells(log: Log) -> list[tuple[int, str, str]]:
    return [(row.step, key, repr(value)) for row in log.table.rows() for key, value in sorted(row.values.items())]


def test_console_and_file_logger_agree_to_the_last_digit() -> None:
    assert cells(VerlConsole(CONSOLE).read()) == cells(VerlJsonl(JSONL).read())


@pytest.mark.parametrize(("kind", "path"), [(VerlConsole, CONSOLE), (VerlJsonl, JSONL)])
def test_nan_is_stated_although_the_file_says_null(kind: type[VerlConsole | VerlJsonl], path: Path) -> None:
    table = kind(path).read().table
    assert table.stated_nan["critic/score/mean"].tolist() == [16]
    assert table.step[16] == 17


def test_keys_with_units_at_signs_and_slashes_stay_as_printed(tmp_path: Path) -> None:
    log = read(
        tmp_path / "out", "step:3 - actor/lr(1e-4):0.010 - val-core/a/b/mean@1:0.5 - num_turns/max:np.int32(2)\n"
    )
    assert {k: v[0] for k, v in log.table.columns.items()} == {
        "actor/lr(1e-4)": 0.01, "val-core/a/b/mean@1": 0.5, "num_turns/max": 2.0,
    }  # fmt: skip


def test_three_decimals_of_old_versions_are_a_note(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "(main_task pid=7) step:3 - actor/lr:0.000 - actor/pg_loss:-0.012\n")
    assert log.precision == 3
    assert any("reads as 0" in note for note in log.notes)
    assert VerlConsole(CONSOLE).read().precision is None


def test_a_line_of_validation_alone_is_an_eval_row(tmp_path: Path) -> None:
    log = read(
        tmp_path / "out", "step:0 - val/test_score/gsm8k:0.1\nstep:1 - actor/pg_loss:0.1 - val-core/x/mean@1:1.0\n"
    )
    assert log.table.phase.tolist() == [1, 0]


def test_jsonl_rows_of_validation_alone_are_eval_rows(tmp_path: Path) -> None:
    rows = [{"step": 0, "data": {"val-core/x": 0.1}}, {"step": 1, "data": {"actor/pg_loss": 0.1}}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert VerlJsonl(tmp_path / "x.jsonl").read().table.phase.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("keys", "dialect", "algorithm"),
    [
        ("actor/pg_loss:0.1 - critic/vf_loss:0.2", "verl", "ppo"),
        ("actor/pg_loss:0.1 - critic/score/mean:0.2", "verl", "grpo"),  # critic/score/* exists without any critic
        ("train/loss:0.1 - train/lr:0.2", "verl_sft", "sft"),
    ],
)
def test_the_algorithm_is_told_from_the_keys(tmp_path: Path, keys: str, dialect: str, algorithm: str) -> None:
    log = read(tmp_path / "out", f"step:1 - {keys}\n")
    assert (log.dialect, log.algorithm) == (dialect, algorithm)


def test_a_progress_bar_before_the_line_does_not_hide_it(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "Training Progress:   2%|  | 1/60 [00:10<09:50] step:1 - actor/pg_loss:0.25\n")
    assert log.table.columns["actor/pg_loss"].tolist() == [0.25]


@pytest.mark.parametrize("line", ["step:1 - a/b:oops", f"step:{'9' * 30} - a/b:1.0", f"step:{'9' * 5000} - a/b:1.0"])
def test_a_bad_line_is_counted_and_the_others_kept(tmp_path: Path, line: str) -> None:
    log = read(tmp_path / "out", f"step:1 - a/b:1.0\n{line}\nnoise\nstep:3 - a/b:1.0\n")
    assert (log.table.step.tolist(), log.lines, log.rejected[0].line) == ([1, 3], 3, 2)


def test_the_last_number_of_a_line_without_newline_is_not_taken_unless_closed(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "step:1 - a/b:1.0 - a/c:192")
    assert set(log.table.columns) == {"a/b"}
    assert set(read(tmp_path / "out", "step:1 - a/b:1.0 - a/c:np.float64(192.5)").table.columns) == {"a/b", "a/c"}


@settings(max_examples=at_most(40))
@given(st.data())
def test_a_torn_tail_never_gives_a_wrong_value(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = CONSOLE.read_text()
    torn = text[: data.draw(st.integers(len(text) // 2, len(text)))]
    log = read(tmp_path_factory.mktemp("torn") / "out", torn)
    assert set(cells(log)) <= set(cells(VerlConsole(CONSOLE).read()))
    assert len(log.table) >= torn.count("\n") - 1
    assert len(log.table) + log.rejected_count == log.lines


def test_inf_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path / "out", "step:1 - a/b:np.float64(inf)\n").table.columns["a/b"][0] == math.inf
