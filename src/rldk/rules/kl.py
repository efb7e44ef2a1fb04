"""Rules on the divergence from the reference policy and on its coefficient."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.knobs import keys_of, lacks, setting
from rldk.rules.rule import Context, Frame, Signal, above, rule
from rldk.rules.witness import lost_share, unsolved

MATERIAL = 1e-3  # nats, as in KL001
MOVED = 0.02  # of the entropy; that of a policy that stands still varies by 0.3 % (OPT013)
ROUNDING = 1e-6  # nats, of a sum over a response
AT_ONCE_TOKEN, AT_ONCE_SUM = 0.5, 5.0  # nats
UNKNOWN_LIMIT = 1.0  # nats of who knows what
SUM_LIMIT = 0.3  # nats per response: six tokens at that limit; exact trainers log 1e-8 there
TOKEN_LIMIT = 0.05  # nats per token before the first update: fifty times the bf16 tolerance of 1e-3, see KL004


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
    before, above all it was until 20 rows ago and above 0.001 nats; and either half of the reward gained is lost
    (critical), or entropy is below 70 % of rows 5 to 25 and the reward of the last 40 rows has not risen and stands
    below its best by more than a tenth of its range (warning). KL summed over sequences also warns above 10 nats once
    entropy is below half of its first value.
    When it is wrong: KL up, entropy down and reward up together are healthy learning and stay quiet.
    Source: faultbench dev, none of the healthy runs (10x, doubling in 20 to 40 rows, 70 %, half of the reward range);
    0 to 10 nats per sequence from an old TRL FAQ (trl PR#612); open-r1#373.
    """
    now, early, before = f.median("kl", 5), f.early("kl"), f.median("kl", 10, before=25)
    entropy, entropy_early, entropy_first = f.median("entropy", 5), f.early("entropy"), f.first("entropy")
    lost, gain, top = lost_share(f), f.gain("reward_mean", 40), f.highest("kl", before=20)
    low = unsolved(f)
    ran = now > 10 * early > 0 and now > 2 * before and now > top and now > MATERIAL
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
    calm=above(ROUNDING),
    algorithms=LLM_POLICY,
    causes=(
        "the reference is the live model itself",
        "the weights do not move",
        "reference log-probs are taken from the policy",
    ),
    fixes=("make {ref_model} a frozen copy", "check that the weights change after an optimizer step"),
)
def kl_pinned(f: Frame) -> Signal | None:
    """Fires when the KL has been 0 on each of the first 30 rows or more although its coefficient is on.

    Why it matters: a penalty that is always 0 does not hold the policy; or the policy does not move at all.
    How it is computed: within 1e-6 of 0 (float32 rounding of a sum of equal log-probabilities) since the first row, 30
    rows at least; a coefficient above 0 in the log or in the configuration, or a KL part of the reward that is not
    exactly 0; learning rate not 0. TRL logs a KL only where its coefficient is on, but builds on TRL (Unsloth) log a 0
    where it is off: there it is information that the entropy has moved by 2 %, or that 20 rows are bitwise 0 while the
    learning rate is above 0. Logs that print a KL of 1e-6 as 0 are not judged.
    When it is wrong: a coefficient that is configured and not used. With beta = 0 a KL of 0 is a placeholder and the
    rule is quiet.
    Source: identity (TRL GRPO documentation on beta); 30 rows: ours, for warm-up from learning rate 0 and rounding.
    """
    highest, lowest, count = f.highest("kl", before=0), f.lowest("kl", before=0), f.count("kl")
    coefficient = _coefficient(f)
    paid = f.highest("reward_kl_penalty", before=0) > 0 or f.lowest("reward_kl_penalty", before=0) < 0
    still = -ROUNDING < lowest <= highest < ROUNDING
    most, least = f.highest("entropy", before=0), f.lowest("entropy", before=0)
    shown = f.framework() == "trl" and coefficient != coefficient and most - least > MOVED * abs(most)
    same, lr = f.repeats("kl"), f["lr"]
    exact = f.framework() == "trl" and lr > 0.0 and same == count >= 20
    printed = f.rounded("kl")
    if not still or lr == 0.0 or printed > ROUNDING:
        return None
    if count >= 30 and (coefficient > 0 or paid):
        return Signal(value=0.0, message=f"the KL has been 0 on all {count:.0f} rows although its coefficient is on")
    if (count >= 30 and shown) or exact:
        either = "either its coefficient is 0, or the reference is the policy itself"
        message = f"the KL has been 0 on all {count:.0f} rows: {either}"
        return Signal(value=0.0, message=message, severity="info")
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
    divided by the mean response length where that is logged. More than 0.05 nats per token fires, 0.3 nats where only
    an undivided sum is known, 1 nat where it is not known what the number is. A first row of step 2 or 3, a mean over
    several updates, counts from twice that.
    When it is wrong: a run that was resumed from a checkpoint but counts from 1 again.
    Source: identity with a bf16 tolerance of 1e-3 per token (trl#3194, trl#3031); fifty times that, as a row may
    average over the updates of its step: ours.
    """
    count, length = f.count("kl"), f["response_length_mean"]
    tokens = "tok_mean" in f.estimator("kl")
    divide = not tokens and length >= 1
    value = abs(f["kl"]) / length if divide else abs(f["kl"])
    summed = "seq_sum" in f.estimator("kl")
    limit = TOKEN_LIMIT if tokens or divide else SUM_LIMIT if summed else UNKNOWN_LIMIT
    limit *= 1 if f.step <= 1 else 2
    if count == 1 and f.step <= 3 and value > limit:
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
    "KL017",
    "kl-runs-off-at-once",
    severity="warn",
    tier=1,
    needs=("kl",),
    algorithms=LLM_POLICY,
    unless=synced_reference,
    causes=("the learning rate is ten or a hundred times too high", "the KL term has the wrong sign"),
    fixes=("lower {lr} by 10x", "check {kl_coef} and the sign of the KL term"),
)
def kl_at_once(f: Frame) -> Signal | None:
    """Fires when the policy is already far from its reference on the first five rows.

    Why it matters: a policy that needs a handful of updates to become another model was not tuned but replaced.
    How it is computed: the median KL of the first five rows is above 0.5 nats per token where it is known to
    be a mean over tokens, else above 5 nats.
    When it is wrong: a resumed run that counts from its restart, a reference that is another model by design.
    Source: a whole tuned run ends at 0.1 nats per token or 10 per response (trl PR#612 wanted 0 to 10); ours: half of
    that sum, five times that mean, at once. Healthy small trainings with bold rates were at most at 0.13 and 0.75.
    """
    early, tokens = f.early("kl", 0, 5), "tok_mean" in f.estimator("kl")
    limit = AT_ONCE_TOKEN if tokens else AT_ONCE_SUM
    if f.count("kl") == 5 and early > limit:
        return Signal(value=early, limit=limit, message=f"the KL is {early:.3g} on the first five rows")
    return None
