"""PREF: preference optimisation (DPO, KTO) and the pairs it learns from."""

from __future__ import annotations

import math

from rldk.core.algorithms import DPO, KTO, REWARD_MODEL
from rldk.rules.knobs import number
from rldk.rules.rule import Context, Frame, Signal, rule

LN2 = math.log(2.0)
START = 0.02
ROOT_30 = math.sqrt(30.0)
CERTAIN_START = 0.1
REFERENCE_FREE = 0.03
OTHER = {"pref_reward_chosen": "pref_reward_rejected", "pref_reward_rejected": "pref_reward_chosen"}
KIND = {"pref_reward_chosen": "desirable", "pref_reward_rejected": "undesirable"}


@rule(
    "PREF001",
    "policy-is-not-the-reference-at-start",
    severity="critical",
    tier=0,
    needs=("pref_margin", "pref_reward_chosen"),
    algorithms=DPO | KTO,
    causes=(
        "the reference is another model than the policy starts from (an adapter disabled instead of copied)",
        "dropout is on while log-probabilities are computed",
        "reference log-probabilities were precomputed with another template, truncation or precision",
    ),
    fixes=(
        "load the reference from the very checkpoint the policy starts from: {ref_model}",
        "switch off {dropout} in policy and reference",
    ),
)
def policy_is_not_the_reference_at_start(f: Frame) -> Signal | None:
    """Fires when, before any update, the implicit rewards are not zero.

    Why it matters: DPO measures every preference against the reference. If the reference is not the starting point, DPO
    optimises away a difference that nobody meant.
    How it is computed: On the first row, at step 0 or 1, the chosen reward or the margin is beyond 0.02. Both are beta
    times a difference of log-probabilities that must be 0, so that the loss is ln 2. It is critical beyond 0.1 and a
    warning below that, as half precision or precomputed reference values may make the difference. A log whose first row
    is an average over several steps is not judged.
    When it is wrong: The reference may differ on purpose (an older policy). Losses without a reference (ORPO, CPO,
    SimPO) log the same names. The rule recognises them because their reward is beta times the log-probability itself,
    which is more than 3 % of it.
    Source: An identity of the loss; 0.02: trl#744. The bounds 0.1 and 3 % are our own choice.
    """
    margin, chosen, logp, seen = f["pref_margin"], f["pref_reward_chosen"], f["logp_chosen"], f.count("pref_margin")
    size = max(abs(margin), abs(chosen))
    if seen != 1 or f.step > 1 or not size > START or abs(chosen) > REFERENCE_FREE * abs(logp):
        return None
    return Signal(
        value=margin if abs(margin) >= abs(chosen) else chosen,
        limit=START,
        metric="pref_margin" if abs(margin) >= abs(chosen) else "pref_reward_chosen",
        message=f"before any update the chosen reward is {chosen:.3g} and the margin {margin:.3g}; both must be 0",
        severity=None if size > CERTAIN_START else "warn",
    )


@rule(
    "PREF002",
    "chosen-falls-and-model-degrades",
    severity="warn",
    tier=3,
    needs=("logp_chosen",),
    algorithms=DPO,
    rows=3,
    causes=(
        "the learning rate is far too high for this loss",
        "the loss is satisfied by pushing the rejected answer down, and the chosen one goes with it",
        "beta is so small that nothing holds the policy near the reference",
    ),
    fixes=(
        "lower {lr} by 10x, add {warmup}, and clip gradients: {max_grad_norm}",
        "raise {dpo_beta}, or add a likelihood term on the chosen answers: {loss_type}",
    ),
)
def chosen_falls_and_model_degrades(f: Frame) -> Signal | None:
    """Fires when the chosen answers become far less likely and the model degrades at the same time.

    Why it matters: A falling log-probability of the chosen answers is usual in DPO. Together with a lost spread or a
    lost next-token accuracy, it means that the model no longer writes anything sensible.
    How it is computed: On three rows in a row, the chosen log-probability is three times as negative as on the first
    row **and** either entropy or token accuracy is below half of its first value (accuracy only where that was above
    0.1).
    When it is wrong: The first batch of the run may have been very short.
    Source: The joint condition follows eric-mitchell/direct-preference-optimization#8 and #32 (a fall alone is no
    failure); the factors are our own choice, loose enough for the 30 % falls that healthy runs show.
    """
    logp, first = f["logp_chosen"], f.first("logp_chosen")
    entropy, entropy_first = f["entropy"], f.first("entropy")
    accuracy, accuracy_first = f["token_accuracy"], f.first("token_accuracy")
    if not (first < 0 and logp < 3 * first):
        return None
    if entropy < 0.5 * entropy_first:
        witness = f"entropy from {entropy_first:.3g} to {entropy:.3g}"
    elif accuracy_first > 0.1 and accuracy < 0.5 * accuracy_first:
        witness = f"token accuracy from {accuracy_first:.3g} to {accuracy:.3g}"
    else:
        return None
    return Signal(
        value=logp,
        limit=3 * first,
        message=f"the log-probability of chosen answers fell from {first:.4g} to {logp:.4g}, and {witness}",
    )


