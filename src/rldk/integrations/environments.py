"""The steps of one environment, or of several at once, as rows: one for every so many episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rldk.integrations.at_exit import close_at_exit
from rldk.integrations.episodes import EpisodeMeasures
from rldk.integrations.guard import Guard
from rldk.integrations.judge import TrainingOrigin
from rldk.integrations.recorder import Recorder

ORIGIN = TrainingOrigin(framework="gymnasium")
Begin = Callable[[], Recorder | None]


class EnvironmentRecording:
    """Follows environments. `begin` makes the recorder when the first row is there, or says with None that there is
    none. The clock of the rows counts the steps of all environments.

    `waits`: an environment that has ended is reset by the next step, which is no step of an episode (gymnasium 1.0)."""

    def __init__(
        self, begin: Begin, *, action_space: Any, count: int = 1, interval: int = 10, waits: bool = False
    ) -> None:
        self.guard = Guard()
        self.recorder: Recorder | None = None
        self.steps = 0
        self._begin = begin
        self._interval = interval
        self._waits = waits
        self._several = count > 1
        self._measures = EpisodeMeasures(action_space)
        self._returns, self._lengths = np.zeros(count), np.zeros(count)
        self._ended = np.zeros(count, dtype=bool)
        self._said = False

    def reset(self, observation: Any) -> None:
        """The environments have been reset."""
        self.guard.run("looking at a reset", self._reset, observation)

    def step(self, action: Any, observation: Any, reward: Any, terminated: Any, truncated: Any) -> None:
        """One step of all environments."""
        self.guard.run("looking at a step", self._step, action, observation, reward, (terminated, truncated))

    def close(self, status: str = "finished", error: BaseException | None = None) -> None:
        """Records what is left and ends the recording."""
        if self._measures.steps:
            self.guard.run("recording episodes", self._row)
        if self.recorder is not None:
            self.recorder.close(status, error)

    def _reset(self, observation: Any) -> None:
        self._returns[:], self._lengths[:], self._ended[:] = 0.0, 0.0, False
        self._measures.observe(observation)

    def _step(self, action: Any, observation: Any, reward: Any, flags: tuple[Any, Any]) -> None:
        rewards = np.atleast_1d(np.asarray(reward, dtype=np.float64))
        over, cut = (np.atleast_1d(np.asarray(flag, dtype=bool)) for flag in flags)
        live = ~self._ended
        if not self._waits and not self._several and self._ended[0]:
            self.guard.warn("resets", "the environment is stepped after the end of an episode, without a reset")
        self.steps += int(live.sum())
        self._returns[live] += rewards[live]
        self._lengths[live] += 1
        self._measures.step(action, rewards, observation)
        done = (over | cut) & live
        for index in np.flatnonzero(done):
            truncated = bool(cut[index] and not over[index])
            self._measures.episode(self._returns[index], self._lengths[index], truncated=truncated)
        self._returns[done | ~live], self._lengths[done | ~live] = 0.0, 0.0
        self._ended = done if self._waits or not self._several else np.zeros_like(done)
        if self._measures.ended >= self._interval or (self._measures.broken and not self._said):
            self._said = self._said or self._measures.broken  # at once: the next forward pass may raise
            self._row()

    def _row(self) -> None:
        row = self._measures.take()
        if self.recorder is None:
            self.recorder = self._begin()
            close_at_exit(self, open_is_crash=False)
        if self.recorder is not None:
            self.recorder.log(row, step=self.steps)
