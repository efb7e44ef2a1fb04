"""A trainer's directory is one run, every file in it is accounted for, and any file of it can become a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from examples import each_of

from rldk.adapters import open_runs
from rldk.adapters.frame import ALIASES
from rldk.adapters.open import open_run
from rldk.cli.main import main
from rldk.errors import NotALog
from rldk.ingest import UnknownFields, ingest_runs

WHOLE = Path(__file__).parents[1] / "folders"
FOLDERS = {
    "trl-sft": ("hf-trainer-state", "sft"),
    "trl-grpo": ("hf-trainer-state", "grpo"),
    "trl-ppo": ("trl-stdout", "ppo"),  # goes on after the checkpoint
    "trl-dpo": ("trl-stdout", "dpo"),
    "sb3-a2c": ("sb3-json", "a2c"),
    "rllib-ppo": ("rllib-json", "ppo"),
    "verl-grpo-format": ("verl-jsonl", "grpo"),
    "openrlhf-ppo-format": ("tensorboard", "ppo"),
    "cleanrl-ppo-hot": ("tensorboard", "ppo"),
}
_TRIAL = "rllib-ppo/ppo_cartpole/PPO_CartPole-v1_f206b_00000_0_2026-11-20_11-53-05"
FILES = [
    "trl-sft/trainer_state.json",
    "trl-sft/stdout.txt",
    "trl-grpo/runs/run1/events.out.tfevents.1795175161.host.1.0",
    "trl-grpo/trackio/grpo-healthy.db",
    "trl-grpo/completions/completions_00001.parquet",
    "sb3-a2c/log/progress.csv",
    "sb3-a2c/log/progress.json",
    "sb3-a2c/log/log.txt",
    "sb3-a2c/train.monitor.csv",
    "sb3-a2c/eval/evaluations.npz",
    f"{_TRIAL}/result.json",
    f"{_TRIAL}/progress.csv",
    "rllib-ppo/stdout.txt",
    "verl-grpo-format/proj/toy_grpo.jsonl",
    "verl-grpo-format/stdout.txt",
    "openrlhf-ppo-format/stdout.txt",
    "cleanrl-ppo-hot/stdout.txt",
]
# JSON lines join rows of one step that share no metric, as are the episodes and the speeds that CleanRL prints.
JOINED = {("cleanrl-ppo-hot/stdout.txt", ".jsonl")}
READERS = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".jsonl": lambda path: pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()]),
}


@each_of("name", FOLDERS)
def test_a_directory_is_one_run_read_from_its_best_file_and_every_other_is_left_out_for_a_reason(name: str) -> None:
    (run,) = open_runs(WHOLE / name)
    assert (run.id, run.meta.format, run.meta.algorithm) == (name, *FOLDERS[name])
    files = {str(path) for path in (WHOLE / name).rglob("*") if path.is_file()}
    assert files == {*run.meta.files, *run.meta.left_out}
    assert not set(run.meta.files) & run.meta.left_out.keys()
    assert all(run.meta.left_out.values())


@pytest.mark.slow
def test_all_directories_side_by_side_are_a_run_each() -> None:
    assert {run.id for run in open_runs(WHOLE)} == set(FOLDERS)


@pytest.mark.parametrize("name", ["trl-sft/README.md", "trl-sft/stderr.txt"])
def test_what_is_no_log_is_said_to_be_none(name: str) -> None:
    with pytest.raises(NotALog, match="no log format"):
        open_run(WHOLE / name)


@pytest.mark.filterwarnings(f"ignore::{UnknownFields.__module__}.{UnknownFields.__name__}")
@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        pytest.param(name, suffix, marks=() if (i + k) % 9 == 0 else pytest.mark.slow)
        for i, name in enumerate(FILES)
        for k, suffix in enumerate(READERS)
    ],
)
def test_a_file_becomes_the_same_table_written_returned_and_read_again(name: str, suffix: str, tmp_path: Path) -> None:
    out = tmp_path / f"out{suffix}"
    done = CliRunner().invoke(main, ["ingest", str(WHOLE / name), "-o", str(out), "--no-validate"])
    frame = ingest_runs(WHOLE / name)
    assert isinstance(frame, pd.DataFrame)
    assert done.exit_code == 0
    same(READERS[suffix](out), frame.drop(columns=[*ALIASES], errors="ignore") if suffix == ".jsonl" else frame)  # type: ignore[operator]
    if len(frame) and (name, suffix) not in JOINED:
        same(ingest_runs(out), frame)


def same(found: object, frame: pd.DataFrame) -> None:
    """Asserts that a table has the columns, rows and numbers of another; empty columns may be gone."""
    assert isinstance(found, pd.DataFrame)
    told = frame.dropna(axis="columns", how="all") if len(frame) else frame.iloc[:, :0]
    kept = found[list(told.columns)]
    assert set(found.columns) <= set(frame.columns)
    for name in told.columns:
        if told[name].dtype.kind in "if":
            np.testing.assert_allclose(kept[name].astype(float), told[name], rtol=1e-15)
        else:
            assert list(kept[name]) == list(told[name])
