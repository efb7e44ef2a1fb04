"""The outputs of evaluation tools. Forms: lm_eval 0.4.9, inspect_ai 0.3, rewardbench 0.1."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rldk.errors import UnknownName
from rldk.evals import compare, run
from rldk.evals.reading import read_table


def lm_eval_sample(doc: int, right: bool) -> dict[str, Any]:
    return {
        "doc_id": doc, "doc": {"question": f"q{doc}"}, "target": "4",
        "arguments": {"gen_args_0": {"arg_0": f"Question {doc}?", "arg_1": {"until": ["\n"]}}},
        "resps": [["4" if right else "5"]], "filtered_resps": ["4" if right else "5"], "filter": "none",
        "metrics": ["exact_match"], "doc_hash": "x", "prompt_hash": "y", "target_hash": "z",
        "exact_match": 1.0 if right else 0.0,
    }  # fmt: skip


def written(folder: Path, tasks: dict[str, list[bool]]) -> Path:
    folder.mkdir()
    for task, rights in tasks.items():
        lines = [json.dumps(lm_eval_sample(i, right)) for i, right in enumerate(rights)]
        (folder / f"samples_{task}_2026-01-02T03-04-05.678901.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_folder_of_lm_eval_samples_is_one_evaluation_by_task(tmp_path: Path) -> None:
    a = written(tmp_path / "a", {"gsm8k": [i % 2 == 0 for i in range(60)], "arc_easy": [True] * 40})
    b = written(tmp_path / "b", {"gsm8k": [i % 4 != 3 for i in range(60)], "arc_easy": [True] * 40})
    table = read_table(a)
    assert (table.form, table.rows) == ("lm-eval", 100)
    assert table.cells["prompt"][0] == "Question 0?"
    assert len(set(table.cells["prompt_id"])) == 100
    found = compare(a, b)
    assert [one.metric for one in found.contrasts] == ["correct"]
    assert found.contrasts[0].outcome == "better"
    assert {one.part for one in found.parts} == {"task=gsm8k", "task=arc_easy"}


def test_one_file_of_samples_and_older_arguments_are_read(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    rows = [{**lm_eval_sample(i, i > 4), "arguments": [[f"Question {i}?", {"until": []}]]} for i in range(20)]
    path.write_text("\n".join(map(json.dumps, rows)))
    table = read_table(path)
    assert (table.form, table.cells["prompt"][3], table.cells["response"][3]) == ("lm-eval", "Question 3?", "5")
    assert run(path, "comprehensive").scores["pass_rate"] == 0.75


def inspect_sample(number: int, epoch: int, grade: Any) -> dict[str, Any]:
    return {
        "id": number, "epoch": epoch, "input": [{"role": "user", "content": f"question {number}"}], "target": "x",
        "output": {"model": "m", "choices": [{"message": {"role": "assistant", "content": "an answer"}}],
                   "completion": "an answer", "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}},
        "scores": {"match": {"value": grade, "answer": "an answer"}}, "total_time": 1.5,
    }  # fmt: skip


def test_an_inspect_archive_is_read_without_inspect(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"version": 2, "status": "success"}))
        for number in range(30):
            for epoch in (1, 2):
                sample = inspect_sample(number, epoch, "C" if number % 3 else "I")
                archive.writestr(f"samples/{number}_epoch_{epoch}.json", json.dumps(sample))
        archive.writestr("samples/torn_epoch_1.json", "{")
    found = run(path, "comprehensive")
    assert found.metadata["form"] == "inspect_ai"
    assert (found.sample_size, found.metadata["prompts"], found.metadata["rejected"]) == (60, 30, 1)
    assert found.scores["pass_rate"] == pytest.approx(2 / 3)
    assert found.raw_results["pass_at_2"].n == 30
    assert found.raw_results["seed_variance"].value == 0.0
    assert found.raw_results["throughput"].n == 60


def test_an_inspect_document_has_partial_grades_as_a_score(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    samples = [inspect_sample(i, 1, "P" if i % 2 else "C") for i in range(20)]
    path.write_text(
        json.dumps({"version": 2, "status": "success", "eval": {"task": "t"}, "samples": samples}, indent=2)
    )
    table = read_table(path)
    assert (table.form, table.rows) == ("inspect_ai", 20)
    assert table.cells["reward"][:2] == [1.0, 0.5]
    assert table.cells["prompt"][0] == "question 0"


def test_rewardbench_results_have_an_accuracy_by_subset(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"p{i}", "id": i, "subset": ("chat", "safety")[i % 2], "results": int(i % 5 > 0),
         "scores_chosen": [1.0 + (i % 5)], "scores_rejected": [1.5]}
        for i in range(100)
    ]  # fmt: skip
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(rows))
    found = run(path, "comprehensive")
    assert found.metadata["form"] == "rewardbench"
    assert found.scores["reward_model"] == pytest.approx(0.8)


def test_a_hostile_archive_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rldk.evals.formats.inspect_ai.MOST_SAMPLE", 1 << 20)
    path = tmp_path / "bomb.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples/bomb.json", b'{"id": "' + b"a" * (1 << 20) + b'"}')
        archive.writestr("samples/deep.json", "[" * 100_000)
        archive.writestr("samples/good.json", json.dumps(inspect_sample(1, 1, "C")))
    found = run(path)
    assert (found.sample_size, found.metadata["rejected"]) == (1, 2)


FIXTURES = Path(__file__).parents[2] / "fixtures" / "evals"


def test_a_genuine_log_of_inspect_is_read() -> None:
    """Written by inspect_ai 0.3.285 with a made model; every third answer is wrong. Its members are zstandard."""
    table = read_table(FIXTURES / "inspect.eval")
    assert (table.form, table.rows, table.rejected) == ("inspect_ai", 12, 0)
    assert sorted(set(table.cells["response"])) == ["The answer is 7", "The answer is 8"]
    assert all(
        (text[-1] == "7") == (right == 1)
        for text, right in zip(*map(table.cells.get, ("response", "correct")), strict=True)
    )  # type: ignore[arg-type]
    assert sorted(set(table.cells["seed"])) == [1, 2]


def test_genuine_samples_of_lm_eval_are_read() -> None:
    """Written by lm_eval with its dummy model, which says "lol" to everything."""
    table = read_table(FIXTURES / "lm-eval")
    assert (table.form, table.rows) == ("lm-eval", 12)
    assert (table.cells["prompt"][3], table.cells["response"][3], table.cells["correct"][3]) == (
        "What is 3+1?",
        "lol",
        0,
    )
    assert table.cells["prompt_id"][3] == "mytask/3"


def test_genuine_samples_of_choices_filters_and_whole_texts() -> None:
    """Written by lm_eval 0.4.13 with a random GPT-2: options of a choice, two filters, log-likelihoods of texts."""
    table = read_table(FIXTURES / "lm-eval-tasks")
    assert (table.rows, table.rejected) == (36, 0)
    by_task = {name: table.some(np.flatnonzero(table.labels("task") == code))
               for code, name in enumerate(table.names_of("task"))}  # fmt: skip
    choices = by_task["tiny_mc"].cells
    assert choices["n_choices"] == [4] * 12
    assert choices["gold"][0] == "21"
    assert [a == b for a, b in zip(choices["response"], choices["gold"], strict=True)] == choices["correct"]
    assert choices["expected_logprob"][0] == pytest.approx(-5.992301940917969)
    assert set(by_task["tiny_gen"].cells["filter"]) == {"strict-match"}
    assert set(by_task["tiny_gen"].cells["parsed"]) == {""}
    assert by_task["tiny_roll"].cells["n_bytes"][0] == 133
    assert set(by_task["tiny_roll"].cells["response"]) == {None}
    assert table.filters == {"strict-match": 0.0, "flexible-extract": 0.0}
    other = read_table(FIXTURES / "lm-eval-tasks", {"filter": "flexible-extract"})
    assert set(other.cells["filter"]) == {"flexible-extract", "none"}
    with pytest.raises(UnknownName, match="unknown filter"):
        read_table(FIXTURES / "lm-eval-tasks", {"filter": "strict"})


def test_answers_that_are_logged_for_each_filter_count_once(tmp_path: Path) -> None:
    rows = []
    for i in range(40):
        rows.append({**lm_eval_sample(i, i % 4 == 0), "filter": "strict-match"})
        rows.append({**lm_eval_sample(i, i % 4 != 3), "filter": "flexible-extract"})
    path = tmp_path / "samples_gsm8k_2026-01-02T03-04-05.678901.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = run(tmp_path, "comprehensive")
    assert (found.sample_size, found.scores["pass_rate"]) == (40, 0.25)
    assert "pass_at_2" not in found.scores
    assert "EVAL012" in {f.code for f in found.findings}
    assert "strict-match 0.25, flexible-extract 0.75" in found.notes[0].text


def test_partial_scores_are_not_right_or_wrong(tmp_path: Path) -> None:
    """Only the extreme ones would count: an F1 of 0 for most would be a pass rate of 0."""
    rows = [{**lm_eval_sample(i, True), "exact_match": None, "metrics": ["f1"], "f1": (0.0, 0.4, 0.9)[i % 3]}
            for i in range(30)]  # fmt: skip
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    table = read_table(path)
    assert "correct" not in table.cells
    assert table.cells["reward"][:3] == [0.0, 0.4, 0.9]


def test_genuine_failed_and_cut_samples_of_inspect() -> None:
    """Written by inspect_ai 0.3.285 with its mock model; a solver failed for one sample. Paths were shortened."""
    cells = read_table(FIXTURES / "inspect-errors.eval").cells
    failed = next(i for i, e in enumerate(cells["error"]) if e)
    assert cells["error"][failed] == "RuntimeError('the sandbox is gone')"
    assert (cells["reward"][failed], cells["prompt_id"][failed]) == (None, "7")
    assert {"max_tokens", "stop"} == set(cells["finish_reason"])
    assert cells["gold"][0] == "3"
    result = run(FIXTURES / "inspect-choices.eval", "comprehensive")
    assert result.metadata["columns"]["n_choices"] == "n_choices"
    assert result.scores["pass_rate"] == 0.25


def test_all_files_of_rewardbench_are_read(tmp_path: Path) -> None:
    """The forms that rewardbench/rewardbench.py, scripts/run_rm.py and scripts/run_v2.py of version 0.1.5 write."""
    rows = [{"prompt": f"p{i}", "results": int(i % 5 > 0), "scores_chosen": 1.0 + (i % 5), "scores_rejected": 1.5,
             "text_chosen": "a", "text_rejected": "b", "subset": "chat"} for i in range(50)]  # fmt: skip
    forms: dict[str, str] = {
        "m_outputs.jsonl": "\n".join(map(json.dumps, rows)),
        "m_all.jsonl": "\n".join(json.dumps({"chosen": r["scores_chosen"], "rejected": 1.5}) for r in rows),
        "eval-set-scores.json": json.dumps(
            {**{key: [r[key] for r in rows] for key in rows[0]}, "id": list(range(50)), "model": "m",
             "model_type": "Seq. Classifier", "chat_template": "tulu"}, indent=4, sort_keys=True
        ),
        "v2.json": json.dumps(
            {"id": [str(i) for i in range(50)], "subset": ["Factuality"] * 50, "num_correct": [1] * 50,
             "scores": [[1.0 + (i % 5), 1.5, 0.1, 0.2] for i in range(50)], "text": [["a", "b", "c", "d"]] * 50,
             "results": [1.0] * 50, "model": "m", "model_type": "x", "chat_template": None}, indent=4
        ),
    }  # fmt: skip
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        found = run(tmp_path / name, "comprehensive")
        assert (name, found.sample_size, found.metadata["form"]) == (name, 50, "rewardbench")
        assert found.scores["reward_model"] == pytest.approx(0.8)


def test_one_sample_with_its_tokens_is_no_table_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    sample = {"prompt": "p", "response": "r", "reward": 1.0, "tokens": [1, 2], "token_logprobs": [-1.0, -2.0]}
    path.write_text(json.dumps(sample, indent=1))
    assert read_table(path).rows == 1


def inspect_log(path: Path, samples: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"version": 2, "status": "success", "eval": {"task": "t"}, "samples": samples}))
    return path


def test_of_several_scorers_of_inspect_one_counts_and_the_others_are_named(tmp_path: Path) -> None:
    samples = [inspect_sample(i, 1, "C" if i % 4 else "I") for i in range(40)]
    for i, sample in enumerate(samples):
        sample["scores"] = {
            "words": {"value": "a text"},
            "match": sample["scores"]["match"],
            "style": {"value": {"brief": i % 2, "kind": 0.5}, "answer": None},
        }
    del samples[0]["scores"]["match"], samples[1]["scores"]["style"], samples[2]["scores"]["style"]
    path = inspect_log(tmp_path / "log.json", samples)
    table = read_table(path)
    assert table.number("reward")[1:6].tolist() == [1, 1, 1, 0, 1]
    assert np.isnan(table.number("reward")[0])
    assert table.notes == (
        "the answers have several scores (means: words no number, style/brief 0.5, style/kind 0.5, match 0.769); "
        """match is used, and --column-mapping '{"scorer": "style/brief"}' takes another""",
    )
    brief = read_table(path, {"scorer": "style/brief"})
    assert (np.nanmean(brief.number("correct")), brief.columns["reward"], brief.cells["parsed"][3]) == (
        0.5, "style/brief", "",
    )  # fmt: skip
    assert "correct" not in read_table(path, {"scorer": "style/kind"}).cells
    with pytest.raises(UnknownName, match="unknown scorer 'mach'") as caught:
        read_table(path, {"scorer": "mach"})
    assert "did you mean match" in caught.value.hint
    assert any(note.text.startswith("A and B: the answers have several scores") for note in compare(path, path).notes)


def test_of_several_metrics_of_lm_eval_the_known_one_counts_task_by_task(tmp_path: Path) -> None:
    tasks: dict[str, dict[str, float]] = {
        "arc": {"acc": 1, "acc_norm": 0}, "drop": {"f1": 0.4, "em": 0}, "odd": {"own_metric": 0.7},
    }  # fmt: skip
    for task, own in tasks.items():
        plain = {k: v for k, v in lm_eval_sample(0, True).items() if k not in ("metrics", "exact_match")}
        lines = [json.dumps(plain | {"doc_id": i, "metrics": [*own]} | own) for i in range(10)]
        (tmp_path / f"samples_{task}_2026-01-02T03-04-05.678901.jsonl").write_text("\n".join(lines))
    table = read_table(tmp_path)
    assert table.number("reward").tolist() == [1] * 10 + [0] * 10 + [0.7] * 10
    assert "acc, em, own_metric is used" in table.notes[0]
    assert read_table(tmp_path, {"metric": "f1"}).number("reward").tolist() == [1] * 10 + [0.4] * 10 + [0.7] * 10


def test_a_task_that_was_forgotten_is_not_made_up_for_by_others(tmp_path: Path) -> None:
    """2,000 questions of one task as before, 200 of another fall by 20 points."""
    rng = np.random.default_rng(0)
    sides = {}
    for side, worse in (("a", 0.0), ("b", 0.2)):
        rows = {"arc": [i % 2 == 0 for i in range(2000)], "gsm8k": [bool(v) for v in rng.random(200) < 0.6 - worse]}
        sides[side] = written(tmp_path / side, rows)
    found = compare(*sides.values(), margin=0.05)
    assert (found.contrasts[0].outcome, found.passed) == ("no worse", False)
    assert {one.part: one.outcome for one in found.parts} == {"task=gsm8k": "worse", "task=arc": "no worse"}
    assert "Of 2 tasks B is worse in gsm8k (-0." in found.verdict
    assert "A fall of 0.05 is excluded in 1 of 2 tasks." in found.verdict
    assert compare(sides["a"], sides["a"], margin=0.05).verdict.endswith("is excluded in 2 of 2 tasks.")
