"""GRAD: gradients that fade, and the balance between the gradients of policy and critic."""

from __future__ import annotations

from rldk.core.algorithms import ACTOR_CRITIC
from rldk.rules.catalogue.gradient import GRAD_NORMS, TINY, ZERO_SHARE
from rldk.rules.evidence import is_unsolved
from rldk.rules.rule import ABOVE_ZERO, Frame, Signal, rule

RATIO = "grad_ratio_log10"  # log10(policy norm / critic norm), as the engine derives it
COMPONENTS = ("grad_norm_policy", "grad_norm_value")
LOSS_OF = {"grad_norm_value": "value_loss"}  # the loss whose being solved would explain a small norm
CUT = 1e-5  # of the norms just before: no schedule and no learning takes so much within three rows
GONE = 1e-4  # of the early norm: no healthy run of 185 small trainings falls so far without having solved its task


@rule(
    "GRAD004",
    "vanishing-gradients",
    severity="warn",
    tier=2,
    each=GRAD_NORMS,
    rows=3,
    causes=(
        "the signal is gone: advantages or rewards are nearly constant, or most samples are masked",
        "units are saturated, or the policy has collapsed",
        "the loss is scaled down: a wrong denominator, a coefficient near 0",
    ),
    fixes=(
        "look at the spread of the rewards and advantages first",
        "filter groups without a signal: {dynamic_sampling}",
        "check how the loss is normalised over tokens and {grad_accum}",
    ),
)
def vanishing_gradients(f: Frame) -> Signal | None:
    """Fires when the gradient norm has fallen below 1 % of its early level and nothing was learnt for it.

    Why it matters: The run goes on and costs as before, but nothing moves any more.
    How it is computed: The median of 20 rows is below 1 % of that of rows 5 to 25, the learning rate is above 0, the
    entropy is above 15 % of its early level, at least a tenth of the groups have a signal, and no more than 30 % of the
    rows are exact zeros (GRAD012). It is a warning below 0.01 % when the task is not simply solved: the reward (a
    running mean) is below its best, or, where none is logged, the loss (for the critic its own) is still above half of
    its early level. Otherwise it is information. The rule warns sooner when three rows are below 0.001 % of the ten
    before them without being 0, while rewards go on or the loss stays.
    When it is wrong: A trainer may divide the norm by the loss scale of one step and later by that of another.
    Source: 1 % of the early median over 20 steps, with an entropy that has not collapsed, comes from the catalogue.
    Measured: none of 44 healthy runs of faultbench and 15 healthy fixtures; information on 3 broken ones. The sudden
    form was seen in small GRPO trainings whose losses were scaled by 1e-7 from some step on.
    """
    name = f.metric
    level, early, zero = f.median(name, 20), f.early(name), f.share(name, 20, above=-TINY, below=TINY)
    entropy, entropy_early, same = f.median("entropy", 5), f.early("entropy"), f.ewma("zero_std_group_frac", 1.0)
    loss = LOSS_OF.get(name, "loss")
    remains, low, rewarded = f.median(loss, 20) > 0.5 * f.early(loss), is_unsolved(f), f.count("reward_mean") > 0
    newest, least, before = f.max(name, 3), f.min(name, 3), f.median(name, 10, before=3)
    rewarded = rewarded and name not in LOSS_OF
    goes_on = rewarded or f.median(loss, 3) > 0.5 * f.early(loss)
    if newest < CUT * before and least > 0 and f["lr"] != 0.0 and not same >= 0.9 and goes_on:
        message = f"{name} was typically {before:.3g} and fell to {newest:.3g} within three rows"
        return Signal(value=newest, limit=CUT * before, message=message)
    if not level < 0.01 * early or zero > ZERO_SHARE or f["lr"] == 0.0 or same >= 0.9 or entropy < 0.15 * entropy_early:
        return None
    gone = level < GONE * early and (low if rewarded else remains)
    message = f"{name} was typically {early:.3g} at first and has fallen to {level:.3g}"
    return Signal(value=level, limit=0.01 * early, message=message, severity=None if gone else "info")


@rule(
    "GRAD005",
    "policy-value-gradient-imbalance",
    severity="warn",
    tier=2,
    needs=COMPONENTS,
    rows=3,
    algorithms=ACTOR_CRITIC,
    causes=(
        "the returns changed their scale: the critic's gradient follows it, the policy's does not",
        "one of the two losses has lost its signal, or lost its coefficient",
    ),
    fixes=(
        "rescale the critic's part: {value_coef}",
        "keep the returns at one scale: {reward_scale}, {clip_value}",
        "give the critic its own optimiser and {lr_value}",
    ),
)
def gradient_imbalance(f: Frame) -> Signal | None:
    """Fires when the balance of policy and critic gradients has left its early level by more than a factor of ten.

    Why it matters: In a shared trunk, the larger gradient decides what is learnt, and a common clip cuts the other one
    off.
    How it is computed: The rule takes log10 of the ratio of the two norms. Its median over 20 rows is off its own early
    level by more than 1 plus the whole range of its first 50 rows.
    When it is wrong: With separate networks and optimisers the ratio means nothing for either.
    Source: The run's own band over the first 50 rows, one decade and 20 updates come from the catalogue. Measured on
    faultbench: none of 22 healthy runs, 3 runs with an exploding gradient, a wrong sign or another reward scale.
    """
    level, early, spread = f.median(RATIO, 20), f.early(RATIO, 0, 50), f.spread(RATIO, 0, 50)
    if abs(level - early) > 1 + spread:
        message = f"the ratio of the policy's gradient to the critic's was {10**early:.3g} and is now {10**level:.3g}"
        return Signal(value=10**level, limit=10**early, message=message)
    return None


