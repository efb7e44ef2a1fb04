from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from examples import each_of, few
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.formats.json_document import JsonDocument
from rldk.adapters.open import open_run, open_runs
from rldk.adapters.source import File
from rldk.adapters.wire.document import documents, history, salvage
from rldk.adapters.wire.series import PLACES
from rldk.core.model import Run
from rldk.errors import MalformedInput, NotALog, RldkError

N = range(10)
ROWS = [{"step": i, "loss": 0.5 - i / 100} for i in N]


def opened(path: Path, document: Any) -> Run:
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
    return open_run(path)


SHAPES = {
    "rows": ROWS,
    "rows on one line": json.dumps(ROWS),
    "inside": {"config": {"seed": 3}, "history": ROWS, "note": "x"},
    "metrics inside of rows": {"metrics": [{"step": r["step"], "metrics": {"loss": r["loss"]}} for r in ROWS]},
    "lists": {"step": [*N], "loss": [r["loss"] for r in ROWS]},
    "under steps": {str(r["step"]): {"loss": r["loss"]} for r in ROWS},
    "pairs": {"loss": [[r["step"], r["loss"]] for r in ROWS]},
    "sacred": {"loss": {"steps": [*N], "values": [r["loss"] for r in ROWS], "timestamps": ["x"] * 10}},
    "pymarl": {"loss": [r["loss"] for r in ROWS], "loss_T": [*N]},
    "numbers of numpy": {
        "loss": [{"dtype": "float64", "py/object": "numpy.float64", "value": r["loss"]} for r in ROWS],
        "loss_T": [*N],
    },
    "split": {"columns": ["step", "loss"], "index": [*N], "data": [[r["step"], r["loss"]] for r in ROWS]},
    "documents": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "texts": [{"step": str(r["step"]), "loss": str(r["loss"])} for r in ROWS],
}


@each_of("shape", SHAPES)
def test_a_history_is_read_in_any_shape(tmp_path: Path, shape: str) -> None:
    run = opened(tmp_path / "log.json", SHAPES[shape])
    assert run.metrics.step.tolist() == [*N]
    assert run.metrics.columns["loss"].tolist() == [r["loss"] for r in ROWS]
    assert (run.lines, run.rejected_count) == (10, 0)


@pytest.mark.parametrize("shape", ["rows", "lists", "documents"])
def test_a_folder_opens_as_the_file_does(tmp_path: Path, shape: str) -> None:
    alone = opened(tmp_path / "training_logs.json", SHAPES[shape])
    assert open_run(tmp_path).metrics.columns["loss"].tolist() == alone.metrics.columns["loss"].tolist()


