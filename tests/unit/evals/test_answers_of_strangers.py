"""Answers under the names of tools that rldk has no reader of its own for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rldk.evals import compare, run
from rldk.evals.reading import read_table

RNG = np.random.default_rng(0)
RIGHT = (RNG.random(400) < 0.5).tolist()


def test_several_answers_with_their_grades_are_a_pass_rate() -> None:
    """Qwen2.5-Math: lists of answers, of what was found in them, and of grades."""
    rows = [
        {"idx": i, "question": f"what is {i}?", "gt": str(i), "code": [f"{i} {j} thoughts" for j in range(4)],
         "pred": [str(i)] * 4, "report": [None] * 4, "score": RIGHT[4 * i : 4 * i + 4]}
        for i in range(100)
    ]  # fmt: skip
    found = run(rows, "comprehensive")
    assert found.sample_size == 400
    assert found.scores["pass_rate"] == np.mean(RIGHT)
    assert found.scores["pass_at_4"] == np.mean([any(RIGHT[i : i + 4]) for i in range(0, 400, 4)])
    assert any("counts as wrong or right" in note.text for note in found.notes)


def test_rewards_of_a_verifier_are_right_or_wrong_and_others_are_not() -> None:
    rows = [{"prompt": f"q{i // 4}", "response": f"a {i}", "reward": float(r)} for i, r in enumerate(RIGHT)]
    assert run(rows, "comprehensive").scores["pass_rate"] == np.mean(RIGHT)
    partial = [{**row, "reward": 0.5 if i == 7 else row["reward"]} for i, row in enumerate(rows)]
    assert "pass_rate" in run(partial, "comprehensive").not_available
    same = [{**row, "reward": 1.0} for row in rows]  # a constant may be a count or a bound
    assert "pass_rate" in run(same, "comprehensive").not_available


def test_the_samples_of_a_problem_are_one_cluster_whatever_it_is_called() -> None:
    rows = [{"task_id": f"HumanEval/{i // 5}", "completion": f"return {i}", "passed": r} for i, r in enumerate(RIGHT)]
    table = read_table(rows)
    assert len(set(table.clusters().tolist())) == 80  # type: ignore[union-attr]
    told = read_table([{**row, "prompt": f"p{i}"} for i, row in enumerate(rows)])
    assert "prompt_id" not in told.columns


def test_a_document_in_a_document_holds_the_rows(tmp_path: Path) -> None:
    """promptfoo: {"results": {"results": [...]}}."""
    rows: list[dict[str, Any]] = [
        {"prompt": {"raw": f"q{i}"}, "response": {"output": "a"}, "success": r} for i, r in enumerate(RIGHT)
    ]
    path = tmp_path / "out.json"
    path.write_text(json.dumps({"evalId": "e", "results": {"version": 3, "results": rows}}))
    assert run(path, "comprehensive").scores["pass_rate"] == np.mean(RIGHT)


def test_data_of_which_nothing_is_understood_does_not_pass() -> None:
    rows = [{"instruction": f"q{i}", "output_1": "a", "output_2": "b", "preference": 1.2} for i in range(50)]
    found = run(rows, "comprehensive")
    assert not found.passed
    assert found.verdict.startswith("Not judged: ")


def test_frames_hold_arrays_and_the_missing_values_of_pandas() -> None:
    """What pandas.read_parquet makes of lists and of nullable columns."""
    frame = pd.DataFrame({
        "prompt": [f"q{i // 4}" for i in range(400)],
        "messages": [np.array([{"role": "user", "content": "hi"}], dtype=object) for _ in range(400)],
        "response": pd.array([f"answer {i}" if i % 5 else None for i in range(400)], dtype="string"),
        "correct": pd.array([None if i % 7 == 0 else bool(r) for i, r in enumerate(RIGHT)], dtype="boolean"),
        "logprobs": [np.array([-0.1, -0.2]) for _ in range(400)],
        "category": [pd.NaT if i % 3 else "a" for i in range(400)],
    })  # fmt: skip
    found = run(frame, "comprehensive")
    known = [r for i, r in enumerate(RIGHT) if i % 7]
    assert found.scores["pass_rate"] == np.mean(known)
    assert found.scores["perplexity"] is not None
    assert run(frame.to_dict("records"), "comprehensive").scores == found.scores


def test_odd_cells_are_no_error() -> None:
    odd: list[Any] = [
        float("inf"),
        -float("inf"),
        1e308,
        5e-324,
        b"x",
        {1, 2},
        (1, 2),
        np.float32(2),
        object(),
        "\ud800",
    ]
    for name in ("prompt", "prompt_id", "step", "category", "probe", "correct", "reward", "n_tokens", "response"):
        rows = [
            {"prompt": f"q{i // 4}", "response": f"long answer number {i} {'x' * 60}", "reward": float(i % 5)}
            | {"step": i, name: odd[i % len(odd)]}
            for i in range(120)
        ]
        for data in (rows, [{"probe": "p", **{k: v for k, v in row.items() if k != "prompt"}} for row in rows]):
            with np.errstate(all="ignore"):  # 1e308 and 1e308 are more than a float holds
                assert json.dumps(run(data, "comprehensive").to_dict(), allow_nan=False)


def test_an_id_for_each_answer_is_no_id_of_prompts() -> None:
    """The most usual shape of samples; by the ids each answer would count as a prompt of its own."""
    rows = [
        {"id": f"a{i}", "prompt": f"q{i // 4}", "response": f"answer {i}", "correct": r} for i, r in enumerate(RIGHT)
    ]
    found = run(rows, "comprehensive")
    assert (found.metadata["prompts"], found.scores["pass_at_4"]) == (
        100, np.mean([any(RIGHT[i : i + 4]) for i in range(0, 400, 4)]),
    )  # fmt: skip
    assert not found.findings
    assert any("names answers" in note.text for note in found.notes)
    assert read_table(rows, {"prompt_id": "id"}).columns["prompt_id"] == "id"
    few = [{**row, "prompt": f"q{min(i, 380)}"} for i, row in enumerate(rows)]
    assert read_table(few).columns["prompt_id"] == "id"  # questions that repeat: EVAL015


def test_prompts_under_other_ids_are_matched_by_their_texts() -> None:
    several = [{"id": f"a{i}", "prompt": f"q{i // 4}", "correct": r} for i, r in enumerate(RIGHT)]
    single = [{"id": f"b{i}", "prompt": f"q{i}", "correct": r} for i, r in enumerate(RIGHT[:100])]
    other = [{**row, "id": f"c{i}"} for i, row in enumerate(single)]
    for a, b in ((several, single), (single, other)):
        found = compare(a, b, metrics="correct")
        assert (found.contrasts[0].paired, found.contrasts[0].n) == (True, 100)
        assert any("matched by their texts" in note.text for note in found.notes)
