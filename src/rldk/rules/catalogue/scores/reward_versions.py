"""RM: two reward models, or two versions of one, on the same answers."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import ScorePairView, interval, judged

ALIKE, UNLIKE = 0.95, 0.8  # rank correlations
FLIPS, MANY_FLIPS = 0.05, 0.15
SHIFT, LARGE_SHIFT = 0.1, 0.25


@rule(
    "RM006",
    "reward-models-rank-differently",
    severity="warn",
    tier=2,
    data="2",
    subject="rescored",
    needs=("spearman",),
    causes=("another training set, seed or base model", "another template or truncation of the input"),
    fixes=("look at the answers on which they disagree most", "compare template and truncation of both"),
)
def models_rank_differently(s: ScorePairView) -> Signal | None:
    """Fires when two reward models put the same answers in different orders.

    Why it matters: A result under one of them says little about the other.
    How it is computed: Spearman's rank correlation of the scores. The upper end of its 95 % interval (clusters of
    prompts) is below 0.95. The check fails below 0.8.
    When it is wrong: Never on what it says; two honest models of one noisy preference agree at 0.8 to 0.9.
    Source: 0.95 and 0.8 are our own choice.
    """
    r = s.spearman
    if not r.high < ALIKE:
        return None
    message = f"the models rank the same {s.n:,} answers differently: rank correlation {r.value:.3f} ({interval(r)})"
    return judged(r.value, ALIKE, message, metric="scores", status="fail" if r.high < UNLIKE else "warn")


@rule(
    "RM030",
    "reward-models-prefer-differently",
    severity="warn",
    tier=2,
    data="2",
    subject="rescored",
    needs=("pair_flips",),
    causes=("as of RM006; flips among close answers may be noise of the model's own arithmetic",),
    fixes=("look at the flipped pairs with the largest margins",),
)
def models_prefer_differently(s: ScorePairView) -> Signal | None:
    """Fires when two reward models prefer different answers to the same prompts.

    Why it matters: The direction of every preference is what a policy learns.
    How it is computed: Of the pairs of answers to a prompt that both models order, the share that they order
    differently. The lower end of its 95 % interval is above 5 %. The check fails above 15 %.
    When it is wrong: Answers may be as good as equal.
    Source: 5 % and 15 % are our own choice.
    """
    f = s.pair_flips
    if f is None or not f.low > FLIPS:
        return None
    message = f"the models disagree on {100 * f.value:.1f} % of the pairs of answers ({interval(f, percent=True)})"
    return judged(f.value, FLIPS, message, metric="pairs", status="fail" if f.low > MANY_FLIPS else "warn")


@rule(
    "RM031",
    "reward-scale-differs",
    severity="warn",
    tier=2,
    data="2",
    subject="rescored",
    needs=("mean", "scale"),
    causes=(
        "the score head was trained again, or scores are normalised differently",
        "one of them is cut by a sigmoid",
    ),
    fixes=("set both to one mean and spread before they are mixed", "set {kl_coef} again for the new scale"),
)
def scale_differs(s: ScorePairView) -> Signal | None:
    """Fires when two reward models give the same answers scores of another level or spread.

    Why it matters: The weight of the KL penalty, clips and thresholds mean something else.
    How it is computed: The mean of the differences of both scores in standard deviations of the first, and the ratio of
    the standard deviations. One of the 95 % intervals lies beyond 0.1 (or a factor of 1.1). The check fails at 0.25 (or
    a factor of 1.25).
    When it is wrong: Methods that use ranks or group-relative advantages with scaling do not care.
    Source: as RM027.
    """
    m, r = s.mean, s.scale
    if m is None or r is None or not (m.bounded and r.bounded):
        return None
    off = max(m.low, -m.high, r.low - 1, 1 / r.high - 1)
    if not off > SHIFT:
        return None
    message = (
        f"the second model scores on another scale: mean {m.value:+.2f} standard deviations ({interval(m)}), spread "
        f"times {r.value:.2f} ({interval(r)})"
    )
    return judged(r.value, SHIFT, message, metric="scores", status="fail" if off > LARGE_SHIFT else "warn")


@rule(
    "RM032",
    "reward-signs-differ",
    severity="info",
    tier=2,
    data="2",
    subject="rescored",
    needs=("sign_flips",),
    causes=("the scores have another zero",),
    fixes=("use differences of scores, or centre both",),
)
def signs_differ(s: ScorePairView) -> Signal | None:
    """Fires when many answers have a positive score from one model and a negative one from the other.

    Why it matters: A threshold at 0 accepts other answers.
    How it is computed: The share of answers with scores of different signs; the lower end of its 95 % interval is above
    5 %.
    When it is wrong: The zero of a score means nothing to methods that use differences.
    Source: 5 % is our own choice.
    """
    f = s.sign_flips
    if f is None or not f.low > FLIPS:
        return None
    message = f"{100 * f.value:.1f} % of the answers have scores of different signs ({interval(f, percent=True)})"
    return judged(f.value, FLIPS, message, metric="scores")
