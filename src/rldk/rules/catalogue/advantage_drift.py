"""Rules on the course of advantages: bias, scale, trend, volatility."""

from __future__ import annotations

import math

from rldk.core.algorithms import GROUP, LLM_POLICY, POLICY
from rldk.rules.rule import Frame, Signal, rule

MOMENTS = ("advantage_mean", "advantage_std")
ERUPTED = 10.0  # times the usual noise
QUIET_LOSS = 0.005  # noise of a policy loss on whitened advantages that is next to nothing


def _off_centre(f: Frame) -> bool:
    """The run never guaranteed a mean of 0 (ADV004 watches those that did)."""
    usual, spread = f.early("advantage_mean", 0, 10), f.spread("advantage_mean", 0, 10)
    return not (abs(usual) < 1e-4 and spread < 2e-4)


@rule(
    "ADV005",
    "advantage-bias",
    severity="warn",
    tier=2,
    needs=MOMENTS,
    rows=3,
    algorithms=POLICY - GROUP,
    causes=(
        "the critic is biased: it lags behind, or its targets are wrong (time limits, discount, reward scale)",
        "advantages are neither centred nor whitened",
    ),
    fixes=("turn on {normalize_advantage}", "raise {lr_value} or {value_coef}", "check how truncated episodes end"),
)
def advantage_bias(f: Frame) -> Signal | None:
    """Fires when advantages that are not centred have been on one side of 0 for 20 rows, by a fifth of their spread.

    Why it matters: all actions are pushed up, or all down, whatever the reward says.
    How it is computed: all 20 means have one sign, their median is beyond 0.2 of the median standard deviation; a
    warning when the reward has not moved to that side over those rows, else information: a critic lags behind a reward
    that rises.
    When it is wrong: means over tokens of unequal lengths, in group methods by construction (not looked at there).
    Source: 0.2 standard deviations for 20 updates, from the catalogue. Detection not measured: no such fault in the
    corpus, whose runs are centred (3 of 200 simulated healthy runs give the information, none the warning).
    """
    mean, spread = f.median("advantage_mean", 20), f.median("advantage_std", 20)
    least, most, gain = f.min("advantage_mean", 20), f.max("advantage_mean", 20), f.gain("reward_mean", 20)
    loose = _off_centre(f)
    if loose and spread > 0 and (least > 0 or most < 0) and abs(mean) > 0.2 * spread:
        lags = mean * gain > 0
        message = f"the mean advantage has been {mean:.3g} for 20 rows (standard deviation {spread:.3g})"
        return Signal(
            value=mean,
            limit=math.copysign(0.2 * spread, mean),
            message=message,
            severity="info" if lags else None,
        )
    return None


@rule(
    "ADV006",
    "advantage-scale-jump",
    severity="warn",
    tier=2,
    needs=("advantage_std",),
    algorithms=POLICY,
    causes=(
        "the rewards changed their scale or their spread",
        "normalisation divides by a tiny or by another standard deviation than before",
    ),
    fixes=("compare the rewards before and after this step: {reward_scale}", "check {normalize_advantage}"),
)
def scale_jump(f: Frame) -> Signal | None:
    """Fires when the spread of the advantages suddenly doubles, or halves where a critic makes them.

    Why it matters: the size of the policy's step follows the spread: this is a change of the learning rate.
    How it is computed: the robust line test on the log of the standard deviation: five scales (at least 0.05) on three
    rows, and a factor of two from its past. A warning when the gradient norm moved with it by half, or the reward's
    spread did; else information. In group methods a fall is what solved prompts do and does not count.
    When it is wrong: a curriculum that changes the tasks on purpose.
    Source: the line test as measured on real logs; the factor: ours. Measured on faultbench: none of 44 healthy runs;
    the run whose advantages lost their normalisation.
    """
    name = "advantage_std"
    leap, past, level = f.leap(name, log=True, floor=0.05), f.past(name, before=3), f.median(name, 3)
    beside = [
        (f.median(other, 3), f.past(other, before=3)) for other in ("reward_std", "grad_norm_policy", "grad_norm")
    ]
    grouped = f.gap("zero_std_group_frac") >= 0 or f.gap("reward_group_std") >= 0
    up, down = leap >= 5 and level > 2 * past, leap <= -5 and level < 0.5 * past and not grouped
    if up or down:
        moved = any(now > 1.5 * was if up else now < was / 1.5 for now, was in beside)
        message = f"the standard deviation of the advantages went from {past:.3g} to {level:.3g}"
        return Signal(
            value=level, limit=2 * past if up else 0.5 * past, message=message, severity=None if moved else "info"
        )
    return None


