"""What the interface between an agent and its environments shows: episodes, observations, actions, rewards."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

AT_BOUND = 1e-3  # of the range of an action: a squashed policy comes this close and never touches the bound
KEPT = 100  # episodes that a mean is taken over, as in Stable-Baselines3


class ActionBounds:
    """The bounds of a box of actions. Elements without both bounds are not looked at."""

    def __init__(self, space: Any) -> None:
        low, high = (np.asarray(getattr(space, name, math.inf), dtype=np.float64) for name in ("low", "high"))
        self.known = bool(low.ndim and np.isfinite(low).all() and np.isfinite(high).all())
        margin = AT_BOUND * (high - low) if self.known else 0.0
        self._low, self._high = low + margin, high - margin

    def touched(self, actions: Any) -> float:
        """The share of the elements of `actions` that lie at a bound or beyond it."""
        values = np.asarray(actions)
        return float(((values <= self._low) | (values >= self._high)).mean())


class EpisodeMeasures:
    """Gathers what happened since the last row. `take` returns the metrics of the row and begins the next one.

    `broken`: whether an observation or a reward was not finite since the last row."""

    def __init__(self, action_space: Any = None) -> None:
        self._bounds = ActionBounds(action_space)
        self._returns: deque[float] = deque(maxlen=KEPT)
        self._lengths: deque[float] = deque(maxlen=KEPT)
        self._begin_row()

    def _begin_row(self) -> None:
        self.broken = False
        self.steps = 0
        self.ended = 0
        self._truncated = 0
        self._touched = self._acted = 0.0
        self._bad = {"observation": 0.0, "reward": 0.0}
        self._looked = {"observation": 0, "reward": 0}

    def step(self, actions: Any, rewards: Any, observations: Any) -> None:
        """One step of the environment, or of several of them at once."""
        self.steps += 1
        self._finite("reward", rewards)
        self.observe(observations)
        if self._bounds.known and actions is not None:
            self._touched += self._bounds.touched(actions)
            self._acted += 1

    def observe(self, observations: Any) -> None:
        """Observations without a step, such as those of a reset."""
        for part in _parts(observations):
            self._finite("observation", part)

    def episode(self, total: float, length: float, *, truncated: bool) -> None:
        """An episode has ended: the sum of its rewards, its steps, and whether a time limit cut it."""
        self._returns.append(float(total))
        self._lengths.append(float(length))
        self.ended += 1
        self._truncated += truncated

    def take(self) -> dict[str, float]:
        """The metrics since the last row. Returns and lengths are those of the last 100 episodes."""
        found: dict[str, float] = {"episodes_ended": float(self.ended)}
        for name, what in (("observation", "observation_nonfinite_frac"), ("reward", "reward_nonfinite_frac")):
            if self._looked[name]:
                found[what] = self._bad[name] / self._looked[name]
        if self._acted:
            found["action_bound_frac"] = self._touched / self._acted
        if self.ended:
            found["episode_truncated_frac"] = self._truncated / self.ended
            found |= {"reward_mean": _mean(self._returns), "response_length_mean": _mean(self._lengths)}
            found |= {"reward_min": min(self._returns), "reward_max": max(self._returns)}
            found |= {"response_length_min": min(self._lengths), "response_length_max": max(self._lengths)}
            found["reward_std"] = float(np.std(self._returns))
        self._begin_row()
        return found

    def _finite(self, name: str, values: Any) -> None:
        array = np.asarray(values)
        if array.dtype.kind != "f":  # whole numbers, such as pixels, are finite
            return
        self._looked[name] += 1
        good = np.isfinite(array)
        if not good.all():
            self.broken = True
            self._bad[name] += 1.0 - float(good.mean())


def _parts(observations: Any) -> list[Any]:
    """The arrays of an observation, which may be a dictionary or a tuple of arrays."""
    if isinstance(observations, dict):
        return [part for value in observations.values() for part in _parts(value)]
    if isinstance(observations, tuple):
        return [part for value in observations for part in _parts(value)]
    return [] if observations is None or isinstance(observations, str) else [observations]


def _mean(values: deque[float]) -> float:
    return sum(values) / len(values)
