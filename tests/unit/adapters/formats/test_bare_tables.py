"""Tables without a header, with one column, or without a known column; texts as PowerShell writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.live.choice import Chooser
from rldk.adapters.open import open_run
from rldk.errors import NotALog

REWARDS = [float((7 * i) % 5) for i in range(30)]


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_file_names_the_only_column_of_numbers(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "rewards.csv", [f"{reward:.18e}" for reward in REWARDS]))
    assert run.metrics.columns["reward_mean"].tolist() == REWARDS
    assert run.metrics.step.tolist() == list(range(30))
    assert "no header" in str(run.meta.notes)


def test_a_first_column_that_counts_is_the_step(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "rewards_dqn.csv", [f"{900 * i + 4},{r}" for i, r in enumerate(REWARDS)]))
    assert run.metrics.step.tolist() == [900 * i + 4 for i in range(30)]
    assert run.metrics.columns["reward_mean"].tolist() == REWARDS


def test_a_column_that_nothing_names_waits_for_the_user(tmp_path: Path) -> None:
    path = written(tmp_path / "progress.csv", [f"{i},{r}" for i, r in enumerate(REWARDS)])
    with pytest.raises(NotALog) as error:
        open_run(path)
    assert '--field-map \'{"column_2": "reward_mean"}\'' in (error.value.hint or "")
    assert open_run(path, field_map={"column_2": "reward_mean"}).metrics.columns["reward_mean"].tolist() == REWARDS


@pytest.mark.parametrize("name", ["reward", "Total Reward", "Episode reward"])
def test_one_named_column_needs_no_column_of_steps(tmp_path: Path, name: str) -> None:
    run = open_run(written(tmp_path / "log.csv", [name, *map(str, REWARDS)]))
    assert run.metrics.columns["reward_mean"].tolist() == REWARDS


@each_of(
    ("name", "lines"),
    [
        ("rewards.csv", [str(r) for r in REWARDS[:5]]),  # too few to be sure
        ("rewards.csv", ["1.0 and a word", *map(str, REWARDS)]),
        ("matrix.csv", [f"{r},{r + 1},{r - 1}" for r in REWARDS]),  # no column counts
        ("population.csv", ["inhabitants", *map(str, REWARDS)]),
    ],
)
def test_other_numbers_are_no_log(tmp_path: Path, name: str, lines: list[str]) -> None:
    with pytest.raises(NotALog):
        open_run(written(tmp_path / name, lines))


def test_a_table_whose_only_metric_is_unknown_keeps_its_own_name(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "progress.csv", ["exploitability,t", *(f"{1 / (i + 1)},{i}" for i in range(20))]))
    assert run.metrics.step.tolist() == list(range(20))
    assert list(run.metrics.columns) == ["exploitability", "t"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_text_in_utf_16_is_read(tmp_path: Path, encoding: str) -> None:
    text = "".join(f"Episode {i} | Reward: {reward} | Loss: 0.5\r\n" for i, reward in enumerate(REWARDS))
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "train.log").write_bytes(mark + text.encode(encoding))
    assert open_run(tmp_path / "train.log").metrics.columns["reward_mean"].tolist() == REWARDS


def test_a_text_in_utf_16_that_is_cut_keeps_its_complete_rows(tmp_path: Path) -> None:
    text = "step,reward\n" + "".join(f"{i},{reward}\n" for i, reward in enumerate(REWARDS))
    (tmp_path / "log.csv").write_bytes(text.encode("utf-16")[:-3])
    assert open_run(tmp_path / "log.csv").metrics.columns["reward_mean"].tolist()[:29] == REWARDS[:29]


def test_rewards_under_consecutive_numbers_are_those_of_episodes(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "rewards_before.csv", [f"{i},{r}" for i, r in enumerate(REWARDS)]))
    assert run.metrics.columns["episode_count"].tolist() == list(range(30))


@pytest.mark.parametrize(
    ("name", "head", "field_map"),
    [
        ("rewards.csv", [], {}),
        ("curve.csv", ["Total Reward"], {}),
        ("progress.csv", [], {"column_1": "reward_mean"}),
    ],
)
def test_what_is_read_when_it_is_finished_is_followed_while_it_grows(
    name: str, head: list[str], field_map: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.touch()
    target = path if field_map else tmp_path  # of a folder's tables only those are followed that name their metric
    chooser = Chooser(target, mapped=bool(field_map))
    assert chooser.choose() is None
    for rows in (15, 30):
        written(path, [*head, *(str(reward) for reward in REWARDS[:rows])])
        choice, alone = chooser.choose(), Chooser(path, mapped=bool(field_map)).choose()
        assert choice is not None
        assert alone is not None
        assert (choice.lines, alone.lines) == (None, None)
        run, finished = choice.read(field_map, {}), open_run(path, field_map=field_map)
        assert run.metrics.columns["reward_mean"].tolist() == REWARDS[:rows]
        assert run.metrics.step.tolist() == finished.metrics.step.tolist()


def test_a_table_of_numbers_that_name_no_metric_is_not_followed(tmp_path: Path) -> None:
    path = written(tmp_path / "progress.csv", [str(reward) for reward in REWARDS])
    assert Chooser(path).choose() is None
