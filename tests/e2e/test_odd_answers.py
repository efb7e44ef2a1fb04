"""Files of scored answers that lack what people usually have, through every command that reads such files: an honest
report and an exit code each."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rldk.cli.main import main

Row = dict[str, Any]
WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "health": ("reward-health", "{}"),
    "length": ("reward", "length-bias", "--run-path", "{}"),
    "drift": ("reward-drift", "--scores-a", "good.jsonl", "--scores-b", "{}"),
    "evaluate": ("evals", "evaluate", "{}"),
    "compare": ("evals", "compare", "good.jsonl", "{}"),
    "eval": ("eval", "--run", "{}"),
    "validate": ("evals", "validate-data", "{}"),
}


def made() -> list[Row]:
    rng = random.Random(0)
    return [
        {"id": i, "prompt_id": i // 4, "prompt": f"question number {i // 4}", "step": i // 8,
         "response": " ".join(rng.choices(WORDS, k=rng.randint(3, 40))), "reward": rng.gauss(0, 1)}
        for i in range(200)
    ]  # fmt: skip


def mixed(rows: list[Row]) -> list[Any]:
    odd: list[Any] = [dict(row) for row in rows]
    for i, row in enumerate(odd):
        row["reward"] = {1: str(row["reward"]), 2: "high", 3: None, 4: [1]}.get(i % 7, row["reward"])
        row["response"] = {5: {"a": 1}, 6: 5}.get(i % 11, row["response"])
        row["step"] = "x" if i % 11 == 7 else row["step"]
    return [*odd[:20], "{broken", "[1,2]", '"text"', *odd[20:]]


def without(rows: list[Row], *names: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


ROWS = made()
NO_REWARDS = [{**row, "reward": float("nan")} for row in ROWS]
# file -> its rows, the exit code of each command in order, and what some of them must say
CASES: Mapping[str, tuple[list[Any], tuple[int, ...], Mapping[str, str]]] = {
    "no prompt ids": (without(ROWS, "id", "prompt_id", "prompt"), (0, 0, 0, 0, 0, 0, 0), {
        "length": "correlations are those over all answers", "evaluate": "no prompt is known",
        "compare": "not compared prompt by prompt", "drift": "on 200 answers"}),
    "no responses": (without(ROWS, "response"), (0, 3, 0, 0, 0, 0, 0), {
        "health": "length bias: needs thirty responses", "evaluate": "needs `response`"}),
    "ten rows": (ROWS[:10], (3, 3, 3, 0, 0, 0, 0), {
        "health": "Not judged: the data carries too little", "drift": "Not judged: good.jsonl and",
        "evaluate": "there are 10 rows: most limits cannot be decided"}),
    "all rewards equal": ([{**row, "reward": 1.0} for row in ROWS], (1, 3, 3, 0, 0, 0, 0), {
        "health": "100.0 % of the rewards", "drift": "gives every one of 200 answers the score 1",
        "evaluate": "reward never changes", "compare": "is the same: is the reward function broken"}),
    "no reward is a number": (NO_REWARDS, (1, 3, 3, 1, 3, 1, 1), {
        "health": "200 of 200 rewards are missing", "drift": "none has a finite score",
        "evaluate": "200 rows without a number in reward", "compare": "holds nothing but NaN in reward",
        "validate": "nothing but NaN"}),
    "some rewards are no numbers": ([*NO_REWARDS[:40], *ROWS[40:]], (1, 1, 0, 1, 0, 1, 0), {
        "health": "40 of 200 rewards are missing", "compare": "40 of 200 rows of", "drift": "on 160 answers",
        "validate": "40 of 200 rows lack a number in reward"}),
    "mixed types": (mixed(ROWS), (1, 1, 0, 1, 0, 1, 1), {
        "evaluate": "3 records could not be read", "compare": "58 of 200 rows of", "drift": "on 142 answers",
        "validate": "record 21: not JSON"}),
    "a response of 5 MB": ([*ROWS[:-1], {**ROWS[-1], "response": "word " * 1_000_000}], (0, 0, 0, 0, 0, 0, 0), {
        "health": "No fault found", "evaluate": "200 cases"}),
    "duplicate ids": ([{**row, "id": row["id"] // 2} for row in ROWS], (0, 0, 0, 0, 0, 0, 0), {
        "health": "100 rows repeat the id of an earlier row", "drift": "rows are joined by their texts instead"}),
    "one row": (ROWS[:1], (3, 3, 3, 0, 3, 0, 0), {"drift": "only 1 answer with scores of both models"}),
    "nothing": ([], (3,) * 7, dict.fromkeys(COMMANDS, "is empty")),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_an_odd_file_gets_an_honest_report_from_every_command(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows, codes, words = CASES[name]
    for path, own in (("good.jsonl", ROWS), ("odd.jsonl", rows)):
        Path(path).write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in own))
    found = {
        key: CliRunner().invoke(main, [part.format("odd.jsonl") for part in command], env={"COLUMNS": "100"})
        for key, command in COMMANDS.items()
    }
    told = {key: " ".join(f"{done.stdout} {done.stderr}".split()) for key, done in found.items()}
    assert {key: done.exit_code for key, done in found.items()} == dict(zip(COMMANDS, codes, strict=True)), told
    assert {key: text in told[key] for key, text in words.items()} == dict.fromkeys(words, True), told
    assert not any(" nan" in text or "Traceback" in text for text in told.values())
