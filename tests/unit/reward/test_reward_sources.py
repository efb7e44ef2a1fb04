"""Reward data from files of every kind, whole, torn or hostile."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from examples import each_of
from made_rewards import answers, pairs, rows

from rldk.errors import MalformedInput, NoData, NotALog, RldkError, UnreadableSource
from rldk.reward import health
from rldk.reward.assessment import HealthOptions, open_scores


def lines(path: Path, data: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in data))
    return path


@pytest.mark.slow
def test_every_kind_of_file_gives_the_same_report(tmp_path: Path) -> None:
    data = rows(answers(per_word=0.1))
    frame = pd.DataFrame(data)
    made = [lines(tmp_path / "a.jsonl", data), tmp_path / "a.json", tmp_path / "a.csv", tmp_path / "a.parquet"]
    made[1].write_text(json.dumps(data))
    frame.to_csv(made[2], index=False)
    frame.to_parquet(made[3])
    found = [health(source) for source in (*made, frame, data)]
    numbers = [{name: (c.status, c.value) for name, c in report.checks.items()} for report in found]
    assert all(each == numbers[0] for each in numbers), numbers


def test_completions_of_trl_have_the_sum_of_their_functions_as_reward(tmp_path: Path) -> None:
    columns = answers()
    frame = pd.DataFrame(
        {"step": 1, "prompt": columns["prompt"], "completion": columns["response"], "accuracy": columns["reward"],
         "format": 1.0, "advantage": 0.0}
    )  # fmt: skip
    frame.to_parquet(tmp_path / "completions_00001.parquet")
    report = health(tmp_path / "completions_00001.parquet")
    assert report.numbers["reward_mean"] == pytest.approx(np.mean(columns["reward"]) + 1)
    assert any("sum of accuracy, format" in note.text for note in report.notes)


@pytest.mark.slow
def test_conversations_are_read_as_text(tmp_path: Path) -> None:
    data = rows(answers(per_word=0.1))
    plain = health(data)
    for row in data:
        row["prompt"] = [{"role": "user", "content": row["prompt"]}]
        row["response"] = [{"role": "assistant", "content": row["response"]}]
    pd.DataFrame(data).to_parquet(tmp_path / "talks.parquet")
    for source in (data, tmp_path / "talks.parquet", lines(tmp_path / "talks.jsonl", data)):
        assert health(source).checks["length_bias"].value == plain.checks["length_bias"].value


def test_one_bad_row_never_loses_the_rest(tmp_path: Path) -> None:
    data = rows(answers())
    path = lines(tmp_path / "torn.jsonl", data)
    with path.open("a") as out:
        out.write('[1, 2]\n{"reward": 1.0, "prom\n"text"\n')
    report = health(path)
    assert report.numbers["samples"] == len(data)
    assert report.numbers["rejected"] == 3
    assert any("3 rows could not be read" in note.text for note in report.notes)


def test_cells_of_other_types_are_read_as_far_as_they_mean_something(tmp_path: Path) -> None:
    data = rows(answers())
    mixed: list[Any] = ["0.5", True, None, {"a": 1}, "text", 3]
    for place, value in enumerate(mixed):
        data[place]["reward"] = value
        data[place]["response"] = value
        data[place]["prompt"] = value
    report = health(lines(tmp_path / "mixed.jsonl", data))
    assert report.numbers["rewards"] == len(data) - 3
    assert report.status("length_bias") == "pass"


@pytest.mark.slow
def test_a_response_of_five_megabytes_is_one_response(tmp_path: Path) -> None:
    data = rows(answers())
    data[0]["response"] = "word " * 1_000_000
    path = tmp_path / "long.csv"
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(data[0]))
        writer.writeheader()
        writer.writerows(data)
    assert health(path).numbers["samples"] == len(data)
    assert health(lines(tmp_path / "long.jsonl", data)).numbers["samples"] == len(data)


def test_repeated_ids_are_read_and_gold_goes_to_each() -> None:
    columns = answers()
    columns["id"] = [f"a{i // 2}" for i in range(480)]
    report = health(rows(columns), gold={f"a{i}": float(i % 3) for i in range(240)})
    assert report.numbers["samples"] == 480
    assert report.status("calibration") != "not_available"


def test_rows_without_a_prompt_are_left_out_of_what_goes_by_prompt() -> None:
    data = rows(answers(per_word=0.1))
    for row in data[:40]:
        row["prompt"] = None
    bias = health(data).length_bias_metrics
    assert bias is not None
    assert (bias.samples, bias.prompts) == (440, 110)


def test_a_run_directory_is_read_by_its_samples(tmp_path: Path) -> None:
    data = [{**row, "step": 1 + i // 48} for i, row in enumerate(rows(answers()))]
    lines(tmp_path / "samples-0.jsonl", data)
    report = health(tmp_path)
    assert report.numbers["samples"] == 480
    assert report.status("length_bias") == "pass"


def test_the_first_name_that_is_there_wins_and_a_named_column_wins_over_it() -> None:
    data = [{"reward": 1.0, "score": float(i % 5), "reward_mean": 2.0} for i in range(60)]
    assert open_scores(data, HealthOptions()).columns["reward"] == "reward"
    assert open_scores(data, HealthOptions(columns={"reward": "score"})).columns["reward"] == "score"


def test_lengths_of_pairs_and_positions_of_the_chosen_are_used() -> None:
    columns = pairs()
    shown = np.random.default_rng(0).integers(0, 2, 600)
    longer = [50 + 10 * (a > b) for a, b in zip(columns["chosen_score"], columns["rejected_score"], strict=True)]
    data = {**columns, "chosen_length": longer, "rejected_length": [55] * 600, "chosen_position": shown.tolist()}
    report = health(rows(data))
    assert "RM002" in {f.code for f in report.findings}
    assert report.shortcut_analysis["position"]


@each_of(
    ("name", "content", "error"),
    [
        ("empty.jsonl", b"", NoData),
        ("no-rows.csv", b"reward,prompt\n", NoData),
        ("text.txt", b"this is no table\nat all\n", NotALog),
        ("broken.parquet", b"PAR1" + b"\0" * 200, MalformedInput),
        ("broken.json", b"[{", MalformedInput),
        ("deep.json", b"[" * 100_000, MalformedInput),
        ("numbers.json", b"[1, 2]", NoData),
        ("binary.bin", bytes(range(256)) * 20, RldkError),
    ],
)
def test_what_is_no_reward_data_is_one_clear_error(
    tmp_path: Path, name: str, content: bytes, error: type[RldkError]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        health(path)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_a_file_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource):
        health(tmp_path / "nothing.jsonl")


def test_rows_of_a_log_that_state_no_reward_are_not_missing_rewards(tmp_path: Path) -> None:
    """Many loggers write each metric at steps of its own; a NaN that the log itself states still counts."""
    rng = np.random.default_rng(0)
    log = [{"step": i, "reward": float(rng.normal())} if i % 2 else {"step": i, "loss": 0.1} for i in range(200)]
    report = health(lines(tmp_path / "log.jsonl", log))
    assert (report.numbers["samples"], report.status("missing_rewards")) == (100, "pass")
    log[51]["reward"] = math.nan
    report = health(lines(tmp_path / "log.jsonl", log))
    assert (report.numbers["samples"], report.status("missing_rewards")) == (100, "warn")
    frame = health(pd.DataFrame(log))
    assert frame.numbers["samples"] == 99
    assert any("101 of 200 rows state no reward and were left out" in note.text for note in frame.notes)
