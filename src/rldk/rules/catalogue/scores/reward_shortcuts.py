"""RM: rewards that follow the form of an answer: its format, its words, where it was shown."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import ScoresView, Shortcut, interval, judged

SOME = 0.1  # a correlation that a policy can exploit
WORD = 0.2  # the same for one word, which may be a part of what makes an answer good
GAP = 0.15  # accuracy on easy pairs minus that on hard ones


@rule(
    "RM002",
    "reward-model-picks-the-longer-answer",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("style_gap",),
    causes=("the preferences that it was trained on favour longer answers, and it learnt that first",),
    fixes=("train on pairs of matched length, or with pairs in which the shorter answer is better",),
)
def picks_the_longer_answer(s: ScoresView) -> Signal | None:
    """Fires when the reward model is far more often right where the better answer is the longer one.

    Why it matters: It is right for the wrong reason, and wrong where length misleads.
    How it is computed: Accuracy on pairs whose chosen answer is longer minus that on pairs whose chosen answer is
    shorter. The lower end of the 95 % interval (clusters of prompts) is above 0.15; it fails above 0.35.
    When it is wrong: Never on what it says; the labels themselves may be biased by length.
    Source: the easy and hard accuracies of RM-Bench (arXiv 2410.16184); 0.15 is our own choice.
    """
    gap = s.style_gap
    if gap is None or not gap.low > GAP:
        return None
    message = (
        f"the reward model is right more often where the longer answer is the better one: {100 * gap.value:.0f} points "
        f"of accuracy ({interval(gap, percent=True)})"
    )
    return judged(gap.value, GAP, message, metric="accuracy", status="fail" if gap.low > 0.35 else "warn")


def _strongest(found: tuple[Shortcut, ...] | None, least: float) -> Shortcut | None:
    """The shortcut whose interval is farthest from 0, where that is beyond `least`."""
    beyond = [one for one in found or () if one.coupling.least > least and one.p < 0.05]
    return max(beyond, key=lambda one: one.coupling.least, default=None)


def _signal(
    one: Shortcut, found: tuple[Shortcut, ...], *, least: float, limit: float, words: str, metric: str
) -> Signal:
    others = sorted({o.feature for o in found if o.coupling.least > least and o.p < 0.05} - {one.feature})
    more = f"; so do {', '.join(others[:4])}" if others else ""
    inside = interval(one.coupling)
    message = f"{words}: rank correlation {one.coupling.rho:.2f} ({inside}) among the answers to a prompt{more}"
    status = "fail" if one.coupling.least > limit else "warn"
    features = {o.feature: o.coupling.rho for o in found}
    return judged(one.coupling.rho, least, message, metric=metric, status=status, features=features)  # type: ignore[arg-type]  # one of two words


@rule(
    "RM020",
    "reward-follows-format",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("shortcuts",),
    causes=(
        "preferences were collected from answers in which the better writer also used lists or headings",
        "the reward has a bonus for a format",
    ),
    fixes=(
        "score the same answers with the format taken out, and compare (`rldk reward-drift`)",
        "train the reward model with answers whose format was changed at random",
    ),
)
def reward_follows_format(s: ScoresView) -> Signal | None:
    """Fires when the reward goes with the form of an answer, whatever its length.

    Why it matters: Form is cheap: a policy learns it first and gains reward without getting better.
    How it is computed: For each feature (markdown, lists, headings, code, questions, refusals, agreement with the user,
    repetition, exclamation marks), the rank correlation with the reward among the answers to a prompt, with length and
    the other features held fixed. The 95 % interval (clusters of prompts) is beyond 0.1 and the p-value below 0.05
    after Benjamini and Hochberg over the features. The check fails when the interval is beyond the threshold (0.6).
    When it is wrong: A task may ask for the format, such as code.
    Source: Gao et al. 2022 and RM-Bench (arXiv 2410.16184) on style; 0.1 is our own choice.
    """
    one = _strongest(s.shortcuts, SOME)
    if one is None or s.shortcuts is None:
        return None
    words = f"the reward {'pays for' if one.coupling.rho > 0 else 'punishes'} {one.feature}"
    return _signal(one, s.shortcuts, least=SOME, limit=s.limits.shortcut, words=words, metric="format")


@rule(
    "RM021",
    "reward-follows-position",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("position",),
    causes=(
        "a judge that sees several answers at once favours the first or the last",
        "labels were collected with the better answer always in one place",
    ),
    fixes=("ask in both orders and average", "shuffle the answers before they are shown"),
)
def reward_follows_position(s: ScoresView) -> Signal | None:
    """Fires when an answer gets more reward at one position than at another.

    Why it matters: The reward measures the order in which answers were shown.
    How it is computed: The rank correlation of reward and position among the answers to a prompt; the 95 % interval
    (clusters of prompts) is beyond 0.1. The check fails when it is beyond the threshold of shortcuts (0.6).
    When it is wrong: The positions may hold a ranking that somebody made on purpose.
    Source: Zheng et al. 2023 (arXiv 2306.05685) on position bias of judges; 0.1 is our own choice.
    """
    found = s.position
    if found is None or not found.least > SOME:
        return None
    words = "later" if found.rho > 0 else "earlier"
    message = f"answers that were shown {words} get more reward: rank correlation {found.rho:.2f} ({interval(found)})"
    status = "fail" if found.least > s.limits.shortcut else "warn"
    return judged(found.rho, SOME, message, metric="position", status=status)  # type: ignore[arg-type]  # one of two words


@rule(
    "RM022",
    "reward-follows-a-word",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("words",),
    causes=(
        "the reward model learnt a phrase of one annotator or one model",
        "the policy has found a phrase that pays, and repeats it",
    ),
    fixes=("read answers with and without the word", "score them with the word taken out, and compare"),
)
def reward_follows_a_word(s: ScoresView) -> Signal | None:
    """Fires when answers that hold one word get more (or less) reward than others to the same prompt.

    Why it matters: A policy adds the word everywhere.
    How it is computed: The 200 most frequent words that between 5 % and 95 % of the answers hold. For each one, the
    rank correlation of its presence with the reward among the answers to a prompt, with length held fixed. The 95 %
    interval is beyond 0.2 and the p-value below 0.05 after Benjamini and Hochberg over the words. The check fails when
    the interval is beyond the threshold of shortcuts (0.6).
    When it is wrong: The word may be the right answer.
    Source: our own choice, after the lexical baselines of reward-model evaluations.
    """
    one = _strongest(s.words, WORD)
    if one is None or s.words is None:
        return None
    words = f"the reward {'pays for' if one.coupling.rho > 0 else 'punishes'} the word `{one.feature}`"
    return _signal(one, s.words, least=WORD, limit=s.limits.shortcut, words=words, metric="word")
