"""ENV: episodes that a time limit has cut, and how the trainer is told to take their end."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.subject import ConfigView

# the switch of a library -> whether it is on unless somebody switches it off
SWITCHES = {"handle_timeout_termination": True, "time_limit_bootstrap": False, "value_bootstrap": False}


def _switch(c: ConfigView) -> tuple[str, str]:
    """The first switch of the configuration, at any depth, and its name alone."""
    found = ((key, key.rpartition(".")[2]) for key in c.values)
    return next(((key, name) for key, name in found if name in SWITCHES), ("", ""))


def _unasked(c: ConfigView) -> str | None:
    return None if _switch(c)[0] else f"needs one of the switches {', '.join(SWITCHES)} in the run's configuration"


@rule(
    "ENV001",
    "time-limit-taken-as-end",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    unless_view=_unasked,
    causes=("the switch was copied from a task without a time limit", "it is off by default (skrl, rl_games)"),
    fixes=("switch it on, so that the value of the last observation stands for the rewards that were cut off",),
)
def time_limit_taken_as_end(c: ConfigView) -> Signal | None:
    """Fires when the trainer is told to take an episode that a time limit has cut for one that has ended.

    Why it matters: The value of states near the limit is learnt as if nothing came after them, which is too low, and it
    depends on a clock that the policy does not see.
    How it is computed: `handle_timeout_termination` (the replay buffers of Stable-Baselines3, on by default),
    `time_limit_bootstrap` (skrl) or `value_bootstrap` (rl_games) is false, at any depth of the configuration. For the
    two that are off by default it is information.
    When it is wrong: The limit may be a part of the task, with the time in the observation; or there is no limit.
    Source: Pardo et al., Time Limits in Reinforcement Learning; sb3#284, sb3#633, skrl#449; the arguments of
    Stable-Baselines3 2.9.
    """
    key, name = _switch(c)
    if str(c.named(key)).strip().lower() not in ("false", "0", "no", "off"):
        return None
    message = f"`{key}` is off: the end of an episode by a time limit is learnt as the end of the task"
    return Signal(value=0.0, metric=key, message=message, severity=None if SWITCHES[name] else "info")
