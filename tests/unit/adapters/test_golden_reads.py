"""What formats make of genuine logs, whole and torn: names, rows, sums, notes, refused lines; in tests/golden."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rldk.adapters.open import open_runs
from rldk.core.model import Run
from rldk.errors import RldkError

TESTS = Path(__file__).parents[2]
TRIAL = "ppo_cartpole/PPO_CartPole-v1_f206b_00000_0_2026-11-20_11-53-05"
FILES = {
    "trl": [
        "fixtures/trl-sft/stdout.txt", "fixtures/trl-grpo-collapse/trainer_state.json", "fixtures/trl-console/bars.txt",
        "fixtures/trl-console/resumed.txt", "fixtures/trl-sft/trackio/sft-healthy.db",
        "folders/trl-grpo/completions/completions_00001.parquet",
    ],
    "control": [
        "fixtures/sb3-ppo/log/log.txt", "fixtures/sb3-ppo/log/progress.json", "fixtures/sb3-dqn/log/progress.csv",
        "folders/sb3-a2c/train.monitor.csv", "folders/sb3-a2c/eval/evaluations.npz",
        "fixtures/cleanrl-ppo-hot/stdout.txt",
        "fixtures/rllib-ppo/stdout.txt", f"folders/rllib-ppo/{TRIAL}/progress.csv",
    ],
    "others": [
        "fixtures/openrlhf-ppo-format/stdout.txt", "fixtures/verl-grpo-format/stdout.txt",
        "fixtures/verl-grpo-format/proj/toy_grpo.jsonl", "fixtures/wandb-offline/run-abc123.wandb",
        "fixtures/tensorboard/trl-sft/events.out.tfevents.1795175456.host.1.0", "fixtures/mlflow-sqlite/mlflow.db",
        "fixtures/mlflow-file/mlruns",
    ],
}  # fmt: skip


def _facts(run: Run) -> Iterator[str]:
    meta, table = run.meta, run.metrics
    yield f"run {run.id}: {meta.format}, {meta.framework} {meta.framework_version}, {meta.algorithm}"
    yield f"  of {meta.total_steps} steps, seed {meta.seed}, commit {meta.git_sha}, clock {meta.clock!r}"
    yield f"  lines {run.lines}, refused {run.rejected_count}: {[(r.line, r.reason) for r in run.rejected]}"
    yield f"  notes {list(meta.notes)}, settings {len(meta.config)}, files {len(meta.files)}"
    step = table.step.tolist()
    yield f"  {len(step)} rows, steps {step[:3]} to {step[-2:]}, segments {sorted(set(table.segment.tolist()))}"
    yield f"  phases {np.bincount(table.phase).tolist()}, times {np.isfinite(table.time).sum()}"
    for name, column in sorted(table.columns.items()):
        known = column[np.isfinite(column)]
        total = f"{known.sum():.7g}" if len(known) else "-"
        yield f"  {name} <- {meta.names.get(name, '')}: {len(known)} of {len(column)}, sum {total}"


def _read(path: Path) -> str:
    try:
        return "\n".join(line for run in open_runs(path) for line in _facts(run))
    except RldkError as error:
        return f"{type(error).__name__}: {error.message}"


@pytest.mark.parametrize("group", FILES)
def test_golden_reads(golden: Callable[[str, str], None], tmp_path: Path, group: str) -> None:
    parts = []
    for i, name in enumerate(FILES[group]):
        source = TESTS / name
        copy = tmp_path / str(i) / source.name
        copy.parent.mkdir()
        if source.is_dir():
            shutil.copytree(source, copy)
            parts.append(f"== {name}\n{_read(copy)}")
            continue
        data = source.read_bytes()
        copy.write_bytes(data)
        parts.append(f"== {name}\n{_read(copy)}")
        if copy.suffix != ".db":
            copy.write_bytes(data[: len(data) * 2 // 3])
            parts.append(f"== {name}, torn\n{_read(copy)}")
    golden(f"reads-{group}.txt", "\n".join(parts).replace(str(tmp_path), "TMP"))
