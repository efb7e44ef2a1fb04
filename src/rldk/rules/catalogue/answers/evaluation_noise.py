"""EVAL: differences that may be noise, and scores that guessing reaches."""

from __future__ import annotations

from rldk.rules.answers_view import AnswersView
from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import interval

SIGNIFICANT = 0.05


@rule(
    "EVAL001",
    "score-change-within-noise",
    severity="info",
    tier=2,
    data="P",
    subject="answers",
    needs=("change",),
    causes=("there are too few prompts for a change of this size",),
    fixes=("evaluate on more prompts before you build on the gain", "report the interval with the score"),
)
def change_within_noise(a: AnswersView) -> Signal | None:
    """Fires when a score has risen by less than the data can tell from noise.

    Why it matters: Another draw of the same model may lose the gain again. Runs are chosen and papers written by it.
    How it is computed: The mean difference over the same prompts is above 0 and its 95 % interval holds 0.
    When it is wrong: The gain may be real and small; more prompts show it.
    Source: EVAL001 of the rule catalogue (F99); an unpaired test gave p 0.080 where the paired one gave 0.008
    (EleutherAI/lm-evaluation-harness#3831, #3868).
    """
    m = a.change
    if m is None or not (m.change.value > 0 and m.change.low <= 0):
        return None
    message = (
        f"the score rose from {m.before:.3g} to {m.after:.3g} {m.place}, and the change ({interval(m.change)}) may be "
        f"noise: {m.change.n:,} prompts show changes of {m.detectable:.2g} and more"
    )
    return Signal(value=m.change.value, limit=m.detectable, message=message, metric="score")


@rule(
    "EVAL021",
    "best-checkpoint-within-noise",
    severity="info",
    tier=2,
    data="P",
    subject="answers",
    needs=("checkpoints",),
    causes=("the checkpoint was chosen by the highest of several scores that differ by chance",),
    fixes=("evaluate the chosen checkpoint on prompts that did not choose it", "take the last one, or an average"),
)
def best_checkpoint_within_noise(a: AnswersView) -> Signal | None:
    """Fires when the steps of an evaluation do not differ by more than chance, and the best is not the last one.

    Why it matters: The highest of several equal scores is too high. It falls when it is measured again.
    How it is computed: Cochran's Q over the same prompts (for other scores than 0 and 1 its analogue from sums of
    squares) gives p of 0.05 or more.
    When it is wrong: With few prompts a real difference does not show either.
    Source: Cochran 1950, Biometrika 37:256; the limit is the usual one.
    """
    c = a.checkpoints
    if c is None or c.best_step == c.last_step or not c.p >= SIGNIFICANT:
        return None
    message = (
        f"step {c.best_step:g} is best ({c.best:.3g}; the last one, step {c.last_step:g}: {c.last:.3g}), but the "
        f"{c.steps:,} steps differ by no more than chance over {c.prompts:,} prompts (p {c.p:.2g})"
    )
    return Signal(value=c.p, limit=SIGNIFICANT, message=message, metric="score")


@rule(
    "EVAL018",
    "score-of-guessing",
    severity="warn",
    tier=2,
    data="P",
    subject="answers",
    needs=("chance",),
    causes=(
        "the model does not know the task",
        "the answer's letter is read from the wrong place",
        "the chat template is missing, so that the model does not see a question",
    ),
    fixes=(
        "read ten answers beside the right ones",
        "run a model that is known to solve the task through the same code",
    ),
)
def score_of_guessing(a: AnswersView) -> Signal | None:
    """Fires when the share of right answers is not above what guessing among the options comes to.

    Why it matters: Differences between two models at the level of chance say nothing.
    How it is computed: The lower end of the 95 % interval of the accuracy is at most the mean of 1 / options. Where the
    whole interval is below it, the message says so: labels are shuffled, or results are read wrongly.
    When it is wrong: The task may be too hard for the model.
    Source: An identity of guessing; the interval is Wilson's.
    """
    g = a.chance
    if g is None or not g.right.low <= g.chance:
        return None
    below = g.right.high < g.chance
    message = (
        f"{100 * g.right.value:.1f} % of {g.right.n:,} answers are right ({interval(g.right, percent=True)}), "
        f"{'less than' if below else 'no more than'} guessing gives ({100 * g.chance:.1f} %)"
    )
    return Signal(
        value=g.right.value, limit=g.chance, message=message, metric="correct", severity="warn" if below else "info"
    )


@rule(
    "EVAL019",
    "nothing-is-right",
    severity="warn",
    tier=2,
    data="P",
    subject="answers",
    needs=("right",),
    causes=(
        "no result is found in the answers",
        "answers are cut before the result",
        "the answers are compared with another column than the right ones",
    ),
    fixes=("read ten answers beside the right ones", "raise the limit of new tokens", "check the stop sequences"),
)
def nothing_is_right(a: AnswersView) -> Signal | None:
    """Fires when none of fifty answers or more is right.

    Why it matters: An error of the evaluation is more likely than a model that never succeeds, and the score cannot
    show any progress.
    How it is computed: The number of right answers is 0.
    When it is wrong: The task may be far beyond the model.
    Source: Accuracies of 0 that were faults of extraction or stop sequences:
    EleutherAI/lm-evaluation-harness#1204, #2279, #700; huggingface/lighteval#686.
    """
    r = a.right
    if r is None or r.value != 0:
        return None
    message = f"none of {r.n:,} answers is right (at most {100 * r.high:.1f} % may be)"
    return Signal(value=0.0, limit=0.0, message=message, metric="correct")
