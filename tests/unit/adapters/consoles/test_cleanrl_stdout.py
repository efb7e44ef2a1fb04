from __future__ import annotations

import math
from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.consoles.cleanrl import CleanRLStdout
from rldk.adapters.log import Log

STDOUT = Path(__file__).parents[3] / "fixtures/cleanrl-ppo-hot/stdout.txt"


def read(path: Path, text: str) -> Log:
    path.write_text(text)
    return CleanRLStdout(path).read()


def test_every_line_is_a_row_under_its_tensorboard_tag() -> None:
    log = CleanRLStdout(STDOUT).read()
    assert (log.lines, len(log.table), log.rejected_count) == (280, 280, 0)
    assert set(log.table.columns) == {"charts/episodic_return", "charts/SPS"}


def test_sps_has_the_step_of_the_episode_before_it(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "global_step=60, episodic_return=[15.]\nSPS: 900\n")
    assert log.table.step.tolist() == [60, 60]
    assert math.isnan(log.table.columns["charts/SPS"][0])


@each_of("shown", ["15.0", "[15.]", "array([15.], dtype=float32)", "[15.0]", "np.float64(15.0)"])
def test_returns_as_different_versions_print_them(tmp_path: Path, shown: str) -> None:
    log = read(tmp_path / "out", f"\x1b[1m  0%| | 0/9\rglobal_step=8, episodic_return={shown}\n")
    assert log.table.columns["charts/episodic_return"].tolist() == [15.0]


def test_evaluation_after_the_training_is_an_eval_row(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "global_step=8, episodic_return=1.0\neval_episode=0, episodic_return=[9.]\n")
    assert (log.table.step.tolist(), log.table.phase.tolist()) == ([8, 8], [0, 1])


@pytest.mark.parametrize(
    "line", ["global_step=99, episodic_return=[1. 2.]", "SPS: fast", f"global_step={'9' * 30}, episodic_return=1.0x"]
)
def test_a_bad_line_is_counted_and_the_others_kept(tmp_path: Path, line: str) -> None:
    log = read(tmp_path / "out", f"global_step=8, episodic_return=[1.]\n{line}\nhello\nSPS: 3\n")
    assert (log.lines, log.rejected_count, log.rejected[0].line, len(log.table)) == (3, 1, 2, 2)


@pytest.mark.parametrize(
    ("tail", "rows"), [("SPS: 12", 1), ("SPS: 12\n", 2), ("global_step=9, episodic_return=[1.]", 2)]
)
def test_a_last_number_that_may_be_cut_is_not_taken(tmp_path: Path, tail: str, rows: int) -> None:
    log = read(tmp_path / "out", f"global_step=8, episodic_return=[1.]\n{tail}")
    assert len(log.table) == rows
    assert log.lines == 2


def test_steps_that_go_back_begin_a_segment(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "".join(f"global_step={s}, episodic_return=[1.]\n" for s in (8, 16, 8)))
    assert log.table.segment.tolist() == [0, 0, 1]
