"""The generator of labelled runs: its plan, its cheapest training, and its synthetic healthy streams."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from examples import each_of

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.corpus.label import FAMILIES, Run
from benchmarks.corpus.plan import runs
from benchmarks.corpus.pool import make
from benchmarks.corpus.streams import KINDS, healthy

from rldk import ingest_runs

ARGS = {
    "seed": 3, "dialect": "verl", "sink": "jsonl", "lr": 0.15, "batch": 32, "group": 4, "steps": 40, "epochs": 2,
    "schedule": "constant", "warmup": 0, "kl_coef": 0.02, "entropy_coef": 0.0, "noise": 0.1,
}  # fmt: skip


def table(fault: str, onset: int | None) -> Run:
    return Run(
        name=fault,
        module="numpy_table",
        framework="table",
        dialect="verl",
        algo="grpo",
        args=ARGS,
        fault=fault,
        onset=onset,
    )


def test_the_plan_names_every_run_once_and_two_in_five_are_healthy() -> None:
    plan = runs()
    assert len({run.name for run in plan}) == len(plan)
    first = plan[: len(plan) * 2 // 3]
    assert sum(run.fault == "none" for run in first) >= 0.38 * len(first)


def test_no_fault_is_without_a_family_and_no_mid_run_fault_begins_after_the_end() -> None:
    for run in runs():
        assert bool(FAMILIES[run.fault]) == (run.fault != "none") == (run.onset is not None)
        assert not run.onset or run.onset < run.args.get("steps", run.args.get("updates", run.args.get("timesteps")))  # type: ignore[operator]


def test_the_splits_share_no_seed() -> None:
    seeds = Counter((run.args["seed"]) for run in runs())
    assert max(seeds.values()) == 1


def test_a_healthy_table_learns_and_its_log_has_a_label(tmp_path: Path) -> None:
    make(table("none", None), tmp_path / "run")
    reward = ingest_runs(tmp_path / "run" / "metrics.jsonl")["reward_mean"]
    assert reward.tail(5).mean() > reward.head(5).mean() + 0.2
    label = json.loads((tmp_path / "run" / "label.json").read_text())
    assert label.items() >= {"fault": "none", "onset": None, "families": [], "dialect": "verl"}.items()


@pytest.mark.parametrize("onset", [1, 25])
def test_a_table_whose_rate_is_zero_stands_still_from_its_onset(tmp_path: Path, onset: int) -> None:
    make(table("lr_zero", onset), tmp_path / "run")  # asserts in the loop that no weight moves
    rate = ingest_runs(tmp_path / "run" / "metrics.jsonl")["lr"]
    assert list(rate == 0) == [step >= onset for step in range(1, 41)]


@each_of("seed", range(len(KINDS)))
def test_a_stream_is_the_same_for_the_same_seed_and_keeps_its_ranges(seed: int) -> None:
    kind, rows = healthy(seed)
    assert (kind, rows) == healthy(seed)
    assert all(0 <= row.get("clip_frac", 0) <= 1 and row.get("kl", 1) > 0 for row in rows)
    assert kind == "irregular" or len(rows) >= 60
