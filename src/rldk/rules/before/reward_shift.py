"""REW: what a configured penalty or bonus makes of the length of an episode."""

from __future__ import annotations

from rldk.rules.before.stated import number
from rldk.rules.rule import Signal, rule
from rldk.rules.subject import ConfigView

_BUFFERS = tuple(
    f"{place}.overlong_buffer{end}"
    for place in ("reward.reward_kwargs", "reward_model.reward_kwargs", "reward_model")
    for end in ("_cfg", "")
)
EOS = "missing_eos_penalty"


def _unasked(c: ConfigView) -> str | None:
    asked = c.framework == "trl" and c.named(EOS) is not None
    asked = asked or any(c.is_on(f"{buffer}.enable") for buffer in _BUFFERS)
    return None if asked else "needs a penalty for long or unfinished responses in the run's configuration"


@rule(
    "REW008",
    "reward-shift-turns-length",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    unless_view=_unasked,
    causes=("the penalty was given with the sign of a reward", "the penalty was switched off by its factor"),
    fixes=("give the penalty as a positive number", "compare the reward of a finished and of a cut response"),
)
def reward_shift_turns_length(c: ConfigView) -> Signal | None:
    """Fires when a penalty for long or unfinished responses has a sign that rewards them, or does nothing.

    Why it matters: A constant that depends on how an episode ends changes how long the policy wants it to be. Episodes
    then grow to their limit, or shrink, whatever the task pays.
    How it is computed: TRL subtracts `missing_eos_penalty` from the reward of a response without an end token: a
    negative value pays for never ending. verl takes min(-excess / length * `penalty_factor`, 0) as the penalty of its
    overlong buffer: a factor of 0 or below gives no penalty although the buffer is on.
    When it is wrong: Long responses may be wanted. The reward of an environment is not read: compare the sign of the
    correlation of return and episode length with what was designed.
    Source: TRL 1.16 (`OnlineDPOTrainer`) and its PPOTrainer up to 1.12; `DAPORewardManager` of verl; Schulman, Nuts
    and Bolts of Deep RL Research (reward offsets change the will to live).
    """
    penalty = number(c, EOS)
    if c.framework == "trl" and penalty < 0:
        message = f"`{EOS}` is {penalty:g}, and it is subtracted: responses that never end are paid for it"
        return Signal(value=penalty, limit=0.0, metric=EOS, message=message)
    for buffer in _BUFFERS:
        if not c.is_on(f"{buffer}.enable"):
            continue
        factor = number(c, f"{buffer}.penalty_factor")
        if factor <= 0:
            message = f"`{buffer}` is on, and its `penalty_factor` is {factor:g}: long responses are not penalised"
            return Signal(value=factor, limit=0.0, metric=f"{buffer}.penalty_factor", message=message)
    return None
