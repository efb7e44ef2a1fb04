"""Rules on the divergence from the reference policy and on its coefficient."""

from __future__ import annotations

import math

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.knobs import keys_of, lacks, setting
from rldk.rules.rule import ABOVE_ZERO, Context, Frame, Signal, rule
from rldk.rules.witness import below_best, factor, lost_share

TOKEN_LIMIT = 0.05  # nats per token before the first update: fifty times the bf16 tolerance of 1e-3, see KL004
COEFFICIENT = ("kl_coef", "kl_coef_implied")


def _coefficient(f: Frame) -> float:
    """The coefficient of this row, else that of the configuration; NaN when neither is known."""
    logged = f["kl_coef"]
    return logged if logged == logged else setting(f, "kl_coef")


def synced_reference(context: Context) -> str | None:
    """An `unless`: rules that take the reference to be fixed."""
    synced = any(context.config.get(key) is True for key in keys_of("sync_ref"))
    return "the reference is synced with the policy on purpose" if synced else None


@rule(
    "KL002",
    "kl-blow-up",
    severity="critical",
    tier=3,
    needs=("kl",),
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "the learning rate is too high",
        "the KL coefficient is too small, off, or of the wrong sign",
        "the policy exploits the reward",
    ),
    fixes=("lower {lr}", "raise {kl_coef}", "roll back to a checkpoint before the first step named here"),
)
def kl_blow_up(f: Frame) -> Signal | None:
    """Fires when the KL to the reference runs away and entropy or reward is lost with it.

    Why it matters: a policy far from its reference that pays for it with reward or entropy does not come back.
    How it is computed: the median KL of five rows is ten times that of rows 5 to 25, twice that of 25 to 35 rows
    before and above all it was until 20 rows ago; and either half of the reward gained is lost (critical), or entropy
    is below 70 % of rows 5 to 25 and the reward of the last 40 rows has not risen and stands below its best by more
    than a tenth of its range (warning). KL summed over sequences also warns above 10 nats once entropy is below half
    of its first value.
    When it is wrong: KL up, entropy down and reward up together are healthy learning and stay quiet.
    Source: faultbench dev, none of the healthy runs (10x, doubling in 20 to 40 rows, 70 %, half of the reward range);
    0 to 10 nats per sequence from an old TRL FAQ (trl PR#612); open-r1#373.
    """
    now, early, before = f.median("kl", 5), f.early("kl"), f.median("kl", 10, before=25)
    entropy, entropy_early, entropy_first = f.median("entropy", 5), f.early("entropy"), f.first("entropy")
    lost, gain, top = lost_share(f), f.gain("reward_mean", 40), f.highest("kl", before=20)
    low = below_best(f)
    ran = now > 10 * early > 0 and now > 2 * before and now > top
    if ran and lost > 0.5:
        message = f"the KL rose from {early:.3g} to {now:.3g} and {min(lost, 1.0):.0%} of the reward gained is lost"
        return Signal(value=now, limit=10 * early, message=message)
    if ran and entropy < 0.7 * entropy_early and gain <= 0 and low:
        message = f"the KL rose from {early:.3g} to {now:.3g}, entropy fell to {entropy:.3g} and nothing was gained"
        return Signal(value=now, limit=10 * early, message=message, severity="warn")
    if "seq_sum" in f.estimator("kl") and now > 10 and entropy < 0.5 * entropy_first:
        message = f"the KL is {now:.3g} nats per response and entropy fell from {entropy_first:.3g} to {entropy:.3g}"
        return Signal(value=now, limit=10.0, message=message, severity="warn")
    return None


@rule(
    "KL003",
    "kl-pinned-at-zero",
    severity="warn",
    tier=0,
    needs=("kl",),
    calm=ABOVE_ZERO,
    algorithms=LLM_POLICY,
    causes=(
        "the reference is the live model itself",
        "the weights do not move",
        "reference log-probs are taken from the policy",
    ),
    fixes=("make {ref_model} a frozen copy", "check that the weights change after an optimizer step"),
)
def kl_pinned(f: Frame) -> Signal | None:
    """Fires when the KL has been exactly 0 on each of the first 30 rows or more although its coefficient is on.

    Why it matters: a penalty that is always 0 does not hold the policy; or the policy does not move at all.
    How it is computed: bitwise 0 since the first row, 30 rows at least, coefficient above 0 in the log or in the
    configuration, learning rate not 0.
    When it is wrong: logs rounded to three decimals under a tiny learning rate. With beta = 0 a KL of 0 is a
    placeholder and the rule is quiet.
    Source: identity (TRL GRPO documentation on beta); 30 rows: ours, for warm-up from learning rate 0 and rounding.
    """
    highest, lowest, count = f.highest("kl", before=0), f.lowest("kl", before=0), f.count("kl")
    coefficient = _coefficient(f)
    if highest == lowest == 0.0 and count >= 30 and coefficient > 0 and f["lr"] != 0.0:
        message = f"the KL has been exactly 0 on all {count:.0f} rows although its coefficient is {coefficient:.3g}"
        return Signal(value=0.0, message=message)
    return None


