from __future__ import annotations

from contextlib import suppress

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.clocks import choose_clock, clock_rank, is_plan
from rldk.core.records import BadLine, plan_of, to_step

COUNTS = (
    "step", "total/steps", "misc/total_timesteps", "TotalEnvInteracts", "total-env-interacts", "Epoch", "EpisodesSoFar",
    "num episodes", "current_steps", "global_step/max_steps", "learning iteration", "nb_steps", "Generation", "frame",
)  # fmt: skip
OTHERS = (
    "steps_per_second", "EpThisIter", "episode_reward", "step_time", "batch_size", "max_steps", "rollout_len", "loss",
    "% time spent exploring", "Wall time", "open", "volume", "time/iteration_time", "games_won", "x" * 500,
)  # fmt: skip


@each_of("name", COUNTS)
def test_a_name_that_says_a_count_of_steps_is_one(name: str) -> None:
    assert clock_rank(name) is not None


@each_of("name", OTHERS)
def test_a_name_that_says_more_is_none(name: str) -> None:
    assert clock_rank(name) is None


def test_steps_of_the_whole_run_go_before_updates_and_episodes() -> None:
    names = ["misc/nupdates", "episodes", "misc/serial_timesteps", "misc/total_timesteps"]
    assert choose_clock({name: list(range(9)) for name in names}, 9) == "misc/total_timesteps"


def test_the_length_of_an_episode_is_no_clock() -> None:
    columns = {"steps": [27, 53, 31, 200, 12], "episode": [1, 2, 3, 4, 5]}
    assert choose_clock(columns, 5) == "episode"
    assert choose_clock({"steps": columns["steps"]}, 5) is None


def test_a_column_that_never_moves_or_is_mostly_missing_is_no_clock() -> None:
    assert choose_clock({"epoch": [1, 1, 1], "update": [3, None, None], "steps": [-3, -2, -1]}, 3) is None


def test_a_run_started_again_once_still_counts() -> None:
    assert choose_clock({"update": [*range(30), *range(20, 40)]}, 50) == "update"


def test_the_plan_is_counted_in_the_unit_of_the_clock() -> None:
    assert is_plan("total_steps", "current_steps")
    assert not is_plan("total_timesteps", "current_steps")
    assert not is_plan("steps", "current_steps")


@each_of(
    ("text", "step"),
    [("12/438", 12), ("5/4389", 5), ("Epoch 3", 3), ("1e5", 100_000), ("10k", 10_000), ("2.5M", 2_500_000)],
)
def test_a_step_written_as_text_is_read(text: str, step: int) -> None:
    assert to_step(text) == step


@each_of("text", ["seed 3", "3 apples", "1/2/3", "12/", "k", "0.5", "10kk", "1,5"])
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(BadLine):
        to_step(text)


def test_a_text_says_the_plan() -> None:
    assert (plan_of("5/4389"), plan_of("5"), plan_of(5)) == (4389, None, None)


@given(st.text())
def test_any_text_is_a_step_or_refused(text: str) -> None:
    plan = plan_of(text)
    assert plan is None or plan >= 0
    with suppress(BadLine):
        assert isinstance(to_step(text), int)
