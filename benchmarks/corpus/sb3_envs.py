"""Control tasks whose rewards or observations break from a given time on."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np


class Spoiled(gymnasium.Wrapper):  # type: ignore[type-arg]
    """A task of gymnasium, spoilt by the fault of `clock`; healthy variation by `a`: scale, noise."""

    def __init__(self, env: Any, clock: Any, a: dict[str, Any]) -> None:
        super().__init__(env)
        self.clock, self.a = clock, a
        self.rng = np.random.default_rng(a["seed"])
        self.count = 0

    def step(self, action: Any) -> Any:
        """One step of the task."""
        obs, reward, ended, cut, info = self.env.step(action)
        clock = self.clock
        reward = float(reward) * self.a.get("reward_scale", 1.0)
        if self.a.get("reward_noise"):
            reward += self.rng.normal(0, self.a["reward_noise"])
        if clock.broken("zero_reward"):
            reward = 0.0
        if clock.broken("constant_reward"):
            reward = 0.3
        if clock.broken("reward_scale"):
            reward *= 100
        if clock.broken("reward_sign"):
            reward = -reward
        if clock.broken("reward_noise"):
            reward += self.rng.normal(0, 10)
        if clock.broken("terminal_as_timeout"):
            ended, cut = False, ended or cut
        if clock.broken("throughput_rot"):
            self.count += 1
            time.sleep(min(1e-3, 4e-8 * self.count))
        return obs, reward, ended, cut, info