@rule(
    "ADV009",
    "advantage-trend",
    severity="info",
    tier=2,
    each=MOMENTS,
    algorithms=POLICY,
    causes=("the critic falls further behind", "the rewards grow in scale"),
    fixes=("raise {lr_value}", "turn on {normalize_advantage}", "keep the rewards at one scale: {reward_scale}"),
)
def advantage_trend(f: Frame) -> Signal | None:
    """Fires when the mean of the advantages drifts from 0, or their spread grows, steadily over 60 rows.

    Why it matters: the policy's step changes its size or its sign without anybody having asked for it.
    How it is computed: Mann-Kendall over the last 12 medians of five rows each (p < 0.001), and a Theil-Sen line
    through them that moves the mean by 0.2 standard deviations away from 0, or doubles the spread.
    When it is wrong: returns that grow while a task is learnt. A shrinking spread is learning. Information only.
    Source: Mann-Kendall on block medians, from the catalogue; 0.2 as in ADV005. Measured on faultbench: none of 44
    healthy runs; one run whose advantages were no longer centred.
    """
    name = f.metric
    mean, spread = f.median("advantage_mean", 5), f.median("advantage_std", 20)
    shift, growth = f.drift("advantage_mean"), f.drift("advantage_std", log=True)
    if name == "advantage_mean" and spread > 0 and shift * mean > 0 and abs(shift) > 0.2 * spread:
        message = f"the mean advantage drifts: by {shift:.3g} in 60 rows (standard deviation {spread:.3g})"
        return Signal(value=mean, limit=mean - shift, message=message)
    if name == "advantage_std" and growth > math.log(2):
        message = f"the standard deviation of the advantages grew {math.exp(growth):.2g} times in 60 rows"
        return Signal(value=spread, message=message)
    return None


@rule(
    "ADV010",
    "advantage-volatile",
    severity="info",
    tier=2,
    each=MOMENTS,
    rows=10,
    algorithms=POLICY,
    causes=("batches have become smaller or more alike", "single samples dominate: a heavy tail of the rewards"),
    fixes=("raise {batch}", "clip the rewards: {reward_clip}", "turn on {normalize_advantage}"),
)
def advantage_volatile(f: Frame) -> Signal | None:
    """Fires when the mean or the spread of the advantages has become several times as noisy as it used to be.

    Why it matters: the policy's step size is noise then.
    How it is computed: the row-to-row noise over 20 rows (of the spread: of its logarithm) is three times what was
    usual in this run, ten rows running; that of the mean must be above 0.04 of the spread, and a usual noise of the
    logarithm below 0.02 counts as 0.02.
    When it is wrong: near a solved task, where only few samples have a signal. Information only.
    Source: a doubled robust variation, from the catalogue. Three measured on faultbench: none of 44 healthy runs (a
    factor of 2 fires in simulated heavy-tailed ones), 4 runs with a broken learning rate or normalisation.
    """
    name = f.metric
    spread = f.past("advantage_std", before=20)
    plain, logged = f.unrest("advantage_mean"), f.unrest("advantage_std", log=True, floor=0.02)
    noise = f.noise("advantage_mean", 20)
    unrest = logged if name == "advantage_std" else plain if noise > 0.04 * spread else 0.0
    if unrest > 3:
        return Signal(
            value=unrest, limit=3.0, message=f"{name} is {unrest:.2g} times as noisy from row to row as usual"
        )
    return None


@rule(
    "ADV014",
    "policy-loss-erupts",
    severity="warn",
    tier=2,
    needs=("policy_loss",),
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "advantages are no longer whitened or centred",
        "the rewards, or the returns behind the advantages, changed their scale",
        "ratios far from 1: a learning rate that is too high, too many epochs on one batch",
    ),
    fixes=("turn on {normalize_advantage}", "keep the rewards at one scale: {reward_scale}", "lower {lr} or {epochs}"),
)
def policy_loss_erupts(f: Frame) -> Signal | None:
    """Fires when the policy loss has become ten times as noisy as it used to be in this run.

    Why it matters: the policy's step is then ruled by the size of a few advantages, not by their order.
    How it is computed: ADV010 for logs without advantages: the policy loss is a mean of advantages times ratios. Its
    row-to-row noise over 20 rows is ten times what was usual in this run, three rows running; a usual noise below
    0.005 counts as 0.005.
    When it is wrong: where advantages are not normalised, while the returns grow tenfold. So they are in A2C by
    default, and the loss of an off-policy actor is a value: neither is looked at.
    Source: ours. Measured: 4.4 was the largest in 157 healthy small trainings; 10 to 283 in six whose advantages were
    no longer normalised, 61 in one whose rewards were rescaled.
    """
    unrest, noise = f.unrest("policy_loss", floor=QUIET_LOSS), f.noise("policy_loss", 20)
    if unrest > ERUPTED:
        message = f"the policy loss is {unrest:.3g} times as noisy from row to row as usual"
        return Signal(value=unrest, limit=ERUPTED, message=message, evidence={"noise": noise})
    return None
