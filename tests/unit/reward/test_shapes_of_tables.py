"""The same scored answers in the shapes in which people and tools write them give the same report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from examples import each_of
from made_rewards import answers, pairs, rows

from rldk.adapters.tables.several import answers_of
from rldk.errors import MalformedInput, NoData, NotALog
from rldk.evals.reading import read_table
from rldk.reward import health

Rows = list[dict[str, Any]]


def grouped(data: Rows) -> list[Rows]:
    return [data[i : i + 4] for i in range(0, len(data), 4)]


def columns(data: Rows) -> dict[str, list[Any]]:
    return {name: [row[name] for row in data] for name in data[0]}


def talk(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": "q"}, {"role": "assistant", "content": text}]


def listed(data: Rows, texts: str, scores: str) -> Rows:
    """One row for each prompt, with lists of answers and scores."""
    return [
        {"prompt": own[0]["prompt"], texts: [r["response"] for r in own], scores: [r["reward"] for r in own]}
        for own in grouped(data)
    ]


def objects(data: Rows) -> Rows:
    """UltraFeedback: a list of objects."""
    return [
        {"instruction": own[0]["prompt"],
         "completions": [{"response": r["response"], "overall_score": r["reward"]} for r in own]}
        for own in grouped(data)
    ]  # fmt: skip


def lines(found: Rows) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in found)


SHAPES: dict[str, Callable[[Rows], str]] = {
    "flat.json": lambda d: json.dumps(columns(d)),
    "pretty.json": lambda d: json.dumps(columns(d), indent=4),
    "wrapped.json": lambda d: json.dumps({"version": 1, "data": d}),
    "wrapped-pretty.json": lambda d: json.dumps({"version": 1, "data": d}, indent=2),
    "instances.json": lambda d: json.dumps({"type": "text_only", "instances": d}, indent=4),
    "by-id.json": lambda d: json.dumps({f"row-{i}": row for i, row in enumerate(d)}),
    "one-after-the-other.json": lambda d: "\n".join(json.dumps(row, indent=2) for row in d),
    "wandb.table.json": lambda d: json.dumps({"columns": list(d[0]), "data": [list(row.values()) for row in d]}),
    "columns.json": lambda d: pd.DataFrame(d).to_json(orient="columns"),
    "index.json": lambda d: pd.DataFrame(d).to_json(orient="index"),
    "split.json": lambda d: pd.DataFrame(d).to_json(orient="split"),
    "table.json": lambda d: pd.DataFrame(d).to_json(orient="table"),
    "tabs.txt": lambda d: pd.DataFrame(d).to_csv(sep="\t"),
    "german.csv": lambda d: pd.DataFrame(d).to_csv(sep=";", decimal=",", index=False),
    "case.csv": lambda d: pd.DataFrame(d).rename(columns=str.title).to_csv(index=False),
    "rlhflow.jsonl": lambda d: lines(listed(d, "responses", "rewards")),
    "simpo.json": lambda d: json.dumps(listed(d, "all_generated_responses", "all_rm_scores"), indent=4),
    "ultrafeedback.jsonl": lambda d: lines(objects(d)),
    "nested.jsonl": lambda d: lines(
        [{"example": {k: r[k] for k in ("prompt", "response")}, "result": {"score": r["reward"]}} for r in d]
    ),
    "object.jsonl": lambda d: lines([{**r, "reward": {"score": r["reward"], "acc": True}} for r in d]),
    "lists-of-one.jsonl": lambda d: lines([{**r, "response": [r["response"]], "reward": [r["reward"]]} for r in d]),
    "conversations.jsonl": lambda d: lines(
        [{**row, "responses": [talk(text) for text in row["responses"]]} for row in listed(d, "responses", "rewards")]
    ),
}


def plain() -> Rows:
    made = rows(answers(per_word=0.05, prompts=30))
    return [{name: row[name] for name in ("prompt", "response", "reward")} for row in made]


@each_of("name", list(SHAPES))
def test_a_table_in_any_shape_gives_the_same_rewards(name: str, tmp_path: Path) -> None:
    data = plain()
    path = tmp_path / name
    path.write_text(SHAPES[name](data))
    report = health(path, select="DATA052")
    assert (report.numbers["samples"], report.numbers["prompts"]) == (120, 30)
    assert report.numbers["reward_mean"] == pytest.approx(health(data, select="DATA052").numbers["reward_mean"])
    table = read_table(path)
    clusters = table.clusters()
    assert clusters is not None
    assert (table.rows, len(set(clusters.tolist()))) == (120, 30)
    assert table.has("response")
    assert table.number("reward").mean() == pytest.approx(report.numbers["reward_mean"])


def test_frames_and_parquet_hold_several_answers_in_a_row(tmp_path: Path) -> None:
    made = pd.DataFrame(listed(plain(), "responses", "rewards"))
    nested = pd.DataFrame([{"prompt": r["prompt"], "out": {"score": r["reward"]}} for r in plain()])
    for place, frame in enumerate((made, nested)):
        frame.to_parquet(tmp_path / f"{place}.parquet")
        for source in (frame, tmp_path / f"{place}.parquet"):
            assert health(source).numbers["rewards"] == 120


def test_arrow_files_and_folders_of_parts_are_tables(tmp_path: Path) -> None:
    frame = pd.DataFrame(plain())
    frame.to_feather(tmp_path / "scores.feather")
    parts = tmp_path / "data"
    parts.mkdir()
    frame[:60].to_parquet(parts / "train-00000-of-00001.parquet")
    frame[60:].to_parquet(parts / "test-00000-of-00001.parquet")
    (parts / "dataset_info.json").write_text("{}")
    assert health(tmp_path / "scores.feather").numbers["samples"] == 120
    report = health(parts)
    assert report.numbers["samples"] == 120
    assert report.status("distribution_shift") != "not_available"
    assert read_table(parts).rows == 120


def test_a_folder_of_nothing_readable_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# nothing")
    with pytest.raises((NotALog, NoData)):
        health(tmp_path)


def test_numbers_written_as_text_are_read_from_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame(plain()).astype({"reward": str})
    frame.to_parquet(tmp_path / "a.parquet")
    assert health(tmp_path / "a.parquet").numbers["rewards"] == 120


def test_a_column_that_only_later_rows_have_is_read(tmp_path: Path) -> None:
    data = plain()
    early = [{"prompt": row["prompt"], "response": row["response"]} for row in data] * 10
    path = tmp_path / "late.jsonl"
    path.write_text(lines([*early, *data]))
    assert health(path).numbers["rewards"] == 120
    assert int((~pd.isna(read_table(path).number("reward"))).sum()) == 120


def test_a_first_row_of_another_kind_loses_only_itself(tmp_path: Path) -> None:
    for place, first in enumerate(("[1, 2]", "null", '"text"', "{bad", "5")):
        path = tmp_path / f"{place}.jsonl"
        path.write_text(f"{first}\n{lines(plain())}")
        report = health(path)
        assert (report.numbers["samples"], report.numbers["rejected"]) == (120, 1), first


def test_a_document_that_is_cut_off_keeps_its_whole_rows(tmp_path: Path) -> None:
    text = json.dumps(plain(), indent=2)
    path = tmp_path / "cut.json"
    path.write_text(text[: int(len(text) * 0.6)])
    report = health(path)
    assert 60 <= report.numbers["samples"] < 80  # type: ignore[operator]
    assert report.numbers["rejected"] == 1
    path.write_text("[1, 2")
    with pytest.raises(MalformedInput):
        health(path)


def test_what_is_no_number_is_named_and_never_passes() -> None:
    data = [{**row, "step": f"step-{i}"} for i, row in enumerate(plain())]
    assert any(
        "120 of 120 values of `step` are no numbers; the first is 'step-0'" in n.text for n in health(data).notes
    )
    words = [{**row, "reward": "good"} for row in data]
    with pytest.raises(NoData, match="`reward` holds no number; the first value is 'good'"):
        health(words)
    several = [{"chosen_score": [1.0, 2.0], "rejected_score": 0.0} for _ in range(50)]
    with pytest.raises(NoData, match="`chosen_score` holds no number"):
        health(several)


def test_validation_rows_that_all_stand_in_training_are_leakage() -> None:
    data = plain()
    both = [{**row, "split": "train"} for row in data] + [{**row, "split": "test"} for row in data]
    check = health(both).checks["label_leakage"]
    assert (check.status, check.value) == ("fail", 1.0)


def test_rewards_of_neighbouring_floats_are_drawn() -> None:
    data = [{**row, "reward": 10**18 + i} for i, row in enumerate(plain())]
    assert health(data).figures["reward"]["y"]


def test_a_conversation_or_its_tokens_are_not_several_answers() -> None:
    pair = {"prompt": "q", "response": "a", "tokens": ["a", "b"], "logprobs": [0.1, 0.2]}
    assert answers_of(pair, 1)[0] is pair
    conversation = {"completion": talk("a"), "rewards": [1.0, 2.0]}
    assert answers_of(conversation, 1)[0] is conversation
    scored = {"responses": ["a", "b"], "reward": 0.5}  # one score for two answers says nothing of either
    assert answers_of(scored, 1)[0] is scored


def test_answers_without_a_prompt_are_still_answers_to_one() -> None:
    made = answers_of({"outputs": ["a", "b"], "scores": [1, 2], "score_kinds": ["x", "y"]}, 7)
    assert made == [
        {"prompt_id": "7", "response": "a", "score": 1, "score_kind": "x"},
        {"prompt_id": "7", "response": "b", "score": 2, "score_kind": "y"},
    ]


def test_pairs_under_the_names_of_rewardbench_are_pairs() -> None:
    made = pairs(count=100)
    found = health([{"scores_chosen": a, "scores_rejected": b} for a, b in zip(*made.values(), strict=True)])
    assert found.numbers["pairs"] == 100