def test_lists_of_other_lengths_cover_the_same_run_and_that_is_said(tmp_path: Path) -> None:
    lists = {"reward": [float(i) for i in range(12)], "policy_loss": [0.1, 0.2, 0.3], "entropy": [9.0] * 24}
    run = opened(tmp_path / "m.json", lists | {"n_episodes": 12, "hyperparameters": {"lr": 0.1}})
    rows = [(r.step, r.values["policy_loss"]) for r in run.metrics.rows() if "policy_loss" in r.values]
    assert rows == [(3, 0.1), (7, 0.2), (11, 0.3)]
    assert [r.step for r in run.metrics.rows() if "entropy" in r.values] == [i // 2 for i in range(24)]
    assert [PLACES in run.meta.notes, *(f"lists of {n} values" in str(run.meta.notes) for n in (3, 24))] == [True] * 3
    assert (run.meta.config["lr"], run.metrics.segment.max()) == (0.1, 0)


def test_each_list_keeps_the_clock_of_its_group(tmp_path: Path) -> None:
    train = {"timesteps": [100 * i for i in range(1, 9)], "reward": [1.0] * 8}
    run = opened(tmp_path / "m.json", {"train": train, "eval": {"timesteps": [400, 600, 800], "reward": [2.0] * 3}})
    assert run.metrics.step.tolist() == train["timesteps"]
    told = [r.step for r in run.metrics.rows() if "eval/reward" in r.values]
    assert (told, run.meta.clock) == ([400, 600, 800], "train/timesteps")


def test_evaluations_beside_the_training_are_rows_of_evaluation(tmp_path: Path) -> None:
    run = opened(tmp_path / "m.json", {"train": ROWS, "eval": [{"step": 4, "loss": 7.0}, {"step": 8, "loss": 6.0}]})
    assert [(r.step, r.values["eval_loss"]) for r in run.metrics.rows() if r.phase == "eval"] == [(4, 7.0), (8, 6.0)]


def test_another_list_of_rows_is_said_to_be_left_out(tmp_path: Path) -> None:
    run = opened(tmp_path / "m.json", {"history": ROWS, "timers": [{"id": 1, "s": 2.0}, {"id": 2, "s": 2.0}]})
    assert "not read: the 2 rows of timers" in run.meta.notes


def test_nan_of_python_is_a_stated_nan(tmp_path: Path) -> None:
    run = opened(tmp_path / "m.json", [{"step": i, "loss": math.nan if i == 3 else 0.5} for i in N])
    assert run.metrics.stated_nan["loss"].tolist() == [3]


def test_a_document_cut_off_keeps_its_whole_rows(tmp_path: Path) -> None:
    run = opened(tmp_path / "m.json", json.dumps(ROWS, indent=1)[:-12])
    assert (run.metrics.step.tolist(), run.rejected_count, run.lines) == ([*range(9)], 1, 10)
    with pytest.raises(MalformedInput, match="cut off"):
        open_run(tmp_path / "m.json", strict=True)


def test_the_summary_of_a_wandb_run_is_one_row_and_says_so(tmp_path: Path) -> None:
    run = opened(tmp_path / "wandb-summary.json", {"_step": 500, "_runtime": 9, "_timestamp": 1.7e9, "loss": 0.5})
    assert (run.metrics.step.tolist(), "summary" in run.meta.notes[0]) == ([500], True)


def test_a_scalar_downloaded_from_tensorboard_has_the_name_of_its_file(tmp_path: Path) -> None:
    run = opened(tmp_path / "train_loss.json", [[1.7e9 + i, 10 * i, 0.5] for i in N])
    assert (run.metrics.step.tolist()[-1], run.meta.names, run.meta.clock) == (90, {"loss": "train/loss"}, "")


def test_a_summary_without_history_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(NotALog, match="summary"):
        opened(tmp_path / "all_results.json", {"loss": 0.5, "eval_loss": 0.25})


OTHERS: dict[str, Any] = {
    "package": {"name": "x", "version": "1", "dependencies": {"a": "1"}, "scripts": {"test": "jest"}},
    "config": {"hidden_size": 768, "layers": 12, "id2label": {"0": "A", "1": "B"}, "rope": [1, 2, 3, 4]},
    "vocabulary": {"a": 0, "b": 1, "c": 2},
    "tokenizer": {"added_tokens": [{"id": i, "content": "x"} for i in N], "model": {"merges": [["a", "b"]] * 9}},
    "boxes": {"annotations": [{"id": i, "image_id": i, "bbox": [1, 2, 3, 4], "area": 3.5} for i in N]},
    "prices": [{"date": "2020-01-02", "open": 1.5, "close": 2.5, "volume": 3} for _ in N],
    "polygon": {"coordinates": [[i, i * 2.5] for i in N]},
    "curve": [[i, i, i * 2.5] for i in N],
    "recipe": [{"step": i, "text": "stir"} for i in N],
    "samples": [{"prompt": "x", "response": "y", "reward": 0.5, "step": i} for i in N],
    "deep list": "[" * 100_000 + "]" * 100_000,
    "deep object": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "empty": "[]",
}


@each_of("kind", OTHERS)
def test_a_document_of_something_else_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(NotALog):
        opened(tmp_path / "x.json", OTHERS[kind])
    with pytest.raises(NotALog):
        open_runs(tmp_path)


def test_a_notebook_is_left_to_its_own_format(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "execution_count": i, "loss": 1} for i in N]
    (tmp_path / "x.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells, "loss": [0.5, 0.4, 0.3]}))
    assert JsonDocument.sniff(File(tmp_path / "x.ipynb")) == 0


def test_lines_of_json_are_left_to_their_own_format(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert JsonDocument.sniff(File(tmp_path / "m.jsonl")) == 0


@each_of(
    ("text", "whole"),
    [('[{"a": 1}, {"b": 2, "c', [{"a": 1}]), ('{"a": 1, "b', {"a": 1}), ("[1, 2] x", [1, 2]), ("[INFO]", None)],
)
def test_what_is_whole_of_a_document_is_kept(text: str, whole: object) -> None:
    assert salvage(text) == whole


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["step", "loss", "1", "values", "eval"]), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=few(100), deadline=None)
@given(values)
def test_any_document_has_a_history_or_none(document: Any) -> None:
    assert all(isinstance(row, dict) for row in history(document).rows)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes, cut: int) -> None:
    path = tmp_path_factory.mktemp("j") / "x.json"
    path.write_bytes(json.dumps(ROWS).encode()[:cut] + junk)
    documents(path.read_text(errors="replace"))
    if JsonDocument.sniff(File(path)):
        try:
            log = JsonDocument(path).read()
        except RldkError:
            return
        assert log.lines == len(log.table) + log.rejected_count


def test_lists_of_pymarl_keep_the_steps_of_their_own(tmp_path: Path) -> None:
    run = opened(
        tmp_path / "info.json",
        {"return_mean": [1.0, 2.0, 3.0], "return_mean_T": [50, 100, 150], "loss": [0.5, 0.25], "loss_T": [60, 110]},
    )
    assert run.metrics.step.tolist() == [50, 60, 100, 110, 150]
    assert [v for v in run.metrics.columns["return_mean"].tolist() if v == v] == [1.0, 2.0, 3.0]


def test_lists_beside_rows_join_them_when_both_count_the_same(tmp_path: Path) -> None:
    document = {
        "ep_rewards": [float(i) for i in range(20)],
        "ep_timesteps": [10 * i for i in range(20)],
        "losses": [{"step": 40 * i, "value_loss": 1.0 / (i + 1)} for i in range(5)],
    }
    run = opened(tmp_path / "training_log.json", document)
    rewards = run.metrics.columns["reward_mean"]
    assert [v for v in rewards.tolist() if v == v] == [float(i) for i in range(20)]
    assert [v for v in run.metrics.columns["value_loss"].tolist() if v == v] == [1.0 / (i + 1) for i in range(5)]


def test_lists_that_count_something_else_than_the_rows_are_named_in_a_note(tmp_path: Path) -> None:
    document = {"rewards": [1.0] * 30, "history": [{"epoch": i, "reward": 1.0, "loss": 0.5} for i in range(9)]}
    run = opened(tmp_path / "log.json", document)
    assert len(run.metrics) == 9
    assert "not read: the lists rewards" in str(run.meta.notes)


def test_a_first_list_that_is_longer_than_the_head_hides_no_metric(tmp_path: Path) -> None:
    document = {"timesteps": list(range(12_000)), "mean_rewards": [float(i % 7) for i in range(12_000)]}
    run = opened(tmp_path / "log.json", document)
    assert (len(run.metrics), run.metrics.columns["reward_mean"][6]) == (12_000, 6.0)
