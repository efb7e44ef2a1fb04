"""Options that do not fit the data are one clear error, and never a report without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from examples import each_of
from made_rewards import answers, rows

from rldk.cli.main import main
from rldk.errors import UnknownName, UsageError
from rldk.evals import run
from rldk.reward import health


def data() -> list[dict[str, Any]]:
    return [{**row, "id": f"a{i}", "odd": -float(i % 7)} for i, row in enumerate(rows(answers(prompts=30)))]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "range": ({"reward_range": (1, 0)}, "reward_range is (1, 0)"),
    "half a range": ({"reward_range": (1,)}, "reward_range is (1,)"),
    "seed": ({"seed": -1}, "seed is -1"),
    "no whole seed": ({"seed": 1.5}, "seed is 1.5"),
    "gold of others": ({"gold": {"zz": 1.0}}, "none of the 1 gold scores has an id of the data (`id`)"),
}


@each_of("name", list(REFUSED))
def test_an_option_that_does_not_fit_is_refused(name: str) -> None:
    options, words = REFUSED[name]
    with pytest.raises(UsageError) as caught:
        health(data(), **options)
    assert words in str(caught.value)


def test_the_columns_that_are_there_are_named() -> None:
    with pytest.raises(UnknownName) as caught:
        health(data(), response_col="zzz")
    assert caught.value.hint == "there are: prompt, response, reward, position, id, odd"


def test_lengths_that_are_none_leave_only_their_rows_out() -> None:
    some = [{**row, "odd": None if i % 3 == 0 else 5 + i % 7} for i, row in enumerate(data())]
    below = [{**row, "odd": -3 if i % 3 == 0 else 5 + i % 7} for i, row in enumerate(data())]
    found, same = (health(rows, length_col="odd") for rows in (some, below))
    assert found.length_bias_metrics is not None
    assert found.length_bias_metrics.samples == 80
    assert found.status("shortcuts") != "not_available"
    assert same.to_dict()["checks"] == found.to_dict()["checks"]


def test_limits_and_seeds_of_evaluations_are_numbers() -> None:
    for options in ({"seed": -1}, {"seed": "x"}, {"limits": {"integrity": "x"}}):
        with pytest.raises(UsageError):
            run(data(), **options)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in data()))
    return path


def test_gold_scores_stand_under_the_name_of_gold_scores(source: Path, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    for name in ("gold", "gold_score", "score"):
        gold.write_text(f"id,{name}\n" + "".join(f"a{i},{i % 5}\n" for i in range(120)))
        found = CliRunner().invoke(main, ["reward-health", str(source), "--gold-scores", str(gold), "--json"])
        assert json.loads(found.stdout)["checks"]["calibration"]["status"] != "not_available", name


def test_a_file_that_is_not_there_is_no_column(source: Path) -> None:
    found = CliRunner().invoke(main, ["reward-health", str(source), "--gold-scores", "gold.csv"])
    assert (found.exit_code, "there is no file gold.csv" in found.output) == (3, True)


def test_a_folder_that_cannot_be_made_is_a_clear_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = CliRunner().invoke(main, ["reward-health", str(source), "--output-dir", str(tmp_path / "file" / "x")])
    assert (found.exit_code, "cannot write" in found.output) == (2, True)


def test_a_seed_of_numpy_is_a_seed() -> None:
    assert health(data(), seed=np.int64(3)).to_dict() == health(data(), seed=3).to_dict()  # type: ignore[arg-type]
    assert run(data(), seed=np.int64(3)).to_dict() == run(data(), seed=3).to_dict()  # type: ignore[arg-type]
