from __future__ import annotations

from pathlib import Path

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.openrlhf import OpenRLHFAdapter, OpenRLHFConsole
from rldk.adapters.log import Log

STDOUT = Path(__file__).parents[3] / "fixtures/openrlhf-ppo-format/stdout.txt"
PREFIX = "(PPOTrainer pid=4321) INFO 11-20 11:59:24 ppo_trainer.py:101] "


def read(path: Path, text: str) -> Log:
    path.write_bytes(text.encode())
    return OpenRLHFConsole(path).read()


def test_a_row_for_every_step() -> None:
    log = OpenRLHFConsole(STDOUT).read()
    assert log.table.step.tolist() == list(range(1, 21))
    assert (log.framework, log.dialect, log.algorithm) == ("openrlhf", "openrlhf", "ppo")
    assert log.table.columns["critic_loss"][0] == 0.3922860791320173


def test_none_is_missing_not_nan() -> None:
    table = OpenRLHFConsole(STDOUT).read().table
    assert "dynamic_filtering_pass_rate" not in table.columns
    assert not table.stated_nan


def test_a_value_spread_over_lines_with_repeated_prefixes_is_put_together(tmp_path: Path) -> None:
    shown = f"{PREFIX}✨ Global step 3: {{'ids': array([1,\r\n{PREFIX}       2]), 'kl': 0.5}}\n"
    log = read(tmp_path / "out", shown)
    assert log.table.columns["kl"].tolist() == [0.5]


def test_values_of_numpy_and_torch_are_read(tmp_path: Path) -> None:
    text = "✨ Global step 3: {'kl': np.float64(0.5), 'r': tensor(2., device='cuda:0'), 'x': nan, 's': ['{', \"'\"]}\n"
    (row,) = read(tmp_path / "out", text).table.rows()
    assert (row.values["kl"], row.values["r"], row.values["x"] != row.values["x"]) == (0.5, 2.0, True)


def test_evaluation_lines_are_eval_rows(tmp_path: Path) -> None:
    text = (
        "✨ Global step 4: {'policy_loss': 0.1}\n"
        "✨ Evaluation completed in 0:00:09, global_step 4, eval_metrics: {'eval_gsm8k_pass1': 0.5}\n"
    )
    log = read(tmp_path / "out", text)
    assert (log.table.step.tolist(), log.table.phase.tolist(), log.algorithm) == ([4, 4], [0, 1], "grpo")
    assert "advantage estimator" in log.notes[0]


def test_a_dict_without_end_costs_its_own_line_only(tmp_path: Path) -> None:
    log = read(tmp_path / "out", "✨ Global step 1: {'kl': 0.1, 'x\n✨ Global step 2: {'kl': 0.2}\n")
    assert (log.table.step.tolist(), log.lines, log.rejected[0].line) == ([2], 2, 1)


@pytest.mark.parametrize("step", ["9" * 25, "9" * 5000])
def test_a_step_beyond_counting_is_rejected(tmp_path: Path, step: str) -> None:
    log = read(tmp_path / "out", f"✨ Global step {step}: {{'kl': 0.1}}\n✨ Global step 2: {{'kl': 0.2}}\n")
    assert (log.table.step.tolist(), log.rejected_count) == ([2], 1)


@settings(max_examples=at_most(40))
@given(st.data())
def test_a_torn_tail_costs_the_last_step_only(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = STDOUT.read_text(encoding="utf-8")
    torn = text[: data.draw(st.integers(len(text) // 2, len(text)))]
    log = read(tmp_path_factory.mktemp("torn") / "out", torn)
    assert log.table.step.tolist() == list(range(1, torn.count("None}") + 1))
    assert len(log.table) + log.rejected_count == log.lines


def test_the_documented_class_reads_what_a_run_has() -> None:
    assert OpenRLHFAdapter(STDOUT).can_handle()
    assert len(OpenRLHFAdapter(STDOUT.parent).read().table) == 20
