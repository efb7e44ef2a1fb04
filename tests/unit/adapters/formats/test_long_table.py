"""Tables with a row a value, and charts with a column an arm: values of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rldk.adapters.formats.arms_chart import ArmsChart
from rldk.adapters.formats.long_table import LongTable
from rldk.adapters.open import open_run, open_runs
from rldk.adapters.source import File
from rldk.errors import NotALog

LONG = "step,name,value\n" + "".join(f"{i},train/reward,{i}.5\n{i},train/loss,{9 - i}\n" for i in range(6))
RUNS = "run,key,step,value\n" + "".join(f"{r},reward,{i},{i}.5\n{r},kl,{i},0.1\n" for r in "ab" for i in range(5))
ARMS = "step,ppo_mean,ppo_stderr,dqn_mean,dqn_stderr\n" + "".join(f"{100 * i},{i}.5,0.1,{-i},0.2\n" for i in range(5))


def test_the_values_of_a_step_are_a_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(LONG)
    run = open_run(tmp_path / "t.csv")
    assert (run.meta.format, run.metrics.step.tolist()) == ("long-csv", [0, 1, 2, 3, 4, 5])
    assert run.metrics.columns["train/loss"].tolist() == [9, 8, 7, 6, 5, 4]


def test_each_run_that_is_named_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(RUNS.replace("b,reward,3,3.5", "b,reward,3,7.5"))
    runs = open_runs(tmp_path / "t.csv")
    assert [run.id for run in runs] == ["a", "b"]
    assert [run.metrics.columns["reward"].tolist()[3] for run in runs] == [3.5, 7.5]


def test_a_torn_end_and_wrong_types_are_counted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(LONG + "6,train/reward,fast\n7,train/re")
    log = LongTable(tmp_path / "t.csv").read()
    assert (len(log.table), log.rejected_count, log.lines) == (6, 2, 8)


@pytest.mark.parametrize("text", ["name,value\nlr,0.1\nbatch,8\n", "step,name,value\n1,lr,fast\n2,lr,slow\n"])
def test_what_is_no_history_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(NotALog):
        open_run(tmp_path / "t.csv")


def test_each_arm_of_a_chart_is_a_run_and_its_spread_no_metric(tmp_path: Path) -> None:
    (tmp_path / "episode_return.csv").write_text(ARMS)
    dqn, ppo = open_runs(tmp_path)
    assert (ppo.id, dqn.id) == ("ppo", "dqn")
    assert dqn.metrics.columns["episode_return"].tolist() == [0, -1, -2, -3, -4]
    assert not any("stderr" in name for name in ppo.metrics.columns)


def test_charts_of_the_same_arms_are_parts_of_the_same_runs(tmp_path: Path) -> None:
    (tmp_path / "episode_return.csv").write_text(ARMS)
    (tmp_path / "loss.csv").write_text(ARMS)
    assert [sorted(set(run.metrics.columns) & {"episode_return", "loss"}) for run in open_runs(tmp_path)] == [
        ["episode_return", "loss"]
    ] * 2


@pytest.mark.parametrize(
    "header", ["step,reward_mean,reward_std,loss_mean,loss_std", "step,train_mean,train_std,test_mean,test_std"]
)
def test_metrics_with_a_spread_are_no_arms(header: str) -> None:
    assert not ArmsChart.sniff(File.beginning(f"{header}\n1,2,0.1,3,0.1\n2,2,0.1,3,0.1\n".encode()))


def test_a_row_is_refused_for_its_own_reason(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(LONG + "6,train/reward\n7,train/reward,\n8,train/reward,1,1\n")
    assert [bad.reason for bad in LongTable(tmp_path / "t.csv").read().rejected] == [
        "2 fields, but the header has 3",
        "the row lacks a step, a name or a number",
        "4 fields, but the header has 3",
    ]
