from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from examples import at_most, each_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rldk.adapters as package
from rldk.adapters import open_run, open_runs
from rldk.adapters.frame import to_frame
from rldk.adapters.open import CLASSES, find_adapter
from rldk.core.model import Run
from rldk.errors import (
    InputError,
    MalformedInput,
    NoData,
    NotALog,
    RldkError,
    UnknownName,
    UnreadableSource,
    UsageError,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
EXPECTED = {
    "trl-grpo": (
        "hf-trainer-state",
        "trl",
        "grpo",
        {"reward_mean", "kl", "clip_frac", "reward_fn/brevity/mean", "eval_loss"},
    ),
    "trl-rloo": ("trl-stdout", "trl", "rloo", {"reward_mean", "zero_std_group_frac"}),
    "trl-dpo": ("hf-trainer-state", "trl", "dpo", {"pref_margin", "logp_chosen", "eval_pref_accuracy"}),
    "trl-kto": ("hf-trainer-state", "trl", "kto", {"kl", "pref_reward_chosen"}),
    "trl-reward": ("hf-trainer-state", "trl", "reward_model", {"pref_accuracy", "reward_mean"}),
    "trl-sft": ("hf-trainer-state", "trl", "sft", {"loss", "token_accuracy", "eval_loss"}),
    "trl-ppo": ("trl-stdout", "trl", "ppo", {"kl", "kl_policy_update", "value_loss"}),
    "sb3-a2c": ("sb3-json", "stable_baselines3", "a2c", {"reward_mean", "entropy", "value_explained_variance"}),
    "sb3-ppo": ("sb3-json", "stable_baselines3", "ppo", {"clip_frac", "kl_policy_update"}),
    "sb3-dqn": ("sb3-csv", "stable_baselines3", "dqn", {"exploration_rate", "loss"}),
    "rllib-ppo": ("rllib-json", "rllib", "ppo", {"reward_mean", "kl_coef", "value_explained_variance"}),
    "openrlhf-ppo-format": ("openrlhf-console", "openrlhf", "ppo", {"reward_mean", "value_mean", "entropy"}),
    "verl-grpo-format": ("verl-jsonl", "verl", "grpo", {"reward_mean", "rollout_kl", "truncation_frac"}),
    "cleanrl-ppo-hot": ("cleanrl-stdout", "cleanrl", None, {"reward_mean"}),
}
ROWS = [{"step": i, "kl": 0.1 * i, "reward_mean": float(i)} for i in range(1, 6)]


def write(path: Path, rows=ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@cache
def run_of(folder: str) -> Run:
    return open_run(FIXTURES / folder)


@each_of("folder", EXPECTED)
def test_a_trainers_directory_is_one_run(folder):
    run = run_of(folder)
    log_format, framework, algorithm, metrics = EXPECTED[folder]
    assert run.id == folder
    assert (run.meta.format, run.meta.framework, run.meta.algorithm) == (log_format, framework, algorithm)
    assert metrics <= run.metrics.columns.keys()


@each_of("folder", EXPECTED)
def test_every_file_is_read_or_left_out_with_a_reason(folder):
    meta = run_of(folder).meta
    there = {str(p) for p in (FIXTURES / folder).rglob("*") if p.is_file()}
    assert set(meta.files) | set(meta.left_out) == there
    assert not set(meta.files) & set(meta.left_out)
    assert all(meta.left_out.values())


@pytest.mark.slow
def test_directories_of_several_runs_hold_as_many(tmp_path):
    for folder in ("trl-dpo", "sb3-a2c", "verl-grpo-format", "trl-grpo"):
        shutil.copytree(FIXTURES / folder, tmp_path / folder)
    write(tmp_path / "own" / "metrics.jsonl")
    (tmp_path / "notes.txt").write_text("nothing here\n")
    runs = open_runs(tmp_path)
    assert [r.id for r in runs] == ["own", "sb3-a2c", "trl-dpo", "trl-grpo", "verl-grpo-format"]
    assert runs[0].meta.left_out == {str(tmp_path / "notes.txt"): "not a log"}
    with pytest.raises(UsageError, match="5 runs"):
        open_run(tmp_path)


def test_samples_go_with_the_metrics_of_their_run():
    run = open_run(FIXTURES / "trl-grpo")
    assert run.samples is not None
    assert len(run.samples) == 48
    assert sum(f.endswith(".parquet") for f in run.meta.files) == 3


def test_a_log_that_outlived_the_last_checkpoint_is_read_instead(tmp_path):
    shutil.copytree(FIXTURES / "trl-ppo", tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.metrics.step.max() == 64
    left = run.meta.left_out[str(tmp_path / "run" / "checkpoint-32" / "trainer_state.json")]
    assert left == "same run, read from stdout.txt instead: it continues to step 64"


def test_a_log_that_says_more_than_the_terminal_did_is_read_instead(tmp_path):
    shutil.copy(FIXTURES / "cleanrl-ppo-hot" / "stdout.txt", tmp_path)
    rows = [{"global_step": i, "charts/episodic_return": i, "losses/td_loss": 0.1, "q": 1.0} for i in range(1, 201)]
    log = write(tmp_path / "metrics.jsonl", rows)
    run = open_run(tmp_path)
    assert [Path(p).name for p in run.meta.files] == ["metrics.jsonl"]
    assert run.meta.left_out == {str(tmp_path / "stdout.txt"): "same run, read from metrics.jsonl instead"}
    write(log, rows[:20])
    assert [Path(p).name for p in open_run(tmp_path).meta.files] == ["stdout.txt"]


def test_formats_of_one_run_agree():
    best = open_run(FIXTURES / "trl-sft").metrics
    other = open_run(FIXTURES / "trl-sft" / "stdout.txt").metrics
    for name in ("loss", "grad_norm", "entropy", "token_accuracy"):
        mine, theirs = (t.columns[name][np.isfinite(t.columns[name])] for t in (best, other))
        np.testing.assert_allclose(mine, theirs, rtol=5e-4)


@pytest.mark.parametrize("opener", [gzip.open, open])
def test_a_compressed_log_opens_like_a_plain_one(tmp_path, opener):
    path = tmp_path / "metrics.jsonl.gz"
    with opener(path, "wb") as out:
        out.write("".join(json.dumps(r) + "\n" for r in ROWS).encode())
    assert open_run(path).metrics.columns["kl"].tolist() == [r["kl"] for r in ROWS]


def test_patterns_and_lists(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name / "metrics.jsonl")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "metrics.jsonl").write_bytes(b"\x00\x01 no log")
    runs = open_runs(str(tmp_path / "*" / "metrics.jsonl"))
    assert [r.id for r in runs] == ["a", "b"]
    assert list(runs[0].meta.left_out) == [str(tmp_path / "c" / "metrics.jsonl")]
    same = open_runs([tmp_path / "a", tmp_path / "a" / "metrics.jsonl"])
    assert [r.id for r in same] == ["a", "a-2"]
    with pytest.raises(UnreadableSource, match="nothing matches"):
        open_runs(str(tmp_path / "*.nothing"))


def test_standard_input(tmp_path, monkeypatch):
    data = write(tmp_path / "x.jsonl").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    run = open_run("-")
    assert (run.id, run.source, len(run.metrics)) == ("stdin", "-", 5)


def test_urls(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://logs/exp/metrics.jsonl", "wb") as out:
        out.write(write(tmp_path / "x.jsonl").read_bytes())
    assert open_run("memory://logs/exp/metrics.jsonl").source == "memory://logs/exp/metrics.jsonl"
    assert open_run("memory://logs/exp").metrics.columns["kl"].size == 5
    assert open_run(f"file://{tmp_path}/x.jsonl").metrics.columns["kl"].size == 5
    with pytest.raises(UnreadableSource):
        open_run("memory://logs/none")
    with pytest.raises(UnreadableSource, match="nosuchscheme"):
        open_run("nosuchscheme://x/y")


def test_the_manifest_of_a_run_directory(tmp_path):
    write(tmp_path / "metrics.jsonl")
    manifest = {"run_id": "exp-1", "config": {"lr": 1e-3}, "seeds": {"seed": 7}, "git": {"sha": "abc"}}
    (tmp_path / "run.json").write_text(json.dumps(manifest, indent=1))
    run = open_run(tmp_path)
    assert (run.id, run.meta.seed, run.meta.git_sha, run.meta.config) == ("exp-1", 7, "abc", {"lr": 1e-3})
    assert str(tmp_path / "run.json") in run.meta.files
    for broken in ("[" * 100_000, '{"schema_version": 99, "seeds": {"seed": 7}}'):
        (tmp_path / "run.json").write_text(broken)
        with pytest.warns(UserWarning, match=r"the manifest is not used: .*run\.json"):
            assert open_run(tmp_path).meta.seed is None


def test_links_are_not_followed(tmp_path):
    write(tmp_path / "outside" / "metrics.jsonl")
    write(tmp_path / "runs" / "a" / "metrics.jsonl")
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs", target_is_directory=True)
    (tmp_path / "runs" / "away.jsonl").symlink_to(tmp_path / "outside" / "metrics.jsonl")
    run = open_run(tmp_path / "runs")
    assert run.id == "a"
    assert run.meta.left_out[str(tmp_path / "runs" / "away.jsonl")] == "a link"


@each_of(
    ("content", "error"),
    [
        (b"", NoData),
        (random.Random(0).randbytes(5000), NotALog),
        (b"\x00" * 70_000, NotALog),
        (b"# a readme\n\nwith, some, commas\n1,2,3\n", NotALog),
        (b"{}\n{}\n", InputError),
        (b"\x1f\x8b\x08 torn", InputError),
        (b"PAR1 torn", InputError),
        (b"SQLite format 3\x00" + b"\xff" * 200, InputError),
        (b'{"log_history": 3}', InputError),
    ],
    ids=["empty", "random", "zeros", "prose", "objects", "gzip", "parquet", "sqlite", "state"],
)
def test_what_is_no_log_is_one_clear_error(tmp_path, content, error):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        open_runs(path)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    (tmp_path / "good").mkdir()
    write(tmp_path / "good" / "metrics.jsonl")
    run = open_run(tmp_path)
    assert str(path) in run.meta.left_out


@settings(
    max_examples=at_most(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b'{"step": 1, "kl": 0.1}\n', b"step,kl\n1,2\n", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"]),
)
def test_no_bytes_bring_anything_but_an_rldk_error(tmp_path, data, prefix):
    path = tmp_path / "fuzz"
    path.write_bytes(prefix + data)
    with contextlib.suppress(RldkError):
        assert all(len(r.metrics) for r in open_runs(path))


def test_missing_and_empty_sources(tmp_path):
    with pytest.raises(UnreadableSource, match="no such"):
        open_runs(tmp_path / "none")
    with pytest.raises(NoData, match="no file"):
        open_runs(tmp_path)
    with pytest.raises(UsageError):
        open_runs([])
    (tmp_path / "a.txt").write_text("hello\n")
    with pytest.raises(NotALog, match="the only file in"):
        open_runs(tmp_path)


def test_strict_reading_names_the_bad_line(tmp_path):
    path = write(tmp_path / "a" / "metrics.jsonl")
    path.write_text(path.read_text() + "{broken}\n" + json.dumps(ROWS[0]) + "\n")
    assert open_run(path).rejected_count == 1
    for source in (path, tmp_path):
        with pytest.raises(MalformedInput, match="line 6"):
            open_runs(source, strict=True)


def test_columns_of_the_users_own(tmp_path):
    path = write(tmp_path / "own.jsonl", [{"step": i, "my_reward": 0.5, "klDiv": 0.1} for i in range(5)])
    run = open_run(path)
    assert run.meta.names["reward_mean"] == "my_reward"
    assert "--field-map '{" in run.meta.notes[-1]
    mapped = open_run(path, field_map={"my_reward": "value_mean"})
    assert mapped.meta.names == {"value_mean": "my_reward"}


def test_tables_without_a_step_column(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("loss,mean_reward\n1.0,0.5\n0.5,0.6\n")
    assert open_run(table).metrics.columns["reward_mean"].tolist() == [0.5, 0.6]
    table.write_text("counter,score_x\n5,0.5\n7,0.6\n")
    run = open_run(table, field_map={"counter": "step", "score_x": "reward_mean"})
    assert run.metrics.step.tolist() == [5, 7]
    array = tmp_path / "rows.json"
    array.write_text(json.dumps(ROWS, indent=1))
    assert open_run(array).metrics.columns["kl"].size == 5


def test_the_documented_classes_and_their_names():
    for name, cls in CLASSES.items():
        assert find_adapter(name) is getattr(package, cls) or name in ("custom_jsonl",)
        assert find_adapter(cls).__name__ == cls
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(UnknownName, match="trl"):
        find_adapter("trll")
    with pytest.raises(AttributeError):
        _ = package.Nothing


def test_naming_an_adapter_overrides_detection(tmp_path):
    log = write(tmp_path / "m.jsonl", [{"step": i, "objective/kl": 0.1, "loss/value_avg": 1.0} for i in range(3)])
    assert open_run(log, adapter="trl").meta.names["kl"] == "objective/kl"
    assert open_run(FIXTURES / "trl-sft", adapter="trl-stdout").meta.format == "trl-stdout"
    with pytest.raises(InputError):
        open_run(log, adapter="sb3-csv")


def test_a_table_in_memory():
    frame = open_run(FIXTURES / "trl-sft")
    again = open_run(to_frame(frame))
    for name in ("loss", "eval_loss", "lr"):
        np.testing.assert_array_equal(again.metrics.columns[name], frame.metrics.columns[name])
    assert again.id == "trl-sft"
    assert again.metrics.phase.tolist() == frame.metrics.phase.tolist()
    assert open_run(ROWS).metrics.step.tolist() == [1, 2, 3, 4, 5]
