from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk.adapters.formats.notebook import Notebook
from rldk.adapters.open import open_run, open_runs
from rldk.errors import NoData, NotALog

EPISODES = "".join(f"Episode {i} | Reward: {i}.5 | Loss: 0.5\n" for i in range(9))


def stream(text: str | list[str]) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def table(
    steps: range, heads: tuple[str, ...] = ("Step", "Training Loss", "completions / mean_length")
) -> dict[str, Any]:
    head = "".join(f"<th>{name}</th>" for name in heads)
    rows = "".join(f"<tr><td>{i}</td>" + "<td>0.25</td>" * (len(heads) - 1) + "</tr>\n" for i in steps)
    bar = "<progress value='40' max='600' style='width:300px;'></progress>"
    html = f"{bar}<table border='1'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>"
    return {"output_type": "display_data", "data": {"text/html": [html], "text/plain": ["<IPython object>"]}}


def notebook(path: Path, *cells: list[dict[str, Any]], source: str | list[str] = "train()") -> Path:
    made = [{"cell_type": "code", "source": source, "outputs": outputs} for outputs in cells]
    path.write_text(json.dumps({"metadata": {}, "nbformat": 4, "cells": [{"cell_type": "markdown"}, *made]}))
    return path


def test_the_progress_table_is_read_under_the_trainer_s_keys(tmp_path: Path) -> None:
    path = notebook(tmp_path / "a.ipynb", [stream("hello\n"), table(range(10, 100, 10))])
    log = Notebook(path).read()
    assert set(log.table.columns) == {"loss", "completions/mean_length"}
    assert (log.table.step.tolist(), log.total_steps) == (list(range(10, 100, 10)), 600)


def test_what_a_validation_measured_is_a_row_of_its_own(tmp_path: Path) -> None:
    heads = ("Step", "Training Loss", "Validation Loss", "Rewards/accuracies")
    log = Notebook(notebook(tmp_path / "a.ipynb", [table(range(10, 40, 10), heads)])).read()
    assert log.table.phase.tolist() == [0, 1] * 3
    assert set(log.table.columns) == {"loss", "eval_loss", "eval_rewards/accuracies"}


def test_printed_lines_are_read_as_on_a_console(tmp_path: Path) -> None:
    run = open_run(notebook(tmp_path / "a.ipynb", [stream(EPISODES.splitlines(True))]))
    assert (run.meta.format, len(run.metrics)) == ("notebook", 9)


@each_of(
    ("source", "phase"),
    [
        (["t0 = time.time()\n", "!python3 rollout.py /tmp/ppo/checkpoint-5 --run PPO --episodes 10"], 1),
        ("!rllib evaluate checkpoint-5 --run PPO", 1),
        ("!python train.py --rollout 128 --evaluate_every 10", 0),
        ("evaluate(train(env))", 0),
    ],
)
def test_episodes_that_a_trained_policy_plays_are_no_training(
    tmp_path: Path, source: str | list[str], phase: int
) -> None:
    played = "".join(f"Episode #{i}: reward: 0.0\n" for i in range(12))
    log = Notebook(notebook(tmp_path / "a.ipynb", [stream(played)], source=source)).read()
    assert set(log.table.phase.tolist()) == {phase}


def test_cells_in_which_steps_begin_again_are_runs(tmp_path: Path) -> None:
    path = notebook(tmp_path / "a.ipynb", [stream(EPISODES)], [], [stream(EPISODES)])
    assert [(run.id, len(run.metrics)) for run in open_runs(path)] == [("cell-2", 9), ("cell-4", 9)]


def test_a_cell_that_goes_on_belongs_to_the_run(tmp_path: Path) -> None:
    path = notebook(tmp_path / "a.ipynb", [table(range(10, 50, 10))], [table(range(50, 90, 10))])
    assert Notebook(path).read().table.step.tolist() == list(range(10, 90, 10))


def test_trainings_in_one_cell_are_told_apart(tmp_path: Path) -> None:
    assert len(open_runs(notebook(tmp_path / "a.ipynb", [stream(EPISODES * 3)]))) == 3


@pytest.mark.parametrize("cell", [[], [stream("pip install torch\n" * 9)], [{"output_type": "error"}]])
def test_a_notebook_without_a_training_has_no_data(tmp_path: Path, cell: list[dict[str, Any]]) -> None:
    with pytest.raises(NoData):
        open_run(notebook(tmp_path / "a.ipynb", cell))


@pytest.mark.parametrize(
    "text", ['{"cells": [{"cell_type": "code"', '{"cells": [3], "nbformat": 4}', '{"cells": "x", "nbformat": 4}']
)
def test_a_torn_or_wrong_notebook_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(NotALog):
        open_run(tmp_path / "a.ipynb")


def test_tables_on_a_markdown_page_are_read(tmp_path: Path) -> None:
    page = "# Model\n\n| Training Loss | Epoch | Step | Validation Loss |\n|:---:|:---:|:---:|:---:|\n"
    page += "".join(f"| 0.5 | 0.{i} | {i}00 | 0.6 |\n" for i in range(1, 6))
    (tmp_path / "README.md").write_text(page)
    run = open_run(tmp_path / "README.md")
    assert (run.meta.format, len(run.metrics)) == ("page-table", 10)


def test_a_table_of_results_is_no_training(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("| Model | Score |\n|---|---|\n| a | 0.3 |\n| b | 0.4 |\n")
    with pytest.raises(NotALog):
        open_run(tmp_path / "README.md")