@rule(
    "KL004",
    "kl-before-first-update",
    severity="warn",
    tier=0,
    needs=("kl",),
    calm=lambda *_: (-TOKEN_LIMIT, TOKEN_LIMIT),
    algorithms=LLM_POLICY,
    causes=(
        "the reference is another model than the one training starts from (base model instead of the tuned one)",
        "policy and reference differ in dropout, precision, template or padding",
    ),
    fixes=("load {ref_model} from the very weights that training starts from", "turn off {dropout} in both"),
)
def kl_before_update(f: Frame) -> Signal | None:
    """Fires when the KL is far from 0 on step 0 or 1, before the policy can have moved.

    Why it matters: the penalty then pulls towards a model that training did not start from.
    How it is computed: the first row, when its step is 0 or 1; sums over sequences (or an unknown estimator) are
    divided by the mean response length where that is logged. More than 0.05 nats per token fires, 1 nat where only an
    undivided sum is known.
    When it is wrong: a run that was resumed from a checkpoint but counts from 1 again.
    Source: identity with a bf16 tolerance of 1e-3 per token (trl#3194, trl#3031); fifty times that, as a row may
    average over the updates of its step: ours.
    """
    count, length = f.count("kl"), f["response_length_mean"]
    tokens = "tok_mean" in f.estimator("kl")
    divide = not tokens and length >= 1
    value = abs(f["kl"]) / length if divide else abs(f["kl"])
    limit = TOKEN_LIMIT if tokens or divide else 1.0
    if count == 1 and f.step <= 1 and value > limit:
        per = " per token" if divide else ""
        return Signal(value=value, limit=limit, message=f"the KL is already {value:.3g}{per} before the first update")
    return None


@rule(
    "KL005",
    "reference-follows-policy",
    severity="critical",
    tier=0,
    needs=("kl",),
    rows=3,
    algorithms=LLM_POLICY,
    unless=synced_reference,
    causes=(
        "the reference shares its weights with the policy since a reload or an adapter switch",
        "the reference was replaced by the current policy",
    ),
    fixes=("reload {ref_model} from disk and freeze it", "if the reference was reset on purpose, ignore this finding"),
)
def reference_follows(f: Frame) -> Signal | None:
    """Fires when a KL that had been material is suddenly next to nothing: the reference has become the policy.

    Why it matters: the penalty is gone; nothing holds the policy any more, and the log shows a reassuring 0.
    How it is computed: the scalar form of comparing the reference's weights: |KL| below 1e-4 of the run's own earlier
    level (the larger of rows 5 to 25 and of its past), which was above 0.01, on three rows.
    When it is wrong: a reference that is reset on purpose without saying so in the configuration.
    Source: measured, no false alarm on 44 healthy runs (1e-4 of the median, three rows); trl#3194.
    """
    past, early = f.past("kl", before=3), f.early("kl")
    level = early if early > past else past
    if level > 0.01 and abs(f["kl"]) < 1e-4 * level:
        message = f"the KL fell from {level:.3g} to {f['kl']:.3g}: the reference now equals the policy"
        return Signal(value=f["kl"], limit=1e-4 * level, message=message)
    return None


@rule(
    "KL007",
    "kl-sign-wrong",
    severity="critical",
    tier=0,
    each=COEFFICIENT,
    algorithms=LLM_POLICY,
    causes=(
        "the KL term is subtracted where it should be added, or added to the reward",
        "the coefficient was set negative",
    ),
    fixes=("make {kl_coef} positive", "check the sign of the KL term: loss = policy loss + coefficient * KL"),
)
def kl_sign(f: Frame) -> Signal | None:
    """Fires when the KL coefficient is negative, in the log or as the losses imply it.

    Why it matters: training is then paid for leaving the reference.
    How it is computed: the scalar form: a logged coefficient below 0 fires at once. Where none is logged, (loss -
    policy loss) / KL is the coefficient if it was constant within 2 % over its first 30 rows; it fires when two rows
    in a row are below minus half of that constant, or when the constant is itself negative while the KL is positive.
    When it is wrong: a framework that logs the coefficient with its sign turned.
    Source: sign identity (verl KL loss was maximised, Unakar/Logic-RL#58); the 2 % and 30 rows measured on
    faultbench.
    """
    name, value = f.metric, f[f.metric]
    if name == "kl_coef":
        return Signal(value=value, limit=0.0, message=f"the KL coefficient is {value:.3g}") if value < 0 else None
    usual, spread, before = f.early(name, 0, 30), f.spread(name, 0, 30), f.previous(name)
    turned = max(value, before) < -0.5 * abs(usual) and f["kl"] > 0
    if turned and spread <= 0.02 * abs(usual) and not f.stated("kl_coef"):
        message = f"loss and policy loss imply a KL coefficient of {value:.3g}: the KL is being maximised"
        return Signal(value=value, limit=0.0, message=message)
    return None