@rule(
    "PREF003",
    "preferences-not-learnt",
    severity="warn",
    tier=2,
    needs=("pref_margin", "loss"),
    algorithms=DPO | KTO,
    rows=5,
    causes=(
        "chosen and rejected are shuffled or mostly noise",
        "the policy does not move: a learning rate of nearly 0, a frozen adapter, every token masked",
        "the sign of the loss or of the margin is turned (then the margin falls and the loss rises)",
    ),
    fixes=(
        "read twenty pairs as they are tokenised: which one is `chosen`?",
        "raise {lr}, shorten {warmup}, and check that the weights change after a step",
        "compare the loss of one batch before and after a step on that batch: it must fall",
    ),
)
def preferences_not_learnt(f: Frame) -> Signal | None:
    """Fires when neither margin nor accuracy is above chance late in the run, or when both fall below it.

    Why it matters: What comes out is the reference model with noise added, or a model that prefers the wrong answers.
    How it is computed: The rule looks at the last 30 rows: from the 40th row on after a fifth of a run of known length,
    from the 60th row on in a run of unknown length. Not learnt: the mean margin is not above 0, and the mean accuracy
    (where it is logged) is not above one half, by twice their standard error over the rows, and the mean loss has not
    fallen below the first loss by 2 %. Reversed: the mean margin is below 0 by four standard errors, the accuracy is
    below one half by four, and the loss is above its first value.
    When it is wrong: The learning rate may be very small on purpose. Pairs may be sampled near a tie, where the
    accuracy is at chance by construction (but the margin is not).
    Source: A test of accuracy against one half after 500 pairs (F81 of the rule catalogue). The number of pairs in a
    row is seldom logged, so the scatter of the rows stands for it. Margin and loss as further witnesses, 2 % and four
    standard errors are our own choice. No alarm on the healthy DPO and KTO fixture logs.
    """
    margin, accuracy, loss = f.mean("pref_margin", 30), f.mean("pref_accuracy", 30), f.mean("loss", 30)
    margin_error, error = f.std("pref_margin", 30) / ROOT_30, f.std("pref_accuracy", 30) / ROOT_30
    start, count, progress, above = f.first("loss"), f.count("pref_margin"), f.progress(), accuracy - 0.5
    if not count >= (40 if progress >= 0.2 else 60) or progress < 0.2 or math.isnan(margin):
        return None
    if margin < -4 * margin_error and not above >= -4 * error and loss > start:
        message = f"the margin is {margin:.3g} on average of 30 rows, and the loss rose from {start:.3g} to {loss:.3g}"
        return Signal(value=margin, limit=0.0, message=message + ": preferences are learnt the wrong way round")
    if margin <= 2 * margin_error and not above > 2 * error and loss > 0.98 * start:
        right = "" if math.isnan(above) else f", {100 * accuracy:.0f} % of the pairs right"
        message = f"over 30 rows nothing tells chosen from rejected: margin {margin:.2g}{right}, loss {loss:.3g}"
        return Signal(value=margin, limit=2 * margin_error, message=message)
    return None


