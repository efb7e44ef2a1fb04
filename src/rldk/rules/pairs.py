"""Pairs of answers: a reference that is the policy itself, and held-out pairs that are ranked the wrong way round."""

from __future__ import annotations

from rldk.core.algorithms import PREFERENCE, REWARD_MODEL
from rldk.rules.rule import Frame, Signal, rule

EXACT_ROWS = 5
LEAP, LARGE = 4.0, 2.0  # times the largest margin so far; nats, a margin that tells pairs apart
REVERSED = 0.45


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

    Why it matters: policy and reference are the same model; nothing pulls towards the preferences or back to the start.
    How it is computed: KL003 for preference training. Margin and chosen reward are beta times a difference of
    log-probabilities that is 0 only while the policy is the reference: bitwise 0 on five rows running, after the fifth
    row, or after any other value, while the learning rate is not 0.
    When it is wrong: a log rounded to three decimals with a tiny beta; a warm-up logged for many rows before its first
    step.
    Source: an identity of the DPO and KTO losses (trl#744 for the first row); five rows: ours. Measured on small DPO
    trainings whose reference follows the policy from step 27 on: named at once; none of 18 healthy ones.
    """
    margin, chosen = f.repeats("pref_margin"), f.repeats("pref_reward_chosen")
    count, lr = f.count("pref_margin"), f.ewma("lr", 1.0)
    same = min(margin, chosen)
    zero = f["pref_margin"] == 0.0 and f["pref_reward_chosen"] == 0.0
    if zero and same >= EXACT_ROWS and count >= 2 * EXACT_ROWS and lr != 0.0:
        message = f"margin and chosen reward are exactly 0 for {same:.0f} rows: the policy is its own reference"
        return Signal(value=0.0, message=message)
    return None


@rule(
    "PREF007",
    "held-out-pairs-in-reverse",
    severity="warn",
    tier=3,
    needs=("eval_pref_margin",),
    phase="eval",
    algorithms=PREFERENCE | REWARD_MODEL,
    rows=2,
    causes=(
        "chosen and rejected are swapped in the training data, or in the evaluation data",
        "the model learns a cue that is turned round in the held-out pairs (length, order, template)",
    ),
    fixes=(
        "read ten training and ten held-out pairs: which one is `chosen`?",
        "compare lengths of chosen and rejected in both sets",
    ),
)
def held_out_pairs_in_reverse(f: Frame) -> Signal | None:
    """Fires when training makes the model prefer the rejected answers of held-out pairs, more with every evaluation.

    Why it matters: the loss falls as it should, towards the opposite of what is wanted.
    How it is computed: on two evaluations running the mean margin of held-out pairs is below 0, not above the
    evaluation before, and the accuracy, where it is logged, is below 0.45.
    When it is wrong: an evaluation set of a few pairs; one that is adversarial on purpose.
    Source: PREF003 on held-out pairs, where chance is one half and margin 0; three signals that a gain moves the other
    way; 0.45: ours. Measured on small DPO and reward-model trainings with swapped labels.
    """
    name = "eval_pref_margin"
    margin, before, accuracy = f[name], f.previous(name), f["eval_pref_accuracy"]
    if margin < 0 and not margin > before and not accuracy >= REVERSED:
        right = f" and {100 * accuracy:.0f} % of them are right" if accuracy == accuracy else ""
        return Signal(value=margin, limit=0.0, message=f"the margin of held-out pairs fell to {margin:.3g}{right}")
    return None


@rule(
    "PREF008",
    "margin-leaps",
    severity="warn",
    tier=2,
    needs=("pref_margin",),
    algorithms=PREFERENCE,
    causes=(
        "beta is another one than before: a resumed run with another configuration, a schedule gone wrong",
        "log-probabilities are summed where they were averaged over tokens",
        "the reference was replaced by another model",
    ),
    fixes=(
        "compare beta of the rows before and after: {dpo_beta}",
        "compare the reference's log-probabilities of one batch",
    ),
)
def margin_leaps(f: Frame) -> Signal | None:
    """Fires when the margin between chosen and rejected answers is at once four times what it ever was.

    Why it matters: the loss is 0 from then on, and nothing more is learnt, whatever the accuracy says.
    How it is computed: on three rows running the margin is above 2 nats and above four times its largest value before
    them, which was above 0 and of at least ten rows.
    When it is wrong: rows logged hundreds of steps apart.
    Source: ours: the margin is beta times a difference of log-probabilities, which one update moves little; in 18
    healthy small DPO and KTO trainings three rows raised the largest margin by half at most, once it was above 0.5.
    """
    newest, largest = f.min("pref_margin", 3), f.highest("pref_margin", before=3)
    if f.count("pref_margin") >= 13 and largest > 0 and newest > max(LARGE, LEAP * largest):
        message = f"the margin went from at most {largest:.3g} to {newest:.3g} within three rows"
        return Signal(value=newest, limit=LEAP * largest, message=message)
    return None
