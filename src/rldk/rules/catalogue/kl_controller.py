"""Rules on an adaptive KL coefficient and the KL it steers: wrong way, overshoot, oscillation, noise, sign."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.knobs import lacks, setting
from rldk.rules.rule import ABOVE_ZERO, Context, Frame, Signal, rule

KIND = ("algorithm.kl_ctrl.type", "kl_ctrl.type", "kl_ctrl_type", "adap_kl_ctrl")  # how configurations say "adaptive"


def _controller(context: Context) -> str | None:
    """The reason why a rule on controllers does not apply: no target is known, or the coefficient is fixed."""
    said = next((context.config[key] for key in KIND if key in context.config), None)
    if said is False or str(said).lower() == "fixed":
        return "the KL coefficient is fixed by configuration"
    return lacks("kl_target")(context)


def _moves(f: Frame) -> bool:
    """Whether the coefficient has ever moved: a log may carry a target that nothing steers to."""
    return f.highest("kl_coef", before=0) > f.lowest("kl_coef", before=0)


@rule(
    "KL006",
    "kl-negative",
    severity="warn",
    tier=2,
    needs=("kl",),
    calm=ABOVE_ZERO,
    algorithms=LLM_POLICY,
    causes=(
        "responses come from another distribution than the policy's: top-k, top-p, a minimum length, banned tokens",
        "log-probabilities of padding are counted",
        "the policy is in train mode (dropout) when its log-probabilities are taken",
    ),
    fixes=(
        "turn off {top_k} and {top_p}, and any minimum length",
        "mask everything after the end token before the KL is summed",
        "turn off {dropout} in both models",
    ),
)
def kl_negative(f: Frame) -> Signal | None:
    """Fires when the estimated KL to the reference has been negative on nearly all of the last 20 rows.

    Why it matters: A true KL is never negative. The samples do not come from the policy whose log-probabilities are
    used, and the penalty pays for going where the estimate is wrong.
    How it is computed: This is a sign test: at least 19 of the last 20 values are below 0 (p = 2e-5 if they were noise
    around 0). Single negative batches of the k1 estimator are normal.
    When it is wrong: A framework may log the KL with its sign turned.
    Source: A one-sided sign test with p < 1e-4 over 20 batches comes from the catalogue (noise around 0 is fine:
    trl#925; trl#351, trl#1857, trl#615 for the causes). It fires on no healthy run of faultbench and on none of the
    fixtures; detection was not measured, as the corpus has no such fault.
    """
    negative, usual = f.share("kl", 20, below=0.0), f.median("kl", 20)
    if negative >= 0.95:
        message = f"the KL was negative on {round(20 * negative)} of the last 20 rows (typically {usual:.3g})"
        return Signal(value=usual, limit=0.0, message=message)
    return None


@rule(
    "KL010",
    "kl-controller-unresponsive",
    severity="warn",
    tier=2,
    needs=("kl", "kl_coef"),
    rows=16,
    within=20,
    algorithms=LLM_POLICY,
    unless=_controller,
    causes=(
        "the controller does not get the logged KL: per token instead of per sequence, or the update KL",
        "the coefficient is at its upper bound",
        "the horizon is far too long, or the error enters with the wrong sign",
    ),
    fixes=(
        "state {kl_target} in the unit of the KL that the controller gets",
        "raise the upper bound of the coefficient, or start from a larger {kl_coef}",
    ),
)
def unresponsive(f: Frame) -> Signal | None:
    """Fires when the KL is far from its target and the coefficient does not move against it.

    Why it matters: The controller is there to bring the KL back. This one does nothing, or pushes the KL further away.
    How it is computed: The coefficient must have moved at some time. On 16 of the last 20 rows, either all of the last
    six KL values were above twice the target while the coefficient was no larger than five rows before, or all were
    below half of it while the coefficient was larger.
    When it is wrong: A coefficient may be logged with so few digits that its steps are rounded away.
    Source: The sign agreement of error and coefficient over 20 updates, binomial p < 0.01 (16 of 20 disagreeing), comes
    from the catalogue. Half and twice the target are where controllers of the PPO family act at the latest. Measured on
    faultbench with its target as configuration: none of 22 healthy runs; both runs whose coefficient was set to 0 and
    one with a negative one.
    """
    target = setting(f, "kl_target")
    least, most, now, before = f.min("kl", 6), f.max("kl", 6), f["kl_coef"], f.previous("kl_coef", 5)
    if not _moves(f):
        return None
    if least > 2 * target and now <= before:
        message = f"the KL is {f['kl']:.3g} with a target of {target:.3g}, and its coefficient does not rise"
        return Signal(value=f["kl"], limit=2 * target, message=message)
    if most < 0.5 * target and now > before:
        message = f"the KL is {f['kl']:.3g} with a target of {target:.3g}, and its coefficient still rises"
        return Signal(value=f["kl"], limit=0.5 * target, message=message)
    return None


@rule(
    "KL011",
    "kl-overshoot",
    severity="warn",
    tier=2,
    needs=("kl", "kl_coef"),
    rows=10,
    algorithms=LLM_POLICY,
    unless=_controller,
    causes=(
        "the controller is too slow: its horizon is long for the speed of learning",
        "the learning rate is too high for the KL coefficient it starts from",
    ),
    fixes=("lower {lr}", "start from a larger {kl_coef}", "shorten the horizon of the controller"),
)
def overshoot(f: Frame) -> Signal | None:
    """Fires when the KL had been within its target range and then runs beyond twice the target.

    Why it matters: The coefficient comes too late: by the time it acts, the policy is far from its reference.
    How it is computed: An earlier KL was above half of the target and one was below one and a half times the target.
    The median of the last five is above twice the target, on ten rows in a row, and the coefficient has moved.
    When it is wrong: A short overshoot at the start may be caught by the controller.
    Source: The largest KL over target above 2, after it first entered its range, comes from the catalogue. Measured on
    faultbench with its target as configuration: none of 22 healthy runs, and 6 runs whose coefficient, learning rate or
    reward scale was broken.
    """
    target = setting(f, "kl_target")
    high, low = f.highest("kl", before=5), f.lowest("kl", before=5)
    level = f.median("kl", 5)
    if _moves(f) and high >= 0.5 * target and low <= 1.5 * target and level > 2 * target:
        message = f"the KL overshot: it is {level:.3g} after it had reached its target of {target:.3g}"
        return Signal(value=level, limit=2 * target, message=message)
    return None


@rule(
    "KL019",
    "kl-beyond-twice-its-target",
    severity="warn",
    tier=1,
    needs=("kl",),
    rows=3,
    cooldown=50,
    algorithms=LLM_POLICY,
    unless=_controller,
    causes=(
        "the coefficient is fixed or too small for the learning rate, or its controller is too slow",
        "the policy exploits the reward",
    ),
    fixes=("raise {kl_coef}, or let it adapt", "lower {lr}", "read the completions with the highest reward"),
)
def beyond_twice_its_target(f: Frame) -> Signal | None:
    """Fires when the KL has grown beyond twice its known target, whether or not anything steers it.

    Why it matters: The target is the run's own statement of how far is far enough.
    How it is computed: The median of five KL values is above twice the target, on three rows in a row. It is also above
    that of the five before, or the median of 20 rows is above twice the target, too.
    When it is wrong: The target may be in another unit than the logged KL (per response, per token).
    Source: Twice the target is where controllers of the PPO family act at the latest (KL010, KL011).
    """
    target, level, before = setting(f, "kl_target"), f.median("kl", 5), f.median("kl", 5, before=5)
    lasting = f.median("kl", 20)
    if level > 2 * target > 0 and (level > before or lasting > 2 * target):
        message = f"the KL is {level:.3g}, beyond twice its target of {target:.3g}"
        return Signal(value=level, limit=2 * target, message=message)
    return None


@rule(
    "KL012",
    "kl-controller-oscillates",
    severity="warn",
    tier=2,
    needs=("kl", "kl_coef"),
    algorithms=LLM_POLICY,
    unless=_controller,
    causes=(
        "the controller reacts too strongly or too late: a short horizon, a coefficient that doubles and halves",
        "the KL it is fed is delayed",
    ),
    fixes=("lengthen the horizon of the controller", "lower {lr}", "use a fixed {kl_coef}"),
)
def oscillates(f: Frame) -> Signal | None:
    """Fires when the KL swings around its target in a regular rhythm, and the coefficient swings with it.

    Why it matters: Half of the time the policy is held too tightly, and half of the time it is hardly held at all.
    How it is computed: Over 160 rows the KL went from below half of the target to above one and a half of it, or back,
    eight times or more (four cycles), in a rhythm that chance does not have (Fisher's g test, 20 nats), and the largest
    coefficient of the last 40 rows is at least one and a half times the smallest. Or it did so six times within 80
    rows, while the largest coefficient of the last 40 rows is four times the smallest, which noise does not cause.
    When it is wrong: The period may come from elsewhere, such as a curriculum of alternating tasks.
    Source: An amplitude above half of the target and four cycles come from the catalogue. In simulated control loops,
    noise alone reaches 13 nats and limit cycles reach 58 to 136. Detection on real runs was not measured, as the corpus
    has no such fault; none of 22 healthy runs of faultbench fires.
    """
    target = setting(f, "kl_target")
    low, high = 0.5 * target, 1.5 * target
    turns, rhythm = f.swings("kl", 160, low=low, high=high), f.rhythm("kl", 160, low=low, high=high)
    most, least, lately = f.max("kl_coef", 40), f.min("kl_coef", 40), f.swings("kl", 80, low=low, high=high)
    if lately >= 6 and most >= 4 * least > 0:
        message = f"the KL crossed its target range {lately:.0f} times in 80 rows, and its coefficient swings fourfold"
        return Signal(value=lately, limit=6.0, message=message)
    if turns >= 8 and rhythm > 20 and most >= 1.5 * least:
        message = f"the KL crossed its target range {turns:.0f} times in 160 rows in a regular rhythm"
        return Signal(value=turns, limit=8.0, message=message)
    return None


@rule(
    "KL015",
    "kl-volatile",
    severity="info",
    tier=2,
    needs=("kl",),
    rows=10,
    algorithms=LLM_POLICY,
    causes=(
        "batches have become smaller or more alike, or single responses dominate the mean",
        "the learning rate is too high: the policy jumps back and forth",
    ),
    fixes=("raise {batch}", "lower {lr}", "look at {kl_estimator}: k3 has a long tail"),
)
def volatile(f: Frame) -> Signal | None:
    """Fires when the KL, for its level, has become several times as noisy from row to row as it used to be.

    Why it matters: A coefficient steered by noise is noise. It may also be the first sign of instability.
    How it is computed: The row-to-row noise of 20 rows, as a share of their median, is 2.5 times what was usual in this
    run, on ten rows in a row. The noise is that of differences, so a rising KL adds nothing to it. A usual noise below
    5 % counts as 5 %.
    When it is wrong: A KL that falls towards 0 is noisier for its level. This rule only gives information.
    Source: A doubled robust coefficient of variation comes from the catalogue. 2.5 was measured: none of 44 healthy
    runs of faultbench (a factor of 2 fires in simulated heavy-tailed ones), 4 broken runs.
    """
    unrest, level = f.unrest("kl", relative=True, floor=0.05), f.median("kl", 20)
    if unrest > 2.5 and level > 0:
        message = f"for its level, the KL is {unrest:.2g} times as noisy from row to row as usual"
        return Signal(value=unrest, limit=2.5, message=message)
    return None
