"""What rules over rows say of a configuration alone, before there is a row: the field `Rule.before`."""

from __future__ import annotations

import math

from rldk.rules.rule import Signal
from rldk.rules.subject import ConfigView

SMALL_CLIP = 1e-3  # our own choice: the example configurations of TRL, verl and OpenRLHF clip at 0.1 or above
_ACTOR, _SCHEDULE = "actor_rollout_ref.actor", "lr_scheduler_kwargs"
KL_COEFFICIENTS = ("beta", f"{_ACTOR}.kl_loss_coef", "algorithm.kl_ctrl.kl_coef", "algo.kl.init_coef")


def number(c: ConfigView, *names: str) -> float:
    """The first of these keys that is a number; NaN where none is. A boolean is not a number."""
    for name in names:
        value = c.named(name)
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            try:
                return float(value)
            except ValueError:
                continue
    return math.nan


def negative_kl_coefficient(c: ConfigView) -> Signal | None:
    """KL007: the configured coefficient is negative, so that the policy is paid for leaving its reference."""
    for key in KL_COEFFICIENTS:
        value = number(c, key)
        if value < 0:
            said = f"`{key}` is {value:g}: the policy is paid for leaving its reference"
            return Signal(value=value, limit=0.0, metric=key, message=said)
    return None


def clip_that_hides(c: ConfigView) -> Signal | None:
    """GRAD003: the clip is so small that nearly every gradient meets it, or, in verl, a 0 that scales them all to 0."""
    key = c.key("max_grad_norm")
    clip = number(c, key)
    if c.framework == "verl" and clip == 0:
        said = f"`{key}` is 0, and verl scales every gradient to that norm: nothing is learnt"
        return Signal(value=clip, limit=0.0, metric=key, message=said)
    if 0 < clip < SMALL_CLIP:
        said = f"`{key}` is {clip:g}: nearly every gradient is clipped, and an explosion shows only before the clip"
        return Signal(value=clip, limit=SMALL_CLIP, metric=key, message=said, severity="info")
    return None


def schedule_that_ends_early(c: ConfigView) -> Signal | None:
    """OPT004: the phases of a warm-up, stable, decay schedule add up to fewer steps than the run has."""
    steps = number(c, "max_steps")
    phases = [number(c, f"{_SCHEDULE}.{name}") for name in ("num_stable_steps", "num_decay_steps")]
    floor, warmup = number(c, f"{_SCHEDULE}.min_lr_ratio"), number(c, "warmup_steps")
    kind = str(c.named("lr_scheduler_type") or "").lower().rpartition(".")[2]
    if kind != "warmup_stable_decay" or floor > 0:
        return None
    if math.isnan(warmup) or 0 < warmup < 1:  # a share of the steps
        share = warmup if warmup > 0 else number(c, "warmup_ratio")
        warmup = math.ceil(steps * share) if share > 0 and steps > 0 else 0.0
    end = warmup + sum(phases)
    if not 0 < end < steps:
        return None
    said = f"the schedule is at 0 after step {end:g}, and `max_steps` is {steps:g}"
    return Signal(value=end, limit=steps, metric="lr_scheduler_kwargs", message=said)