@rule(
    "GRAD006",
    "gradient-balance-shift",
    severity="info",
    tier=2,
    needs=COMPONENTS,
    algorithms=ACTOR_CRITIC,
    causes=("the rewards or the advantages changed their scale", "the loss coefficients were changed"),
    fixes=("compare reward and advantage scale before and after this step", "check {value_coef}"),
)
def balance_shift(f: Frame) -> Signal | None:
    """Fires when the balance of policy and critic gradients leaves its own line by a factor of three.

    Why it matters: It says which of the two parts of the loss changed.
    How it is computed: The robust line test on log10 of the ratio finds three rows that are five scales (at least 0.1)
    off the line and half a decade from the past.
    When it is wrong: It is only information beside the finding that caused it.
    Source: The line test was measured on real logs; a component outside its own band comes from the catalogue. Measured
    on faultbench: none of 22 healthy runs, 8 broken ones.
    """
    leap, past, level = f.leap(RATIO, floor=0.1), f.past(RATIO, before=3), f.median(RATIO, 3)
    if abs(leap) >= 5 and abs(level - past) > 0.5:
        message = f"the policy's gradient went from {10**past:.3g} to {10**level:.3g} times the critic's"
        return Signal(value=10**level, limit=10**past, message=message)
    return None


@rule(
    "GRAD007",
    "gradient-ratio-trend",
    severity="info",
    tier=2,
    needs=COMPONENTS,
    algorithms=ACTOR_CRITIC,
    causes=("the critic converges while the policy goes on, or the other way round", "the returns grow"),
    fixes=("if the trunk is shared, adjust {value_coef}", "turn on {reward_scale}"),
)
def ratio_trend(f: Frame) -> Signal | None:
    """Fires when the balance of policy and critic gradients drifts steadily, by a factor of ten in 60 rows.

    Why it matters: Sooner or later one part of the loss decides alone.
    How it is computed: The Mann-Kendall test finds a trend in the last 12 medians of five rows each (p < 0.001), and a
    Theil-Sen line through them climbs by one decade or more.
    When it is wrong: This is common while a critic converges. The rule only gives information.
    Source: The Mann-Kendall test on block medians comes from the catalogue; the decade is that of GRAD005. Measured on
    faultbench: none of 22 healthy runs, 8 broken ones.
    """
    drift, level = f.drift(RATIO), f.median(RATIO, 5)
    if abs(drift) >= 1:
        way = "grows" if drift > 0 else "falls"
        message = (
            f"the policy's gradient {way} compared with the critic's, by a factor of {10 ** abs(drift):.3g} in 60 rows"
        )
        return Signal(value=10**level, limit=10 ** (level - drift), message=message)
    return None


@rule(
    "GRAD008",
    "gradient-unstable",
    severity="info",
    tier=2,
    each=GRAD_NORMS,
    rows=10,
    causes=(
        "the learning rate is too high for where the run now is",
        "single batches dominate: fewer samples with a signal, or a heavy tail of the rewards",
    ),
    fixes=("lower {lr}", "raise {batch}", "clip gradients: {max_grad_norm}"),
)
def gradient_unstable(f: Frame) -> Signal | None:
    """Fires when the gradient norm has become several times as noisy from row to row as it used to be.

    Why it matters: Steps of very different size undo each other, and explosions often begin like this.
    How it is computed: The row-to-row noise of the logarithm of the norm over 20 rows is three times what was usual in
    this run, on ten rows in a row. A usual noise below 0.1 counts as 0.1.
    When it is wrong: Near the solution of a task, only a few batches have a signal. This rule only gives information.
    Source: A doubled robust variation of the log norm comes from the catalogue. The factor of three was measured: none
    of 44 healthy runs of faultbench and 15 healthy fixtures (a factor of 2 fires on four fixtures), 9 broken ones.
    """
    unrest = f.unrest(f.metric, log=True, floor=0.1)
    if unrest > 3:
        message = f"{f.metric} is {unrest:.2g} times as noisy from row to row as usual"
        return Signal(value=unrest, limit=3.0, message=message)
    return None


@rule(
    "GRAD009",
    "gradient-flow-blocked",
    severity="warn",
    tier=1,
    each=COMPONENTS,
    needs=("value_loss",),
    calm=ABOVE_ZERO,
    rows=20,
    algorithms=ACTOR_CRITIC,
    causes=(
        "that part of the loss is detached, or its coefficient is 0",
        "its parameters are frozen or in no optimiser",
    ),
    fixes=("check {value_coef} and what is detached between loss and parameters", "look at {optimizer}'s parameters"),
)
def flow_blocked(f: Frame) -> Signal | None:
    """Fires when the gradient norm of the policy, or of the critic, has always been exactly 0 while the other is not.

    Why it matters: Half of the algorithm is not trained.
    How it is computed: This is a form for scalars of counting dead layers. Every value of the component so far is
    exactly 0, the other component is not 0, and the component's own loss is not constant (a trainer without that part
    writes a constant), on twenty rows in a row. A norm that was alive before is left to GRAD012.
    When it is wrong: A critic may be warmed up while the policy is frozen on purpose.
    Source: The share of exact zeros comes from the catalogue of scalar forms. Not measured: the corpus has no such
    fault.
    """
    name = f.metric
    other = COMPONENTS[1 - COMPONENTS.index(name)]
    loss = "value_loss" if name == "grad_norm_value" else "policy_loss"
    highest, flowing = f.highest(name, before=0), f[other]
    lossy = f.highest(loss, before=0) > f.lowest(loss, before=0)
    if highest == 0.0 and flowing > 0 and lossy:
        return Signal(value=0.0, message=f"{name} has been exactly 0 on every row, but {other} is {flowing:.3g}")
    return None
