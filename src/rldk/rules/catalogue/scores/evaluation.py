"""EVAL: validation data that training has seen, or that is of another kind."""

from __future__ import annotations

from rldk.rules.catalogue.scores.reward_drift import moved, shift_words
from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import ScoresView, interval, judged

SOME, MANY = 0.001, 0.01  # of the validation rows
GAP = 0.05
SHIFT, LARGE = 0.25, 0.5


@rule(
    "EVAL006",
    "validation-rows-in-training",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("overlap",),
    causes=("the split was made after rows were repeated or reworded", "the split was made by rows, not by prompts"),
    fixes=("split by prompt, after removing duplicates", "leave the rows out of the validation data and measure again"),
)
def validation_in_training(s: ScoresView) -> Signal | None:
    """Fires when rows of the validation data also stand in the training data.

    Why it matters: The accuracy on them measures memory.
    How it is computed: The share of validation rows whose text (prompt and answers, case and spaces ignored) is a
    training row's, or nearly so: an estimated Jaccard similarity of word 5-grams of 0.7 or more. It is above 0.1 %; the
    check fails above 1 %.
    When it is wrong: Short answers such as "yes" are alike by chance.
    Source: the limits are our own choice; exact and near duplicates as in Lee et al. 2021 (arXiv 2107.06499).
    """
    o = s.overlap
    if o is None or not o.value > SOME:
        return None
    message = f"{100 * o.value:.1f} % of {o.n:,} validation rows ({interval(o, percent=True)}) also stand in training"
    return judged(o.value, SOME, message, metric="overlap", status="fail" if o.value > MANY else "warn")


@rule(
    "EVAL007",
    "reward-model-remembers-its-training",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("memorised",),
    causes=("too many passes over the pairs", "labels leak into the input of the training rows"),
    fixes=("stop earlier: {epochs}", "check what the input of the training rows holds"),
)
def remembers_training(s: ScoresView) -> Signal | None:
    """Fires when the reward model is far more often right on its training rows than on validation rows.

    Why it matters: It knows the labels, not the answers; scores of new answers are worth less than they look.
    How it is computed: Accuracy on training pairs minus that on validation pairs. The lower end of the 95 % interval is
    above 5 points. The check fails when the difference is above the threshold of leakage (0.3).
    When it is wrong: Validation pairs may be harder.
    Source: 5 points are our own choice.
    """
    g = s.memorised
    if g is None or not g.low > GAP:
        return None
    message = (
        f"the reward model is right on {100 * g.value:.0f} points more of its training pairs than of validation pairs "
        f"({interval(g, percent=True)})"
    )
    return judged(g.value, GAP, message, metric="accuracy", status="fail" if g.value > s.limits.leakage else "warn")


@rule(
    "EVAL008",
    "validation-rewards-differ",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("shift",),
    causes=("another source of prompts or answers", "the reward model is surer on rows that it was trained on"),
    fixes=("compare lengths and sources of both", "draw the validation data from the same source"),
)
def validation_differs(s: ScoresView) -> Signal | None:
    """Fires when rewards of the validation rows are distributed differently from those of the training rows.

    Why it matters: What holds for one need not hold for the other.
    How it is computed: The Wasserstein distance in standard deviations of the training rows is 0.25 or more, and a
    permutation of whole prompts gives p below 0.01. The check fails from 0.5 on.
    When it is wrong: A harder validation set may be meant.
    Source: as RM027; the limits are larger because the two sets are never the same.
    """
    d = s.shift
    if d is None or not moved(d, SHIFT):
        return None
    message = f"validation rewards lie {shift_words(d)} from training rewards"
    status = "fail" if d.distance >= LARGE else "warn"
    return judged(d.distance, SHIFT, message, metric="reward", status=status)  # type: ignore[arg-type]  # one of two words