@rule(
    "PREF004",
    "pairs-told-apart-too-soon",
    severity="warn",
    tier=1,
    needs=("pref_accuracy", "epoch"),
    algorithms=DPO | REWARD_MODEL,
    causes=(
        "chosen and rejected differ by a surface cue: length, a marker, the template, an end token",
        "training pairs leak into each other or are duplicated",
    ),
    fixes=(
        "score the pairs by length alone: if that is nearly as accurate, balance the data",
        "read twenty pairs as they are tokenised",
    ),
)
def pairs_told_apart_too_soon(f: Frame) -> Signal | None:
    """Fires when the accuracy on pairs is above 98 % before a twentieth of the data has been seen.

    Why it matters: Human preferences are not that easy. What is learnt so fast is a shortcut.
    How it is computed: The mean accuracy of 10 rows is above 0.98 while the epoch counter is at most 0.05.
    When it is wrong: Synthetic pairs may be easy on purpose.
    Source: 0.98 within 5 % of an epoch is our own choice (there is no published limit); the shortcut:
    allenai/reward-bench#267, #268.
    """
    accuracy = f.mean("pref_accuracy", 10)
    if accuracy > 0.98 and f["epoch"] <= 0.05:
        return Signal(
            value=accuracy,
            limit=0.98,
            message=f"pairs are told apart with {100 * accuracy:.1f} % accuracy after {f['epoch']:.3f} epochs",
        )
    return None


def _weighted(context: Context) -> str | None:
    desirable, undesirable = (number(context.config.get(f"{kind}_weight")) for kind in ("desirable", "undesirable"))
    return "the run weights the two kinds differently on purpose" if abs(desirable - undesirable) > 0 else None


@rule(
    "PREF005",
    "one-kind-of-example-is-rare",
    severity="warn",
    tier=0,
    each=tuple(OTHER),
    algorithms=KTO,
    unless=_weighted,
    causes=("the data holds far more examples of one kind", "a filter or a label bug drops the other kind"),
    fixes=("balance the data, or weight the rarer kind: {kto_weights}",),
)
def one_kind_of_example_is_rare(f: Frame) -> Signal | None:
    """Fires when half of the batches or more hold no example of one kind (desirable or undesirable).

    Why it matters: KTO needs both kinds. When one of them is rare, the loss is nearly one-sided and its reference point
    is estimated from too few samples.
    How it is computed: Over at least 50 rows that have the reward of one kind, the reward of the other kind is missing
    on more than half of all rows, although this kind is on more than 90 %. With two or more examples a batch, that
    means less than 3 in 10 of the rare kind. The rule does not apply where the two weights differ in the configuration.
    When it is wrong: With batches of a single example, one kind must be missing; those batches do not reach 90 %.
    Source: trl#1447; the KTO paper's weighting rule, known from the literature; the shares are our own choice
    (binomial).
    """
    name, other = f.metric, OTHER[f.metric]
    n, own, rare = f.count(name), f.coverage(name), f.coverage(other)
    if not (n >= 50 and own > 0.9) or rare >= 0.5:
        return None
    share = rare if rare == rare else 0.0
    return Signal(
        value=share,
        limit=0.5,
        metric=other,
        message=f"only {100 * share:.0f} % of the batches hold a {KIND[other]} example",
    )


@rule(
    "PREF006",
    "margin-grows-without-held-out-gain",
    severity="warn",
    tier=3,
    needs=("eval_pref_margin", "eval_loss", "eval_pref_accuracy"),
    phase="eval",
    algorithms=DPO,
    rows=2,
    causes=("the run goes on after it has learnt what the pairs can teach", "beta is too small for this data"),
    fixes=("stop at the best held-out loss", "raise {dpo_beta}, lower {lr}, or train for fewer {epochs}"),
)
def margin_grows_without_held_out_gain(f: Frame) -> Signal | None:
    """Fires when the held-out margin reaches new heights while held-out loss and accuracy are worse than they were.

    Why it matters: The model becomes more certain of what it already knows, and more wrong where it is wrong.
    How it is computed: On two evaluations in a row, the margin is above its best so far, the loss is 10 % and 0.02
    above its best, and the accuracy is below its best.
    When it is wrong: An evaluation set may be so small that one pair moves the accuracy.
    Source: Our own choice: three held-out signals that a gain would move the other way.
    """
    margin, loss, accuracy = f["eval_pref_margin"], f["eval_loss"], f["eval_pref_accuracy"]
    margin_best = f.highest("eval_pref_margin")
    loss_best, accuracy_best = f.lowest("eval_loss"), f.highest("eval_pref_accuracy")
    if margin > margin_best and loss > 1.1 * loss_best and loss > loss_best + 0.02 and accuracy < accuracy_best:
        return Signal(
            value=margin,
            limit=margin_best,
            message=f"the held-out margin grew to {margin:.3g} while the loss rose from {loss_best:.3g} to {loss:.3g}",
        )
    return None
