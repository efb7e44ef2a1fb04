"""Rules on how advantages change over a run: bias, scale, trend, volatility."""

from __future__ import annotations

import math

from rldk.core.algorithms import GROUP, LLM_POLICY, POLICY
from rldk.rules.rule import Frame, Signal, rule

MOMENTS = ("advantage_mean", "advantage_std")
ERUPTED = 10.0  # times the usual noise
QUIET_LOSS = 0.005  # a policy loss on whitened advantages with less noise than this hardly varies


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

    Why it matters: All actions are pushed up, or all are pushed down, whatever the reward says.
    How it is computed: All 20 means have one sign, and their median is beyond 0.2 of the median standard deviation. It
    is a warning when the reward has not moved to that side over those rows. Otherwise it is information, because a
    critic lags behind a reward that rises.
    When it is wrong: Means over tokens of unequal lengths are biased by construction in group methods, which the rule
    does not look at.
    Source: 0.2 standard deviations for 20 updates come from the catalogue. Detection was not measured: the corpus has
    no such fault, and its runs are centred (3 of 200 simulated healthy runs give the information, none the warning).
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
        "normalisation divides by a tiny standard deviation, or by another one than before",
    ),
    fixes=("compare the rewards before and after this step: {reward_scale}", "check {normalize_advantage}"),
)
def scale_jump(f: Frame) -> Signal | None:
    """Fires when the spread of the advantages suddenly doubles, or halves where a critic makes them.

    Why it matters: The size of the policy's step follows the spread, so this is a change of the learning rate.
    How it is computed: The robust line test on the logarithm of the standard deviation finds three rows that are five
    scales (at least 0.05) off the line and a factor of two from the past. It is a warning when the gradient norm or the
    spread of the reward moved with it by half, otherwise information. In group methods a fall is what solved prompts
    cause, so it does not count there.
    When it is wrong: A curriculum changes the tasks on purpose.
    Source: The line test was measured on real logs; the factor is our own choice. On faultbench it fired on none of 44
    healthy runs and on the run whose advantages lost their normalisation.
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

    Why it matters: The size or the sign of the policy's step changes although nobody asked for it.
    How it is computed: The Mann-Kendall test finds a trend in the last 12 medians of five rows each (p < 0.001), and a
    Theil-Sen line through them moves the mean by 0.2 standard deviations away from 0, or doubles the spread.
    When it is wrong: Returns may grow while a task is learnt, and a shrinking spread is a sign of learning. This rule
    only gives information.
    Source: The Mann-Kendall test on block medians comes from the catalogue; 0.2 is as in ADV005. On faultbench it fired
    on none of 44 healthy runs and on one run whose advantages were no longer centred.
    """
    name = f.metric
    mean, spread = f.median("advantage_mean", 5), f.median("advantage_std", 20)
    shift, growth = f.drift("advantage_mean"), f.drift("advantage_std", log=True)
    if name == "advantage_mean" and spread > 0 and shift * mean > 0 and abs(shift) > 0.2 * spread:
        message = f"the mean advantage drifted by {shift:.3g} in 60 rows (standard deviation {spread:.3g})"
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

    Why it matters: The size of the policy's step is then mostly noise.
    How it is computed: The row-to-row noise over 20 rows is three times what was usual in this run, on ten rows in a
    row. For the spread, the noise of its logarithm is taken, and a usual noise below 0.02 counts as 0.02. The noise of
    the mean must be above 0.04 of the spread.
    When it is wrong: Near a solved task only few samples have a signal. This rule only gives information.
    Source: A doubled robust variation comes from the catalogue. The factor of three was measured on faultbench: none of
    44 healthy runs (a factor of 2 fires in simulated heavy-tailed ones), and 4 runs with a broken learning rate or
    normalisation.
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
        "ratios are far from 1: the learning rate is too high, or there are too many epochs on one batch",
    ),
    fixes=("turn on {normalize_advantage}", "keep the rewards at one scale: {reward_scale}", "lower {lr} or {epochs}"),
)
def policy_loss_erupts(f: Frame) -> Signal | None:
    """Fires when the policy loss has become ten times as noisy as it used to be in this run.

    Why it matters: The policy's step then follows the size of a few advantages instead of their order.
    How it is computed: This is ADV010 for logs without advantages, because the policy loss is a mean of advantages
    times ratios. Its row-to-row noise over 20 rows is ten times what was usual in this run, on three rows in a row. A
    usual noise below 0.005 counts as 0.005.
    When it is wrong: Where advantages are not normalised, the loss grows when returns grow tenfold. A2C works like that
    by default, and the loss of an off-policy actor is a value; the rule looks at neither.
    Source: Our own choice. Measured: 4.4 was the largest in 157 healthy small trainings; 10 to 283 in six whose
    advantages were no longer normalised, 61 in one whose rewards were rescaled.
    """
    unrest, noise = f.unrest("policy_loss", floor=QUIET_LOSS), f.noise("policy_loss", 20)
    if unrest > ERUPTED:
        message = f"the policy loss is {unrest:.3g} times as noisy from row to row as usual"
        return Signal(value=unrest, limit=ERUPTED, message=message, evidence={"noise": noise})
    return None