@rule(
    "KL009",
    "kl-out-of-target-range",
    severity="warn",
    tier=3,
    needs=("kl",),
    rows=3,
    algorithms=LLM_POLICY,
    unless=lacks("kl_target"),
    causes=(
        "the coefficient cannot keep up or is fixed",
        "target and KL are in different units (per token, per sequence)",
    ),
    fixes=("raise {kl_coef}", "lower {lr}", "state {kl_target} in the unit of the logged KL"),
)
def kl_out_of_range(f: Frame) -> Signal | None:
    """Fires when the KL has been above twice its target nearly all of the last 100 rows and is not coming back.

    Why it matters: the controller does not do its job; the policy drifts as if there were no target.
    How it is computed: over 100 rows fewer than a fifth lie between half and twice the target, the median is above
    twice the target, and the newest quarter is not below the oldest.
    When it is wrong: a target in another unit than the logged KL. A KL below its target is never a finding.
    Source: share in range below 0.2 over 100 steps, from the catalogue of controller faults; the factor 2: ours.
    """
    target = setting(f, "kl_target")
    if not target > 0:
        return None
    inside, level, gain = (
        f.share("kl", 100, above=0.5 * target, below=2 * target),
        f.median("kl", 100),
        f.gain("kl", 100),
    )
    if inside < 0.2 and level > 2 * target and gain >= 0:
        message = f"the KL is {level:.3g} against a target of {target:.3g} for 100 rows and not coming back"
        return Signal(value=level, limit=2 * target, message=message)
    return None


@rule(
    "KL013",
    "kl-coefficient-broken",
    severity="warn",
    tier=0,
    each=COEFFICIENT,
    algorithms=LLM_POLICY,
    cooldown=10**9,
    causes=(
        "the coefficient was overwritten (configuration reload, resume, a schedule meant for another parameter)",
        "the controller is no longer called, or hit a bound",
    ),
    fixes=(
        "set {kl_coef} back and check what writes it",
        "check that the controller gets KL in the unit of {kl_target}",
    ),
)
def coefficient_broken(f: Frame) -> Signal | None:
    """Fires when the KL coefficient leaves its own way: on and now exactly 0, constant and now another, jumping, stuck.

    Why it matters: the coefficient is all that ties the policy to its reference.
    How it is computed: exact conditions only, on the logged coefficient or on the one that the losses imply (see
    KL007). Off: exactly 0 on two rows after a value above a tenth of its largest. Moved: exactly constant over its
    first 20 rows (30 and 2 % for the implied one), now off by a factor of two. Jumped: a factor of three in one row,
    five times its two steps before. Stuck: it moved on nearly every row for 20 rows, then stood still for nine while
    the KL rose by a quarter or is 30 % off its target.
    When it is wrong: a stepwise schedule of the coefficient that is meant. The sliding ends of a decay to 0 are
    quiet.
    Source: measured on faultbench dev: healthy controllers move at most 2 % a row; published ones at most double a
    row (adaptive-KL rules known from the literature); no false alarm on 44 healthy runs.
    """
    name, value = f.metric, f[f.metric]
    same, left, longest, count = f.repeats(name), f.departed(name), f.longest_run(name), f.count(name)
    implied = name == "kl_coef_implied"
    rows = 30 if implied else 20
    usual, spread, largest = f.early(name, 0, rows), f.spread(name, 0, rows), f.highest(name, before=0)
    steps = [f.previous(name, lag) for lag in (1, 2, 3)]
    level, before, target = f.median("kl", 5), f.median("kl", 5, before=9), setting(f, "kl_target")
    if implied and (f.stated("kl_coef") or not spread <= 0.02 * abs(usual)):
        return None
    what = "implied KL coefficient" if implied else "KL coefficient"
    if value == 0.0 and same >= 2 and left > 0.1 * largest:
        return Signal(value=0.0, limit=left, message=f"the {what} went from {left:.3g} to exactly 0")
    slack = 0.02 * abs(usual) if implied else 0.0
    if spread <= slack and factor(value, usual) > 2 and factor(steps[0], usual) > 1.02:
        return Signal(
            value=value, limit=usual, message=f"the {what} was {usual:.3g} from the start and is now {value:.3g}"
        )
    last, usual_step = factor(value, steps[0]), max(factor(steps[0], steps[1]), factor(steps[1], steps[2]))
    if not implied and count >= 10 and last > 3 and math.log(last) > 5 * math.log(usual_step):
        return Signal(value=value, limit=steps[0], message=f"the {what} jumped from {steps[0]:.3g} to {value:.3g}")
    stuck = not implied and same >= 9 and longest <= 2 and count - same >= 20
    off_target = abs(level / target - 1) > 0.3 if target > 0 else level > 1.25 * before
    if stuck and off_target:
        message = f"the {what} used to move on every row and has stood at {value:.3g} for {same:.0f} while the KL moved"
        return Signal(value=value, message=message)
    return None
