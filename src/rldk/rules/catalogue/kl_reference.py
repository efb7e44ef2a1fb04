"""KL: what the level of the KL says about the reference: absent, wrong, or the same as the policy."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY, PREFERENCE
from rldk.rules.evidence import synced_reference
from rldk.rules.knobs import setting
from rldk.rules.rule import Frame, Signal, above, rule

MOVED = 0.02  # of the entropy; that of a policy that stands still varies by 0.3 % (OPT013)
ROUNDING = 1e-6  # nats, of a sum over a response
UNKNOWN_LIMIT = 1.0  # nats of who knows what
SUM_LIMIT = 0.3  # nats per response: six tokens at that limit; exact trainers log 1e-8 there
TOKEN_LIMIT = 0.05  # nats per token before the first update: fifty times the bf16 tolerance of 1e-3, see KL004
EXACT_ROWS = 5


def _coefficient(f: Frame) -> float:
    """The coefficient of this row, else that of the configuration; NaN when neither is known."""
    logged = f["kl_coef"]
    return logged if logged == logged else setting(f, "kl_coef")


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

    Why it matters: A penalty that is always 0 does not hold the policy, or else the policy does not move at all.
    How it is computed: The KL has been within 1e-6 of 0 (float32 rounding of a sum of equal log-probabilities) on every
    row, for at least 30 rows. The coefficient is above 0 in the log or in the configuration, or the KL part of the
    reward is not exactly 0. The learning rate is not 0. TRL logs a KL only where its coefficient is on, but builds on
    TRL (Unsloth) log a 0 where it is off. There the finding is information, once the entropy has moved by 2 %, or once
    20 rows are bitwise 0 while the learning rate is above 0. Logs that print a KL of 1e-6 as 0 are not judged.
    When it is wrong: A coefficient may be configured and not used. With beta = 0 a KL of 0 is a placeholder, and the
    rule is quiet.
    Source: An identity (TRL GRPO documentation on beta). 30 rows are our own choice, to allow for a warm-up from
    learning rate 0 and for rounding.
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
    fixes=("load {ref_model} from the same weights that training starts from", "turn off {dropout} in both"),
)
def kl_before_update(f: Frame) -> Signal | None:
    """Fires when the KL is far from 0 on step 0 or 1, before the policy can have moved.

    Why it matters: The penalty then pulls towards a model that training did not start from.
    How it is computed: The rule looks at the first row when its step is 0 or 1. A sum over sequences (or an unknown
    estimator) is divided by the mean response length where that is logged. It fires above 0.05 nats per token, above
    0.3 nats where only an undivided sum is known, and above 1 nat where nothing says what the number is. A first row of
    step 2 or 3 is a mean over several updates and counts from twice these limits.
    When it is wrong: A run that was resumed from a checkpoint may count from 1 again.
    Source: An identity with a bf16 tolerance of 1e-3 per token (trl#3194, trl#3031). Fifty times that is our own
    choice, as a row may average over the updates of its step.
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
    each=("kl", "reference_drift", "reference_shared_frac"),
    rows=3,
    algorithms=LLM_POLICY | PREFERENCE,
    unless=synced_reference,
    causes=(
        "the reference shares its weights with the policy since a reload or an adapter switch",
        "the reference was replaced by the current policy",
    ),
    fixes=("reload {ref_model} from disk and freeze it", "if the reference was reset on purpose, ignore this finding"),
)
def reference_follows(f: Frame) -> Signal | None:
    """Fires when the reference model changes, or is the policy itself.

    Why it matters: The penalty is gone and nothing holds the policy any more, while the log shows a reassuring 0.
    How it is computed: A hook in the trainer compares a fixed sample of the reference's weights with that of the start,
    bit by bit, and counts the tensors that the reference shares with the trained ones of the policy. Either is not 0 on
    three measured rows in a row. Without a hook there is a form for scalars: |KL| is below 1e-4 of the run's own
    earlier level (the larger of rows 5 to 25 and of its past), which was above 0.01, on three rows.
    When it is wrong: The reference may be reset on purpose without the configuration saying so.
    Source: Measured: no false alarm on 44 healthy runs (1e-4 of the median, three rows); trl#3194.
    """
    if f.metric == "reference_drift" and f["reference_drift"] > 0:
        message = (
            f"the weights of the reference have changed since the start, by {f['reference_drift']:.2g} of their size"
        )
        return Signal(value=f["reference_drift"], limit=0.0, message=message)
    if f.metric == "reference_shared_frac" and f["reference_shared_frac"] > 0:
        message = (
            f"{f['reference_shared_frac']:.0%} of the reference's tensors are trained tensors of the policy itself"
        )
        return Signal(value=f["reference_shared_frac"], limit=0.0, message=message)
    if f.metric != "kl":
        return None
    past, early = f.past("kl", before=3), f.early("kl")
    level = early if early > past else past
    if level > 0.01 and abs(f["kl"]) < 1e-4 * level:
        message = f"the KL fell from {level:.3g} to {f['kl']:.3g}: the reference now equals the policy"
        return Signal(value=f["kl"], limit=1e-4 * level, message=message)
    return None


@rule(
    "KL016",
    "policy-equals-its-reference",
    severity="critical",
    tier=0,
    needs=("pref_margin", "pref_reward_chosen"),
    algorithms=PREFERENCE,
    causes=(
        "the reference is the live model: shared weights, or synced after every step",
        "the optimiser does not change the policy (then entropy and accuracy stand still too)",
        "the adapter is disabled, or enabled, in both passes",
    ),
    fixes=(
        "load the reference as a model of its own: {ref_model}; turn off {sync_ref}",
        "compare a checksum of policy and reference after one step: they must differ",
    ),
)
def policy_equals_its_reference(f: Frame) -> Signal | None:
    """Fires when the implicit rewards stay exactly 0 although training goes on.

    Why it matters: Policy and reference are the same model, so nothing pulls towards the preferences or back to the
    start.
    How it is computed: This is KL003 for preference training. Margin and chosen reward are beta times a difference of
    log-probabilities that is 0 only while the policy is the reference. Both are bitwise 0 on five rows in a row, after
    the fifth row or after any other value, while the learning rate is not 0.
    When it is wrong: A log may be rounded to three decimals while beta is tiny, or a warm-up may be logged for many
    rows before its first step.
    Source: An identity of the DPO and KTO losses (trl#744 for the first row); five rows are our own choice. Small DPO
    trainings whose reference follows the policy from step 27 on were named at once, and none of 18 healthy ones.
    """
    margin, chosen = f.repeats("pref_margin"), f.repeats("pref_reward_chosen")
    count, lr = f.count("pref_margin"), f.ewma("lr", 1.0)
    same = min(margin, chosen)
    zero = f["pref_margin"] == 0.0 and f["pref_reward_chosen"] == 0.0
    if zero and same >= EXACT_ROWS and count >= 2 * EXACT_ROWS and lr != 0.0:
        message = f"margin and chosen reward are exactly 0 for {same:.0f} rows: the policy is its own reference"
        return Signal(value=0.0, message=message)
    return None
