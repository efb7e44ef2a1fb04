"""PREF: held-out pairs that are ranked the wrong way round, and margins that jump or stay too small."""

from __future__ import annotations

from rldk.core.algorithms import DPO, PREFERENCE, REFERENCE_FREE, REWARD_MODEL
from rldk.rules.rule import Frame, Signal, rule

LEAP, LARGE = 4.0, 2.0  # times the largest margin so far; nats, a margin that tells pairs apart
REVERSED = 0.45


@rule(
    "PREF007",
    "held-out-pairs-in-reverse",
    severity="warn",
    tier=3,
    needs=("eval_pref_margin",),
    phase="eval",
    algorithms=PREFERENCE | REFERENCE_FREE | REWARD_MODEL,
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

    Why it matters: The loss falls as it should, but towards the opposite of what is wanted.
    How it is computed: On two evaluations in a row, the mean margin of held-out pairs is below 0 and not above the
    evaluation before, and the accuracy, where it is logged, is below 0.45.
    When it is wrong: The evaluation set may hold only a few pairs, or be adversarial on purpose.
    Source: PREF003 on held-out pairs, where chance is one half and margin 0; three signals that a gain moves the other
    way; 0.45 is our own choice. Measured on small DPO and reward-model trainings with swapped labels.
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
        "beta has changed: a run was resumed with another configuration, or a schedule went wrong",
        "log-probabilities are summed where they were averaged over tokens",
        "the reference was replaced by another model",
    ),
    fixes=(
        "compare beta of the rows before and after: {dpo_beta}",
        "compare the reference's log-probabilities of one batch",
    ),
)
def margin_leaps(f: Frame) -> Signal | None:
    """Fires when the margin between chosen and rejected answers is suddenly four times its largest value before.

    Why it matters: From then on the loss is 0 and nothing more is learnt, whatever the accuracy says.
    How it is computed: On three rows in a row, the margin is above 2 nats and above four times its largest value before
    them. That value was above 0, over at least ten rows.
    When it is wrong: Rows may be logged hundreds of steps apart.
    Source: Our own choice: the margin is beta times a difference of log-probabilities, which one update moves little.
    In 18 healthy small DPO and KTO trainings, three rows raised the largest margin by half at most, once it was above
    0.5.
    """
    newest, largest = f.min("pref_margin", 3), f.highest("pref_margin", before=3)
    if f.count("pref_margin") >= 13 and largest > 0 and newest > max(LARGE, LEAP * largest):
        message = f"the margin went from at most {largest:.3g} to {newest:.3g} within three rows"
        return Signal(value=newest, limit=LEAP * largest, message=message)
    return None


@rule(
    "PREF009",
    "pairs-told-apart-without-margin",
    severity="warn",
    tier=3,
    needs=("pref_accuracy", "loss"),
    algorithms=DPO,
    causes=(
        "beta is so small that the policy may go far from the reference before the loss notices",
        "log-probabilities are averaged over tokens where the loss expects sums",
    ),
    fixes=("raise {dpo_beta} to 0.05 or more", "compare the logged margin with beta times the log-probabilities' gap"),
)
def told_apart_without_margin(f: Frame) -> Signal | None:
    """Fires when the model tells nearly all pairs apart but the loss still stands where it began.

    Why it matters: The loss asks for a margin that is never reached, so it drives the policy as far from the reference
    as the steps allow.
    How it is computed: Over twenty rows the median accuracy is at least 0.9 and the loss has not fallen below 0.68. The
    loss has never been above 0.7, so it began at ln 2 = 0.693, the sigmoid loss of two equal models.
    When it is wrong: In a long warm-up, the first few steps may tell pairs apart by almost nothing.
    Source: An accuracy of 0.9 at a margin below 0.03 (loss 0.68) belongs to a policy that has hardly moved in units of
    1 / beta. Measured on small DPO: 0 of 18 healthy runs, 2 of 2 with a hundredth of the usual beta.
    """
    accuracy, least = f.median("pref_accuracy", 20), f.min("loss", 20)
    most = f.highest("loss", before=0)
    if accuracy >= 0.9 and least > 0.68 and most < 0.7:
        message = f"{accuracy:.0%} of the pairs are told apart and the loss is still {least:.4f} (ln 2 = 0.6931)"
        return Signal(value=least, limit=0.68, metric="loss", message=message)
    return None


@rule(
    "PREF010",
    "margin-runs-off-at-once",
    severity="warn",
    tier=1,
    needs=("pref_margin",),
    algorithms=PREFERENCE,
    rows=3,
    causes=(
        "the learning rate is far too high",
        "beta is far too large: a small move is already a large margin",
        "log-probabilities are summed where they were averaged over tokens",
    ),
    fixes=("lower {lr} by 10x and add {warmup}", "lower {dpo_beta} to 0.5 or less"),
)
def margin_runs_off_at_once(f: Frame) -> Signal | None:
    """Fires when the margin is beyond 5 within the first rows of a run that began at 0.

    Why it matters: At a margin of 5, the gradient of a pair is below 1 % of what it was. A run that is there at once
    has learnt a shortcut or broken the model, and nothing after it matters.
    How it is computed: The margin was below 0.5 on the first row and is above 5 on three rows in a row, within the
    first 12 rows and the first 200 steps.
    When it is wrong: Pairs may be trivially different, with a beta that is large on purpose.
    Source: sigmoid(-5) = 0.7 %. Measured on small DPO and KTO: medians of rows 5 to 15 are at most 1.3 in 27 healthy
    runs, 9.8 to 47 with a learning rate or a beta a hundred times too large.
    """
    margin, first, count = f["pref_margin"], f.first("pref_margin"), f.count("pref_margin")
    if count <= 12 and f.step <= 200 and first < 0.5 and margin > 5.0:
        message = f"the margin is {margin:.3g} on row {count:.0f}; it began at {first:.2g}"
        return Signal(value=margin, limit=5.0, message=message)
    return None
