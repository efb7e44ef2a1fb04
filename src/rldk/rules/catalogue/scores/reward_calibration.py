"""RM: scores that do not say how likely an answer is to be preferred."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import ScoresView, interval, judged

SURE = 0.8  # slope, or its inverse, from which the size of scores misleads


@rule(
    "RM023",
    "reward-scores-miscalibrated",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("calibration",),
    causes=(
        "scores were scaled after training, or come from a loss that leaves their size free",
        "too certain (slope below 1): the reward model is over-trained, or a share of the labels is wrong",
        "not certain enough (slope above 1): it is under-trained, or a penalty keeps its scores small",
    ),
    fixes=(
        "divide the scores by the fitted temperature, 1 / slope",
        "where they are too certain, train for fewer passes, or with label smoothing",
    ),
)
def scores_miscalibrated(s: ScoresView) -> Signal | None:
    """Fires when the scores, taken as log-odds, are wrong about how often an answer is preferred.

    Why it matters: A margin of 10 and one of 1 then say the same, and everything that uses the size of scores (KL
    trade-off, best-of-n, thresholds) is off.
    How it is computed: The expected calibration error over ten bins of equal mass is above the 95 % quantile of the
    error that perfect scores have by chance, and the interval of the logistic slope lies below 0.8 or above 1.25. The
    check warns then, and fails when 1 - 2 * error is below the threshold (0.7).
    When it is wrong: Rewards that were never meant as log-odds have a scale of their own; only the fitted slope is then
    of use.
    Source: Guo et al. 2017 (arXiv 1706.04599); the comparison with chance is needed because the error of perfect scores
    is 0.073 for 200 cases (simulated). 0.8 is our own choice: a model trained on a few thousand pairs is a little too
    certain, by a slope of about 0.9.
    """
    c = s.calibration
    if c is None or not c.error > c.by_chance or not (c.slope.high < SURE or c.slope.low > 1 / SURE):
        return None
    word = "too certain" if c.slope.value < 1 else "not certain enough"
    message = (
        f"the scores are {word}: the mean error of their probabilities is {c.error:.3f} (chance: {c.by_chance:.3f}), "
        f"and the logistic slope {c.slope.value:.2f} ({interval(c.slope)}) instead of 1"
    )
    fails = c.score < s.limits.calibration
    return judged(c.score, s.limits.calibration, message, metric="calibration", status="fail" if fails else "warn")


@rule(
    "RM024",
    "reward-model-at-chance",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("accuracy",),
    causes=(
        "chosen and rejected are swapped or shuffled",
        "the scores belong to other rows than the labels",
        "the reward model did not learn, or meets another kind of data than it was trained on",
    ),
    fixes=("check which column is the chosen answer", "evaluate on the pairs that it was trained on first"),
)
def model_at_chance(s: ScoresView) -> Signal | None:
    """Fires when the reward model prefers the chosen answer no more often than a coin.

    Why it matters: A policy trained on it is trained on noise.
    How it is computed: The share of pairs whose chosen answer scores higher, a tie being one half. The lower end of its
    95 % interval is at or below one half, with at least 100 pairs. The check fails when the share itself is below the
    upper end of what chance gives, one half or less at the upper end.
    When it is wrong: Pairs may be as good as equal: annotators agree on 60 to 70 % of crowd-sourced pairs.
    Source: RewardBench (arXiv 2403.13787); 100 pairs are our own choice.
    """
    a = s.accuracy
    if a is None or a.n < 100 or not a.low <= 0.5:
        return None
    message = f"the chosen answer scores higher in {100 * a.value:.1f} % of {a.n:,} pairs ({interval(a, percent=True)})"
    return judged(a.value, 0.5, message, metric="accuracy", status="fail" if a.value <= 0.52 else "warn")
