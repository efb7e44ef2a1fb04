"""A wrapper for environments of gymnasium: `env = RLDKWrapper(gym.make("CartPole-v1"), output_dir="./rldk_logs")`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from rldk.core.extras import need
from rldk.core.model import Severity
from rldk.integrations.environments import ORIGIN, Begin, EnvironmentRecording
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.thresholds import RuleChoice

with need("gymnasium", "gymnasium"):
    import gymnasium
    from gymnasium.vector import VectorEnv, VectorWrapper


def resets_by_step(env: Any) -> bool:
    """Whether a vector environment that has ended is reset by the next step instead of by the same one."""
    modes = getattr(gymnasium.vector, "AutoresetMode", None)
    if modes is not None:
        return bool((env.metadata or {}).get("autoreset_mode", modes.NEXT_STEP) == modes.NEXT_STEP)
    return int(gymnasium.__version__.split(".")[0]) >= 1


def recording_of(env: Any, begin: Begin, interval: int) -> EnvironmentRecording:
    """The recording of an environment, or of a vector environment."""
    several = isinstance(env, VectorEnv)
    return EnvironmentRecording(
        begin,
        action_space=env.single_action_space if several else env.action_space,
        count=env.num_envs if several else 1,
        interval=interval,
        waits=several and resets_by_step(env),
    )


class _Recorded:
    """What both wrappers share: the choices of the user, and the recording."""

    def __init__(
        self,
        env: Any,
        output_dir: str | os.PathLike[str] = "./rldk_logs",
        run_id: str | None = None,
        rules: RuleChoice = "default",
        *,
        alert_thresholds: Mapping[str, Any] | None = None,
        stop_on: Severity | None = None,
        log_interval: int = 10,
        judge_every: int | None = None,
        echo: bool = True,
    ) -> None:
        super().__init__(env)  # type: ignore[call-arg]
        recording = Recording(
            output_dir=output_dir,
            run_id=run_id,
            rules=rules,
            thresholds=alert_thresholds or {},
            stop_on=stop_on,
            judge_every=judge_every,
            echo=echo,
        )
        recording.check()
        self.rldk = recording_of(env, lambda: Recorder(recording, ORIGIN), max(1, log_interval))

    @property
    def recorder(self) -> Recorder | None:
        """What writes the files; None before the first row."""
        return self.rldk.recorder

    @property
    def stop_requested(self) -> bool:
        return self.rldk.recorder is not None and self.rldk.recorder.stop_requested

    def reset(self, **given: Any) -> Any:
        """Resets the environment."""
        found = super().reset(**given)  # type: ignore[misc]
        self.rldk.reset(found[0])
        return found

    def step(self, action: Any) -> Any:
        """Takes a step, and returns what the environment returns."""
        found = super().step(action)  # type: ignore[misc]
        self.rldk.step(action, *found[:4])
        return found

    def close(self, **given: Any) -> Any:
        """Closes the environment and writes the final report."""
        self.rldk.close()
        return super().close(**given)  # type: ignore[misc]


class RLDKVectorWrapper(_Recorded, VectorWrapper):  # type: ignore[misc]
    """The wrapper for environments that are stepped together; `RLDKWrapper` makes one by itself."""


class RLDKWrapper(_Recorded, gymnasium.Wrapper):  # type: ignore[misc]
    """Records the episodes of an environment, or of a vector environment, and lets the rules look at them.

    A row for every `log_interval` episodes has their returns and lengths, the share that a time limit cut, the share of
    actions at a bound, and the shares of observations and rewards that are not finite. Steps, observations and rewards
    are passed on as they are. A loop asks `stop_requested` whether it should end."""

    def __new__(cls, env: Any, *given: Any, **named: Any) -> Any:
        """A vector environment gets the wrapper for those."""
        return RLDKVectorWrapper(env, *given, **named) if isinstance(env, VectorEnv) else super().__new__(cls)
