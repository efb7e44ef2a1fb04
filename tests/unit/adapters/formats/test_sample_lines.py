"""Per-sample records as the trainers write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk.adapters.formats.sample_lines import SampleLines
from rldk.adapters.open import open_run, open_runs
from rldk.adapters.source import File
from rldk.core.model import Run
from rldk.core.samples import Sample, is_sample, to_sample
from rldk.errors import MalformedInput, NoData

VERL = {"input": "user\n2+2?\nassistant\n", "output": "4", "gts": "4", "score": 1.0, "step": 7, "acc": 1.0, "pred": "4"}
NEMO = {
    "content": ["2+2? 4"],
    "rewards": [1.0],
    "generation_logprobs": [[0.0, 0.0, -0.5]],
    "prev_logprobs": [[-9.0, -1.0, -0.6]],
    "token_loss_mask": [[0, 0, 1]],
    "input_lengths": [3],
    "idx": 0,
}
PRIME = {
    "example_id": 3,
    "task": "math",
    "prompt": [{"role": "user", "content": "2+2?"}],
    "completion": [{"role": "assistant", "content": "4"}],
    "reward": 1.0,
    "is_truncated": False,
    "error": None,
    "trajectory": [{"tokens": {"prompt_ids": [1, 2], "completion_ids": [3], "completion_logprobs": [-0.1]}}],
}
SKYRL = {
    "input_prompt": "2+2?",
    "output_response": "4",
    "score": 0.5,
    "stop_reason": "length",
    "env_class": "gsm8k",
    "uid": "7",
}
SLIME = {
    "group_index": 2,
    "prompt": "2+2?",
    "response": "4",
    "response_length": 1,
    "reward": {"score": 1},
    "status": "truncated",
    "rollout_log_probs": [-0.2],
    "loss_mask": [1],
}


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@each_of(
    ("record", "expected"),
    [
        (VERL, {"step": 7, "response": "4", "reward": 1.0, "gold": "4", "parsed": "4", "has_parsed": True}),
        (NEMO, {"response": "2+2? 4", "reward": 1.0, "logp_rollout": [0.0, 0.0, -0.5], "loss_mask": [0, 0, 1]}),
        (PRIME, {"prompt_id": "3", "prompt": "2+2?", "response": "4", "ending": "ended", "turns": (([1, 2], [3]),)}),
        (SKYRL, {"prompt": "2+2?", "response": "4", "reward": 0.5, "ending": "cut", "group_id": "7"}),
        (SLIME, {"group_id": "2", "n_tokens": 1.0, "ending": "cut", "logp_rollout": [-0.2], "stated": "number"}),
    ],
    ids=["verl", "nemo-rl", "prime-rl", "skyrl", "slime"],
)
def test_records_of_trainers(record: dict[str, Any], expected: dict[str, Any]) -> None:
    sample = to_sample(record)
    assert {name: getattr(sample, name) for name in expected} == expected


@each_of(
    "record",
    [
        {"prompt": "a", "completion": "b"},  # a data set
        {"messages": [{"role": "user", "content": "a"}]},
        {"step": 3, "loss": 0.5, "reward": 1.0},
        {"completions/mean_length": 3, "step": 1},
    ],
)
def test_what_is_no_sample(record: dict[str, Any], tmp_path: Path) -> None:
    assert not is_sample(record)
    assert SampleLines.sniff(File(write(tmp_path / "x.jsonl", record))) == 0


@each_of(
    ("said", "ending"),
    [("stop", "ended"), ("LENGTH", "cut"), ("Status.TRUNCATED", "cut"), ({"type": "length"}, "cut"), ("odd", "")],
)
def test_how_a_response_ended(said: Any, ending: str) -> None:
    assert to_sample({"response": "x", "finish_reason": said}).ending == ending


@each_of(
    ("fields", "stated"),
    [
        ({"reward": 0}, "number"),
        ({"reward": None}, "none"),
        ({"reward": float("nan")}, "nan"),
        ({"reward": None, "reward_components": {"a": None, "b": 1}}, "number"),
        ({"reward_components": {"a": None}}, "none"),
        ({}, ""),
    ],
)
def test_what_a_record_says_of_its_reward(fields: dict[str, Any], stated: str) -> None:
    assert to_sample({"response": "x", **fields}).stated == stated


def steps_of(run: Run) -> list[int | None]:
    assert run.sample_reader is not None
    return [sample.step for sample in run.sample_reader]


def test_files_named_by_their_step_are_one_run_in_order(tmp_path: Path) -> None:
    for step in (10, 2, 1):
        write(tmp_path / "rollout_data" / f"{step}.jsonl", *[VERL | {"step": step}] * 2)
    run = open_run(tmp_path)
    assert (steps_of(run), run.meta.framework, run.lines) == ([1, 1, 2, 2, 10, 10], "verl", 6)


def test_the_step_stands_in_the_name_of_a_file_or_folder(tmp_path: Path) -> None:
    write(tmp_path / "a" / "train_data_step12.jsonl", NEMO)
    assert steps_of(open_run(tmp_path / "a")) == [12]
    for step in (1, 2):
        write(tmp_path / "b" / "rollouts" / f"step_{step}" / "train_rollouts.jsonl", PRIME)
        write(tmp_path / "b" / "rollouts" / f"step_{step}" / "eval_rollouts.jsonl", PRIME)
    runs = open_runs(tmp_path / "b")
    assert sorted(steps_of(run) for run in runs) == [[1, 2], [1, 2]]
    assert {Path(f).name for f in runs[0].meta.files} in ({"train_rollouts.jsonl"}, {"eval_rollouts.jsonl"})


def test_ranks_are_merged_by_step(tmp_path: Path) -> None:
    for rank in (0, 1):
        records = [{"step": s, "rank": rank, "response": "r", "reward": 1} for s in (1, 2, 3)]
        write(tmp_path / f"samples-rank{rank}.jsonl", *records)
    assert steps_of(open_run(tmp_path)) == [1, 1, 2, 2, 3, 3]


def test_samples_stand_beside_the_metrics_of_a_run(tmp_path: Path) -> None:
    write(tmp_path / "metrics.jsonl", *[{"step": s, "loss": 1.0, "reward_mean": 0.5} for s in (1, 2)])
    write(tmp_path / "samples-0.jsonl", *[{"step": s, "response": "r", "reward": 1} for s in (1, 2)])
    run = open_run(tmp_path)
    assert (len(run.metrics), steps_of(run)) == (2, [1, 2])


def test_a_bad_line_is_counted_and_a_torn_tail_too(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", VERL, VERL)
    path.write_bytes(path.read_bytes() + b'{"input": "x"\n\xff\xfe\n' + json.dumps(VERL).encode()[:-4])
    log = SampleLines(path).read()
    assert (log.lines, log.rejected_count, log.samples and len(log.samples)) == (5, 3, 2)
    with pytest.raises(MalformedInput, match="line 3"):
        SampleLines(path, strict=True).read()


def test_without_any_response_there_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        SampleLines(write(tmp_path / "s.jsonl", {"a": 1})).read()


@each_of("value", [None, "", [], {}, [[]], -1, 1e400, "NaN", [None], {"a": {"b": []}}, "x" * 5000])
def test_any_value_in_any_field_makes_a_sample(value: Any) -> None:
    names = ("prompt", "response", "reward", "loss_mask", "logp_rollout", "trajectory", "step", "reward_components")
    assert isinstance(to_sample(dict.fromkeys(names, value)), Sample)
