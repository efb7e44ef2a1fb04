"""RM: rules on training a reward model on pairs."""

from __future__ import annotations

import math

from rldk.core.algorithms import REWARD_MODEL
from rldk.rules.rule import Frame, Signal, rule

LN2 = math.log(2.0)
NEAR = 0.01
ROWS = 40
MARGIN = 10.0


@rule(
    "RM001",
    "reward-model-not-learning",
    severity="warn",
    tier=2,
    needs=("loss", "pref_accuracy"),
    algorithms=REWARD_MODEL,
    rows=5,
    causes=(
        "chosen and rejected are shuffled, or cut off before they differ",
        "the score is read at the wrong token: padding instead of the last one",
        "the head does not train: a learning rate of nearly 0, a frozen layer, a loss scale that always skips",
        "the learning rate is so high that scores diverge",
    ),
    fixes=(
        "over-fit 32 pairs first: the loss must go to 0 and the accuracy to 1",
        "check where the score is taken, and that both answers fit the length limit",
        "raise {lr} (lower it when the loss is above 0.75), shorten {warmup}, check {dtype}",
    ),
)
def reward_model_not_learning(f: Frame) -> Signal | None:
    """Fires when the loss on pairs stays at ln 2 or above and the accuracy at one half.

    Why it matters: A policy trained on this reward is trained on noise.
    How it is computed: The rule looks at 40 rows, from the 60th on, but not in the first fifth of a run of known
    length. The median loss is above ln 2 - 0.01 (ln 2 is the loss of scores that are all equal), and the mean accuracy
    is not above one half by two of its standard errors over the rows.
    When it is wrong: A large run may log every one of its first steps, or nobody can tell the pairs apart.
    Source: ln 2 = 0.693 and 0.01, with an accuracy that is not significant (trlx#338, ColossalAI#3534, llava-rlhf#16,
    MA-RLHF#1: stuck near 0.65 to 0.693). Those ask for 2,000 pairs. The number of pairs in a row is seldom logged, so
    40 rows and their scatter stand for them. No alarm on the healthy fixture log.
    """
    loss, accuracy, error = f.median("loss", ROWS), f.mean("pref_accuracy", ROWS), f.std("pref_accuracy", ROWS)
    count, progress = f.count("loss"), f.progress()
    chance = accuracy <= 0.5 + 2 * error / math.sqrt(ROWS)
    if loss > LN2 - NEAR and chance and count >= 60 and not progress < 0.2:
        message = (
            f"over {ROWS} rows the loss is {loss:.3f} (ln 2 is 0.693) and {100 * accuracy:.0f} % of the pairs are right"
        )
        return Signal(value=loss, limit=LN2 - NEAR, message=message)
    return None


@rule(
    "RM003",
    "reward-scores-run-away",
    severity="warn",
    tier=1,
    needs=("pref_margin",),
    algorithms=REWARD_MODEL,
    rows=3,
    causes=(
        "the learning rate is far too high, or there are too many passes over the pairs",
        "scores have no centring or weight decay, so that only differences count and their size is free",
    ),
    fixes=("lower {lr}, train for one pass: {epochs}", "add {weight_decay}, or a penalty on the size of scores"),
)
def reward_scores_run_away(f: Frame) -> Signal | None:
    """Fires when the scores by which the reward model tells its pairs apart are far too certain.

    Why it matters: Such a model expects a share of exp(-10) wrong labels, but real preferences have one in four. A
    policy trained on such scores sees saturated rewards.
    How it is computed: This is a form for scalars of a calibration test: the median margin of 20 rows is above 10, on
    three rows in a row.
    When it is wrong: A large margin is right for pairs that differ without doubt, or for a loss with a margin of its
    own.
    Source: |margin| above 10 (F85 of the rule catalogue, which takes its 95th percentile). Measured on one small
    training with 250 times the usual rate: margins of 20 to 30; healthy ones end at 2 to 5.
    """
    margin = f.median("pref_margin", 20)
    if margin > MARGIN:
        return Signal(value=margin, limit=MARGIN, message=f"chosen answers score {margin:.3g} above rejected ones")
    return None
