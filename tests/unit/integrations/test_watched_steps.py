"""Steps of chosen environments are seen on their class; the others, and copies, are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rldk.integrations.environments import ORIGIN, EnvironmentRecording
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.watched_steps import WatchedSteps

Step = tuple[list[float], float, bool, bool, dict[str, Any]]


class Plain:
    """An episode of three steps with a reward of 2 each."""

    def __init__(self) -> None:
        self.at = 0

    def reset(self) -> tuple[list[float], dict[str, Any]]:
        self.at = 0
        return [0.0], {}

    def step(self, _action: int) -> Step:
        self.at += 1
        return [float(self.at)], 2.0, self.at == 3, False, {}

    def close(self) -> str:
        return "closed"


def classes() -> tuple[type[Plain], type[Plain]]:
    """Two of their own for each test: to watch changes a class."""

    class Env(Plain):
        def reset(self) -> tuple[list[float], dict[str, Any]]:
            return Plain.reset(self)

        def step(self, action: int) -> Step:
            return Plain.step(self, action)

        def close(self) -> str:
            return Plain.close(self)

    class Sub(Env):
        def step(self, action: int) -> Step:
            return super().step(action)

    return Env, Sub


@pytest.fixture
def recording(tmp_path: Path) -> EnvironmentRecording:
    def begin() -> Recorder:
        return Recorder(Recording(output_dir=tmp_path, run_id="r", echo=False), ORIGIN)

    return EnvironmentRecording(begin, action_space=None, interval=1)


def episode(env: Any) -> None:
    env.reset()
    while not env.step(0)[2]:
        pass


def test_an_episode_of_a_watched_environment_is_recorded(recording: EnvironmentRecording) -> None:
    env = classes()[0]()
    WatchedSteps(lambda: True).watch(env, recording)
    episode(env)
    assert recording.recorder is not None
    assert recording.recorder.row is not None
    assert (recording.steps, recording.recorder.row.values["reward_mean"]) == (3, 6.0)
    assert env.close() == "closed"


def test_another_environment_of_the_class_is_left_alone(recording: EnvironmentRecording) -> None:
    kind = classes()[0]
    env, other = kind(), kind()
    WatchedSteps(lambda: True).watch(env, recording)
    episode(other)
    assert recording.steps == 0


def test_a_step_is_seen_once_although_the_class_above_is_watched_as_well(recording: EnvironmentRecording) -> None:
    base, sub = classes()
    watched = WatchedSteps(lambda: True)
    env = sub()
    watched.watch(base(), recording)
    watched.watch(env, recording)
    watched.watch(sub(), recording)
    episode(env)
    assert recording.steps == 3


def test_steps_are_seen_only_while_they_are_wanted(recording: EnvironmentRecording) -> None:
    env, wanted = classes()[0](), [False]
    WatchedSteps(lambda: wanted[0]).watch(env, recording)
    episode(env)
    assert recording.steps == 0
    wanted[0] = True
    episode(env)
    assert recording.steps == 3


def test_an_error_of_the_environment_is_its_own_and_the_next_step_is_seen(recording: EnvironmentRecording) -> None:
    class Broken(classes()[0]):  # type: ignore[misc]
        def step(self, action: int) -> Step:
            if action < 0:
                raise ValueError("no such action")
            return super().step(action)  # type: ignore[no-any-return]

    env = Broken()
    WatchedSteps(lambda: True).watch(env, recording)
    env.reset()
    with pytest.raises(ValueError, match="no such action"):
        env.step(-1)
    env.step(0)
    assert recording.steps == 1
