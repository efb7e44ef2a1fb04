"""DATA: labels that are wrong, one-sided or in conflict, and rewards that are no numbers."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import ScoresView, interval, judged

NOISY, VERY_NOISY = 0.05, 0.25
RARE = 0.1


@rule(
    "DATA050",
    "labels-look-flipped",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("noise",),
    causes=("chosen and rejected were swapped in a part of the data", "annotators guessed, or a script mixed rows up"),
    fixes=("read the pairs with the most negative margins: wrong labels are among them", "train with label smoothing"),
)
def labels_look_flipped(s: ScoresView) -> Signal | None:
    """Fires when a share of the labels goes against the score however clear the pair is.

    Why it matters: Wrong labels cap the accuracy and teach the reward model to be unsure.
    How it is computed: A model of the labels in which a share e is flipped at random and the rest follows the margin
    (a lapse rate). The lower end of the 95 % profile interval of e is above 5 %; the check fails above 25 %.
    When it is wrong: A reward model that is sure and wrong looks the same, such as one that follows a shortcut: see the
    checks on shortcuts first. Scores of the pairs that the model was trained on hide flipped labels.
    Source: lapse rates of psychometric functions (Wichmann and Hill 2001); 5 % is our own choice.
    """
    e = s.noise
    if e is None or not e.low > NOISY:
        return None
    message = f"about {100 * e.value:.0f} % of the labels ({interval(e, percent=True)}) look flipped at random"
    return judged(e.value, NOISY, message, metric="label", status="fail" if e.low > VERY_NOISY else "warn")


@rule(
    "DATA051",
    "labels-one-sided",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("balance",),
    causes=("answers of one kind were collected only", "the label column means something else"),
    fixes=("weigh the rarer label, or collect more of it", "report balanced accuracy instead of accuracy"),
)
def labels_one_sided(s: ScoresView) -> Signal | None:
    """Fires when one of two labels is rare.

    Why it matters: A model that always says the frequent label looks accurate.
    How it is computed: The share of the rarer label; the upper end of its 95 % interval is below 10 %. The check fails
    below 1 %.
    When it is wrong: Some things are rare.
    Source: 10 % is our own choice.
    """
    b = s.balance
    if b is None or not b.high < RARE:
        return None
    message = f"only {100 * b.value:.1f} % of {b.n:,} labels are the rarer one ({interval(b, percent=True)})"
    return judged(b.value, RARE, message, metric="label", status="fail" if b.high < 0.01 else "warn")


@rule(
    "DATA052",
    "rewards-not-numbers",
    severity="warn",
    tier=0,
    data="P",
    subject="scores",
    needs=("missing",),
    causes=("the reward function raised, timed out, or found no answer", "a division by zero or a log of zero"),
    fixes=("give a defined score where there is none, and count how often", "look at the rows: {reward_fn}"),
)
def rewards_not_numbers(s: ScoresView) -> Signal | None:
    """Fires when rewards are missing, NaN or infinite.

    Why it matters: One NaN in a group makes all its advantages NaN.
    How it is computed: Any reward that is no finite number. The check fails above 1 % of the rows.
    When it is wrong: A table may hold rows of other kinds.
    Source: an identity; 1 % is our own choice.
    """
    m = s.missing
    if m is None or not m.value > 0:
        return None
    count = round(m.value * m.n)
    message = f"{count:,} of {m.n:,} rewards are missing or no finite numbers"
    return judged(m.value, 0.0, message, metric="reward", status="fail" if m.value > 0.01 else "warn")


@rule(
    "DATA053",
    "pairs-contradict-each-other",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("contradictions",),
    causes=("two annotators disagreed, and both votes were kept", "a script swapped the columns of a part"),
    fixes=("keep one row a pair, by majority", "leave out pairs without a majority"),
)
def pairs_contradict(s: ScoresView) -> Signal | None:
    """Fires when the same two answers stand in the data with either one as the better.

    Why it matters: Such rows cancel out, and cap the accuracy that any model can reach.
    How it is computed: The share of pairs that also stand there the other way round, by a hash of both texts. It is
    above 1 %; the check fails above 10 %.
    When it is wrong: Votes of several annotators may be kept on purpose.
    Source: our own choice.
    """
    c = s.contradictions
    if c is None or not c.value > 0.01:
        return None
    message = f"{100 * c.value:.1f} % of {c.n:,} pairs also stand in the data the other way round"
    return judged(c.value, 0.01, message, metric="label", status="fail" if c.value > 0.1 else "warn")
