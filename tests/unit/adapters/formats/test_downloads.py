from __future__ import annotations

from pathlib import Path

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.formats.downloads import TensorboardCsv, WandbChart, tag_of
from rldk.adapters.formats.tabular import Csv
from rldk.adapters.open import open_run, open_runs
from rldk.adapters.source import File
from rldk.core.model import COUNTED
from rldk.errors import RldkError


def chart(*runs: str, metric: str = "train/reward", axis: str = "Step") -> str:
    names = [f"{run} - {metric}{end}" for run in runs for end in ("", "__MIN", "__MAX")]
    lines = [",".join(f'"{name}"' for name in (axis, *names))]
    lines += [f'"{10 * i}",' + ",".join(f'"{i / 10 + k}"' * 1 for k in range(len(names))) for i in range(1, 6)]
    return "\n".join(lines) + "\n"


def scalar(first: float, step: int = 2048) -> str:
    rows = (f"{1.7e9 + i},{step * (i + 1)},{first + i / 8}" for i in range(5))
    return "Wall time,Step,Value\n" + "\n".join(rows) + "\n"


def test_a_chart_of_one_run_is_that_run(tmp_path: Path) -> None:
    (tmp_path / "wandb_export.csv").write_text(chart("grpo - small"))
    run = open_run(tmp_path / "wandb_export.csv")
    assert (run.id, run.meta.format, run.metrics.step.tolist()) == ("grpo - small", "wandb-chart", [10, 20, 30, 40, 50])
    assert list(run.metrics.columns) == ["reward_mean", "train/reward"]


def test_a_chart_of_several_runs_is_several_runs(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(chart("a", "b"))
    assert [(run.id, run.metrics.columns["reward_mean"][0]) for run in open_runs(tmp_path / "e.csv")] == [
        ("a", 0.1),
        ("b", 3.1),
    ]


def test_the_charts_of_a_folder_are_one_run_for_each_name(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(chart("a", "b"))
    (tmp_path / "export (1).csv").write_text(chart("b", metric="train/kl", axis="train/global_step"))
    found = {run.id: run for run in open_runs(tmp_path)}
    assert {name: sorted(run.meta.names) for name, run in found.items()} == {
        "a": ["reward_mean"],
        "b": ["kl", "reward_mean"],
    }
    assert len(found["b"].metrics) == 5


def test_a_chart_over_time_counts_its_rows_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(chart("a", axis="Relative Time (Wall)"))
    run = open_run(tmp_path / "e.csv")
    assert (run.metrics.step.tolist(), run.meta.clock) == ([0, 1, 2, 3, 4], COUNTED)


def test_downloads_of_tensorboard_are_one_run_named_by_their_files(tmp_path: Path) -> None:
    (tmp_path / "rollout_ep_rew_mean.csv").write_text(scalar(50.0))
    (tmp_path / "train_approx_kl.csv").write_text(scalar(0.5))
    run = open_run(tmp_path)
    assert (run.meta.names["kl_policy_update"], run.meta.names["reward_mean"]) == (
        "train/approx_kl",
        "rollout/ep_rew_mean",
    )
    assert (len(run.metrics), run.metrics.time[0]) == (5, 1.7e9)


def test_runs_that_the_names_of_downloads_say_are_told_apart(tmp_path: Path) -> None:
    for run in ("PPO_1", "PPO_2"):
        (tmp_path / f"run-{run}-tag-train_loss.csv").write_text(scalar(0.5))
        (tmp_path / f"run-{run}-tag-train_entropy.csv").write_text(scalar(1.5))
    assert [(run.id, sorted(run.meta.names)) for run in open_runs(tmp_path)] == [
        ("PPO_1", ["entropy", "loss"]),
        ("PPO_2", ["entropy", "loss"]),
    ]


@each_of(
    ("name", "tag"),
    [
        ("run-a-tag-Loss_value_function.csv", "Loss/value_function"),
        ("losses_policy_loss (2).csv", "losses/policy_loss"),
        ("charts_episodic_return.csv.gz", "charts/episodic_return"),
        ("kl.csv", "kl"),
    ],
)
def test_the_tag_is_in_the_name(name: str, tag: str) -> None:
    assert tag_of(File(Path(name))) == tag


def test_a_row_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kl.csv").write_text(scalar(0.5) + "1.7e9,x,0.5\n1.7e9,1,\n1.7e9,20480")
    run = open_run(tmp_path / "kl.csv")
    assert (run.rejected_count, run.lines) == (3, 8)


NEAR = ["Wall time,Step,Value,x\n1,2,3,4\n", "step,a - b,loss\n1,2,3\n", "day,a - b\n1,2\n", "Step\n1\n", ""]


@each_of("text", NEAR)
def test_what_only_looks_like_a_download_is_left_to_others(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert (WandbChart.sniff(File(tmp_path / "t.csv")), TensorboardCsv.sniff(File(tmp_path / "t.csv"))) == (0, 0)


@given(st.binary(max_size=300), st.sampled_from([chart("a"), scalar(0.5), "step,loss\n1,0.5\n"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes, start: str) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(start.encode() + junk)
    for kind in (WandbChart, TensorboardCsv, Csv):
        if kind.sniff(File(path)):
            try:
                log = kind(path).read()
            except RldkError:
                continue
            assert log.lines == len(log.table) + log.rejected_count
