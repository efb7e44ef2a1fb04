from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from examples import each_of, every
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.naming.first_rows import Opening
from rldk.adapters.naming.guess import proposed_map
from rldk.adapters.open import open_run, open_runs
from rldk.errors import ConfigError, InputError, MalformedInput, UnknownName, UsageError
from rldk.ingest import RunSet, UnknownFields, ingest_runs, ingest_runs_to_events, write

FIXTURES = Path(__file__).parents[1] / "fixtures"
ROWS: list[dict[str, Any]] = [
    {"step": 1, "kl": 0.1, "entropy": 2.0, "mine": 1.0, "wall_time": 100.5},
    {"step": 2, "kl": math.nan, "mine": 2.0, "wall_time": 101.5},
    {"step": 2, "phase": "eval", "reward": 3.0},
]


def log(path: Path, rows=ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_frame_has_canonical_alias_and_own_columns(tmp_path):
    frame: Any = ingest_runs(log(tmp_path / "exp.jsonl", [{**r, "seed": 7, "git_sha": "abc"} for r in ROWS]))
    assert list(frame.columns[:6]) == ["step", "phase", "wall_time", "run_id", "seed", "git_sha"]
    assert frame["kl_mean"].equals(frame["kl"])
    assert frame["entropy_mean"].equals(frame["entropy"])
    assert frame["mine"].tolist()[:2] == [1.0, 2.0]
    assert frame["phase"].tolist() == ["train", "train", "eval"]
    assert frame.loc[2, "eval_reward_mean"] == 3.0
    assert (frame["run_id"] == "exp").all()
    assert (frame["seed"] == 7).all()


def test_several_runs_are_a_set(tmp_path):
    log(tmp_path / "a" / "metrics.jsonl")
    log(tmp_path / "b" / "metrics.jsonl", [{"step": 1, "loss": 1.0}])
    runs = ingest_runs(tmp_path)
    assert isinstance(runs, RunSet)
    assert [len(frame) for frame in runs] == [3, 1]
    assert runs["b"].equals(runs[1])
    assert runs[-1]["loss"].tolist() == [1.0]
    both = runs.concat()
    assert both.groupby("run_id", sort=True)["step"].count().to_dict() == {"a": 3, "b": 1}
    with pytest.raises(UnknownName, match="'c'"):
        runs["c"]
    assert isinstance(ingest_runs([tmp_path / "a"]), RunSet), "a list is always a set"
    assert isinstance(ingest_runs(tmp_path / "a"), pd.DataFrame)


def test_a_hint_is_tried_first_and_an_adapter_insisted_on(tmp_path):
    path = log(tmp_path / "x.jsonl")
    assert len(ingest_runs(path, adapter_hint="sb3-csv")) == 3
    assert len(ingest_runs(path, adapter_hint="trl")) == 3
    with pytest.raises(InputError):
        ingest_runs(path, adapter="parquet", adapter_hint="sb3-csv")  # the one insisted on wins
    with pytest.raises(UnknownName):
        ingest_runs(path, adapter_hint="nonsense")


def test_events_carry_canonical_metrics_once(tmp_path):
    rows = [
        {"step": 1, "objective/kl": 0.5, "policy/approxkl_avg": 0.1, "mine": 4.0, "wall_time": 9.0},
        {"step": 2, "mine": 1.0},
    ]
    first, second = ingest_runs_to_events(log(tmp_path / "e.jsonl", rows))
    assert (first.step, first.wall_time) == (1, 9.0)
    assert first.metrics == {"kl": 0.5, "kl_policy_update": 0.1, "mine": 4.0}
    assert first.model_info == {"run_id": "e", "phase": "train"}
    assert second.metrics == {"mine": 1.0}
    assert second.wall_time is None


def test_unknown_columns_bring_a_ready_field_map(tmp_path):
    path = log(tmp_path / "own.jsonl", [{"step": i, "my_reward": 0.1, "zorp": 2.0} for i in range(3)])
    run = open_run(path)
    hint = run.meta.notes[-1].split("--field-map ")[1].strip("'")
    assert json.loads(hint) == {"my_reward": "reward_mean"}
    frame: Any = ingest_runs(path, field_map=json.loads(hint))
    assert frame["reward_mean"].tolist() == [0.1] * 3


def test_validation_modes(tmp_path):
    nobody = log(tmp_path / "zorp.jsonl", [{"step": i, "zorp": 2.0} for i in range(3)])
    with pytest.warns(UnknownFields, match="field-map"):
        ingest_runs(nobody)
    with pytest.raises(ConfigError, match="known name"):
        ingest_runs(nobody, validation_mode="strict")
    path = log(tmp_path / "x.jsonl")
    assert len(ingest_runs(path, required_fields=["step", "kl_mean", "mine"])) == 3
    for mode in ("flexible", "strict"):
        with pytest.raises(ConfigError, match="lacks value_loss"):
            ingest_runs(path, required_fields=["value_loss"], validation_mode=mode)
    with pytest.warns(UnknownFields, match="lacks value_loss"):
        ingest_runs(path, required_fields=["value_loss"], validation_mode="lenient")
    with pytest.raises(UsageError, match="sloppy"):
        ingest_runs(path, validation_mode="sloppy")  # type: ignore[arg-type]
    path.write_text(path.read_text() + "{torn\n{}\n")
    with pytest.raises(MalformedInput):
        ingest_runs(path, validation_mode="strict")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("folder", every(3, ["trl-sft", "sb3-a2c", "verl-grpo-format"]))
def test_what_is_written_reads_back_the_same(tmp_path, suffix, folder):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    run = open_run(FIXTURES / folder)
    write(run, tmp_path / f"out{suffix}")
    frame: Any = ingest_runs(FIXTURES / folder)
    again: Any = ingest_runs(tmp_path / f"out{suffix}")
    assert again["step"].tolist() == frame["step"].tolist()
    assert again["phase"].tolist() == frame["phase"].tolist()
    for name in run.meta.names:
        np.testing.assert_array_equal(again[name], frame[name], err_msg=name)
    assert [p.name for p in tmp_path.iterdir()] == [f"out{suffix}"]


def test_a_formula_in_a_name_is_disarmed_in_csv(tmp_path):
    log(tmp_path / "=evil()" / "metrics.jsonl", [{"step": 1, "kl": 0.1, "@SUM(A1)": 1.0, "-x": 2.0}])
    log(tmp_path / "b" / "metrics.jsonl")
    write(open_runs(tmp_path), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert {"'=evil()", "'@SUM(A1)", "'-x"} <= set(cells)
    assert not [c for c in cells if c.startswith(("=", "@"))]


def test_writing_fails_whole_or_not_at_all(tmp_path):
    run = open_run(log(tmp_path / "x.jsonl"))
    with pytest.raises(UsageError, match="suffix"):
        write(run, tmp_path / "out.xml")
    with pytest.raises(UsageError, match="cannot write"):
        write(run, tmp_path / "none" / "out.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["x.jsonl"]


@each_of(
    ("key", "metric"),
    [
        ("avg_reward", "reward_mean"),
        ("klDivergence", "kl"),
        ("policy_entropy_value", "entropy"),
        ("gradNorm", "grad_norm"),
        ("my-learning-rate", "lr"),
        ("temperature", None),
        ("step", None),
        ("accuracy", None),
    ],
)
def test_proposals_are_close_or_none(key, metric):
    assert proposed_map(Opening.of([key])).get(key) == metric


@given(st.lists(st.text(max_size=30), max_size=8, unique=True))
def test_no_metric_is_proposed_twice(keys):
    proposed = proposed_map(Opening.of(keys))
    assert len(set(proposed.values())) == len(proposed)
    assert set(proposed) <= set(keys)


def test_events_end_where_the_table_has_no_row_for_them(tmp_path: Path) -> None:
    event = {"run_id": "r", "rng": {"seed": 1}, "wall_time": 1.0}
    lines = [{**event, "step": step, "metrics": {"kl": 0.1 * step}} for step in (1, 2)]
    late = {**event, "step": 2**62, "metrics": {"kl": 0.3}}
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (*lines, late)))
    found = ingest_runs_to_events(tmp_path / "e.jsonl")
    assert [e.step for e in found] == [1, 2]


def test_events_that_repeat_a_step_have_the_values_of_their_own_rows(tmp_path: Path) -> None:
    event = {"run_id": "r", "rng": {"seed": 1}, "wall_time": 1.0}
    values = [(1, 0.1), (1, 0.2), (2, 0.3), (2, 0.4)]
    lines = [{**event, "step": step, "metrics": {"objective/kl": kl}} for step, kl in values]
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [(e.step, e.metrics["kl"]) for e in ingest_runs_to_events(tmp_path / "e.jsonl")] == values
